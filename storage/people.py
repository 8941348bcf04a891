"""Who a Telegram account is here: identity, language, time zone, consent, what VIVA waits for."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel

from storage.database import Transaction


class Account(BaseModel):
    """A person's Telegram account."""

    telegram_id: int
    user_id: uuid.UUID
    chat_id: int
    first_name: str | None
    language_code: str | None
    time_zone: str | None
    consent_version: int | None
    consented_at: datetime | None
    waiting_for: dict[str, Any] | None
    blocked_at: datetime | None = None

    @property
    def zone(self) -> tzinfo:
        """The person's time zone, UTC where it is not known."""
        try:
            return ZoneInfo(self.time_zone) if self.time_zone else UTC
        except (ZoneInfoNotFoundError, ValueError):
            return UTC


class Zone(BaseModel):
    """A time zone by its IANA name, and how far its clocks are ahead of UTC now."""

    name: str
    offset: timedelta


COLUMNS = """telegram_id, user_id, chat_id, first_name, language_code, time_zone,
             consent_version, consented_at, waiting_for, blocked_at"""


async def arrive(
    transaction: Transaction,
    *,
    telegram_id: int,
    chat_id: int,
    first_name: str,
    language_code: str | None,
    starting_tokens: int,
) -> Account:
    """The account of somebody who wrote; a new person is made whole, with their starting grant (service only)."""
    account = await transaction.one(
        Account,
        f"select {COLUMNS} from viva.arrive($1, $2, $3, $4, $5)",
        telegram_id,
        chat_id,
        first_name,
        language_code,
        starting_tokens,
    )
    assert account is not None
    return account


async def first_grant(transaction: Transaction, digest: bytes) -> bool:
    """Whether starting tokens are due to this keyed hash of a Telegram id: once a year at most (service only)."""
    return bool(await transaction.value("select viva.first_grant($1)", digest))


async def account(transaction: Transaction) -> Account | None:
    """The account of the person who is acting."""
    return await transaction.one(Account, f"select {COLUMNS} from viva.telegram_accounts")


async def consent(transaction: Transaction, *, version: int) -> None:
    """Note that the person agrees, now, to this version of the terms."""
    await transaction.execute(
        """
        update viva.telegram_accounts
           set consent_version = $1, consented_at = now(), consent_declined_at = null
        """,
        version,
    )


async def decline(transaction: Transaction) -> None:
    """Note that the person does not agree, or no longer does."""
    await transaction.execute(
        """
        update viva.telegram_accounts
           set consent_version = null, consented_at = null, consent_declined_at = now()
        """
    )


async def call_me(transaction: Transaction, first_name: str) -> None:
    """What the person wants to be called."""
    await transaction.execute("update viva.telegram_accounts set first_name = $1", first_name)


async def wait_for(transaction: Transaction, what: dict[str, Any] | None) -> None:
    """What the person's next words are for, such as {"kind": "vision", "category": "money"}; None = talk."""
    await transaction.execute("update viva.telegram_accounts set waiting_for = $1::jsonb", what)


async def wait_no_more(transaction: Transaction, what: dict[str, Any], *, then: dict[str, Any] | None = None) -> None:
    """Wait for `then` in place of this, where it is this still: a job must not end what a message began meanwhile."""
    await transaction.execute(
        "update viva.telegram_accounts set waiting_for = $2::jsonb where waiting_for = $1::jsonb", what, then
    )


async def zones(transaction: Transaction) -> list[Zone]:
    """Every time zone the database knows: it is the database that reckons a person's day."""
    return await transaction.many(
        Zone,
        """
        select name, utc_offset as "offset" from pg_timezone_names
         where name like '%/%' and name !~ '^(posix|right|Etc|SystemV|US)/' order by name
        """,
    )


async def live_in(transaction: Transaction, time_zone: str) -> None:
    """The time zone whose clock is the person's: the name of one of `zones`."""
    await transaction.execute("update viva.telegram_accounts set time_zone = $1", time_zone)


async def today(transaction: Transaction) -> date:
    """The person's own day; that of UTC while their time zone is unknown."""
    day = await transaction.value(
        "select (now() at time zone coalesce((select time_zone from viva.telegram_accounts), 'UTC'))::date"
    )
    assert isinstance(day, date)
    return day


async def mark_blocked(transaction: Transaction, chat_id: int) -> None:
    """Note that the person blocked VIVA: nothing unasked is sent from now on (service only)."""
    await transaction.execute(
        "update viva.telegram_accounts set blocked_at = coalesce(blocked_at, now()) where chat_id = $1", chat_id
    )


async def mark_unblocked(transaction: Transaction) -> None:
    """Note that the person is back."""
    await transaction.execute("update viva.telegram_accounts set blocked_at = null where blocked_at is not null")


async def has_answered_consent(transaction: Transaction) -> bool:
    """Whether the person has said yes or no to AI."""
    return bool(
        await transaction.value(
            "select consented_at is not null or consent_declined_at is not null from viva.telegram_accounts"
        )
    )


async def consent_state(transaction: Transaction) -> dict[str, Any]:
    """`consent_version` and `consented_at` as they stand now."""
    now = await account(transaction)
    assert now is not None
    return {"consent_version": now.consent_version, "consented_at": now.consented_at}
