"""`viva grant`: tokens given and taken by hand, with a reason, as somebody who runs VIVA does it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from storage.database import Database
from tests.conftest import DatabaseUrls

HOME = Path(__file__).parents[2]


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A database in which one person, 700, has arrived with 1,000 tokens."""
    database = await Database.connect(database_urls.service, pool_size=2)
    async with database.as_service().transaction() as db:
        await db.value("select user_id from viva.arrive(700, 700, 'Ada', 'en', 1000)")
    yield database
    await database.close()


async def _grant(folder: Path, urls: DatabaseUrls, *words: str) -> tuple[int | None, str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "grant",
        *words,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(HOME), "DATABASE_URL": urls.service, "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def _ledger(database: Database) -> list[list[object]]:
    async with database.as_service().transaction() as db:
        assert await db.value("select count(*) from viva.ledger_differences()") == 0
        rows: list[list[object]] = await db.value(
            "select jsonb_agg(jsonb_build_array(kind, amount, note) order by id) from viva.ledger"
        )
        return rows


async def test_an_admin_gives_and_takes_with_a_reason_that_stands_in_the_ledger(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    said = await _grant(tmp_path, database_urls, "700", "500", "--reason", "for the trouble on Monday")
    assert said == (0, "Given: 500 tokens. Free now: 1,500.\n", "")
    said = await _grant(tmp_path, database_urls, "700", "-200", "--reason", "given by mistake")
    assert said == (0, "Taken: 200 tokens. Free now: 1,300.\n", "")
    assert (await _ledger(database))[1:] == [
        ["admin", 500, "for the trouble on Monday"],
        ["admin", -200, "given by mistake"],
    ]


async def test_below_zero_nothing_is_taken_and_a_sentence_says_so(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls
) -> None:
    code, _, err = await _grant(tmp_path, database_urls, "700", "-1001", "--reason", "too much")
    assert (code, err) == (1, "Nothing was taken: only 1,000 tokens are free, and 1,001 were asked.\n")
    assert len(await _ledger(database)) == 1


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("701", "5", "--reason", "who"), 1, "Nobody with the Telegram id 701"),
        (("700", "0", "--reason", "nothing"), 1, "an amount"),
        (("700", "5", "--reason", " "), 1, "Name a reason"),
        (("700", "5"), 2, "--reason"),
    ],
)
async def test_a_grant_needs_somebody_an_amount_and_a_reason(
    tmp_path: Path, database: Database, database_urls: DatabaseUrls, words: tuple[str, ...], code: int, said: str
) -> None:
    answer = await _grant(tmp_path, database_urls, *words)
    assert answer[0] == code and said in answer[2]
    assert len(await _ledger(database)) == 1
