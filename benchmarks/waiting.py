"""What waits for what: a talk's answer behind a round of reminders, and a payment's question beside a long answer.

.venv/bin/python -m benchmarks.waiting
"""

from __future__ import annotations

import asyncio
import time

from benchmarks import turn, world
from benchmarks.world import World, say
from bot.playground.chats import Person
from storage import outbox
from storage.work import NewMessage

PEOPLE = 600
"""People who get a message each at one moment, as at nine o'clock. At 30 a second they take 19 seconds."""

BATCH = 50
RATE = 30
ANSWER_AFTER = 6.0
LOOK_AFTER = 12.0

QUESTIONS = 100


async def measure_round(*, unasked: bool) -> None:
    """Post a round of messages, and an answer into the middle of it; print in which order what was sent."""
    rates = {"telegram_chat_rate": 1.0, "telegram_rate": float(RATE), "viva_starting_tokens": 1000}
    async with world.viva(**rates) as viva:
        service = viva.app.database.as_service()
        people = [viva.telegram.person(first_name=f"P{number}") for number in range(PEOPLE + 1)]
        async with service.transaction() as db:
            for person in people:
                await db.execute("select (viva.arrive($1::bigint, $1::bigint, 'P', 'en', 1000)).chat_id", person.id)
                viva.telegram.chats.chat(person.id).started = True
        viva.statements.forget()
        began = time.perf_counter()
        for place in range(1, len(people), BATCH):
            async with service.transaction() as db:
                await outbox.post(db, [_message(each.id, unasked=unasked) for each in people[place : place + BATCH]])
        viva.app._outbox.wake()
        await asyncio.sleep(began + ANSWER_AFTER - time.perf_counter())
        asked = time.perf_counter()
        async with service.transaction() as db:
            await outbox.post(db, [_message(people[0].id, key="answer")])
        viva.app._outbox.wake()
        answer = asyncio.create_task(_first_message(viva, people[0]))
        await asyncio.sleep(began + LOOK_AFTER - time.perf_counter())
        transactions = len(viva.statements.since(began))
        async with service.transaction() as db:
            order = await db.value("select array_agg(id) from viva.outbox where state = 'sent' and key is null")
            oldest = await db.value("select min(id) from viva.outbox where state = 'waiting' and key is null")
        passed = sum(number > oldest for number in order)
        answered = await answer - asked
        cells = f"{len(order)} | {passed} | {transactions / len(order):.1f} | {answered:.2f}"
        say(f"| {'nobody waits' if unasked else 'somebody waits'} | {cells} |")


async def _first_message(viva: World, person: Person) -> float:
    while not viva.telegram.messages(person):
        await viva.telegram.chats.wait_for_change(world.PATIENCE)
    return time.perf_counter()


def _message(chat_id: int, *, unasked: bool = False, key: str | None = None) -> NewMessage:
    return NewMessage(chat_id=chat_id, method="sendMessage", payload={"text": "Hello."}, unasked=unasked, key=key)


async def measure_payments() -> None:
    """Ask whether a payment may go through, at rest and while an answer to the same person is being written."""
    model = turn.TimedModel()
    rates = {"telegram_chat_rate": 1000.0, "telegram_rate": 10_000.0, "viva_starting_tokens": 1_000_000}
    async with world.viva(model=model, **rates) as viva:
        talk = turn.Talk(viva.telegram, viva.app.bot, model)
        person, _ = await world.at_home(talk.wire, viva.telegram)
        for when in ("at rest", "while an answer to them is written"):
            if when != "at rest":
                model.hold(after=3)
                await viva.telegram.send_text(person, "Tell me of the sea.")
                await model.held()
            took = []
            for _ in range(QUESTIONS):
                began = time.perf_counter()
                await viva.telegram.ask_to_pay(person, stars=1, payload="not an order")
                took.append(time.perf_counter() - began)
            say(f"| {when} | {world.milliseconds(took)} | {1000 * max(took):.0f} |")
        model.release()


async def measure() -> None:
    """Run it all and print the tables."""
    say(f"{world.circumstances()}\n")
    columns = f"sent after {LOOK_AFTER:.0f} s | newer than one unsent | transactions a send | an answer waits, s"
    say(f"| {PEOPLE} at once, for which | {columns} |")
    say("|---|---|---|---|---|")
    await measure_round(unasked=False)
    await measure_round(unasked=True)
    say("\n| a payment's question is answered, ms | p50 | p99 | the longest |")
    say("|---|---|---|---|")
    await measure_payments()


if __name__ == "__main__":
    asyncio.run(measure())
