// What the bot is doing just now: the message it is writing, and its chat action.

import { formatted } from "./formatting.js";
import { post, problemWords } from "./server.js";
import { bot, chat, chatPath } from "./state.js";
import { dots, find, heardOnly, icon, make, toast } from "./tools.js";

const DRAFT_LIFE = 30_000; // Telegram: a draft is a preview of 30 seconds
const STOPPED_DRAFT_LIFE = 5_000; // time for the bot to keep what it had written as a message
const ACTION_LIFE = 5_000; // Telegram: a chat action shows for 5 seconds

let draftTimer;

export function showDraft({ draft_id: id, text = "", entities, can_stop: canStop }) {
  const node = find("draft");
  const stopping = chat.draft?.id === id && chat.draft.stopping;
  chat.draft = { id, stopping };
  const words = make("div", { className: "text writing", dir: "auto" });
  if (text) words.append(formatted(text, entities ?? []));
  else {
    words.className = "text thinking";
    words.append("Thinking", dots());
  }
  const stack = make("div", { className: "stack" }, make("div", { className: "bubble" }, heardOnly(`${bot.first_name} is writing: `), words));
  const stopKept = canStop && node.querySelector(".stop")?.dataset.draft === String(id) && node.querySelector(".stop");
  if (canStop) stack.append(stopKept || stopButton(id, stopping));
  const focused = stopKept && document.activeElement === stopKept;
  node.replaceChildren(stack);
  if (focused) stopKept.focus();
  node.classList.toggle("group-start", !chat.entries.at(-1)?.fromBot);
  node.classList.add("group-end");
  node.hidden = false;
  endAction();
  expireDraft(DRAFT_LIFE);
}

function expireDraft(milliseconds) {
  clearTimeout(draftTimer);
  draftTimer = setTimeout(endDraft, milliseconds);
}

function stopButton(id, stopping) {
  const button = make("button", { className: "stop", type: "button", data: { draft: id }, disabled: stopping }, icon("stop"), make("span", { text: stopping ? "Stopping" : "Stop" }));
  button.addEventListener("click", async () => {
    button.disabled = true;
    button.lastElementChild.textContent = "Stopping";
    if (chat.draft) chat.draft.stopping = true;
    try {
      await post(chatPath("stop"), { draft_id: id });
      expireDraft(STOPPED_DRAFT_LIFE);
    } catch (problem) {
      button.disabled = false;
      button.lastElementChild.textContent = "Stop";
      if (chat.draft) chat.draft.stopping = false;
      toast(`The bot was not told to stop. ${problemWords(problem)}`);
    }
  });
  return button;
}

export function endDraft() {
  clearTimeout(draftTimer);
  const node = find("draft");
  const hadFocus = node.contains(document.activeElement);
  if (chat) chat.draft = null;
  node.hidden = true;
  node.replaceChildren();
  if (hadFocus) find("text").focus({ preventScroll: true });
}

const ACTIONS = {
  typing: "is typing",
  record_voice: "is recording",
  upload_voice: "is sending a recording",
  record_audio: "is recording",
  upload_audio: "is sending a recording",
  upload_photo: "is sending a picture",
  upload_document: "is sending a file",
  record_video: "is recording a video",
  upload_video: "is sending a video",
  record_video_note: "is recording a video note",
  upload_video_note: "is sending a video note",
  choose_sticker: "is choosing a sticker",
  find_location: "is finding a place",
};

let actionTimer;

export function showAction(action) {
  // A bot has no "listening" action: after a voice note, the first thing it does is listen to it.
  const lastEntry = chat.entries.at(-1);
  const listening = action === "typing" && lastEntry && !lastEntry.fromBot && lastEntry.messages[0].voice;
  const words = listening ? "is listening" : (ACTIONS[action] ?? "is at work");
  const line = find("action-line");
  const sentence = `${bot.first_name} ${words}`;
  if (line.hidden || line.textContent !== sentence) line.replaceChildren(sentence, dots());
  line.hidden = false;
  find("model-label").hidden = true;
  clearTimeout(actionTimer);
  actionTimer = setTimeout(endAction, ACTION_LIFE);
}

export function endAction() {
  clearTimeout(actionTimer);
  find("action-line").hidden = true;
  find("model-label").hidden = false;
}
