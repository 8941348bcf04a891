"""Lanes: claims due work, runs handlers and jobs, and sees to it that each ends in one commit."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping

from bot.engine.intake import UPDATE_LANES
from bot.engine.metrics import Metrics
from bot.engine.process import Process
from bot.errors import ModelUnavailable, ProviderClosed, VivaError
from bot.services.doors import Doors
from bot.services.upkeep import ServiceJob
from bot.services.work import GIVE_UP_AFTER, MOST_WAITED, Frames, Job, Work, passes
from storage import meter
from storage import work as store
from storage.database import Database, DatabaseUnavailable, Fenced, TooSlow, Transaction

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
"""How soon work that another process put in is seen; one's own is seen at once."""

CANCEL_POLL_SECONDS = 0.5

MOST_HANDLERS = 50
"""Handlers at once in one process. They take milliseconds; what else is due waits where memory is not."""

MOST_JOBS = 200
"""Jobs at once in one process: they mostly wait for a model, and never take the room of handlers."""

CLAIMS_AT_ONCE = 20

PUT_OFF_SECONDS = 10.0
"""How soon work is looked at again that a process of another version may know."""

JobKind = tuple[Callable[[Job, Doors], Awaitable[None]], Callable[[Job, Transaction, Exception], Awaitable[None]]]
"""What runs a job, and what is said and written when it gives up."""


class Unreadable(Exception):
    """An update of a shape nobody here knows: trying again would not help, and there is nothing to say to anybody."""


class Unlisted(Exception):
    """An update of a kind that this version does not know, while a process that started later may."""


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
        service_jobs: Mapping[str, ServiceJob] | None = None,
        alarm: Callable[[Work, str], None] = lambda work, error: None,
        metrics: Metrics | None = None,
    ) -> None:
        # `sorry` tells the person of work that is given up, `alarm` those who run VIVA.
        self._alarm = alarm
        self._metrics = metrics or Metrics()
        self._database = database
        self._service = database.as_service()
        self._claimer = database.as_claimer()
        self._process = process
        self._doors = doors
        self._frames = frames
        self._handle = handle
        self._sorry = sorry
        self._jobs = jobs
        self._service_jobs = service_jobs or {}
        self._outbox_wake = outbox_wake
        self._wake = asyncio.Event()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._fences: set[uuid.UUID] = set()
        self._in_doubt = False
        self._running_jobs: dict[int, Job] = {}

    def wake(self) -> None:
        """Look for work now."""
        self._wake.set()

    @property
    def running(self) -> tuple[int, int]:
        """How many handlers and how many jobs are under way."""
        handlers = sum(lane.startswith(UPDATE_LANES) for lane in self._running)
        return handlers, len(self._running) - handlers

    async def run(self) -> None:
        """Work until cancelled; what is running then is left to `drain`."""
        async with asyncio.TaskGroup() as both:
            both.create_task(self._watch_cancels())
            both.create_task(self._claim_on())

    async def _claim_on(self) -> None:
        while True:
            self._wake.clear()
            if not await self._claim():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(POLL_SECONDS):
                        await self._wake.wait()

    async def drain(self, *, seconds: float) -> None:
        """Give what is running time to end; what is not done then is taken up again by the next process."""
        tasks = set(self._running.values())
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _claim(self) -> int:
        handlers, jobs = self.running
        room, jobs_room = MOST_HANDLERS - handlers, MOST_JOBS - jobs
        if room <= 0 and jobs_room <= 0:
            return 0
        try:
            async with self._claimer.transaction() as transaction:
                if self._in_doubt:
                    await store.drop_unknown(transaction, process=self._process.id, known=list(self._fences))
                claims = await store.claim(
                    transaction,
                    process=self._process.id,
                    updates=min(max(room, 0), CLAIMS_AT_ONCE),
                    jobs=min(max(jobs_room, 0), CLAIMS_AT_ONCE),
                )
                # A statement of its own after the claim, so that work committed meanwhile is seen.
                heads = await store.heads(transaction, [claim.lane for claim in claims]) if claims else []
            self._in_doubt = False
        except DatabaseUnavailable as error:
            # The claim may have been made though nobody told us: then nobody works what it claimed.
            self._in_doubt = True
            log.warning("no work could be claimed: %s", error)
            await asyncio.sleep(POLL_SECONDS)
            return 0
        head_of = {head.lane: head for head in heads}
        for claim in claims:
            task = asyncio.create_task(self._work(claim, head_of.get(claim.lane)))
            self._running[claim.lane] = task
            self._fences.add(claim.fence)
            task.add_done_callback(lambda done, claim=claim: self._ended(claim, done))  # type: ignore[misc]
        return len(claims)

    def _ended(self, claim: store.Claim, task: asyncio.Task[None]) -> None:
        self._fences.discard(claim.fence)
        if self._running.get(claim.lane) is task:
            del self._running[claim.lane]
        self._wake.set()

    async def _work(self, claim: store.Claim, head: store.Head | None) -> None:
        """Work a lane's head to its commit, or leave it to another try; the lane is never left claimed."""
        extra = {"work": head.id, "job": head.name} if head is not None else {}
        try:
            if head is not None:
                await self._head(head, claim)
                return
        except Fenced:
            log.warning("work was taken over", extra=extra)
        except asyncio.CancelledError:
            with contextlib.suppress(DatabaseUnavailable):
                await self._drop(claim)
            raise
        except Exception as error:
            if not _counts(error):
                log.warning("work waits for the database: %s", error, extra=extra)
                await asyncio.sleep(POLL_SECONDS)
                await self._give_back(claim)
                return
            # What was to end the work failed itself; a fault of ours. Other work must not stand still for it.
            log.error("work failed", extra=extra | {"error": type(error).__name__, "where": where(error)})
            await asyncio.sleep(POLL_SECONDS)
            if head is not None:
                with contextlib.suppress(Exception):
                    await self._retry(head, claim, error)
        finally:
            self._outbox_wake()
        await self._give_back(claim)

    async def _head(self, head: store.Head, claim: store.Claim) -> None:
        if head.kind == "job":
            await self._job(head, claim)
        elif head.attempts >= GIVE_UP_AFTER:
            await self._park(head, claim, "gave up after too many tries")
        else:
            await self._update(head, claim)

    async def _give_back(self, claim: store.Claim) -> None:
        """Give the lane back if it is still ours, as soon as the database can be told."""
        while True:
            try:
                await self._drop(claim)
                return
            except DatabaseUnavailable:
                await asyncio.sleep(POLL_SECONDS)

    async def _drop(self, claim: store.Claim) -> None:
        async with self._service.transaction() as transaction:
            await store.drop_claim(transaction, claim)

    async def _update(self, head: store.Head, claim: store.Claim) -> None:
        work = Work(head, claim.fence)
        try:
            await self._handle(work)
            if not work.finished:
                raise RuntimeError(f"the update {head.name} ended without finishing")
        except Unreadable:
            await self._park(head, claim, "unreadable", tell=False)
        except Unlisted:
            async with self._service.transaction() as transaction:
                await store.put_off(transaction, head=head, fence=claim.fence, delay=PUT_OFF_SECONDS)
        except Exception as error:
            if not _counts(error):
                raise
            await self._failed(work, claim, error)
        else:
            self._metrics.count("viva_work_total", kind="update", outcome="done")
            for method, payload in work.answers:
                await self._frames.answer(method, payload)

    async def _service_job(self, run: ServiceJob, head: store.Head, claim: store.Claim) -> None:
        work = Work(head, claim.fence)
        try:
            if head.attempts >= GIVE_UP_AFTER:
                raise RuntimeError(f"the job {head.name} ended its process too often")
            await run(self._database, work)
            async with self._service.transaction() as transaction:
                await work.commit(transaction)
        except Exception as error:
            if not _counts(error):
                raise
            await self._failed(work, claim, error)

    async def _job(self, head: store.Head, claim: store.Claim) -> None:
        if (service_job := self._service_jobs.get(head.name)) is not None:
            await self._service_job(service_job, head, claim)
            return
        if head.name not in self._jobs:
            # While versions change, a newer process may have started it; where none comes, it was never a job.
            async with self._service.transaction() as transaction:
                waits = await store.put_off(transaction, head=head, fence=claim.fence, delay=PUT_OFF_SECONDS)
            if not waits:
                await self._park(head, claim, "no such job")
            return
        if head.user_id is None:
            await self._park(head, claim, "nobody to do it for")
            return
        run, give_up = self._jobs[head.name]
        async with self._service.transaction() as transaction:
            await meter.release(transaction, work_id=head.id)
            await store.still_ours(transaction, head=head, fence=claim.fence)
            steps = {step.step: step.result for step in await store.steps(transaction, head.id)}
        job = Job(head, claim.fence, database=self._database, frames=self._frames, steps=steps)
        self._running_jobs[head.id] = job
        try:
            if head.attempts >= GIVE_UP_AFTER:
                raise RuntimeError(f"the job {head.name} ended its process too often")
            await run(job, self._doors)
            if not job.finished:
                raise RuntimeError(f"the job {head.name} ended without finishing")
            self._metrics.count("viva_work_total", kind="job", outcome="done")
        except Exception as error:
            if not _counts(error):
                raise
            # What VIVA can explain is final, unless it is the passing kind; anything else gets another try.
            final = isinstance(error, VivaError) and not passes(error)
            if not final and not job.last_try:
                await self._failed(job, claim, error)
                return
            log.warning("job gave up", extra={"work": head.id, "job": head.name, "error": type(error).__name__})
            if head.attempts > GIVE_UP_AFTER:
                # Giving up has failed before.
                await self._park(head, claim, type(error).__name__)
                return
            job.forget_what_was_prepared()
            # A fault of ours is kept, to be tried once more when it is mended.
            ours = not isinstance(error, VivaError)
            async with job.finish(parked_for=type(error).__name__ if ours else None) as transaction:
                await give_up(job, transaction, error)
                if ours or isinstance(error, ProviderClosed):
                    self._alarm(job, type(error).__name__)
            self._metrics.count("viva_work_total", kind="job", outcome="parked" if ours else "gave up")
        finally:
            self._running_jobs.pop(head.id, None)

    async def _failed(self, work: Work, claim: store.Claim, error: Exception) -> None:
        """Leave failed work to another try, or park it and tell the person."""
        head = work.head
        name = type(error).__name__
        if not isinstance(error, VivaError):
            # The traceback's frames say where; the error's own text may carry a person's words.
            log.error("work failed", extra={"work": head.id, "job": head.name, "error": name, "where": where(error)})
        if head.attempts + 1 >= GIVE_UP_AFTER:
            await self._park(head, claim, name)
        else:
            await self._retry(head, claim, error)

    async def _retry(self, head: store.Head, claim: store.Claim, error: Exception) -> None:
        self._metrics.count("viva_work_total", kind=head.kind, outcome="retried")
        after = error.retry_after if isinstance(error, ModelUnavailable) else None
        delay = after if after is not None else min(60.0, 0.5 * 2 ** min(head.attempts, 10)) * random.uniform(0.8, 1.2)
        async with self._service.transaction() as transaction:
            await store.retry(
                transaction, head=head, fence=claim.fence, delay=min(delay, MOST_WAITED), error=type(error).__name__
            )

    async def _park(self, head: store.Head, claim: store.Claim, error: str, *, tell: bool = True) -> None:
        log.error("work parked", extra={"work": head.id, "job": head.name, "error": error})
        work = Work(head, claim.fence)
        if tell and head.chat_id is not None and head.user_id is not None:
            self._sorry(work)
        self._alarm(work, error)
        async with self._service.transaction() as transaction:
            await work.commit(transaction, state="parked", error=error)
        self._metrics.count("viva_work_total", kind=head.kind, outcome="parked")

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


def _counts(error: Exception) -> bool:
    """Whether this end of a try counts as one: not where the database was away, or another had taken the work over."""
    return isinstance(error, TooSlow) or not isinstance(error, (Fenced, DatabaseUnavailable))


def where(error: BaseException) -> str:
    """File, line and function of the last frames, without any value."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return " < ".join(reversed(frames[-6:]))
