"""How VIVA asks a model to look back on a week of the journal."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import date
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

PROMPT_VERSION = 1
"""Raised when the wording of the prompt changes."""


class Claim(BaseModel):
    """A quote as the model claims it: from the entry with this number."""

    model_config = ConfigDict(extra="forbid")

    entry: int
    words: str


class LookBack(BaseModel):
    """What a model wrote about a week; its quotes are not checked yet."""

    model_config = ConfigDict(extra="forbid")

    text: str
    quotes: list[Claim]


def messages(entries: Sequence[tuple[date, str]], *, first_name: str) -> list[dict[str, str]]:
    """The request: the rules first, then the week's entries between tags that they cannot close."""
    days = "\n\n".join(
        f'<day number="{number}" date="{day.isoformat()}">\n{_escaped(text)}\n</day>'
        for number, (day, text) in enumerate(entries, start=1)
    )
    person = f"<person>\nfirst name: {_escaped(first_name)}\n</person>\n\n" if first_name.strip() else ""
    return [
        {"role": "system", "content": _rules()},
        {"role": "user", "content": f"{person}<entries>\n{days}\n</entries>"},
    ]


def _escaped(text: str) -> str:
    return html.escape(text.strip(), quote=False)


@cache
def _rules() -> str:
    return resources.files("prompts.journal").joinpath("reflection.md").read_text(encoding="utf-8").strip()
