"""The words of talking with VIVA: who it is to the model, and what it is told when somebody may be in danger."""

from __future__ import annotations

from functools import cache
from importlib import resources

PROMPT_VERSION = 1
"""Raised when the wording of a prompt here changes; kept with every answer."""


@cache
def persona() -> str:
    """Who VIVA is and how it answers: the beginning of every talk with the model."""
    return _read("persona.md")


@cache
def gentle() -> str:
    """What is added while a conversation has spoken of danger."""
    return _read("gentle.md")


def _read(name: str) -> str:
    return resources.files("prompts.chat").joinpath(name).read_text(encoding="utf-8").strip()
