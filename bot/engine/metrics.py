"""What one process counts, in Prometheus' text format: numbers and kinds, never a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

HELP = {
    "viva_updates_total": "Updates taken in by this process.",
    "viva_work_total": "Pieces of work that this process ended, by kind and outcome.",
    "viva_sends_total": "Calls of the outbox by this process, by method and outcome.",
    "viva_waiting": "What waits in the database, over all processes.",
    "viva_lag_seconds": "How late the oldest of what waits is, over all processes.",
    "viva_parked": "Work that was given up after too many tries; see `viva work list`.",
    "viva_unknown_messages": "Messages whose arrival Telegram never confirmed.",
    "viva_processes": "Processes that are signed on.",
    "viva_polls": "1 where this process is the one that polls Telegram.",
    "viva_poll_age_seconds": "Seconds since Telegram answered a poll of this process.",
    "viva_refused": "1 where Telegram refuses this process.",
    "viva_database": "1 where the database answers this process.",
    "viva_running": "Pieces of work under way in this process, by kind.",
}
"""Every metric. A name that ends in `_total` only grows while its process runs."""

Sample = tuple[str, dict[str, str], float]


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._counters: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()

    def count(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter."""
        self._counters[name, tuple(sorted(labels.items()))] += by

    def text(self, gauges: Iterable[Sample]) -> str:
        """The counters and these gauges as Prometheus reads them."""
        samples = [*((name, dict(labels), float(value)) for (name, labels), value in self._counters.items()), *gauges]
        lines: list[str] = []
        for name, explained in HELP.items():
            found = [(labels, value) for sample, labels, value in samples if sample == name]
            if found:
                kind = "counter" if name.endswith("_total") else "gauge"
                lines += [f"# HELP {name} {explained}", f"# TYPE {name} {kind}"]
                lines += [f"{name}{_labelled(labels)} {value:g}" for labels, value in found]
        return "\n".join([*lines, ""])


def _labelled(labels: dict[str, str]) -> str:
    # Labels are words of this program's own: nothing in them needs an escape.
    inside = ",".join(f'{name}="{value}"' for name, value in labels.items())
    return f"{{{inside}}}" if inside else ""
