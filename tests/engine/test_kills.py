"""The whole of VIVA as real processes, killed, stopped, frozen and cut off while people use it: nothing is lost.

`python -m benchmarks.kills` does the same for as long as one likes.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.engine import chaos

SEED = int(os.environ.get("VIVA_CHAOS_SEED") or random.randrange(1_000_000))


@pytest.mark.parametrize(
    ("processes", "webhook", "kinds"),
    [
        pytest.param(1, False, ("kill", "database", "stop"), id="one process that polls"),
        pytest.param(3, False, ("kill the leader", "cut", "freeze", "stop"), id="three of which one polls"),
        pytest.param(3, True, ("kill", "silence", "database", "stop"), id="three behind a webhook"),
    ],
)
async def test_whatever_dies_nothing_is_lost_doubled_out_of_order_charged_twice_or_left(
    processes: int, webhook: bool, kinds: tuple[str, ...]
) -> None:
    counts = await chaos.run(
        processes=processes,
        webhook=webhook,
        seed=SEED,
        people=6,
        actions=5,
        pace=0.5,
        kinds=kinds,
        pause=(0.3, 1.0),
        strikes=len(kinds),
    )
    assert counts.broken == 0, f"VIVA_CHAOS_SEED={SEED}: {counts}"
    assert counts.messages > 0 and counts.sent_twice_unstruck == 0, f"VIVA_CHAOS_SEED={SEED}: {counts}"
