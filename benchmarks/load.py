"""Many people at once, as real processes: turns a second, processor time a turn, a burst, and what a kill costs.

    .venv/bin/python -m benchmarks.load [--people 40] [--turns 10] [--burst 10000]

The model answers over 200 ms. The bare bot of `benchmarks.bare` is measured in the same run with the same people; Bot
API server and model are one process beside both, which on a small machine is what limits the turns a second.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from benchmarks import processes, world
from benchmarks.world import say
from bot.playground.chats import Person
from bot.playground.house import TOKEN
from bot.playground.telegram import TelegramServer
from tests.engine import chaos

ANSWER_SECONDS = 0.2


class PacedModel(chaos.EchoModel):
    """Answers each message with itself, over 200 ms."""

    def _next_script(self, endpoint: str) -> chaos.Script:
        script = super()._next_script(endpoint)
        words = (script.text or "").split()
        return chaos.Script(text=script.text, delay=ANSWER_SECONDS / max(1, len(words)))


@dataclass(frozen=True)
class Load:
    """What a bot did: turns a second, and milliseconds of processor time a turn in the bot and in Postgres."""

    rate: float
    cpu: float
    postgres: float
    waits: list[float]


async def talk(telegram: TelegramServer, people: list[Person], *, turns: int) -> list[float]:
    """Everybody writes, waits for the answer, and writes again; the seconds each answer took."""
    waits: list[float] = []

    async def one(person: Person) -> None:
        for number in range(turns):
            words = f"Turn {number} of {person.id} at {time.monotonic_ns()}"
            began = time.perf_counter()
            await telegram.send_text(person, words)
            await telegram.wait_for(person, lambda message, words=words: words in message.get("text", ""), timeout=240)  # type: ignore[misc]
            waits.append(time.perf_counter() - began)

    await asyncio.gather(*(one(person) for person in people))
    return waits


async def measured(work: Callable[[], object], *, bot: int, postgres: int | None, turns: int) -> Load:
    """The work (a coroutine function) with the processor time it cost."""

    def cpu(root: int | None) -> float:
        if root is None:
            return 0.0
        total = 0.0
        for process in (root, *processes.family(root)):
            with contextlib.suppress(OSError):
                total += processes.cpu_seconds(process)
        return total

    before, before_postgres, began = cpu(bot), cpu(postgres), time.perf_counter()
    waits = await work()  # type: ignore[misc]
    seconds = time.perf_counter() - began
    return Load(
        turns / seconds, 1000 * (cpu(bot) - before) / turns, 1000 * (cpu(postgres) - before_postgres) / turns, waits
    )


@contextlib.asynccontextmanager
async def bare_bot(house: chaos.House) -> AsyncIterator[tuple[TelegramServer, int]]:
    """The bare bot as a process, with a Bot API server of its own in this one."""
    telegram = TelegramServer(house.folder / "telegram-bare", token=TOKEN)
    await telegram.start()
    settings = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": telegram.url, "OPENAI_BASE_URL": house.model.url}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bare",
        env=processes.environment(PYTHONPATH=str(processes.ROOT), **settings),
        cwd=house.folder,
    )
    try:
        yield telegram, process.pid
    finally:
        process.kill()
        await process.wait()
        await telegram.stop()


def resident(process: int) -> float:
    """MiB in memory."""
    return processes.mebibytes(process, file="status", field="VmRSS")


async def measure(*, people: int, turns: int, burst: int) -> None:
    """All of it, in one run."""
    say(world.circumstances())
    model = PacedModel(pace=0)
    async with chaos.open_house(processes=1, webhook=False, model=model) as house:
        replica = house.replicas[0]
        await house.arrive(people)
        accounts = [human.account for human in house.humans]
        assert replica.process is not None and replica.process.pid is not None and house.postgres._guard is not None
        pid, postgres = replica.process.pid, house.postgres._guard.pid
        await talk(house.telegram, accounts, turns=1)
        async with bare_bot(house) as (telegram, bare_pid):
            bare_people = [telegram.person() for _ in accounts]
            await talk(telegram, bare_people, turns=1)
            ours = await measured(
                lambda: talk(house.telegram, accounts, turns=turns), bot=pid, postgres=postgres, turns=people * turns
            )
            bare = await measured(
                lambda: talk(telegram, bare_people, turns=turns), bot=bare_pid, postgres=None, turns=people * turns
            )
        say(f"\n{people} people, {turns} turns each, a model of 200 ms; {world.circumstances()}\n")
        say("| | turns a second | processor ms a turn: bot | Postgres | an answer takes, ms p50 | p99 |")
        say("|---|---|---|---|---|---|")
        for name, load in (("VIVA", ours), ("bare aiogram", bare)):
            cells = world.milliseconds(load.waits)
            say(f"| {name} | {load.rate:.1f} | {load.cpu:.1f} | {load.postgres:.1f} | {cells} |")
        ratio = (ours.cpu + ours.postgres) / bare.cpu
        waits = world.ratios(ours.waits, bare.waits)
        say(f"| ratio | {ours.rate / bare.rate:.2f} | {ratio:.1f} (with Postgres) | | {waits} |")

        await recovery(house, accounts[0])
        if burst:
            await flood(house, accounts, burst)


async def recovery(house: chaos.House, person: Person) -> None:
    """How long after a kill -9 somebody is answered by the same machine's next process."""
    seconds = []
    for number in range(5):
        words = f"After kill {number}"
        await house.replicas[0].end(signal.SIGKILL)
        began = time.perf_counter()
        house.replicas[0].start()
        await house.telegram.send_text(person, words)
        await house.telegram.wait_for(
            person, lambda message, words=words: words in message.get("text", ""), timeout=240
        )  # type: ignore[misc]
        seconds.append(time.perf_counter() - began)
    say(f"\nFrom kill -9 to an answer by the next process: {world.milliseconds(seconds)} ms (p50 | p99 of 5).")


async def flood(house: chaos.House, people: list[Person], burst: int) -> None:
    """So many updates at once while the bot is away: taken in, worked off, and what memory that took."""
    replica = house.replicas[0]
    await replica.end(signal.SIGTERM)
    for number in range(burst):
        await house.telegram.send_text(people[number % len(people)], "/help")
    replica.start()
    assert replica.process is not None and replica.process.pid is not None
    began, taken, most = time.perf_counter(), 0.0, 0.0
    while True:
        with contextlib.suppress(OSError, LookupError):
            most = max(most, resident(replica.process.pid))
        rows = await house.rows("select count(*) as left from viva.work where state = 'waiting'")
        if not house.telegram.chats.updates:
            taken = taken or time.perf_counter() - began
            if not rows[0]["left"]:
                break
        await asyncio.sleep(0.2)
    worked = time.perf_counter() - began
    say(
        f"\nA burst of {burst} updates: taken in after {taken:.1f} s, worked off after {worked:.1f} s "
        f"({burst / worked:.0f} a second), at most {most:.0f} MiB resident."
    )


def main() -> None:
    """Read the words and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument("--turns", type=int, default=10)
    parser.add_argument("--burst", type=int, default=10_000)
    words = parser.parse_args()
    asyncio.run(measure(people=words.people, turns=words.turns, burst=words.burst))


if __name__ == "__main__":
    main()
