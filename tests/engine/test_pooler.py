"""Behind a pooler in transaction mode: no session is one's own, and everything works all the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from storage import migrate
from storage.database import Database
from tests.conftest import DatabaseUrls
from tests.engine.relay import kept_port
from tests.engine.test_scale import replica
from tests.world import Viva, comes_true, open_world, wait_until

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


@pytest.fixture
async def pooled_url(database_urls: DatabaseUrls) -> AsyncIterator[str]:
    """The address of a pgbouncer in transaction mode, with three connections for everybody."""
    assert PGBOUNCER is not None
    direct = urlsplit(database_urls.service)
    with kept_port() as port, tempfile.TemporaryDirectory(prefix="viva-") as name:
        folder = Path(name)
        os.chmod(folder, 0o755)
        host = parse_qs(direct.query)["host"][0]
        configuration = f"""
            [databases]
            viva = host={host} port=5432 dbname={direct.path[1:]} user=viva
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {port}
            unix_socket_dir =
            auth_type = any
            pool_mode = transaction
            default_pool_size = 3
            max_client_conn = 100
        """
        file = folder / "pgbouncer.ini"
        with file.open("w") as written:
            written.write("\n".join(line.strip() for line in configuration.splitlines()))
        # As root it refuses to run; the embedded Postgres then runs as this account, and lets no other in.
        account = ("-u", "nobody") if os.geteuid() == 0 else ()
        process = await asyncio.create_subprocess_exec(
            PGBOUNCER, "-q", *account, file, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL
        )
        try:
            url = f"postgresql://viva@127.0.0.1:{port}/viva"
            await comes_true(lambda: answers(port), "pgbouncer takes no connections")
            yield url
        finally:
            process.kill()
            await process.communicate()


async def answers(port: int) -> bool:
    """Whether somebody takes connections at this port."""
    with contextlib.suppress(OSError):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


@pytest.fixture
async def viva(tmp_path: Path, database_urls: DatabaseUrls, pooled_url: str) -> AsyncIterator[Viva]:
    """VIVA behind the pooler; the test itself looks at the database directly."""
    async with open_world(tmp_path, database_urls.service) as world:
        await world.restart(database_url=pooled_url, database_pooled=True)
        yield world


async def test_people_are_served_each_as_themselves_and_each_once(viva: Viva, pooled_url: str) -> None:
    assert await migrate.pending(pooled_url) == []
    people = [await viva.onboarded(name) for name in ("Ada", "Ben", "Cleo")]
    for number in range(5):
        for person in people:
            await person.send_without_waiting(f"Thought {number} of mine.")
    await viva.quiet()
    for person in people:
        rows = await viva.rows(person, "select role, message from ai_conversations order by created_at")
        texts = [row["message"] for row in rows if row["role"] == "user"]
        assert texts == [f"Thought {number} of mine." for number in range(5)]
        assert len(rows) == 10
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_processes_come_and_go_and_one_polls(viva: Viva) -> None:
    ada = await viva.onboarded()
    async with replica(viva) as second:
        await viva.stop()
        await wait_until(lambda: second.app.intake.leads, "nobody polls")
        await ada.send("Still there?")
        assert await viva.service_rows("select lock_key from viva.processes") == [{"lock_key": None}]
    assert await viva.service_rows("select 1 from viva.processes") == []
    assert len(await viva.rows(ada, "select 1 from ai_conversations")) == 2


async def test_a_process_that_died_there_is_noticed_by_its_silence(viva: Viva, pooled_url: str) -> None:
    database = await Database.connect(pooled_url, pool_size=2, pooled=True)
    async with database.as_service().transaction() as db:
        await db.execute("insert into viva.processes (id, host) values (gen_random_uuid(), 'elsewhere')")
        assert await db.value("select viva.bury(interval '30 seconds')") == 0
        await db.execute("update viva.processes set seen_at = now() - interval '31 seconds' where host = 'elsewhere'")
        assert await db.value("select viva.bury(interval '30 seconds')") == 1
    await database.close()
