"""What the meter costs: round trips a call, and holds a second, against the smallest possible UPDATE of one row.

    .venv/bin/python -m benchmarks.meter

Everything runs on one embedded Postgres, over the same connections, by turns: first a block of plain updates of one
integer in a table of one index, then a block of the meter's, and again. Hot is one row, or one person, for all
connections at once; wide is ten thousand of them, each picked in turn.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections.abc import Awaitable, Callable
from decimal import Decimal

import asyncpg

from benchmarks import world
from benchmarks.world import say
from bot.playground.postgres import EmbeddedPostgres
from storage import migrate

CONNECTIONS = 8
PEOPLE = 10_000
CALLS = 1_500
"""Statements in a block, over all connections."""

ROUNDS = 3
PLENTY = 1_000_000_000

UPDATE = "update public.bench set n = n + 1 where id = $1"
HOLD = "select granted from viva.hold($1, $2, null, 'call', 'chat_conversation', 'stand-in', 100, 50)"
SETTLE = "select viva.settle($1, 60, 50, 10, $2, true, null, '{}')"

Statement = Callable[[asyncpg.Connection, int], Awaitable[object]]


async def block(connections: list[asyncpg.Connection], statement: Statement, *, calls: int = CALLS) -> float:
    """How many of the statement are done in a second, by all connections at once."""
    numbers = iter(range(calls))

    async def work(connection: asyncpg.Connection) -> None:
        for number in numbers:
            await statement(connection, number)

    began = time.perf_counter()
    await asyncio.gather(*(work(connection) for connection in connections))
    return calls / (time.perf_counter() - began)


async def measure(connections: list[asyncpg.Connection], people: list[uuid.UUID]) -> None:
    """Print the table: a second's holds and settlements, hot and wide, and how they stand to the plain update."""
    holds: list[tuple[uuid.UUID, uuid.UUID]] = []

    def update(rows: int) -> Statement:
        return lambda connection, number: connection.execute(UPDATE, number % rows)

    def hold(persons: int) -> Statement:
        async def make(connection: asyncpg.Connection, number: int) -> None:
            hold_id = uuid.uuid4()
            granted = await connection.fetchval(HOLD, hold_id, people[number % persons])
            assert granted == 100, granted
            holds.append((hold_id, people[number % persons]))

        return make

    async def settle(connection: asyncpg.Connection, number: int) -> None:
        await connection.fetchval(SETTLE, holds[number][0], Decimal("0.0123"))

    say("| a second, over 8 connections | plain update | hold | settle | update to hold | update to settle |")
    say("|---|---|---|---|---|---|")
    for name, rows in (("one person", 1), (f"{PEOPLE:,} persons", PEOPLE)):
        figures: dict[str, list[float]] = {"update": [], "hold": [], "settle": []}
        for _ in range(ROUNDS):
            figures["update"].append(await block(connections, update(rows)))
            holds.clear()
            figures["hold"].append(await block(connections, hold(rows)))
            figures["settle"].append(await block(connections, settle))
        best = {kind: world.percentile(found, 0.5) for kind, found in figures.items()}
        ratios = f"{best['update'] / best['hold']:.1f} | {best['update'] / best['settle']:.1f}"
        say(f"| {name} | {best['update']:,.0f} | {best['hold']:,.0f} | {best['settle']:,.0f} | {ratios} |")


async def one_by_one(connection: asyncpg.Connection, people: list[uuid.UUID]) -> None:
    """Print how long one of each takes with nobody beside."""
    seconds: dict[str, list[float]] = {"update": [], "hold": [], "settle": []}
    for number in range(CALLS // 3):
        hold_id = uuid.uuid4()
        steps: tuple[tuple[str, str, tuple[object, ...]], ...] = (
            ("update", UPDATE, (number % PEOPLE,)),
            ("hold", HOLD, (hold_id, people[number % PEOPLE])),
            ("settle", SETTLE, (hold_id, Decimal("0.0123"))),
        )
        for kind, sql, values in steps:
            began = time.perf_counter()
            await connection.fetchval(sql, *values)
            seconds[kind].append(time.perf_counter() - began)
    say("\n| one, with nobody beside, ms | p50 | p99 | ratio p50 | ratio p99 |")
    say("|---|---|---|---|---|")
    for kind, name in (("update", "plain update"), ("hold", "hold"), ("settle", "settle")):
        ratio = world.ratios(seconds[kind], seconds["update"]) if kind != "update" else "1 | 1"
        say(f"| {name} | {world.milliseconds(seconds[kind])} | {ratio} |")


async def trips() -> None:
    """Print the round trips that the meter takes of a turn of the talk, through the whole bot."""
    turns = 10
    async with world.viva(telegram_chat_rate=1000.0, telegram_rate=10_000.0) as viva:
        wire = world.Wire(viva.telegram, viva.app.bot)
        person, _ = await world.at_home(wire, viva.telegram)
        await viva.statements.quiet()
        viva.statements.forget()
        for _ in range(turns):
            await wire.say(person, "I would like to read more in the evening.")
            await viva.statements.quiet()
        of_the_meter = [
            each
            for each in viva.statements.since(0.0)
            if each.has("viva.hold(") or each.has("viva.settle(") or each.has("viva.release_open_holds(")
        ]
    say("\n| round trips of the meter, a call | one takes, ms | times | round trips |")
    say("|---|---|---|---|")
    for line in world.statements_table(of_the_meter, per=turns):
        say(line)


async def main() -> None:
    """Measure, and print what came of it."""
    say(f"{world.circumstances()}\n")
    with world.temporary_folder() as folder:
        postgres = EmbeddedPostgres(folder / "home")
        await postgres.start()
        try:
            await migrate.migrate(postgres.admin_url)
            # As the owner, so that no identity has to be begun before each statement: the functions are the same.
            connections = [await asyncpg.connect(postgres.admin_url) for _ in range(CONNECTIONS)]
            first = connections[0]
            await first.execute(
                f"""
                create table public.bench (id integer primary key, n bigint not null);
                insert into public.bench select n, 0 from generate_series(0, {PEOPLE - 1}) n;
                select viva.arrive(n, n, 'Ada', 'en', {PLENTY}) from generate_series(1, {PEOPLE}) n;
                analyze
                """
            )
            people = [row["user_id"] for row in await first.fetch("select user_id from viva.wallets order by user_id")]
            warm = itertools.cycle(people)
            await block(
                connections, lambda connection, _: connection.execute(HOLD, uuid.uuid4(), next(warm)), calls=400
            )
            await measure(connections, people)
            await one_by_one(first, people)
            wrong = await first.fetch("select * from viva.ledger_differences()")
            say(f"\nThe ledger afterwards: {'exact' if not wrong else wrong[:3]}.")
            for connection in connections:
                await connection.close()
        finally:
            await postgres.erase()
    await trips()


if __name__ == "__main__":
    asyncio.run(main())
