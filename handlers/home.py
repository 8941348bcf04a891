"""Home: the one screen from which everything can be reached."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, Text

from bot.services.work import Work
from handlers.screen import Screen, button, show
from prompts import replies
from storage import people
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
router = Router(name="home")


class HomeTap(CallbackData, prefix="home"):
    """Go home."""


class OpenTap(CallbackData, prefix="open"):
    """Open a feature by its name; the feature's own module answers."""

    feature: str


def screen(user: Account, *, first: bool = False) -> Screen:
    """The home screen."""
    name = user.first_name or ""
    parts = [Bold(WORDS("home_greeting", name=name)), "\n\n", WORDS("home_first" if first else "home_again")]
    if user.consented_at is None:
        parts += ["\n\n", WORDS("home_no_ai")]
    return Screen(
        text=Text(*parts),
        rows=[
            [button(WORDS("assessment"), OpenTap(feature="assessment"), style="success" if first else None)],
            [button(WORDS("vision"), OpenTap(feature="vision")), button(WORDS("journal"), OpenTap(feature="journal"))],
            [button(WORDS("talk"), OpenTap(feature="talk")), button(WORDS("balance"), OpenTap(feature="balance"))],
            [button(WORDS("help"), OpenTap(feature="help"))],
        ],
    )


def back() -> InlineKeyboardButton:
    """The button that leads home."""
    return button(WORDS("home"), HomeTap())


@router.callback_query(HomeTap.filter())
async def on_home(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show home, and wait for nothing any more."""
    await people.wait_for(db, None)
    show(work, screen(user), tap=tap)


@router.callback_query(OpenTap.filter(F.feature == "talk"))
async def on_talk(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Say that any words are welcome."""
    await people.wait_for(db, None)
    show(work, Screen(text=WORDS("talk_hint"), rows=[[back()]]), tap=tap)
