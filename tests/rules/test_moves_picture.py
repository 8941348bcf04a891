"""The picture of what moved: the right size, drawn for anything that can be, and refused for what cannot."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import date

import pytest
from PIL import Image

from bot.services.pictures import moves
from bot.services.pictures.moves import Move
from prompts.categories import CATEGORIES

STILL = [Move(key=area.key, label=area.label, before=60, now=60, status="transition") for area in CATEGORIES]
FROM_TO = {"earlier": date(2026, 9, 30), "later": date(2026, 11, 25)}


def test_it_shows_what_rose_what_fell_and_what_was_or_is_not_there() -> None:
    areas = [
        replace(STILL[0], before=0, now=100, status="above"),
        replace(STILL[1], before=100, now=0, status="below"),
        replace(STILL[2], before=None),
        replace(STILL[3], now=None, status=None),
        replace(STILL[4], before=None, now=None, status=None),
        *STILL[5:],
    ]
    drawn, still = (Image.open(io.BytesIO(moves.draw(**FROM_TO, areas=each))) for each in (areas, STILL))
    assert drawn.format == "PNG" and drawn.width == 1080 and drawn.height > drawn.width
    assert drawn.tobytes() != still.tobytes()


@pytest.mark.parametrize(
    "areas",
    [
        STILL[:-1],
        [replace(STILL[0], now=101), *STILL[1:]],
        [replace(STILL[0], before=-1), *STILL[1:]],
        [replace(STILL[0], now=None), *STILL[1:]],
        [replace(STILL[0], status=None), *STILL[1:]],
    ],
)
def test_what_it_cannot_show_truthfully_is_refused(areas: list[Move]) -> None:
    with pytest.raises(ValueError):
        moves.draw(**FROM_TO, areas=areas)
