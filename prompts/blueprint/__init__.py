"""How VIVA asks a model for three small steps between today and the vision."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

PROMPT_VERSION = 1
"""Raised when the wording of the prompt changes."""

STEPS = 3


class SmallStep(BaseModel):
    """A small step as a model gives it."""

    model_config = ConfigDict(extra="forbid")

    title: str
    description: str


class Blueprint(BaseModel):
    """Three small steps."""

    model_config = ConfigDict(extra="forbid")

    steps: list[SmallStep]


@dataclass(frozen=True, kw_only=True)
class Material:
    """What steps are made from; all of it but `category` was told by the person, or written for them.

    `answers` are questions with their answers and where each stands; `earlier` are titles of steps there were before.
    """

    category: str
    answers: Sequence[tuple[str, str, str]]
    vision: str
    person: Sequence[str]
    earlier: Sequence[str]


def messages(material: Material) -> list[dict[str, str]]:
    """The request: the rules first, then the material between tags that it cannot close."""
    answers = "\n\n".join(
        f"Question: {asked}\nAnswer ({standing}): {answer}" for asked, answer, standing in material.answers
    )
    parts = {
        "person": "\n".join(material.person),
        "category": material.category,
        "answers": answers,
        "vision": material.vision,
        "earlier": "\n".join(material.earlier),
    }
    told = "\n\n".join(f"<{name}>\n{_escaped(text)}\n</{name}>" for name, text in parts.items() if text.strip())
    return [{"role": "system", "content": _rules()}, {"role": "user", "content": told}]


def again(findings: Sequence[str]) -> str:
    """What is wrong with an answer, for the model to answer once more."""
    lines = "\n".join(f"- {finding}" for finding in findings)
    return f"This cannot be used:\n{lines}\nAnswer once more with three steps, mended."


def _escaped(text: str) -> str:
    return html.escape(text.strip(), quote=False)


@cache
def _rules() -> str:
    return resources.files("prompts.blueprint").joinpath("blueprint.md").read_text(encoding="utf-8").strip()
