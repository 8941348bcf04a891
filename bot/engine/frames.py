"""Passing signs around the outbox: drafts that grow while VIVA writes, and chat actions. They may be dropped."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNotFound,
    TelegramRetryAfter,
)
from aiogram.methods import AnswerPreCheckoutQuery, SendMessageDraft, TelegramMethod

log = logging.getLogger(__name__)

ANSWERS: dict[str, type[TelegramMethod[Any]]] = {"answerPreCheckoutQuery": AnswerPreCheckoutQuery}
"""What Telegram waits for; a new kind of answer is added here."""

ANSWER_SECONDS = 9.0
"""Telegram waits ten seconds for the answer to a pre-checkout query."""

FRAME_SECONDS = 0.6
ACTION_SECONDS = 4.0
"""A chat action lives five seconds (Telegram)."""

DRAFT_LIMIT = 4096
"""UTF-16 units in a draft (Telegram limit)."""


SETTLE_SECONDS = 2.0
"""How long a frame under way may hold up the message that follows it: one that came later would stand below it."""


class TelegramFrames:
    """Frames sent through the Bot API, beside what is being read; a flood or a refusal only makes them rarer."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._next: dict[tuple[int, str], float] = {}
        self._refused: set[int] = set()
        self._latest: dict[int, tuple[int, str]] = {}
        self._drawing: dict[int, asyncio.Task[None]] = {}
        self._under_way: set[int] = set()
        self._beside: set[asyncio.Task[None]] = set()

    async def draft(self, chat_id: int, draft_id: int, text: str) -> None:
        """Show the text so far, soon; a newer one takes its place. Where drafts are refused, "typing" is shown."""
        if chat_id in self._refused:
            await self.action(chat_id, "typing")
            return
        self._latest[chat_id] = draft_id, text
        if chat_id not in self._drawing:
            self._drawing[chat_id] = asyncio.create_task(self._draw(chat_id))

    def refused(self, chat_id: int) -> bool:
        """Whether Telegram takes no drafts in this chat."""
        return chat_id in self._refused

    async def settle(self, chat_id: int) -> None:
        """Show no more of what is pending in the chat: a message is about to follow."""
        self._latest.pop(chat_id, None)
        task = self._drawing.get(chat_id)
        if task is None:
            return
        if chat_id in self._under_way:
            await asyncio.wait({task}, timeout=SETTLE_SECONDS)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def close(self) -> None:
        """Drop what is under way."""
        tasks = [*self._drawing.values(), *self._beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _draw(self, chat_id: int) -> None:
        try:
            while chat_id in self._latest:
                await asyncio.sleep(self._next.get((chat_id, "draft"), 0.0) - time.monotonic())
                if (frame := self._latest.pop(chat_id, None)) is None:
                    return
                self._next[chat_id, "draft"] = time.monotonic() + FRAME_SECONDS
                self._under_way.add(chat_id)
                await self._send_draft(chat_id, *frame)
                self._under_way.discard(chat_id)
        finally:
            self._under_way.discard(chat_id)
            self._drawing.pop(chat_id, None)

    async def _send_draft(self, chat_id: int, draft_id: int, text: str) -> None:
        tail = text.encode("utf-16-le")[-2 * DRAFT_LIMIT :].decode("utf-16-le", "ignore")
        try:
            await self._bot(
                SendMessageDraft(chat_id=chat_id, draft_id=draft_id, text=tail, parse_mode=None, can_stop=True),
                request_timeout=5,
            )
        except TelegramRetryAfter as error:
            self._next[chat_id, "draft"] = time.monotonic() + error.retry_after
        except (TelegramBadRequest, TelegramForbiddenError, TelegramNotFound):
            self._refused.add(chat_id)
            self._latest.pop(chat_id, None)
        except (TelegramAPIError, ClientDecodeError):
            pass  # this frame is dropped; the next may go through

    async def action(self, chat_id: int, action: str) -> None:
        """Show a chat action, soon."""
        if not self._due(chat_id, action, ACTION_SECONDS):
            return
        task = asyncio.create_task(self._send_action(chat_id, action))
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    async def _send_action(self, chat_id: int, action: str) -> None:
        try:
            await self._bot.send_chat_action(chat_id, action, request_timeout=5)
        except TelegramRetryAfter as error:
            self._next[chat_id, action] = time.monotonic() + error.retry_after
        except (TelegramAPIError, ClientDecodeError):
            pass

    async def answer(self, method: str, payload: dict[str, Any]) -> None:
        """Make the call, again where that may help, as long as Telegram waits."""
        call = ANSWERS[method](**payload)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                while True:
                    pause = 0.3
                    try:
                        await self._bot(call, request_timeout=3)
                        return
                    except TelegramRetryAfter as error:
                        pause = error.retry_after
                    except (TelegramBadRequest, TelegramForbiddenError, TelegramNotFound) as error:
                        log.warning("Telegram refused an answer: %s", error.message[:100], extra={"method": method})
                        return
                    except (TelegramAPIError, ClientDecodeError):
                        pass
                    await asyncio.sleep(pause)
        except TimeoutError:
            log.warning("an answer was not given in time", extra={"method": method})

    def _due(self, chat_id: int, kind: str, seconds: float) -> bool:
        now = time.monotonic()
        if self._next.get((chat_id, kind), 0.0) > now:
            return False
        if len(self._next) > 10_000:
            self._next = {key: until for key, until in self._next.items() if until > now}
        self._next[chat_id, kind] = now + seconds
        return True
