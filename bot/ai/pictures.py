"""Pictures that a model paints from words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Final

from openai.types import ImagesResponse
from pydantic import BaseModel

from bot.ai.meter import Action, Ticket
from bot.ai.provider import FAULTS, Provider, describe, priced, told, translate
from bot.errors import ModelRefused, NoModel
from storage import database

SIZE: Final = "1024x1024"
QUALITY: Final = "medium"


class Painted(BaseModel):
    """A picture: where `keep` put it, and by which model."""

    kept: str
    model: str


class Pictures(Provider):
    """The model that paints."""

    def picture_tokens(self) -> int:
        """What one picture takes from the balance; raises NoModel."""
        if self.models.image is None:
            raise NoModel("No model that paints is set up here.")
        return priced(
            lambda model, day: self._prices.for_image(model, SIZE, QUALITY, day), self.models.image
        ).tokens_per_picture

    async def paint(self, ticket: Ticket, *, prompt: str, keep: Callable[[bytes], Awaitable[str]]) -> Painted:
        """A picture of 1024 by 1024 pixels, charged by the price book.

        `keep` is given the picture (PNG or JPEG) before the charge, and says where it put it: nobody pays for what
        could not be kept. Raises OutOfTokens before any call; NoModel, ModelUnavailable or ModelRefused after the hold
        was given back, and whatever `keep` raises.
        """
        database.forbid_inside_transaction("a model call")
        worth = self.picture_tokens()
        assert self.models.image is not None
        price = priced(lambda model, day: self._prices.for_image(model, SIZE, QUALITY, day), self.models.image)
        hold = await self._meter.hold(
            ticket, action=Action.IMAGE_GENERATION, model=self.models.image, most=worth, least=worth
        )
        try:
            answer: object = await self._client.images.generate(
                model=self.models.image, prompt=prompt, size=SIZE, quality=QUALITY, n=1
            )
        except FAULTS as error:
            await self._meter.fail(hold, error=describe(error))
            raise translate(error) from None
        picture = _picture(answer)
        if not picture:
            await self._meter.fail(hold, error="no picture")
            raise ModelRefused("The model painted nothing.")
        try:
            kept = await keep(picture)
        except Exception:
            await self._meter.fail(hold, error="the picture could not be kept")
            raise
        assert isinstance(answer, ImagesResponse)
        painted = Painted(kept=kept, model=self.models.image)
        await self._meter.settle(
            ticket,
            hold,
            painted,
            tokens=worth,
            input_tokens=worth,
            output_tokens=0,
            cost_cents=price.cents(),
            metadata={
                "step": ticket.step,
                "usage_from": "price_book",
                "size": SIZE,
                "quality": QUALITY,
                "provider_usage": told(answer.usage),
                "price_since": price.since.isoformat(),
            },
        )
        return painted


def _picture(answer: object) -> bytes:
    """The picture in an answer; empty where there is none."""
    if not isinstance(answer, ImagesResponse) or not answer.data or not answer.data[0].b64_json:
        return b""
    try:
        return base64.b64decode(answer.data[0].b64_json, validate=True)
    except binascii.Error:
        return b""
