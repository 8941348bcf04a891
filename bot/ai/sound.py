"""Listening and speaking: recordings into words, words into sound."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from openai.types.audio import Transcription
from pydantic import BaseModel

from bot.ai.meter import Action, Ticket
from bot.ai.provider import FAULTS, Fault, Provider, describe, priced, told, translate, whole
from bot.errors import ModelRefused, NoModel
from storage import database

SPEECH_LIMIT = 4096
"""Characters of one call at most (OpenAI, createSpeech: input)."""


class Transcript(BaseModel):
    """The words of a recording of `seconds` seconds."""

    text: str
    model: str
    seconds: float


class Spoken(BaseModel):
    """A text said aloud: where `keep` put the sound, by which model, in which voice, and how many characters it was."""

    kept: str
    model: str
    voice: str
    characters: int


class Sound(Provider):
    """The models that listen and speak."""

    def transcription_tokens(self, seconds: float) -> int:
        """What writing down so many seconds takes from the balance; raises NoModel."""
        if self.models.transcribe is None:
            raise NoModel("No transcription model is set up here.")
        return priced(self._prices.for_transcription, self.models.transcribe).tokens(seconds)

    async def transcribe(self, ticket: Ticket, *, sound: bytes, file_name: str, seconds: float) -> Transcript:
        """The words of a recording of `seconds` seconds (measured, not claimed), charged by its length.

        Raises OutOfTokens before any call; NoModel, ModelUnavailable or ModelRefused after the hold was given back.
        """
        database.forbid_inside_transaction("a model call")
        worth = self.transcription_tokens(seconds)
        assert self.models.transcribe is not None
        price = priced(self._prices.for_transcription, self.models.transcribe)
        hold = await self._meter.hold(
            ticket, action=Action.TRANSCRIPTION, model=self.models.transcribe, most=worth, least=worth
        )
        try:
            answer: object = await self._client.audio.transcriptions.create(
                model=self.models.transcribe, file=(file_name, sound), response_format="json"
            )
        except FAULTS as error:
            await self._meter.fail(hold, error=describe(error))
            raise translate(error) from None
        if not isinstance(answer, Transcription) or not isinstance(answer.text, str):
            await self._meter.fail(hold, error="not a transcription")
            raise ModelRefused("The model's answer was not a transcript.")
        transcript = Transcript(text=whole(answer.text).strip(), model=self.models.transcribe, seconds=seconds)
        await self._meter.settle(
            ticket,
            hold,
            transcript,
            tokens=worth,
            input_tokens=worth,
            output_tokens=0,
            cost_cents=price.cents(seconds),
            metadata={
                "step": ticket.step,
                "usage_from": "price_book",
                "seconds": round(seconds, 3),
                "provider_usage": told(answer.usage),
                "price_since": price.since.isoformat(),
            },
        )
        return transcript

    def speech_tokens(self, characters: int) -> int:
        """What saying so many characters takes from the balance; raises NoModel."""
        if self.models.speech is None:
            raise NoModel("No model that speaks is set up here.")
        return priced(self._prices.for_speech, self.models.speech).tokens(characters)

    async def speak(
        self, ticket: Ticket, *, text: str, voice: str, keep: Callable[[bytes], Awaitable[str]], form: str = "mp3"
    ) -> Spoken:
        """The text, of at most SPEECH_LIMIT characters, said in this voice, charged by its characters.

        `keep` is given the sound (a file in the format `form`; ElevenLabs' is an MP3) before the charge, and says where
        it put it: nobody pays for what could not be kept. Raises OutOfTokens before any call; NoModel, ModelUnavailable
        or ModelRefused after the hold was given back, and whatever `keep` raises.
        """
        database.forbid_inside_transaction("a model call")
        worth = self.speech_tokens(len(text))
        assert self.models.speech is not None
        if not text.strip() or len(text) > SPEECH_LIMIT:
            raise ValueError(f"from 1 to {SPEECH_LIMIT} characters can be said at once")
        price = priced(self._prices.for_speech, self.models.speech)
        hold = await self._meter.hold(
            ticket, action=Action.AUDIO_GENERATION, model=self.models.speech, most=worth, least=worth
        )
        try:
            sound = await self._said(text, model=self.models.speech, voice=voice, form=form)
        except Fault as fault:
            await self._meter.fail(hold, error=fault.described)
            raise fault.error from None
        if not sound:
            await self._meter.fail(hold, error="empty sound")
            raise ModelRefused("The model said nothing.")
        try:
            kept = await keep(sound)
        except Exception:
            await self._meter.fail(hold, error="the sound could not be kept")
            raise
        spoken = Spoken(kept=kept, model=self.models.speech, voice=voice, characters=len(text))
        await self._meter.settle(
            ticket,
            hold,
            spoken,
            tokens=worth,
            input_tokens=worth,
            output_tokens=0,
            cost_cents=price.cents(len(text)),
            metadata={
                "step": ticket.step,
                "usage_from": "price_book",
                "characters": len(text),
                "voice": voice,
                "price_since": price.since.isoformat(),
            },
        )
        return spoken

    async def _said(self, text: str, *, model: str, voice: str, form: str) -> bytes:
        """The sound of the text; raises Fault."""
        if self._speaker is not None:
            return await self._speaker.say(text, model=model, voice=voice)
        try:
            answer = await self._client.audio.speech.create(
                model=model,
                voice=voice,
                input=text,
                response_format=form,  # type: ignore[arg-type]
            )
            return await answer.aread()
        except FAULTS as error:
            raise Fault(describe(error), translate(error)) from None
