"""Time zones: which to offer first, and which one a person means by what they type."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from prompts import time_zone as words
from storage.people import Zone

MOST_FOUND = 8
DAY = 24 * 60

_CLOCK = re.compile(r"(\d{1,2})(?:\s?[:.h]\s?(\d{2}))?\s?(am|pm|a\.m\.|p\.m\.)?", re.IGNORECASE)


def place(name: str) -> str:
    """The city by which people know a zone: "Mumbai" for Asia/Kolkata."""
    known = _places().get(name)
    return known[0] if known else name.rpartition("/")[2].replace("_", " ")


def places(name: str) -> tuple[str, ...]:
    """The cities and countries that people may mean by a zone; none for a zone without a list."""
    return _places().get(name, ())


def clock(zone: Zone, now: datetime) -> str:
    """What a clock shows there: "14:05"."""
    return f"{now.astimezone(UTC) + zone.offset:%H:%M}"


def guesses(language_code: str | None) -> Sequence[str]:
    """The zones to offer first to somebody whose app speaks this language."""
    languages = words.zones().languages
    tag = (language_code or "en").lower()
    return languages.get(tag) or languages.get(tag.partition("-")[0]) or languages["en"]


def find(typed: str, zones: Sequence[Zone], *, now: datetime) -> list[str]:
    """Names of the zones that somebody may mean by a city, a country, an IANA name or the time on their clock."""
    by_clock = _CLOCK.fullmatch(typed.strip())
    if by_clock is not None:
        return _at(by_clock, zones, now)
    wanted = _plain(typed)
    if not wanted:
        return []
    offered = {zone.name for zone in zones}
    named = [(_plain(known), name) for name, places in _places().items() if name in offered for known in places]
    named += [(_plain(zone.name.rpartition("/")[2]), zone.name) for zone in zones]
    named += [(_plain(zone.name), zone.name) for zone in zones]
    for fits in (
        lambda known: known == wanted,
        lambda known: len(wanted) > 2 and known.startswith(wanted),
        lambda known: len(known) > 3 and re.search(rf"\b{re.escape(known)}\b", wanted) is not None,
    ):
        found = list(dict.fromkeys(name for known, name in named if fits(known)))
        if found:
            return found[:MOST_FOUND]
    close = difflib.get_close_matches(wanted, [known for known, _ in named], n=3, cutoff=0.8)
    return list(dict.fromkeys(name for known, name in named if known in close))[:MOST_FOUND]


def _at(typed: re.Match[str], zones: Sequence[Zone], now: datetime) -> list[str]:
    """The offered zones whose clocks show about that time, the nearest first."""
    hour, minute, half = int(typed[1]), int(typed[2] or 0), (typed[3] or "").lower().replace(".", "")
    if hour > 23 or minute > 59 or (typed[2] is None and not half):
        return []
    if half:
        hour = hour % 12 + (12 if half == "pm" else 0)
    offsets = {zone.name: zone.offset for zone in zones}
    away = {}
    for name in _places():
        if name in offsets:
            there = now.astimezone(UTC) + offsets[name]
            apart = abs(hour * 60 + minute - there.hour * 60 - there.minute)
            away[name] = timedelta(minutes=min(apart, DAY - apart))
    near = [name for name in away if away[name] <= timedelta(minutes=12)]
    return sorted(near, key=lambda name: away[name])[:MOST_FOUND]


def _places() -> dict[str, tuple[str, ...]]:
    return {name: places for region in words.zones().regions for name, places in region.zones.items()}


def _plain(text: str) -> str:
    """Letters without accents, small, single spaces: what two spellings of one place have in common."""
    letters = unicodedata.normalize("NFKD", text.casefold().replace("ß", "ss").replace("ø", "o").replace("ł", "l"))
    kept = "".join(c if c.isalnum() else " " for c in letters if not unicodedata.combining(c))
    return " ".join(kept.split())
