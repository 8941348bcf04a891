"""The sender: takes messages from the outbox to Telegram, in order per chat, under shared gates."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import (
    DeleteMessage,
    EditMessageReplyMarkup,
    EditMessageText,
    SendMessage,
    SendPhoto,
    SetMessageReaction,
    TelegramMethod,
)
from aiogram.types import BufferedInputFile, Message

from bot.engine.process import Process
from bot.errors import NotFound
from bot.media import Media, MediaUnavailable
from storage import outbox as store
from storage import people
from storage.database import Database, DatabaseUnavailable, Fenced, forbid_inside_transaction
from storage.work import NewMessage

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
CHATS_AT_ONCE = 32

METHODS: dict[str, type[TelegramMethod[Any]]] = {
    method.__api_method__: method
    for method in (DeleteMessage, EditMessageReplyMarkup, EditMessageText, SendMessage, SendPhoto, SetMessageReaction)
}
"""What VIVA sends. A new kind of message is added here."""

DECORATION = {"setMessageReaction", "deleteMessage", "editMessageReplyMarkup"}
"""What may fail without a loss: the words themselves are elsewhere."""

# Descriptions by which Telegram says that a message cannot be edited any more; its words are then sent anew.
NOT_EDITABLE = ("message to edit not found", "message can't be edited", "no text in the message to edit", "message_id")


class Outbox:
    """The senders of one process."""

    def __init__(
        self,
        database: Database,
        process: Process,
        bot: Bot,
        media: Media,
        *,
        doubt: dict[str, Any],
        chat_rate: float,
        all_rate: float,
    ) -> None:
        # `doubt` is the sendMessage payload that asks whether a message of unknown fate shall be shown again.
        self._doubt = doubt
        self._chat_rate, self._all_rate = chat_rate, all_rate
        self._service = database.as_service()
        self._process = process
        self._bot = bot
        self._media = media
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look for messages now."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            self._wake.clear()
            try:
                claims = []
                if (room := CHATS_AT_ONCE - len(self._sending)) > 0:
                    async with self._service.transaction() as transaction:
                        claims = await store.claim_chats(transaction, process=self._process.id, limit=room)
                for claim in claims:
                    task = asyncio.create_task(self._chat(claim))
                    self._sending.add(task)
                    task.add_done_callback(self._sending.discard)
                if claims:
                    continue
            except DatabaseUnavailable as error:
                log.warning("the outbox waits for the database: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def drain(self, *, seconds: float) -> None:
        """Let sends under way end."""
        if self._sending:
            await asyncio.wait(set(self._sending), timeout=seconds)
        for task in set(self._sending):
            task.cancel()
        await asyncio.gather(*self._sending, return_exceptions=True)

    async def _chat(self, claim: store.ChatClaim) -> None:
        """Send a chat's messages until none is due or a gate says wait."""
        try:
            while True:
                async with self._service.transaction() as transaction:
                    message = await store.next_send(
                        transaction, claim, chat_rate=self._chat_rate, all_rate=self._all_rate
                    )
                if message is None:
                    return
                if not await self._send(claim, message):
                    return
        except Fenced:
            log.warning("chat was taken over by another sender")
        except DatabaseUnavailable as error:
            log.warning("a chat's messages wait for the database: %s", error)
            await asyncio.sleep(POLL_SECONDS)

    async def _send(self, claim: store.ChatClaim, message: store.Outgoing) -> bool:
        """Make one call; False when the chat was given back to wait."""
        try:
            answer = await self._bot(await self._build(message))
        except TelegramRetryAfter as error:
            return await self._later(claim, message, delay=float(error.retry_after) + 0.1, error="flood")
        except (TelegramForbiddenError, TelegramUnauthorizedError) as error:
            if isinstance(error, TelegramUnauthorizedError):
                log.error("Telegram refuses the bot's token")
                return await self._later(claim, message, delay=30, error="unauthorized")
            async with self._service.transaction() as transaction:
                await people.mark_blocked(transaction, claim.chat_id)
            await self._mark(claim, message, state="failed", error="blocked")
        except (TelegramBadRequest, TelegramNotFound) as error:
            await self._refused(claim, message, error.message.lower())
        except (TelegramServerError, MediaUnavailable) as error:
            return await self._later(claim, message, delay=_backoff(message), error=type(error).__name__)
        except TelegramNetworkError as error:
            return await self._unreached(claim, message, error)
        except ClientDecodeError:
            # Telegram took it; only its answer is of a shape we do not know.
            await self._mark(claim, message, state="sent", error="undecodable answer")
        except NotFound:
            await self._mark(claim, message, state="failed", error="file gone")
        except TelegramAPIError as error:
            return await self._later(claim, message, delay=_backoff(message), error=type(error).__name__)
        else:
            message_id = answer.message_id if isinstance(answer, Message) else None
            await self._mark(claim, message, state="sent", message_id=message_id)
        return True

    async def _build(self, message: store.Outgoing) -> TelegramMethod[Any]:
        forbid_inside_transaction("a call of the Bot API")
        payload: dict[str, Any] = dict(message.payload)
        reference = payload.get("message_id")
        if isinstance(reference, dict):
            async with self._service.transaction() as transaction:
                found = await store.message_sent_as(transaction, reference["sent_as"])
            # 0 is no message: Telegram then answers that it is not found, and the words are sent anew.
            payload["message_id"] = found or 0
        for field, value in payload.items():
            if isinstance(value, dict) and set(value) == {"media", "name"}:
                payload[field] = BufferedInputFile(await self._media.get(value["media"]), value["name"])
        return METHODS[message.method](chat_id=message.chat_id, **payload)

    async def _refused(self, claim: store.ChatClaim, message: store.Outgoing, description: str) -> None:
        if "message is not modified" in description:
            await self._mark(claim, message, state="sent", error="not modified")
            return
        if message.method == "editMessageText" and any(sign in description for sign in NOT_EDITABLE):
            words = {name: value for name, value in message.payload.items() if name != "message_id"}
            anew = message.model_copy(update={"method": "sendMessage", "payload": words})
            await self._send(claim, anew)
            return
        if message.method not in DECORATION:
            log.error("Telegram refused a message", extra={"outbox": message.id, "method": message.method})
        await self._mark(claim, message, state="failed", error=description[:200])

    async def _unreached(self, claim: store.ChatClaim, message: store.Outgoing, error: Exception) -> bool:
        """The answer never came. What changes nothing when repeated, or was never sent, is tried again.

        A new message may have arrived: repeating it blindly could double it. It is kept as unknown, and the person
        is asked.
        """
        never_sent = "Cannot connect" in str(error) or "ClientConnectorError" in str(error)
        if never_sent or not message.method.startswith("send"):
            return await self._later(claim, message, delay=_backoff(message), error="unreached")
        async with self._service.transaction() as transaction:
            await store.sent(
                transaction, claim=claim, message=message, state="unknown", message_id=None, error="no answer"
            )
            if not (message.key or "").startswith("doubt:"):
                question = NewMessage(
                    chat_id=claim.chat_id, method="sendMessage", payload=self._doubt, key=f"doubt:{message.id}"
                )
                await store.post(transaction, [question])
        return True

    async def _later(self, claim: store.ChatClaim, message: store.Outgoing, *, delay: float, error: str) -> bool:
        async with self._service.transaction() as transaction:
            await store.postpone(transaction, claim=claim, message=message, delay=delay, error=error)
        return False

    async def _mark(
        self,
        claim: store.ChatClaim,
        message: store.Outgoing,
        *,
        state: str,
        message_id: int | None = None,
        error: str | None = None,
    ) -> None:
        async with self._service.transaction() as transaction:
            await store.sent(
                transaction,
                claim=claim,
                message=message,
                state="sent" if state == "sent" else "failed",
                message_id=message_id,
                error=error,
            )


def _backoff(message: store.Outgoing) -> float:
    return float(min(60, 2**message.attempts))
