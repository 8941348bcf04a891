"""What nobody claimed: one kind sentence, and never a dead end. Must be last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message
from aiogram.utils.formatting import Text

from bot.errors import ProviderClosed
from bot.services.work import Work
from handlers import care, help, home
from handlers.screen import Screen, button, say, show
from prompts import replies
from storage import journal, outbox, people
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
router = Router(name="fallback")


class AgainTap(CallbackData, prefix="again"):
    """Show again what may not have arrived."""


@router.callback_query(AgainTap.filter())
async def on_again(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Send again, in order, what Telegram never confirmed."""
    await db.become_service()
    if not await outbox.send_again(db, work.chat_id):
        say(work, WORDS("again_nothing"))


@router.my_chat_member()
async def on_membership(event: ChatMemberUpdated, db: Transaction, work: Work) -> None:
    """Note that the person blocked VIVA, or is back."""
    if event.new_chat_member.status == "kicked":
        await db.become_service()
        await people.mark_blocked(db, work.chat_id)
    else:
        await people.mark_unblocked(db)


@router.callback_query()
async def on_old_button(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """A button of an earlier time leads home."""
    show(work, Screen(text=Text(WORDS("old_button"))), tap=tap)
    show(work, await home.screen(user, db))


@router.message(F.text.startswith("/"))
async def on_unknown_command(message: Message, work: Work) -> None:
    """Help, in place of an unknown command."""
    show(work, help.screen(opening=WORDS("unknown_command")))


@router.message()
async def on_unsupported(
    message: Message, work: Work, user: Account | None = None, db: Transaction | None = None
) -> None:
    """Say what can be read; words that came with what cannot go into the journal."""
    words = message.caption
    if words and user is not None and db is not None:
        await journal.add(db, content=words)
        await care.speak_up(work, db, user, words)
        show(work, Screen(text=WORDS("unsupported_rest"), rows=[[home.back()]]))
        return
    show(work, Screen(text=WORDS("unsupported"), rows=[[home.back()]]))


@router.edited_message()
async def on_edited(message: Message, work: Work) -> None:
    """Say that a change of anything but words is not taken in; a moving place changes by itself, and is let be."""
    if message.location is None:
        show(work, Screen(text=WORDS("edited"), rows=[[home.back()]]))


def sorry(work: Work) -> None:
    """Say that something could not be worked, after the last try."""
    show(work, Screen(text=WORDS("sorry"), rows=[[home.back()]]))


def alarm(admins: Iterable[int], work: Work, error: str) -> None:
    """Tell the admins, by number and kind only, that work was given up; at most once an hour for each kind."""
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
    if error == ProviderClosed.__name__:
        text, kind = WORDS("closed_alarm"), "provider"
    else:
        text, kind = WORDS("parked_alarm", number=work.head.id, name=work.head.name, error=error), work.head.name
    for admin in sorted(admins):
        key = f"alarm:{kind}:{hour}:{admin}"
        work.send("sendMessage", {"text": text}, chat_id=admin, key=key)


def doubt() -> dict[str, Any]:
    """The message that asks whether one whose arrival is unknown shall be shown again."""
    row = [button(WORDS("doubt_again"), AgainTap()).model_dump(mode="json", exclude_none=True)]
    return {"text": WORDS("doubt"), "reply_markup": {"inline_keyboard": [row]}}
