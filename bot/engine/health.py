"""How a process and the engine stand: a line in the log when work lags, `/metrics` and `/healthz` where asked for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

from aiohttp import web

from bot.engine.intake import LONG_POLL_SECONDS, Intake
from bot.engine.lanes import Lanes
from bot.engine.metrics import Metrics, Sample
from bot.engine.outbox import Outbox
from storage import work as store
from storage.database import Database, DatabaseUnavailable
from storage.work import Standing

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
LAG_SECONDS = 5.0
"""Work that is late by more is worth a line in the log."""

SICK_LAG_SECONDS = 300.0
"""Work or a message that is late by more means that something is broken, or that there are too few processes."""

POLL_SILENCE_SECONDS = LONG_POLL_SECONDS + 60.0


class Health:
    """What can be said of one process, and through the database of all."""

    def __init__(
        self, database: Database, *, intake: Intake, lanes: Lanes, outbox: Outbox, metrics: Metrics, polling: bool
    ) -> None:
        self._service = database.as_service()
        self._intake, self._lanes, self._outbox = intake, lanes, outbox
        self._metrics = metrics
        self._polling = polling
        self._started = time.monotonic()
        self._lagged = False

    async def run(self) -> None:
        """Look every ten seconds how the work stands, and say so in the log where it lags; until cancelled.

        As often ask whether a token that was refused still is.
        """
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            await self._outbox.ask_again()
            await self.look()

    async def look(self) -> Standing | None:
        """How the engine stands, None where the database does not answer."""
        try:
            async with self._service.transaction() as transaction:
                standing = await store.standing(transaction)
        except DatabaseUnavailable:
            return None
        lagging = max(standing.work_lag, standing.messages_lag) > LAG_SECONDS
        if lagging:
            log.warning("work lags behind", extra=standing.model_dump())
        elif self._lagged:
            log.info("work has caught up", extra=standing.model_dump())
        self._lagged = lagging
        return standing

    def problems(self, standing: Standing | None) -> list[str]:
        """What somebody has to look at, in a few words each; empty = well."""
        found = []
        if standing is None:
            found.append("the database does not answer")
        else:
            for what, lag in (("work is", standing.work_lag), ("messages are", standing.messages_lag)):
                if lag > SICK_LAG_SECONDS:
                    found.append(f"{what} late by {lag:.0f} s")
        if self._outbox.refused:
            found.append("Telegram refuses the token")
        if self._polling and self._intake.leads:
            if self._intake.refused is not None:
                found.append(f"Telegram refuses to be polled: {self._intake.refused}")
            elif self._poll_age() > POLL_SILENCE_SECONDS:
                found.append(f"Telegram has not answered a poll for {self._poll_age():.0f} s")
        return found

    def _poll_age(self) -> float:
        return time.monotonic() - (self._intake.polled_at or self._started)

    def _gauges(self, standing: Standing | None) -> Iterator[Sample]:
        yield "viva_database", {}, 0.0 if standing is None else 1.0
        handlers, jobs = self._lanes.running
        yield "viva_running", {"kind": "update"}, handlers
        yield "viva_running", {"kind": "job"}, jobs
        yield "viva_refused", {}, float(self._outbox.refused or self._intake.refused is not None)
        if self._polling:
            yield "viva_polls", {}, float(self._intake.leads)
            if self._intake.leads:
                yield "viva_poll_age_seconds", {}, self._poll_age()
        if standing is not None:
            yield "viva_waiting", {"kind": "update"}, standing.updates
            yield "viva_waiting", {"kind": "job"}, standing.jobs
            yield "viva_waiting", {"kind": "message"}, standing.messages
            yield "viva_lag_seconds", {"of": "work"}, standing.work_lag
            yield "viva_lag_seconds", {"of": "messages"}, standing.messages_lag
            yield "viva_lag_seconds", {"of": "unasked"}, standing.unasked_lag
            yield "viva_parked", {}, standing.parked
            yield "viva_unknown_messages", {}, standing.unknown
            yield "viva_processes", {}, standing.processes

    def application(self) -> web.Application:
        """`/metrics` for Prometheus; `/healthz`, which says 200 and "well", or 503 and what is wrong."""

        async def metrics(_: web.Request) -> web.Response:
            text = self._metrics.text(self._gauges(await self.look()))
            return web.Response(body=text.encode(), headers={"Content-Type": "text/plain; version=0.0.4"})

        async def healthz(_: web.Request) -> web.Response:
            problems = self.problems(await self.look())
            return web.Response(status=503 if problems else 200, text="\n".join(problems or ["well"]) + "\n")

        application = web.Application()
        application.router.add_get("/metrics", metrics)
        application.router.add_get("/healthz", healthz)
        return application
