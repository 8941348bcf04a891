"""The rules of reminders: which days and hours there are, and putting in those whose time has come."""

from __future__ import annotations

import logging

from bot.services.work import Work
from storage import reminders as store
from storage import work
from storage.database import Database

log = logging.getLogger(__name__)

DAYS = range(1, 8)
HOURS = range(7, 22)
"""The hours outside quiet hours."""

BATCH = 500


def toggled(days: list[int], day: int) -> list[int]:
    """The days with this one added or taken out; the last one stays."""
    changed = sorted(set(days) ^ {day})
    return changed or days


async def put_in(database: Database, _: Work) -> None:
    """Put in every reminder whose time has come as a job of its own, once.

    A reminder moves on to its next time in the transaction that puts the job in, and the job has the time it was due
    as its key: two processes, or one that is killed, neither lose nor double it.
    """
    put, passed_over = 0, 0
    while True:
        async with database.as_service().transaction() as db:
            due = await store.advance(db, limit=BATCH)
            await work.enqueue(
                db,
                [
                    work.NewWork(
                        lane=f"reminders:{each.chat_id}",
                        kind="job",
                        name="reminders.send",
                        key=f"reminders.send:{each.id}:{each.due_at.isoformat()}",
                        chat_id=each.chat_id,
                        telegram_id=each.telegram_id,
                        payload={"reminder": str(each.id)},
                    )
                    for each in due
                    if each.fits
                ],
            )
        put += sum(each.fits for each in due)
        passed_over += sum(not each.fits for each in due)
        if len(due) < BATCH:
            break
    if put or passed_over:
        log.info("reminders", extra={"put_in": put, "passed_over": passed_over})
