"""How the stand-in model finds things for a vision board: it takes nouns from what the person wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

THING = re.compile(
    r"\b(?:an?|the|my|our)\s+((?:[a-z]+\s+){0,2}?[a-z]{3,})(?=[,.;:!?]|\s+(?:in|on|at|by|and|with|of|where|under|for|to)\b|$)",
    re.I,
)
NO_PICTURE = re.compile(
    r"\b(?:man|men|woman|women|people|person|child|children|family|friends?|husband|wife|partner|kids?|way|day|week|"
    r"year|time|life|work|feeling|lot|part|moment|thing|idea|others?|same|whole|first|last|next|text|words?)\b",
    re.I,
)
AT_HAND = (
    "An open window in the evening",
    "A bowl of oranges",
    "A worn map with pins",
    "A bench under a tree",
    "A lamp by an armchair",
    "A path along the water",
    "A bicycle by a gate",
    "A table laid for breakfast",
)
LIGHT = ("in the light of the morning", "with the sun low behind it", "quiet, on a clear day")


def ideas(request: str) -> str:
    """Three things as JSON, out of what stands in `request` between its tags; none that is known there already."""
    known = {_folded(line) for line in _part(request, "known").split("\n") if line.strip()}
    told = f"{_part(request, 'vision')}\n{_part(request, 'answers')}"
    found = [" ".join(match[1].split()) for match in THING.finditer(told)]
    names = [f"The {name.lower()}" for name in found if not NO_PICTURE.search(name)]
    things: list[dict[str, Any]] = []
    for name in _new([*names, *AT_HAND], known):
        things.append({"name": name, "description": f"{name}, {LIGHT[len(things)]}."})
        if len(things) == len(LIGHT):
            break
    return json.dumps({"things": things})


def _new(names: Sequence[str], known: set[str]) -> list[str]:
    kept: dict[str, str] = {}
    for name in names:
        if _folded(name) not in known:
            kept.setdefault(_folded(name), name)
    return list(kept.values())


def _folded(name: str) -> str:
    return " ".join(word for word in re.findall(r"\w+", name.casefold()) if word not in ("a", "an", "the", "my", "our"))


def _part(request: str, tag: str) -> str:
    found = re.search(rf"<{tag}>\n(.*?)\n</{tag}>", request, re.S)
    return found[1] if found else ""
