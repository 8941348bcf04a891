"""The packs of tokens that VIVA sells, as data."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Pack(BaseModel):
    """So many tokens for so many Telegram Stars; lengths as Telegram allows in an invoice."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(pattern=r"^[a-z0-9_]{1,32}$")
    title: str = Field(min_length=1, max_length=32)
    description: str = Field(min_length=1, max_length=255)
    tokens: int = Field(gt=0)
    stars: int = Field(gt=0, le=10_000)


class _Shelf(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    pack: tuple[Pack, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> _Shelf:
        if len({pack.id for pack in self.pack}) != len(self.pack):
            raise ValueError("two packs have the same id")
        return self


@cache
def every() -> tuple[Pack, ...]:
    """All packs, in the order in which they are offered."""
    text = (resources.files("prompts") / "packs" / "packs.toml").read_text(encoding="utf-8")
    return _Shelf.model_validate(tomllib.loads(text)).pack


def named(pack_id: str) -> Pack | None:
    """The pack with this id, None when it is not offered (any more)."""
    return next((pack for pack in every() if pack.id == pack_id), None)
