"""Ticks: work that time puts in, once a period whatever number of processes run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from storage import work as store
from storage.database import Database, DatabaseUnavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Tick:
    """The service job `tick.<name>`, due at the beginning of each period of the length `every`, counted in UTC."""

    name: str
    every: timedelta

    def period(self, moment: datetime) -> int:
        """The number of the period in which the moment lies."""
        return (moment - datetime.fromtimestamp(0, UTC)) // self.every


TICKS = (
    Tick(name="grants", every=timedelta(hours=1)),
    Tick(name="ledger", every=timedelta(days=1)),
    Tick(name="pruning", every=timedelta(hours=1)),
    Tick(name="reflections", every=timedelta(hours=1)),
    Tick(name="narration", every=timedelta(hours=1)),
    Tick(name="room", every=timedelta(hours=1)),
    Tick(name="media", every=timedelta(days=1)),
    Tick(name="reminders", every=timedelta(minutes=5)),
)


class Schedule:
    """The clock of one process. Every process has one, and the key of the work makes each tick happen once."""

    def __init__(self, database: Database, *, wake: Callable[[], None], ticks: Sequence[Tick] = TICKS) -> None:
        self._service = database.as_service()
        self._wake = wake
        self._ticks = ticks
        self._put_in: dict[str, int] = {}

    async def run(self) -> None:
        """Look once a minute for what is due, until cancelled; the first time after a minute."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look(datetime.now(UTC))
            except DatabaseUnavailable as error:
                log.warning("what is due waits for the database: %s", error)

    async def look(self, moment: datetime) -> int:
        """Put in what is due at the moment and not put in yet; how many ticks were new to all processes."""
        periods = {tick.name: tick.period(moment) for tick in self._ticks}
        due = {name: period for name, period in periods.items() if self._put_in.get(name) != period}
        if not due:
            return 0
        work = [
            store.NewWork(lane=f"tick:{name}", kind="job", name=f"tick.{name}", key=f"tick:{name}:{period}", payload={})
            for name, period in due.items()
        ]
        async with self._service.transaction() as transaction:
            new = await store.enqueue(transaction, work)
        self._put_in |= due
        if new:
            self._wake()
        return new
