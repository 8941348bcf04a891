#!/usr/bin/env python3
"""Runs VIVA on a machine that has only Python 3.11 or later.

    python3 run.py            VIVA: Telegram where a token is set, else a chat in the browser
    python3 run.py test       its tests
    python3 run.py WORDS      `viva WORDS`: migrate, doctor, ledger check ...

Standard library only. The first run makes `.venv` from `requirements.lock`, with uv where it is found, else with
pip; after that it starts at once.
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
MARK = VENV / ".made-from"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def main() -> int:
    """Make the environment where it is missing or old, then hand over to VIVA or to its tests."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file alone runs on whatever Python there is
        print(f"VIVA needs Python 3.11 or later; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if not MARK.is_file() or MARK.read_text() != wanted or not PYTHON.is_file():
        code = make_environment()
        if code != 0:
            return code
        MARK.write_text(wanted)
    words = sys.argv[1:]
    # Two at a time on each core: most of a test is waiting for Postgres and for sockets.
    workers = f"--numprocesses={2 * (os.cpu_count() or 1)}"
    module = ["pytest", workers, "--dist=worksteal", *words[1:]] if words[:1] == ["test"] else ["bot", *words]
    # Where it is called from does not matter: the code and `.env` are the project's own.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))}
    os.chdir(HERE)
    if os.name == "nt":
        return subprocess.call([str(PYTHON), "-m", *module], env=environment)
    os.execve(PYTHON, [str(PYTHON), "-m", *module], environment)


def make_environment() -> int:
    """Make `.venv` with exactly what the lock names, by hash; 0, or the code to exit with."""
    print("Setting VIVA up, once. This takes from a few seconds to a minute ...", file=sys.stderr, flush=True)
    shutil.rmtree(VENV, ignore_errors=True)
    if (uv := shutil.which("uv")) is not None:
        steps = [
            [uv, "venv", "--quiet", "--python", sys.executable, str(VENV)],
            [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(PYTHON), str(LOCK)],
        ]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(VENV)],
            [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"],
        ]
        steps[-1] += ["--no-deps", "--require-hashes", "--requirement", str(LOCK)]
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
