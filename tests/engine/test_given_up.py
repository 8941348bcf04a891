"""What is given up: who is told of it, and that it is kept until the fault is mended."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator

import pytest

import handlers
from bot.errors import NotUnderstood
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import fallback
from storage import work as store
from storage.database import Transaction
from tests.conftest import DatabaseUrls
from tests.engine.crew import ONE_HOUR, Crew, crew_on, job, update


@pytest.fixture
async def crew(database_urls: DatabaseUrls) -> AsyncIterator[Crew]:
    """A crew without anybody in it yet."""
    async with crew_on(database_urls) as found:
        yield found


async def test_work_whose_statement_is_always_too_slow_is_parked_its_person_told_and_the_next_one_worked(
    crew: Crew,
) -> None:
    await crew.person(700)
    tried = {"update": 0, "job": 0}

    async def slow(work: Work | Job) -> None:
        tried[work.head.kind] += 1
        async with crew.service.transaction() as transaction:
            await transaction.execute("set local statement_timeout = '20ms'")
            await transaction.execute("select pg_sleep(60)")

    async def update_one(work: Work) -> None:
        if work.head.payload["number"] == 1:
            await slow(work)

    async def say(job: Job, transaction: Transaction, error: Exception) -> None:
        job.send("sendMessage", {"text": "the job failed"})

    crew.before = update_one
    crew.jobs["task"] = (lambda job, doors: slow(job), say)
    await crew.hire()
    await crew.give(*(update(number, lane="chat:700", chat_id=700, telegram_id=700) for number in (1, 2)), job("task"))
    await crew.done(hurry=True)
    assert await crew.effects() == {"chat:700": [2]} and tried == {"update": 5, "job": 5}
    parked = await crew.rows("select kind, error from viva.work where state = 'parked' order by id")
    assert parked == [{"kind": "update", "error": "TooSlow"}, {"kind": "job", "error": "TooSlow"}]
    told = await crew.rows("select payload ->> 'text' as text from viva.outbox")
    assert sorted(row["text"] for row in told) == ["sorry", "the job failed"]


async def test_a_job_that_fails_by_a_fault_of_ours_is_told_of_and_kept_until_the_fault_is_mended(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "datetime", ONE_HOUR)
    for person in (700, 701, 702):
        await crew.person(person)
    broken = True
    made: list[int] = []

    async def run(job: Job, doors: Doors) -> None:
        await job.step("paid for", make)
        if broken:
            raise TypeError("a fault")
        if job.payload.get("refused"):
            raise NotUnderstood("this cannot be done")
        async with job.finish() as transaction:
            await transaction.execute("insert into public.effects (lane, number) values ('done', $1)", job.chat_id)

    async def make() -> int:
        made.append(1)
        return 1

    async def say(job: Job, transaction: Transaction, error: Exception) -> None:
        job.send("sendMessage", {"text": "it did not work"})

    crew.jobs["task"] = (run, say)
    worker = await crew.hire()
    worker.lanes._alarm = functools.partial(handlers.alarm, [1])
    await crew.give(*(job("task", person=person, lane=f"talk:{person}") for person in (700, 701)))
    await crew.done(hurry=True)
    told = await crew.rows("select chat_id, payload ->> 'text' as text from viva.outbox order by chat_id")
    assert [(row["chat_id"], row["text"]) for row in told[1:]] == [(700, "it did not work"), (701, "it did not work")]
    assert told[0]["chat_id"] == 1 and "TypeError" in told[0]["text"], "the admins hear of many at once but once"
    broken = False
    async with crew.service.transaction() as transaction:
        assert [each.error for each in await store.parked(transaction)] == ["TypeError", "TypeError"]
        assert await store.replay(transaction, None) == 2
    await crew.done()
    assert await crew.effects() == {"done": [700, 701]} or await crew.effects() == {"done": [701, 700]}
    assert len(made) == 2, "what was done before is not done again"
    # What can be explained to the person is nobody else's concern.
    await crew.give(job("task", person=702, lane="talk:702", refused=True))
    await crew.done()
    assert await crew.rows("select 1 from viva.work where state = 'parked'") == []
    assert len(await crew.rows("select 1 from viva.outbox where chat_id = 1")) == 1
