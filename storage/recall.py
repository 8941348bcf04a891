"""Finding again what a person said: by words, by meaning, by time. Exact, and within the person alone."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction

PassageKind = Literal["turn", "entry", "imagination", "fact"]


class Passage(BaseModel):
    """What was found: the words, where they stand, and when they were said."""

    id: uuid.UUID
    source_kind: PassageKind
    source_id: uuid.UUID
    text: str
    said_at: datetime
    categories: list[str]
    tokens: int | None


class Match(BaseModel):
    """A passage that shares words: `share` is how much of the rarity of the words asked for is in it, 0 to 1."""

    id: uuid.UUID
    source_id: uuid.UUID
    share: float
    shared: int
    said_at: datetime


MOST_WITHIN = 5_000
"""Passages that are looked through one by one."""

PASSAGE = "id, source_kind, source_id, text, said_at, categories, tokens"


async def by_words(
    transaction: Transaction,
    text: str,
    *,
    limit: int,
    without: Sequence[uuid.UUID] = (),
) -> list[Match]:
    """The passages that share the most telling words with the text; a word is telling when few passages have it.

    `without` are sources to pass over. It takes as long among a hundred thousand passages as among a thousand.
    """
    return await transaction.many(
        Match,
        "select id, source_id, share, shared, said_at from viva.passages_by_words($1, $2, $3)",
        text,
        limit,
        list(without),
    )


async def by_words_within(
    transaction: Transaction,
    text: str,
    *,
    since: datetime,
    until: datetime,
    limit: int,
    without: Sequence[uuid.UUID] = (),
) -> list[Match]:
    """The same among the passages of a time, the latest `MOST_WITHIN` of them; rarity is counted among those."""
    return await transaction.many(
        Match,
        """
        with asked as materialized (
          select lexeme, quote_literal(lexeme)::tsquery as query
            from unnest(tsvector_to_array(to_tsvector(
                   viva.search_language((select language_code from viva.telegram_accounts))::regconfig,
                   left($1, 4000)))) as lexeme
           where char_length(lexeme) > 1
        ), mine as materialized (
          select id, source_id, said_at, search from viva.memory_passages
           where source_id <> all ($3)
             and said_at >= $4 and said_at < $5
           order by said_at desc limit $6
        ), size as materialized (
          select count(*)::float8 as passages from mine
        ), hits as materialized (
          select m.id, a.lexeme from mine m join asked a on m.search @@ a.query
        ), telling as materialized (
          select a.lexeme, ln(1 + passages / greatest(1, count(h.id))) as weight
            from size, asked a left join hits h using (lexeme)
           group by a.lexeme, passages having count(h.id) <= greatest(20, passages / 3)
        ), scored as (
          select h.id, sum(t.weight) as score, count(*) as shared
            from hits h join telling t using (lexeme) group by h.id
        )
        select s.id, m.source_id, s.score / (select sum(weight) from telling) as share, s.shared::int, m.said_at
          from scored s join mine m using (id)
         order by s.score / (1 + 0.15 * ln(length(m.search))) desc, m.said_at desc, s.id
         limit $2
        """,
        text,
        limit,
        list(without),
        since,
        until,
        MOST_WITHIN,
    )


async def by_time(
    transaction: Transaction, *, since: datetime, until: datetime, limit: int, without: Sequence[uuid.UUID] = ()
) -> list[uuid.UUID]:
    """Passages said in this time, the latest first; entries before talk, as a day is told there."""
    rows = await transaction.many(
        _Id,
        """
        select id from viva.memory_passages
         where source_kind <> 'fact' and said_at >= $1 and said_at < $2 and source_id <> all ($4)
         order by (source_kind = 'entry') desc, said_at desc, id limit $3
        """,
        since,
        until,
        limit,
        list(without),
    )
    return [row.id for row in rows]


async def said_within(
    transaction: Transaction, ids: Sequence[uuid.UUID], *, since: datetime, until: datetime
) -> set[uuid.UUID]:
    """Those of the passages that were said in this time."""
    rows = await transaction.many(
        _Id,
        "select id from viva.memory_passages where id = any ($1) and said_at >= $2 and said_at < $3",
        list(ids),
        since,
        until,
    )
    return {row.id for row in rows}


async def by_category(
    transaction: Transaction, category: str, *, limit: int, without: Sequence[uuid.UUID] = ()
) -> list[uuid.UUID]:
    """The latest passages of an area of life, among the latest `MOST_WITHIN` of all."""
    rows = await transaction.many(
        _Id,
        """
        select id from (select id, source_id, categories, said_at from viva.memory_passages
                         order by said_at desc limit $4) latest
         where $1 = any (categories) and source_id <> all ($3)
         order by said_at desc, id limit $2
        """,
        category,
        limit,
        list(without),
        MOST_WITHIN,
    )
    return [row.id for row in rows]


class _Id(BaseModel):
    id: uuid.UUID


async def passages(transaction: Transaction, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Passage]:
    """These passages by id. A fact that no longer holds is not among them."""
    found = await transaction.many(
        Passage,
        f"""
        select {PASSAGE} from viva.memory_passages p
         where id = any ($1)
           and not exists (select from viva.memory_facts f
                            where p.source_kind = 'fact' and f.id = p.source_id and f.valid_to is not null)
        """,
        list(ids),
    )
    return {passage.id: passage for passage in found}


async def counted(transaction: Transaction, sizes: dict[uuid.UUID, int]) -> None:
    """Keep the tokens of these passages, so that they are not counted again."""
    if sizes:
        await transaction.execute(
            """
            update viva.memory_passages p set tokens = sizes.tokens
              from unnest($1::uuid[], $2::int[]) as sizes (id, tokens) where p.id = sizes.id and p.tokens is null
            """,
            list(sizes),
            list(sizes.values()),
        )


# ------------------------------------------------------------------------------------------ meaning


async def has_vectors(transaction: Transaction) -> bool:
    """Whether this database keeps vectors: pgvector was there when it was migrated."""
    return bool(
        await transaction.value("select to_regprocedure('viva.nearest_passages(real[], text, integer)') is not null")
    )


async def by_meaning(
    transaction: Transaction, vector: Sequence[float], *, model: str, limit: int, without: Sequence[uuid.UUID] = ()
) -> list[uuid.UUID]:
    """The passages whose vectors of this model lie nearest."""
    rows = await transaction.many(
        _Id,
        """
        select n.id from viva.nearest_passages($1, $2, $3) n join viva.memory_passages p using (id)
         where p.source_id <> all ($4) order by n.distance, n.id
        """,
        list(vector),
        model,
        limit + len(without),
        list(without),
    )
    return [row.id for row in rows][:limit]


async def vector_of_fact(transaction: Transaction, fact_id: uuid.UUID) -> tuple[list[float], str] | None:
    """The vector of a fact and the model it is of; None where there is none. Asks for `has_vectors` first."""
    found = await transaction.one(
        _Vector,
        """
        select embedding::real[] as vector, embedded_by as model from viva.memory_passages
         where source_kind = 'fact' and source_id = $1 and embedded_by is not null
        """,
        fact_id,
    )
    return (found.vector, found.model) if found is not None else None


class _Vector(BaseModel):
    vector: list[float]
    model: str


async def without_vector(transaction: Transaction, *, model: str, limit: int) -> list[Passage]:
    """The latest passages of which there is no vector of this model."""
    return await transaction.many(
        Passage,
        f"""
        select {PASSAGE} from viva.memory_passages where embedded_by is distinct from $1
         order by said_at desc, id limit $2
        """,
        model,
        limit,
    )


async def keep_vector(
    transaction: Transaction, passage_id: uuid.UUID, vector: Sequence[float], *, model: str, text: str
) -> None:
    """Keep the vector of a passage, if it still says what was embedded."""
    await transaction.execute(
        "select viva.keep_embedding(id, $2, $3) from viva.memory_passages where id = $1 and text = $4",
        passage_id,
        list(vector),
        model,
        text,
    )
