"""What every update passes on its way to a handler: the person's identity and the one commit at the end."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware
from aiogram.types import TelegramObject, Update
from aiogram.types import User as TelegramUser

from bot.config import Settings
from bot.errors import VivaError
from bot.services.work import Work
from handlers import screen
from storage import people
from storage.database import Database

PARTING = ("my_chat_member", "stopped_message_generation", "subscription")
"""Updates that bring nobody: who erased everything and then blocks VIVA, stops an answer or ends a subscription, has
not come back."""


class Identity(BaseMiddleware):
    """Gives a handler `user` (their account) and `db` (a transaction as that person), and commits its work.

    In a group there is no person: handlers get neither, but `system` (a transaction as the service), and only the one
    that says "in private" is reached.
    """

    async def __call__(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: TelegramObject,
        data: dict[str, Any],
    ) -> Any:
        """Run the handler inside the person's transaction; an error that VIVA can explain is said instead."""
        assert isinstance(event, Update)
        work: Work = data["work"]
        database: Database = data["database"]
        try:
            return await self._handle(handler, event, data, work, database)
        except VivaError as error:
            work.forget_what_was_prepared()
            screen.say(work, str(error))
            async with database.as_service().transaction() as transaction:
                await work.commit(transaction)
            return None

    async def _handle(
        self,
        handler: Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]],
        event: Update,
        data: dict[str, Any],
        work: Work,
        database: Database,
    ) -> Any:
        sender: TelegramUser | None = data.get("event_from_user")
        # A private chat has the number of the person it is with (Bot API, Chat.id).
        private = work.head.chat_id is not None and work.head.chat_id == work.head.telegram_id
        user_id = work.head.user_id
        if private and user_id is None and work.head.name in PARTING:
            async with database.as_service().transaction() as transaction:
                await work.commit(transaction)
            return None
        if private and user_id is None and sender is not None and not sender.is_bot:
            async with database.as_service().transaction() as transaction:
                settings: Settings = data["settings"]
                first = await people.first_grant(transaction, _digest(settings, sender.id))
                arrived = await people.arrive(
                    transaction,
                    telegram_id=sender.id,
                    chat_id=work.chat_id,
                    first_name=sender.first_name,
                    language_code=sender.language_code,
                    starting_tokens=settings.viva_starting_tokens if first else 0,
                )
            user_id = arrived.user_id
        if not private or user_id is None:
            async with database.as_service().transaction() as transaction:
                data["system"] = transaction
                result = await handler(event, data)
                await work.commit(transaction)
            return result
        async with database.as_user(user_id).transaction() as transaction:
            data["db"] = transaction
            data["user"] = user = await people.account(transaction)
            if user is not None and user.blocked_at is not None and work.head.name not in PARTING:
                # Whoever writes or taps is there, whatever Telegram has said of them, and whatever was never told us.
                await people.mark_unblocked(transaction)
            result = await handler(event, data)
            await work.commit(transaction)
        return result


def _digest(settings: Settings, telegram_id: int) -> bytes:
    """A person's mark in `viva.starting_grants`, which cannot be turned back into their Telegram id."""
    assert settings.telegram_bot_token is not None
    key = settings.telegram_bot_token.get_secret_value().encode()
    return hmac.digest(key, f"starting:{telegram_id}".encode(), "sha256")
