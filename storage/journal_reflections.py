"""The weekly look back on the journal: who wants it, who is due, what was written."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime

from pydantic import BaseModel

from storage.database import Transaction


class Quote(BaseModel):
    """Words of the person's own, as they stand in an entry."""

    entry_id: uuid.UUID
    date: date
    words: str


class Reflection(BaseModel):
    """What VIVA wrote about the week that begins on a Monday: what was put in by six in the evening of its Sunday."""

    id: uuid.UUID
    week_start: date
    text: str
    quotes: list[Quote]


class Due(BaseModel):
    """Somebody whose week is to be looked back on."""

    telegram_id: int
    chat_id: int
    week_start: date


COLUMNS = "id, week_start, text, quotes"


async def due(transaction: Transaction, moment: datetime, *, after: int | None, limit: int) -> list[Due]:
    """Whose week is to be looked back on at the moment, by Telegram id, those after this one (service only)."""
    return await transaction.many(
        Due, "select telegram_id, chat_id, week_start from viva.reflections_due($1, $2, $3)", moment, after, limit
    )


async def is_wanted(transaction: Transaction) -> bool:
    """Whether the person asked for it."""
    return bool(await transaction.value("select journal_weekly_since is not null from viva.telegram_accounts"))


async def may_be_sent(transaction: Transaction) -> bool:
    """Whether the person wants it, has said yes to AI, and has not blocked VIVA."""
    return bool(
        await transaction.value(
            """
            select journal_weekly_since is not null and blocked_at is null and consented_at is not null
              from viva.telegram_accounts
            """
        )
    )


async def want(transaction: Transaction, yes: bool) -> None:
    """Note whether the person wants it."""
    await transaction.execute(
        """
        update viva.telegram_accounts
           set journal_weekly_since = case when $1 then coalesce(journal_weekly_since, now()) end
        """,
        yes,
    )


async def add(transaction: Transaction, *, week_start: date, text: str, quotes: Sequence[Quote]) -> None:
    """Keep what was written about a week, once."""
    await transaction.execute(
        """
        insert into viva.journal_reflections (week_start, text, quotes) values ($1, $2, $3::jsonb)
        on conflict (user_id, week_start) do nothing
        """,
        week_start,
        text,
        [quote.model_dump(mode="json") for quote in quotes],
    )


async def of_week(transaction: Transaction, week_start: date) -> Reflection | None:
    """What was written about the week."""
    return await transaction.one(
        Reflection, f"select {COLUMNS} from viva.journal_reflections where week_start = $1", week_start
    )


async def latest(transaction: Transaction, *, limit: int) -> list[Reflection]:
    """The newest weeks first."""
    return await transaction.many(
        Reflection, f"select {COLUMNS} from viva.journal_reflections order by week_start desc limit $1", limit
    )
