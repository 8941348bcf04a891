"""What VIVA takes while nobody says anything: memory, processor time, and statements to Postgres. Linux only.

.venv/bin/python -m benchmarks.rest
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import processes, world
from benchmarks.world import say

SETTLE_SECONDS = 10
WATCH_SECONDS = 20
LIBRARIES = "import aiogram, asyncpg, openai"


def measure_processes() -> None:
    """Start the playground, let it settle, and print its memory and processor time."""
    with world.temporary_folder() as folder:
        environment = processes.environment(
            PYTHONPATH=str(processes.ROOT), VIVA_HOME=str(folder / "home"), PLAYGROUND_PORT="0"
        )
        command = [sys.executable, "-m", "bot", "playground"]
        with processes.running(command, folder=folder, environment=environment) as viva:
            page = processes.Page(viva.read_until(processes.ADDRESS))
            time.sleep(SETTLE_SECONDS)
            _say_processes(viva.process.pid, "10 s after the start")
            page.start_and_wait()
            time.sleep(2)
            _say_processes(viva.process.pid, "after the first /start")


def _say_processes(viva: int, when: str) -> None:
    postgres = processes.family(viva)
    say(f"\n| {when} | MiB |")
    say("|---|---|")
    say(f"| VIVA with Bot API server and stand-in model, RSS | {_mebibytes([viva], 'status', 'VmRSS')} |")
    say(f"| the same, PSS | {_mebibytes([viva], 'smaps_rollup', 'Pss')} |")
    say(f"| Postgres and its guard, {len(postgres)} processes, PSS | {_mebibytes(postgres, 'smaps_rollup', 'Pss')} |")
    say(f"| in all, PSS | {_mebibytes([viva, *postgres], 'smaps_rollup', 'Pss')} |")
    before = {process: processes.cpu_seconds(process) for process in (viva, *postgres)}
    time.sleep(WATCH_SECONDS)
    # A backend that has ended meanwhile has taken its figure with it.
    now = {process: processes.cpu_seconds(process) for process in before if Path(f"/proc/{process}").exists()}
    spent = {process: 100 * (now[process] - before[process]) / WATCH_SECONDS for process in now}
    others = sum(share for process, share in spent.items() if process != viva)
    say(f"| idle processor time over {WATCH_SECONDS} s: VIVA {spent[viva]:.1f} %, Postgres {others:.1f} % | |")


def _mebibytes(ids: list[int], file: str, field: str) -> str:
    return f"{sum(processes.mebibytes(process, file=file, field=field) for process in ids):.0f}"


def measure_libraries() -> None:
    """Print what a Python takes that has only imported the three libraries every such bot needs."""
    program = f"{LIBRARIES}\nprint(open('/proc/self/status').read())"
    status = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    say(f"\nFor comparison, a Python after `{LIBRARIES}`: {int(line.split()[1]) / 1024:.0f} MiB RSS")


async def measure_statements() -> None:
    """Count what is sent to Postgres while nobody says anything."""
    async with world.viva() as viva:
        await asyncio.sleep(3)
        viva.statements.forget()
        await asyncio.sleep(WATCH_SECONDS)
        transactions = list(viva.statements.transactions)
    say(f"\n| Postgres, a second, idle for {WATCH_SECONDS} s | one takes, ms | times | round trips |")
    say("|---|---|---|---|")
    for row in world.statements_table(transactions, per=WATCH_SECONDS):
        say(row)


if __name__ == "__main__":
    say(world.circumstances())
    measure_processes()
    measure_libraries()
    asyncio.run(measure_statements())
    say(f"\n{world.circumstances()}")
