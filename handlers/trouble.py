"""Why a call to a model came to nothing, in words, and the way on from there."""

from __future__ import annotations

from aiogram.types import InlineKeyboardButton

from bot.errors import ModelRefused, ModelUnavailable, NoModel, OutOfTokens
from bot.services import wallet
from handlers import home
from handlers.screen import button
from prompts import replies

HOUSE = replies.of("house")


def why(error: Exception, *, otherwise: str) -> str:
    """A sentence or two for the person; `otherwise` where it was no fault of a model."""
    if isinstance(error, OutOfTokens):
        needed, left = wallet.tokens(error.available + error.missing), wallet.tokens(error.available)
        return HOUSE("out_of_tokens", needed=needed, left=left)
    if isinstance(error, NoModel):
        return HOUSE("model_missing")
    if isinstance(error, ModelUnavailable):
        return HOUSE("model_busy")
    return HOUSE("model_refused") if isinstance(error, ModelRefused) else otherwise


def balance_button(error: Exception) -> list[InlineKeyboardButton]:
    """The button to the balance where tokens are what is missing; nothing otherwise."""
    if not isinstance(error, OutOfTokens):
        return []
    return [button(HOUSE("balance"), home.OpenTap(feature="balance"))]
