"""Reading what a person said, in the background: facts, digests, vectors; metered, and only while it is welcome."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from aiogram.types import InlineKeyboardButton
from pydantic import BaseModel

from bot.ai.embeddings import Embedded
from bot.ai.meter import Action, Ticket
from bot.errors import ContextTooLong, ModelRefused, OutOfTokens, VivaError
from bot.services import memory as service
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home, price_tag
from handlers.screen import Screen, button, replace
from prompts import memory as prompts
from prompts import replies
from prompts.memory import Found
from storage import memory, meter, people
from storage import recall as found
from storage.database import Transaction
from storage.memory import Fact, Line
from storage.people import Account
from storage.recall import Passage

WORDS = replies.of("memory")

VECTORS_AT_ONCE = 40
MOST_VECTOR_CALLS = 5
VECTOR_CHARACTERS = 6_000
"""Characters of a passage that its vector stands for."""

MOST_WEEKS = 3
MOST_STRETCHES = 3


class Batch(BaseModel):
    """The sources of one reading and the facts that stood then, in the order of their numbers."""

    ids: list[uuid.UUID]
    standing: list[uuid.UUID]


# ------------------------------------------------------------------------------------------- starting


async def read_if_due(work: Work, db: Transaction, *, digests_only: bool = False) -> None:
    """Start a reading where enough new words have gathered, and the person lets VIVA remember."""
    state = await memory.state(db)
    if state.paused_at is not None or state.resting:
        return
    if state.unread_tokens >= service.ENOUGH_TO_READ or digests_only:
        work.start("memory.read", {}, lane="memory", key=f"{work.chat_id}:{work.head.id}")


def read_now(work: Work, *, once: str, key: str | int, over: bool = False) -> None:
    """Start a reading that the person asked for, one for each `once`; the message `key` says so when it is done.

    `over` drops all that was drawn before, so that it is drawn anew.
    """
    payload: dict[str, Any] = {"key": key} | ({"over": True} if over else {})
    work.start("memory.read", payload, lane="memory", key=f"{work.chat_id}:{once}")


async def vector_of(job: Job, doors: Doors, words: str) -> list[float] | None:
    """What the words mean, for finding passages of like meaning; None where that cannot be had, or is too dear now."""
    model = doors.model.models.embedding
    if model is None or not words.strip():
        return None
    if not job.done("vector"):
        async with job.transaction() as db:
            wanted = await found.has_vectors(db) and await _affordable(db)
        if not wanted:
            return None
    try:
        embedded = await job.call(
            "vector", Embedded, lambda ticket: doors.model.embed(ticket, [words[:VECTOR_CHARACTERS]])
        )
    except VivaError:
        return None  # found by its words alone
    return embedded.vectors[0]


async def _affordable(db: Transaction) -> bool:
    purse = await meter.wallet(db)
    return purse is not None and purse.balance - purse.held >= service.LEAST_FREE


# -------------------------------------------------------------------------------------------- reading


async def read(job: Job, doors: Doors) -> None:
    """Draw facts from new words, sum up older talk and past weeks, and give passages their vectors."""
    facts = 0
    kept_back = None
    if "over" in job.payload:
        await job.step("over", functools.partial(_start_over, job))
    for number in range(service.MOST_READINGS):
        account = await _welcome(job)
        if account is None or not await _facts(job, doors, account, number=number):
            break
    account = await _welcome(job)
    if account is not None:
        await _digests(job, doors)
        await _vectors(job, doors)
    else:
        kept_back = await _why_not(job)
    async with job.finish() as db:
        facts = await memory.count(db)
        if (key := job.payload.get("key")) is not None:
            name = {0: "read_none", 1: "read_one"}.get(facts, "read_done")
            words = kept_back or f"{WORDS(name, count=facts)}\n\n{await price_tag.receipt(db, job)}"
            replace(job, Screen(text=words, rows=[[_to_memory(), home.back()]]), key=key)


def _to_memory() -> InlineKeyboardButton:
    return button(WORDS("memory"), home.OpenTap(feature="memory"))


async def _welcome(job: Job) -> Account | None:
    """The person, as long as they let VIVA remember and have tokens to spare."""
    async with job.transaction() as db:
        account = await _may_remember(db)
        if account is None or job.stopped:
            return None
        return account if await _affordable(db) else None


async def _may_remember(db: Transaction) -> Account | None:
    """The person, as long as they let VIVA remember."""
    account = await people.account(db)
    if account is None or account.consented_at is None or (await memory.state(db)).paused_at is not None:
        return None
    return account


async def _why_not(job: Job) -> str:
    async with job.transaction() as db:
        return WORDS("read_paused" if (await memory.state(db)).paused_at is not None else "read_low")


async def _facts(job: Job, doors: Doors, account: Account, *, number: int, most: int = service.MOST_CHARACTERS) -> bool:
    """Draw facts from the oldest unread words, at most so many characters of them; False when there were none."""
    zone = account.zone
    share = service.MOST_CHARACTERS // most

    async def choose() -> object:
        async with job.transaction() as db:
            unread = await memory.unread(db, most_characters=most)
            standing = await memory.facts(db, limit=service.MOST_STANDING // share)
        return Batch(ids=[one.id for one in unread], standing=[one.id for one in standing]).model_dump(mode="json")

    # The choice is kept, so that another try reads the same words, and its numbers mean the same facts.
    batch = Batch.model_validate(await job.step(f"chosen:{number}:{most}", choose))
    async with job.transaction() as db:
        sources = service.in_order(await memory.sources(db, batch.ids), batch.ids)
        standing = service.in_order(await memory.facts_of(db, batch.standing), batch.standing)
    if not any(sources):
        return False
    try:
        notes = await job.call(
            f"found:{number}:{most}",
            Found,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.MEMORY,
                messages=prompts.facts(
                    standing=service.standing_lines(standing),
                    said=service.said_lines(sources, zone=zone, most=most * 3 // 4),
                ),
                shape=Found,
                most_output=service.MOST_FACTS_OUTPUT,
                least_output=service.LEAST_FACTS_OUTPUT,
            ),
        )
    except ModelRefused as refused:
        if isinstance(refused, ContextTooLong) and most > service.LEAST_CHARACTERS:
            return await _facts(job, doors, account, number=number, most=most // 2)
        # The same words would be refused again, and paid for again: they are passed over.
        notes = Found(facts=[], again=[])
    read = {source.id: source.text for source in sources if source is not None}
    async with job.transaction() as db:
        await memory.lock(db)
        # What the person corrected, forgot or took back meanwhile counts, and what an earlier try has kept already.
        if not await _may_remember(db):
            return False
        sources = service.in_order(await memory.sources(db, batch.ids, unread_only=True), batch.ids)
        standing = service.in_order(await memory.facts_of(db, batch.standing), batch.standing)
        new, again = service.checked(
            notes,
            sources=sources,
            standing=standing,
            known=await memory.known_places(db, batch.ids),
            today=datetime.now(UTC).astimezone(zone).date(),
        )
        kept: list[uuid.UUID] = []
        for fact in new:
            replaces = [*fact.replaces, *(kept[place] for place in fact.replaces_new)]
            kept.append(await memory.keep(db, fact.model_copy(update={"replaces": replaces})))
        for known, said in again:
            await memory.said_again(db, kept[known] if isinstance(known, int) else known, said)
        # What was changed meanwhile waits for its own reading.
        await memory.mark_read(db, [one.id for one in sources if one is not None and one.text == read.get(one.id)])
    return True


async def _start_over(job: Job) -> int:
    async with job.transaction() as db:
        return await memory.start_over(db)


# -------------------------------------------------------------------------------------------- digests


async def _digests(job: Job, doors: Doors) -> None:
    """Sum up talk that is older than what a turn is given word for word, and weeks that are over."""

    async def talk(db: Transaction) -> list[Line]:
        return await memory.undigested_talk(db, keep_latest=service.KEEP_LATEST, limit=service.STRETCH)

    for _ in range(MOST_STRETCHES):
        async with job.transaction() as db:
            lines = await talk(db)
        if len(lines) < service.LEAST_STRETCH or not await _sum_up(job, doors, kind="talk", lines=lines, again=talk):
            break
    for _ in range(MOST_WEEKS):
        async with job.transaction() as db:
            week = await memory.undigested_week(
                db, least_characters=service.WEEK_CHARACTERS, weeks_back=service.WEEKS_BACK
            )
        if week is None:
            break
        written = functools.partial(memory.words_of, week=week, limit=service.MOST_WEEK_LINES)
        async with job.transaction() as db:
            lines = await written(db)
        if not await _sum_up(job, doors, kind="week", lines=lines, again=written, span=(week.begins, week.ends)):
            break


async def _sum_up(
    job: Job,
    doors: Doors,
    *,
    kind: memory.DigestKind,
    lines: list[Line],
    again: Callable[[Transaction], Awaitable[list[Line]]],
    span: tuple[datetime, datetime] | None = None,
) -> bool:
    """Keep a digest of the lines, if all of them stand `again` when it is written; False where that is not to be."""
    account = await _welcome(job)
    if account is None:
        return False
    async with job.transaction() as db:
        facts = await memory.latest(db, limit=service.MOST_STANDING)
    try:
        digest = await job.call(
            _step(kind, lines, facts),
            prompts.Digest,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.MEMORY,
                messages=prompts.digest(
                    standing=service.standing_lines(facts), said=service.digest_lines(lines, zone=account.zone)
                ),
                shape=prompts.Digest,
                most_output=service.MOST_DIGEST_OUTPUT,
                least_output=service.LEAST_DIGEST_OUTPUT,
            ),
        )
    except ModelRefused as refused:
        if isinstance(refused, ContextTooLong) and len(lines) > service.LEAST_STRETCH // 2:
            return await _sum_up(job, doors, kind=kind, lines=lines[: len(lines) // 2], again=again, span=span)
        # The same lines would be refused again, and paid for again: they are passed over.
        digest = prompts.Digest(text="", facts=[])
    text = service.tidy(digest.text)
    async with job.transaction() as db:
        await memory.lock(db)
        if not await _may_remember(db):
            return False
        # Something was forgotten, deleted or changed while the model wrote: it may tell of it.
        standing = {line.id: line.text for line in await again(db)}
        known = {fact.id for fact in await memory.facts_of(db, [fact.id for fact in facts])}
        if any(standing.get(line.id) != line.text for line in lines) or len(known) < len(facts):
            return False
        await memory.keep_digest(
            db,
            kind=kind,
            covers_from=span[0] if span else lines[0].said_at,
            covers_to=span[1] if span else lines[-1].said_at,
            sources=[line.id for line in lines],
            facts=service.told_of(digest.facts, facts),
            text=text,
            tokens=service.size(text),
        )
    return True


def _step(name: str, *rows: Sequence[Line | Passage | Fact]) -> str:
    """The name of a step by what it is about: another try that finds other rows makes another call."""
    about = " ".join(f"{row.id} {row.text}" for each in rows for row in each)
    return f"{name}:{uuid.uuid5(uuid.NAMESPACE_OID, about)}"


# -------------------------------------------------------------------------------------------- vectors


async def _vectors(job: Job, doors: Doors) -> None:
    """Give passages that have none their vectors, the latest first."""
    model = doors.model.models.embedding
    if model is None:
        return
    for _ in range(MOST_VECTOR_CALLS):
        async with job.transaction() as db:
            if not await found.has_vectors(db) or not await _affordable(db):
                return
            passages = await found.without_vector(db, model=model, limit=VECTORS_AT_ONCE)
        if not passages:
            return
        texts = [passage.text[:VECTOR_CHARACTERS] for passage in passages]
        embedded = await job.call(
            _step("vectors", passages), Embedded, functools.partial(_embed, doors=doors, texts=texts)
        )
        async with job.transaction() as db:
            for passage, vector in zip(passages, embedded.vectors, strict=False):
                await found.keep_vector(db, passage.id, vector, model=model, text=passage.text)


async def _embed(ticket: Ticket, *, doors: Doors, texts: list[str]) -> Embedded:
    return await doors.model.embed(ticket, texts)


async def read_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Leave it for later. Only who asked for a reading is told that it did not go through."""
    await memory.rest(db)
    if (key := job.payload.get("key")) is not None:
        words = WORDS("read_low") if isinstance(error, OutOfTokens) else WORDS("read_failed")
        replace(job, Screen(text=words, rows=[[_to_memory(), home.back()]]), key=key)


JOBS = {"memory.read": (read, read_failed)}
