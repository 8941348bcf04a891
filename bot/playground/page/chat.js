// The playground's chat page: one fake person's conversation with the bot, the way a Telegram client would show it.
//
// Everything that a person, the bot or a model wrote reaches the page as text nodes; nothing is parsed as HTML.
// Imports go down only: chat > people > events > composer, attachments > recording > sending > messages >
// keyboards, drafts, header > payments, scrolling, media, formatting > server, state > tools.

import { setUpAttachments } from "./attachments.js";
import { replyTo, setUpComposer } from "./composer.js";
import { connect } from "./events.js";
import { notice, refreshBot } from "./header.js";
import { setUpPictures } from "./media.js";
import { confirmed, setUpMenu } from "./menus.js";
import { goTo, remove } from "./messages.js";
import { setUpPayments } from "./payments.js";
import { addPerson, openChat, showPeople } from "./people.js";
import { setUpRecording } from "./recording.js";
import { watchScrolling } from "./scrolling.js";
import { deliver, sendSpecial, sendText } from "./sending.js";
import { call, post, problemWords, Refusal } from "./server.js";
import { changed, chat, chatPath, people, setPeople } from "./state.js";
import { find, hovers, toast } from "./tools.js";

async function setBlocked(blocked) {
  const here = chat;
  try {
    await post(chatPath("block"), { blocked });
  } catch (problem) {
    return toast(problemWords(problem));
  }
  here.blocked = blocked;
  changed();
  toast(blocked ? "Blocked. The bot can no longer write to you." : "Unblocked.");
}

async function reset() {
  const sure = await confirmed({
    title: "Clear every conversation?",
    text: "All messages of all people in the playground go. What the bot itself remembers of them stays; /delete in a chat is the way to that.",
    yes: "Clear",
  });
  if (!sure) return;
  try {
    await post("/reset");
    toast("Cleared.");
  } catch (problem) {
    toast(`Nothing was cleared. ${problemWords(problem)}`);
  }
}

function setUpMenus() {
  setUpMenu(find("more-button"), find("more-menu"));
  setUpMenu(find("attach-button"), find("attach-menu"));
  setUpMenu(find("people-button"), find("people-menu"), showPeople);
  find("send-poll").addEventListener("click", () => sendSpecial("poll"));
  find("send-location").addEventListener("click", () => sendSpecial("location"));
  find("toggle-block").addEventListener("click", () => setBlocked(!chat.blocked));
  find("unblock-button").addEventListener("click", () => setBlocked(false));
  find("reset").addEventListener("click", reset);
  find("person-form").addEventListener("submit", addPerson);
  find("person-cancel").addEventListener("click", () => find("person-dialog").close());
}

// What the buttons inside messages ask for.
function setUpConversation() {
  const acts = {
    reply: (entry) => replyTo(entry),
    retry: (entry) => deliver(entry),
    discard: (entry) => remove(entry),
    show: (_entry, button) => goTo(Number(button.dataset.shows)),
  };
  const entryAt = (node) => chat.entries.find((entry) => entry.node.contains(node));
  find("conversation").addEventListener("click", (event) => {
    const button = event.target.closest("[data-act], [data-command]");
    if (button?.dataset.command) sendText(button.dataset.command);
    else if (button) acts[button.dataset.act](entryAt(button), button);
  });
  // Where nothing hovers, a double tap stands for the reply button; with a mouse it would be in the way of selecting.
  find("messages").addEventListener("dblclick", (event) => {
    if (hovers() || event.target.closest("button, a, input")) return;
    const entry = entryAt(event.target);
    if (entry?.state !== "sent") return;
    getSelection()?.removeAllRanges();
    replyTo(entry);
  });
}

async function start() {
  try {
    setPeople(await call("/people"));
  } catch (problem) {
    const refused = problem instanceof Refusal && problem.status === 403;
    if (refused) return notice("This address does not carry the right key. Open the address that the playground printed when it started.");
    notice("The playground is away. This page will open as soon as it is back.");
    setTimeout(start, 2000);
    return;
  }
  await refreshBot();
  const remembered = Number(sessionStorage.getItem("person"));
  openChat(people.find((person) => person.id === remembered) ?? people[0]);
}

setUpMenus();
setUpComposer();
setUpAttachments();
setUpRecording();
setUpPictures();
setUpPayments();
setUpConversation();
watchScrolling();
addEventListener("online", () => chat && connect());
start();
