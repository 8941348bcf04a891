"""Monthly packs: subscriptions in Telegram Stars. The rules are the SQL functions of 0013_topup."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction


class Topup(BaseModel):
    """A subscription to a pack; `telegram_payment_charge_id` is its first payment, by which Telegram knows it.

    `ended_here` where our button canceled it, so that the person can turn it on again only once we allow it.
    """

    order_id: uuid.UUID
    telegram_payment_charge_id: str
    pack_id: str
    tokens: int
    stars: int
    state: Literal["active", "canceled", "failed", "ended"]
    ended_here: bool
    paid_until: datetime


async def topups(transaction: Transaction) -> list[Topup]:
    """The subscriptions of the person who is acting that are not over, those that renew first."""
    return await transaction.many(
        Topup,
        """
        select t.order_id, t.telegram_payment_charge_id, o.pack_id, o.tokens, o.stars, t.state, t.ended_here,
               t.paid_until
          from viva.topups t join viva.orders o on o.id = t.order_id
         where t.state <> 'ended'
         order by t.state = 'active' desc, t.created_at desc
        """,
    )


async def note(
    transaction: Transaction, *, user_id: uuid.UUID, order_id: uuid.UUID, charge_id: str, first: bool, until: datetime
) -> None:
    """Keep a payment of a subscription: it runs until then; told again it changes nothing (service only)."""
    await transaction.execute("select viva.note_topup($1, $2, $3, $4, $5)", user_id, order_id, charge_id, first, until)


async def change(
    transaction: Transaction,
    *,
    user_id: uuid.UUID,
    order_id: uuid.UUID,
    state: Literal["active", "canceled", "failed"],
    ended_here: bool = False,
) -> bool:
    """How a subscription stands now; False where that is nothing new (service only)."""
    return bool(
        await transaction.value("select viva.change_topup($1, $2, $3, $4)", user_id, order_id, state, ended_here)
    )


async def lapse(transaction: Transaction, *, limit: int) -> int:
    """End up to `limit` subscriptions for which nothing came for days after their time; how many (service only)."""
    return int(await transaction.value("select viva.lapse_topups($1)", limit))
