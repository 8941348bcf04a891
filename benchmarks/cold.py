"""Cold start of both commands in a fresh copy of the project with an empty HOME, with uv and with pip alone.

    .venv/bin/python -m benchmarks.cold [--only uv|pip]

Everything is fetched anew (pip's cache is off, uv's is empty), so the line to the package registry is in the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes, world
from benchmarks.processes import ROOT
from benchmarks.world import say

SYSTEM_FOLDERS = "/usr/local/bin:/usr/bin:/bin"


@contextlib.contextmanager
def fresh(way: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy of the project in a folder of its own, and an environment with an empty HOME where only `way` is found."""
    with world.temporary_folder() as folder:
        project, home, programs, temporary = (folder / part for part in ("viva", "home", "bin", "tmp"))
        for place in (project, home, programs, temporary):
            place.mkdir()
        listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
        for path in subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0"):
            if path and (ROOT / path).is_file():
                (project / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, project / path)
        _program(programs / "python3", Path(os.path.realpath(sys.executable)))
        if way == "uv":
            uv = shutil.which("uv")
            if uv is None:
                raise SystemExit("uv is not on PATH")
            _program(programs / "uv", Path(uv))
        elif shutil.which("uv", path=SYSTEM_FOLDERS):
            raise SystemExit(f"uv is in {SYSTEM_FOLDERS}, so pip alone cannot be measured")
        kept = {name: value for name, value in processes.environment().items() if not name.startswith("XDG_")}
        yield (
            project,
            kept
            | {
                "HOME": str(home),
                "PATH": f"{programs}:{SYSTEM_FOLDERS}",
                "TMPDIR": str(temporary),
                "PIP_NO_CACHE_DIR": "1",
                "PLAYGROUND_PORT": "0",
                "PYTHONUNBUFFERED": "1",
            },
        )


def _program(place: Path, program: Path) -> None:
    place.write_text(f'#!/bin/sh\nexec "{program}" "$@"\n')
    place.chmod(0o755)


def start(project: Path, environment: dict[str, str]) -> tuple[float | None, float, float]:
    """Seconds until the environment was made (None if it stood), the address was printed, /start was answered."""
    mark = project / ".venv" / ".made-from"
    stood = mark.is_file()
    begun_at, begun = time.time(), time.monotonic()
    with processes.running(["python3", "run.py"], folder=project, environment=environment) as viva:
        address = viva.read_until(processes.ADDRESS)
        printed = time.monotonic() - begun
        processes.Page(address).start_and_wait()
        answered = time.monotonic() - begun
    return None if stood else mark.stat().st_mtime - begun_at, printed, answered


def first_test(project: Path, environment: dict[str, str]) -> float:
    """Seconds until `python3 run.py test` begins its first test."""
    begun = time.monotonic()
    with processes.running(["python3", "run.py", "test", "-v"], folder=project, environment=environment) as tests:
        tests.read_until(r"\.py::")
        return time.monotonic() - begun


def measure(ways: list[str]) -> None:
    """Print a row for each way."""
    say(world.circumstances())
    rows = []
    for way in ways:
        with fresh(way) as (project, environment):
            made, printed, answered = start(project, environment)
            _, warm_printed, warm_answered = start(project, environment)
            added_test = first_test(project, environment)
            warm_test = first_test(project, environment)
        with fresh(way) as (project, environment):
            cold_test = first_test(project, environment)
        rows += [
            f"| {way}, cold | {made:.1f} | {printed:.1f} | {answered:.1f} | {cold_test:.1f} |",
            f"| {way}, tests added | - | - | - | {added_test:.1f} |",
            f"| {way}, warm | - | {warm_printed:.1f} | {warm_answered:.1f} | {warm_test:.1f} |",
        ]
        say(f"{way} done; {world.circumstances()}")
    say("\n| seconds until | environment made | address printed | first /start answered | first test begins |")
    say("|---|---|---|---|---|")
    for row in rows:
        say(row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["uv", "pip"])
    only = parser.parse_args().only
    measure([only] if only else ["uv", "pip"])
