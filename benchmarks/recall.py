"""Recall on a diary of 5,000 entries: how often what was meant is among the first five, and how long it takes.

    .venv/bin/python -m benchmarks.recall

The diary is made by rule from a fixed seed: entries of 40 to 120 words about people, places and doings that return
again and again. Each question is about one entry. With vectors it is the stand-in's embeddings that are measured, which
know words and no meaning; a real model's find more of the second kind of question.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from benchmarks.world import circumstances, milliseconds, say, temporary_folder
from bot.ai.embeddings import DIMENSIONS
from bot.playground import model_answers
from bot.playground.postgres import EmbeddedPostgres
from bot.services import recall
from storage import conversations, migrate
from storage import recall as store
from storage.database import Actor, Database

ENTRIES = 5_000
QUESTIONS = 200
MODEL = "stand-in"

PEOPLE = (
    "Edith",
    "Jonas",
    "Maria",
    "Tomas",
    "Ruth",
    "Amir",
    "Nora",
    "Felix",
    "Clara",
    "Ivan",
    "Lena",
    "Oskar",
    "Priya",
)
PLACES = (
    "harbour",
    "market",
    "library",
    "garden",
    "office",
    "station",
    "kitchen",
    "lake",
    "bakery",
    "theatre",
    "forest",
)
DOINGS = (
    ("repaired the boat", "the repairing of a boat"),
    ("planted olive trees", "planting an olive tree"),
    ("argued about money", "the argument over money"),
    ("rehearsed the concert", "a concert rehearsal"),
    ("painted the fence", "painting a fence"),
    ("waited for the letter", "waiting on letters"),
    ("cooked lentil soup", "cooking lentils"),
    ("read old poems", "reading an old poem"),
    ("measured the window", "measuring windows"),
    ("lost the keys", "losing a key"),
    ("watched the heron", "watching herons"),
    ("counted the coins", "counting coins"),
    ("wrote the speech", "writing speeches"),
    ("climbed the tower", "climbing towers"),
    ("buried the bird", "burying a bird"),
    ("mended the bicycle", "mending bicycles"),
)
FILLING = (
    "The morning was grey and I was slow to begin",
    "I slept badly again",
    "Coffee helped a little",
    "Somebody laughed in the street",
    "I thought about what I want and found no words for it",
    "The rain came and went",
    "I was glad of the quiet afterwards",
    "My back hurt in the evening",
    "We talked for a while about nothing much",
    "I would like more days like this",
    "It was late when I came home",
    "The bread was still warm",
    "I must call the bank next week",
    "The light was beautiful at six",
    "I felt tired and light at once",
)


@dataclass(frozen=True)
class Entry:
    """What an entry is about, and what is asked about it."""

    id: uuid.UUID
    text: str
    said_at: datetime
    in_its_words: str
    in_other_words: str
    by_its_month: str


def diary(now: datetime) -> list[Entry]:
    """Five years of entries, each about one doing with one person at one place, most of which return."""
    dice = random.Random(5)
    entries = []
    for number in range(ENTRIES):
        who, where = dice.choice(PEOPLE), dice.choice(PLACES)
        done, doing = dice.choice(DOINGS)
        filling = dice.sample(FILLING, dice.randint(3, 9))
        filling.insert(dice.randrange(len(filling)), f"{who} and I {done} at the {where}")
        said_at = now - timedelta(days=(ENTRIES - number) * 5 * 365 / ENTRIES + 8)
        entries.append(
            Entry(
                id=uuid.UUID(int=dice.getrandbits(128), version=4),
                text=". ".join(filling) + ".",
                said_at=said_at,
                in_its_words=f"When was it that {who} and I {done} at the {where}?",
                in_other_words=f"Do you remember {doing} with {who}, somewhere near the {where}?",
                by_its_month=f"What was it with {who} in {said_at:%B %Y}, {doing}?",
            )
        )
    return entries


async def keep(actor: Actor, entries: Sequence[Entry]) -> None:
    """Write the diary as its person."""
    for start in range(0, len(entries), 500):
        async with actor.transaction() as db:
            for entry in entries[start : start + 500]:
                await db.execute(
                    "insert into journal_entries (id, content, date, created_at) values ($1, $2, $3, $4)",
                    entry.id,
                    entry.text,
                    entry.said_at.date(),
                    entry.said_at,
                )


async def embed(actor: Actor) -> None:
    """Give every passage its vector."""
    while True:
        async with actor.transaction() as db:
            passages = await store.without_vector(db, model=MODEL, limit=200)
            for passage in passages:
                vector = model_answers.embedding(passage.text, dimensions=DIMENSIONS)
                await store.keep_vector(db, passage.id, vector, model=MODEL, text=passage.text)
        if not passages:
            return


async def ask(
    actor: Actor, entries: Sequence[Entry], kind: str, *, meaning: bool, now: datetime
) -> tuple[float, list[float]]:
    """The share of questions whose entry was among the first five, and the seconds each took."""
    alike: dict[str, set[uuid.UUID]] = {}
    for entry in entries:
        # Several entries may be about the very same: any of them is right.
        alike.setdefault(getattr(entry, kind), set()).add(entry.id)
    hits, seconds = 0, []
    for entry in random.Random(7).sample(list(entries), QUESTIONS):
        question = getattr(entry, kind)
        vector = model_answers.embedding(question, dimensions=DIMENSIONS) if meaning else None
        turn = conversations.Turn(
            id=uuid.uuid4(), role="user", message=question, context={}, created_at=datetime.now(UTC)
        )
        started = time.perf_counter()
        async with actor.transaction() as db:
            known = await recall.standing(db, zone=now.tzinfo)
            found = await recall.recollect(
                db, asked=turn, known=known, shown=[], now=now, vector=vector, vectors_of=MODEL
            )
        seconds.append(time.perf_counter() - started)
        texts = [line.text for line in found.remembered.recalled]
        wanted = [each for each in entries if each.id in alike[question]]
        hits += any(f"{each.said_at.day} {each.said_at:%B %Y}" in text for each in wanted for text in texts)
    return hits / QUESTIONS, seconds


async def main() -> None:
    """Print the figures."""
    say(circumstances())
    now = datetime.now(UTC)
    entries = diary(now)
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        postgres = EmbeddedPostgres(folder / "home")
        await postgres.start()
        stack.push_async_callback(postgres.erase)
        await migrate.migrate(postgres.admin_url)
        database = await Database.connect(postgres.url(), pool_size=2)
        stack.push_async_callback(database.close)
        async with database.as_service().transaction() as db:
            user_id = await db.value("select user_id from viva.arrive(1, 1, 'Ada', 'en', 1000)")
        actor = database.as_user(user_id)
        started = time.perf_counter()
        await keep(actor, entries)
        say(f"\nan entry kept with its passage: {(time.perf_counter() - started) / ENTRIES * 1000:.2f} ms\n")
        say("| question | found by | among the first five | ms p50 | p99 |")
        say("|---|---|---|---|---|")
        for meaning in (False, True):
            if meaning:
                await embed(actor)
            for kind, label in (
                ("in_its_words", "in the entry's words"),
                ("in_other_words", "in other forms of them"),
                ("by_its_month", "by month and person"),
            ):
                share, seconds = await ask(actor, entries, kind, meaning=meaning, now=now)
                how = "words, time, vectors" if meaning else "words, time"
                say(f"| {label} | {how} | {share:.1%} | {milliseconds(seconds)} |")


if __name__ == "__main__":
    asyncio.run(main())
