"""Lanes: whatever happens to processes and connections, work is done once, in order, and never left standing."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.engine import lanes as engine
from bot.engine.health import Health
from bot.engine.metrics import Metrics
from bot.errors import NotUnderstood
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import fallback
from storage import people
from storage import work as store
from storage.database import Fenced, Transaction
from tests.conftest import DatabaseUrls
from tests.engine.crew import ONE_HOUR, Crew, break_connections, crew_on, job, update
from tests.world import Viva, wait_until


@pytest.fixture
async def crew(database_urls: DatabaseUrls) -> AsyncIterator[Crew]:
    """A crew without anybody in it yet."""
    async with crew_on(database_urls) as found:
        yield found


async def nothing_claimed(crew: Crew) -> None:
    """Whoever is alive, no lane is held by somebody who does not work it: an empty lane has no row."""
    await crew.until("select 1 where not exists (select from viva.lanes)")


# ---------------------------------------------------------------------------------- once, in order


async def test_of_many_processes_killed_in_the_middle_nothing_is_lost_doubled_or_out_of_order(crew: Crew) -> None:
    chance = random.Random(7)
    numbers = range(40)
    names = [f"chat:{n}" for n in range(6)]
    workers = [await crew.hire(), await crew.hire()]
    kills = 0
    for number in numbers:
        await crew.give(*(update(number, lane=lane) for lane in names))
        await crew.give(update(number, lane=names[0]))  # what comes again falls on its key
        if number % 8 == 3:
            await asyncio.sleep(chance.random() / 20)
            victim = workers.pop(chance.randrange(len(workers)))
            crew.workers.remove(victim)
            await victim.die()
            workers.append(await crew.hire())
            kills += 1
    await crew.done()
    assert await crew.effects() == {lane: list(numbers) for lane in names}
    assert kills == 5
    await nothing_claimed(crew)


async def test_when_every_connection_breaks_again_and_again_nothing_is_lost_doubled_or_out_of_order(crew: Crew) -> None:
    await crew.hire()
    names = [f"chat:{n}" for n in range(4)]
    for number in range(30):
        await crew.give(*(update(number, lane=lane) for lane in names))
        if number % 10 == 5:
            await break_connections(crew.urls)
            await crew.database._pool.expire_connections()
    await crew.done()
    assert await crew.effects() == {lane: list(range(30)) for lane in names}
    await nothing_claimed(crew)


async def test_work_put_in_by_many_at_once_is_worked_in_the_order_of_the_commits(crew: Crew) -> None:
    await crew.hire()
    committed: list[int] = []

    async def put(number: int) -> None:
        await crew.give(update(number))
        committed.append(number)

    await asyncio.gather(*(put(number) for number in range(20)))
    await crew.done()
    assert sorted((await crew.effects())["chat:1"]) == sorted(committed)
    order = await crew.rows("select (key) from viva.work order by id")
    assert [int(re.findall(r"\d+", row["key"])[-1]) for row in order] == (await crew.effects())["chat:1"]


async def test_work_that_is_due_later_holds_its_own_lane_and_no_other(crew: Crew) -> None:
    await crew.hire()
    await crew.give(update(1, delay=3600), update(2), update(1, lane="chat:2"))
    await crew.until("select 1 from public.effects where lane = 'chat:2'")
    # Its lane was due with the second, and is looked at before it is left to wait with the first.
    await crew.until("select 1 from viva.lanes where lane = 'chat:1' and claimed_by is null and due_at > now()")
    assert await crew.effects() == {"chat:2": [1]}
    await crew.done(hurry=True)
    assert (await crew.effects())["chat:1"] == [1, 2]


# -------------------------------------------------------------------------------------- failures


async def test_a_failed_try_is_made_again_before_anything_behind_it(crew: Crew) -> None:
    tries = 0
    looked = asyncio.Event()

    async def fail_twice(work: Work) -> None:
        nonlocal tries
        if work.head.payload["number"] == 2:
            tries += 1
            if tries < 3:
                raise ValueError("a fault")
            await looked.wait()

    crew.before = fail_twice
    await crew.hire()
    await crew.give(*(update(number) for number in (1, 2, 3)), update(1, lane="chat:2"))
    await crew.until("select 1 from viva.work where attempts > 0 and state = 'waiting'")
    await crew.rows("update viva.work set created_at = now() - interval '1 hour' where attempts > 0")
    async with crew.service.transaction() as transaction:
        assert (await store.standing(transaction)).work_lag >= 3600, "late since it was put in, not since the last try"
    looked.set()
    await crew.done(hurry=True)
    assert await crew.effects() == {"chat:1": [1, 2, 3], "chat:2": [1]}
    assert tries == 3


async def test_an_update_that_always_fails_is_parked_its_person_told_and_the_next_one_worked(crew: Crew) -> None:
    await crew.person(700)

    async def fail(work: Work) -> None:
        if work.head.payload["number"] == 1:
            raise ValueError("a fault")

    crew.before = fail
    await crew.hire()
    await crew.give(*(update(number, lane="chat:700", chat_id=700, telegram_id=700) for number in (1, 2)))
    await crew.done(hurry=True)
    assert await crew.effects() == {"chat:700": [2]}
    parked = await crew.rows("select payload, error from viva.work where state = 'parked'")
    assert [row["error"] for row in parked] == ["ValueError"]
    assert [row["payload"] for row in await crew.rows("select payload from viva.outbox")] == [{"text": "sorry"}]
    await nothing_claimed(crew)


async def test_a_job_that_only_a_newer_version_knows_waits_for_it_and_one_that_none_knows_is_parked(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PUT_OFF_SECONDS", 0.05)
    await crew.person()
    done: list[int] = []

    async def run(job: Job, doors: Doors) -> None:
        async with job.finish():
            done.append(job.head.attempts)

    async def never(job: Job, transaction: Transaction, error: Exception) -> None:
        raise AssertionError("it was given up")

    await crew.hire()  # an earlier version, which knows no job at all
    await crew.give(job("new"), job("nobody's", lane="other:700"))
    await crew.until("select 1 from viva.work where name = 'new' and error = 'unknown here'")
    await asyncio.sleep(0.5)
    crew.jobs = {"new": (run, never)}
    await crew.hire()
    await crew.until("select 1 from viva.work where name = 'new' and state = 'done'")
    assert done == [0], "having waited counts as no try"
    await crew.rows("update viva.work set created_at = now() - interval '1 hour' where state = 'waiting'")
    await crew.done(hurry=True)
    assert [row["error"] for row in await crew.rows("select error from viva.work where state = 'parked'")] == [
        "no such job"
    ]


async def test_an_update_that_nobody_can_read_is_parked_at_once_and_nobody_told(crew: Crew) -> None:
    await crew.person(700)

    async def read(work: Work) -> None:
        if work.head.payload["number"] == 1:
            raise engine.Unreadable

    crew.before = read
    await crew.hire()
    await crew.give(*(update(number, lane="chat:700", chat_id=700, telegram_id=700) for number in (1, 2)))
    await crew.done()
    assert await crew.effects() == {"chat:700": [2]}
    assert (await crew.rows("select attempts from viva.work where state = 'parked'"))[0]["attempts"] == 0
    assert await crew.rows("select 1 from viva.outbox") == []


async def test_work_that_ends_its_process_each_time_is_parked_and_the_next_one_worked(crew: Crew) -> None:
    poison = asyncio.Event()

    async def swallow(work: Work) -> None:
        if work.head.payload["number"] == 1:
            poison.set()
            await asyncio.Event().wait()

    crew.before = swallow
    await crew.give(update(1), update(2))
    for _ in range(engine.GIVE_UP_AFTER):
        poison.clear()
        victim = await crew.hire()
        await poison.wait()
        crew.workers.remove(victim)
        await victim.die()
    await crew.hire()
    await crew.done()
    assert await crew.effects() == {"chat:1": [2]}


async def test_a_job_whose_giving_up_fails_too_is_parked_and_the_next_one_done(crew: Crew) -> None:
    await crew.person(700)

    async def run(job: Job, doors: Doors) -> None:
        if job.payload.get("fails"):
            raise NotUnderstood("this cannot be done")
        async with job.finish() as transaction:
            await transaction.execute("insert into public.effects (lane, number) values ('done', 1)")

    async def give_up(job: Job, transaction: Transaction, error: Exception) -> None:
        raise KeyError("a fault of ours")

    crew.jobs["task"] = (run, give_up)
    await crew.hire()
    await crew.give(job("task", fails=True), job("task"))
    await crew.done(hurry=True)
    assert await crew.effects() == {"done": [1]}
    assert len(await crew.rows("select 1 from viva.work where state = 'parked'")) == 1
    await nothing_claimed(crew)


async def test_a_statement_that_can_never_go_through_counts_as_a_try_and_is_not_repeated_for_ever(crew: Crew) -> None:
    async def wrong(work: Work) -> None:
        if work.head.payload["number"] == 1:
            async with crew.service.transaction() as transaction:
                await transaction.value("select $1::integer", 2**40)

    crew.before = wrong
    await crew.hire()
    await crew.give(update(1), update(2))
    await crew.done(hurry=True)
    assert await crew.effects() == {"chat:1": [2]}


# ------------------------------------------------------------------------------ taken over, stopped


async def test_a_process_that_was_declared_dead_cannot_commit_and_its_work_is_done_once(crew: Crew) -> None:
    await crew.person(700)
    frozen, thaw, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()
    fenced: list[str] = []
    first = True

    async def run(job: Job, doors: Doors) -> None:
        nonlocal first
        slow, first = first, False
        if slow:
            frozen.set()
            await thaw.wait()
        try:
            await job.step("made", lambda: made(1 if slow else 2))
            async with job.finish() as transaction:
                await transaction.execute("insert into public.effects (lane, number) values ('done', 1)")
        except Fenced:
            fenced.append("slow" if slow else "quick")
            raise
        finally:
            if slow:
                ended.set()

    async def made(number: int) -> dict[str, int]:
        return {"number": number}

    crew.jobs["task"] = (run, never)
    slow_one = await crew.hire()
    await crew.give(job("task"))
    await frozen.wait()
    await slow_one.take_no_more()
    # The others have not seen it for 30 seconds ...
    await crew.rows("delete from viva.processes where id = $1", slow_one.process.id)
    await crew.hire()
    await crew.done()
    # ... and then it wakes up and goes on.
    thaw.set()
    await ended.wait()
    assert fenced == ["slow"]
    assert await crew.effects() == {"done": [1]}
    await nothing_claimed(crew)


async def test_a_process_that_was_declared_dead_cannot_end_work_that_another_has_in_hand(crew: Crew) -> None:
    at_work: dict[bool, asyncio.Event] = {True: asyncio.Event(), False: asyncio.Event()}
    go_on: dict[bool, asyncio.Event] = {True: asyncio.Event(), False: asyncio.Event()}
    slow = True

    async def wait(work: Work) -> None:
        nonlocal slow
        mine, slow = slow, False
        at_work[mine].set()
        await go_on[mine].wait()

    crew.before = wait
    frozen = await crew.hire()
    await crew.give(update(1))
    await at_work[True].wait()
    await frozen.take_no_more()
    await crew.rows("delete from viva.processes where id = $1", frozen.process.id)
    await crew.hire()
    await at_work[False].wait()
    taken = (await crew.rows("select fence from viva.lanes"))[0]["fence"]
    go_on[True].set()
    while frozen.lanes._running:
        await asyncio.wait(frozen.lanes._running.values())
    assert await crew.effects() == {}
    assert (await crew.rows("select fence from viva.lanes"))[0]["fence"] == taken
    go_on[False].set()
    await crew.done()
    assert await crew.effects() == {"chat:1": [1]}


async def never(job: Job, transaction: Transaction, error: Exception) -> None:
    raise AssertionError("nobody gave up")


async def test_a_process_that_hangs_inside_a_transaction_does_not_keep_its_locks(crew: Crew) -> None:
    await crew.give(update(1))
    async with crew.database._pool.acquire() as connection:
        await connection.execute(crew.service._begin)
        limit = await connection.fetchval("show idle_in_transaction_session_timeout")
        await connection.execute("rollback")
    assert limit == "30s"
    await crew.hire()
    await crew.done()


async def test_a_person_who_erases_everything_leaves_nothing_behind_of_what_is_running(crew: Crew) -> None:
    user_id = await crew.person(700)
    running, go_on = asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def run(job: Job, doors: Doors) -> None:
        await job.step("said", words)
        running.set()
        await go_on.wait()
        try:
            await job.step("made", nothing)
        except Fenced:
            ended.append("fenced")
            raise

    async def words() -> dict[str, str]:
        return {"text": "words of the person's"}

    async def nothing() -> dict[str, int]:
        return {}

    async def erase(job: Job, doors: Doors) -> None:
        async with job.finish() as transaction:
            await transaction.become_service()
            await engine.store.erase(transaction, user_id=job.user_id, chat_id=job.chat_id, work_id=job.head.id)

    crew.jobs |= {"task": (run, never), "erase": (erase, never)}
    await crew.hire()
    await crew.give(job("task"), update(1, lane="chat:700", chat_id=700, telegram_id=700))
    await running.wait()
    await crew.give(job("erase", lane="erase:1"), job("erase", lane="erase:2"))
    await crew.until("select 1 where not exists (select from viva.telegram_accounts)")
    go_on.set()
    await crew.done()
    await nothing_claimed(crew)
    assert ended == ["fenced"]
    assert await crew.rows("select 1 from viva.work where chat_id = 700 or telegram_id = 700 or lane like '%700'") == []
    assert await crew.rows("select 1 from viva.work_steps") == []
    assert await crew.rows("select 1 from viva.wallets where user_id = $1", user_id) == []
    # The update's key stays, so that Telegram cannot bring it again.
    assert await crew.give(update(1, lane="chat:700", chat_id=700, telegram_id=700)) == 0


async def test_erasing_while_the_person_s_own_updates_run_never_ends_in_a_standstill(crew: Crew) -> None:
    numbers = itertools.count(1)

    async def erase(job: Job, doors: Doors) -> None:
        async with job.finish() as transaction:
            await transaction.become_service()
            await engine.store.erase(transaction, user_id=job.user_id, chat_id=job.chat_id, work_id=job.head.id)

    async def run(job: Job, doors: Doors) -> None:
        async with job.finish() as transaction:
            await transaction.execute("insert into journal_entries (content) values ('a day')")
            await people.wait_for(transaction, None)

    async def give_up(job: Job, transaction: Transaction, error: Exception) -> None:
        pass

    crew.jobs |= {"write": (run, give_up), "erase": (erase, give_up)}
    await crew.hire()
    await crew.hire()
    for _ in range(2):
        await crew.person(700)
        work = [job("write", lane=f"talk{next(numbers)}:700") for _ in range(4)]
        await crew.give(*work[:2], job("erase", lane="erase:1"), *work[2:], job("erase", lane="erase:2"))
        await crew.done(hurry=True)
    await nothing_claimed(crew)


async def test_sigterm_gives_running_work_time_and_leaves_the_rest_to_the_next_process(crew: Crew) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(work: Work) -> None:
        begun.set()
        await go_on.wait()

    crew.before = slow
    worker = await crew.hire()
    await crew.give(update(1), update(2))
    await begun.wait()
    crew.workers.remove(worker)
    leaving = asyncio.create_task(worker.stop())
    await asyncio.sleep(0)
    go_on.set()
    await leaving
    assert await crew.effects() == {"chat:1": [1]}
    assert await crew.rows("select claimed_by from viva.lanes where claimed_by is not null") == []
    await crew.hire()
    await crew.done()
    assert await crew.effects() == {"chat:1": [1, 2]}


async def test_work_cut_short_by_leaving_is_given_back_and_does_not_count_as_a_try(crew: Crew) -> None:
    begun = asyncio.Event()

    async def endless(work: Work) -> None:
        begun.set()
        await asyncio.Event().wait()

    crew.before = endless
    worker = await crew.hire()
    await crew.give(update(1))
    await begun.wait()
    await worker.take_no_more()
    await worker.lanes.drain(seconds=0)
    assert (await crew.rows("select claimed_by, fence from viva.lanes"))[0] == {"claimed_by": None, "fence": None}
    assert (await crew.rows("select attempts from viva.work"))[0]["attempts"] == 0
    crew.before = None
    await crew.hire()
    await crew.done()


# ------------------------------------------------------------------------------------------- room


async def test_jobs_that_take_all_their_room_leave_handlers_theirs(crew: Crew, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "MOST_JOBS", 3)
    for person in range(700, 706):
        await crew.person(person)
    go_on = asyncio.Event()

    async def wait(work: Job, _: Any) -> None:
        await go_on.wait()
        async with work.finish():
            pass

    crew.jobs["wait"] = (wait, lambda *_: asyncio.sleep(0))
    worker = await crew.hire()
    await crew.give(*(job("wait", person=person, lane=f"talk:{person}") for person in range(700, 706)))
    await wait_until(lambda: worker.lanes.running[1] == 3, "three jobs run")
    await crew.give(*(update(number, lane=f"chat:{number}") for number in range(20)), update(1, lane="urgent:1"))
    await crew.until("select 1 from public.effects having count(*) = 21")
    assert worker.lanes.running[1] == 3
    go_on.set()
    await crew.done()


async def test_what_telegram_waits_for_is_worked_before_all_that_is_older(crew: Crew) -> None:
    await crew.give(*(update(number, lane=f"chat:{number}") for number in range(300)))
    await crew.give(update(1, lane="urgent:1"))
    await crew.hire()
    await crew.done()
    order = [row["lane"] for row in await crew.rows("select lane from public.effects order by id")]
    assert order.index("urgent:1") < 2 * engine.CLAIMS_AT_ONCE + 5


async def test_whoever_sends_a_thousand_messages_keeps_nobody_waiting(crew: Crew) -> None:
    await crew.give(*(update(number) for number in range(1_000)))
    await crew.give(*(update(1, lane=f"chat:{person}") for person in range(2, 12)))
    await crew.hire()
    await crew.until("select 1 from public.effects where lane <> 'chat:1' having count(*) = 10")
    others = await crew.rows(
        """
        select max(place) as last
          from (select lane, row_number() over (order by id) as place from public.effects) done where lane <> 'chat:1'
        """
    )
    assert others[0]["last"] < 500, "nowhere near the end of the thousand"
    await crew.rows("delete from viva.work where lane = 'chat:1' and id % 10 <> 0 and state = 'waiting'")
    await crew.done()


async def test_a_burst_is_worked_off_oldest_first_with_no_more_in_hand_than_there_is_room_and_the_lag_is_logged(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    for hundred in range(6):
        await crew.give(*(update(hundred, lane=f"chat:{100 * hundred + number}") for number in range(100)))
    await crew.rows("update viva.lanes set due_at = due_at - interval '10 seconds'")
    health = Health(
        crew.database,
        intake=None,  # type: ignore[arg-type]
        lanes=None,  # type: ignore[arg-type]
        outbox=None,  # type: ignore[arg-type]
        metrics=Metrics(),
        polling=False,
    )
    with caplog.at_level("INFO", logger="bot.engine.health"):
        await health.look()
        most = 0
        order: list[int] = []

        async def watch(work: Work) -> None:
            nonlocal most
            most = max(most, sum(worker.lanes.running[0] for worker in crew.workers))
            order.append(work.head.payload["number"])

        crew.before = watch
        await crew.hire()
        await crew.done()
        await health.look()
    assert [record.message for record in caplog.records] == ["work lags behind", "work has caught up"]
    assert caplog.records[0].updates == 600 and caplog.records[0].work_lag > 5  # type: ignore[attr-defined]
    assert 0 < most <= engine.MOST_HANDLERS
    # Those claimed at the same moment may begin in any order among themselves, and those in hand end in any.
    assert len(order) == 600 and all(abs(place // 100 - hundred) <= 1 for place, hundred in enumerate(order))


async def test_what_was_given_up_goes_back_into_line_when_asked(crew: Crew) -> None:
    await crew.person(700)
    broken = True

    async def fail(_: Work) -> None:
        if broken:
            raise ValueError("a fault")

    crew.before = fail
    await crew.hire()
    await crew.give(*(update(number, lane="chat:700", chat_id=700, telegram_id=700) for number in (1, 2)))
    await crew.done(hurry=True)
    async with crew.service.transaction() as transaction:
        first, second = await store.parked(transaction)
        assert (first.name, first.error, first.attempts) == ("message", "ValueError", 4)
        broken = False
        assert await store.replay(transaction, second.id) == 1
    await crew.done()
    async with crew.service.transaction() as transaction:
        assert [each.id for each in await store.parked(transaction)] == [first.id]
        assert await store.replay(transaction, None) == 1
    await crew.done()
    assert await crew.effects() == {"chat:700": [2, 1]}
    assert await crew.rows("select 1 from viva.lanes") == []


# ---------------------------------------------------------------------------- through the front door


async def test_a_payment_is_answered_while_a_long_answer_is_written_and_others_are_served(viva: Viva) -> None:
    ada, ben = await viva.onboarded(), await viva.onboarded("Ben")
    viva.model.hold(after=3)
    await ada.send_without_waiting("Tell me of the sea.")
    await viva.model.held()
    answer = await viva.telegram.ask_to_pay(ada.account, stars=1, payload="not an order")
    assert answer["ok"] is False
    before = len(ben.screens)
    await ben.send_without_waiting("/help")
    await ben.wait(lambda: len(ben.screens) > before)
    viva.model.release()
    await viva.quiet()


async def test_of_work_that_was_given_up_the_admins_hear_once_an_hour_and_by_number_only(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "datetime", ONE_HOUR)
    ada, boss = await viva.onboarded(), await viva.onboarded("Boss")
    await viva.restart(viva_admin_ids=frozenset([boss.id]))
    # A message that ended its process each time.
    async with viva.database.as_service().transaction() as transaction:
        for number in range(2):
            await store.enqueue(
                transaction, [update(number, lane=f"chat:{ada.id}", chat_id=ada.id, telegram_id=ada.id)]
            )
        await transaction.execute("update viva.work set attempts = 5 where state = 'waiting'")
    await viva.quiet()
    told = [text for text in boss.messages if "gave up" in text]
    assert len(told) == 1 and "viva work retry" in told[0] and "Ada" not in told[0]


async def test_cancel_goes_around_an_answer_that_is_being_written(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.hold(after=3)
    await ada.send_without_waiting("Tell me of the sea.")
    await viva.model.held()
    await ada.send_without_waiting("/cancel")
    await viva.model.left()
    viva.model.release()
    await viva.quiet()
    usage = await viva.rows(ada, "select tokens_used, input_tokens, output_tokens, metadata from token_usage")
    assert len(usage) == 1
    assert usage[0]["metadata"]["usage_from"] == "local_count" and usage[0]["output_tokens"] > 0
    assert usage[0]["tokens_used"] == usage[0]["input_tokens"] + usage[0]["output_tokens"]
    assert viva.model.abandoned == 1


async def test_handlers_of_one_chat_run_one_at_a_time_and_chats_side_by_side(viva: Viva) -> None:
    people_here = [await viva.onboarded(name) for name in ("Ada", "Ben", "Cleo")]
    for number in range(8):
        for person in people_here:
            await viva.telegram.send_text(person.account, f"This is number {number}.")
    await viva.quiet()
    for person in people_here:
        rows: list[dict[str, Any]] = await viva.rows(
            person, "select message from ai_conversations where role = 'user' order by created_at"
        )
        assert [row["message"] for row in rows] == [f"This is number {number}." for number in range(8)]
