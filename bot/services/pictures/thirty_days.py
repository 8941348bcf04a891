"""The picture of what a person's calls used in the last thirty days, by day and kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import typst

DAYS: Final = 30

_FOLDER: Final = Path(__file__).parent
_FONTS: Final = typst.Fonts(include_system_fonts=False)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of use: its label, and its tokens on each of the thirty days, the oldest first."""

    label: str
    days: Sequence[int]


def draw(*, title: str, last_day: date, kinds: Sequence[Kind]) -> bytes:
    """A PNG, 1080 pixels wide: one bar a day, stacked by kind, with each kind's sum below.

    It computes for about 50 ms: call it through `asyncio.to_thread`, never on the event loop. Raises ValueError
    unless there are one to five kinds of thirty days each, none below zero, and something was used.
    """
    if not 1 <= len(kinds) <= 5:
        raise ValueError("one to five kinds can be told apart")
    if any(len(kind.days) != DAYS or min(kind.days) < 0 for kind in kinds):
        raise ValueError("each kind has thirty days, and none of them below zero")
    fullest = max(sum(kind.days[day] for kind in kinds) for day in range(DAYS))
    if fullest == 0:
        raise ValueError("nothing was used, so there is nothing to draw")
    step = _step(fullest)
    first_day = last_day - timedelta(days=DAYS - 1)
    month = {
        "title": title,
        "subtitle": f"{_day(first_day)} to {_day(last_day)} {last_day.year}",
        "top": -(-fullest // step) * step,
        "ticks": [
            {"tokens": tokens, "label": f"{tokens:,}"} for tokens in range(step, -(-fullest // step) * step + 1, step)
        ],
        "days": [(day, _day(first_day + timedelta(days=day), short=True)) for day in range(1, DAYS, 7)],
        "kinds": [
            {"label": kind.label, "days": list(kind.days), "total": f"{sum(kind.days):,} tokens"} for kind in kinds
        ],
    }
    # One pixel to a point: 72 pixels an inch. Words travel as data, never as typst source.
    return typst.compile(
        str(_FOLDER / "thirty_days.typ"),
        root=str(_FOLDER),
        format="png",
        ppi=72,
        font_paths=_FONTS,
        ignore_system_fonts=True,
        sys_inputs={"month": json.dumps(month)},
    )


def _step(fullest: int) -> int:
    """The distance of the lines of the scale: 1, 2 or 5 times a power of ten, so that there are at most five."""
    size = 1
    while True:
        for factor in (1, 2, 5):
            if fullest <= 5 * factor * size:
                return factor * size
        size *= 10


def _day(day: date, *, short: bool = False) -> str:
    return f"{day.day} {day:%b}" if short else f"{day.day} {day:%B}"
