"""How VIVA asks a model which of five answers comes nearest to a person's own words."""

from __future__ import annotations

import html
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel, ConfigDict

from prompts.assessment import VALUES, Question

PROMPT_VERSION = 1
"""Raised when the wording of the prompt changes."""


class Nearest(BaseModel):
    """The option nearest to what the person said, and why."""

    model_config = ConfigDict(extra="forbid")

    reason: str
    value: Literal[10, 8, 6, 4, 2]


def messages(question: Question, words: str) -> list[dict[str, str]]:
    """The request: the rules first, then the material between tags that the person's words cannot close."""
    options = "\n".join(f"{value}: {question.option(value).text}" for value in VALUES)
    parts = {"question": question.text, "options": options, "words": words}
    told = "\n\n".join(f"<{name}>\n{html.escape(text.strip(), quote=False)}\n</{name}>" for name, text in parts.items())
    return [{"role": "system", "content": _rules()}, {"role": "user", "content": told}]


@cache
def _rules() -> str:
    return resources.files("prompts.assessment").joinpath("scoring.md").read_text(encoding="utf-8").strip()
