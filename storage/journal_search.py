"""Finding entries by their words."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction

Way = Literal["all", "some", "part"]
"""How the words are looked for: all of them, some of them, or as a part of any word."""

HIT, HIT_END = "\x02", "\x03"
"""What stands around each hit in `Found.words`."""

TEXT = "viva.journal_text(e.title, e.content, e.audio_recordings)"


class Found(BaseModel):
    """An entry that was found: all its words with the hits marked, and how many were found in all."""

    id: uuid.UUID
    date: date
    words: str
    total: int


async def language(transaction: Transaction) -> str:
    """The text search configuration of the person's language."""
    return str(
        await transaction.value("select viva.search_language((select language_code from viva.telegram_accounts))")
    )


async def search(
    transaction: Transaction, words: str, *, language: str, way: Way, limit: int, skip: int = 0
) -> list[Found]:
    """Entries that hold the words, those of the newest day first."""
    if way == "part":
        patterns = [f"%{_literal(word)}%" for word in words.split()]
        return await transaction.many(
            Found,
            f"""
            select id, date, words, count(*) over () as total
              from (select e.id, e.date, e.created_at, {TEXT} as words from journal_entries as e offset 0) as e
             where words ilike all ($1::text[])
             order by date desc, created_at desc, id limit $2 offset $3
            """,
            patterns,
            limit,
            skip,
        )
    return await transaction.many(
        Found,
        f"""
        with asked as (
          select plainto_tsquery($2::text::regconfig, $1) as reduced, plainto_tsquery('simple', $1) as plain
        ), query as (
          select case when $3 then reduced || plain
            else replace((reduced || plain)::text, '&', '|')::tsquery end as query from asked
        ), found as (
          select e.id, e.date, e.created_at, {TEXT} as words, query.query, count(*) over () as total
            from query, viva.journal_words as w join journal_entries as e on e.id = w.entry_id
           where w.words @@ query.query
           order by e.date desc, e.created_at desc, e.id limit $4 offset $5
        )
        select id, date, total, ts_headline($2::text::regconfig, words, query, $6) as words
          from found order by date desc, created_at desc, id
        """,
        words,
        language,
        way == "all",
        limit,
        skip,
        f"HighlightAll=true, StartSel={HIT}, StopSel={HIT_END}",
    )


def _literal(word: str) -> str:
    """The word as a pattern of `ilike` that means nothing but itself."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
