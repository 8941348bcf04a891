"""Real processes of VIVA, killed, stopped, frozen and cut off while people use them, for as long as one likes.

    .venv/bin/python -m benchmarks.kills [--minutes 5] [--seed N] [--people 8] [--actions 40] [--only 3-webhook ...]

Rounds of one process that polls, three that poll, one and three behind a webhook; each on a fresh Postgres, which is
killed too. Prints what was counted, with the seed that repeats a round's choices; exits 1 if a promise was broken, or
if two in a hundred messages that were on their way at a kill were sent twice.
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

ROUNDS = {"1-polling": (1, False), "3-polling": (3, False), "1-webhook": (1, True), "3-webhook": (3, True)}
KINDS = ("kill", "kill", "kill the leader", "stop", "freeze", "cut", "silence", "database", *chaos.LASTING)
MOST_SENT_TWICE = 0.02
SUMMED = (
    "messages",
    "sent",
    "in_flight",
    "sent_twice",
    "sent_twice_unstruck",
    "of_unknown_fate",
    "tried_again",
    "checkouts_missed",
    "charged_late",
)
BROKEN = ("lost", "doubled", "out_of_order", "charged_twice", "left_behind")


async def measure(*, minutes: float, seed: int, people: int, actions: int, only: list[str]) -> int:
    """Rounds until the time is over, and their sums."""
    say(world.circumstances())
    totals: Counter[str] = Counter()
    events: Counter[str] = Counter()
    ends = time.monotonic() + 60 * minutes
    for place, (processes, webhook) in enumerate(itertools.cycle(ROUNDS[name] for name in only)):
        if time.monotonic() > ends:
            break
        counts = await chaos.run(
            processes=processes,
            webhook=webhook,
            seed=seed + place,
            people=people,
            actions=actions,
            pace=2.0,
            kinds=KINDS,
            # The only process needs the time to start, or nothing would be under way at a kill.
            pause=(1.0, 6.0) if processes > 1 else (6.0, 15.0),
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
    share = totals["sent_twice"] / totals["in_flight"] if totals["in_flight"] else 0.0
    say(f"\nSent twice, of the messages that were on their way at a kill: {share:.2%}")
    return int(share >= MOST_SENT_TWICE or any(totals[name] for name in BROKEN))


def main() -> None:
    """Read the words and run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--people", type=int, default=8)
    parser.add_argument("--actions", type=int, default=40, help="what each of them does in a round")
    parser.add_argument("--only", nargs="+", choices=ROUNDS, default=list(ROUNDS), metavar="FORM")
    words = parser.parse_args()
    sys.exit(asyncio.run(measure(**vars(words))))


if __name__ == "__main__":
    main()
