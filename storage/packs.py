"""Orders of packs, and the payments for them. The rules are the SQL functions of 0009_packs."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction

PaymentState = Literal["paid", "refunding", "refunded"]


class Order(BaseModel):
    """A pack that the person asked an invoice for: so many `tokens` for so many `stars`, once or `monthly`."""

    id: uuid.UUID
    pack_id: str
    tokens: int
    stars: int
    state: Literal["open", "paid", "refunded"]
    monthly: bool


class Payment(BaseModel):
    """What the person paid, and the tokens that were credited for it."""

    id: uuid.UUID
    telegram_payment_charge_id: str
    stars: int
    tokens: int
    state: PaymentState
    created_at: datetime


class Credit(BaseModel):
    """What became of a payment: credited, known already, or a misfit that is to be given back."""

    outcome: Literal["credited", "known", "misfit"]
    payment_id: uuid.UUID
    tokens: int
    balance: int


class RefundBegun(BaseModel):
    """What became of asking for a refund: `tokens` of the payment, bought and `unspent` ones before it."""

    outcome: Literal["begun", "spent", "refunding", "refunded", "unknown"]
    tokens: int
    unspent: int


class RefundTaken(BaseModel):
    """What became of a refund that Telegram reported; `taken` tokens left the balance now."""

    outcome: Literal["ended", "taken", "known", "unknown"]
    taken: int
    balance: int | None


class Booked(BaseModel):
    """A payment as it stands in the books, whoever's it was."""

    telegram_payment_charge_id: str
    stars: int
    state: PaymentState
    created_at: datetime


async def order_pack(
    transaction: Transaction, *, user_id: uuid.UUID, pack_id: str, tokens: int, stars: int, monthly: bool = False
) -> uuid.UUID:
    """The id of an open order; asked twice within a minute it is the same one (service only)."""
    return await transaction.value(  # type: ignore[no-any-return]
        "select viva.order_pack($1, $2, $3, $4, $5)", user_id, pack_id, tokens, stars, monthly
    )


async def order(transaction: Transaction, order_id: uuid.UUID) -> Order | None:
    """An order of the person who is acting."""
    return await transaction.one(
        Order, "select id, pack_id, tokens, stars, state, monthly from viva.orders where id = $1", order_id
    )


async def payment(transaction: Transaction, payment_id: uuid.UUID) -> Payment | None:
    """A payment of the person who is acting."""
    return await transaction.one(
        Payment,
        """
        select id, telegram_payment_charge_id, stars, tokens, state, created_at
          from viva.payments where id = $1
        """,
        payment_id,
    )


async def payments(transaction: Transaction, *, limit: int) -> list[Payment]:
    """The person's latest payments, newest first."""
    return await transaction.many(
        Payment,
        """
        select id, telegram_payment_charge_id, stars, tokens, state, created_at
          from viva.payments order by created_at desc, id limit $1
        """,
        limit,
    )


async def returnable(transaction: Transaction) -> int:
    """How many tokens the person could give back now: bought, unspent, not promised to a call under way."""
    return int(await transaction.value("select coalesce(viva.returnable(auth.uid()), 0)"))


async def credit_payment(
    transaction: Transaction, *, user_id: uuid.UUID, order_id: uuid.UUID | None, charge_id: str, stars: int
) -> Credit:
    """Record a payment and credit its order's tokens, once per charge id (service only)."""
    answer = await transaction.one(
        Credit,
        "select outcome, payment_id, tokens, balance from viva.credit_payment($1, $2, $3, $4)",
        user_id,
        order_id,
        charge_id,
        stars,
    )
    assert answer is not None
    return answer


async def begin_refund(transaction: Transaction, *, user_id: uuid.UUID, payment_id: uuid.UUID) -> RefundBegun:
    """Take a payment's tokens back, if as many bought ones are unspent; the Stars come after (service only)."""
    answer = await transaction.one(
        RefundBegun, "select outcome, tokens, unspent from viva.begin_refund($1, $2)", user_id, payment_id
    )
    assert answer is not None
    return answer


async def end_refund(transaction: Transaction, payment_id: uuid.UUID) -> bool:
    """Mark the Stars returned; False when that was done already (service only)."""
    return bool(await transaction.value("select viva.end_refund($1)", payment_id))


async def undo_refund(transaction: Transaction, payment_id: uuid.UUID) -> bool:
    """Give the tokens back after Telegram refused; False when no refund was under way (service only)."""
    return bool(await transaction.value("select viva.undo_refund($1)", payment_id))


async def take_refund(
    transaction: Transaction, *, user_id: uuid.UUID | None, charge_id: str, stars: int
) -> RefundTaken:
    """Book a refund that Telegram reports, taking what can be taken of its tokens (service only)."""
    answer = await transaction.one(
        RefundTaken, "select outcome, taken, balance from viva.take_refund($1, $2, $3)", user_id, charge_id, stars
    )
    assert answer is not None
    return answer


async def booked(transaction: Transaction) -> list[Booked]:
    """Every payment in the books, oldest first (service only)."""
    return await transaction.many(
        Booked,
        "select telegram_payment_charge_id, stars, state, created_at from viva.payments order by created_at",
    )
