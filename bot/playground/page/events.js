// What the server tells: the history once, then a stream of events that outlives broken connections.

import { focusComposer, replyTo, showReplyKeyboard } from "./composer.js";
import { endAction, endDraft, showAction, showDraft } from "./drafts.js";
import { notice, noNotice, refreshBot } from "./header.js";
import { tapAnswered } from "./keyboards.js";
import { inWords, silence } from "./media.js";
import { change, draw, forget, newEntry, place, react } from "./messages.js";
import { countUnread, follow, setUnread, toBottom } from "./scrolling.js";
import { claim } from "./sending.js";
import { call, eventStream, Refusal } from "./server.js";
import { bot, changed, chat, chatPath, emptyConversation } from "./state.js";
import { find, hovers } from "./tools.js";

function receive(message, fromBot, live) {
  if (chat.entryOf.has(message.message_id)) return change(message);
  const continues = fromBot && chat.draft !== null;
  if (fromBot) {
    endDraft();
    endAction();
  }
  const album = message.media_group_id && chat.albums.get(message.media_group_id);
  if (album) {
    album.messages.push(message);
    chat.entryOf.set(message.message_id, album);
    draw(album);
    return;
  }
  if (!fromBot && claim(message)) return;
  const entry = newEntry(message, fromBot);
  chat.entryOf.set(message.message_id, entry);
  if (message.media_group_id) chat.albums.set(message.media_group_id, entry);
  draw(entry);
  place(entry);
  showReplyKeyboard(message);
  if (!live) return;
  // A draft that becomes a message should look as if it just stopped moving.
  entry.node.classList.toggle("arriving", !continues);
  if (fromBot) {
    find("announcer").textContent = `${bot.first_name}: ${inWords(message)}`;
    countUnread();
  } else follow(true);
  if (message.reply_markup?.force_reply) replyTo(entry);
}

function apply(event, { live }) {
  switch (event.type) {
    case "message":
      receive(event.message, event.from_bot ?? Boolean(event.message.from?.is_bot), live);
      break;
    case "message_edited":
      change(event.message);
      break;
    case "message_deleted":
      forget(event.message_id);
      break;
    case "draft":
      showDraft(event);
      break;
    case "action":
      showAction(event.action);
      break;
    case "callback_answered":
      if (live) tapAnswered(event);
      break;
    case "reaction":
      react(event.message_id, event.reaction);
      break;
    case "reset":
      clearConversation();
      chat.blocked = false;
      break;
  }
  changed();
}

export function clearConversation() {
  for (const waiting of chat.taps.values()) clearTimeout(waiting.timer);
  Object.assign(chat, emptyConversation());
  silence();
  endDraft();
  endAction();
  setUnread(0);
  find("messages").replaceChildren();
  find("announcer").textContent = "";
  find("reply-keyboard").replaceChildren();
  follow(true);
}

// One attempt to stand where the server stands: the whole history the first time (or when the server has forgotten
// more than we have seen), afterwards only what came since the last event.
let retryTimer;
let noticeTimer;
let patience = 500;

export async function connect() {
  clearTimeout(retryTimer);
  const here = chat;
  here.attempt += 1;
  const { attempt } = here;
  const stillHere = () => chat === here && here.attempt === attempt;
  here.stream?.close();
  let history;
  try {
    history = await call(chatPath("history"));
  } catch (problem) {
    if (stillHere()) away(problem);
    return;
  }
  if (!stillHere()) return;
  if (!chat.loaded || history.last < chat.last) {
    const unsent = chat.entries.filter((entry) => entry.state !== "sent");
    clearConversation();
    for (const event of history.events) apply(event, { live: false });
    for (const entry of unsent) place(entry);
    chat.last = history.last;
    chat.loaded = true;
    chat.blocked = history.blocked ?? false;
    refreshBot();
    changed();
    toBottom();
    // On a phone, focus would bring up the keyboard over what there is to read.
    if (hovers()) focusComposer();
  }
  const stream = eventStream(chatPath("events"), chat.last);
  chat.stream = stream;
  stream.onopen = () => {
    patience = 500;
    clearTimeout(noticeTimer);
    noticeTimer = undefined;
    noNotice();
  };
  stream.onmessage = (message) => {
    if (!stillHere()) return stream.close();
    chat.last = Number(message.lastEventId) || chat.last;
    apply(JSON.parse(message.data), { live: true });
  };
  stream.onerror = () => {
    stream.close();
    if (stillHere()) away();
  };
}

function away(problem) {
  if (problem instanceof Refusal && problem.status === 403) {
    return notice("This address does not carry the right key. Open the address that the playground printed when it started.");
  }
  noticeTimer ??= setTimeout(() => notice("The playground is away. This page will catch up as soon as it is back."), 700);
  clearTimeout(retryTimer);
  retryTimer = setTimeout(connect, patience);
  patience = Math.min(patience * 1.6, 4000);
}
