"""Many processes on one database and one bot: one of them polls, all of them work, and each says how it stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from bot.app import App
from tests.engine.relay import kept_port
from tests.world import Someone, Viva, comes_true, wait_until


class Replica:
    """One more process's worth of VIVA, beside the first."""

    def __init__(self, app: App, stop: asyncio.Event, running: asyncio.Task[None]) -> None:
        self.app = app
        self._stop = stop
        self._running = running

    async def leave(self) -> None:
        """Stop in order."""
        self._stop.set()
        await self._running


@contextlib.asynccontextmanager
async def replica(viva: Viva) -> AsyncIterator[Replica]:
    """One more, started; stopped at the end if it has not left before."""
    stop = asyncio.Event()
    async with App.open(viva.settings) as app:
        ready = asyncio.Event()
        running = asyncio.create_task(app.run(stop, ready=ready.set))
        await ready.wait()
        one = Replica(app, stop, running)
        try:
            yield one
        finally:
            await one.leave()


async def kept(viva: Viva, person: Someone) -> list[str]:
    """The person's words as VIVA keeps them."""
    rows = await viva.rows(person, "select message from ai_conversations where role = 'user' order by created_at, id")
    return [row["message"] for row in rows]


async def test_of_several_processes_one_polls_and_when_it_leaves_another_goes_on(viva: Viva) -> None:
    assert viva.app is not None
    ada = await viva.onboarded()
    texts = [f"Thought {number}." for number in range(6)]
    async with replica(viva) as second, replica(viva) as third:
        assert viva.app.intake.leads
        for text in texts[:3]:
            await ada.send_without_waiting(text)
        await viva.quiet()
        assert not second.app.intake.leads and not third.app.intake.leads
        await viva.stop()
        await wait_until(lambda: second.app.intake.leads != third.app.intake.leads, "nobody polls")
        for text in texts[3:]:
            await ada.send_without_waiting(text)
        await viva.quiet()
        assert await kept(viva, ada) == texts
        assert await viva.service_rows("select count(*) as led from viva.leaders") == [{"led": 1}]
    assert await viva.service_rows("select 1 from viva.leaders") == []
    assert await viva.service_rows("select 1 from viva.processes") == []


async def test_who_was_declared_dead_polls_no_more_until_it_has_signed_on_anew(viva: Viva) -> None:
    assert viva.app is not None
    ada = await viva.onboarded()
    async with replica(viva) as second:
        # As when the process that polls was frozen for half a minute and has just woken up.
        await viva.service_rows("delete from viva.processes where id = $1", viva.app._process.id)
        await ada.send_without_waiting("Still there?")
        await viva.quiet()
        await wait_until(lambda: viva.app is not None and viva.app.intake.leads != second.app.intake.leads, "nobody")
        await ada.send("And now?")
        assert await kept(viva, ada) == ["Still there?", "And now?"]


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody else has."""
    with kept_port() as number:
        yield number


async def test_a_process_says_how_it_stands_in_prometheus_words_and_nobodys(viva: Viva, port: int) -> None:
    await viva.restart(metrics_port=port)
    ada = await viva.onboarded()
    await ada.send("A word that must not be among the figures.")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:

        async def counted() -> str | None:
            async with session.get("/metrics") as answer:
                assert answer.status == 200 and answer.content_type == "text/plain"
                text = await answer.text()
            # What was done and sent is counted after the commit that says so.
            figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            sends = float(figures.get('viva_sends_total{method="sendMessage",outcome="sent"}', 0))
            return text if sends >= 3 and 'viva_work_total{kind="job",outcome="done"}' in figures else None

        text = await comes_true(counted, "the answer and three messages are counted")
        async with session.get("/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "well\n")
        figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        assert float(figures["viva_updates_total"]) >= 3
        assert float(figures['viva_work_total{kind="job",outcome="done"}']) == 1
        assert figures['viva_waiting{kind="update"}'] == "0" and figures["viva_polls"] == "1"
        assert "A word" not in text and str(ada.id) not in text
        for line in text.splitlines():
            name = line.split("{")[0].split(" ")[0]
            assert line.startswith("#") or f"# TYPE {name} " in text

        # Somebody else polls with the same token, or has set a webhook.
        viva.telegram.fail_next("getUpdates", 409, "Conflict: terminated by other getUpdates request", times=10_000)
        await ada.send_without_waiting("Ends the poll under way.")
        await healthz(session, 503)
        viva.telegram._faults.clear()
        await ada.send_without_waiting("Kept at Telegram meanwhile.")
        await healthz(session, 200)
        await viva.quiet()
        assert (await kept(viva, ada))[1:] == ["Ends the poll under way.", "Kept at Telegram meanwhile."]


async def healthz(session: aiohttp.ClientSession, status: int) -> None:
    """Wait until the process says that it is well, or that it is not."""

    async def told() -> bool:
        async with session.get("/healthz") as answer:
            return answer.status == status

    await comes_true(told, f"/healthz says {status}")
