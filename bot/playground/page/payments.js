// Paying an invoice with test Stars: a small sheet, and what the bot says to it.

import { post, problemWords } from "./server.js";
import { chatPath } from "./state.js";
import { find, toast } from "./tools.js";

const stars = (amount) => `${amount.toLocaleString("en-GB")} test ${amount === 1 ? "Star" : "Stars"}`;

let paying = null;

export function pay(message) {
  const { title, description, total_amount: amount } = message.invoice;
  paying = { path: chatPath("payments"), messageId: message.message_id };
  find("pay-item").textContent = title;
  find("pay-description").textContent = description;
  find("pay-amount").textContent = stars(amount);
  find("pay-problem").textContent = "";
  find("pay-yes").textContent = `Pay ${stars(amount)}`;
  setBusy(false);
  find("pay-dialog").showModal();
}

function setBusy(busy) {
  find("pay-yes").disabled = busy;
  find("pay-yes").toggleAttribute("aria-busy", busy);
}

async function settle(event) {
  event.preventDefault();
  const here = paying;
  setBusy(true);
  find("pay-problem").textContent = "";
  try {
    await post(here.path, { message_id: here.messageId });
    if (here !== paying) return;
    find("pay-dialog").close();
    toast("Paid with test Stars.");
  } catch (problem) {
    if (here !== paying) return;
    find("pay-problem").textContent = wordsOf(problem);
    setBusy(false);
  }
}

function wordsOf(problem) {
  const words = problemWords(problem).replace(/^Bad Request: /, "");
  return words === "BOT_PRECHECKOUT_TIMEOUT" ? "The bot did not answer in ten seconds, so nothing was paid." : words;
}

export function setUpPayments() {
  find("pay-form").addEventListener("submit", settle);
  find("pay-cancel").addEventListener("click", () => find("pay-dialog").close());
  find("pay-dialog").addEventListener("close", () => {
    paying = null;
  });
}
