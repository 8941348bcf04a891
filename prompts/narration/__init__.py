"""The voices in which a vision can be read aloud."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from pydantic import BaseModel


class Voice(BaseModel, frozen=True, extra="forbid"):
    """A voice: what its provider calls it, its name for people, and how it sounds in a few words."""

    id: str
    name: str
    words: str


@cache
def voices(provider: str) -> tuple[Voice, ...]:
    """The voices of "openai" or "elevenlabs", the first of which speaks until another is chosen."""
    data = tomllib.loads(resources.files("prompts.narration").joinpath("voices.toml").read_text(encoding="utf-8"))
    return tuple(Voice.model_validate(row) for row in data[provider])
