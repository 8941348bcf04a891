"""Time zones as people name them: by city or country, in regions, and guessed from a language."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict


class Region(BaseModel):
    """A part of the world; `zones` are IANA names with the places that people may type, the label first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    label: str
    zones: dict[str, tuple[str, ...]]


class Zones(BaseModel):
    """All regions, and by language tag the zones to offer first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    languages: dict[str, tuple[str, ...]]
    regions: tuple[Region, ...]


@cache
def zones() -> Zones:
    """What stands in `zones.toml`."""
    file = resources.files("prompts.time_zone").joinpath("zones.toml")
    return Zones.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
