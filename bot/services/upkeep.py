"""What VIVA does by itself, for nobody in particular: monthly tokens, checking the ledger, removing what is old."""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.config import Settings
from bot.media import EXPORTS, Media, amount, key_for
from bot.services import reminders, scratch
from bot.services.work import Work
from prompts import replies
from storage import grants, journal_reflections, meter, narration, outbox, topup, upkeep
from storage import media as books
from storage import work as store
from storage.database import Database, Transaction
from storage.meter import Difference

log = logging.getLogger(__name__)

WORDS = replies.of("usage")
ROOM = replies.of("media")

BATCH = 500
"""People or rows in one transaction, so that none holds its locks for long."""

KEEP_WORK_DAYS = 7
"""For so long a repeated update or tap is still known. Telegram repeats an update for a day (Bot API, getUpdates)."""

KEEP_SENT_DAYS = 30
"""For so long a message can still be changed by the name under which it was sent."""

KEEP_BAD_DAYS = 90
"""For so long given up work can be put back into line, and a message of unknown arrival be asked for again."""

KEEP_HOLDS_DAYS = 90
"""For so long what a call might have cost tells what the like of it cost before. What it did cost stands elsewhere."""

MOST_NAMED = 20

ServiceJob = Callable[[Database, Work], Awaitable[None]]
"""What runs on the service's account: it may send messages through the work, which is committed afterwards."""


def jobs(settings: Settings, media: Media) -> Mapping[str, ServiceJob]:
    """Every job of this kind by name. Each can be run twice without harm."""
    return {
        "tick.grants": functools.partial(give_and_end, settings),
        "tick.ledger": functools.partial(check_ledger, settings),
        "tick.pruning": prune,
        "tick.reflections": look_back,
        "tick.narration": end_narrations,
        "tick.room": tell_of_room,
        "tick.media": functools.partial(sweep_media, settings.viva_home, media),
        "tick.reminders": reminders.put_in,
    }


async def give_and_end(settings: Settings, database: Database, work: Work) -> None:
    """End grants and subscriptions whose time is over, and give the monthly tokens to everybody who is due."""
    ended = await _all(database, lambda db: grants.expire(db, limit=BATCH))
    amount, cycles = settings.viva_drip_tokens, settings.viva_drip_rollover_cycles
    given = 0
    if amount:
        given = await _all(database, lambda db: grants.drip_due(db, amount=amount, cycles=cycles, limit=BATCH))
    lapsed = await _all(database, lambda db: topup.lapse(db, limit=BATCH))
    if ended or given or lapsed:
        log.info("monthly tokens", extra={"given": given, "ended": ended, "lapsed": lapsed})


async def check_ledger(settings: Settings, database: Database, work: Work) -> None:
    """Compare what is stored with what must be true; a difference is logged, and told to the admins by ids only."""
    differences = await ledger_differences(database)
    for one in differences:
        found = {"user": str(one.user_id), "rule": one.rule, "expected": str(one.expected), "found": str(one.found)}
        log.error("the ledger is not exact", extra=found)
    if differences:
        people = sorted({str(one.user_id) for one in differences})
        text = WORDS(
            "ledger_alarm", differences=len(differences), people=len(people), ids="\n".join(people[:MOST_NAMED])
        )
        for admin in sorted(settings.viva_admin_ids):
            work.send("sendMessage", {"text": text}, chat_id=admin)


async def ledger_differences(database: Database) -> list[Difference]:
    """Every difference between what is stored and what must be true, found some people at a time."""
    found: list[Difference] = []
    last = uuid.UUID(int=0)
    while True:
        async with database.as_service().transaction() as db:
            people = await meter.people_after(db, last, limit=BATCH)
            found += await meter.differences(db, people)
        if not people:
            return found
        last = people[-1]


async def prune(database: Database, work: Work) -> None:
    """Remove work that ended and marks of messages, once nobody needs them; what ended badly is kept longest."""
    pruned = {
        "done": await _all(database, lambda db: upkeep.prune_work(db, state="done", days=KEEP_WORK_DAYS, limit=BATCH)),
        "parked": await _all(
            database, lambda db: upkeep.prune_work(db, state="parked", days=KEEP_BAD_DAYS, limit=BATCH)
        ),
        "sent": await _all(
            database, lambda db: upkeep.prune_outbox(db, state="sent", days=KEEP_SENT_DAYS, limit=BATCH)
        ),
        "failed": await _all(
            database, lambda db: upkeep.prune_outbox(db, state="failed", days=KEEP_SENT_DAYS, limit=BATCH)
        ),
        "unknown": await _all(
            database, lambda db: upkeep.prune_outbox(db, state="unknown", days=KEEP_BAD_DAYS, limit=BATCH)
        ),
    }
    pruned["holds"] = await _all(database, lambda db: upkeep.prune_holds(db, days=KEEP_HOLDS_DAYS, limit=BATCH))
    if any(pruned.values()):
        log.info("pruned", extra=pruned)


async def look_back(database: Database, work: Work) -> None:
    """Put in the week's look back on the journal for everybody who wants it, once each week."""
    now, new, after = datetime.now(UTC), 0, None
    while True:
        async with database.as_service().transaction() as db:
            due = await journal_reflections.due(db, now, after=after, limit=BATCH)
            new += await store.enqueue(
                db,
                [
                    store.NewWork(
                        lane=f"journal_reflection:{one.chat_id}",
                        kind="job",
                        name="journal.reflect",
                        key=f"journal.reflect:{one.telegram_id}:{one.week_start.isoformat()}",
                        chat_id=one.chat_id,
                        telegram_id=one.telegram_id,
                        payload={"week": one.week_start.isoformat()},
                    )
                    for one in due
                ],
            )
        if len(due) < BATCH:
            break
        after = due[-1].telegram_id
    if new:
        log.info("weeks to look back on", extra={"people": new})


async def end_narrations(database: Database, work: Work) -> None:
    """Mark tracks as failed that wait for work which is no more, so that they can be asked for again."""
    ended = await _all(database, lambda db: narration.end_forgotten(db, limit=BATCH))
    if ended:
        log.warning("tracks were left behind", extra={"tracks": ended})


async def tell_of_room(database: Database, work: Work) -> None:
    """Tell people, once each time, that four fifths of their room for files are used, and nineteen twentieths."""
    told = -1
    while told:
        async with database.as_service().transaction() as db:
            told = await _tell(db)


async def _tell(db: Transaction) -> int:
    """Tell a batch of people; how many had passed a mark."""
    found = await books.to_tell(db, limit=BATCH)
    notes = [
        store.NewMessage(
            chat_id=one.chat_id,
            method="sendMessage",
            payload={"text": ROOM(f"room_{one.percent}", used=amount(one.used), quota=amount(one.quota))},
            unasked=True,
        )
        for one in found
        if one.percent
    ]
    await outbox.post(db, notes)
    return len(found)


async def sweep_media(home: Path, media: Media, database: Database, work: Work) -> None:
    """Bring the media store and its books together: files of nobody go, files that the books lack are counted.

    Exports go as well: by then they were sent. A file is left alone for a day, in case its row is only just being
    written. So is a folder of a job, in case the job is still at work.
    """
    await asyncio.to_thread(scratch.sweep, home)
    removed = 0
    async for batch in media.people(before=datetime.now(UTC) - timedelta(days=1)):
        async with database.as_service().transaction() as db:
            nobody = await books.unknown(db, batch)
        sent = [key for key, owner, _ in batch if key.startswith(key_for(owner, EXPORTS, ""))]
        for key in {*nobody, *sent}:
            await media.delete(key)
        removed += len(nobody)
    async with database.as_service().transaction() as db:
        waiting = await books.unstored(db, limit=BATCH)
    for key in waiting:
        there = await media.has(key)
        async with database.as_service().transaction() as db:
            await (books.stored(db, key) if there else books.forget(db, [key]))
    if removed:
        log.warning("files of nobody were removed", extra={"files": removed})


async def _all(database: Database, step: Callable[[Transaction], Awaitable[int]]) -> int:
    """Take the step, a transaction each, until it finds nothing more to do; how much it did."""
    total = 0
    while True:
        async with database.as_service().transaction() as db:
            done = await step(db)
        if done == 0:
            return total
        total += done
