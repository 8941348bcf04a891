// Bubbles: how an entry is drawn and where it stands.
//
// An entry is one bubble: usually one message, or all messages of an album. Entries stand in the order of their
// message ids; what is still being sent stands last. A button that asks for more than drawing says so in data-act.

import { formatted } from "./formatting.js";
import { inlineKeyboard } from "./keyboards.js";
import { inWords, kindOf, KINDS, pictureWidth, plainCard, serviceWords } from "./media.js";
import { bot, chat } from "./state.js";
import { calm, clock, dayOf, find, heardOnly, icon, make, toast } from "./tools.js";

const GROUPING_GAP = 300; // seconds between messages that still stand together

export function newEntry(message, fromBot) {
  const node = make("li", { className: `message ${fromBot ? "from-bot" : "from-person"}` });
  return { messages: [message], fromBot, node, state: "sent", drawn: new Map(), reactions: [], post: null, kind: null, problem: "" };
}

const orderOf = (entry) => (entry.state === "sent" ? entry.messages[0].message_id : Infinity);

export function place(entry) {
  const { entries } = chat;
  const before = entries.indexOf(entry);
  if (before >= 0) entries.splice(before, 1);
  let index = entries.length;
  while (index > 0 && orderOf(entries[index - 1]) > orderOf(entry)) index -= 1;
  entries.splice(index, 0, entry);
  const next = entries[index + 1]?.node ?? null;
  if (entry.node.parentNode !== find("messages") || entry.node.nextSibling !== next) find("messages").insertBefore(entry.node, next);
  for (const at of new Set([before, index - 1, index, index + 1])) standTogether(at);
}

export function remove(entry) {
  const index = chat.entries.indexOf(entry);
  if (index < 0) return;
  chat.entries.splice(index, 1);
  entry.node.remove();
  standTogether(index - 1);
  standTogether(index);
}

// Says where a run of one side's messages begins and ends, and which day begins here.
function standTogether(index) {
  const [previous, entry, next] = [chat.entries[index - 1], chat.entries[index], chat.entries[index + 1]];
  if (!entry) return;
  const date = (other) => other.messages[0].date;
  const joined = (a, b) => a && b && a.fromBot === b.fromBot && date(b) - date(a) < GROUPING_GAP && dayOf(date(a)) === dayOf(date(b));
  entry.node.classList.toggle("group-start", !joined(previous, entry));
  entry.node.classList.toggle("group-end", !joined(entry, next));
  const day = dayOf(date(entry));
  const label = entry.node.querySelector(":scope > .day");
  if (previous && dayOf(date(previous)) === day) label?.remove();
  else if (label) label.textContent = day;
  else entry.node.prepend(make("p", { className: "day", text: day }));
}

export function draw(entry) {
  const { node, messages } = entry;
  const message = messages[0];
  const label = node.querySelector(":scope > .day");
  const focused = [...node.querySelectorAll(".key")].indexOf(document.activeElement);
  const service = serviceWords(message);
  if (service) {
    node.replaceChildren(...[label, make("p", { className: "service", text: service })].filter(Boolean));
    return;
  }
  const captioned = messages.find((one) => one.text ?? one.caption) ?? message;
  const bubble = make("div", { className: "bubble" }, heardOnly(entry.fromBot ? `${bot.first_name}: ` : "You: "));
  if (message.reply_to_message) bubble.append(quoted(message));
  const text = captioned.text ?? captioned.caption ?? "";
  const words = text && drawnWords(entry, text, captioned.entities ?? captioned.caption_entities ?? []);
  const pictures = drawnMedia(entry);
  if (words && captioned.show_caption_above_media) bubble.append(words, ...pictures);
  else bubble.append(...pictures, ...(words ? [words] : []));
  if (!words && !pictures.length) bubble.append(plainCard("file", "Something this page cannot show"));
  const reactions = reactionRow(entry);
  const endsInPicture = bubble.lastElementChild?.classList.contains("pictures");
  const meta = metaLine(entry, endsInPicture && !reactions);
  if (reactions) bubble.append(reactions);
  if (reactions) reactions.append(meta);
  else if (words && bubble.lastElementChild === words) words.append(meta);
  else bubble.append(meta);
  const stack = make("div", { className: "stack" }, bubble);
  if (message.photo) stack.style.width = `${pictureWidth(messages)}px`;
  const keyboard = inlineKeyboard(entry);
  if (keyboard) {
    stack.classList.add("with-keyboard");
    stack.append(keyboard);
  }
  if (entry.state === "failed") stack.append(failedRow(entry));
  if (entry.state === "sent") stack.append(replyButton());
  node.replaceChildren(...[label, stack].filter(Boolean));
  if (focused >= 0) (node.querySelectorAll(".key:not(:disabled)")[focused] ?? node.querySelector(".key:not(:disabled)") ?? find("conversation")).focus();
}

// Pictures and players outlive a redraw, so an edit neither blinks nor stops a recording.
function drawnMedia(entry) {
  const pictures = [];
  const others = [];
  for (const message of entry.messages) {
    const kind = kindOf(message);
    if (!kind) continue;
    const fileId = KINDS[kind].file?.(message)?.file_id;
    const known = fileId && entry.drawn.get(fileId);
    const node = known || KINDS[kind].draw(message);
    if (fileId) entry.drawn.set(fileId, node);
    if (kind === "photo") pictures.push(node);
    else others.push(node);
  }
  if (pictures.length) others.unshift(make("div", { className: pictures.length > 1 ? "pictures album" : "pictures" }, ...pictures));
  return others;
}

// Unchanged words keep their node too: an opened quote stays open when only the buttons change.
function drawnWords(entry, text, entities) {
  const signature = JSON.stringify([text, entities]);
  if (entry.words?.signature !== signature) {
    entry.words = { signature, node: make("div", { className: "text", dir: "auto" }, formatted(text, entities)) };
  }
  entry.words.node.querySelector(":scope > .meta")?.remove(); // the time of day is drawn anew
  return entry.words.node;
}

function metaLine(entry, overPicture) {
  const message = entry.messages[0];
  // Clients leave the mark off menus: a message with buttons is expected to change.
  const edited = message.edit_date && !message.reply_markup?.inline_keyboard;
  const meta = make("span", { className: overPicture ? "meta over-picture" : "meta" });
  meta.append(make("time", { text: `${edited ? "edited " : ""}${clock.format(message.date * 1000)}`, datetime: new Date(message.date * 1000).toISOString() }));
  if (!entry.fromBot && entry.state !== "failed") {
    meta.append(icon(entry.state === "sent" ? "check" : "clock"), heardOnly(entry.state === "sent" ? "sent" : "on its way"));
  }
  return meta;
}

function reactionRow(entry) {
  if (!entry.reactions.length) return null;
  const marks = entry.reactions.map((reaction) => make("span", { className: "reaction", text: reaction.emoji ?? "★" }));
  return make("div", { className: "reactions", role: "group", "aria-label": "Reactions" }, ...marks);
}

function quoted(message) {
  const original = message.reply_to_message;
  return make(
    "button",
    { className: "quoted", type: "button", data: { act: "show", shows: original.message_id } },
    make("strong", { text: original.from?.is_bot ? bot.first_name : "You" }),
    make("span", { text: message.quote?.text ?? inWords(original), dir: "auto" }),
  );
}

export function goTo(messageId) {
  const entry = chat.entryOf.get(messageId);
  if (!entry) return toast("That message is no longer here.");
  entry.node.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
  entry.node.classList.remove("highlighted");
  requestAnimationFrame(() => entry.node.classList.add("highlighted"));
}

function replyButton() {
  return make(
    "button",
    // Out of the tab order, or a long conversation would be a long walk: Ctrl+Up in the message field does the same.
    { className: "round reply-button", type: "button", tabindex: "-1", "aria-label": "Reply", title: "Reply (Ctrl+↑)", data: { act: "reply" } },
    icon("reply"),
  );
}

function failedRow(entry) {
  return make(
    "div",
    { className: "failed-row", role: "alert" },
    make("span", { text: `Not sent. ${entry.problem}` }),
    make("button", { className: "quiet", type: "button", text: "Try again", data: { act: "retry" } }),
    make("button", { className: "quiet danger", type: "button", text: "Discard", data: { act: "discard" } }),
  );
}

export function change(message) {
  const entry = chat.entryOf.get(message.message_id);
  if (!entry) return;
  const index = entry.messages.findIndex((one) => one.message_id === message.message_id);
  entry.messages[index] = message;
  draw(entry);
}

export function forget(messageId) {
  const entry = chat.entryOf.get(messageId);
  if (!entry) return;
  chat.entryOf.delete(messageId);
  entry.messages = entry.messages.filter((one) => one.message_id !== messageId);
  if (entry.messages.length) return draw(entry);
  remove(entry);
}

export function react(messageId, reactions) {
  const entry = chat.entryOf.get(messageId);
  if (!entry) return;
  entry.reactions = reactions ?? [];
  draw(entry);
}
