"""Journal entries: words, pictures and recordings of a day."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter, field_validator

from prompts.categories import named
from storage.database import Transaction


class Recording(BaseModel):
    """A recording of an entry, in the seed's shape; `duration` in whole seconds."""

    url: str
    transcript: str
    type: Literal["audio", "video"]
    category: str = "journal"
    duration: int
    created_at: datetime


class Entry(BaseModel):
    """A journal entry; `categories` are keys of `prompts.categories`."""

    id: uuid.UUID
    date: date
    title: str | None
    content: str
    categories: list[str]
    image_urls: list[str]
    audio_recordings: list[Recording]
    created_at: datetime

    @field_validator("categories")
    @classmethod
    def _keys(cls, names: list[str]) -> list[str]:
        return named(names)

    @property
    def words(self) -> str:
        """What the person wrote and said in it."""
        return "\n\n".join(part for part in (self.content, *(r.transcript for r in self.audio_recordings)) if part)


class Album(BaseModel):
    """Which entry an album became, and the key of the message that says what was kept of it."""

    entry_id: uuid.UUID
    shown_as: str


COLUMNS = """id, date, title, content, coalesce(categories, '{}') as categories,
             coalesce(image_urls, '{}') as image_urls, audio_recordings, created_at"""


async def add(transaction: Transaction, *, content: str, day: date | None = None) -> Entry:
    """A new entry of that day, else of today: the person's own day where their time zone is known."""
    entry = await transaction.one(
        Entry,
        f"""
        insert into journal_entries (content, date)
        select $1, coalesce(
          $2::date, (now() at time zone coalesce((select time_zone from viva.telegram_accounts), 'UTC'))::date)
        returning {COLUMNS}
        """,
        content,
        day,
    )
    assert entry is not None
    return entry


async def entry(transaction: Transaction, entry_id: uuid.UUID) -> Entry | None:
    """The entry, if it is the person's."""
    return await transaction.one(Entry, f"select {COLUMNS} from journal_entries where id = $1", entry_id)


async def entry_alone(transaction: Transaction, entry_id: uuid.UUID) -> Entry | None:
    """The entry, if it is the person's; until the commit nothing is begun that would go into it."""
    return await transaction.one(Entry, f"select {COLUMNS} from journal_entries where id = $1 for update", entry_id)


async def latest(transaction: Transaction, *, limit: int, skip: int = 0) -> list[Entry]:
    """Entries, those of the newest day first."""
    return await transaction.many(
        Entry,
        f"select {COLUMNS} from journal_entries order by date desc, created_at desc, id limit $1 offset $2",
        limit,
        skip,
    )


async def between(transaction: Transaction, first: date, last: date) -> list[Entry]:
    """Entries of the days from `first` to `last`, oldest first."""
    return await transaction.many(
        Entry,
        f"select {COLUMNS} from journal_entries where date between $1 and $2 order by date, created_at, id",
        first,
        last,
    )


async def to_look_back_on(transaction: Transaction, monday: date) -> list[Entry]:
    """What was put in from the Sunday evening before this Monday to the Sunday evening after, oldest first.

    A look back comes at six in the evening of Sunday, by the person's clock: what is put in later is in the next one.
    """
    return await transaction.many(
        Entry,
        f"""
        with home as (select coalesce((select time_zone from viva.telegram_accounts), 'UTC') as zone)
        select {COLUMNS} from journal_entries, home
         where created_at >= ($1::date - 1 + time '18:00') at time zone zone
           and created_at < ($1::date + 6 + time '18:00') at time zone zone
         order by date, created_at, id
        """,
        monday,
    )


async def days_with_entries(transaction: Transaction, first: date, last: date) -> set[date]:
    """The days from `first` to `last` that have an entry."""
    days = await transaction.value(
        "select coalesce(array_agg(distinct date), '{}') from journal_entries where date between $1 and $2", first, last
    )
    return set(days)


async def is_first(transaction: Transaction) -> bool:
    """Whether the person has just one entry."""
    return bool(await transaction.value("select count(*) = 1 from (select from journal_entries limit 2) as few"))


async def add_words(transaction: Transaction, entry_id: uuid.UUID, words: str) -> None:
    """Put more words under those of the entry."""
    await transaction.execute(
        "update journal_entries set content = concat_ws(E'\\n\\n', nullif(content, ''), $2::text) where id = $1",
        entry_id,
        words,
    )


async def put_words(transaction: Transaction, entry_id: uuid.UUID, words: str) -> None:
    """Put these words in the place of the entry's."""
    await transaction.execute("update journal_entries set content = $2 where id = $1", entry_id, words)


async def call(transaction: Transaction, entry_id: uuid.UUID, title: str | None) -> None:
    """Give the entry this title, or none."""
    await transaction.execute("update journal_entries set title = $2 where id = $1", entry_id, title)


async def file_under(transaction: Transaction, entry_id: uuid.UUID, categories: Sequence[str]) -> None:
    """Put the entry under these categories and no others."""
    await transaction.execute(
        "update journal_entries set categories = $2::text[] where id = $1", entry_id, list(categories)
    )


async def move_to(transaction: Transaction, entry_id: uuid.UUID, day: date) -> None:
    """Make the entry one of that day."""
    await transaction.execute("update journal_entries set date = $2 where id = $1", entry_id, day)


async def add_image(transaction: Transaction, entry_id: uuid.UUID, url: str) -> None:
    """Put a picture to the entry, once."""
    await transaction.execute(
        """
        update journal_entries set image_urls = image_urls || $2::text
         where id = $1 and not coalesce($2 = any (image_urls), false)
        """,
        entry_id,
        url,
    )


async def keep_recording(transaction: Transaction, entry_id: uuid.UUID, recording: Recording) -> None:
    """Put a recording to the entry, or renew the one with the same url in its place: its transcript may have come."""
    recordings = await transaction.value(
        "select audio_recordings from journal_entries where id = $1 for update", entry_id
    )
    if recordings is None:
        return
    new = TypeAdapter(Recording).dump_python(recording, mode="json")
    kept: list[dict[str, Any]] = [new if item["url"] == recording.url else item for item in recordings]
    if new not in kept:
        kept.append(new)
    await transaction.execute("update journal_entries set audio_recordings = $2::jsonb where id = $1", entry_id, kept)


async def album(transaction: Transaction, media_group_id: str) -> Album | None:
    """What an album became whose first member has come already; its entry stays until the commit."""
    return await transaction.one(
        Album,
        """
        select entry_id, shown_as from viva.journal_albums a join journal_entries e on e.id = a.entry_id
         where media_group_id = $1 for key share of e
        """,
        media_group_id,
    )


async def open_album(transaction: Transaction, media_group_id: str, *, entry_id: uuid.UUID, shown_as: str) -> None:
    """Let the album's other members go into this entry too."""
    await transaction.execute(
        "insert into viva.journal_albums (media_group_id, entry_id, shown_as) values ($1, $2, $3)",
        media_group_id,
        entry_id,
        shown_as,
    )


async def date_again(transaction: Transaction) -> None:
    """Give entries that were dated by UTC, while the time zone was unknown, the person's own day."""
    await transaction.execute(
        """
        update journal_entries as e set date = (e.created_at at time zone a.time_zone)::date
          from viva.telegram_accounts as a
         where e.date = (e.created_at at time zone 'UTC')::date
           and e.date <> (e.created_at at time zone a.time_zone)::date
        """
    )


async def delete(transaction: Transaction, entry_id: uuid.UUID) -> None:
    """Remove an entry of the person's."""
    await transaction.execute("delete from journal_entries where id = $1", entry_id)
