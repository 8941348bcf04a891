"""The liveness of a process: a session advisory lock, a sign of life, and burying those that died."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import random
import socket
import time
import uuid

from storage import work as store
from storage.database import Database, DatabaseUnavailable, SessionLock

log = logging.getLogger(__name__)

BEAT_SECONDS = 2.0
STALE_SECONDS = 30.0
"""A process that gave no sign of life for so long is fenced, also if it still holds its lock."""

LOCK_CLASS = 7681


class Process:
    """This process, as the others see it."""

    def __init__(self, database: Database) -> None:
        self._service = database.as_service()
        self._database = database
        self._lock: SessionLock | None = None
        self._started = time.monotonic()
        self.id = uuid.uuid4()

    async def start(self) -> None:
        """Sign on and free at once what dead processes held."""
        await self._sign_on()
        await self._bury()

    async def _sign_on(self) -> None:
        # The lock comes before the row, and the row before anything is claimed in its name: whoever finds a row
        # without its lock, or a claim without its row, knows that the process is dead.
        name = uuid.uuid4()
        number = random.randrange(2**31) if self._database.keeps_sessions else None
        lock = None if number is None else await self._database.session_lock(LOCK_CLASS, number)
        try:
            async with self._service.transaction() as transaction:
                await store.register_process(
                    transaction,
                    process=name,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    number=number,
                    age=time.monotonic() - self._started,
                )
        except BaseException:
            if lock is not None:
                await lock.release()
            raise
        self._lock, self.id = lock, name

    async def _lock_again(self) -> bool:
        """Take a lock in the place of one that broke, as when Postgres was restarted; False when declared dead."""
        number = random.randrange(2**31)
        lock = await self._database.session_lock(LOCK_CLASS, number)
        try:
            async with self._service.transaction() as transaction:
                alive = await store.relock_process(transaction, process=self.id, number=number)
        except BaseException:
            await lock.release()
            raise
        if alive:
            self._lock = lock
        else:
            await lock.release()
        return alive

    @property
    def _disconnected(self) -> bool:
        return self._database.keeps_sessions and (self._lock is None or not self._lock.held)

    async def _sign_off(self, name: uuid.UUID, lock: SessionLock | None) -> None:
        if lock is not None:
            await lock.release()
        async with self._service.transaction() as transaction:
            await store.leave(transaction, name)

    async def _bury(self) -> None:
        async with self._service.transaction() as transaction:
            dead = await store.bury(transaction, stale_seconds=STALE_SECONDS)
        if dead:
            log.warning("freed what dead processes held", extra={"processes": dead})

    async def run(self) -> None:
        """Give signs of life until cancelled; sign on anew when declared dead."""
        while True:
            await asyncio.sleep(BEAT_SECONDS)
            try:
                async with self._service.transaction() as transaction:
                    alive = await store.still_alive(transaction, self.id)
                if alive and self._disconnected:
                    alive = await self._lock_again()
                if not alive:
                    log.warning("process signs on anew")
                    name, lock = self.id, self._lock
                    await self._sign_on()
                    await self._sign_off(name, lock)
                await self._bury()
            except DatabaseUnavailable as error:
                log.warning("no sign of life could be given: %s", error)

    async def stop(self) -> None:
        """Sign off, freeing what is still held."""
        with contextlib.suppress(DatabaseUnavailable):
            await self._sign_off(self.id, self._lock)
