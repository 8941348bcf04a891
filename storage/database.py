"""The one way to Postgres: who is acting comes first, then a transaction.

A person's rows are reached only as that person (`Database.as_user`), the service's own tables only as the
service (`Database.as_service`). Role and claims are local to the transaction, so nothing leaks into the pool,
also behind a transaction-pooling proxy. The login itself has no rights: a forgotten identity is an error.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import re
import uuid
from collections.abc import AsyncIterator
from typing import Any, TypeVar

import asyncpg
from pydantic import BaseModel

Row = TypeVar("Row", bound=BaseModel)

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
_HALF = re.compile("[\ud800-\udfff]")
_inside: contextvars.ContextVar[bool] = contextvars.ContextVar("inside_transaction", default=False)


class DatabaseUnavailable(Exception):
    """Postgres cannot be reached or went away; the transaction did not happen."""


class TooSlow(DatabaseUnavailable):
    """A statement took longer than it may, or more room than there is, though the connection stands.

    The same statement may never go through, so for a piece of work it counts as a try.
    """


class Fenced(Exception):
    """Another process has taken this work over; nothing of ours was written."""


class Conflict(Exception):
    """A row with this key stands already. `constraint` is the name of the rule it met."""

    def __init__(self, constraint: str) -> None:
        super().__init__(constraint)
        self.constraint = constraint


STATEMENT_SECONDS = 60.0
"""How long a statement may take."""

FENCED_CODE = "VV001"
"""The SQLSTATE by which the engine's functions say that a claim is no longer ours."""

PASSING_CLASSES = ("08", "40", "53", "57", "58")
"""SQLSTATE classes that say nothing of the statement: connection, deadlock, resources, operator, system."""

TOO_SLOW_CODES = ("57014", "53200", "53400")
"""Cancelled by a limit of the server's, out of memory, over a configured limit: among the passing ones, but of this
statement."""

PASSING_CODES = ("25006", "25P03", "55P03")
"""A standby after a failover, a transaction that stood idle (see `Actor`), a lock that was not to be had."""


def forbid_inside_transaction(what: str) -> None:
    """Raise RuntimeError where a transaction is open: only Postgres is awaited inside one."""
    if _inside.get():
        raise RuntimeError(f"{what} must not be awaited inside a database transaction")


class Transaction:
    """An open transaction with an identity. Four verbs: one, many, value, execute."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    async def one(self, row: type[Row], sql: str, *values: object) -> Row | None:
        """The first row as `row`, or None."""
        record = await self._connection.fetchrow(sql, *values)
        return None if record is None else row.model_validate(dict(record))

    async def many(self, row: type[Row], sql: str, *values: object) -> list[Row]:
        """All rows as `row`."""
        return [row.model_validate(dict(record)) for record in await self._connection.fetch(sql, *values)]

    async def value(self, sql: str, *values: object) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(sql, *values)

    async def execute(self, sql: str, *values: object) -> int:
        """How many rows the statement touched."""
        status = await self._connection.execute(sql, *values)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0

    async def become_service(self) -> None:
        """Go on as the service in the same transaction: for the engine's commit after a person's effects."""
        await self._connection.execute("set local role service_role")


class Actor:
    """Somebody with an identity, who can open transactions."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], begin: str) -> None:
        self._pool = pool
        # Only Postgres is awaited inside a transaction: one that stands idle belongs to a process that hangs, and
        # must not keep its locks from the others. Local, as poolers refuse it among a connection's settings.
        self._begin = f"{begin}; set local idle_in_transaction_session_timeout = '30s'"

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A transaction in this identity: committed at the end of the block, rolled back on any exception.

        Raises DatabaseUnavailable (TooSlow is of that kind), Fenced and Conflict in place of the driver's errors.
        After DatabaseUnavailable at the very end it is not known whether the commit was made.
        """
        forbid_inside_transaction("another transaction")
        lost, stands = True, False
        try:
            async with self._pool.acquire() as pooled:
                connection: asyncpg.Connection[asyncpg.Record] = pooled  # type: ignore[assignment]
                try:
                    await connection.execute(self._begin)
                    token = _inside.set(True)
                    try:
                        yield Transaction(connection)
                    finally:
                        _inside.reset(token)
                    await connection.execute("commit")
                except BaseException:
                    with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                        await connection.execute("rollback")
                        stands = True
                    raise
                finally:
                    lost = _is_lost(connection)
        except asyncpg.UniqueViolationError as error:
            raise Conflict(str(error.constraint_name)) from None
        except asyncpg.PostgresError as error:
            code = str(getattr(error, "sqlstate", None))
            if code == FENCED_CODE:
                raise Fenced(str(error)) from None
            if code in TOO_SLOW_CODES:
                raise TooSlow(f"storage: {type(error).__name__}") from None
            if code.startswith(PASSING_CLASSES) or code in PASSING_CODES:
                raise DatabaseUnavailable(f"storage: {type(error).__name__}") from None
            raise
        except (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            # A wrong statement or value is an InterfaceError as well, and a missing file an OSError: tried again and
            # again they would never go through. TimeoutError is the driver's, after its own limit.
            if isinstance(error, TimeoutError) and stands and not lost:
                raise TooSlow(f"storage: {type(error).__name__}") from None
            if lost or isinstance(error, TimeoutError):
                raise DatabaseUnavailable(f"storage: {type(error).__name__}") from None
            raise


class SessionLock:
    """A lock that lives and dies with its connection."""

    def __init__(self, connection: asyncpg.Connection[asyncpg.Record]) -> None:
        self._connection = connection

    @property
    def held(self) -> bool:
        """Whether the connection, and so the lock, still stands."""
        return not self._connection.is_closed()

    async def release(self) -> None:
        """Let go of the lock by closing its connection."""
        with contextlib.suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await self._connection.close(timeout=5)


class Database:
    """A pool of connections to one Postgres. Made by `await Database.connect(url)`."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], url: str, *, pooled: bool = False) -> None:
        self._pool = pool
        self._url = url
        self.keeps_sessions = not pooled
        """Whether a connection stays with its session of Postgres: not behind a pooler in transaction mode."""
        self._service = Actor(pool, "begin; set local role service_role")
        self._claimer = Actor(pool, "begin; set local role service_role; set local synchronous_commit = off")

    @classmethod
    async def connect(cls, url: str, *, pool_size: int = 8, pooled: bool = False) -> Database:
        """An open database; raises DatabaseUnavailable when the server does not answer.

        `pooled` says that the address leads through a pooler in transaction mode: nothing then rests on a session,
        so no statement is prepared by name and there are no session locks.
        """
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=pool_size,
                connection_class=_Connection,
                init=_prepare,
                command_timeout=STATEMENT_SECONDS,
                server_settings={"application_name": "viva"},
                statement_cache_size=0 if pooled else 100,
            )
        except (asyncpg.PostgresError, OSError, TimeoutError) as error:
            raise DatabaseUnavailable(f"storage: cannot connect ({type(error).__name__})") from None
        return cls(pool, url, pooled=pooled)

    def as_user(self, user_id: uuid.UUID) -> Actor:
        """The person `user_id`: sees and changes only their own rows (row-level security)."""
        # The claims are built from a UUID alone, so the literal below cannot carry anything else.
        claims = json.dumps({"sub": str(uuid.UUID(str(user_id))), "role": "authenticated"})
        return Actor(
            self._pool,
            "begin; set local role authenticated; "
            f"select pg_catalog.set_config('request.jwt.claims', '{claims}', true)",
        )

    def as_service(self) -> Actor:
        """The service: the engine's and the meter's tables, and system operations."""
        return self._service

    def as_claimer(self) -> Actor:
        """The service, for claims and signs of life: their commits do not wait for the disk.

        A claim that a crash of Postgres loses is as good as given back; effects are never written this way.
        """
        return self._claimer

    async def session_lock(self, group: int, number: int) -> SessionLock:
        """A session advisory lock on a connection of its own: gone the moment this process is.

        Waits where another session still holds it. Raises DatabaseUnavailable.
        """
        try:
            connection = await asyncpg.connect(self._url, server_settings={"application_name": "viva lock"})
            lock = SessionLock(connection)
            try:
                await connection.execute("select pg_catalog.pg_advisory_lock($1, $2)", group, number)
            except BaseException:
                await lock.release()
                raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise DatabaseUnavailable(f"storage: no session lock ({type(error).__name__})") from None
        return lock

    async def close(self) -> None:
        """Give every connection back; waits a moment for those in use."""
        try:
            async with asyncio.timeout(10):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()


class _Connection(asyncpg.Connection):
    """Role and claims are local to transactions, so there is nothing to reset on the way to the pool."""

    def get_reset_query(self) -> str:
        return ""


def _is_lost(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool takes a broken connection back at once, and its proxy then answers nothing.
        return True


async def _prepare(connection: Any) -> None:
    # In a transaction, so that behind a pooler all of it meets one session.
    async with connection.transaction():
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_to_json, decoder=json.loads)


def _to_json(value: object) -> str:
    # Postgres refuses the NUL character in jsonb, and a message may carry one. JSON may also carry the two halves of
    # a character beyond the first 65,536 apart (a streamed answer does); alone, a half is no text at all.
    text = _NUL.sub(r"\1", json.dumps(value, ensure_ascii=False, default=str))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if _HALF.search(text) else text
