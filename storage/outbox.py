"""Messages on their way to Telegram, in order per chat, under gates shared by all processes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from storage.database import Transaction
from storage.work import NewMessage


class ChatClaim(BaseModel):
    """A chat whose messages this process alone sends, as long as the fence stands."""

    chat_id: int
    fence: uuid.UUID


class Outgoing(BaseModel):
    """The next message of a chat."""

    id: int
    chat_id: int
    key: str | None
    method: str
    payload: dict[str, Any]
    attempts: int


async def claim_chats(transaction: Transaction, *, process: uuid.UUID, limit: int, all_rate: float) -> list[ChatClaim]:
    """Up to `limit` chats with messages due, no more than a gate of so many messages a second lets pass now.

    First those in which somebody waits; of these and of the others the oldest first.
    """
    return await transaction.many(
        ChatClaim,
        "select chat_id, fence from viva.claim_sends($1, $2, $3 * interval '1 second')",
        process,
        limit,
        1 / all_rate,
    )


async def next_send(
    transaction: Transaction, claim: ChatClaim, *, chat_rate: float, all_rate: float
) -> Outgoing | None:
    """The chat's next message, through gates of so many messages a second; None when the chat was given back."""
    return await transaction.one(
        Outgoing,
        """
        select id, chat_id, key, method, payload, attempts
          from viva.next_send($1, $2, $3 * interval '1 second', $4 * interval '1 second')
        """,
        claim.chat_id,
        claim.fence,
        1 / chat_rate,
        1 / all_rate,
    )


async def sent(
    transaction: Transaction,
    *,
    claim: ChatClaim,
    message: Outgoing,
    state: Literal["sent", "unknown", "failed"],
    message_id: int | None,
    error: str | None,
) -> bool:
    """Mark what became of a message, `message_id` is Telegram's; False when it is not kept: its person is gone."""
    return bool(
        await transaction.value(
            "select viva.sent($1, $2, $3, $4, $5, $6)",
            message.id,
            claim.chat_id,
            claim.fence,
            state,
            message_id,
            error,
        )
    )


async def postpone(transaction: Transaction, *, claim: ChatClaim, message: Outgoing, delay: float, error: str) -> None:
    """Wait `delay` seconds with this chat, then try the same message again."""
    await transaction.execute(
        "select viva.postpone($1, $2, $3, $4, $5)", message.id, claim.chat_id, claim.fence, delay, error
    )


async def drop_unknown(transaction: Transaction, *, process: uuid.UUID, known: Sequence[uuid.UUID]) -> None:
    """Give back the chats of this process but those of the fences it knows of."""
    await transaction.execute(
        """
        update viva.outbox_chats set claimed_by = null, fence = null
         where chat_id in (select chat_id from viva.outbox_chats
                            where claimed_by = $1 and fence <> all ($2::uuid[]) order by chat_id for update skip locked)
        """,
        process,
        list(known),
    )


async def drop_chat(transaction: Transaction, claim: ChatClaim) -> None:
    """Give the chat back if it is still ours."""
    await transaction.execute("select viva.drop_chat($1, $2)", claim.chat_id, claim.fence)


async def post(transaction: Transaction, messages: Sequence[NewMessage]) -> None:
    """Put messages into the outbox, outside any work; one whose key stands already is left alone."""
    await transaction.execute("select viva.post($1::jsonb)", [message.model_dump(mode="json") for message in messages])


async def message_sent_as(transaction: Transaction, key: str) -> int | None:
    """Telegram's id of the message that was posted under this key, once it was sent."""
    return await transaction.value("select message_id from viva.outbox where key = $1", key)  # type: ignore[no-any-return]


async def send_again(transaction: Transaction, chat_id: int) -> int:
    """Put the messages of a chat whose arrival is unknown back in line, in order; how many."""
    count = await transaction.execute(
        """
        update viva.outbox set state = 'waiting', due_at = now(), created_at = now()
         where chat_id = $1 and state = 'unknown'
        """,
        chat_id,
    )
    if count:
        await transaction.execute(
            "update viva.outbox_chats set due_at = least(due_at, now()) where chat_id = $1", chat_id
        )
    return count
