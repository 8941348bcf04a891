"""Transactions: who acts comes first, and what the driver says becomes one of three words or stays what it is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from storage.database import (
    Conflict,
    Database,
    DatabaseUnavailable,
    Fenced,
    TooSlow,
    Transaction,
    forbid_inside_transaction,
)
from tests.conftest import DatabaseUrls
from tests.world import wait_until


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A database as the service reaches it."""
    opened = await Database.connect(database_urls.service, pool_size=2)
    yield opened
    await opened.close()


async def attempt(database: Database, act: Callable[[Transaction], Awaitable[Any]]) -> Any:
    """What a transaction gives that does this."""
    async with database.as_service().transaction() as transaction:
        return await act(transaction)


def is_lost(transaction: Transaction) -> bool:
    """Whether the transaction's connection has broken, and the pool knows."""
    try:
        return transaction._connection.is_closed()
    except asyncpg.InterfaceError:
        return True


async def insert(transaction: Transaction) -> int:
    """One row under a key."""
    return await transaction.execute("insert into viva.gates (name) values ('test')")


async def test_what_goes_wrong_inside_is_undone(database: Database) -> None:
    async def fails(transaction: Transaction) -> None:
        await insert(transaction)
        raise KeyError("a fault")

    with pytest.raises(KeyError):
        await attempt(database, fails)
    assert await attempt(database, insert) == 1


async def test_a_key_that_stands_already_is_a_conflict_that_names_the_rule(database: Database) -> None:
    await attempt(database, insert)
    with pytest.raises(Conflict) as raised:
        await attempt(database, insert)
    assert raised.value.constraint == "gates_pkey"


async def test_a_claim_that_is_no_longer_ours_is_fenced(database: Database) -> None:
    with pytest.raises(Fenced):
        await attempt(database, lambda db: db.execute("select viva.hold_lane('chat:1', gen_random_uuid())"))


async def test_a_broken_connection_is_a_database_that_is_away(database: Database, database_urls: DatabaseUrls) -> None:
    async def broken(transaction: Transaction) -> Any:
        own = await transaction.value("select pg_backend_pid()")
        administrator = await asyncpg.connect(database_urls.admin)
        await administrator.execute("select pg_terminate_backend($1)", own)
        await administrator.close()
        return await transaction.value("select pg_sleep(5)")

    with pytest.raises(DatabaseUnavailable):
        await attempt(database, broken)
    assert await attempt(database, insert) == 1


async def test_who_is_told_to_stop_stops_though_their_connection_has_broken_as_well(
    database: Database, database_urls: DatabaseUrls
) -> None:
    inside = asyncio.Event()

    async def broken(transaction: Transaction) -> None:
        own = await transaction.value("select pg_backend_pid()")
        administrator = await asyncpg.connect(database_urls.admin)
        await administrator.execute("select pg_terminate_backend($1)", own)
        await administrator.close()
        await wait_until(lambda: is_lost(transaction), "the connection stands")
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(attempt(database, broken))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await attempt(database, insert) == 1


async def test_of_two_that_wait_for_each_other_one_is_told_to_try_again(database: Database) -> None:
    reached = [asyncio.Event(), asyncio.Event()]

    def crosswise(mine: int) -> Callable[[Transaction], Awaitable[Any]]:
        async def act(transaction: Transaction) -> None:
            await transaction.execute("select pg_advisory_xact_lock($1)", mine)
            reached[mine].set()
            await reached[1 - mine].wait()
            await transaction.execute("select pg_advisory_xact_lock($1)", 1 - mine)

        return act

    ends = await asyncio.gather(*(attempt(database, crosswise(mine)) for mine in (0, 1)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ends) == ["DatabaseUnavailable", "NoneType"]


async def test_a_transaction_that_stands_idle_is_ended_by_postgres(database: Database) -> None:
    async def idle(transaction: Transaction) -> Any:
        await transaction.execute("set local idle_in_transaction_session_timeout = '50ms'")
        own = await transaction.value("select pg_backend_pid()")
        await wait_until(lambda: is_lost(transaction), f"Postgres leaves the idle connection {own} open")
        return await transaction.value("select 1")

    with pytest.raises(DatabaseUnavailable):
        await attempt(database, idle)


@pytest.mark.parametrize("whose", ["ours", "the server's"])
async def test_a_statement_that_takes_too_long_while_the_connection_stands_is_told_from_a_database_that_is_away(
    database: Database, whose: str
) -> None:
    async def slow(transaction: Transaction) -> None:
        if whose == "ours":
            await transaction._connection.fetchval("select pg_sleep(60)", timeout=0.1)
        else:
            await transaction.execute("set local statement_timeout = '20ms'")
            await transaction.execute("select pg_sleep(60)")

    with pytest.raises(TooSlow):
        await attempt(database, slow)
    assert await attempt(database, insert) == 1


async def test_after_the_end_the_database_is_away(database: Database) -> None:
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await attempt(database, insert)


async def test_a_fault_of_ours_is_not_taken_for_a_database_that_is_away(database: Database) -> None:
    # Tried again and again, none of these would ever go through.
    with pytest.raises(asyncpg.DataError):
        await attempt(database, lambda db: db.value("select $1::integer", 2**40))
    with pytest.raises(asyncpg.InterfaceError):
        await attempt(database, lambda db: db.value("select 1", "one too many"))
    with pytest.raises(asyncpg.UndefinedColumnError):
        await attempt(database, lambda db: db.value("select nothing"))

    async def missing(transaction: Transaction) -> None:
        Path("/nonexistent").read_bytes()  # noqa: ASYNC240

    with pytest.raises(FileNotFoundError):
        await attempt(database, missing)


async def test_inside_a_transaction_nothing_but_postgres_is_awaited(database: Database) -> None:
    async def calls(transaction: Transaction) -> None:
        forbid_inside_transaction("a model call")

    with pytest.raises(RuntimeError, match="a model call must not be awaited inside a database transaction"):
        await attempt(database, calls)

    async def nests(transaction: Transaction) -> None:
        # With every connection in such hands, each would wait for another for ever.
        await attempt(database, insert)

    with pytest.raises(RuntimeError, match="another transaction must not be awaited"):
        await attempt(database, nests)
    forbid_inside_transaction("anything")


async def test_a_cancelled_transaction_leaves_nothing_open(database: Database) -> None:
    async def slow(transaction: Transaction) -> None:
        await insert(transaction)
        await transaction.execute("select pg_sleep(5)")

    for _ in range(4):
        task = asyncio.create_task(attempt(database, slow))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await attempt(database, insert) == 1
    open_ones = "select count(*) from pg_stat_activity where datname = current_database() and state like 'idle in%'"
    assert await attempt(database, lambda db: db.value(open_ones)) == 0


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("\ud83d\ude00", "😀"),  # the halves of an emoji, come apart
        ("a\ud83d", "a\ufffd"),
        ("NUL \x00 here", "NUL  here"),
        ("a backslash \\u0000 as such", "a backslash \\u0000 as such"),
        ("naïve 語 😀", "naïve 語 😀"),
    ],
)
async def test_any_text_fits_into_json(database: Database, given: str, kept: str) -> None:
    assert await attempt(database, lambda db: db.value("select $1::jsonb", {"text": given})) == {"text": kept}
