"""The engine alone, as several processes of one database: what they do stands in a table, by lane and number."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import asyncpg

from bot.engine.lanes import JobKind, Lanes
from bot.engine.process import Process
from bot.services.work import Work
from storage import people
from storage import work as store
from storage.database import Database
from storage.work import NewWork
from tests.conftest import DatabaseUrls

PATIENCE = 180.0
ONE_HOUR = SimpleNamespace(now=lambda zone: datetime(2026, 11, 24, 12, tzinfo=zone))
"""A `datetime` by which it stays the same hour, for what happens once an hour."""


class NoFrames:
    """Passing signs that nobody sees."""

    async def draft(self, chat_id: int, draft_id: int, text: str) -> None:
        """Show nothing."""

    def refused(self, chat_id: int) -> bool:
        """Nobody refuses what nobody sees."""
        return False

    async def settle(self, chat_id: int) -> None:
        """Nothing is pending."""

    async def action(self, chat_id: int, action: str) -> None:
        """Show nothing."""


class Worker:
    """One process: its own connections, its own claims."""

    def __init__(self, database: Database, crew: Crew) -> None:
        self.database = database
        self.process = Process(database)
        self.lanes = Lanes(
            database,
            self.process,
            doors=None,  # type: ignore[arg-type]
            frames=NoFrames(),
            handle=lambda work: crew.handle(self, work),
            sorry=lambda work: work.send("sendMessage", {"text": "sorry"}),
            jobs=crew.jobs,
            outbox_wake=lambda: None,
        )
        self._running: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Sign on and work."""
        await self.process.start()
        self._running = [asyncio.create_task(self.process.run()), asyncio.create_task(self.lanes.run())]

    async def take_no_more(self) -> None:
        """Claim nothing from now on, as at the beginning of every shutdown; what is running goes on."""
        for task in reversed(self._running):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stop(self) -> None:
        """Leave in order."""
        await self.take_no_more()
        await self.lanes.drain(seconds=PATIENCE)
        await self.process.stop()
        await self.database.close()

    async def die(self) -> None:
        """Be gone in the middle of everything, as after kill -9: every connection breaks, nothing is given back."""
        assert self.process._lock is not None
        self.database._pool.terminate()
        self.process._lock._connection.terminate()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self.lanes.drain(seconds=0)


class Crew:
    """The processes, the work they are given, and what they did."""

    def __init__(self, urls: DatabaseUrls, database: Database) -> None:
        self.urls = urls
        self.database = database
        self.service = database.as_service()
        self.workers: list[Worker] = []
        self.jobs: dict[str, JobKind] = {}
        self.before: Callable[[Work], Awaitable[None]] | None = None

    async def hire(self) -> Worker:
        """One more process, at work."""
        worker = Worker(await Database.connect(self.urls.service, pool_size=3), self)
        await worker.start()
        self.workers.append(worker)
        return worker

    async def handle(self, worker: Worker, work: Work) -> None:
        """What an update does: one row, in the commit that ends it."""
        if self.before is not None:
            await self.before(work)
        async with worker.database.as_service().transaction() as transaction:
            await transaction.execute(
                "insert into public.effects (lane, number) values ($1, $2)", work.head.lane, work.head.payload["number"]
            )
            await work.commit(transaction)

    async def give(self, *work: NewWork) -> int:
        """Put work in; how many were new."""
        async with self.service.transaction() as transaction:
            added = await store.enqueue(transaction, work)
        for worker in self.workers:
            worker.lanes.wake()
        return added

    async def effects(self) -> dict[str, list[int]]:
        """The numbers done, by lane, in the order of their commits."""
        done: dict[str, list[int]] = {}
        for row in await self.rows("select lane, number from public.effects order by id"):
            done.setdefault(row["lane"], []).append(row["number"])
        return done

    async def person(self, telegram_id: int = 700) -> uuid.UUID:
        """Somebody who has arrived."""
        async with self.service.transaction() as transaction:
            account = await people.arrive(
                transaction,
                telegram_id=telegram_id,
                chat_id=telegram_id,
                first_name="Ada",
                language_code="en",
                starting_tokens=1000,
            )
        return account.user_id

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows as the service sees them."""
        async with self.service.transaction() as transaction:
            return [dict(row) for row in await transaction._connection.fetch(sql, *values)]

    async def as_admin(self, sql: str) -> None:
        """A statement that the service may not make."""
        connection = await asyncpg.connect(self.urls.admin)
        await connection.execute(sql)
        await connection.close()

    async def until(self, sql: str, *values: object) -> None:
        """Wait until this query finds a row."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while not await self.rows(sql, *values):
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(
                    f"never: {sql}; {await self.rows('select * from viva.work where state <> $1', 'done')}"
                )
            await asyncio.sleep(0.02)

    async def done(self, *, hurry: bool = False) -> None:
        """Wait until no work is left; with `hurry`, tries that wait for later are made now."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while left := await self.rows(
            "select lane, name, attempts, error, due_at from viva.work where state = 'waiting'"
        ):
            if asyncio.get_running_loop().time() > until:
                raise AssertionError(f"left undone: {left}; {await self.rows('select * from viva.lanes')}")
            if hurry:
                # What somebody has in hand is passed over: whoever waited for several of them could wait in a circle.
                await self.rows(
                    """
                    update viva.work set due_at = now() where id in (
                      select id from viva.work where state = 'waiting' and due_at > now() for update skip locked)
                    """
                )
                await self.rows(
                    """
                    update viva.lanes set due_at = now() where lane in (
                      select lane from viva.lanes where claimed_by is null and due_at > now() for update skip locked)
                    """
                )
            await asyncio.sleep(0.02)


async def break_connections(urls: DatabaseUrls) -> None:
    """Break every connection that a process has at this moment, but for the one that shows it is alive."""
    connection = await asyncpg.connect(urls.admin)
    await connection.execute(
        """
        select pg_terminate_backend(pid) from pg_stat_activity
         where datname = current_database() and application_name = 'viva'
        """
    )
    await connection.close()


def update(number: int, *, lane: str = "chat:1", **more: Any) -> NewWork:
    """The update of this number, known by it in its lane."""
    key = f"update:{lane}:{number}"
    return NewWork(lane=lane, kind="update", name="message", key=key, payload={"number": number}, **more)


def job(name: str, *, person: int = 700, lane: str = "talk:700", **payload: Any) -> NewWork:
    """A job of somebody."""
    key = f"{name}:{uuid.uuid4()}"
    return NewWork(lane=lane, kind="job", name=name, key=key, chat_id=person, telegram_id=person, payload=payload)


@contextlib.asynccontextmanager
async def crew_on(urls: DatabaseUrls) -> AsyncIterator[Crew]:
    """A crew without anybody in it yet."""
    database = await Database.connect(urls.service, pool_size=2)
    crew = Crew(urls, database)
    await crew.as_admin(
        """
        create table public.effects (id bigint generated always as identity, lane text, number integer);
        grant select, insert on public.effects to service_role, authenticated
        """
    )
    try:
        yield crew
    finally:
        for worker in crew.workers:
            await worker.stop()
        await database.close()
