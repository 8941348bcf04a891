"""The sender: takes messages from the outbox to Telegram, in order per chat, under shared gates."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from typing import Any, Literal

import aiohttp
from aiogram import Bot
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramEntityTooLarge,
    TelegramForbiddenError,
    TelegramMigrateToChat,
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
    SendAudio,
    SendDocument,
    SendInvoice,
    SendMediaGroup,
    SendMessage,
    SendPhoto,
    SendVideo,
    SendVoice,
    SetMessageReaction,
    TelegramMethod,
)
from aiogram.types import BufferedInputFile, Message

from bot.engine.metrics import Metrics
from bot.engine.process import Process
from bot.errors import NotFound
from bot.media import Media, MediaUnavailable
from bot.services.work import FRAME
from storage import outbox as store
from storage import people
from storage.database import Database, DatabaseUnavailable, Fenced, forbid_inside_transaction
from storage.work import NewMessage

log = logging.getLogger(__name__)

POLL_SECONDS = 0.25
CHATS_AT_ONCE = 32

METHODS: dict[str, type[TelegramMethod[Any]]] = {
    method.__api_method__: method
    for method in (
        DeleteMessage,
        EditMessageReplyMarkup,
        EditMessageText,
        SendAudio,
        SendDocument,
        SendInvoice,
        SendMediaGroup,
        SendMessage,
        SendPhoto,
        SendVideo,
        SendVoice,
        SetMessageReaction,
    )
}
"""What VIVA sends. A new kind of message is added here."""

DECORATION = {"setMessageReaction", "deleteMessage", "editMessageReplyMarkup"}
"""What may fail without a loss: the words themselves are elsewhere."""

NEVER_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
"""What aiohttp raises before a connection stands. A connection that breaks later may have carried the message."""

VANISHED = ("chat not found", "user not found", "peer_id_invalid")
"""Descriptions by which Telegram says that there is nobody (any more) to write to."""

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
        metrics: Metrics | None = None,
    ) -> None:
        self._metrics = metrics or Metrics()
        self.refused = False
        """Whether Telegram refuses the bot's token."""
        # `doubt` is the sendMessage payload that asks whether a message of unknown fate shall be shown again.
        self._doubt = doubt
        self._chat_rate, self._all_rate = chat_rate, all_rate
        self._service = database.as_service()
        self._claimer = database.as_claimer()
        self._process = process
        self._bot = bot
        self._media = media
        self._wake = asyncio.Event()
        self._sending: dict[asyncio.Task[None], uuid.UUID] = {}
        self._in_doubt = False
        self._leaving = False
        self._left = asyncio.Event()

    def wake(self) -> None:
        """Look for messages now."""
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled, or until `drain` is called and nothing is due any more."""
        while True:
            self._wake.clear()
            claims = await self._claim()
            for claim in claims:
                task = asyncio.create_task(self._chat(claim))
                self._sending[task] = claim.fence
                task.add_done_callback(self._ended)
            if claims:
                continue
            if self._leaving and not self._sending:
                self._left.set()
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._wake.wait()

    async def _claim(self) -> list[store.ChatClaim]:
        room = CHATS_AT_ONCE - len(self._sending)
        if room <= 0:
            return []
        try:
            async with self._claimer.transaction() as transaction:
                if self._in_doubt:
                    known = list(self._sending.values())
                    await store.drop_unknown(transaction, process=self._process.id, known=known)
                claims = await store.claim_chats(
                    transaction, process=self._process.id, limit=room, all_rate=self._all_rate
                )
            self._in_doubt = False
            return claims
        except DatabaseUnavailable as error:
            # The claim may have been made though nobody told us: then nobody sends what it claimed.
            self._in_doubt = True
            log.warning("the outbox waits for the database: %s", error)
            return []

    def _ended(self, task: asyncio.Task[None]) -> None:
        if self._leaving or len(self._sending) >= CHATS_AT_ONCE:
            self._wake.set()
        self._sending.pop(task, None)

    async def ask_again(self) -> None:
        """Where Telegram refused the token, ask whether it still does: the next to send may be another process."""
        if not self.refused:
            return
        try:
            await self._bot.get_me(request_timeout=10)
        except (TelegramUnauthorizedError, TelegramNetworkError, ClientDecodeError):
            return
        except TelegramAPIError:
            pass  # whatever it says, it knows the token
        self.refused = False

    async def drain(self, *, seconds: float) -> None:
        """Send what is due and let sends under way end; what is not sent then is left to the next process."""
        self._leaving = True
        self._wake.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._left.wait()
        tasks = set(self._sending)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _chat(self, claim: store.ChatClaim) -> None:
        """Send a chat's messages until none is due or a gate says wait; the chat is never left claimed."""
        try:
            while await self._next(claim):
                pass
            return
        except Fenced:
            log.warning("chat was taken over by another sender")
            return
        except DatabaseUnavailable as error:
            log.warning("a chat's messages wait for the database: %s", error)
        except Exception as error:
            log.error("a chat's messages could not be sent", extra={"error": type(error).__name__})
        except asyncio.CancelledError:
            with contextlib.suppress(DatabaseUnavailable):
                await self._drop(claim)
            raise
        await self._give_back(claim)

    async def _next(self, claim: store.ChatClaim) -> bool:
        """Send the chat's next message; False when the chat was given back."""
        async with self._service.transaction() as transaction:
            message = await store.next_send(transaction, claim, chat_rate=self._chat_rate, all_rate=self._all_rate)
        if message is None:
            return False
        try:
            call = await self._build(message)
        except MediaUnavailable as error:
            return await self._later(claim, message, delay=_backoff(message), error=type(error).__name__)
        except NotFound:
            return await self._mark(claim, message, state="failed", error="file gone")
        except (Fenced, DatabaseUnavailable):
            raise
        except Exception as error:
            # A fault of ours: the chat's other messages must not stand still for it.
            log.error("a message could not be built", extra={"outbox": message.id, "error": type(error).__name__})
            return await self._mark(claim, message, state="failed", error=type(error).__name__)
        return await self._send(claim, message, call)

    async def _give_back(self, claim: store.ChatClaim) -> None:
        """Give the chat back if it is still ours, as soon as the database can be told."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                await self._drop(claim)
                return
            except DatabaseUnavailable:
                continue

    async def _drop(self, claim: store.ChatClaim) -> None:
        async with self._service.transaction() as transaction:
            await store.drop_chat(transaction, claim)

    async def _send(
        self, claim: store.ChatClaim, message: store.Outgoing, call: TelegramMethod[Any], *, plain: bool = False
    ) -> bool:
        """Make one call, `plain` where it is the copy of a refused one; False when the chat was given back to wait."""
        try:
            answer = await self._bot(call)
            self.refused = False
        except TelegramRetryAfter as error:
            return await self._later(claim, message, delay=float(error.retry_after) + 0.1, error="flood")
        except TelegramUnauthorizedError:
            self.refused = True
            log.error("Telegram refuses the bot's token")
            return await self._later(claim, message, delay=30, error="unauthorized")
        except TelegramForbiddenError:
            return await self._nobody(claim, message, error="blocked")
        except (TelegramBadRequest, TelegramNotFound, TelegramEntityTooLarge, TelegramMigrateToChat) as error:
            return await self._refused(claim, message, error.message.lower(), plain=plain)
        except TelegramServerError as error:
            if "timeout" in error.message.lower().replace(" ", ""):
                return await self._unanswered(claim, message)
            return await self._later(claim, message, delay=_backoff(message), error=type(error).__name__)
        except TelegramNetworkError as error:
            if isinstance(error.__cause__, NEVER_SENT):
                return await self._later(claim, message, delay=_backoff(message), error="unreached")
            return await self._unanswered(claim, message)
        except ClientDecodeError as error:
            if isinstance(error.data, dict) and error.data.get("ok") is True:
                # Telegram took it; only its answer is of a shape we do not know.
                return await self._mark(claim, message, state="sent", error="undecodable answer")
            return await self._unanswered(claim, message)
        except TelegramAPIError as error:
            return await self._later(claim, message, delay=_backoff(message), error=type(error).__name__)
        except asyncio.CancelledError:
            with contextlib.suppress(Fenced, DatabaseUnavailable):
                await self._unanswered(claim, message)
            raise
        except Exception as error:
            log.error("a send failed", extra={"outbox": message.id, "error": type(error).__name__})
            return await self._unanswered(claim, message)
        message_id = answer.message_id if isinstance(answer, Message) else None
        return await self._mark(claim, message, state="sent", message_id=message_id)

    async def _build(self, message: store.Outgoing) -> TelegramMethod[Any]:
        forbid_inside_transaction("a call of the Bot API")
        payload: dict[str, Any] = dict(message.payload)
        reference = payload.get("message_id")
        if isinstance(reference, dict):
            async with self._service.transaction() as transaction:
                found = await store.message_sent_as(transaction, reference["sent_as"])
            # 0 is no message: Telegram then answers that it is not found, and the words are sent anew.
            payload["message_id"] = found or 0
        payload = await self._with_files(payload)
        return METHODS[message.method](chat_id=message.chat_id, **payload)

    async def _with_files(self, value: Any) -> Any:
        """The payload with each file that it names, at whatever depth, fetched from the media store."""
        if isinstance(value, list):
            return [await self._with_files(item) for item in value]
        if not isinstance(value, dict):
            return value
        if set(value) == {"media", "name"}:
            return BufferedInputFile(await self._media.get(value["media"]), value["name"])
        return {field: await self._with_files(item) for field, item in value.items()}

    async def _nobody(self, claim: store.ChatClaim, message: store.Outgoing, *, error: str) -> bool:
        """Nobody reads what is sent there: noted, so that nothing is sent unasked any more."""
        async with self._service.transaction() as transaction:
            await people.mark_blocked(transaction, claim.chat_id)
        return await self._mark(claim, message, state="failed", error=error)

    async def _refused(self, claim: store.ChatClaim, message: store.Outgoing, description: str, *, plain: bool) -> bool:
        if "message is not modified" in description:
            return await self._mark(claim, message, state="sent", error="not modified")
        if any(sign in description for sign in VANISHED):
            return await self._nobody(claim, message, error="nobody there")
        if _is_frame(message):
            return await self._mark(claim, message, state="failed", error=description[:200])
        if message.method == "editMessageText" and any(sign in description for sign in NOT_EDITABLE):
            words = {name: value for name, value in message.payload.items() if name != "message_id"}
            anew = message.model_copy(update={"method": "sendMessage", "payload": words})
            return await self._send(claim, anew, await self._build(anew), plain=plain)
        if not plain and (copy := _plain(message)) is not None:
            log.warning("a refused message is tried as a plain copy", extra={"outbox": message.id})
            return await self._send(claim, copy, await self._build(copy), plain=True)
        if message.method not in DECORATION:
            log.error("Telegram refused a message", extra={"outbox": message.id, "method": message.method})
        return await self._mark(claim, message, state="failed", error=description[:200])

    async def _unanswered(self, claim: store.ChatClaim, message: store.Outgoing) -> bool:
        """The answer never came. What changes nothing when repeated is tried again.

        A new message may have arrived: repeating it blindly could double it. It is kept as unknown, and the person
        is asked.
        """
        if _is_frame(message):
            return await self._mark(claim, message, state="failed", error="no answer")
        if not message.method.startswith("send"):
            return await self._later(claim, message, delay=_backoff(message), error="no answer")
        async with self._service.transaction() as transaction:
            self._metrics.count("viva_sends_total", method=message.method, outcome="unknown")
            kept = await store.sent(
                transaction, claim=claim, message=message, state="unknown", message_id=None, error="no answer"
            )
            if kept and not (message.key or "").startswith("doubt:"):
                question = NewMessage(
                    chat_id=claim.chat_id, method="sendMessage", payload=self._doubt, key=f"doubt:{message.id}"
                )
                await store.post(transaction, [question])
        return True

    async def _later(self, claim: store.ChatClaim, message: store.Outgoing, *, delay: float, error: str) -> bool:
        self._metrics.count("viva_sends_total", method=message.method, outcome="postponed")
        async with self._service.transaction() as transaction:
            await store.postpone(transaction, claim=claim, message=message, delay=delay, error=error)
        return False

    async def _mark(
        self,
        claim: store.ChatClaim,
        message: store.Outgoing,
        *,
        state: Literal["sent", "failed"],
        message_id: int | None = None,
        error: str | None = None,
    ) -> bool:
        """Mark what became of the message. What Telegram took waits for the database, else it would be sent again."""
        while True:
            try:
                async with self._service.transaction() as transaction:
                    await store.sent(
                        transaction, claim=claim, message=message, state=state, message_id=message_id, error=error
                    )
                self._metrics.count("viva_sends_total", method=message.method, outcome=state)
                return True
            except DatabaseUnavailable as problem:
                if state != "sent":
                    raise
                log.warning("a sent message waits to be marked: %s", problem)
                await asyncio.sleep(POLL_SECONDS)


def _plain(message: store.Outgoing) -> store.Outgoing | None:
    """The words of a refused message alone, with its buttons; None where it has no words that can stand alone."""
    words = message.payload.get("text") or message.payload.get("caption")
    if not words or message.method in DECORATION:
        return None
    kept = {name: message.payload[name] for name in ("reply_markup", "message_id") if message.payload.get(name)}
    method = "editMessageText" if message.method == "editMessageText" else "sendMessage"
    if method == "sendMessage":
        kept.pop("message_id", None)
    return message.model_copy(update={"method": method, "payload": {"text": words} | kept})


def _is_frame(message: store.Outgoing) -> bool:
    """Whether this shows an answer that still grows: passing, and not worth a second message or a question."""
    reference = message.payload.get("message_id")
    of = reference.get("sent_as", "") if isinstance(reference, dict) else message.key or ""
    return message.method != "deleteMessage" and str(of).startswith(FRAME)


def _backoff(message: store.Outgoing) -> float:
    return float(min(60, 2**message.attempts))
