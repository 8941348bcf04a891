"""The doors to the outside that a job may open: models, media, files that people sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bot.ai.model import Model
from bot.media import Media


class SentFiles(Protocol):
    """Files that people sent, as the messenger keeps them for a while."""

    async def fetch(self, file_id: str) -> bytes:
        """The bytes; raises bot.errors.TooLarge over the messenger's download limit, NotFound when it is gone."""


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What the composition root opened for jobs; `context_tokens` is how much of a talk a model is given at most."""

    model: Model
    media: Media
    sent_files: SentFiles
    context_tokens: int
