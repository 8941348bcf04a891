"""The price book: what a model's work costs on a day. An unknown price refuses; it is never zero."""

from __future__ import annotations

import math
import tomllib
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, ROUND_UP, Decimal
from importlib import resources
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from bot.errors import SettingsError

CENT_FRACTION = Decimal("0.0001")
"""`token_usage.cost_estimate` is in US cents with four decimals (domain section 7)."""


class UnknownPrice(Exception):
    """The price book has no row for this model on this day."""


class TextPrice(BaseModel, frozen=True, extra="forbid"):
    """US dollars per million tokens. Cached tokens are inside the input, reasoning inside the output."""

    model: str
    since: date
    input: Decimal = Field(ge=0)
    cached: Decimal = Field(ge=0)
    output: Decimal = Field(gt=0)

    def cents(self, *, input_tokens: int, cached_tokens: int, output_tokens: int) -> Decimal:
        """The cost of a call in US cents."""
        dollars_per_million = (
            self.input * (input_tokens - cached_tokens) + self.cached * cached_tokens + self.output * output_tokens
        )
        return (dollars_per_million / 10_000).quantize(CENT_FRACTION, ROUND_HALF_UP)


class TranscriptionPrice(BaseModel, frozen=True, extra="forbid"):
    """US dollars per minute of sound, and the tokens of balance that a minute takes."""

    model: str
    since: date
    minute: Decimal = Field(gt=0)
    tokens_per_minute: int = Field(gt=0)

    def cents(self, seconds: float) -> Decimal:
        """The cost of a recording in US cents."""
        return (self.minute * Decimal(str(seconds)) * 100 / 60).quantize(CENT_FRACTION, ROUND_HALF_UP)

    def tokens(self, seconds: float) -> int:
        """What a recording takes from the balance, in tokens, rounded up, at least 1."""
        return max(1, math.ceil(Decimal(str(seconds)) * self.tokens_per_minute / 60))


class SpeechPrice(BaseModel, frozen=True, extra="forbid"):
    """US dollars per million characters said aloud, and the tokens of balance that a thousand of them take."""

    model: str
    since: date
    million_characters: Decimal = Field(gt=0)
    tokens_per_thousand: int = Field(gt=0)

    def cents(self, characters: int) -> Decimal:
        """The cost of so many characters in US cents."""
        return (self.million_characters * characters / 10_000).quantize(CENT_FRACTION, ROUND_HALF_UP)

    def tokens(self, characters: int) -> int:
        """What so many characters take from the balance, in tokens, rounded up, at least 1."""
        return max(1, math.ceil(Decimal(characters) * self.tokens_per_thousand / 1000))


class ImagePrice(BaseModel, frozen=True, extra="forbid"):
    """US dollars for a picture of a size and quality, and the tokens of balance that it takes."""

    model: str
    since: date
    size: str
    quality: str
    picture: Decimal = Field(gt=0)
    tokens_per_picture: int = Field(gt=0)

    def cents(self) -> Decimal:
        """The cost of a picture in US cents."""
        return (self.picture * 100).quantize(CENT_FRACTION, ROUND_HALF_UP)


class EmbeddingPrice(BaseModel, frozen=True, extra="forbid"):
    """US dollars per million tokens turned into vectors."""

    model: str
    since: date
    input: Decimal = Field(gt=0)

    def cents(self, input_tokens: int) -> Decimal:
        """The cost of so many tokens in US cents, rounded up: a few words must not come to nothing."""
        return (self.input * input_tokens / 10_000).quantize(CENT_FRACTION, ROUND_UP)


Price = TypeVar("Price", TextPrice, TranscriptionPrice, SpeechPrice, ImagePrice, EmbeddingPrice)


class PriceBook(BaseModel, frozen=True, extra="forbid"):
    """All rows, of every day."""

    text: tuple[TextPrice, ...] = ()
    transcription: tuple[TranscriptionPrice, ...] = ()
    speech: tuple[SpeechPrice, ...] = ()
    image: tuple[ImagePrice, ...] = ()
    embedding: tuple[EmbeddingPrice, ...] = ()

    def for_text(self, model: str, on: date) -> TextPrice:
        """The text price of a model on a day; raises UnknownPrice."""
        return _latest(self.text, model, on)

    def for_transcription(self, model: str, on: date) -> TranscriptionPrice:
        """The transcription price of a model on a day; raises UnknownPrice."""
        return _latest(self.transcription, model, on)

    def for_speech(self, model: str, on: date) -> SpeechPrice:
        """The price of speaking of a model on a day; raises UnknownPrice."""
        return _latest(self.speech, model, on)

    def for_image(self, model: str, size: str, quality: str, on: date) -> ImagePrice:
        """The price of a picture of a model on a day; raises UnknownPrice."""
        fitting = tuple(row for row in self.image if row.size == size and row.quality == quality)
        return _latest(fitting, model, on)

    def for_embedding(self, model: str, on: date) -> EmbeddingPrice:
        """The price of embeddings of a model on a day; raises UnknownPrice."""
        return _latest(self.embedding, model, on)


def _latest(rows: tuple[Price, ...], model: str, on: date) -> Price:
    fitting = [row for row in rows if row.model == model and row.since <= on]
    if not fitting:
        raise UnknownPrice(f"the price book has no price for the model {model!r} on {on.isoformat()}")
    return max(fitting, key=lambda row: row.since)


def today() -> date:
    """The day by which prices are looked up, in UTC."""
    return datetime.now(UTC).date()


def read(extra: Path | None = None) -> PriceBook:
    """VIVA's price book with the rows of `extra`, a file of the same shape, added; they win over VIVA's of a same day.

    Raises SettingsError where `extra` is no such file.
    """
    book = PriceBook.model_validate(
        tomllib.loads(resources.files("bot.ai").joinpath("prices.toml").read_text(encoding="utf-8"))
    )
    if extra is None:
        return book
    try:
        more = PriceBook.model_validate(tomllib.loads(extra.read_text(encoding="utf-8")))
    except OSError as error:
        raise SettingsError(f"VIVA_PRICES_FILE cannot be read: {error.strerror}.") from None
    except ValidationError as error:
        where = " ".join(str(part) for part in error.errors()[0]["loc"])
        raise SettingsError(f"VIVA_PRICES_FILE is not a price book: {where}: {error.errors()[0]['msg']}.") from None
    except ValueError as error:
        raise SettingsError(f"VIVA_PRICES_FILE is not a price book: {error}.") from None
    kinds = PriceBook.model_fields
    return PriceBook.model_validate({kind: getattr(more, kind) + getattr(book, kind) for kind in kinds})
