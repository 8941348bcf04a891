"""Reading aloud by ElevenLabs, through its official SDK, which is installed only where it is wanted."""

from __future__ import annotations

from typing import Protocol

import httpx2
from pydantic import SecretStr

from bot.ai.provider import Fault
from bot.errors import ModelError, ModelRefused, ModelUnavailable, ProviderClosed, SettingsError

FORM = "mp3_44100_128"
"""The best that every plan gives."""


class Speaker(Protocol):
    """Somebody other than OpenAI who reads aloud."""

    async def say(self, text: str, *, model: str, voice: str) -> bytes:
        """The text as an MP3; raises Fault."""

    async def close(self) -> None:
        """Close the connections."""


def open_speaker(*, api_key: SecretStr, base_url: str | None) -> Speaker:
    """ElevenLabs as a speaker; raises SettingsError where its SDK is not installed."""
    try:
        # Thousands of modules, which nobody should wait for who does not use them.
        import httpx
        from elevenlabs.client import AsyncElevenLabs
        from elevenlabs.core import ApiError
    except ImportError:
        raise SettingsError(
            "ELEVENLABS_API_KEY is set but ElevenLabs' SDK is not installed: "
            "run .venv/bin/python -m pip install 'elevenlabs>=2,<3'."
        ) from None

    class ElevenLabs:
        def __init__(self) -> None:
            self._http = httpx.AsyncClient(timeout=httpx.Timeout(connect=10, read=120, write=60, pool=30))
            self._client = AsyncElevenLabs(
                api_key=api_key.get_secret_value(),
                httpx_client=self._http,
                **({"base_url": base_url} if base_url else {}),
            )

        async def say(self, text: str, *, model: str, voice: str) -> bytes:
            try:
                coming = self._client.text_to_speech.convert(
                    voice,
                    text=text,
                    model_id=model,
                    output_format=FORM,
                    # Retries belong to the engine, where each try has a hold of its own.
                    request_options={"max_retries": 0},
                )
                return b"".join([chunk async for chunk in coming])
            except ApiError as error:
                raise Fault(f"ApiError {error.status_code}", _translated(error.status_code)) from None
            except (httpx.HTTPError, ValueError) as error:
                raise Fault(
                    type(error).__name__, ModelUnavailable("The model that speaks cannot be reached just now.")
                ) from None

        async def close(self) -> None:
            await self._http.aclose()

    return ElevenLabs()


def _translated(status: int | None) -> ModelError:
    """The provider's answer in the words of whoever waits; never its text, which may repeat what was to be said."""
    if status is None or status in (408, 409, 425, 429) or status >= 500:
        return ModelUnavailable("The model that speaks is busy just now.")
    if status in (401, 402, 403):
        return ProviderClosed("The provider of the voice says that VIVA's account there cannot be used just now.")
    return ModelRefused("The model would not read this aloud.")


async def reach(api_key: SecretStr, base_url: str | None) -> None:
    """Ask ElevenLabs for its models, which costs nothing; raises a ModelError when it does not answer."""
    address = (base_url or "https://api.elevenlabs.io").rstrip("/") + "/v1/models"
    try:
        async with httpx2.AsyncClient(timeout=15) as client:
            answer = await client.get(address, headers={"xi-api-key": api_key.get_secret_value()})
    except httpx2.HTTPError as error:
        raise ModelUnavailable(f"ElevenLabs does not answer ({type(error).__name__})") from None
    if answer.status_code in (401, 403):
        raise ModelRefused("ELEVENLABS_API_KEY is not accepted")
    if answer.status_code >= 400:
        raise ModelUnavailable(f"ElevenLabs does not answer ({answer.status_code})")
