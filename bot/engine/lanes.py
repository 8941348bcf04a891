"""Lanes: claims due work, runs handlers and jobs, and sees to it that each ends in one commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping

from bot.engine.process import Process
from bot.errors import ModelUnavailable, VivaError
from bot.services.doors import Doors
from bot.services.work import GIVE_UP_AFTER, Frames, Job, Work
from storage import work as store
from storage.database import Database, DatabaseUnavailable, Fenced, Transaction

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""How soon work that another process put in is seen; one's own is seen at once."""

CANCEL_POLL_SECONDS = 0.5
MOST_RUNNING = 200

JobKind = tuple[Callable[[Job, Doors], Awaitable[None]], Callable[[Job, Transaction, Exception], Awaitable[None]]]
"""What runs a job, and what is said and written when it gives up."""


class Lanes:
    """The workers of one process."""

    def __init__(
        self,
        database: Database,
        process: Process,
        *,
        doors: Doors,
        frames: Frames,
        handle: Callable[[Work], Awaitable[None]],
        sorry: Callable[[Work], None],
        jobs: Mapping[str, JobKind],
        outbox_wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._service = database.as_service()
        self._process = process
        self._doors = doors
        self._frames = frames
        self._handle = handle
        self._sorry = sorry
        self._jobs = jobs
        self._outbox_wake = outbox_wake
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._running_jobs: dict[int, Job] = {}

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what is running then is left to `drain`."""
        watch = asyncio.create_task(self._watch_cancels())
        try:
            while True:
                self._wake.clear()
                claimed = await self._claim()
                if not claimed:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(POLL_SECONDS):
                            await self._wake.wait()
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def drain(self, *, seconds: float) -> None:
        """Give what is running time to end; what is not done then is taken up again by the next process."""
        tasks = set(self._running.values())
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _claim(self) -> int:
        room = MOST_RUNNING - len(self._running)
        if room <= 0:
            return 0
        try:
            async with self._service.transaction() as transaction:
                claims = await store.claim(transaction, process=self._process.id, limit=min(room, 20))
            if not claims:
                return 0
            # Heads are read in a new statement after the claim, so that work committed meanwhile is seen.
            async with self._service.transaction() as transaction:
                heads = {head.lane: head for head in await store.heads(transaction, [c.lane for c in claims])}
        except DatabaseUnavailable as error:
            log.warning("no work could be claimed: %s", error)
            await asyncio.sleep(POLL_SECONDS)
            return 0
        for claim in claims:
            task = asyncio.create_task(self._work(claim, heads.get(claim.lane)))
            self._running[claim.lane] = task
            task.add_done_callback(lambda done, lane=claim.lane: self._ended(lane, done))  # type: ignore[misc]
        return len(claims)

    def _ended(self, lane: str, task: asyncio.Task[None]) -> None:
        if self._running.get(lane) is task:
            del self._running[lane]
        self._wake.set()

    async def _work(self, claim: store.Claim, head: store.Head | None) -> None:
        """Work a lane's head to its commit, or leave it to another try; the lane is never left claimed."""
        try:
            if head is None:
                await self._drop(claim)
            elif head.attempts >= GIVE_UP_AFTER:
                await self._park(head, claim, "gave up after too many tries")
            elif head.kind == "update":
                await self._update(head, claim)
            else:
                await self._job(head, claim)
            self._outbox_wake()
        except Fenced:
            log.warning("work was taken over", extra={"work": head.id if head else None})
            await self._drop(claim)
        except DatabaseUnavailable as error:
            log.warning("work waits for the database: %s", error, extra={"work": head.id if head else None})
            await asyncio.sleep(POLL_SECONDS)
            await self._drop(claim)
        except asyncio.CancelledError:
            await self._drop(claim)
            raise

    async def _drop(self, claim: store.Claim) -> None:
        with contextlib.suppress(DatabaseUnavailable):
            async with self._service.transaction() as transaction:
                await store.drop_claim(transaction, claim)

    async def _update(self, head: store.Head, claim: store.Claim) -> None:
        work = Work(head, claim.fence)
        try:
            await self._handle(work)
        except (Fenced, DatabaseUnavailable):
            raise
        except Exception as error:
            await self._failed(work, claim, error)

    async def _job(self, head: store.Head, claim: store.Claim) -> None:
        if head.name not in self._jobs or head.user_id is None:
            await self._park(head, claim, "no such job" if head.user_id else "nobody to do it for")
            return
        run, give_up = self._jobs[head.name]
        async with self._service.transaction() as transaction:
            steps = {step.step: step.result for step in await store.steps(transaction, head.id)}
        job = Job(head, claim.fence, database=self._database, frames=self._frames, steps=steps)
        self._running_jobs[head.id] = job
        try:
            await run(job, self._doors)
            if not job.finished:
                raise RuntimeError(f"the job {head.name} ended without finishing")
        except (Fenced, DatabaseUnavailable):
            raise
        except Exception as error:
            # What VIVA can explain is final, unless it is the passing kind; anything else gets another try.
            final = isinstance(error, VivaError) and not isinstance(error, ModelUnavailable)
            if final or job.last_try:
                log.warning("job gave up", extra={"work": head.id, "job": head.name, "error": type(error).__name__})
                job.forget_what_was_prepared()
                async with job.finish() as transaction:
                    await give_up(job, transaction, error)
            else:
                await self._failed(job, claim, error)
        finally:
            self._running_jobs.pop(head.id, None)

    async def _failed(self, work: Work, claim: store.Claim, error: Exception) -> None:
        """Leave failed work to another try, or park it and tell the person."""
        head = work.head
        name = type(error).__name__
        if not isinstance(error, VivaError):
            # The traceback's frames say where; the error's own text may carry a person's words.
            log.error("work failed", extra={"work": head.id, "job": head.name, "error": name, "where": _where(error)})
        if head.attempts + 1 >= GIVE_UP_AFTER:
            await self._park(head, claim, name)
            return
        after = error.retry_after if isinstance(error, ModelUnavailable) else None
        delay = after if after is not None else min(60.0, 0.5 * 2**head.attempts) * random.uniform(0.8, 1.2)
        async with self._service.transaction() as transaction:
            await store.retry(transaction, head=head, fence=claim.fence, delay=min(delay, 300.0), error=name)

    async def _park(self, head: store.Head, claim: store.Claim, error: str) -> None:
        log.error("work parked", extra={"work": head.id, "job": head.name, "error": error})
        work = Work(head, claim.fence)
        if head.chat_id is not None and head.user_id is not None:
            self._sorry(work)
        async with self._service.transaction() as transaction:
            await work.commit(transaction, state="parked", error=error)

    async def _watch_cancels(self) -> None:
        while True:
            await asyncio.sleep(CANCEL_POLL_SECONDS)
            await self.look_for_cancels()

    async def look_for_cancels(self) -> None:
        """Stop those running jobs that somebody asked to stop."""
        if not self._running_jobs:
            return
        with contextlib.suppress(DatabaseUnavailable):
            async with self._service.transaction() as transaction:
                asked = await store.cancelled(transaction, list(self._running_jobs))
            for work_id in asked:
                if (job := self._running_jobs.get(work_id)) is not None:
                    job.stop.set()


def _where(error: BaseException) -> str:
    """File, line and function of the last frames, without any value."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " < ".join(reversed(frames[-6:]))
