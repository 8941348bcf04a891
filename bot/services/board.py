"""The rules of the vision board: what an idea must be like, what words make an item, and how a collage is laid out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from prompts.board import IDEAS, Thing

NAME_LIMIT = 80
"""Characters of an item's name."""

DESCRIPTION_LIMIT = 2000
"""Characters of an item's description."""

MOST_TILES = 24
"""Items in one collage."""

PEOPLE = re.compile(
    r"\b(?:m[ae]n|wom[ae]n|people|person|faces?|child|children|kids?|bab(?:y|ies)|famil(?:y|ies)|friends?|couples?|"
    r"husband|wife|partner|crowds?|portraits?|selfies?)\b",
    re.I,
)
LETTERING = re.compile(r"\b(?:logos?|slogans?|lettering|words? that say|says?|reads?|saying|reading \W|text)\b", re.I)


def parted(words: str) -> tuple[str, str | None]:
    """What a person wrote, as a name and, where there is more, a description: the first line, or the first sentence.

    Nothing is lost: what does not fit the name stands whole in the description.
    """
    text = words.strip()
    first, _, rest = text.partition("\n")
    name = " ".join(first.split())
    if len(name) > NAME_LIMIT:
        sentence = re.match(rf"(.{{3,{NAME_LIMIT - 1}}}?[.!?…:;,])\s", name)
        # A first sentence of nothing but dots names nothing.
        short = sentence[1].rstrip(" .,:;") if sentence else ""
        return short or name[: NAME_LIMIT - 1].rstrip() + "…", text
    return name, rest.strip() or None


def faults(things: Sequence[Thing], known: Sequence[str]) -> str:
    """What is wrong with ideas, in words for the model; "" where they can be offered."""
    found = []
    if len(things) != IDEAS:
        found.append(f"There must be {IDEAS}.")
    seen = {_folded(name) for name in known}
    for thing in things:
        name = " ".join(thing.name.split())
        if not name or len(name) > NAME_LIMIT or not thing.description.strip():
            found.append("Each has a name of a few words and a description.")
        if _folded(name) in seen:
            found.append(f"{name} was there already.")
        if PEOPLE.search(f"{name} {thing.description}"):
            found.append(f"{name} has people in it.")
        if LETTERING.search(f"{name} {thing.description}"):
            found.append(f"{name} has lettering in it.")
        seen.add(_folded(name))
    return " ".join(dict.fromkeys(found))


def fitting(things: Sequence[Thing], known: Sequence[str]) -> list[Thing]:
    """Those ideas that can be offered each by itself, three at most."""
    good: list[Thing] = []
    for thing in things:
        alone = faults([thing], [*known, *(one.name for one in good)]).replace(f"There must be {IDEAS}.", "")
        if not alone.strip():
            good.append(thing)
    return good[:IDEAS]


def _folded(name: str) -> str:
    words = re.findall(r"\w+", name.casefold())
    return " ".join(word for word in words if word not in ("a", "an", "the", "my", "our"))


# --------------------------------------------------------------------------------------- a collage


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A place in the collage, in points from the top left of the area for tiles; `index` names the item."""

    index: int
    x: float
    y: float
    width: float
    height: float


def arranged(ratios: Sequence[float], *, width: float, gap: float) -> tuple[list[Tile], float]:
    """Tiles of these ratios (height to width) in even columns, in the order of reading, and the height they fill.

    Each goes where the column is shortest; then every column is stretched to the same length, so that the bottom is
    one line. Two columns for up to four items, three for up to twelve, four for more; one item stands alone.
    """
    if not ratios:
        return [], 0
    count = len(ratios)
    columns = 1 if count == 1 else 2 if count <= 4 else 3 if count <= 12 else 4
    side = (width - gap * (columns - 1)) / columns
    stacks: list[list[tuple[int, float]]] = [[] for _ in range(columns)]
    for index, ratio in enumerate(ratios):
        shortest = min(stacks, key=lambda stack: sum(height for _, height in stack))
        shortest.append((index, side * min(max(ratio, 0.7), 1.4)))
    stacks = [stack for stack in stacks if stack]
    lengths = [sum(height for _, height in stack) + gap * (len(stack) - 1) for stack in stacks]
    length = sum(lengths) / len(lengths)
    tiles = []
    for column, stack in enumerate(stacks):
        stretch = (length - gap * (len(stack) - 1)) / sum(height for _, height in stack)
        y = 0.0
        for index, height in stack:
            tiles.append(Tile(index=index, x=column * (side + gap), y=y, width=side, height=height * stretch))
            y += height * stretch + gap
    return sorted(tiles, key=lambda tile: tile.index), length
