"""Intake: an update is stored and committed before it is acknowledged, by polling and by webhook alike."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramConflictError,
    TelegramRetryAfter,
    TelegramUnauthorizedError,
)
from aiogram.methods import TelegramMethod
from aiohttp import web

from bot.engine.metrics import Metrics
from bot.engine.process import Process
from storage import work as store
from storage.database import Database, DatabaseUnavailable
from storage.work import NewWork

log = logging.getLogger(__name__)

LONG_POLL_SECONDS = 25
LEAD_SECONDS = 1.0
"""How often a process asks whether it polls: so soon another one goes on where the one that polled has left."""

LEAD = "polling"
UPDATE_LANES = ("chat:", "urgent:")
URGENT_COMMANDS = ("/cancel", "/stop")
ANSWERS_AT_ONCE = 20
"""Taps answered at one moment: a burst of them takes no more than its part of the way to Telegram."""

MOST_BYTES = 4 * 1024 * 1024


class RawUpdates(TelegramMethod[list[dict[str, Any]]]):
    """getUpdates as raw JSON: one update of an unknown shape cannot make a whole batch unreadable."""

    __returning__ = list[dict[str, Any]]
    __api_method__ = "getUpdates"

    offset: int | None = None
    timeout: int | None = None
    allowed_updates: list[str] | None = None


def as_work(update: dict[str, Any]) -> NewWork:
    """The update as work in its lane: one per chat; Stop and /cancel go around what is running there.

    Takes any shape, so that an update of a new kind is kept as well and holds nothing up.
    """
    kind = next((name for name in update if name != "update_id"), "unknown")
    body = _object(update.get(kind))
    chat = _object(_object(body.get("message", body)).get("chat"))
    chat_id = _number(chat.get("id"))
    # A private chat is the person's, also where a service message in it comes from the bot.
    # A group's is nobody's: what is said there is kept under no person.
    if chat.get("type") == "private":
        telegram_id = chat_id
    else:
        telegram_id = None if chat_id else _number(_object(body.get("from", body.get("user"))).get("id"))
    place = chat_id or telegram_id or 0
    text = body.get("text")
    words = text.split(maxsplit=1) if isinstance(text, str) else []
    urgent = kind in ("pre_checkout_query", "stopped_message_generation") or (
        kind == "message" and bool(words) and words[0].partition("@")[0] in URGENT_COMMANDS
    )
    return NewWork(
        lane=f"{'urgent' if urgent else 'chat'}:{place}",
        kind="update",
        name=kind,
        key=f"update:{update['update_id']}",
        chat_id=place or None,
        telegram_id=telegram_id,
        payload=update,
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and abs(value) < 2**63 else None


class Intake:
    """Takes updates in; answers taps at once, around everything else."""

    def __init__(
        self,
        database: Database,
        process: Process,
        bot: Bot,
        *,
        wake: Callable[[], None],
        allowed_updates: list[str],
        metrics: Metrics | None = None,
    ) -> None:
        self._service = database.as_service()
        self._process = process
        self._bot = bot
        self._metrics = metrics or Metrics()
        self._wake = wake
        self.allowed_updates = allowed_updates
        self._offset: int | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(ANSWERS_AT_ONCE)
        self._lead_asked = -math.inf
        self.leads = False
        """Whether this process is the one that polls."""
        self.refused: str | None = None
        """Why Telegram refuses to be polled: the token, or somebody else who polls or has set a webhook."""
        self.polled_at: float | None = None
        """When Telegram last answered a poll of this process (`time.monotonic`)."""

    async def take(self, updates: Sequence[dict[str, Any]]) -> None:
        """Store and commit updates; only then may they be acknowledged. Duplicates fall on their key."""
        async with self._service.transaction() as transaction:
            await store.enqueue(transaction, [as_work(update) for update in updates])
        self._wake()
        self._metrics.count("viva_updates_total", len(updates))
        for update in updates:
            tap = update.get("callback_query")
            if isinstance(tap, dict) and "id" in tap:
                task = asyncio.create_task(self._answer(str(tap["id"])))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def _answer(self, tap_id: str) -> None:
        # A tap that is too old to answer has stopped spinning by itself.
        async with self._room:
            with contextlib.suppress(TelegramAPIError, ClientDecodeError):
                await self._bot.answer_callback_query(tap_id, request_timeout=10)

    async def _may_poll(self) -> bool:
        """Whether this process polls. Of any number one does, and another as soon as that one has left or is dead.

        Two at once, as when one was frozen and wakes up, do no harm: each confirms only what it has stored.
        """
        if not self.leads or time.monotonic() - self._lead_asked >= LEAD_SECONDS:
            async with self._service.transaction() as transaction:
                leads = await store.lead(transaction, name=LEAD, process=self._process.id)
            if leads != self.leads:
                log.info("this process polls now" if leads else "another process polls now")
                self._offset = self.refused = self.polled_at = None
            self.leads, self._lead_asked = leads, time.monotonic()
        return self.leads

    async def poll(self) -> None:
        """Long polling until cancelled, as long as no other process does it."""
        pause = 1.0
        while True:
            try:
                if not await self._may_poll():
                    await asyncio.sleep(LEAD_SECONDS)
                    continue
                updates = await self._bot(
                    RawUpdates(offset=self._offset, timeout=LONG_POLL_SECONDS, allowed_updates=self.allowed_updates),
                    request_timeout=LONG_POLL_SECONDS + 15,
                )
                self.refused, self.polled_at, pause = None, time.monotonic(), 1.0
                # What the offset told is now confirmed, and is not told again: after a week of silence Telegram goes
                # on from any number, and an old offset would confirm updates that nobody has taken.
                self._offset = None
                if updates:
                    await self.take(updates)
                    self._offset = max(int(update["update_id"]) for update in updates) + 1
            except DatabaseUnavailable as error:
                log.warning("updates wait at Telegram for the database: %s", error)
                await asyncio.sleep(1)
            except TelegramRetryAfter as error:
                await asyncio.sleep(error.retry_after)
            except (TelegramConflictError, TelegramUnauthorizedError) as error:
                # Updates wait at Telegram for a day; somebody has to look.
                self.refused = "conflict" if isinstance(error, TelegramConflictError) else "unauthorized"
                log.error("polling is refused: %s", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(30.0, pause * 2)
            except (TelegramAPIError, ClientDecodeError) as error:
                log.warning("polling failed: %s", type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(30.0, pause * 2)

    async def confirm(self) -> None:
        """Tell Telegram which updates are ours for good, and let another process poll.

        What is not told comes again and falls on its key.
        """
        if self._offset is not None:
            with contextlib.suppress(TelegramAPIError, ClientDecodeError):
                await self._bot(RawUpdates(offset=self._offset, timeout=0), request_timeout=5)
        if self.leads:
            with contextlib.suppress(DatabaseUnavailable):
                async with self._service.transaction() as transaction:
                    await store.leave_lead(transaction, name=LEAD, process=self._process.id)

    async def drain(self) -> None:
        """Let the answers to taps end; those that do not are dropped."""
        tasks = set(self._answering)
        if tasks:
            await asyncio.wait(tasks, timeout=5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def webhook(self, secret: str, *, path: str) -> web.Application:
        """An aiohttp application that takes Telegram's POSTs at `path` and answers 200 after the commit."""

        async def receive(request: web.Request) -> web.Response:
            given = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
            if not hmac.compare_digest(given.encode("utf-8", "replace"), secret.encode()):
                return web.Response(status=401)
            try:
                update = json.loads(await request.read())
                int(update["update_id"])
            except (ValueError, KeyError, TypeError, RecursionError):
                return web.Response(status=400)
            try:
                await self.take([update])
            except DatabaseUnavailable:
                return web.Response(status=503)
            return web.Response(status=200)

        application = web.Application(client_max_size=MOST_BYTES)
        application.router.add_post(path, receive)
        return application
