"""Buying packs of tokens: which payments are taken, and how prices read."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from prompts.packs import Pack
from storage.packs import Order
from storage.topup import Topup

CURRENCY = "XTR"
"""Telegram Stars, the only way to sell digital goods in Telegram."""

SUBSCRIPTION_SECONDS = 2_592_000
"""The period of a subscription in Stars: 30 days, the only one Telegram has."""

START_PARAMETER = "buy"
"""With it a forwarded invoice leads to VIVA, instead of letting somebody pay for another person's order."""


def invoice(pack: Pack, order_id: uuid.UUID) -> dict[str, object]:
    """The sendInvoice payload of an order: one price in Stars and no provider, as Telegram asks."""
    return {
        "title": pack.title,
        "description": pack.description,
        "payload": str(order_id),
        "provider_token": "",
        "currency": CURRENCY,
        "prices": [{"label": pack.title, "amount": pack.stars}],
        "start_parameter": START_PARAMETER,
    }


def subscription(pack: Pack, order_id: uuid.UUID) -> dict[str, object]:
    """The createInvoiceLink payload of a monthly order; Telegram takes subscriptions by a link only."""
    once = invoice(pack, order_id)
    del once["start_parameter"]
    return once | {"subscription_period": SUBSCRIPTION_SECONDS}


def order_of(payload: str) -> uuid.UUID | None:
    """The order that an invoice's payload names, None where it names none."""
    try:
        return uuid.UUID(payload)
    except ValueError:
        return None


def objection(order: Order | None, *, amount: int, currency: str, topups: Sequence[Topup] = ()) -> str | None:
    """Why a payment must not go through, as the key of a reply; None when all is well.

    `order` is the payer's own: somebody else's is not there for them. `topups` are the subscriptions of the payer that
    are not over; one at a time is enough, but whose time has run out may be paid on.
    """
    if order is None:
        return "checkout_unknown"
    running = {topup.order_id for topup in topups if topup.paid_until > datetime.now(UTC)}
    renewing = {topup.order_id for topup in topups if topup.state == "active"}
    if order.monthly and renewing - {order.id}:
        return "checkout_monthly"
    if order.state != "open" and (not order.monthly or order.id in running):
        return "checkout_paid"
    if currency != CURRENCY or amount != order.stars:
        return "checkout_price"
    return None
