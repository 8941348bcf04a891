"""Brings a database to the state this version of VIVA needs: `migrations/*.sql`, in order, each once."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import resources

import asyncpg

log = logging.getLogger(__name__)

OLDEST_POSTGRES = 15
STARTING_SECONDS = 60
# Any number will do, as long as every version of VIVA uses the same one.
LOCK = 0x56495641


class MigrationError(Exception):
    """The database cannot be brought to the state VIVA needs; the message says why, to whoever runs VIVA."""


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One file: its name (`0001_identity.sql`), its SQL, and the SHA-256 of that SQL in hexadecimal."""

    name: str
    sql: str
    sha256: str


async def migrate(url: str) -> list[str]:
    """Applies what is missing, each file in a transaction of its own, and returns the names applied, in order.

    `url` logs in as the owner of the database. Several runners at once wait for each other. Raises MigrationError
    if the database disagrees with the files, or refuses one; the files before that one stay applied.
    """
    async with _connected(url) as connection:
        await connection.execute("select pg_advisory_lock($1)", LOCK)
        await _prepare(connection)
        missing = _missing(await _recorded(connection))
        for migration in missing:
            await _apply(connection, migration)
            log.debug("migration applied", extra={"migration": migration.name})
        return [migration.name for migration in missing]


async def pending(url: str) -> list[str]:
    """The names of the files that `migrate` would apply; changes nothing.

    `url` logs in as the owner or as the service. Raises MigrationError if the database disagrees with the files.
    """
    async with _connected(url) as connection, connection.transaction(readonly=True):
        table = await connection.fetchval(
            "select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = 'viva' and c.relname = 'migrations'"
        )
        if table is None:
            return [migration.name for migration in read_migrations()]
        if not await connection.fetchval("select has_table_privilege($1::oid, 'select')", table):
            # The service's own role sees nothing until it becomes one that does.
            await connection.execute("set local role service_role")
        return [migration.name for migration in _missing(await _recorded(connection))]


def read_migrations() -> list[Migration]:
    """Every migration of this version of VIVA, in order."""
    folder = resources.files("storage") / "migrations"
    migrations = []
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".sql"):
            # A checkout may have rewritten line ends; the migration is the same.
            sql = file.read_bytes().replace(b"\r\n", b"\n")
            migrations.append(Migration(name=file.name, sql=sql.decode(), sha256=hashlib.sha256(sql).hexdigest()))
    return migrations


async def _connect(url: str) -> asyncpg.Connection:
    """A connection; a server that is starting, or recovering from a crash, is waited for."""
    for _ in range(STARTING_SECONDS):
        try:
            return await asyncpg.connect(url, statement_cache_size=0)
        except asyncpg.CannotConnectNowError:
            await asyncio.sleep(1)
    return await asyncpg.connect(url, statement_cache_size=0)


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await _connect(url)
    except (OSError, ValueError, asyncpg.InterfaceError, asyncpg.PostgresError) as error:
        raise MigrationError(f"The database cannot be reached: {error}") from error
    try:
        version = connection.get_server_version().major
        if version < OLDEST_POSTGRES:
            raise MigrationError(f"VIVA needs Postgres {OLDEST_POSTGRES} or later; this is {version}.")
        yield connection
    except asyncpg.PostgresError as error:
        raise MigrationError(f"The database refused: {_explained(error)}") from error
    finally:
        await connection.close()


async def _prepare(connection: asyncpg.Connection) -> None:
    await connection.execute("set statement_timeout = 0")
    exists = await connection.fetchval(
        "select exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'viva' and c.relname = 'migrations')"
    )
    if not exists:
        async with connection.transaction():
            await connection.execute("create schema if not exists viva")
            await connection.execute(
                "create table viva.migrations ("
                " name text primary key,"
                " sha256 text not null,"
                " applied_at timestamptz not null default now())"
            )
            await connection.execute("comment on table viva.migrations is 'The files applied to this database.'")


async def _recorded(connection: asyncpg.Connection) -> dict[str, str]:
    rows = await connection.fetch("select name, sha256 from viva.migrations")
    return {row["name"]: row["sha256"] for row in rows}


def _missing(recorded: dict[str, str]) -> list[Migration]:
    migrations = read_migrations()
    last_file = max((migration.name for migration in migrations), default="")
    for name in sorted(recorded.keys() - {migration.name for migration in migrations}):
        if name > last_file:
            raise MigrationError(f"The database is newer than this version of VIVA: it has {name}.")
        raise MigrationError(f"{name} was applied to the database, but this version of VIVA does not have it.")
    last_recorded = max(recorded, default="")
    for migration in migrations:
        if migration.name in recorded:
            if recorded[migration.name] != migration.sha256:
                raise MigrationError(
                    f"{migration.name} was changed after it was applied to the database;"
                    " a change to the database needs a file of its own."
                )
        elif migration.name < last_recorded:
            raise MigrationError(
                f"{migration.name} was never applied to the database, though {last_recorded} after it was."
            )
    return [migration for migration in migrations if migration.name not in recorded]


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute(migration.sql)
            await connection.execute(
                "insert into viva.migrations (name, sha256) values ($1, $2)", migration.name, migration.sha256
            )
    except asyncpg.PostgresError as error:
        raise MigrationError(f"{migration.name}: {_explained(error)}") from error


def _explained(error: asyncpg.PostgresError) -> str:
    details = error.as_dict()
    parts = [str(error)]
    parts += [f"{key}: {details[key]}" for key in ("detail", "hint", "context") if details.get(key)]
    return "\n".join(parts)
