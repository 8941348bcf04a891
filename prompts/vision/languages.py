"""What the checks of a vision know of a language: words as data, in `languages.toml`."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

from pydantic import BaseModel


class Language(BaseModel, frozen=True):
    """A language as the checks know it; the fields are explained in the file."""

    name: str
    small: tuple[str, ...]
    first: tuple[str, ...]
    second: tuple[str, ...]
    drops: bool
    present: tuple[str, ...]
    past: tuple[str, ...]
    turns: tuple[re.Pattern[str], ...]
    names: tuple[str, ...] = ()
    changing: tuple[str, ...]
    numbers: dict[str, str]

    def counts_as_small(self, word: str) -> bool:
        """Whether a word of a text is one by which this language is known."""
        return word in self.small or word.lower() in self.small


@cache
def languages() -> tuple[Language, ...]:
    """Every language that the checks know."""
    text = resources.files("prompts").joinpath("vision", "languages.toml").read_text(encoding="utf-8")
    known = []
    for name, data in tomllib.loads(text).items():
        turns = tuple(re.compile(pattern, re.I) for pattern in data.pop("turns"))
        known.append(Language.model_validate(data | {"name": name, "turns": turns}))
    return tuple(known)
