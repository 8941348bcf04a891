"""Groups and channels: VIVA talks in private, and says so once to those who ask it there."""

from __future__ import annotations

from aiogram import Bot, F, Router
from aiogram.enums import ChatType
from aiogram.types import CallbackQuery, ChatMemberUpdated, Message

from bot.services.work import Work
from handlers.screen import say
from prompts import replies

WORDS = replies.of("house")
router = Router(name="groups")
elsewhere = F.chat.type != ChatType.PRIVATE


@router.message(elsewhere, F.text.startswith("/"))
async def on_command(message: Message, work: Work, bot: Bot, bot_name: str) -> None:
    """Point to the private chat."""
    say(work, WORDS("group", link=f"https://t.me/{bot_name}"))


@router.message(elsewhere)
async def on_message(message: Message) -> None:
    """Leave people's talk alone."""


@router.edited_message(elsewhere)
async def on_edited(message: Message) -> None:
    """Leave people's talk alone, however they change it."""


@router.my_chat_member(elsewhere)
async def on_membership(event: ChatMemberUpdated, work: Work, bot_name: str) -> None:
    """Say on arrival that VIVA talks in private."""
    if event.new_chat_member.status in ("member", "administrator") and event.chat.type != ChatType.CHANNEL:
        say(work, WORDS("group", link=f"https://t.me/{bot_name}"))


@router.callback_query(F.message.chat.type != ChatType.PRIVATE, F.message)
async def on_tap(tap: CallbackQuery) -> None:
    """A forwarded button does nothing in a group."""
