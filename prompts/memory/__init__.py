"""How VIVA asks a model for the facts in a person's words, and for a few sentences about a stretch of them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

PROMPT_VERSION = 2
"""Raised when the wording of a prompt here changes."""

Area = Literal[
    "",
    "fun",
    "health",
    "travel",
    "romance",
    "family",
    "social",
    "home",
    "business",
    "money",
    "possessions",
    "giving",
    "spirituality",
]


class FoundFact(BaseModel):
    """A fact as the model notes it, not yet checked; `source` and `replaces` are numbers of the request."""

    model_config = ConfigDict(extra="forbid")

    text: str
    quote: str
    source: int
    category: Area
    since: str
    confidence: float
    replaces: list[int]


class FoundAgain(BaseModel):
    """Another place where a fact was said, as the model notes it; `fact` and `source` are numbers of the request."""

    model_config = ConfigDict(extra="forbid")

    fact: int
    source: int
    quote: str


class Found(BaseModel):
    """The facts that the model found, and where those that it knew are said again."""

    model_config = ConfigDict(extra="forbid")

    facts: list[FoundFact]
    again: list[FoundAgain]


class Digest(BaseModel):
    """What the model sums up, and the numbers of the facts that its text tells of."""

    model_config = ConfigDict(extra="forbid")

    text: str
    facts: list[int]


def facts(*, standing: Sequence[str], said: Sequence[str]) -> list[dict[str, str]]:
    """The request for the facts in what was `said`; each line of both begins at its number, from 1."""
    told = "\n\n".join((_part("standing", _numbered(standing)), _part("said", _numbered(said))))
    return [{"role": "system", "content": _read("facts.md")}, {"role": "user", "content": told}]


def digest(*, standing: Sequence[str], said: Sequence[str]) -> list[dict[str, str]]:
    """The request to sum up a stretch of talk or a week; each line of `standing` begins at its number, from 1."""
    told = "\n\n".join((_part("standing", _numbered(standing)), _part("said", said)))
    return [{"role": "system", "content": _read("digest.md")}, {"role": "user", "content": told}]


def _numbered(lines: Sequence[str]) -> list[str]:
    return [f"[{number}] {line}" for number, line in enumerate(lines, 1)]


def _part(name: str, lines: Sequence[str]) -> str:
    return f"<{name}>\n{html.escape(chr(10).join(lines), quote=False) or 'nothing yet'}\n</{name}>"


@cache
def _read(name: str) -> str:
    return resources.files("prompts.memory").joinpath(name).read_text(encoding="utf-8").strip()
