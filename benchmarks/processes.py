"""VIVA in a process of its own: started, awaited, talked to through its page, looked at through /proc (Linux)."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 900.0
"""Seconds that a cold start over a slow line may take before it counts as broken."""

OURS = ("TELEGRAM_", "OPENAI_", "DATABASE_", "MEDIA_", "VIVA_", "PLAYGROUND_", "WEBHOOK_", "LOG_LEVEL", "PYTHON")


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without any setting of VIVA's or Python's, and with these changes."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS) and name != "VIRTUAL_ENV"}
    return kept | changes


class Running:
    """A command under way; `output` is what it has written so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.output = ""

    def read_until(self, pattern: str) -> re.Match[str]:
        """Read on until the output so far holds `pattern`; RuntimeError when it ends or takes too long."""
        assert self.process.stdout is not None
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if found := re.search(pattern, self.output):
                return found
            written = os.read(self.process.stdout.fileno(), 65_536)
            if not written:
                break
            self.output += written.decode(errors="replace")
        raise RuntimeError(f"the command never said {pattern!r}:\n{self.output[-2000:]}")


@contextlib.contextmanager
def running(command: Sequence[str | Path], *, folder: Path, environment: Mapping[str, str]) -> Iterator[Running]:
    """The command, interrupted at the end as by Ctrl-C."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield Running(process)
    finally:
        assert process.stdout is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


ADDRESS = r"(http://127\.0\.0\.1:\d+)/\?key=(\S+)"


class Page:
    """The chat page's API, as the page uses it."""

    def __init__(self, address: re.Match[str]) -> None:
        self._url, self._key = address[1], address[2]

    def call(self, path: str, body: object = None) -> Any:
        """The answer to a GET, or to a POST of `body`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"X-Page-Key": self._key, "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._url}/page/{path}", data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def start_and_wait(self) -> None:
        """Send /start as somebody new, and return when the bot has answered."""
        person = self.call("people", {"first_name": "Maya"})["id"]
        self.call(f"chats/{person}/messages", {"text": "/start"})
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if any(event.get("from_bot") for event in self.call(f"chats/{person}/history")["events"]):
                return
            time.sleep(0.01)
        raise RuntimeError("/start was never answered")


# ------------------------------------------------------------------------------------------ /proc


def family(parent: int) -> list[int]:
    """All descendants of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [parent]
    while waiting:
        waiting += (below := children.get(waiting.pop(), []))
        found += below
    return found


def _stat(process: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def mebibytes(process: int, *, file: str, field: str) -> float:
    """A field such as `VmRSS` of `status` or `Pss` of `smaps_rollup`."""
    for line in Path(f"/proc/{process}/{file}").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise LookupError(field)


def cpu_seconds(process: int) -> float:
    """Processor time used so far, in user and system mode."""
    fields = _stat(process)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
