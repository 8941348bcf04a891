"""Processes: one that dies frees what it held at once, one that hangs is fenced, and a real kill -9 loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import process as engine
from bot.playground.house import TOKEN
from storage import outbox
from storage import work as store
from tests.conftest import DatabaseUrls
from tests.engine.crew import Crew, crew_on, update
from tests.world import Someone, Viva, comes_true

HOUSE = Path(__file__).parents[2]


@pytest.fixture
async def crew(database_urls: DatabaseUrls) -> AsyncIterator[Crew]:
    """A crew without anybody in it yet."""
    async with crew_on(database_urls) as found:
        yield found


async def bury(crew: Crew) -> int:
    """What every process does each two seconds."""
    async with crew.service.transaction() as transaction:
        return await store.bury(transaction, stale_seconds=engine.STALE_SECONDS)


async def test_the_living_are_not_buried(crew: Crew) -> None:
    await crew.hire()
    await crew.hire()
    assert await bury(crew) == 0
    assert len(await crew.rows("select 1 from viva.processes")) == 2


async def test_what_a_dead_process_held_is_free_at_once_and_counts_as_a_try(crew: Crew) -> None:
    begun = asyncio.Event()

    async def endless(_: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    crew.before = endless
    worker = await crew.hire()
    await crew.give(update(1), update(2))
    await begun.wait()
    crew.workers.remove(worker)
    await worker.die()
    await crew.until(
        "select 1 where not exists (select from pg_locks where locktype = 'advisory' and classid = $1)",
        engine.LOCK_CLASS,
    )
    assert await bury(crew) == 1
    assert (await crew.rows("select claimed_by from viva.lanes"))[0]["claimed_by"] is None
    assert [row["attempts"] for row in await crew.rows("select attempts from viva.work order by id")] == [1, 0]
    crew.before = None
    await crew.hire()
    await crew.done()


async def test_a_process_that_hangs_is_buried_though_it_holds_its_lock(crew: Crew) -> None:
    worker = await crew.hire()
    await worker.take_no_more()
    await crew.rows(
        "update viva.processes set seen_at = now() - interval '31 seconds' where id = $1", worker.process.id
    )
    assert await bury(crew) == 1


async def test_what_a_process_claims_after_it_was_declared_dead_is_freed_as_well(crew: Crew) -> None:
    dead = engine.Process(crew.database)
    await dead.start()
    await crew.rows("delete from viva.processes where id = $1", dead.id)
    await crew.give(update(1))
    async with crew.service.transaction() as transaction:
        assert len(await store.claim(transaction, process=dead.id, updates=5, jobs=5)) == 1
    await bury(crew)
    assert (await crew.rows("select claimed_by from viva.lanes"))[0]["claimed_by"] is None
    await dead.stop()


async def test_a_claim_that_was_made_though_the_process_was_never_told_does_not_stand_for_ever(crew: Crew) -> None:
    worker = await crew.hire()
    await worker.take_no_more()
    # As after a connection that broke at the very commit of a claim: it stands, and nobody works it.
    async with crew.service.transaction() as transaction:
        await transaction.execute("select viva.lock_lanes(array['chat:1'])")
        await transaction.execute("update viva.lanes set claimed_by = $1, fence = gen_random_uuid()", worker.process.id)
        await transaction.execute("insert into viva.outbox_chats values (700, now(), $1)", worker.process.id)
        await transaction.execute("update viva.outbox_chats set fence = gen_random_uuid()")
        await store.enqueue(transaction, [update(1)])
    worker.lanes._in_doubt = True
    worker._running = [asyncio.create_task(worker.lanes.run())]
    await crew.done()
    async with crew.service.transaction() as transaction:
        await outbox.drop_unknown(transaction, process=worker.process.id, known=[])
    assert await crew.rows("select 1 from viva.outbox_chats where claimed_by is not null") == []


async def test_a_process_whose_lock_broke_takes_it_again_and_goes_on_with_what_it_has_in_hand(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BEAT_SECONDS", 0.05)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(_: Any) -> None:
        begun.set()
        await go_on.wait()

    crew.before = slowly
    worker = await crew.hire()
    before = (await crew.rows("select lock_key from viva.processes"))[0]["lock_key"]
    await crew.give(update(1), update(2))
    await begun.wait()
    assert worker.process._lock is not None
    # Between two signs of life: in the midst of one it could bury itself, as any other process may then.
    beating = worker._running[0]
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)
    worker.process._lock._connection.terminate()
    worker._running[0] = asyncio.create_task(worker.process.run())
    await crew.until("select 1 from viva.processes where lock_key <> $1", before)
    assert await bury(crew) == 0
    go_on.set()
    await crew.done()
    assert await crew.effects() == {"chat:1": [1, 2]}
    assert {row["attempts"] for row in await crew.rows("select attempts from viva.work")} == {0}


async def test_a_restart_of_postgres_takes_every_lock_and_kills_nobody(crew: Crew) -> None:
    worker = await crew.hire()
    await worker.take_no_more()
    assert worker.process._lock is not None
    await crew.rows("update viva.processes set locked_at = pg_postmaster_start_time() - interval '1 minute'")
    worker.process._lock._connection.terminate()
    await crew.until(
        "select 1 where not exists (select from pg_locks where locktype = 'advisory' and classid = $1)",
        engine.LOCK_CLASS,
    )
    assert await bury(crew) == 0
    await crew.rows("update viva.processes set seen_at = now() - interval '9 seconds'")
    assert await bury(crew) == 1


async def test_a_process_that_was_declared_dead_signs_on_anew_and_goes_on_working(
    crew: Crew, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BEAT_SECONDS", 0.05)
    worker = await crew.hire()
    before = worker.process.id
    await crew.rows("delete from viva.processes where id = $1", before)
    await crew.until("select 1 from viva.processes where id <> $1 having count(*) = 1", before)
    await crew.until("select 1 where not exists (select from viva.processes where id = $1)", before)
    await crew.give(update(1), update(2))
    await crew.done()
    assert await crew.effects() == {"chat:1": [1, 2]}
    assert await bury(crew) == 0


async def test_whoever_leaves_in_order_leaves_no_trace(crew: Crew) -> None:
    worker = await crew.hire()
    await crew.give(update(1))
    await crew.done()
    crew.workers.remove(worker)
    await worker.stop()
    assert await crew.rows("select 1 from viva.processes") == []
    assert (
        await crew.rows("select 1 from pg_locks where locktype = 'advisory' and classid = $1", engine.LOCK_CLASS) == []
    )


# ---------------------------------------------------------------------------------- whole processes


class Served:
    """`python -m bot serve` as a process of its own, with its surroundings from the world."""

    def __init__(self, viva: Viva) -> None:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self._environment = kept | {
            "PYTHONPATH": str(HOUSE),
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": viva.telegram.url,
            "TELEGRAM_CHAT_RATE": "1000",
            "TELEGRAM_RATE": "10000",
            "OPENAI_API_KEY": "stand-in",
            "OPENAI_BASE_URL": viva.model.url,
            "DATABASE_URL": str(viva.settings.database_url),
            "MEDIA_URL": str(viva.settings.media_url),
            "VIVA_HOME": str(viva.settings.viva_home),
        }
        self._folder = viva.settings.viva_home.parent
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, and go on at once."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bot",
            "serve",
            cwd=self._folder,
            env=self._environment,
            stderr=asyncio.subprocess.PIPE,
        )

    async def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, and see the exit code and what was logged."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        _, logged = await self._process.communicate()
        assert self._process.returncode is not None
        return self._process.returncode, logged.decode()


async def turns(viva: Viva, person: Someone, role: str) -> list[str]:
    """What one side said, by time."""
    rows = await viva.rows(person, "select message from ai_conversations where role = $1 order by created_at", role)
    return [row["message"] for row in rows]


async def at_least(viva: Viva, person: Someone, role: str, count: int) -> None:
    """Wait until so much was said by one side."""

    async def said() -> bool:
        return len(await turns(viva, person, role)) >= count

    await comes_true(said, f"{count} of {role}")


async def test_thirty_numbered_texts_through_a_real_kill_are_each_kept_and_answered_once_in_order(
    viva: Viva,
) -> None:
    ada = await viva.onboarded()
    await viva.stop()
    texts = [f"This is thought number {number:02d} of mine." for number in range(30)]
    served = Served(viva)
    await served.start()
    for text in texts[:25]:
        await ada.send_without_waiting(text)
    await at_least(viva, ada, "assistant", 8)
    assert (await served.end(signal.SIGKILL))[0] == -signal.SIGKILL
    await served.start()
    for text in texts[25:]:
        await ada.send_without_waiting(text)
    await at_least(viva, ada, "assistant", 29)
    code, logged = await served.end(signal.SIGTERM)
    assert code == 0, logged
    await viva.start()  # for what was not begun by then
    await viva.quiet()

    assert await turns(viva, ada, "user") == texts
    answers = await turns(viva, ada, "assistant")
    assert len(answers) == len(texts)
    rows = await viva.rows(
        ada,
        """
        select asked.message from ai_conversations answered
          join ai_conversations asked on asked.id::text = answered.context ->> 'answers'
         where answered.role = 'assistant' order by answered.created_at
        """,
    )
    assert [row["message"] for row in rows] == texts
    charged = await viva.rows(ada, "select metadata ->> 'step' as step from token_usage where tokens_used > 0")
    assert len(charged) == len(texts)
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert await viva.service_rows("select 1 from viva.holds where state = 'open'") == []
    # What was shown: nothing is missing, and a message at a kill may stand twice (Telegram knows no idempotency key).
    shown = [text for text in ada.messages if text in answers]
    assert [text for place, text in enumerate(shown) if place == 0 or text != shown[place - 1]] == [
        text for place, text in enumerate(answers) if place == 0 or text != answers[place - 1]
    ]
    assert len(answers) <= len(shown) <= len(answers) + 1
    assert await viva.service_rows("select 1 from viva.lanes") == []


async def test_killed_at_any_point_of_a_talk_the_service_goes_on_where_it_was(viva: Viva) -> None:
    ada = await viva.onboarded()
    texts = [f"Thought {number}." for number in range(8)]
    for text in texts:
        await ada.send_without_waiting(text)
        await viva.restart(kill=True)
    await viva.quiet()
    assert await turns(viva, ada, "user") == texts
    assert len(await turns(viva, ada, "assistant")) == len(texts)
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert await viva.service_rows("select 1 from viva.work where state = 'parked'") == []
