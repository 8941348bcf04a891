"""`viva work`: what was given up is shown without anybody's words, and goes back into line when asked."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from storage.database import Database
from tests.conftest import DatabaseUrls

HOME = Path(__file__).parents[2]


async def _work(folder: Path, urls: DatabaseUrls, *words: str) -> tuple[int | None, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        "work",
        *words,
        cwd=folder,
        env=kept | {"PYTHONPATH": str(HOME), "DATABASE_URL": urls.service, "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    return process.returncode, out.decode()


async def test_what_was_given_up_is_listed_and_put_back(tmp_path: Path, database_urls: DatabaseUrls) -> None:
    database = await Database.connect(database_urls.service, pool_size=1)
    async with database.as_service().transaction() as db:
        number = await db.value(
            """
            insert into viva.work (lane, kind, name, key, payload, state, attempts, error)
              values ('chat:700', 'update', 'message', 'update:1', '{"text": "my secret"}', 'parked', 4, 'ValueError')
            returning id
            """
        )
    code, said = await _work(tmp_path, database_urls, "list")
    assert code == 1 and said.startswith(f"{number}  ") and "message  ValueError" in said and "secret" not in said
    assert await _work(tmp_path, database_urls, "retry", str(number)) == (0, "Put back into line: 1.\n")
    assert await _work(tmp_path, database_urls, "retry", str(number)) == (1, "Put back into line: 0.\n")
    assert await _work(tmp_path, database_urls, "list") == (0, "Nothing was given up.\n")
    async with database.as_service().transaction() as db:
        assert await db.value("select due_at <= now() from viva.lanes where lane = 'chat:700'")
        assert await db.value("select attempts = 0 and payload ? 'text' from viva.work where state = 'waiting'")
    await database.close()
