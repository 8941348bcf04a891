"""The picture of what moved between two results of the assessment, area by area."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

import typst

_FOLDER: Final = Path(__file__).parent
_FONTS: Final = typst.Fonts(include_system_fonts=False)


@dataclass(frozen=True, kw_only=True)
class Move:
    """One area then and now, 0..100: `before` is None where it had no score last time, `now` and `status` where it
    has none this time."""

    key: str
    label: str
    before: int | None
    now: int | None
    status: Literal["above", "transition", "below"] | None


def draw(*, earlier: date, later: date, areas: Sequence[Move]) -> bytes:
    """A PNG, 1080 pixels wide: the twelve areas one below the other, last time and this time, against the green line.

    It computes for about 50 ms: call it through `asyncio.to_thread`, never on the event loop. Raises ValueError
    unless there are twelve areas with percentages in their range.
    """
    if len(areas) != 12:
        raise ValueError("the picture shows twelve areas")
    for area in areas:
        if any(value is not None and not 0 <= value <= 100 for value in (area.before, area.now)):
            raise ValueError(f"{area.key} has a percentage that is not between 0 and 100")
        if (area.now is None) != (area.status is None):
            raise ValueError(f"{area.key} has a percentage without a status, or a status without a percentage")
    moves = {
        "subtitle": f"{_day(earlier)} to {_day(later)}",
        "areas": [
            {"key": area.key, "label": area.label, "before": area.before, "now": area.now, "status": area.status}
            for area in areas
        ],
    }
    # One pixel to a point: 72 pixels an inch. Words travel as data, never as typst source.
    return typst.compile(
        str(_FOLDER / "moves.typ"),
        root=str(_FOLDER),
        format="png",
        ppi=72,
        font_paths=_FONTS,
        ignore_system_fonts=True,
        sys_inputs={"moves": json.dumps(moves)},
    )


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
