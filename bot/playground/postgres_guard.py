"""Runs one Postgres for exactly as long as the process that started the guard.

Started by `bot.playground.postgres` as a script, with nothing but the standard library:

    python -S -I postgres_guard.py LOG LOCK USER GROUP COMMAND...

LOG is the file for what Postgres says, LOCK an open file descriptor that Postgres inherits, USER and GROUP the
numbers of the account it runs as (`-` for our own). Standard input is a pipe whose other end only the parent
holds: a byte says that Postgres answered, and the end of the pipe, which the kernel brings about however the parent
ends, says stop. Before that byte the guard ends with Postgres; after it, a Postgres that dies is started again.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from types import FrameType

LOG_BYTES = 1_000_000
"""Size at which the log becomes `<log>.1` and a new one begins: two files are the most there ever is."""

SHUTDOWN = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))
"""How to end Postgres, each with the seconds before the next: fast, which writes everything to its place;
immediate, which leaves that to the recovery at the next start; and the one that cannot be refused."""

PARENT_CHECK_SECONDS = 1.0
SHUTDOWN_CHECK_SECONDS = 0.005
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 2.0


class Log:
    """A file that starts anew when it has grown to `LOG_BYTES`; a full disk loses lines, not the database."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = self._open()

    def _open(self) -> io.FileIO:
        # Root may be writing into a folder of somebody else's, whose links it must not follow.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        return io.FileIO(os.open(self._path, flags, 0o600), "a")

    def write(self, words: bytes) -> None:
        with contextlib.suppress(OSError):
            if self._file.tell() + len(words) > LOG_BYTES:
                os.replace(self._path, self._path + ".1")
                self._file.close()
                self._file = self._open()
            self._file.write(words)


class Parent:
    """The process that started the guard, seen through the pipe on standard input."""

    def __init__(self) -> None:
        self._number = os.getppid()
        self._gone = False
        self.got_answer = False

    def is_gone(self) -> bool:
        # The number changes even when a process forked from the parent still holds the pipe.
        return self._gone or os.getppid() != self._number

    def wait(self, seconds: float, *others: int) -> list[int]:
        """Listen to the parent and the other descriptors until one has something; which of the others has."""
        pipe = sys.stdin.fileno()
        ready = select.select([*others, *([] if self._gone else [pipe])], [], [], seconds)[0]
        if pipe in ready:
            said = os.read(pipe, 16)
            self._gone = not said
            self.got_answer = self.got_answer or bool(said)
            ready.remove(pipe)
        return ready


def main(arguments: list[str]) -> int:
    """The exit code: 0 when the parent is gone or asked for the end, 1 when Postgres could not start."""
    log_path, lock, user, group, *command = arguments
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler and not SIG_IGN, which Postgres would inherit.
        signal.signal(number, _stay)
    log = Log(log_path)
    parent = Parent()
    end_with_guard = _end_with_guard()
    pause = 0.0
    while True:
        started = time.monotonic()
        postgres = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            pass_fds=(int(lock),),
            user=None if user == "-" else int(user),
            group=None if group == "-" else int(group),
            extra_groups=None if user == "-" else [],
            preexec_fn=end_with_guard,
        )
        code = _watch(postgres, parent, log)
        if parent.is_gone():
            return 0
        if not parent.got_answer:
            return 1
        # Until the last process of a killed Postgres has gone, a new one refuses the data: try less and less often.
        lasted = time.monotonic() - started > LONGEST_PAUSE_SECONDS
        pause = FIRST_PAUSE_SECONDS if lasted or not pause else min(pause * 2, LONGEST_PAUSE_SECONDS)
        log.write(f"guard: postgres ended with {code}, starting it again\n".encode())
        parent.wait(pause)
        if parent.is_gone():
            return 0


def _stay(number: int, frame: FrameType | None) -> None:
    """What Ctrl-C or a SIGTERM does to the guard: nothing, so that the parent can finish its work first."""


def _end_with_guard() -> Callable[[], None] | None:
    """What Postgres does before it begins, to get a fast shutdown if the guard is killed; None where Linux is not."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        set_option = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    parent_death_signal, fast_shutdown = 1, ctypes.c_ulong(signal.SIGINT)
    return lambda: set_option(parent_death_signal, fast_shutdown)


def _watch(postgres: subprocess.Popen[bytes], parent: Parent, log: Log) -> int:
    """Copy what Postgres says to the log until it has ended, and end it when the parent is gone; its exit code."""
    assert postgres.stdout is not None
    with postgres.stdout as pipe:
        sources = [pipe.fileno()]
        steps = iter(SHUTDOWN)
        next_step = 0.0
        while (code := postgres.poll()) is None:
            ending = parent.is_gone()
            if ending and time.monotonic() >= next_step and (step := next(steps, None)) is not None:
                postgres.send_signal(step[0])
                next_step = time.monotonic() + step[1]
            if parent.wait(SHUTDOWN_CHECK_SECONDS if ending or not sources else PARENT_CHECK_SECONDS, *sources):
                words = os.read(pipe.fileno(), 65536)
                log.write(words)
                if not words:
                    sources = []
        while sources and select.select(sources, [], [], 0)[0] and (words := os.read(pipe.fileno(), 65536)):
            log.write(words)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
