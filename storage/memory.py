"""What VIVA remembers of a person: facts with their sources, digests, passages found again, words forgotten."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction
from storage.journal import Entry

SourceKind = Literal["turn", "entry", "imagination", "correction"]
DigestKind = Literal["talk", "week"]


class Said(BaseModel):
    """A place where the person said something: `quote` as it stands there."""

    kind: SourceKind
    id: uuid.UUID
    quote: str
    said_at: datetime


class Fact(BaseModel):
    """What a person said of themselves; `valid_to` is set once it is no longer so."""

    id: uuid.UUID
    text: str
    category: str | None
    valid_from: date
    valid_to: date | None
    confidence: float
    source_kind: SourceKind
    source_id: uuid.UUID
    quote: str
    said_at: datetime
    said_again: list[Said]
    replaced_by: uuid.UUID | None
    tokens: int


class NewFact(BaseModel):
    """A fact to be kept; `replaces` are the standing facts that are no longer so.

    `replaces_new` are places in the list of new facts, of those before it.
    """

    text: str
    category: str | None
    valid_from: date
    confidence: float
    said: Said
    tokens: int
    replaces: list[uuid.UUID] = []
    replaces_new: list[int] = []


class Source(BaseModel):
    """A passage of the person's own words that no facts were drawn from yet."""

    id: uuid.UUID
    kind: Literal["turn", "entry", "imagination"]
    text: str
    said_at: datetime


class State(BaseModel):
    """How far the memory of the person who is acting has come."""

    paused_at: datetime | None = None
    unread_tokens: int = 0
    resting: bool = False


class Digest(BaseModel):
    """A stretch of older talk, or a week, in a few sentences."""

    id: uuid.UUID
    kind: DigestKind
    covers_from: datetime
    covers_to: datetime
    text: str
    tokens: int


class Line(BaseModel):
    """What one of the two said, or an entry, for a digest."""

    id: uuid.UUID
    speaker: Literal["person", "viva", "journal"]
    text: str
    said_at: datetime


FACT = """id, text, category, valid_from, valid_to, confidence, source_kind, source_id, quote, said_at, said_again,
          replaced_by, tokens"""


# -------------------------------------------------------------------------------------------- state


async def state(transaction: Transaction) -> State:
    """The state of the memory; `resting` for a while after a reading that did not go through."""
    found = await transaction.one(
        State,
        """
        select paused_at, unread_tokens, coalesce(failed_at > now() - interval '1 hour', false) as resting
          from viva.memory_state
        """,
    )
    return found or State()


async def pause(transaction: Transaction, *, paused: bool) -> None:
    """Keep nothing new in mind from now on, or go on."""
    await transaction.execute(
        """
        insert into viva.memory_state (paused_at) values (case when $1 then now() end)
        on conflict (user_id) do update set paused_at = excluded.paused_at
        """,
        paused,
    )


async def rest(transaction: Transaction) -> None:
    """Note that a reading did not go through, so that the next one waits."""
    await transaction.execute("update viva.memory_state set failed_at = now()")


# -------------------------------------------------------------------------------------------- facts


async def facts(transaction: Transaction, *, limit: int, skip: int = 0) -> list[Fact]:
    """The facts that hold now, the latest said first."""
    return await transaction.many(
        Fact,
        f"""
        select {FACT} from viva.memory_facts where valid_to is null
         order by said_at desc, id limit $1 offset $2
        """,
        limit,
        skip,
    )


async def fact(transaction: Transaction, fact_id: uuid.UUID) -> Fact | None:
    """The fact, if it is the person's."""
    return await transaction.one(Fact, f"select {FACT} from viva.memory_facts where id = $1", fact_id)


async def facts_of(transaction: Transaction, ids: Sequence[uuid.UUID]) -> list[Fact]:
    """These facts, in no order, whether they hold still or not; without those that are gone."""
    return await transaction.many(Fact, f"select {FACT} from viva.memory_facts where id = any ($1)", list(ids))


async def latest(transaction: Transaction, *, limit: int) -> list[Fact]:
    """The facts said last, whether they hold still or not."""
    return await transaction.many(
        Fact, f"select {FACT} from viva.memory_facts order by said_at desc, id limit $1", limit
    )


async def count(transaction: Transaction) -> int:
    """How many facts hold now."""
    return int(await transaction.value("select count(*) from viva.memory_facts where valid_to is null"))


async def replaced(transaction: Transaction, fact_id: uuid.UUID) -> list[Fact]:
    """What a fact took the place of, the latest first, all the way back."""
    return await transaction.many(
        Fact,
        f"""
        with recursive older as (
          select id from viva.memory_facts where replaced_by = $1
           union select f.id from viva.memory_facts f join older on f.replaced_by = older.id
        )
        select {FACT} from viva.memory_facts where id in (select id from older) order by said_at desc, id limit 20
        """,
        fact_id,
    )


async def keep(transaction: Transaction, new: NewFact) -> uuid.UUID:
    """Keep a fact, and close those that it replaces on the day it holds from."""
    fact_id = await transaction.value(
        """
        insert into viva.memory_facts
          (text, category, valid_from, confidence, source_kind, source_id, quote, said_at, tokens)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        returning id
        """,
        new.text,
        new.category,
        new.valid_from,
        round(new.confidence, 2),
        new.said.kind,
        new.said.id,
        new.said.quote,
        new.said.said_at,
        new.tokens,
    )
    assert isinstance(fact_id, uuid.UUID)
    await transaction.execute(
        """
        update viva.memory_facts set valid_to = greatest(valid_from, $2), replaced_by = $3
         where id = any ($1) and valid_to is null
        """,
        new.replaces,
        new.valid_from,
        fact_id,
    )
    return fact_id


async def known_places(transaction: Transaction, ids: Sequence[uuid.UUID]) -> list[Said]:
    """The words in these sources that a fact, standing or closed, rests on already."""
    return await transaction.many(
        Said,
        """
        select source_kind as kind, source_id as id, quote, said_at from viva.memory_facts where source_id = any ($1)
        """,
        list(ids),
    )


async def said_again(transaction: Transaction, fact_id: uuid.UUID, said: Said) -> None:
    """Note another place where the person said the same."""
    await transaction.execute(
        """
        update viva.memory_facts set said_again = said_again || $2::jsonb, said_at = greatest(said_at, $3)
         where id = $1 and not (source_id = $4 and quote = $5) and not said_again @> $6::jsonb
        """,
        fact_id,
        [said.model_dump(mode="json")],
        said.said_at,
        said.id,
        said.quote,
        [{"id": str(said.id), "quote": said.quote}],
    )


class Place(BaseModel):
    """Words to be forgotten, as they stand in a source."""

    id: uuid.UUID
    words: str


async def lock(transaction: Transaction) -> None:
    """Until the transaction ends, nothing else is drawn from the person's words, and nothing of them taken away.

    Who keeps something drawn takes it first and then looks whether the words still stand.
    """
    await transaction.execute("select viva.lock_memory(auth.uid())")


async def forget(transaction: Transaction, fact_id: uuid.UUID, places: Sequence[Place]) -> None:
    """Remove a fact, the words of these places, and the digests that tell of it or were made from those places.

    The words stay only where they were said; VIVA leaves them out from now on, known again by their hash.
    """
    await lock(transaction)
    await transaction.execute("delete from viva.memory_facts where id = $1", fact_id)
    await transaction.execute("delete from viva.memory_digests where $1 = any (facts)", fact_id)
    await leave_out(transaction, places)


async def leave_out(transaction: Transaction, places: Sequence[Place]) -> None:
    """Remove the words of these places from all that VIVA finds again, and the digests made from them."""
    await lock(transaction)
    for place in places:
        await transaction.execute(
            "insert into viva.memory_forgotten (source_id, hash, length) values ($1, $2, $3) on conflict do nothing",
            place.id,
            hashlib.sha256(place.words.encode()).digest(),
            len(place.words),
        )
        await transaction.execute(
            "delete from viva.memory_facts where source_id = $1 and position(quote in $2) > 0", place.id, place.words
        )
    ids = list({place.id for place in places})
    await transaction.execute("delete from viva.memory_digests where sources && $1", ids)
    await transaction.execute(
        """
        update viva.memory_passages p
           set text = cleared.text, search = viva.search_vector(p.user_id, cleared.text), tokens = null,
               embedded_by = null
          from (select id, viva.without_forgotten(user_id, source_id, text) as text
                  from viva.memory_passages where source_id = any ($1)) cleared
         where cleared.id = p.id and cleared.text <> p.text
        """,
        ids,
    )


async def said_with(transaction: Transaction, word: str) -> list[Line]:
    """Everything that either said with this word in it, the latest first."""
    return await transaction.many(
        Line,
        """
        select id, speaker, text, said_at from (
          select id, 'viva' as speaker, message as text, created_at as said_at
            from ai_conversations where role = 'assistant' and strpos(lower(message), lower($1)) > 0
           union all
          select source_id, case source_kind when 'entry' then 'journal' else 'person' end, text, said_at
            from viva.memory_passages where source_kind <> 'fact' and strpos(lower(text), lower($1)) > 0
        ) found order by said_at desc limit 500
        """,
        word,
    )


async def drop_digests(transaction: Transaction, ids: Sequence[uuid.UUID]) -> None:
    """Remove digests; they are made again from what may still be read."""
    await transaction.execute("delete from viva.memory_digests where id = any ($1)", list(ids))


async def empty_digest(transaction: Transaction, digest_id: uuid.UUID) -> bool:
    """Take out what a digest says; its stretch is not summed up again. False where there was nothing."""
    touched = await transaction.execute(
        "update viva.memory_digests set text = '', tokens = 0, facts = '{}' where id = $1 and text <> ''", digest_id
    )
    return touched > 0


async def forget_all(transaction: Transaction) -> None:
    """Remove all that VIVA drew from the person's words; what they said until now is not read for facts again."""
    await lock(transaction)
    await transaction.execute("delete from viva.memory_facts")
    await transaction.execute("delete from viva.memory_digests")
    await transaction.execute("update viva.memory_passages set read_at = now(), embedded_by = null")
    await transaction.execute("update viva.memory_state set unread_tokens = 0")


async def start_over(transaction: Transaction) -> int:
    """Remove facts and digests so that they are drawn anew from the verbatim words; how many passages will be read.

    What the person corrected by hand stays, and so does what they asked to forget.
    """
    await transaction.execute(
        """
        delete from viva.memory_facts f
         where source_kind <> 'correction'
           and not exists (select from viva.memory_facts c where c.source_kind = 'correction' and c.source_id = f.id)
        """
    )
    await transaction.execute("delete from viva.memory_digests")
    passages = await transaction.execute(
        "update viva.memory_passages set read_at = null where source_kind <> 'fact'",
    )
    await transaction.execute(
        """
        insert into viva.memory_state (unread_tokens)
        select coalesce(sum(char_length(text)) / 4, 0) from viva.memory_passages where source_kind <> 'fact'
        on conflict (user_id) do update set unread_tokens = excluded.unread_tokens, failed_at = null
        """
    )
    return passages


async def forgotten_in(transaction: Transaction, texts: dict[uuid.UUID, str]) -> dict[uuid.UUID, str]:
    """Those of the texts, by the id of their source, in which something was forgotten, without it."""
    rows = await transaction.many(
        _Text,
        """
        select given.id, viva.without_forgotten((select auth.uid()), given.id, given.text) as text
          from unnest($1::uuid[], $2::text[]) as given (id, text)
         where given.id in (select source_id from viva.memory_forgotten)
        """,
        list(texts),
        list(texts.values()),
    )
    return {row.id: row.text for row in rows}


class _Text(BaseModel):
    id: uuid.UUID
    text: str


async def without_forgotten(transaction: Transaction, entries: Sequence[Entry]) -> list[Entry]:
    """The journal entries as VIVA reads them: without the words that it was asked to forget."""
    cleared = await forgotten_in(transaction, {entry.id: entry.words for entry in entries})
    return [
        entry.model_copy(update={"content": cleared[entry.id], "audio_recordings": []})
        if entry.id in cleared
        else entry
        for entry in entries
    ]


# ------------------------------------------------------------------------------------------ reading


async def unread(transaction: Transaction, *, most_characters: int) -> list[Source]:
    """The oldest words that no facts were drawn from yet, together no longer than this; at least one."""
    return await transaction.many(
        Source,
        """
        select id, kind, text, said_at from (
          select source_id as id, source_kind as kind, text, said_at,
                 sum(char_length(text)) over (order by said_at, id) - char_length(text) as before
            from (select id, source_id, source_kind, text, said_at from viva.memory_passages
                   where read_at is null order by said_at, id limit 200) oldest
        ) counted where before < $1 order by said_at, id
        """,
        most_characters,
    )


async def sources(transaction: Transaction, ids: Sequence[uuid.UUID], *, unread_only: bool = False) -> list[Source]:
    """The words of these sources as they stand now, oldest first; or only of those not read for facts yet."""
    return await transaction.many(
        Source,
        """
        select source_id as id, source_kind as kind, text, said_at from viva.memory_passages
         where source_id = any ($1) and source_kind <> 'fact' and (read_at is null or not $2) order by said_at, id
        """,
        list(ids),
        unread_only,
    )


async def characters(transaction: Transaction) -> int:
    """How many characters of the person's words there are to draw from."""
    return int(
        await transaction.value(
            "select coalesce(sum(char_length(text)), 0) from viva.memory_passages where source_kind <> 'fact'"
        )
    )


async def mark_read(transaction: Transaction, ids: Sequence[uuid.UUID]) -> None:
    """Note that facts were drawn from these sources."""
    await transaction.execute(
        "update viva.memory_passages set read_at = now() where source_id = any ($1) and read_at is null", list(ids)
    )
    await transaction.execute(
        """
        update viva.memory_state set failed_at = null, unread_tokens = (
          select coalesce(sum(greatest(1, char_length(text) / 4)), 0) from viva.memory_passages where read_at is null)
        """
    )


# ------------------------------------------------------------------------------------------ digests


async def digests(transaction: Transaction, *, kind: DigestKind, limit: int) -> list[Digest]:
    """The latest digests of a kind, oldest first."""
    return await transaction.many(
        Digest,
        """
        select id, kind, covers_from, covers_to, text, tokens from (
          select id, kind, covers_from, covers_to, text, tokens from viva.memory_digests
           where kind = $1 and text <> '' order by covers_from desc limit $2
        ) latest order by covers_from
        """,
        kind,
        limit,
    )


async def all_digests(transaction: Transaction, *, limit: int, skip: int) -> list[Digest]:
    """All digests, newest first."""
    return await transaction.many(
        Digest,
        """
        select id, kind, covers_from, covers_to, text, tokens from viva.memory_digests where text <> ''
         order by covers_from desc, kind limit $1 offset $2
        """,
        limit,
        skip,
    )


async def keep_digest(
    transaction: Transaction,
    *,
    kind: DigestKind,
    covers_from: datetime,
    covers_to: datetime,
    sources: Sequence[uuid.UUID],
    facts: Sequence[uuid.UUID],
    text: str,
    tokens: int,
) -> None:
    """Keep a digest, once for each stretch; `facts` are those it tells of."""
    await transaction.execute(
        """
        insert into viva.memory_digests (kind, covers_from, covers_to, sources, facts, text, tokens)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing
        """,
        kind,
        covers_from,
        covers_to,
        list(sources),
        list(facts),
        text,
        tokens,
    )


async def undigested_talk(transaction: Transaction, *, keep_latest: int, limit: int) -> list[Line]:
    """The oldest turns that no digest covers, oldest first, without the latest `keep_latest`."""
    return await transaction.many(
        Line,
        """
        select id, case role when 'user' then 'person' else 'viva' end as speaker,
               viva.without_forgotten(user_id, id, message) as text, created_at as said_at
          from ai_conversations
         where created_at < (select created_at from ai_conversations order by created_at desc, id desc
                              offset $1 limit 1)
           and id not in (select unnest(sources) from viva.memory_digests where kind = 'talk')
         order by created_at, id
         limit $2
        """,
        keep_latest,
        limit,
    )


class Week(BaseModel):
    """A week that is over, by the person's own calendar, of which there is no digest."""

    begins: datetime
    ends: datetime


async def undigested_week(transaction: Transaction, *, least_characters: int, weeks_back: int) -> Week | None:
    """The oldest such week with enough words of the person's, not further back than so many weeks."""
    return await transaction.one(
        Week,
        """
        with place as (select coalesce((select time_zone from viva.telegram_accounts), 'UTC') as zone),
        weeks as (
          select date_trunc('week', p.said_at at time zone zone) as week
            from viva.memory_passages p, place
           where p.source_kind in ('turn', 'entry')
             and p.said_at >= (date_trunc('week', now() at time zone zone) - $2 * interval '1 week') at time zone zone
             and p.said_at < date_trunc('week', now() at time zone zone) at time zone zone
           group by 1 having sum(char_length(p.text)) >= $1
        )
        select week at time zone zone as begins, (week + interval '1 week') at time zone zone as ends
          from weeks, place
         where not exists (select from viva.memory_digests d
                            where d.kind = 'week' and d.covers_from = week at time zone zone)
         order by week limit 1
        """,
        least_characters,
        weeks_back,
    )


async def words_of(transaction: Transaction, *, week: Week, limit: int) -> list[Line]:
    """What the person said and wrote in the week, oldest first."""
    return await transaction.many(
        Line,
        """
        select source_id as id, case source_kind when 'entry' then 'journal' else 'person' end as speaker, text, said_at
          from viva.memory_passages
         where source_kind in ('turn', 'entry') and said_at >= $1 and said_at < $2
         order by said_at, id limit $3
        """,
        week.begins,
        week.ends,
        limit,
    )
