"""How VIVA asks a model what it sees in an assessment."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from prompts.categories import CATEGORIES

PROMPT_VERSION = 1
"""Raised when the wording of the prompt changes."""

TYPES = ("strength", "pattern", "growth_area", "recommendation")
"""What an insight can be, in the order they are shown."""

LEAST, MOST = 6, 12
"""So many insights are asked for, where there are answers enough."""


class Seen(BaseModel):
    """An insight as a model gives it. Its names are open: a wrong one must not cost the others, and is found later."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(json_schema_extra={"enum": list(TYPES)})]
    category: Annotated[str, Field(json_schema_extra={"enum": [category.key for category in CATEGORIES]})]
    title: str
    description: str
    confidence: float
    rests_on: list[str]


class Insights(BaseModel):
    """All that a model sees in an assessment."""

    model_config = ConfigDict(extra="forbid")

    insights: list[Seen]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """An answer with the question it was given to, and where it stands: above, neutral or below."""

    id: str
    question: str
    answer: str
    standing: str


@dataclass(frozen=True, kw_only=True)
class Area:
    """A category with its answers, where it stands, and how it felt to the person before (1 to 10)."""

    key: str
    standing: str
    felt: int | None
    answers: Sequence[Answer]


def messages(areas: Sequence[Area]) -> list[dict[str, str]]:
    """The request: the rules first, then the answers between tags that a person's words cannot close."""
    told = "\n\n".join(_area(area) for area in areas)
    return [{"role": "system", "content": _rules()}, {"role": "user", "content": told}]


def again(findings: Sequence[str]) -> str:
    """What is wrong with an answer, for the model to answer once more."""
    lines = "\n".join(f"- {finding}" for finding in findings)
    return f"Some of this does not hold:\n{lines}\nAnswer once more with the whole list, mended. Keep what holds."


def _area(area: Area) -> str:
    felt = f' felt="{area.felt} of 10"' if area.felt is not None else ""
    answers = "\n".join(
        f'<answer id="{answer.id}" standing="{answer.standing}">\nQuestion: {_escaped(answer.question)}\n'
        f"Answer: {_escaped(answer.answer)}\n</answer>"
        for answer in area.answers
    )
    return f'<category key="{area.key}" standing="{area.standing}"{felt}>\n{answers}\n</category>'


def _escaped(text: str) -> str:
    return html.escape(text.strip(), quote=False)


@cache
def _rules() -> str:
    return resources.files("prompts.insights").joinpath("insights.md").read_text(encoding="utf-8").strip()
