"""The question bank of the life assessment: 105 questions, of which each person is asked 84 (domain section 2)."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, Field, ValidationError

from prompts.categories import CATEGORIES
from prompts.profile import Fact, fact_questions

VALUES = (10, 8, 6, 4, 2)
GREEN_LINE: tuple[Literal["above", "neutral", "below"], ...] = ("above", "above", "neutral", "below", "below")
QUESTIONS_PER_CATEGORY = 7
BRANCHES: dict[str, tuple[Fact, tuple[str, str]]] = {
    "family": ("has_children", ("parents", "non_parents")),
    "romance": ("relationship_status", ("single", "relationship")),
    "business": ("employment_type", ("owner", "employee")),
}
"""Which fact decides the branch of a category, and the branches there are."""


class BranchUnknown(ValueError):
    """The fact that decides which questions fit is not known; it is asked for, never assumed."""

    def __init__(self, fact: Fact) -> None:
        super().__init__(f"{fact} is not known")
        self.fact: Fact = fact


class Option(BaseModel, frozen=True):
    """One of five answers: a full sentence, its value, and where it stands against the green line."""

    text: str
    value: int
    green_line: Literal["above", "neutral", "below"]


class Wording(BaseModel, frozen=True):
    """The words of a question for people in a certain situation."""

    text: str = Field(min_length=20, max_length=300)
    options: tuple[str, str, str, str, str]


class Question(Wording, frozen=True):
    """A question with its five options, most thriving first."""

    id: str
    category: str
    branch: str = ""
    angle: str
    variants: dict[str, Wording] = {}

    def option(self, value: int) -> Option:
        """The option worth `value`; raises ValueError for any value but 10, 8, 6, 4, 2."""
        place = VALUES.index(value)
        return Option(text=self.options[place], value=value, green_line=GREEN_LINE[place])

    def worded_for(self, variant: str | None) -> Question:
        """The same question in the words of a variant, where it has such words."""
        words = self.variants.get(variant or "")
        return self if words is None else self.model_copy(update={"text": words.text, "options": words.options})


class Bank(BaseModel, frozen=True):
    """All questions of one version; raises ValueError naming the question when the bank is not whole."""

    assessment_version: int = Field(ge=1)
    question: tuple[Question, ...]

    def model_post_init(self, _: Any) -> None:
        """Check the bank as a whole."""
        expected = [
            f"{category.key}_{branch}{number}"
            for category in CATEGORIES
            for branch in ([f"{name}_" for name in BRANCHES[category.key][1]] if category.key in BRANCHES else [""])
            for number in range(1, QUESTIONS_PER_CATEGORY + 1)
        ]
        found = [question.id for question in self.question]
        if wrong := sorted(set(expected) ^ set(found)) or [key for key, n in Counter(found).items() if n > 1]:
            raise ValueError(f"question bank: missing, unknown or doubled: {', '.join(wrong)}")
        sentences: dict[str, str] = {}
        for question in self.question:
            prefix = f"{question.category}_{question.branch + '_' if question.branch else ''}"
            if not question.id.startswith(prefix):
                raise ValueError(f"question bank: {question.id} does not belong to its category and branch")
            for words in (question, *question.variants.values()):
                for sentence in (words.text, *words.options):
                    if sentence in sentences:
                        raise ValueError(f"question bank: {question.id} repeats a sentence of {sentences[sentence]}")
                    sentences[sentence] = question.id
                    if sentence != sentence.strip() or sentence[-1] not in ".?!":
                        raise ValueError(f"question bank: {question.id} has a sentence without an end")
                if any(not 15 <= len(option) <= 130 for option in words.options):
                    raise ValueError(f"question bank: {question.id} has an option that is too short or too long")


def parse(text: str) -> Bank:
    """A bank from TOML; raises ValueError naming the question that is wrong."""
    data = tomllib.loads(text)
    try:
        return Bank.model_validate(data)
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        questions = data.get("question", [])
        named = questions[place[1]].get("id", place[1]) if len(place) > 1 and isinstance(place[1], int) else place
        raise ValueError(f"question bank: {named}: {error.errors()[0]['msg']}") from None


@cache
def bank() -> Bank:
    """VIVA's question bank, read and checked once."""
    return parse(resources.files("prompts.assessment").joinpath("questions.toml").read_text(encoding="utf-8"))


@cache
def _by_id() -> dict[str, Question]:
    return {question.id: question for question in bank().question}


def question(question_id: str) -> Question:
    """The question with this id; raises ValueError for an unknown one."""
    if question_id not in _by_id():
        raise ValueError(f"there is no question {question_id!r}")
    return _by_id()[question_id]


def branch_of(category: str, facts: Mapping[Fact, str | None]) -> tuple[str, str | None]:
    """The branch ("" where a category has none) and wording variant that fit; raises BranchUnknown."""
    if category not in BRANCHES:
        return "", None
    fact = BRANCHES[category][0]
    known = facts.get(fact)
    if known is None:
        raise BranchUnknown(fact)
    try:
        value = fact_questions()[fact].value(known)
    except ValueError:
        # A value that another program stored and we do not know is asked for anew.
        raise BranchUnknown(fact) from None
    return value.branch, value.variant


def questions_for(category: str, facts: Mapping[Fact, str | None]) -> tuple[Question, ...]:
    """The seven questions of a category that fit the person, in order and in fitting words; raises BranchUnknown.

    `facts` holds the stored values ("true"/"false" for has_children); a missing or None one is unknown.
    """
    branch, variant = branch_of(category, facts)
    prefix = f"{category}_{branch}_" if branch else f"{category}_"
    return tuple(question(f"{prefix}{number}").worded_for(variant) for number in range(1, QUESTIONS_PER_CATEGORY + 1))
