// The buttons under messages, and what becomes of a tap.

import { link } from "./formatting.js";
import { pay, payLink, paysAt } from "./payments.js";
import { post, problemWords } from "./server.js";
import { bot, chat, chatPath } from "./state.js";
import { copy, find, icon, make, toast } from "./tools.js";

const TAP_LIFE = 15_000; // how long clients wait for answerCallbackQuery

const tapKey = (messageId, data) => `${messageId} ${data}`;

export function inlineKeyboard(entry) {
  const message = entry.messages[0];
  const rows = message.reply_markup?.inline_keyboard;
  if (!rows?.length) return null;
  const drawn = rows.map((row) => make("div", { className: "keyboard-row" }, ...row.map((button) => inlineKey(message, button))));
  return make("div", { className: "keyboard", role: "group", "aria-label": "Buttons" }, ...drawn);
}

function inlineKey(message, button) {
  const className = ["key", button.style].filter(Boolean).join(" ");
  if (button.url && !button.disabled && !paysAt(button.url)) {
    const anchor = link(button.url);
    if (anchor.tagName === "A") {
      anchor.className = className;
      anchor.append(button.text, icon("away"));
      return anchor;
    }
  }
  const node = make("button", { className, type: "button", text: button.text, disabled: Boolean(button.disabled) });
  if (button.copy_text) {
    node.append(icon("copy"));
    node.addEventListener("click", () => copy(button.copy_text.text));
  } else if (button.callback_data) {
    node.dataset.tap = tapKey(message.message_id, button.callback_data);
    showWaiting(node, chat.taps.has(node.dataset.tap));
    node.addEventListener("click", () => tap(message, button));
  } else if (button.pay) {
    node.addEventListener("click", () => pay(message));
  } else if (button.url && paysAt(button.url)) {
    node.addEventListener("click", () => payLink(button.url));
  } else {
    node.addEventListener("click", () => toast("The playground cannot open this kind of button."));
  }
  return node;
}

function showWaiting(node, waiting) {
  node.classList.toggle("waiting", waiting);
  node.toggleAttribute("aria-busy", waiting);
}

async function tap(message, button) {
  const here = chat;
  const name = tapKey(message.message_id, button.callback_data);
  if (here.taps.has(name)) return;
  const waiting = { id: null, timer: setTimeout(() => endTap(here, name, { text: `${bot.first_name} did not answer the tap.` }), TAP_LIFE) };
  here.taps.set(name, waiting);
  markTap(name, true);
  try {
    const answer = await post(chatPath("callbacks"), { message_id: message.message_id, data: button.callback_data });
    waiting.id = answer.callback_query_id;
    // The bot's answer travels another road and may have been quicker than the receipt.
    const early = here.earlyAnswers.get(waiting.id);
    if (early) endTap(here, name, early);
  } catch (problem) {
    endTap(here, name, { text: `The tap was not sent. ${problemWords(problem)}` });
  }
}

function markTap(name, waiting) {
  for (const node of document.querySelectorAll(".key[data-tap]")) if (node.dataset.tap === name) showWaiting(node, waiting);
}

function endTap(here, name, { text, show_alert: alert }) {
  const waiting = here.taps.get(name);
  if (!waiting) return;
  clearTimeout(waiting.timer);
  here.taps.delete(name);
  if (here !== chat) return;
  markTap(name, false);
  if (!text) return;
  if (!alert) return toast(text);
  find("alert-title").textContent = bot.first_name;
  find("alert-text").textContent = text;
  if (!find("alert-dialog").open) find("alert-dialog").showModal();
}

export function tapAnswered(answer) {
  for (const [name, waiting] of chat.taps) if (waiting.id === answer.callback_query_id) return endTap(chat, name, answer);
  const here = chat;
  here.earlyAnswers.set(answer.callback_query_id, answer);
  setTimeout(() => here.earlyAnswers.delete(answer.callback_query_id), TAP_LIFE);
}
