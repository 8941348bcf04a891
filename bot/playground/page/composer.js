// The foot of the page: what the person types, the commands on offer, and what stands there instead.

import { refreshBot } from "./header.js";
import { inWords } from "./media.js";
import { recorder } from "./recording.js";
import { sendText } from "./sending.js";
import { bot, chat, onChange } from "./state.js";
import { find, make } from "./tools.js";

function showComposer() {
  // Until the history is here, nobody knows whether this is a first meeting: the foot stays as it is.
  if (!chat.loaded) return;
  const empty = chat.entries.length === 0;
  const { blocked } = chat;
  const recording = recorder !== null;
  find("welcome").hidden = !empty;
  find("start-button").hidden = !empty || blocked;
  find("unblock-button").hidden = !blocked;
  find("recorder").hidden = !recording || blocked;
  const wasHidden = find("composer").hidden;
  find("composer").hidden = empty || blocked || recording;
  if (wasHidden) fitText();
  find("reply-bar").hidden = !chat.replyTo || blocked || recording;
  find("reply-keyboard").hidden = empty || blocked || recording || !find("reply-keyboard").firstChild;
  find("toggle-block").lastElementChild.textContent = blocked ? "Unblock the bot" : "Block the bot";
}

export function focusComposer() {
  const places = [find("start-button"), find("unblock-button"), find("text")];
  places.find((place) => place.checkVisibility())?.focus({ preventScroll: true });
}

// A hidden field has no height to measure; it is fitted again when it is shown.
function fitText() {
  const text = find("text");
  text.style.height = "auto";
  if (text.scrollHeight) text.style.height = `${text.scrollHeight}px`;
}

function growText() {
  fitText();
  const words = find("text").value.trim() !== "";
  find("send-button").hidden = !words;
  find("microphone-button").hidden = words;
  suggest();
}

export function setText(words) {
  find("text").value = words;
  growText();
}

function submit() {
  const words = find("text").value;
  if (!words.trim()) return;
  setText("");
  sendText(words);
  find("text").focus();
}

export function replyTo(entry) {
  const message = entry.messages[0];
  chat.replyTo = message;
  find("reply-name").textContent = entry.fromBot ? `Reply to ${bot.first_name}` : "Reply to yourself";
  find("reply-text").textContent = inWords(message);
  showComposer();
  find("text").focus();
}

function endReply() {
  chat.replyTo = null;
  showComposer();
}

// Ctrl+Up and Ctrl+Down walk through the messages one may reply to, as in Telegram Desktop.
function stepReply(step) {
  const choices = chat.entries.filter((entry) => entry.state === "sent");
  const current = choices.findIndex((entry) => entry.messages[0] === chat.replyTo);
  const next = current < 0 ? (step < 0 ? choices.length - 1 : -1) : current + step;
  if (next >= choices.length || next < 0) return step > 0 ? endReply() : undefined;
  replyTo(choices[next]);
  choices[next].node.scrollIntoView({ block: "nearest" });
}

function typingKeys(event) {
  if (event.isComposing) return;
  const options = find("suggestions").hidden ? [] : find("suggestions").querySelectorAll("[data-command]");
  if ((event.ctrlKey || event.metaKey) && ["ArrowUp", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    return stepReply(event.key === "ArrowUp" ? -1 : 1);
  }
  if (options.length && ["ArrowUp", "ArrowDown"].includes(event.key)) {
    event.preventDefault();
    const step = event.key === "ArrowDown" ? 1 : -1;
    suggested = suggested < 0 ? (step > 0 ? 0 : options.length - 1) : (suggested + step + options.length) % options.length;
    return markSuggestion();
  }
  if (options.length && event.key === "Tab" && suggested >= 0) {
    event.preventDefault();
    setText(`/${options[suggested].dataset.command} `);
    return closeSuggestions();
  }
  if (event.key === "Escape") {
    if (options.length || !find("suggestions").hidden) return closeSuggestions();
    return endReply();
  }
  if (event.key !== "Enter" || event.shiftKey) return;
  event.preventDefault();
  if (options.length && suggested >= 0) return choose(options[suggested].dataset.command);
  submit();
}

export function showReplyKeyboard(message) {
  const markup = message.reply_markup;
  const panel = find("reply-keyboard");
  if (markup?.remove_keyboard) panel.replaceChildren();
  if (markup?.keyboard) {
    const rows = markup.keyboard.map((row) =>
      make("div", { className: "keyboard-row" }, ...row.map((button) => replyKey(button, markup.one_time_keyboard))),
    );
    panel.replaceChildren(...rows);
  }
  find("text").placeholder = markup?.input_field_placeholder ?? "Message";
  showComposer();
}

function replyKey(button, once) {
  const words = button.text ?? button;
  const press = () => {
    if (once) find("reply-keyboard").replaceChildren();
    sendText(words);
  };
  return make("button", { className: ["key", button.style].filter(Boolean).join(" "), type: "button", text: words, on: { click: press } });
}

// The list of commands: all of them from the button, the fitting ones while a command is being typed.
let suggested = -1;

function suggest({ all = false } = {}) {
  const typed = /^\/(\w*)$/.exec(find("text").value);
  const box = find("suggestions");
  const start = all ? "" : typed?.[1].toLowerCase();
  const matches = all || typed ? bot.commands.filter(({ command }) => command.startsWith(start)) : [];
  suggested = typed && matches.length ? 0 : -1;
  const options = matches.map(({ command, description }, index) =>
    make(
      "div",
      { className: "suggestion", role: "option", id: `suggestion-${index}`, data: { command }, on: { click: () => choose(command), pointerdown: (event) => event.preventDefault() } },
      make("strong", { text: `/${command}` }),
      make("span", { text: description }),
    ),
  );
  box.replaceChildren(...options);
  if (all && !matches.length) box.append(make("div", { className: "suggestion", role: "option", "aria-disabled": "true" }, make("span", { text: "The bot has not named any commands yet." })));
  box.hidden = !box.firstChild;
  find("commands-button").setAttribute("aria-expanded", String(!box.hidden));
  markSuggestion();
}

function markSuggestion() {
  const options = [...find("suggestions").children];
  options.forEach((option, index) => option.setAttribute("aria-selected", String(index === suggested)));
  options[suggested]?.scrollIntoView({ block: "nearest" });
  if (suggested >= 0) find("text").setAttribute("aria-activedescendant", `suggestion-${suggested}`);
  else find("text").removeAttribute("aria-activedescendant");
}

export function closeSuggestions() {
  find("suggestions").hidden = true;
  suggested = -1;
  find("commands-button").setAttribute("aria-expanded", "false");
  find("text").removeAttribute("aria-activedescendant");
}

function choose(command) {
  setText("");
  closeSuggestions();
  sendText(`/${command}`);
  find("text").focus();
}

export function setUpComposer() {
  const text = find("text");
  onChange(showComposer);
  text.addEventListener("input", growText);
  text.addEventListener("keydown", typingKeys);
  text.addEventListener("blur", closeSuggestions);
  find("composer").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  find("commands-button").addEventListener("pointerdown", (event) => event.preventDefault());
  find("commands-button").addEventListener("click", async () => {
    if (!find("suggestions").hidden) return closeSuggestions();
    const fresh = refreshBot();
    if (!bot.commands.length) await fresh;
    text.focus();
    suggest({ all: true });
  });
  find("reply-cancel").addEventListener("click", () => {
    endReply();
    text.focus();
  });
  find("start-button").addEventListener("click", () => sendText("/start"));
}
