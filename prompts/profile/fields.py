"""What a person can say of themselves: every field of the profile, how VIVA asks for it, and what it may be."""

from __future__ import annotations

import tomllib
from collections import Counter
from functools import cache
from importlib import resources
from typing import Literal

from pydantic import BaseModel

from prompts.categories import CATEGORIES
from prompts.profile import FACTS, Fact, fact_questions

Kind = Literal[
    "words",
    "choice",
    "fact",
    "yes_no",
    "date",
    "number",
    "list",
    "ages",
    "email",
    "phone",
    "height",
    "weight",
    "story",
    "photo",
    "photos",
]
MEDIA: tuple[Kind, ...] = ("photo", "photos")


class Choice(BaseModel, frozen=True):
    """A value as it is stored, and what its button says."""

    value: str
    label: str


class Topic(BaseModel, frozen=True):
    """A card of the profile."""

    key: str
    icon: str
    label: str


class Field(BaseModel, frozen=True):
    """A column of `user_profiles` that is the person's; fields.toml says what each part means."""

    column: str
    topic: str
    kind: Kind
    label: str
    question: str = ""
    values: tuple[Choice, ...] = ()
    longest: int = 200
    most: int = 1000
    when: Literal["partnered", "children"] | None = None
    told: str | None = None

    @property
    def asked(self) -> str:
        """The question as the person reads it."""
        return fact_questions()[self.fact].question if self.fact else self.question

    @property
    def choices(self) -> tuple[Choice, ...]:
        """The values that have a button."""
        if self.fact is None:
            return self.values
        return tuple(Choice(value=each.value, label=each.label) for each in fact_questions()[self.fact].values)

    @property
    def fact(self) -> Fact | None:
        """The fact on which questions branch that this field is, if it is one."""
        return next((fact for fact in FACTS if fact == self.column), None)

    @property
    def category(self) -> str:
        """The `category` of a recording that was made for this field: an area of life where it has one."""
        return next((area.key for area in CATEGORIES if area.story_column == self.column), self.column)


class Fields(BaseModel, frozen=True):
    """All topics and fields; raises ValueError naming what does not belong together."""

    topics: tuple[Topic, ...]
    fields: tuple[Field, ...]

    def model_post_init(self, _: object) -> None:
        """Check the fields as a whole."""
        columns = Counter(field.column for field in self.fields)
        if doubled := [column for column, times in columns.items() if times > 1]:
            raise ValueError(f"profile fields: doubled: {', '.join(doubled)}")
        keys = {topic.key for topic in self.topics}
        for field in self.fields:
            if field.topic not in keys:
                raise ValueError(f"profile fields: {field.column} has no topic {field.topic!r}")
            if not field.asked:
                raise ValueError(f"profile fields: {field.column} asks nothing")
            if (field.kind == "fact") != (field.fact is not None):
                raise ValueError(f"profile fields: {field.column} and facts.toml do not agree")
            if field.kind in ("choice", "fact") and len(field.choices) < 2:
                raise ValueError(f"profile fields: {field.column} leaves no choice")


def parse(text: str) -> Fields:
    """Fields from TOML; raises ValueError naming what is wrong."""
    return Fields.model_validate(tomllib.loads(text))


@cache
def fields() -> Fields:
    """VIVA's fields, read and checked once."""
    return parse(resources.files("prompts.profile").joinpath("fields.toml").read_text(encoding="utf-8"))


@cache
def _by_column() -> dict[str, Field]:
    return {field.column: field for field in fields().fields}


def field(column: object) -> Field | None:
    """The field of this column, or None."""
    return _by_column().get(column) if isinstance(column, str) else None


def topic(key: object) -> Topic | None:
    """The topic under this key, or None."""
    return next((topic for topic in fields().topics if topic.key == key), None)


def of_topic(key: str) -> tuple[Field, ...]:
    """The fields of a topic, in the order they are asked."""
    return tuple(field for field in fields().fields if field.topic == key)
