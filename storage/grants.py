"""What is given and what ends: monthly tokens, rollover, an admin's word. The rules are the SQL of 0008_grants."""

from __future__ import annotations

import uuid
from datetime import datetime

from pydantic import BaseModel

from storage.database import Transaction


async def drip_due(transaction: Transaction, *, amount: int, cycles: int, limit: int) -> int:
    """Give their monthly tokens to up to `limit` people who are due; how many got them (service only).

    What is unused ends `cycles` periods of 28 days after its own.
    """
    return int(await transaction.value("select viva.drip_due($1, $2, $3)", amount, cycles, limit))


async def expire(transaction: Transaction, *, limit: int) -> int:
    """End what is left of grants whose time is over, of up to `limit` people; how many ended (service only)."""
    return int(await transaction.value("select viva.expire_grants($1)", limit))


class Adjusted(BaseModel):
    """Whether an admin's grant or deduction was made; `free` tokens were there before it."""

    done: bool
    free: int


async def adjust(transaction: Transaction, *, user_id: uuid.UUID, amount: int, reference: str, reason: str) -> Adjusted:
    """Give tokens, or take them where `amount` is below zero, once per reference (service only).

    More than is free is never taken: then nothing happens, and `done` is False.
    """
    answer = await transaction.one(
        Adjusted, "select done, free from viva.adjust($1, $2, $3, $4)", user_id, amount, reference, reason
    )
    assert answer is not None
    return answer


async def find_person(transaction: Transaction, *, telegram_id: int) -> uuid.UUID | None:
    """Which user has this Telegram id, if any (service only)."""
    return await transaction.value(  # type: ignore[no-any-return]
        "select user_id from viva.telegram_accounts where telegram_id = $1", telegram_id
    )


class Outlook(BaseModel):
    """What comes and what goes: the moment of the next monthly tokens, and the use of the last 30 days.

    `days` of them the person was here, rounded up, at least 1.
    """

    drip_at: datetime
    used: int
    days: int


async def outlook(transaction: Transaction) -> Outlook | None:
    """The outlook of the person who is acting."""
    return await transaction.one(
        Outlook,
        """
        select w.drip_at,
               coalesce((select sum(t.tokens_used) from token_usage t
                          where t.created_at > now() - interval '30 days'), 0) as used,
               greatest(1, least(30, ceil(extract(epoch from now() - w.created_at) / 86400)))::integer as days
          from viva.wallets w
        """,
    )


class Ending(BaseModel):
    """The tokens that end next, and when."""

    tokens: int
    expires_at: datetime


async def ending(transaction: Transaction) -> Ending | None:
    """Which of the person's tokens end next if they are not used; None where none ever do."""
    return await transaction.one(
        Ending,
        """
        select sum(left_tokens) as tokens, expires_at from viva.grants
         where left_tokens > 0 and expires_at > now() group by expires_at order by expires_at limit 1
        """,
    )


async def low(transaction: Transaction) -> int | None:
    """The warning the person is due: 20 or 5 percent left of what they had at their last grant, each told once."""
    return await transaction.value("select viva.warn_if_low()")  # type: ignore[no-any-return]
