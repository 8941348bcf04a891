"""What a turn of the talk costs as much is kept: of one person's turns, and of people.

    .venv/bin/python -m benchmarks.growth [--turns 10,1000,100000] [--people 10,1000,10000]

For each size the rows are made by SQL, then some turns are measured as `benchmarks.turn` does: milliseconds added to
the model's own time, milliseconds of waiting for Postgres, round trips.
"""

from __future__ import annotations

import argparse
import asyncio

import asyncpg

from benchmarks import turn, world
from benchmarks.world import say

MEASURED = 20
WARM_UP = 5
BATCH = 500


async def measure(*, turns: list[int], people: list[int]) -> None:
    """Both series, each in a house of its own."""
    say(world.circumstances())
    for what, sizes in (("turns of one person kept", turns), ("people", people)):
        say(f"\n| {what} | added, ms p50 | p99 | waiting for Postgres, ms a turn | round trips a turn |")
        say("|---|---|---|---|---|")
        model = turn.TimedModel()
        rates = {"telegram_chat_rate": 1000, "telegram_rate": 10_000, "viva_starting_tokens": 100_000_000}
        async with world.viva(model=model, **rates) as viva:
            talk = turn.Talk(viva.telegram, viva.app.bot, model)
            person, _ = await world.at_home(talk.wire, viva.telegram)
            for size in sizes:
                await (keep_turns if what.startswith("turns") else keep_people)(viva, person.id, size)
                await settle(viva)
                for _ in range(WARM_UP):
                    await talk.turn(person, delay=0)
                found, waited, trips = [], 0.0, 0
                for _ in range(MEASURED):
                    viva.statements.forget()
                    found.append(await talk.turn(person, delay=0))
                    await viva.statements.quiet()
                    for transaction in viva.statements.since(found[-1].sent):
                        waited += transaction.waited
                        trips += len(transaction.statements)
                cells = world.milliseconds([each.added for each in found])
                say(f"| {size:,} | {cells} | {1000 * waited / MEASURED:.1f} | {trips / MEASURED:.1f} |")
    say(f"\n{world.circumstances()}")


async def settle(viva: world.World) -> None:
    """Do what Postgres would have done long ago with rows that came over years."""
    owner = await asyncpg.connect(viva.owner_url)
    try:
        for statement in ("vacuum (analyze)", "checkpoint"):
            await owner.execute(statement)
    finally:
        await owner.close()


async def keep_turns(viva: world.World, telegram_id: int, size: int) -> None:
    """As many turns of the person as `size`, spread over the years before."""
    for first in range(1, size + 1, BATCH):
        async with viva.app.database.as_service().transaction() as db:
            await db.execute(
                """
                insert into ai_conversations (id, user_id, role, message, context, created_at)
                select md5(a.user_id::text || n)::uuid, a.user_id, case n % 2 when 0 then 'user' else 'assistant' end,
                       'I have been thinking about how I spend my evenings, and what I would rather do, number ' || n,
                       jsonb_build_object('conversation_id', '00000000-0000-4000-8000-000000000000', 'tokens', 24),
                       now() - interval '1 day' - n * interval '10 minutes'
                  from viva.telegram_accounts a, generate_series($2::integer, $3::integer) n
                 where a.telegram_id = $1
                on conflict (id) do nothing
                """,
                telegram_id,
                first,
                min(first + BATCH - 1, size),
            )
    async with viva.app.database.as_service().transaction() as db:
        # Read for facts long ago: what is measured is a turn, not a reading.
        await db.execute("update viva.memory_passages set read_at = now() where read_at is null")
        await db.execute("update viva.memory_state set unread_tokens = 0")


async def keep_people(viva: world.World, telegram_id: int, size: int) -> None:
    """So many people in all, each with ten turns kept."""
    for first in range(1, size, BATCH):
        async with viva.app.database.as_service().transaction() as db:
            await db.execute(
                """
                insert into ai_conversations (user_id, role, message, context, created_at)
                select arrived.user_id, case n % 2 when 0 then 'user' else 'assistant' end, 'Something was said here.',
                       '{"tokens": 6}', now() - interval '1 day' - n * interval '1 hour'
                  from (select (viva.arrive(10000000 + number, 10000000 + number, 'Human', 'en', 1000)).user_id
                          from generate_series($1::integer, $2::integer) number
                         where not exists (select from viva.telegram_accounts where telegram_id = 10000000 + number)
                       ) arrived, generate_series(1, 10) n
                """,
                first,
                min(first + BATCH - 1, size - 1),
            )


def main() -> None:
    """Read the words and run."""

    def sizes(words: str) -> list[int]:
        return [int(word) for word in words.split(",")]

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=sizes, default=[10, 1_000, 100_000])
    parser.add_argument("--people", type=sizes, default=[10, 1_000, 10_000])
    words = parser.parse_args()
    asyncio.run(measure(turns=words.turns, people=words.people))


if __name__ == "__main__":
    main()
