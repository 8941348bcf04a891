"""Durable work in ordered lanes: taking in, claiming, one commit at the end, steps, cancelling, liveness."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

import asyncpg
from pydantic import BaseModel

from storage.database import Transaction


class NewWork(BaseModel):
    """Work to be put into a lane; `key` makes it happen once, `delay` is in seconds."""

    lane: str
    kind: Literal["update", "job"]
    name: str
    key: str
    chat_id: int | None = None
    telegram_id: int | None = None
    payload: dict[str, Any]
    delay: float = 0


class NewMessage(BaseModel):
    """A call of the Bot API to be made in its turn; `key` makes it happen once and names the sent message.

    One that is `unasked`, which nobody waits for, lets those of other chats pass that somebody waits for.
    """

    chat_id: int
    method: str
    payload: dict[str, Any]
    key: str | None = None
    unasked: bool = False


class Claim(BaseModel):
    """A lane that is ours as long as the fence stands."""

    lane: str
    fence: uuid.UUID


class Head(BaseModel):
    """The first waiting work of a lane, with the person it belongs to where they are known."""

    id: int
    lane: str
    kind: Literal["update", "job"]
    name: str
    key: str
    chat_id: int | None
    telegram_id: int | None
    payload: dict[str, Any]
    attempts: int
    cancelled: bool
    user_id: uuid.UUID | None


async def enqueue(transaction: Transaction, work: Sequence[NewWork]) -> int:
    """How many of these were new; those whose key stands already are left alone."""
    added = await transaction.value("select viva.enqueue($1::jsonb)", [item.model_dump(mode="json") for item in work])
    return int(added)


async def claim(transaction: Transaction, *, process: uuid.UUID, updates: int, jobs: int) -> list[Claim]:
    """Up to so many due lanes of updates (urgent and other ones each) and of jobs, now worked by this process alone."""
    return await transaction.many(Claim, "select lane, fence from viva.claim_work($1, $2, $3)", process, updates, jobs)


async def heads(transaction: Transaction, lanes: Sequence[str]) -> list[Head]:
    """The heads of these lanes that are due."""
    return await transaction.many(
        Head,
        """
        select w.id, w.lane, w.kind, w.name, w.key, w.chat_id, w.telegram_id, w.payload, w.attempts,
               w.cancel_requested_at is not null as cancelled, a.user_id
          from unnest($1::text[]) as claimed (lane)
         cross join lateral (select * from viva.work h where h.lane = claimed.lane and h.state = 'waiting'
                              order by h.id limit 1) w
          left join viva.telegram_accounts a on a.telegram_id = w.telegram_id
         where w.due_at <= now()
        """,
        list(lanes),
    )


async def finish(
    transaction: Transaction,
    *,
    head: Head,
    fence: uuid.UUID,
    state: Literal["done", "parked"],
    error: str | None,
    jobs: Sequence[NewWork],
    messages: Sequence[NewMessage],
) -> None:
    """End the work in this transaction: jobs, messages, lane given back. Raises Fenced if taken over."""
    await transaction.execute(
        "select viva.finish($1, $2, $3, $4, $5, $6::jsonb, $7::jsonb)",
        head.id,
        head.lane,
        fence,
        state,
        error,
        [job.model_dump(mode="json") for job in jobs],
        [message.model_dump(mode="json") for message in messages],
    )


async def retry(transaction: Transaction, *, head: Head, fence: uuid.UUID, delay: float, error: str) -> None:
    """Leave the work at the head of its lane for another try in `delay` seconds."""
    await transaction.execute("select viva.retry($1, $2, $3, $4, $5)", head.id, head.lane, fence, delay, error)


async def put_off(transaction: Transaction, *, head: Head, fence: uuid.UUID, delay: float) -> bool:
    """Leave the work at the head of its lane for `delay` seconds, for a process of another version; no try is counted.

    False, and nothing is changed, where a job has waited so for a quarter of an hour. Raises Fenced if taken over.
    """
    await transaction.execute("select viva.hold_lane($1, $2)", head.lane, fence)
    waits = await transaction.execute(
        """
        update viva.work set due_at = now() + $2 * interval '1 second', error = 'unknown here'
         where id = $1 and state = 'waiting' and (kind = 'update' or created_at > now() - interval '15 minutes')
        """,
        head.id,
        delay,
    )
    if waits:
        await transaction.execute("select viva.leave_lane($1)", head.lane)
    return waits == 1


async def drop_claim(transaction: Transaction, claim: Claim) -> None:
    """Give the lane back if it is still ours."""
    await transaction.execute("select viva.drop_claim($1, $2)", claim.lane, claim.fence)


async def drop_unknown(transaction: Transaction, *, process: uuid.UUID, known: Sequence[uuid.UUID]) -> None:
    """Give back the lanes of this process but those of the fences it knows of."""
    await transaction.execute(
        """
        update viva.lanes set claimed_by = null, fence = null, claimed_at = null
         where lane in (select lane from viva.lanes
                         where claimed_by = $1 and fence <> all ($2::uuid[]) order by lane for update skip locked)
        """,
        process,
        list(known),
    )


async def still_ours(transaction: Transaction, *, head: Head, fence: uuid.UUID) -> None:
    """Raises Fenced where the work was taken over, or went with its person; else nobody can until the commit."""
    await transaction.execute("select viva.hold_work($1, $2, $3)", head.id, head.lane, fence)


async def record_step(transaction: Transaction, *, head: Head, fence: uuid.UUID, step: str, result: Any) -> None:
    """Keep what a step produced, so that it is never done again. Raises Fenced if taken over."""
    await transaction.execute(
        "select viva.record_step($1, $2, $3, $4, $5::jsonb)", head.id, head.lane, fence, step, result
    )


async def post(transaction: Transaction, *, head: Head, fence: uuid.UUID, messages: Sequence[NewMessage]) -> None:
    """Send messages of a work that goes on. Raises Fenced if taken over."""
    await still_ours(transaction, head=head, fence=fence)
    await transaction.execute("select viva.post($1::jsonb)", [message.model_dump(mode="json") for message in messages])


class Step(BaseModel):
    """A step that was done, and what it produced."""

    step: str
    result: Any


async def steps(transaction: Transaction, work_id: int) -> list[Step]:
    """The steps of this job that are done already."""
    return await transaction.many(
        Step, "select step, result from viva.work_steps where work_id = $1 order by created_at", work_id
    )


async def request_cancel(
    transaction: Transaction,
    chat_id: int,
    *,
    names: Sequence[str],
    work_id: int | None = None,
    messages: Sequence[uuid.UUID] | None = None,
) -> int:
    """Ask unfinished jobs of the chat with one of these names to stop: all, one, or of these messages; how many."""
    about = [str(message) for message in messages] if messages is not None else None
    # A job at its commit holds its lane and then wants its row: in the other order the two would wait for each other.
    await transaction.execute(
        """
        select from viva.lanes where lane in (
          select lane from viva.work
           where chat_id = $1 and kind = 'job' and state = 'waiting' and name = any ($2::text[])
             and ($3::bigint is null or id = $3)
             and ($4::text[] is null or payload ->> 'message' = any ($4))) order by lane for update
        """,
        chat_id,
        list(names),
        work_id,
        about,
    )
    return await transaction.execute(
        """
        update viva.work set cancel_requested_at = coalesce(cancel_requested_at, now())
         where chat_id = $1 and kind = 'job' and state = 'waiting' and name = any ($2::text[])
           and ($3::bigint is null or id = $3)
           and ($4::text[] is null or payload ->> 'message' = any ($4))
        """,
        chat_id,
        list(names),
        work_id,
        about,
    )


async def waits(transaction: Transaction, head: Head, *, about: dict[str, Any]) -> bool:
    """Whether other work of the lane with this in its payload is yet to be done."""
    return bool(
        await transaction.value(
            """
            select exists (select from viva.work
                            where lane = $1 and state = 'waiting' and id <> $2 and payload @> $3::jsonb)
            """,
            head.lane,
            head.id,
            about,
        )
    )


async def on_its_way(transaction: Transaction, chat_id: int, *, name: str, sent_as: str) -> bool:
    """Whether a job of this name, or a message whose key begins so, is yet to come in the chat."""
    return bool(
        await transaction.value(
            """
            select exists (select from viva.work where chat_id = $1 and state = 'waiting' and name = $2)
                or exists (select from viva.outbox where chat_id = $1 and state = 'waiting' and starts_with(key, $3))
            """,
            chat_id,
            name,
            sent_as,
        )
    )


async def cancelled(transaction: Transaction, work_ids: Sequence[int]) -> set[int]:
    """Which of these works were asked to stop, or are gone."""
    kept = await transaction.value(
        """
        select coalesce(array_agg(id), '{}') from viva.work
         where id = any ($1::bigint[]) and state = 'waiting' and cancel_requested_at is null
        """,
        list(work_ids),
    )
    return set(work_ids) - set(kept)


async def erase(transaction: Transaction, *, user_id: uuid.UUID, chat_id: int, work_id: int) -> None:
    """Remove the person from every table; the work that asks for it forgets whose it was."""
    await transaction.execute("select viva.erase($1, $2, $3)", user_id, chat_id, work_id)


async def register_process(
    transaction: Transaction, *, process: uuid.UUID, host: str, pid: int, number: int | None, age: float
) -> None:
    """Sign a process on that is `age` seconds old, and holds the advisory lock of this number already.

    None where there is no such lock.
    """
    await transaction.execute(
        """
        insert into viva.processes (id, host, pid, lock_key, started_at)
        values ($1, $2, $3, $4, now() - $5 * interval '1 second')
        """,
        process,
        host,
        pid,
        number,
        age,
    )


async def has_younger(transaction: Transaction, process: uuid.UUID) -> bool:
    """Whether a process is signed on that started later than this one, and so may be of a newer version."""
    return bool(
        await transaction.value(
            """
            select exists (select from viva.processes other join viva.processes this on this.id = $1
                            where other.started_at > this.started_at)
            """,
            process,
        )
    )


async def relock_process(transaction: Transaction, *, process: uuid.UUID, number: int) -> bool:
    """Note that a process, whose lock broke, holds the one of this number now; False when it was declared dead."""
    return (
        await transaction.execute(
            "update viva.processes set lock_key = $2, locked_at = now(), seen_at = now() where id = $1", process, number
        )
    ) == 1


async def still_alive(transaction: Transaction, process: uuid.UUID) -> bool:
    """Renew the process's sign of life; False when it was declared dead meanwhile."""
    return (await transaction.execute("update viva.processes set seen_at = now() where id = $1", process)) == 1


async def leave(transaction: Transaction, process: uuid.UUID) -> None:
    """Sign the process off and free at once what it still held."""
    await transaction.execute("delete from viva.processes where id = $1", process)
    await transaction.execute("select viva.bury(interval '1 minute')")


async def bury(transaction: Transaction, *, stale_seconds: float) -> int:
    """Free what dead processes held; how many were dead."""
    return int(await transaction.value("select viva.bury($1 * interval '1 second')", stale_seconds))


async def lead(transaction: Transaction, *, name: str, process: uuid.UUID) -> bool:
    """Whether this process is the one that does what only one may do; takes the lead where nobody has it."""
    try:
        return bool(await transaction.value("select viva.lead($1, $2)", name, process))
    except asyncpg.ForeignKeyViolationError:
        # Buried at this very moment.
        return False


async def leave_lead(transaction: Transaction, *, name: str, process: uuid.UUID) -> None:
    """Let another process take the lead at once."""
    await transaction.execute("delete from viva.leaders where name = $1 and process = $2", name, process)


class Parked(BaseModel):
    """Work that was given up: what it was and why, without anybody's words."""

    id: int
    name: str
    error: str | None
    attempts: int
    created_at: datetime
    finished_at: datetime | None


async def parked(transaction: Transaction) -> list[Parked]:
    """Everything that was given up, oldest first."""
    return await transaction.many(
        Parked,
        """
        select id, name, error, attempts, created_at, finished_at
          from viva.work where state = 'parked' order by id
        """,
    )


async def replay(transaction: Transaction, work_id: int | None) -> int:
    """Put parked work (all, or one) back into its lane, with all its tries; how many were put back."""
    lanes = await transaction.value(
        """
        select coalesce(array_agg(distinct lane), '{}') from viva.work
         where state = 'parked' and ($1::bigint is null or id = $1)
        """,
        work_id,
    )
    await transaction.execute("select viva.lock_lanes($1)", lanes)
    count = await transaction.execute(
        """
        update viva.work set state = 'waiting', attempts = 0, error = null, finished_at = null, due_at = now()
         where state = 'parked' and lane = any ($2::text[]) and ($1::bigint is null or id = $1)
        """,
        work_id,
        lanes,
    )
    await transaction.execute(
        "update viva.lanes set due_at = least(due_at, now()) where lane = any ($1::text[])", lanes
    )
    return count


class Standing(BaseModel):
    """How much waits, and for how long the oldest of it has been due (0 = nothing is late).

    What was tried in vain is late since it was put in, not since the latest try; a chat that Telegram asked to wait
    with (429) is not late. `unasked_lag` is that of messages which nobody waits for.
    """

    updates: int
    jobs: int
    parked: int
    work_lag: float
    messages: int
    unknown: int
    messages_lag: float
    unasked_lag: float
    processes: int


async def standing(transaction: Transaction) -> Standing:
    """How the engine stands, over all processes."""
    found = await transaction.one(
        Standing,
        """
        select w.updates, w.jobs,
               (select count(*) from viva.work where state = 'parked') as parked,
               coalesce(extract(epoch from now() - least(
                 (select min(due_at) from viva.lanes where claimed_by is null and due_at <= now()),
                 w.tried_in_vain)), 0)::float as work_lag,
               m.messages, coalesce(extract(epoch from now() - m.oldest), 0)::float as messages_lag,
               coalesce(extract(epoch from now() - m.oldest_unasked), 0)::float as unasked_lag,
               (select count(*) from viva.outbox where state = 'unknown') as unknown,
               (select count(*) from viva.processes) as processes
          from (select count(*) filter (where kind = 'update') as updates,
                       count(*) filter (where kind = 'job') as jobs,
                       min(created_at) filter (where attempts > 0) as tried_in_vain
                  from viva.work where state = 'waiting') w,
               (select count(*) as messages,
                       min(created_at) filter (where not unasked and not flooded) as oldest,
                       min(created_at) filter (where unasked and not flooded) as oldest_unasked
                  from (select created_at, unasked, chat_id in (
                          select chat_id from viva.outbox where state = 'waiting' and error = 'flood') as flooded
                          from viva.outbox where state = 'waiting') waiting) m
        """,
    )
    assert found is not None
    return found
