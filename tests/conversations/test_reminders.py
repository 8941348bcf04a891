"""Reminders of small steps: only when set, by the person's own clock, once a due time, off with one tap."""

from __future__ import annotations

import asyncio
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.engine.schedule import Schedule
from bot.services import reminders as rules
from storage.database import Database
from tests.conftest import DatabaseUrls
from tests.conversations.test_blueprint import with_steps
from tests.world import Someone, Viva

SENT = "A small step you chose"


def daytime() -> str:
    """A time zone in which it is about noon now: what comes then is never in quiet hours."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


def night() -> str:
    """A time zone in which it is about three in the morning now."""
    ahead = (3 - datetime.now(UTC).hour + 12) % 24 - 12
    return f"Etc/GMT{-ahead:+d}" if ahead else "UTC"


async def reminders(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    """The person's reminders as they are stored."""
    return await viva.rows(person, "select * from viva.reminders order by created_at")


async def due(viva: Viva, person: Someone, *, ago: timedelta = timedelta(minutes=1)) -> None:
    """Let the time of the person's reminders that are on have come so long ago."""
    async with viva.database.as_user(await person.user_id()).transaction() as db:
        await db.execute("update viva.reminders set next_at = now() - $1::interval where state = 'on'", ago)


async def tick(viva: Viva) -> None:
    """Let another tick come, and see it through."""
    assert viva.app is not None
    async with viva.database.as_service().transaction() as db:
        await db.execute("delete from viva.work where name = 'tick.reminders' and state = 'done'")
    viva.app.schedule._put_in.pop("reminders", None)
    await viva.app.schedule.look(datetime.now(UTC))
    await viva.quiet()


def sent(person: Someone) -> int:
    """How many reminders came."""
    return sum(SENT in text for text in person.messages)


async def with_reminder(viva: Viva, person: Someone) -> None:
    """Have a reminder of the first step, set."""
    await with_steps(viva, person)
    await person.tap("1")
    await person.tap("Remind me")
    await person.tap("Set the reminder")


async def test_a_reminder_is_set_by_buttons_comes_once_a_time_and_ends_with_one_tap(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=daytime())
    await with_steps(viva, ada)
    await ada.tap("1")
    screen = await ada.tap("Remind me")
    assert "It is not set yet: every day at 9:00" in screen.text
    await ada.tap("Mon")
    await ada.tap("Sat")
    await ada.tap("18")
    screen = await ada.tap("Sun")
    assert "Tue, Wed, Thu and Fri at 18:00" in screen.text and "✓ 18" in screen.buttons
    assert [row["state"] for row in await reminders(viva, ada)] == ["off"]
    await tick(viva)
    assert sent(ada) == 0
    await ada.tap("Set the reminder")
    await ada.send("/reminders")
    assert "Tue, Wed, Thu and Fri at 18:00" in ada.screen.text

    (row,) = await reminders(viva, ada)
    assert row["state"] == "on" and row["next_at"] > datetime.now(UTC)
    await tick(viva)
    assert sent(ada) == 0
    await due(viva, ada)
    await viva.restart()
    await tick(viva)
    await tick(viva)
    assert sent(ada) == 1
    (row,) = await reminders(viva, ada)
    assert row["next_at"] > datetime.now(UTC) and row["sent_at"] is not None
    screen = ada.screen
    assert SENT in screen.text and screen.buttons == ["Done", "No more reminders of this", "All reminders"]

    eve = await viva.onboarded("Eve")
    await eve.tap_data(screen.data("No more"))
    assert [row["state"] for row in await reminders(viva, ada)] == ["on"] and await reminders(viva, eve) == []
    await ada.tap("No more reminders of this")
    await due(viva, ada)
    await tick(viva)
    assert sent(ada) == 0 and "Turned off" in ada.screen.text, "the reminder gave way to the answer"
    assert [row["state"] for row in await reminders(viva, ada)] == ["off"]

    await ada.tap("Turn it on again")
    await ada.tap("All reminders")
    await ada.tap("1")
    await ada.tap("Only once")
    await due(viva, ada)
    await tick(viva)
    await tick(viva)
    assert sent(ada) == 1 and [row["state"] for row in await reminders(viva, ada)] == ["ended"]
    unasked = await viva.service_rows("select 1 from viva.outbox where unasked and state = 'sent'")
    assert len(unasked) > 0, "a reminder lets pass what somebody waits for"
    await ada.tap("Done")
    await due(viva, ada)
    await tick(viva)
    assert await viva.rows(ada, "select state from viva.blueprint_steps where state = 'done'") == [{"state": "done"}]
    await ada.send("/reminders")
    assert "There are no reminders" in ada.screen.text
    assert await viva.service_rows("select * from viva.work where state = 'parked'") == []


async def test_whoever_writes_or_taps_is_reminded_again_though_telegram_once_said_that_nobody_was_there(
    viva: Viva,
) -> None:
    ada = await viva.onboarded(time_zone=daytime())
    await with_reminder(viva, ada)
    for number, come_back in enumerate((lambda: ada.tap_data("home"), lambda: ada.send("I am still here.")), start=1):
        viva.telegram.fail_next("sendMessage", 403, "Forbidden: user is deactivated")
        await ada.send("/help")
        await due(viva, ada)
        await tick(viva)
        assert sent(ada) == number - 1
        await come_back()
        await due(viva, ada)
        await tick(viva)
        assert sent(ada) == number


async def test_whatever_number_of_processes_tick_and_die_a_due_time_is_put_in_once(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=daytime())
    await with_reminder(viva, ada)
    await due(viva, ada)
    await viva.stop()
    now = datetime.now(UTC)
    others = [await Database.connect(str(viva.settings.database_url), pool_size=2) for _ in range(3)]
    try:
        # Each process would put in the tick; and a tick that was cut off after its commit is worked again.
        await asyncio.gather(*(Schedule(each, wake=lambda: None).look(now) for each in others))
        await asyncio.gather(*(rules.put_in(each, None) for each in others for _ in range(2)))  # type: ignore[arg-type]
    finally:
        for each in others:
            await each.close()
    jobs = await viva.service_rows("select key from viva.work where name = 'reminders.send'")
    assert len(jobs) == 1
    await viva.start()
    await viva.stop(kill=True)
    await viva.start()
    await viva.quiet()
    assert sent(ada) == 1
    assert len(await viva.service_rows("select key from viva.work where name = 'reminders.send'")) == 1


async def test_nothing_is_sent_at_night_too_late_to_who_blocked_or_took_back_their_yes(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=daytime())
    await with_reminder(viva, ada)

    async def account(change: str) -> None:
        async with viva.database.as_user(await ada.user_id()).transaction() as db:
            await db.execute(f"update viva.telegram_accounts set {change}")

    for change, back in (
        ("blocked_at = now()", "blocked_at = null"),
        ("consented_at = null, consent_version = null", "consented_at = now(), consent_version = 1"),
        (f"time_zone = '{night()}'", f"time_zone = '{daytime()}'"),
    ):
        await account(change)
        await due(viva, ada)
        await tick(viva)
        (row,) = await reminders(viva, ada)
        assert sent(ada) == 0 and row["next_at"] > datetime.now(UTC), change
        await account(back)
    await due(viva, ada, ago=timedelta(hours=4))
    await tick(viva)
    assert sent(ada) == 0
    await due(viva, ada)
    await account("consented_at = null, consent_version = null")
    await ada.send("/reminders")
    assert "none of these is sent" in ada.screen.text
    await account("consented_at = now(), consent_version = 1")
    await due(viva, ada)
    await tick(viva)
    assert sent(ada) == 1


async def test_the_time_zone_is_asked_for_when_it_matters_and_the_hour_follows_the_person(viva: Viva) -> None:
    ada = await viva.onboarded(time_zone=None)
    await with_reminder(viva, ada)
    assert "where are you" in ada.screen.text
    (row,) = await reminders(viva, ada)
    assert row["state"] == "on" and row["next_at"].astimezone(UTC).hour == 9
    await ada.tap("Not now")
    assert "every day at 9:00" in ada.screen.text
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        await db.execute("update viva.telegram_accounts set time_zone = 'Asia/Kolkata'")
    (row,) = await reminders(viva, ada)
    assert (row["next_at"].astimezone(UTC).hour, row["next_at"].minute) == (3, 30)


@pytest.mark.parametrize(
    ("days", "hour", "zone", "after", "expected"),
    [
        ([1, 2, 3, 4, 5, 6, 7], 9, "Europe/Berlin", "2026-03-28T09:00:00+00:00", "2026-03-29T07:00:00+00:00"),
        ([1, 2, 3, 4, 5, 6, 7], 9, "Europe/Berlin", "2026-10-24T08:00:00+00:00", "2026-10-25T08:00:00+00:00"),
        ([7], 9, "America/New_York", "2026-11-01T14:00:00+00:00", "2026-11-08T14:00:00+00:00"),
        ([7], 9, "America/New_York", "2026-10-26T00:00:00+00:00", "2026-11-01T14:00:00+00:00"),
        ([1], 7, "Pacific/Auckland", "2026-09-26T12:00:00+00:00", "2026-09-27T18:00:00+00:00"),
        ([1], 21, "Asia/Kathmandu", "2026-11-23T15:14:59+00:00", "2026-11-23T15:15:00+00:00"),
        ([1], 21, "Asia/Kathmandu", "2026-11-23T15:15:00+00:00", "2026-11-30T15:15:00+00:00"),
        ([3], 9, None, "2026-11-25T08:59:00+00:00", "2026-11-25T09:00:00+00:00"),
    ],
)
async def test_the_hour_stays_the_person_s_hour_when_clocks_change(
    database_urls: DatabaseUrls, days: list[int], hour: int, zone: str | None, after: str, expected: str
) -> None:
    database = await Database.connect(database_urls.service, pool_size=1)
    async with database.as_service().transaction() as db:
        found = await db.value(
            "select viva.next_reminder($1, $2, $3, $4)", days, hour, zone, datetime.fromisoformat(after)
        )
    await database.close()
    assert found == datetime.fromisoformat(expected)


async def test_a_year_of_days_brings_each_day_once(database_urls: DatabaseUrls) -> None:
    database = await Database.connect(database_urls.service, pool_size=1)
    async with database.as_service().transaction() as db:
        for zone in ("Europe/Lisbon", "Africa/Cairo", "Australia/Lord_Howe", "America/Asuncion"):
            moments = await db.value(
                """
                with recursive each as (
                  select viva.next_reminder('{1,2,3,4,5,6,7}', 9, $1, '2026-01-01T00:00:00Z') as moment
                  union all
                  select viva.next_reminder('{1,2,3,4,5,6,7}', 9, $1, moment) from each where moment < '2027-01-01'
                ) select array_agg(moment at time zone $1) from each
                """,
                zone,
            )
            assert {moment.hour for moment in moments} == {9}
            apart = {later.date() - earlier.date() for earlier, later in itertools.pairwise(moments)}
            assert apart == {timedelta(days=1)}
    await database.close()
