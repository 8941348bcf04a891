"""Files that people sent, fetched from the Bot API without ever showing the token in an error."""

from __future__ import annotations

import asyncio

import aiohttp
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest, TelegramRetryAfter
from aiogram.types import File

from bot.errors import NotFound, TooLarge
from storage.database import forbid_inside_transaction

DOWNLOAD_LIMIT = 20 * 1024 * 1024
"""Bytes that a bot may download (Telegram limit on getFile)."""


class FileUnavailable(Exception):
    """The file could not be fetched now; another try may go through."""


class TelegramFiles:
    """Downloads through getFile."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def fetch(self, file_id: str) -> bytes:
        """The bytes; raises TooLarge over 20 MB, NotFound when Telegram has it no more, FileUnavailable.

        After a flood answer it waits for as long as Telegram says.
        """
        forbid_inside_transaction("a download")
        try:
            file = await self._find(file_id)
        except TelegramBadRequest as error:
            if "too big" in error.message.lower():
                raise TooLarge("Telegram lets me fetch files of up to 20 MB, and this one is larger.") from None
            if "temporarily" in error.message.lower():
                raise FileUnavailable(error.message) from None
            raise NotFound("Telegram does not have this file any more.") from None
        if file.file_path is None:
            raise TooLarge("Telegram lets me fetch files of up to 20 MB, and this one is larger.")
        try:
            content = await self._bot.download_file(file.file_path, timeout=120)
        except (TimeoutError, aiohttp.ClientError) as error:
            # The original's text holds the address with the token, so it must not be chained.
            raise FileUnavailable(f"download failed ({type(error).__name__})") from None
        assert content is not None
        return content.read()

    async def _find(self, file_id: str) -> File:
        while True:
            try:
                return await self._bot.get_file(file_id, request_timeout=20)
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
