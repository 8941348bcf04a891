"""Buying packs of tokens: which payments are taken, and how prices read."""

from __future__ import annotations

import uuid

from prompts.packs import Pack
from storage.packs import Order

CURRENCY = "XTR"
"""Telegram Stars, the only way to sell digital goods in Telegram."""

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


def order_of(payload: str) -> uuid.UUID | None:
    """The order that an invoice's payload names, None where it names none."""
    try:
        return uuid.UUID(payload)
    except ValueError:
        return None


def objection(order: Order | None, *, amount: int, currency: str) -> str | None:
    """Why a payment must not go through, as the key of a reply; None when all is well.

    `order` is the payer's own: somebody else's is not there for them.
    """
    if order is None:
        return "checkout_unknown"
    if order.state != "open":
        return "checkout_paid"
    if currency != CURRENCY or amount != order.stars:
        return "checkout_price"
    return None
