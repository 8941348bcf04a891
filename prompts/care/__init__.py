"""The words of care: phrases that tell of danger, help lines by country, and what VIVA says around them."""

from __future__ import annotations

import tomllib
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Danger = Literal["self", "others", "from_others"]
Level = Literal["concern", "immediate"]

_DATE = r"^20\d\d-(0[1-9]|1[0-2])$"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HelpLine(_Row):
    """Somewhere to turn; at least one of phone, text and link is there. `checked` is a month, "2026-11"."""

    name: str = Field(min_length=2)
    phone: str | None = None
    text: str | None = None
    link: str | None = Field(None, pattern=r"^https?://")
    hours: str | None = None
    helps: frozenset[Danger] = Field(min_length=1)
    source: str = Field(pattern=r"^https?://")
    checked: str = Field(pattern=_DATE)

    @model_validator(mode="after")
    def _can_be_reached(self) -> HelpLine:
        if not (self.phone or self.text or self.link):
            raise ValueError(f"{self.name} has no phone, text or link")
        return self


class Country(_Row):
    """One country: the emergency number as people there dial it, and its help lines in order of use."""

    name: str
    names: tuple[str, ...]
    emergency: str
    languages: tuple[str, ...] = ()
    lines: tuple[HelpLine, ...] = ()


class Guessing(_Row):
    """What must not be taken for a place."""

    not_a_place: frozenset[str]


class Words(_Row):
    """What VIVA says around the help lines: `opening` and `now` by danger and level."""

    not_a_crisis_service: str
    emergency: str
    emergency_guessed: str
    emergency_unknown: str
    pause: str
    pause_button: str
    opening: dict[Danger, dict[Level, str]]
    now: dict[Danger, dict[Level, str]]


class Lines(_Row):
    """`lines.toml`: countries by ISO 3166 alpha-2 code, the directory for all others, and the words."""

    directory: HelpLine
    guessing: Guessing
    words: Words
    countries: dict[str, Country]


class Phrases(_Row):
    """Regular expressions over plain text (see `signs.toml`) in one language."""

    language: str
    phrases: tuple[str, ...] = Field(min_length=1)


class SignPhrases(Phrases):
    """Phrases that tell of one danger at one level."""

    danger: Danger
    level: Level


class Signs(_Row):
    """`signs.toml`: the phrases, in the order in which they are read."""

    unspaced: frozenset[str]
    spellings: dict[str, str]
    groups: dict[str, str]
    softened: tuple[Phrases, ...]
    harmless: tuple[Phrases, ...]
    means: tuple[Phrases, ...]
    signs: tuple[SignPhrases, ...]


def _load(name: str) -> dict[str, object]:
    return tomllib.loads(resources.files(__name__).joinpath(name).read_text("utf-8"))


LINES = Lines.model_validate(_load("lines.toml"))
SIGNS = Signs.model_validate(_load("signs.toml"))
