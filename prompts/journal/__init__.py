"""The words of the journal: what it says, what it asks a model, and what carries a search."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources


@cache
def carriers() -> frozenset[str]:
    """Words of all languages that carry a question and say nothing of what is looked for."""
    file = resources.files("prompts.journal").joinpath("carriers.toml")
    return frozenset(
        word for words in tomllib.loads(file.read_text(encoding="utf-8")).values() for word in words.split()
    )
