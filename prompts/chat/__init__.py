"""The words of talking with VIVA: who it is to the model, and what it is told when somebody may be in danger."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

PROMPT_VERSION = 2
"""Raised when the wording of a prompt here changes; kept with every answer."""


@cache
def persona() -> str:
    """Who VIVA is and how it answers: the beginning of every talk with the model."""
    return _read("persona.md")


@cache
def gentle() -> str:
    """What is added while a conversation has spoken of danger."""
    return _read("gentle.md")


def callback(day: str) -> str:
    """What is added when the message's theme was met before."""
    return _notes()["callback"].format(day=day)


def weeks(count: int) -> str:
    """What is added when the same has come up in so many different weeks."""
    return _notes()["weeks"].format(count=count)


def guide(phase: str, area: str) -> str:
    """What a conversation about an area of life is about just now; "" in a talk about anything."""
    text = _notes().get(phase, "")
    return text.format(area=area) if area else ""


@cache
def _notes() -> dict[str, str]:
    return {key: text.strip() for key, text in tomllib.loads(_read("notes.toml")).items()}


def _read(name: str) -> str:
    return resources.files("prompts.chat").joinpath(name).read_text(encoding="utf-8").strip()
