"""Ticks: monthly tokens, the check of the ledger and pruning happen by themselves, once whoever ticks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.engine.schedule import TICKS, Schedule
from bot.services import upkeep
from bot.services.work import Work
from storage.database import Database
from tests.conftest import DatabaseUrls
from tests.engine.crew import Crew, crew_on
from tests.world import Viva, wait_until

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
JOBS = [f"tick.{tick.name}" for tick in TICKS]
HOURLY = sum(tick.every <= timedelta(hours=1) for tick in TICKS)
OFTEN = sum(tick.every < timedelta(hours=1) for tick in TICKS)


@pytest.fixture
async def crew(database_urls: DatabaseUrls) -> AsyncIterator[Crew]:
    """A crew without anybody in it yet."""
    async with crew_on(database_urls) as found:
        yield found


def _clock(database: Database) -> Schedule:
    return Schedule(database, wake=lambda: None)


async def _tick(viva: Viva) -> None:
    """Let every tick come, and see it through."""
    assert viva.app is not None
    assert await viva.app.schedule.look(datetime.now(UTC)) == len(TICKS)
    await viva.quiet()
    assert await viva.service_rows("select name, error from viva.work where state <> 'done'") == []


async def test_a_tick_happens_once_a_period_whatever_number_of_processes_look(crew: Crew) -> None:
    clocks = [_clock(crew.database) for _ in range(4)]

    async def new(moment: datetime) -> int:
        return sum(await asyncio.gather(*(clock.look(moment) for clock in clocks)))

    assert await new(MIDNIGHT) == len(TICKS)
    assert await new(MIDNIGHT + timedelta(minutes=59)) == OFTEN
    assert await new(MIDNIGHT + timedelta(minutes=60)) == HOURLY
    assert await _clock(crew.database).look(MIDNIGHT + timedelta(minutes=60)) == 0, "a process that starts later"
    assert await new(MIDNIGHT + timedelta(days=1)) == len(TICKS)


async def test_a_tick_cut_off_by_kill_is_taken_up_by_another_process(crew: Crew) -> None:
    began: list[str] = []

    async def hang(database: Database, work: Work) -> None:
        began.append("hang")
        await asyncio.sleep(3600)

    async def end(database: Database, work: Work) -> None:
        began.append("end")

    first = await crew.hire()
    first.lanes._service_jobs = {tick: hang for tick in JOBS}
    await _clock(crew.database).look(MIDNIGHT)
    await crew.until(f"select from viva.lanes where claimed_by is not null having count(*) = {len(TICKS)}")
    await wait_until(lambda: len(began) == len(TICKS), "the ticks began")
    second = await crew.hire()
    second.lanes._service_jobs = {tick: end for tick in JOBS}
    await first.die()
    crew.workers.remove(first)
    await crew.done()
    assert began == ["hang"] * len(TICKS) + ["end"] * len(TICKS)


async def test_a_tick_that_fails_is_tried_again_and_the_next_one_is_not_kept_waiting_for_ever(crew: Crew) -> None:
    tries: list[str] = []

    async def fail(database: Database, work: Work) -> None:
        tries.append(work.head.key)
        if work.head.key == first:
            raise RuntimeError("broken")

    worker = await crew.hire()
    worker.lanes._service_jobs = {tick: fail for tick in JOBS}
    grants = TICKS[0]
    first = f"tick:{grants.name}:{grants.period(MIDNIGHT)}"
    clock = _clock(crew.database)
    await clock.look(MIDNIGHT)
    await clock.look(MIDNIGHT + timedelta(hours=1))
    await crew.done(hurry=True)
    assert tries.count(first) == 5
    assert len(tries) == 5 - 1 + len(TICKS) + HOURLY
    assert [row["key"] for row in await crew.rows("select key from viva.work where state = 'parked'")] == [first]


async def test_monthly_tokens_come_and_end_by_themselves(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    ben = await viva.onboarded("Ben")
    user_id = await ada.user_id()
    async with viva.database.as_service().transaction() as db:
        await db.execute(
            "update viva.wallets set created_at = now() - interval '100 days', drip_at = now() - interval '16 days'"
            " where user_id = $1",
            user_id,
        )
        # One of long ago, of which 30 are left.
        await db.execute(
            "insert into viva.ledger (user_id, kind, amount, reference, expires_at)"
            " values ($1, 'drip', 30, 'drip:old', now() - interval '1 hour')",
            user_id,
        )
        await db.execute("update viva.wallets set balance = balance + 30 where user_id = $1", user_id)
    await _tick(viva)
    ledger = await viva.rows(ada, "select kind, amount from viva.ledger order by id")
    assert [tuple(row.values()) for row in ledger] == [
        ("starting", 200_000),
        ("drip", 30),
        ("expiry", -30),
        ("drip", 100_000),
    ]
    assert len(await viva.rows(ben, "select 1 from viva.ledger")) == 1, "not a month yet"
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_where_they_are_switched_off_no_monthly_tokens_come(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    await viva.restart(viva_drip_tokens=0)
    async with viva.database.as_service().transaction() as db:
        await db.execute("update viva.wallets set created_at = now() - interval '100 days', drip_at = now()")
    await _tick(viva)
    assert len(await viva.rows(ada, "select 1 from viva.ledger")) == 1


async def test_a_difference_in_the_ledger_is_told_to_the_admins_by_ids_only(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "BATCH", 1)  # as with more people than one statement goes through
    ada = await viva.onboarded("Ada")
    ben = await viva.onboarded("Benjamin")
    ben_id = await ben.user_id()
    await viva.restart(viva_admin_ids=frozenset({ada.id}))
    messages = len(ben.messages)
    async with viva.database.as_service().transaction() as db:
        await db.execute("update viva.wallets set balance = balance + 5 where user_id = $1", ben_id)
    await _tick(viva)
    assert "3 differences, in the accounts of 1 people" in ada.screen.text
    assert str(ben_id) in ada.screen.text and "Benjamin" not in ada.screen.text
    assert str(await ada.user_id()) not in ada.screen.text
    assert len(ben.messages) == messages


async def test_an_exact_ledger_is_not_worth_a_message(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    await viva.restart(viva_admin_ids=frozenset({ada.id}))
    messages = len(ada.messages)
    await _tick(viva)
    assert len(ada.messages) == messages


async def test_what_ended_long_ago_is_removed_and_what_did_not_end_well_is_kept(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    await ada.send("/balance")
    async with viva.database.as_service().transaction() as db:
        await db.execute(
            """
            insert into viva.work (lane, kind, name, key, state, finished_at, due_at)
              select 'old', 'job', 'old', 'old:' || number, 'done', now() - interval '8 days', now()
                from generate_series(1, 1200) number
            """
        )
        await db.execute(
            """
            insert into viva.work (lane, kind, name, key, state, finished_at)
              values ('old', 'job', 'old', 'young', 'done', now() - interval '6 days'),
                     ('old', 'job', 'old', 'parked', 'parked', now() - interval '80 days'),
                     ('old', 'job', 'old', 'parked long ago', 'parked', now() - interval '91 days')
            """
        )
        await db.execute(
            """
            insert into viva.outbox (chat_id, key, method, payload, state, sent_at)
              values (1, 'old sent', 'sendMessage', '{}', 'sent', now() - interval '31 days'),
                     (1, 'young sent', 'sendMessage', '{}', 'sent', now() - interval '29 days'),
                     (1, 'old unknown', 'sendMessage', '{}', 'unknown', now() - interval '31 days'),
                     (1, 'very old unknown', 'sendMessage', '{}', 'unknown', now() - interval '91 days'),
                     (1, 'old failed sent', 'sendMessage', '{}', 'failed', now() - interval '31 days')
            """
        )
        await db.execute(
            """
            insert into viva.holds (id, user_id, work_id, step, action_type, model, tokens, state, ended_at)
              select gen_random_uuid(), a.user_id, case kept.of when 'parked' then w.id end, kept.step, 'chat', 'm', 1,
                     'released', now() - kept.days * interval '1 day'
                from (values ('old', 91, null), ('young', 89, null), ('of parked work', 91, 'parked'))
                       as kept (step, days, of),
                     viva.telegram_accounts a, viva.work w
               where w.key = 'parked'
            """
        )
    assert viva.app is not None
    await viva.app.schedule.look(datetime.now(UTC))
    await viva.quiet()
    kept = await viva.service_rows("select key from viva.work where name = 'old' order by key")
    assert [row["key"] for row in kept] == ["parked", "young"]
    kept = await viva.service_rows("select key from viva.outbox where key like '% sent' or key like '% unknown'")
    assert sorted(row["key"] for row in kept) == ["old unknown", "young sent"]
    assert await viva.service_rows("select 1 from viva.work where name = 'message'") != []
    holds = await viva.service_rows("select step from viva.holds order by step")
    assert [row["step"] for row in holds] == ["of parked work", "young"]
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_erasing_a_person_reads_nothing_that_is_kept_of_others(crew: Crew) -> None:
    async with crew.service.transaction() as transaction:
        await transaction.execute("set local enable_seqscan = off")  # so few rows would be read as a whole
        for statement in (
            "delete from viva.work where chat_id = 700 and id <> 1 and kind = 'job'",
            "update viva.work set payload = '{}' where chat_id = 700 and id <> 1",
            "delete from viva.outbox where chat_id = 700",
        ):
            plan = [row[0] for row in await transaction._connection.fetch(f"explain {statement}")]
            assert not any("Seq Scan" in line for line in plan), plan
