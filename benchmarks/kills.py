"""Real processes of VIVA, killed, stopped, frozen and cut off while people use them, for as long as one likes.

    .venv/bin/python -m benchmarks.kills [--minutes 5] [--seed N] [--people 24]

Rounds of one process that polls, three that poll, one and three behind a webhook; each on a fresh Postgres, which is
killed too. Prints what was counted, with the seed that repeats a round's choices; exits 1 if a promise was broken.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections import Counter

from benchmarks import world
from benchmarks.world import say
from tests.engine import chaos

ROUNDS = ((1, False), (3, False), (1, True), (3, True))
KINDS = ("kill", "kill", "kill the leader", "stop", "freeze", "cut", "silence", "database")
DEADLY = ("kill", "kill the leader", "database")
SUMMED = ("messages", "sent", "sent_twice", "of_unknown_fate", "tried_again", "checkouts_missed", "charged_late")
BROKEN = ("lost", "doubled", "out_of_order", "charged_twice", "left_behind")


async def measure(*, minutes: float, seed: int, people: int) -> int:
    """Rounds until the time is over, and their sums."""
    say(world.circumstances())
    totals: Counter[str] = Counter()
    events: Counter[str] = Counter()
    ends = time.monotonic() + 60 * minutes
    for place, (processes, webhook) in enumerate(itertools.cycle(ROUNDS)):
        if time.monotonic() > ends:
            break
        counts = await chaos.run(
            processes=processes,
            webhook=webhook,
            seed=seed + place,
            people=people,
            actions=15,
            pace=2.0,
            kinds=KINDS,
            pause=(0.5, 3.0),
        )
        events += counts.events
        totals += Counter({name: getattr(counts, name) for name in (*SUMMED, *BROKEN)})
        way = "webhook" if webhook else "polling"
        say(f"seed {seed + place}, {processes} x {way}: {dict(counts.events)}, broken promises: {counts.broken}")
        for detail in counts.details:
            say(f"  {detail}")
    say(f"\n{world.circumstances()}\n")
    say("| counted | |\n|---|---|")
    for name in (*BROKEN, *SUMMED):
        say(f"| {name.replace('_', ' ')} | {totals[name]} |")
    for kind, count in sorted(events.items()):
        say(f"| {kind} | {count} |")
    kills = sum(events[kind] for kind in DEADLY)
    if kills and totals["sent"]:
        say(f"\nSent twice, of all messages and a kill: {totals['sent_twice'] / totals['sent'] / kills:.4%}")
    return int(any(totals[name] for name in BROKEN))


def main() -> None:
    """Read the words and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--people", type=int, default=24)
    words = parser.parse_args()
    sys.exit(asyncio.run(measure(minutes=words.minutes, seed=words.seed, people=words.people)))


if __name__ == "__main__":
    main()
