"""Reminders of small steps: when they come, and putting each in once."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction


class Reminder(BaseModel):
    """When a person wants to be reminded of a step. `days` are ISO days of the week, `hour` is by their own clock."""

    id: uuid.UUID
    step_id: uuid.UUID
    category: str
    title: str
    description: str
    days: list[int]
    hour: int
    once: bool
    state: Literal["off", "on", "ended"]


class Due(BaseModel):
    """A reminder whose time has come; `fits` is whether it may be sent now."""

    id: uuid.UUID
    due_at: datetime
    chat_id: int
    telegram_id: int
    fits: bool


REMINDER = """
    select r.id, r.step_id, b.category, s.title, s.description, r.days, r.hour, r.once, r.state
      from viva.reminders r
      join viva.blueprint_steps s on s.id = r.step_id
      join viva.blueprints b on b.id = s.blueprint_id"""

LATEST_HOURS = 3
"""So late a reminder is still sent; what comes later, after a long standstill, would only be odd."""


async def of_step(transaction: Transaction, step_id: uuid.UUID) -> Reminder:
    """The reminder of a step; made, still off, where there is none. The step must be the person's."""
    await transaction.execute(
        "insert into viva.reminders (step_id) values ($1) on conflict (step_id) do nothing", step_id
    )
    found = await transaction.one(Reminder, f"{REMINDER} where r.step_id = $1", step_id)
    assert found is not None
    return found


async def every(transaction: Transaction, *, limit: int) -> list[Reminder]:
    """The reminders of open steps, those that are on first."""
    return await transaction.many(
        Reminder,
        f"{REMINDER} where s.state = 'open' order by r.state = 'on' desc, r.created_at desc, r.id limit $1",
        limit,
    )


async def change(transaction: Transaction, reminder: Reminder) -> None:
    """Keep days, hour and whether it comes once; one that is on comes by these from now on."""
    await transaction.execute(
        """
        update viva.reminders
           set days = $2, hour = $3, once = $4,
               next_at = case when state = 'on' then
                 viva.next_reminder($2, $3, (select time_zone from viva.telegram_accounts), now()) end
         where id = $1
        """,
        reminder.id,
        reminder.days,
        reminder.hour,
        reminder.once,
    )


async def turn(transaction: Transaction, reminder_id: uuid.UUID, *, on: bool) -> None:
    """Turn a reminder on or off. Turned on again while it is on, it stays as it is."""
    await transaction.execute(
        """
        update viva.reminders
           set state = case when $2 then 'on' else 'off' end,
               next_at = case when $2 then
                 viva.next_reminder(days, hour, (select time_zone from viva.telegram_accounts), now()) end
         where id = $1 and (state = 'on') is distinct from $2
        """,
        reminder_id,
        on,
    )


async def advance(transaction: Transaction, *, limit: int) -> list[Due]:
    """Up to `limit` reminders whose time has come, each moved on to its next time in this transaction (service only).

    Nothing fits for who has blocked VIVA or took back their yes, in quiet hours, or when it would be far too late.
    """
    return await transaction.many(
        Due,
        """
        with due as (
          select r.id, r.next_at, r.once, a.chat_id, a.telegram_id, a.time_zone,
                 a.blocked_at is null and a.consented_at is not null
                 and r.next_at > now() - $2 * interval '1 hour'
                 and extract(hour from now() at time zone coalesce(a.time_zone, 'UTC')) between 7 and 21 as fits
            from viva.reminders r
            join viva.telegram_accounts a on a.user_id = r.user_id
           where r.state = 'on' and r.next_at <= now()
           order by r.next_at limit $1 for update of r skip locked
        ), moved as (
          update viva.reminders as r
             set state = case when due.once and due.fits then 'ended' else 'on' end,
                 next_at = case when not (due.once and due.fits) then
                   viva.next_reminder(r.days, r.hour, due.time_zone, now()) end,
                 sent_at = case when due.fits then now() else r.sent_at end
            from due
           where r.id = due.id
        )
        select id, next_at as due_at, chat_id, telegram_id, fits from due order by next_at, id
        """,
        limit,
        LATEST_HOURS,
    )


async def to_send(transaction: Transaction, reminder_id: uuid.UUID) -> Reminder | None:
    """The reminder, where it is still wanted and may be sent now."""
    return await transaction.one(
        Reminder,
        f"""
        {REMINDER}
          join viva.telegram_accounts a on a.user_id = r.user_id
         where r.id = $1 and r.state <> 'off' and s.state = 'open'
           and a.blocked_at is null and a.consented_at is not null
           and extract(hour from now() at time zone coalesce(a.time_zone, 'UTC')) between 7 and 21
        """,
        reminder_id,
    )
