"""A real Postgres for the tests: one server a session, migrated once, and a fresh copy of the database a test."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from bot.playground.postgres import EmbeddedPostgres
from storage import migrate
from tests.world import Viva, open_world

MIGRATED = "migrated"

# A slow machine is no fault of the code: how long an example takes, or takes to be thought of, is never judged. And the
# same code meets the same examples in every run: what one of them finds is found when the code is changed, not by luck.
settings.register_profile(
    "viva", settings.default, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
# For looking further than every run does: `python3 run.py test tests/rules --hypothesis-profile=explore`.
settings.register_profile("explore", settings.get_profile("viva"), derandomize=False, max_examples=4_000)
settings.load_profile("viva")
_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class DatabaseUrls:
    """One database: as the service logs in (`viva`, an ordinary role), and as a superuser."""

    service: str
    admin: str


@pytest.fixture(scope="session")
async def postgres(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    """The embedded Postgres of this session, with a migrated database to copy."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("home"))
    await server.start()
    try:
        await server.clone(MIGRATED, template="template1")
        await migrate.migrate(server.url(database=MIGRATED, user="postgres"))
        yield server
    finally:
        await server.erase()


@pytest.fixture
async def database_urls(postgres: EmbeddedPostgres) -> AsyncIterator[DatabaseUrls]:
    """A migrated database of this test's own."""
    name = f"test_{next(_numbers)}"
    await postgres.clone(name, template=MIGRATED)
    yield DatabaseUrls(service=postgres.url(database=name), admin=postgres.url(database=name, user="postgres"))
    await postgres.drop(name)


@pytest.fixture
async def empty_database_url(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """An empty database of this test's own, as a superuser."""
    name = f"test_{next(_numbers)}"
    await postgres.clone(name, template="template1")
    yield postgres.url(database=name, user="postgres")
    await postgres.drop(name)


@pytest.fixture
async def viva(tmp_path: Path, database_urls: DatabaseUrls) -> AsyncIterator[Viva]:
    """The whole of VIVA, running on a database of this test's own."""
    async with open_world(tmp_path, database_urls.service) as world:
        yield world
