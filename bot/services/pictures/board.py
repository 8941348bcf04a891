"""The vision board as one picture."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import typst
from PIL import Image, ImageOps, UnidentifiedImageError

from bot.services import board as rules
from bot.services import pictures, scratch

_FOLDER: Final = Path(__file__).parent
WIDTH: Final = 1200
MARGIN: Final = 56
GAP: Final = 20
LONGEST: Final = 900
"""Pixels of a photo's longer side in the collage."""


@dataclass(frozen=True, kw_only=True)
class Pin:
    """An item in the collage: its picture's bytes, if any; `category` is a key of the registry, or None."""

    name: str
    description: str
    category: str | None
    image: bytes | None
    actualized: bool


def collage(pins: Sequence[Pin], *, title: str, day: date, home: Path) -> bytes:
    """A PNG, 1200 pixels wide: up to `MOST_TILES` items with their names, those that came true with a mark.

    A picture that cannot be read leaves a tile with the name. It computes for up to a second: call it through
    `asyncio.to_thread`. `home` is VIVA_HOME. Raises ValueError without any item.
    """
    if not pins:
        raise ValueError("there is nothing to show")
    pins = pins[: rules.MOST_TILES]
    photos = [_photo(pin.image) for pin in pins]
    ratios = [photo.height / photo.width if photo is not None else 0.8 for photo in photos]
    tiles, height = rules.arranged(ratios, width=WIDTH - 2 * MARGIN, gap=GAP)
    with scratch.folder(home) as folder:
        shutil.copy(_FOLDER / "board.typ", folder)
        shutil.copytree(_FOLDER / "icons", folder / "icons")
        shown = []
        for pin, photo, tile in zip(pins, photos, tiles, strict=True):
            file = None
            if photo is not None:
                file = f"{tile.index}.jpg"
                photo.save(folder / file, "JPEG", quality=88)
            shown.append(
                {
                    "x": tile.x,
                    "y": tile.y,
                    "width": tile.width,
                    "height": tile.height,
                    "file": file,
                    "name": pictures.drawable(pin.name) or "",
                    "description": pictures.drawable(pin.description) or "",
                    "category": pin.category,
                    "actualized": pin.actualized,
                }
            )
        board = {
            "title": pictures.drawable(title) or "",
            "subtitle": f"Vision board, {day.day} {day:%B %Y}",
            "height": height,
            "width": WIDTH,
            "margin": MARGIN,
            "tiles": shown,
        }
        return typst.compile(
            str(folder / "board.typ"),
            root=str(folder),
            format="png",
            ppi=72,
            font_paths=pictures.FONTS,
            ignore_system_fonts=True,
            sys_inputs={"board": json.dumps(board)},
        )


def _photo(content: bytes | None) -> Image.Image | None:
    """The picture upright and small enough, or None."""
    if content is None:
        return None
    try:
        with Image.open(io.BytesIO(content)) as opened:
            opened.draft("RGB", (LONGEST, LONGEST))
            photo = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        return None
    photo.thumbnail((LONGEST, LONGEST))
    return photo
