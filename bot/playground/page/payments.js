// Paying an invoice with test Stars: a small sheet, and what the bot says to it.

import { call, post, problemWords } from "./server.js";
import { chatPath } from "./state.js";
import { dayOf, find, make, toast } from "./tools.js";

const LINK = "https://t.me/$"; // how Telegram's invoice links begin

const stars = (amount) => `${amount.toLocaleString("en-GB")} test ${amount === 1 ? "Star" : "Stars"}`;

let paying = null;

export const paysAt = (address) => address.startsWith(LINK);

export const pay = (message) => ask(message.invoice, { message_id: message.message_id });

export async function payLink(address) {
  try {
    const { invoice } = await call(`${chatPath("invoice")}?link=${encodeURIComponent(address)}`);
    ask(invoice, { link: address });
  } catch (problem) {
    toast(wordsOf(problem));
  }
}

function ask({ title, description, total_amount: amount, period }, what) {
  paying = { path: chatPath("payments"), what };
  find("pay-item").textContent = title;
  find("pay-description").textContent = description;
  find("pay-amount").textContent = period ? `${stars(amount)} every ${period / 86_400} days` : stars(amount);
  find("pay-problem").textContent = "";
  find("pay-yes").textContent = `${period ? "Subscribe for" : "Pay"} ${stars(amount)}`;
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
    await post(here.path, here.what);
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

// Subscriptions: what a person does with them in Telegram's settings, and what time does.

export async function showSubscriptions() {
  const path = chatPath("subscriptions");
  const { subscriptions } = await call(path);
  const change = (one, verb) => async () => {
    try {
      await post(path, { id: one.id, do: verb });
      await showSubscriptions();
    } catch (problem) {
      toast(wordsOf(problem));
    }
  };
  const key = (one, verb, words) => make("button", { className: "quiet", type: "button", text: words, on: { click: change(one, verb) } });
  const lines = subscriptions.map((one) =>
    make(
      "li",
      {},
      make("p", { text: `${stars(one.stars)} every 30 days, ${one.canceled ? "canceled, paid" : "paid"} until ${dayOf(one.until)}` }),
      make(
        "div",
        { className: "dialog-buttons" },
        ...(one.canceled
          ? [!one.bot_canceled && key(one, "resume", "Turn on again")]
          : [key(one, "renew", "Let a month pass"), key(one, "fail", "Let the payment fail"), key(one, "end", "Cancel")]),
      ),
    ),
  );
  find("subscriptions-none").hidden = lines.length > 0;
  find("subscriptions-list").replaceChildren(...lines);
  if (!find("subscriptions-dialog").open) find("subscriptions-dialog").showModal();
}

export function setUpPayments() {
  find("subscriptions-button").addEventListener("click", () => showSubscriptions().catch((problem) => toast(problemWords(problem))));
  find("pay-form").addEventListener("submit", settle);
  find("pay-cancel").addEventListener("click", () => find("pay-dialog").close());
  find("pay-dialog").addEventListener("close", () => {
    paying = null;
  });
}
