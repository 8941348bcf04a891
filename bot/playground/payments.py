"""Invoices and payments in Telegram Stars, checked as Telegram checks them. No Star here is real."""

from __future__ import annotations

from typing import Any

from bot.playground import entities
from bot.playground.chats import Chats, Json, bad_request
from bot.playground.parameters import Parameters

CURRENCY = "XTR"
LONGEST_TITLE = 32
LONGEST_DESCRIPTION = 255
LONGEST_PAYLOAD = 128
LONGEST_START_PARAMETER = 64
MOST_STARS = 100_000
MOST_SUBSCRIPTION_STARS = 10_000
SUBSCRIPTION_SECONDS = 2_592_000
LINK = "https://t.me/$"
"""How the address of an invoice link begins."""


def read_invoice(call: Parameters) -> tuple[Json, str]:
    """The invoice a message shows, and the payload that it does not; raises Refused."""
    title, description, payload = call.text("title"), call.text("description"), call.text("payload")
    if not 1 <= entities.length(title) <= LONGEST_TITLE:
        raise bad_request("INVOICE_TITLE_INVALID")
    if not 1 <= entities.length(description) <= LONGEST_DESCRIPTION:
        raise bad_request("INVOICE_DESCRIPTION_INVALID")
    if not 1 <= len(payload.encode()) <= LONGEST_PAYLOAD:
        raise bad_request("INVOICE_PAYLOAD_INVALID")
    if call.text("currency") != CURRENCY:
        # Money of other kinds needs a payment provider, and the playground has none.
        raise bad_request("PAYMENT_PROVIDER_INVALID" if call.text("provider_token") else "CURRENCY_INVALID")
    if call.text("provider_token"):
        raise bad_request("STARS_INVOICE_INVALID")
    if call.integer("max_tip_amount") or call.boolean("is_flexible"):
        raise bad_request("STARS_INVOICE_INVALID")
    start_parameter = call.text("start_parameter")
    if len(start_parameter) > LONGEST_START_PARAMETER:
        raise bad_request("START_PARAM_INVALID")
    shown = {"title": title, "description": description, "start_parameter": start_parameter, "currency": CURRENCY}
    return {**shown, "total_amount": _price(call.structure("prices"))}, payload


def read_period(call: Parameters, stars: int) -> int | None:
    """The period of a subscription in seconds, None where the invoice is paid once; raises Refused."""
    period = call.integer("subscription_period")
    if not period:
        return None
    if period != SUBSCRIPTION_SECONDS:
        raise bad_request("SUBSCRIPTION_PERIOD_INVALID")
    if stars > MOST_SUBSCRIPTION_STARS:
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    return period


def _price(prices: Any) -> int:
    if not isinstance(prices, list) or not all(isinstance(price, dict) for price in prices):
        raise bad_request("can't parse prices JSON object")
    if len(prices) != 1:
        raise bad_request("STARS_INVOICE_INVALID")
    amount = prices[0].get("amount")
    if not str(prices[0].get("label") or "").strip():
        raise bad_request("PRICE_LABEL_INVALID")
    if not isinstance(amount, int) or isinstance(amount, bool) or not 1 <= amount <= MOST_STARS:
        raise bad_request("CURRENCY_TOTAL_AMOUNT_INVALID")
    return amount


def keyboard(given: Json | None, stars: int) -> Json:
    """The buttons under an invoice: those given, whose first must pay, or one that pays."""
    if given is None:
        return {"inline_keyboard": [[{"text": f"Pay ⭐️{stars}", "pay": True}]]}
    if "pay" not in given["inline_keyboard"][0][0]:
        raise bad_request("REPLY_MARKUP_BUY_EMPTY")
    return given


def read_answer(call: Parameters) -> Json:
    """The bot's answer to a person who is about to pay; raises Refused for a no without a reason."""
    if call.boolean("ok"):
        return {"ok": True}
    reason = call.text("error_message").strip()
    if not reason:
        raise bad_request("ERROR_TEXT_EMPTY")
    return {"ok": False, "error_message": reason}


def told(payment: Json) -> Json:
    """What a service message says of a payment."""
    return {"currency": CURRENCY, "total_amount": payment["stars"], "invoice_payload": payment["payload"]}


def recurring(subscription: Json, *, first: bool) -> Json:
    """What a service message says of a payment of a subscription besides."""
    told = {"subscription_expiration_date": subscription["until"], "is_recurring": True}
    return {**told, "is_first_recurring": True} if first else told


def transactions(chats: Chats) -> list[Json]:
    """Every payment, and every refund under its payment's id, oldest first."""
    every = []
    for charge_id, payment in chats.payments.items():
        kind = {"type": "user", "transaction_type": "invoice_payment", "invoice_payload": payment["payload"]}
        if payment.get("subscription"):
            kind["subscription_period"] = SUBSCRIPTION_SECONDS
        partner = {**kind, "user": chats.person(payment["user"]).as_user()}
        one = {"id": charge_id, "amount": payment["stars"]}
        every.append({**one, "date": payment["date"], "source": partner})
        if payment["refunded"] is not None:
            every.append({**one, "date": payment["refunded"], "receiver": partner})
    return sorted(every, key=lambda transaction: transaction["date"])
