// The head of the page: who the bot is, which model answers, and a notice when the server is away.

import { showTitle } from "./scrolling.js";
import { call } from "./server.js";
import { bot, setBot } from "./state.js";
import { find } from "./tools.js";

export function notice(words) {
  find("notice").textContent = words;
  find("notice").hidden = false;
}

export function noNotice() {
  find("notice").hidden = true;
}

export async function refreshBot() {
  try {
    setBot(await call("/bot"));
  } catch {
    return;
  }
  const standIn = bot.model.startsWith("stand-in");
  find("bot-name").textContent = bot.first_name;
  find("welcome-name").textContent = bot.first_name;
  find("welcome-description").textContent = bot.description;
  const label = find("model-label");
  label.className = standIn ? "stand-in" : "";
  label.textContent = standIn ? "A stand-in answers" : bot.model ? `Answers by ${bot.model}` : "";
  find("stand-in-note").hidden = !standIn;
  find("stand-in-note").textContent =
    "A stand-in answers here: a small program, not a language model. What it says is only for trying things out. Set OPENAI_API_KEY to talk to a real model.";
  showTitle();
}
