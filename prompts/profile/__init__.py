"""The facts on which questions branch: how VIVA asks for them and which values there are."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel

Fact = Literal["has_children", "relationship_status", "employment_type"]
FACTS: tuple[Fact, ...] = ("has_children", "relationship_status", "employment_type")


class Value(BaseModel, frozen=True):
    """A value of a fact: how it is stored, what its button says, which branch of questions it leads to."""

    value: str
    label: str
    branch: str
    variant: str | None = None


class FactQuestion(BaseModel, frozen=True):
    """How VIVA asks for a fact."""

    question: str
    values: tuple[Value, ...]

    def value(self, value: str) -> Value:
        """The value as it is stored; raises ValueError for an unknown one."""
        for known in self.values:
            if known.value == value:
                return known
        raise ValueError(f"unknown value {value!r}")


@cache
def fact_questions() -> dict[Fact, FactQuestion]:
    """Every fact with its question and values."""
    text = resources.files("prompts.profile").joinpath("facts.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return {fact: FactQuestion.model_validate(data[fact]) for fact in FACTS}
