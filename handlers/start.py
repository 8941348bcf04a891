"""Arriving: who VIVA is and is not, the yes or no to AI, and what to call the person."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters import CommandStart
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Text

from bot.config import Settings
from bot.services import profile
from bot.services.work import Work
from handlers import care, home, privacy, recordings
from handlers.screen import Screen, button, say, show
from handlers.waiting import Waiting
from prompts import replies
from storage import people
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
CONSENT_VERSION = 1
"""Raised when the wording of the consent changes; kept with each yes."""

NAME_LIMIT = 60
NAME_WORDS = 5

router = Router(name="start")


class ConsentTap(CallbackData, prefix="consent"):
    """Yes or no to AI; `version` is that of the wording shown."""

    yes: bool
    version: int


class NameTap(CallbackData, prefix="name"):
    """The name that Telegram gives is right."""


class RenameTap(CallbackData, prefix="rename"):
    """Be called something else."""


def welcome_screen(settings: Settings) -> Screen:
    """Who VIVA is, what it is not, who the AI provider is, and the question."""
    return Screen(
        text=Text(
            Bold(WORDS("welcome_title")),
            "\n\n",
            WORDS("welcome"),
            "\n\n",
            WORDS("welcome_not"),
            "\n\n",
            WORDS("welcome_provider", provider=settings.provider),
            "\n\n",
            Bold(WORDS("welcome_question")),
        ),
        rows=_consent_rows(),
    )


def consent_screen(settings: Settings) -> Screen:
    """The question alone, where something needs the yes that was not given."""
    return Screen(
        text=Text(WORDS("consent_needed", provider=settings.provider), "\n\n", Bold(WORDS("welcome_question"))),
        rows=_consent_rows(),
    )


def _consent_rows() -> list[list[InlineKeyboardButton]]:
    return [
        [button(WORDS("consent_yes"), ConsentTap(yes=True, version=CONSENT_VERSION), style="success")],
        [button(WORDS("consent_no"), ConsentTap(yes=False, version=CONSENT_VERSION))],
        [button(WORDS("consent_more"), privacy.PrivacyTap(step="show"))],
    ]


def _name_screen(user: Account) -> Screen:
    rows = [[button(user.first_name, NameTap())]] if user.first_name else []
    return Screen(text=WORDS("name_question"), rows=rows)


@router.message(CommandStart())
async def on_start(message: Message, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Welcome somebody new; take somebody known home."""
    if await people.has_answered_consent(db):
        await people.wait_for(db, None)
        show(work, await home.screen(user, db))
        return
    show(work, welcome_screen(settings))


@router.callback_query(ConsentTap.filter())
async def on_consent(
    tap: CallbackQuery, callback_data: ConsentTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Keep the answer; a new person is then asked for their name."""
    if callback_data.version != CONSENT_VERSION:
        show(work, welcome_screen(settings), tap=tap)
        return
    new = not await people.has_answered_consent(db)
    if callback_data.yes:
        await people.consent(db, version=CONSENT_VERSION)
    else:
        await people.decline(db)
    answer = WORDS("consent_given" if callback_data.yes else "declined")
    if not new:
        ways = [
            button(WORDS("vision"), home.OpenTap(feature="vision")),
            button(WORDS("talk"), home.OpenTap(feature="talk")),
        ]
        show(work, Screen(text=answer, rows=[*([ways] if callback_data.yes else []), [home.back()]]), tap=tap)
        return
    await people.wait_for(db, {"kind": "name"})
    show(work, Screen(text=answer), tap=tap)
    show(work, _name_screen(user))


@router.callback_query(NameTap.filter())
async def on_name_tap(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Keep the name that Telegram gives."""
    await _keep_name(user.first_name or "", user, db, work, tap)


@router.callback_query(RenameTap.filter())
async def on_rename(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Ask for another name."""
    await people.wait_for(db, {"kind": "name"})
    show(work, Screen(text=WORDS("name_other"), rows=[[home.back()]]), tap=tap)


def rename() -> InlineKeyboardButton:
    """The button to be called something else."""
    return button(WORDS("rename"), RenameTap())


@router.message(Waiting("name"), F.text, ~F.text.startswith("/"))
async def on_name(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep the name that was typed."""
    name = " ".join((message.text or "").split())
    if name.count(" ") >= NAME_WORDS:
        # Somebody who confides in VIVA at once is heard at once; the name can stay Telegram's.
        await people.wait_for(db, None)
        raise SkipHandler
    await care.speak_up(work, db, user, name)
    if len(name) > NAME_LIMIT or not any(letter.isalpha() for letter in name):
        say(work, WORDS("name_odd"))
        return
    await _keep_name(name, user, db, work, None)


@router.message(Waiting("name"), ~F.text, ~F.photo, ~recordings.ANY)
async def on_no_name(message: Message, work: Work) -> None:
    """Ask again: a sticker cannot be a name. A picture or a recording goes on to the journal."""
    say(work, WORDS("name_only_text"))


async def _keep_name(name: str, user: Account, db: Transaction, work: Work, tap: CallbackQuery | None) -> None:
    await people.call_me(db, name)
    await profile.keep(db, await profile.open_version(db), {"first_name": name})
    await people.wait_for(db, None)
    named = user.model_copy(update={"first_name": name, **await people.consent_state(db)})
    screen = await home.screen(named, db, met=True)
    show(work, Screen(text=screen.text, rows=[*screen.rows, [rename()]]), tap=tap)
