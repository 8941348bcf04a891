"""How VIVA asks a model for ideas to pin, and for a picture of a thing."""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

from prompts.categories import Category

PROMPT_VERSION = 1
"""Raised when the wording of the prompts changes."""

IDEAS = 3
"""How many ideas come at a time (domain section 6)."""


class Thing(BaseModel):
    """Something to pin: a few words, and a sentence that shows it."""

    model_config = ConfigDict(extra="forbid")

    name: str
    description: str


class Ideas(BaseModel):
    """What a model offers for the board."""

    model_config = ConfigDict(extra="forbid")

    things: list[Thing]


def ideas_messages(
    area: Category, *, vision: str, answers: Sequence[tuple[str, str]], known: Sequence[str], faults: str = ""
) -> list[dict[str, str]]:
    """The request for three ideas: the rules first, then the material between tags that it cannot close."""
    parts = {
        "area": area.label,
        "vision": vision,
        "answers": "\n\n".join(f"Question: {asked}\nAnswer: {answer}" for asked, answer in answers),
        "known": "\n".join(known),
    }
    told = "\n\n".join(f"<{name}>\n{_escaped(text)}\n</{name}>" for name, text in parts.items() if text.strip())
    request = [{"role": "system", "content": _read("ideas.md")}, {"role": "user", "content": told}]
    if faults:
        request.append({"role": "system", "content": f"Your last three could not be used: {faults} Give three others."})
    return request


def picture(name: str, description: str | None) -> str:
    """The request for a picture of a thing or scene: the rules around what the person wrote, which stands in tags."""
    told = "\n".join(part for part in (name, description or "") if part.strip())
    return _read("picture.md").replace("{scene}", _escaped(told))


def _escaped(text: str) -> str:
    return html.escape(text.strip(), quote=False)


@cache
def _read(name: str) -> str:
    return resources.files("prompts.board").joinpath(name).read_text(encoding="utf-8").strip()
