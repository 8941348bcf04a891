"""Pictures that VIVA draws for a person: the wheel of an assessment's result."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

import typst

__all__ = ["FONTS", "CategoryStanding", "assessment_wheel", "drawable"]

_FOLDER: Final = Path(__file__).parent
_KEYS: Final = sorted(icon.stem for icon in (_FOLDER / "icons").glob("*.svg"))
FONTS: Final = typst.Fonts(include_system_fonts=False)

# What the fonts inside the typst wheel can draw, in the weight of the heading, after NFKC normalisation.
LETTERS: Final = (
    (0x0020, 0x007E),  # Latin
    (0x00A1, 0x034E),  # Latin, accents
    (0x0350, 0x04FF),  # Greek, Cyrillic
    (0x0531, 0x058A),  # Armenian
    (0x0591, 0x05F4),  # Hebrew
    (0x0621, 0x063A),  # Arabic, Persian, Urdu: what there is of each
    (0x0640, 0x0655),
    (0x0660, 0x0669),
    (0x0674, 0x067B),
    (0x067E, 0x0680),
    (0x0686, 0x0687),
    (0x0691, 0x0691),
    (0x0698, 0x0698),
    (0x06A9, 0x06A9),
    (0x06AF, 0x06AF),
    (0x06BE, 0x06BE),
    (0x06CC, 0x06CC),
    (0x06F0, 0x06F9),
    (0x10D0, 0x10FF),  # Georgian
    (0x13A0, 0x13FD),  # Cherokee
    (0x1E00, 0x1FFF),  # Latin (Vietnamese among them), Greek with all its accents
    (0x2010, 0x2027),  # dashes and quotation marks
)


@dataclass(frozen=True, kw_only=True)
class CategoryStanding:
    """One area of life in a finished assessment: `ratio` is 0..1; without an applicable answer both
    `ratio` and `status` are None."""

    key: str
    label: str
    ratio: float | None
    status: Literal["above", "transition", "below"] | None


def assessment_wheel(
    *, first_name: str, percentage: int | None, categories: Sequence[CategoryStanding], finished_on: date
) -> bytes:
    """A PNG of 1080 x 1350 pixels, under 1 MB: the twelve areas clockwise from the top, against the green line.

    `percentage` is the whole, 0..100, None when nothing applied. The name is left out when the fonts cannot
    draw its script. It computes for about 50 ms: call it through `asyncio.to_thread`, never on the event loop.
    Raises ValueError unless each of the twelve keys comes once, with values in their range and a label of
    28 characters at most, 14 in a word.
    """
    _check(percentage=percentage, categories=categories)
    standing = {
        "name": drawable(first_name),
        "percentage": percentage,
        "finished_on": finished_on.isoformat(),
        "categories": [
            {
                "key": category.key,
                "label": category.label,
                "ratio": category.ratio,
                "percentage": None if category.ratio is None else round(category.ratio * 100),
                "status": category.status,
            }
            for category in categories
        ],
    }
    # One pixel to a point: 72 pixels an inch. The person's words travel as data, never as typst source.
    return typst.compile(
        str(_FOLDER / "wheel.typ"),
        root=str(_FOLDER),
        format="png",
        ppi=72,
        font_paths=FONTS,
        ignore_system_fonts=True,
        sys_inputs={"wheel": json.dumps(standing)},
    )


def _check(*, percentage: int | None, categories: Sequence[CategoryStanding]) -> None:
    """Raises ValueError when the wheel cannot show these standings truthfully."""
    if percentage is not None and not 0 <= percentage <= 100:
        raise ValueError(f"percentage is {percentage}; it goes from 0 to 100")
    if sorted(category.key for category in categories) != _KEYS:
        raise ValueError(f"the wheel takes each of these keys once: {', '.join(_KEYS)}")
    for category in categories:
        if not category.label.strip():
            raise ValueError(f"{category.key} has no label")
        if len(category.label) > 28 or max(map(len, category.label.split())) > 14:
            raise ValueError(f"{category.key} has too long a label: 28 characters, and 14 in a word, fit its place")
        if category.status not in ("above", "transition", "below", None):
            raise ValueError(f"{category.key} has an unknown status")
        if (category.ratio is None) != (category.status is None):
            raise ValueError(f"{category.key} has a ratio without a status, or a status without a ratio")
        if category.ratio is not None and not 0 <= category.ratio <= 1:
            raise ValueError(f"{category.key} has the ratio {category.ratio}; it goes from 0 to 1")


def drawable(words: str) -> str | None:
    """Words without emoji and invisible characters, or None when a letter of them cannot be drawn."""
    # NFKC turns the decorated letters that people put into names into plain ones.
    plain = " ".join(unicodedata.normalize("NFKC", words).split())
    text = " ".join("".join(character for character in plain if _is_writing(character)).split())
    known = all(any(first <= ord(character) <= last for first, last in LETTERS) for character in text)
    return text if known and any(character.isalnum() for character in text) else None


def _is_writing(character: str) -> bool:
    """Whether a character belongs to a written name, unlike emoji, their modifiers and invisible controls."""
    if character.isascii():
        return character.isprintable()
    category = unicodedata.category(character)
    return category[0] in "LMNP" and category != "Me" and not "\ufe00" <= character <= "\ufe0f"
