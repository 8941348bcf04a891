"""How VIVA asks a model for the facts in a person's words, and for a few sentences about a stretch of them."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

PROMPT_VERSION = 1
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


class Found(BaseModel):
    """The facts that the model found."""

    model_config = ConfigDict(extra="forbid")

    facts: list[FoundFact]


def facts(*, standing: Sequence[str], said: Sequence[str]) -> list[dict[str, str]]:
    """The request for the facts in what was `said`; each line of both begins at its number, from 1."""
    told = "\n\n".join(
        (
            _part("standing", [f"[{number}] {line}" for number, line in enumerate(standing, 1)]),
            _part("said", [f"[{number}] {line}" for number, line in enumerate(said, 1)]),
        )
    )
    return [{"role": "system", "content": _read("facts.md")}, {"role": "user", "content": told}]


def digest(said: Sequence[str]) -> list[dict[str, str]]:
    """The request to sum up a stretch of talk or a week."""
    return [{"role": "system", "content": _read("digest.md")}, {"role": "user", "content": _part("said", said)}]


def _part(name: str, lines: Sequence[str]) -> str:
    return f"<{name}>\n{html.escape(chr(10).join(lines), quote=False) or 'nothing yet'}\n</{name}>"


@cache
def _read(name: str) -> str:
    return resources.files("prompts.memory").joinpath(name).read_text(encoding="utf-8").strip()
