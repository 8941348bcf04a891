"""How VIVA asks a model for the title and the areas of a journal entry."""

from __future__ import annotations

import html
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from prompts.categories import CATEGORIES

PROMPT_VERSION = 1
"""Raised when the wording of the prompt changes."""


class Suggestion(BaseModel):
    """A title, and the areas an entry is about."""

    model_config = ConfigDict(extra="forbid")

    title: str
    categories: list[
        Literal[
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
    ]


def messages(words: str) -> list[dict[str, str]]:
    """The request: the rules first, then the entry between tags that it cannot close."""
    areas = "\n".join(f"{category.key}: {category.label}" for category in CATEGORIES)
    parts = {"areas": areas, "entry": words}
    told = "\n\n".join(f"<{name}>\n{html.escape(text.strip(), quote=False)}\n</{name}>" for name, text in parts.items())
    return [{"role": "system", "content": _rules()}, {"role": "user", "content": told}]


@cache
def _rules() -> str:
    return resources.files("prompts.journal").joinpath("suggestion.md").read_text(encoding="utf-8").strip()
