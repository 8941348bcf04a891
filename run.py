#!/usr/bin/env python3
"""Runs VIVA on a machine that has only Python 3.11 or later.

    python3 run.py            VIVA: Telegram where a token is set, else a chat in the browser
    python3 run.py test       its tests
    python3 run.py WORDS      `viva WORDS`: migrate, doctor, ledger check ...

Standard library only. The first run makes `.venv` from `requirements.lock`, with uv where it is found, else with
pip; after that it starts at once. What only the tests need (`requirements-test.lock`) is added when they are first run.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE / ".venv"
LOCK = HERE / "requirements.lock"
TEST_LOCK = HERE / "requirements-test.lock"
MARK = VENV / ".made-from"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main() -> int:
    """Make the environment where it is missing or old, then hand over to VIVA or to its tests."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone runs on whatever Python there is
        print(f"VIVA needs Python 3.11 or later; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    words = sys.argv[1:]
    plain, with_tests = (hashlib.sha256(lock.read_bytes()).hexdigest() for lock in (LOCK, TEST_LOCK))
    testing = words[:1] == ["test"]
    made = MARK.read_text() if MARK.is_file() and PYTHON.is_file() else ""
    # What the tests need contains all that VIVA needs, so an environment made for them serves both.
    if made != with_tests and (testing or made != plain):
        code = install(TEST_LOCK if testing else LOCK, anew=made != plain)
        if code != 0:
            return code
        MARK.write_text(with_tests if testing else plain)
    # Two at a time on each core: most of a test is waiting for Postgres and for sockets.
    workers = f"--numprocesses={2 * (os.cpu_count() or 1)}"
    module = ["pytest", workers, "--dist=worksteal", *words[1:]] if testing else ["bot", *words]
    # Where it is called from does not matter: the code and `.env` are the project's own.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))}
    os.chdir(HERE)
    if os.name == "nt":
        return subprocess.call([str(PYTHON), "-m", *module], env=environment)
    os.execve(PYTHON, [str(PYTHON), "-m", *module], environment)


def install(lock: Path, *, anew: bool) -> int:
    """Put what the lock names, by hash, into `.venv`, made `anew` or as it is; 0, or the code to exit with."""
    what = "Setting VIVA up, once." if anew else "Fetching what the tests need, once."
    print(f"{what} This takes from a few seconds to a minute ...", file=sys.stderr, flush=True)
    if (uv := shutil.which("uv")) is not None:
        steps = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(VENV)],
            [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(lock)],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(VENV)],
            [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
        ]
        steps[-1] += ["--no-deps", "--require-hashes", "--requirement", str(lock)]
    if anew:
        shutil.rmtree(VENV, ignore_errors=True)
    else:
        del steps[0]
    for step in steps:
        if subprocess.call(step, stdout=sys.stderr) != 0:
            if "venv" in step[1:3]:
                print(
                    "The environment could not be made. Where Python comes without venv (Debian, Ubuntu), "
                    "`apt install python3-venv` brings it.",
                    file=sys.stderr,
                )
            else:
                print("What VIVA needs could not be installed; the lines above say why.", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
