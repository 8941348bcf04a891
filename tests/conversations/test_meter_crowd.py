"""Many calls at once on one balance, and processes that die between any two steps of a call: the meter stays exact."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from bot.playground.house import TOKEN
from tests.conftest import DatabaseUrls
from tests.engine.relay import kept_port
from tests.world import PATIENCE, Someone, Viva, comes_true

HOME = Path(__file__).parents[2]
CALLERS = 64
LEFT = 25_000
"""Tokens for the crowd: enough for some of the calls, and for far from all."""

WORKS = """
    select p.pid from viva.holds h
      join viva.work w on w.id = h.work_id
      join viva.lanes l on l.lane = w.lane
      join viva.processes p on p.id = l.claimed_by
     where h.state = 'open'
"""
"""The process that has a call under way."""

GREEDY = {"prompt_tokens": 90_000, "completion_tokens": 9_000, "total_tokens": 99_000}
"""What a provider that claims far too much says: each call then costs all that was held for it."""


async def _exact(viva: Viva, person: Someone) -> int:
    """What the person was charged in all, once the ledger is seen to be exact and nothing is held."""
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert await viva.service_rows("select 1 from viva.holds where state = 'open'") == []
    rows = await viva.rows(person, "select coalesce(-sum(amount), 0) as charged from viva.ledger where kind = 'charge'")
    return int(rows[0]["charged"])


async def _leave(viva: Viva, person: Someone, tokens: int) -> None:
    user_id = await person.user_id()
    async with viva.database.as_service().transaction() as db:
        free = await db.value("select balance - held from viva.wallets where user_id = $1", user_id)
        await db.execute("select viva.grant_tokens($1, $2, 'admin', 'left', null)", user_id, tokens - free)


async def _crowd(viva: Viva, person: Someone) -> None:
    """Let the person write 64 messages, of which the first is being answered; the model is held."""
    viva.model.script("chat/completions", text="Yes.", usage=GREEDY, times=4 * CALLERS)
    viva.model.hold(after=0)
    for number in range(CALLERS):
        await person.send_without_waiting(f"Thought number {number}.")
    for _ in range(int(PATIENCE * 20)):
        waiting = await viva.service_rows("select id from viva.work where name = 'chat.answer'")
        if len(waiting) == CALLERS:
            break
        await asyncio.sleep(0.05)
    assert len(waiting) == CALLERS


async def _apart(viva: Viva, *, apart: timedelta = timedelta()) -> None:
    """Give each answer of the crowd a lane of its own, all due at once; or the first ten with `apart` between them."""
    # One chat is one lane of talk, in order. Here each answer has one of its own, as drafts, pictures and memories do.
    await viva.service_rows(
        """
        with moved as (
          update viva.work w set lane = w.lane || ':' || w.id
           where w.name = 'chat.answer' and w.state = 'waiting'
             and w.id > (select min(h.id) from viva.work h where h.name = 'chat.answer' and h.state = 'waiting')
          returning w.lane
        )
        insert into viva.lanes (lane, due_at)
        select lane, now() + least(row_number() over (), 10) * $1::interval from moved
        """,
        apart,
    )


async def _settled(viva: Viva) -> int:
    """How many of the crowd's calls are under way, once each has been made or refused."""
    for _ in range(int(PATIENCE * 20)):
        rows = await viva.service_rows(
            """
            select (select count(*) from viva.holds where state = 'open') as open,
                   (select count(*) from viva.work where name = 'chat.answer' and state = 'waiting') as waiting
            """
        )
        if rows[0]["open"] == rows[0]["waiting"]:
            return int(rows[0]["open"])
        await asyncio.sleep(0.05)
    raise AssertionError(f"the crowd never settled: {rows}")


async def test_sixty_four_callers_at_once_on_one_balance_overspend_by_nothing(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _leave(viva, ada, LEFT)
    await _crowd(viva, ada)
    await _apart(viva)
    at_once = await _settled(viva)
    # A call is on its way to the model once it holds its tokens.
    await ada.wait(lambda: len(viva.model.requests) >= at_once)
    assert 2 <= at_once < CALLERS and len(viva.model.requests) == at_once
    purse = (await viva.rows(ada, "select balance, held from viva.wallets"))[0]
    assert purse["balance"] == LEFT and LEFT * 0.9 < purse["held"] <= LEFT
    viva.model.release()
    await viva.quiet()
    assert await _exact(viva, ada) == purse["held"] <= LEFT
    assert sum("you have" in text and "nothing was charged" in text for text in ada.messages) == CALLERS - at_once


# ---------------------------------------------------------------------------- processes of their own


class Processes:
    """VIVA as processes of their own on the world's surroundings, behind a webhook."""

    def __init__(self, viva: Viva, folder: Path) -> None:
        self._viva = viva
        self._folder = folder
        self._running: list[asyncio.subprocess.Process] = []
        self._ports = contextlib.ExitStack()

    async def start(self) -> asyncio.subprocess.Process:
        """One more, at work, with the webhook its own."""
        port = self._ports.enter_context(kept_port())
        settings = self._viva.settings
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        with (self._folder / f"log-{port}").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bot",
                "serve",
                cwd=self._folder,
                env=kept
                | {
                    "PYTHONPATH": str(HOME),
                    "HOME": str(self._folder),
                    "VIVA_HOME": str(settings.viva_home),
                    "TELEGRAM_BOT_TOKEN": TOKEN,
                    "TELEGRAM_API_URL": settings.telegram_api_url,
                    "TELEGRAM_WEBHOOK_URL": f"http://127.0.0.1:{port}",
                    "TELEGRAM_WEBHOOK_SECRET": "a-secret",
                    "WEBHOOK_PORT": str(port),
                    "TELEGRAM_CHAT_RATE": "1000",
                    "TELEGRAM_RATE": "10000",
                    "OPENAI_API_KEY": "stand-in",
                    "OPENAI_BASE_URL": str(settings.openai_base_url),
                    "DATABASE_URL": str(settings.database_url),
                    "MEDIA_URL": str(settings.media_url),
                },
                stdout=log,
                stderr=log,
            )
        self._running.append(process)
        telegram = self._viva.telegram
        for _ in range(int(PATIENCE * 40)):
            if str(port) in (telegram.chats.settings.get("webhook") or {}).get("url", ""):
                return process
            await asyncio.sleep(0.05)
        raise AssertionError((self._folder / f"log-{port}").read_text()[-3000:])

    async def kill(self, process: asyncio.subprocess.Process) -> None:
        """End it as kill -9 does: nothing is said, nothing is given back."""
        process.kill()
        await process.wait()
        self._running.remove(process)

    async def stop(self) -> None:
        """Let all of them leave."""
        with self._ports:
            for process in self._running:
                process.terminate()
            await asyncio.gather(*(process.wait() for process in self._running))


@contextlib.asynccontextmanager
async def _processes(viva: Viva, folder: Path) -> AsyncIterator[Processes]:
    await viva.stop()
    processes = Processes(viva, folder)
    try:
        yield processes
    finally:
        viva.model.release()
        await processes.stop()


async def test_two_processes_overspend_by_nothing_and_one_of_them_may_be_killed(viva: Viva, tmp_path: Path) -> None:
    ada = await viva.onboarded()
    await _leave(viva, ada, LEFT)
    async with _processes(viva, tmp_path) as processes:
        first, second = await processes.start(), await processes.start()
        await _crowd(viva, ada)
        # Which of them is the faster one is luck: who has the first call stands still until the other has one as well.
        busy = await comes_true(lambda: viva.service_rows(WORKS), "a first call")
        os.kill(busy[0]["pid"], signal.SIGSTOP)
        try:
            await _apart(viva, apart=timedelta(milliseconds=400))
            both = "select 1 from viva.holds where state = 'open' offset 1"
            await comes_true(lambda: viva.service_rows(both), "a call of the other process")
        finally:
            os.kill(busy[0]["pid"], signal.SIGCONT)
        assert await _settled(viva) >= 2
        workers = await viva.service_rows("select distinct claimed_by from viva.lanes where claimed_by is not null")
        assert len(workers) == 2, "both work"
        await processes.kill(first)
        viva.model.release()
        await viva.quiet()
        assert await _exact(viva, ada) <= LEFT
        answers = await viva.rows(ada, "select count(*) as n from ai_conversations where role = 'assistant'")
        paid = await viva.rows(ada, "select count(*) as n from token_usage where success")
        assert answers == paid
        assert second.returncode is None


# ------------------------------------------------------------------------ between every two steps


async def _killed(viva: Viva) -> None:
    """End the process as kill -9 does: every connection breaks in the middle, and nothing is given back."""
    assert viva.app is not None and viva.app._process._lock is not None
    viva.app.database._pool.terminate()
    viva.app._process._lock._connection.terminate()
    await viva.stop(kill=True)


async def test_a_process_killed_between_any_two_steps_of_a_call_leaves_an_exact_ledger_and_one_charge(
    viva: Viva, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.app.DRAIN_SECONDS", 0.0)  # a process that is killed waits for nothing
    ada = await viva.onboarded()
    admin = await asyncpg.connect(database_urls.admin)
    wallet, outbox, gate = (
        "select 1 from viva.wallets for update",
        "lock table viva.outbox in access exclusive mode",
        "select 1 from viva.gates for update",
    )
    # What stands in the way of the process, after how many words, and the statement in which it is killed, if any.
    points = {
        "before the hold": (wallet, 0, "viva.hold("),
        "after the hold, before a word came": (None, 0, None),
        "after some words": (None, 2, None),
        "after the provider answered, before the charge": (wallet, 1, "viva.settle("),
        "after the charge and its step, before the end": (outbox, 1, "viva.finish("),
        "after the end, before it is sent": (gate, 1, "viva.claim_sends("),
    }
    for number, (point, (obstacle, after, statement)) in enumerate(points.items(), start=1):
        begun = admin.transaction()
        asked = statement is None or after > 0
        if asked:
            viva.model.hold(after=after)
        else:
            await begun.start()
            await admin.execute(str(obstacle))
        await ada.send_without_waiting(f"Tell me of the sea, {number}.")
        if asked:
            await viva.model.held()
        if asked and statement is not None:
            await begun.start()
            await admin.execute(str(obstacle))
            viva.model.release()
        if statement is not None:
            await _stuck(database_urls, statement)
        await _killed(viva)
        if statement is not None:
            await begun.rollback()
        viva.model.release()
        await viva.start()
        await viva.quiet()
        charged = await _exact(viva, ada)
        rows = await viva.rows(ada, "select tokens_used, success from token_usage")
        paid = [row["tokens_used"] for row in rows if row["success"]]
        assert (len(paid), sum(paid)) == (number, charged), point
        assert all(row["tokens_used"] == 0 for row in rows if not row["success"]), point
        answers = await viva.rows(ada, "select message from ai_conversations where role = 'assistant'")
        assert len(answers) == number, point
    await admin.close()


async def _stuck(urls: DatabaseUrls, statement: str) -> None:
    """Wait until a process waits for a lock in this statement."""
    connection = await asyncpg.connect(urls.admin)
    try:
        for _ in range(int(PATIENCE * 20)):
            if await connection.fetchval(
                """
                select count(*) from pg_stat_activity
                 where datname = current_database() and wait_event_type = 'Lock' and position($1 in query) > 0
                """,
                statement,
            ):
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"no process ever waited in {statement}")
    finally:
        await connection.close()
