"""What every kind of call to a provider shares: the client, the meter, the price book, and what faults look like."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

import httpx2
import openai
from pydantic import BaseModel

from bot.ai import prices
from bot.ai.meter import Meter
from bot.errors import ContextTooLong, ModelRefused, ModelUnavailable, NoModel, ProviderClosed

log = logging.getLogger(__name__)

READ_SECONDS = 90.0
"""How long a provider may be silent in the middle of an answer before the call counts as failed."""

if TYPE_CHECKING:
    from bot.ai.elevenlabs import Speaker

FAULTS = (openai.OpenAIError, httpx2.HTTPError, ValueError)
"""What a provider's fault looks like: the SDK lets transport and decoding errors through while a stream is read."""

MOST_CLAIMED = 1_000_000_000
"""Tokens in one call beyond which a provider's word is not believed; the columns hold no more."""

CLOSED = frozenset(("insufficient_quota", "invalid_api_key", "authentication_error", "permission_error"))
"""Codes and types by which a provider says that the key or the account is at fault."""

# By which compatible servers say that a request is longer than the model can read: OpenAI, vLLM, llama.cpp, LiteLLM,
# LM Studio, Anthropic and Gemini behind their OpenAI-compatible doors. Most give a plain 400, and only words tell.
TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "context length",
    "context window",
    "context size",
    "contextwindow",
    "maximum model length",
    "prompt is too long",
    "maximum number of tokens",
)

Row = TypeVar("Row")


class Fault(Exception):
    """A provider's fault: described without anything that was sent or received, and as whoever waits is to meet it."""

    def __init__(self, described: str, error: Exception) -> None:
        super().__init__(described)
        self.described = described
        self.error = error


@dataclass(frozen=True, kw_only=True)
class Models:
    """The names of the models in use; all but the one that talks may be missing."""

    chat: str
    transcribe: str | None = None
    speech: str | None = None
    image: str | None = None
    embedding: str | None = None


class Provider:
    """A provider's door with the meter in front of it."""

    def __init__(
        self,
        *,
        api_key: str,
        base_url: str | None,
        models: Models,
        meter: Meter,
        price_book: prices.PriceBook,
        speaker: Speaker | None = None,
    ) -> None:
        # Who reads aloud in place of the provider.
        self._speaker = speaker
        self.models = models
        self._meter = meter
        self._prices = price_book
        # Retries belong to the engine, where each try has a hold of its own.
        self._client = openai.AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            max_retries=0,
            timeout=openai.Timeout(connect=10, read=READ_SECONDS, write=60, pool=30),
        )

    async def close(self) -> None:
        """Close the connections to the provider."""
        await self._client.close()
        if self._speaker is not None:
            await self._speaker.close()


def priced(find: Callable[[str, date], Row], model: str) -> Row:
    """The price book's row for the model today; raises NoModel, as an unknown price refuses."""
    try:
        return find(model, prices.today())
    except prices.UnknownPrice as error:
        raise NoModel(f"This model has no price, so it is not used: {error}.") from None


def whole(text: str) -> str:
    """The text as Postgres and Telegram take it: halves of a character that came apart put together, no NUL."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\x00", "")


def figure(usage: object, name: str) -> int | None:
    """A provider's figure of this name, None where there is none or it cannot be: a provider may send anything."""
    value = getattr(usage, name, None)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MOST_CLAIMED:
        return None
    return value


def told(usage: object) -> dict[str, Any] | None:
    """What a provider says of its own use, for the records; None where it is of no shape that can be kept."""
    return usage.model_dump(mode="json", warnings=False) if isinstance(usage, BaseModel) else None


def describe(error: Exception) -> str:
    """A short name of what failed, without anything that was sent or received."""
    if isinstance(error, openai.APIStatusError):
        return f"{type(error).__name__} {error.status_code} {error.code or ''}".strip()
    if isinstance(error, openai.APIError):
        return f"{type(error).__name__} {error.code or ''}".strip()
    return type(error).__name__


def translate(error: Exception) -> Exception:
    """The fault in the words of whoever waits for the answer."""
    if not isinstance(error, openai.APIError) or isinstance(
        error, openai.APIConnectionError | openai.APIResponseValidationError
    ):
        return ModelUnavailable("The model cannot be reached just now.")
    status = _status(error)
    named = {str(error.code).lower(), str(error.type).lower()}
    if status in (401, 402, 403) or named & CLOSED:
        # Another try would not help, and somebody has to look.
        log.error("the provider does not let VIVA in: %s", describe(error))
        return ProviderClosed("The model's provider does not let VIVA in just now.")
    said = " ".join((*named, error.message.lower()))
    if status == 413 or (status != 429 and any(sign in said for sign in TOO_LONG)):
        return ContextTooLong("This is longer than the model can read.")
    if status is None or status in (408, 409, 429) or status >= 500:
        return ModelUnavailable("The model is busy just now.", retry_after=_retry_after(error))
    return ModelRefused("The model would not answer this.")


def _status(error: openai.APIError) -> int | None:
    """The status that a provider answered with; a fault in the middle of a stream has none, or names it as its code."""
    if isinstance(error, openai.APIStatusError):
        return error.status_code
    code = str(error.code)
    return int(code) if code.isdecimal() and 400 <= int(code) < 600 else None


def _retry_after(error: openai.APIError) -> float | None:
    if not isinstance(error, openai.APIStatusError):
        return None
    try:
        seconds = float(error.response.headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
