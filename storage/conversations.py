"""What a person and VIVA said to each other: `ai_conversations`, both roles, and the threads of it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from storage.database import Transaction


class Turn(BaseModel):
    """What one of the two said. `context` has the seed's keys and ours; an answer names its question in "answers"."""

    id: uuid.UUID
    role: Literal["user", "assistant"]
    message: str
    context: dict[str, Any]
    created_at: datetime


class Conversation(BaseModel):
    """A thread of talk; `opened_at` is set where the person began or opened it by hand."""

    id: uuid.UUID
    title: str
    phase: Literal["contrast", "peak", "specific", "refinement", "master_assistant"]
    category: str | None
    opened_at: datetime | None
    created_at: datetime
    last_turn_at: datetime


CONVERSATION = "id, title, phase, category, opened_at, created_at, last_turn_at"

# Another program's context may be anything that JSON can say.
COLUMNS = """id, role, message, created_at,
             case when jsonb_typeof(context) = 'object' then context else '{}' end as context"""


async def add(
    transaction: Transaction, *, role: Literal["user", "assistant"], message: str, context: dict[str, Any]
) -> Turn:
    """What was said, as it is now kept."""
    kept = await transaction.one(
        Turn,
        f"insert into ai_conversations (role, message, context) values ($1, $2, $3::jsonb) returning {COLUMNS}",
        role,
        message,
        context,
    )
    assert kept is not None
    return kept


async def mark(transaction: Transaction, turn_id: uuid.UUID, more: dict[str, Any]) -> None:
    """Add keys to the context of what was said."""
    await transaction.execute("update ai_conversations set context = context || $2::jsonb where id = $1", turn_id, more)


async def turn_of_message(transaction: Transaction, message_id: int) -> Turn | None:
    """What a person said in the message of this number, if it is among the latest hundred."""
    return await transaction.one(
        Turn,
        f"""
        select {COLUMNS}
          from (select {COLUMNS} from ai_conversations where role = 'user'
                 order by created_at desc, id desc limit 100) latest
         where context ->> 'telegram_message_id' = $1
        """,
        str(message_id),
    )


async def reword(transaction: Transaction, turn_id: uuid.UUID, *, message: str, more: dict[str, Any]) -> None:
    """Put other words in the place of what was said, and add keys to its context."""
    await transaction.execute(
        "update ai_conversations set message = $2, context = context || $3::jsonb where id = $1", turn_id, message, more
    )


async def turn(transaction: Transaction, turn_id: uuid.UUID) -> Turn | None:
    """What was said under this id, if it is the person's own row."""
    return await transaction.one(Turn, f"select {COLUMNS} from ai_conversations where id = $1", turn_id)


async def newest(transaction: Transaction) -> Turn | None:
    """What was said last."""
    return await transaction.one(
        Turn, f"select {COLUMNS} from ai_conversations order by created_at desc, id desc limit 1"
    )


async def is_answered(transaction: Transaction, asked: Turn) -> bool:
    """Whether VIVA has answered this already."""
    return bool(
        await transaction.value(
            """
            select exists (select from ai_conversations
                            where role = 'assistant' and created_at >= $1 and context ->> 'answers' = $2)
            """,
            asked.created_at,
            str(asked.id),
        )
    )


async def before(
    transaction: Transaction, asked: Turn, *, limit: int, conversation: uuid.UUID | None = None
) -> list[Turn]:
    """The latest `limit` turns from before this one, oldest first, and the answers that came to them later.

    With `conversation` only those of this thread.
    """
    return await transaction.many(
        Turn,
        f"""
        with earlier as (
          select {COLUMNS} from ai_conversations
           where created_at < $1 and ($3::text is null or context ->> 'conversation_id' = $3)
           order by created_at desc, id desc limit $2
        )
        select id, role, message, created_at, context from earlier
         union all
        select {COLUMNS} from ai_conversations
         where role = 'assistant' and created_at >= $1
           and context ->> 'answers' in (select id::text from earlier where role = 'user')
         order by created_at, id
        """,
        asked.created_at,
        limit,
        str(conversation) if conversation else None,
    )


# ------------------------------------------------------------------------------------------ threads


async def conversation(transaction: Transaction, conversation_id: uuid.UUID) -> Conversation | None:
    """The thread, if it is the person's."""
    return await transaction.one(
        Conversation, f"select {CONVERSATION} from viva.conversations where id = $1", conversation_id
    )


async def opened(transaction: Transaction) -> Conversation | None:
    """The thread that the person began or opened by hand last."""
    return await transaction.one(
        Conversation,
        f"""
        select {CONVERSATION} from viva.conversations
         where opened_at is not null order by opened_at desc, id limit 1
        """,
    )


async def latest(transaction: Transaction, *, limit: int, skip: int = 0) -> list[Conversation]:
    """Threads in which something was said, the latest first."""
    return await transaction.many(
        Conversation,
        f"""
        select {CONVERSATION} from viva.conversations where title <> ''
         order by last_turn_at desc, id limit $1 offset $2
        """,
        limit,
        skip,
    )


async def begin(
    transaction: Transaction,
    *,
    phase: Literal["contrast", "refinement", "master_assistant"],
    category: str | None,
) -> uuid.UUID:
    """A new thread, open from now on. One that was begun and never used gives way to it."""
    await transaction.execute("delete from viva.conversations where title = ''")
    return await transaction.value(  # type: ignore[no-any-return]
        """
        insert into viva.conversations (id, title, phase, category, opened_at)
        values (gen_random_uuid(), '', $1, $2, clock_timestamp()) returning id
        """,
        phase,
        category,
    )


async def open_again(transaction: Transaction, conversation_id: uuid.UUID) -> None:
    """Go on in this thread with the next words."""
    await transaction.execute(
        "update viva.conversations set opened_at = clock_timestamp() where id = $1", conversation_id
    )


async def rename(transaction: Transaction, conversation_id: uuid.UUID, title: str) -> None:
    """Give the thread another title."""
    await transaction.execute("update viva.conversations set title = $2 where id = $1", conversation_id, title)


async def delete(transaction: Transaction, conversation_id: uuid.UUID) -> list[uuid.UUID]:
    """Remove the thread and what was said in it; the ids of what the person said.

    The thread goes first: an answer that is just being kept, after `still_stands`, is waited for and goes too.
    """
    await transaction.execute("delete from viva.conversations where id = $1", conversation_id)
    return list(
        await transaction.value(
            """
            with gone as (delete from ai_conversations where context ->> 'conversation_id' = $1 returning id, role)
            select coalesce(array_agg(id) filter (where role = 'user'), '{}') from gone
            """,
            str(conversation_id),
        )
    )


async def still_stands(transaction: Transaction, asked: Turn, *, thread: uuid.UUID | None) -> bool:
    """Whether what was said was not removed; until the commit its thread, where it has one, stays."""
    await transaction.execute("select from viva.conversations where id = $1 for key share", thread)
    return bool(await transaction.value("select exists (select from ai_conversations where id = $1)", asked.id))


async def note_turn(transaction: Transaction, conversation_id: uuid.UUID, *, title: str) -> Conversation:
    """The thread, once more words belong to it; it takes `title` where it has none."""
    found = await transaction.one(
        Conversation,
        f"""
        insert into viva.conversations (id, title) values ($1, $2)
        on conflict (id) do update
        set last_turn_at = now(), title = coalesce(nullif(viva.conversations.title, ''), excluded.title)
        returning {CONVERSATION}
        """,
        conversation_id,
        title,
    )
    assert found is not None
    return found


async def move(transaction: Transaction, conversation_id: uuid.UUID, *, to: Literal["peak", "specific"]) -> None:
    """Let the thread go on in this phase."""
    await transaction.execute("update viva.conversations set phase = $2 where id = $1", conversation_id, to)


async def said_in_phase(transaction: Transaction, conversation_id: uuid.UUID, phase: str) -> int:
    """How many turns of the person's the thread has in this phase."""
    return int(
        await transaction.value(
            """
            select count(*) from ai_conversations
             where role = 'user' and context ->> 'conversation_id' = $1 and context ->> 'visionBuildPhase' = $2
            """,
            str(conversation_id),
            phase,
        )
    )


async def turns_of(transaction: Transaction, conversation_id: uuid.UUID, *, limit: int) -> list[Turn]:
    """The latest turns of the thread, oldest first."""
    return await transaction.many(
        Turn,
        f"""
        select id, role, message, created_at, context from (
          select {COLUMNS} from ai_conversations
           where context ->> 'conversation_id' = $1 order by created_at desc, id desc limit $2
        ) latest order by created_at, id
        """,
        str(conversation_id),
        limit,
    )


async def usage_of(
    transaction: Transaction, *, work_id: int, step: str, action_type: str = "chat_conversation"
) -> uuid.UUID | None:
    """The `token_usage` row of the talk's call that this step of this work has just made."""
    return await transaction.value(  # type: ignore[no-any-return]
        """
        select latest.id
          from (select id, metadata, created_at from token_usage
                 where action_type = $3 order by created_at desc limit 10) latest
          join viva.holds on holds.id = (latest.metadata ->> 'hold')::uuid
         where holds.work_id = $1 and holds.step = $2 and holds.state = 'settled'
         order by latest.created_at desc
         limit 1
        """,
        work_id,
        step,
        action_type,
    )


async def vision(transaction: Transaction) -> dict[str, str]:
    """The texts of the person's vision by section key: of the draft where it has any, or else of the active one."""
    texts = await transaction.value(
        """
        select jsonb_build_object(
                 'forward', forward, 'fun', fun, 'travel', travel, 'home', home, 'family', family, 'romance', romance,
                 'health', health, 'money', money, 'business', business, 'social', social, 'possessions', possessions,
                 'giving', giving, 'spirituality', spirituality, 'conclusion', conclusion)
          from vision_versions
         where (status = 'draft' and completion_percentage > 0) or is_active
         order by (status = 'draft') desc
         limit 1
        """
    )
    return {key: text for key, text in (texts or {}).items() if text}
