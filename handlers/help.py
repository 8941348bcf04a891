"""Help, and what VIVA tells Telegram about itself."""

from __future__ import annotations

import logging

from aiogram import Bot, F, Router
from aiogram.exceptions import TelegramAPIError
from aiogram.filters import Command
from aiogram.types import BotCommand, CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.services.work import Work
from handlers import home, start, time_zone
from handlers.screen import Screen, show
from prompts import replies

WORDS = replies.of("house")
COMMANDS = (
    "start",
    "assessment",
    "vision",
    "book",
    "board",
    "listen",
    "journal",
    "profile",
    "talks",
    "memory",
    "reminders",
    "balance",
    "usage",
    "buy",
    "paysupport",
    "help",
    "privacy",
    "terms",
    "export",
    "delete",
    "cancel",
)

log = logging.getLogger(__name__)
router = Router(name="help")


def screen(*, opening: str | None = None) -> Screen:
    """Everything a person can do; `opening` comes first, such as for an unknown command."""
    text = Text(
        *((opening, "\n\n") if opening else (Bold(WORDS("help_title")), "\n\n")),
        WORDS("help_text"),
        "\n\n",
        WORDS("help_talk"),
    )
    return Screen(text=text, rows=[[start.rename(), time_zone.change()], [home.back()]])


@router.message(Command("help"))
async def on_help(message: Message, work: Work) -> None:
    """Show help."""
    show(work, screen())


@router.callback_query(home.OpenTap.filter(F.feature == "help"))
async def on_help_tap(tap: CallbackQuery, work: Work) -> None:
    """Show help in place."""
    show(work, screen(), tap=tap)


async def introduce(bot: Bot) -> None:
    """Tell Telegram the commands and descriptions, where they differ from what it has."""
    commands = [BotCommand(command=name, description=WORDS(f"command_{name}")) for name in COMMANDS]
    try:
        told = [(command.command, command.description) for command in await bot.get_my_commands()]
        if told != [(command.command, command.description) for command in commands]:
            await bot.set_my_commands(commands)
        if (await bot.get_my_description()).description != WORDS("bot_description"):
            await bot.set_my_description(WORDS("bot_description"))
        if (await bot.get_my_short_description()).short_description != WORDS("bot_short_description"):
            await bot.set_my_short_description(WORDS("bot_short_description"))
    except TelegramAPIError as error:
        # VIVA works without; the next start tries again.
        log.warning("Telegram did not take the descriptions: %s", type(error).__name__)
