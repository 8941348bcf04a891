"""Journal entries: words, pictures and recordings of a day."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

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
    """A journal entry."""

    id: uuid.UUID
    date: date
    title: str | None
    content: str
    image_urls: list[str]
    audio_recordings: list[Recording]
    created_at: datetime


COLUMNS = "id, date, title, content, image_urls, audio_recordings, created_at"


async def add(transaction: Transaction, *, content: str) -> Entry:
    """A new entry of today, the person's own day where their time zone is known."""
    entry = await transaction.one(
        Entry,
        f"""
        insert into journal_entries (content, date)
        select $1, (now() at time zone coalesce((select time_zone from viva.telegram_accounts), 'UTC'))::date
        returning {COLUMNS}
        """,
        content,
    )
    assert entry is not None
    return entry


async def entry(transaction: Transaction, entry_id: uuid.UUID) -> Entry | None:
    """The entry, if it is the person's."""
    return await transaction.one(Entry, f"select {COLUMNS} from journal_entries where id = $1", entry_id)


async def latest(transaction: Transaction, *, limit: int, skip: int = 0) -> list[Entry]:
    """Entries, newest first."""
    return await transaction.many(
        Entry,
        f"select {COLUMNS} from journal_entries order by created_at desc, id limit $1 offset $2",
        limit,
        skip,
    )


async def is_first(transaction: Transaction) -> bool:
    """Whether the person has just one entry."""
    return bool(await transaction.value("select count(*) = 1 from (select from journal_entries limit 2) as few"))


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
    """Put a recording to the entry, or renew the one with the same url: its transcript may have come."""
    recordings = await transaction.value(
        "select audio_recordings from journal_entries where id = $1 for update", entry_id
    )
    if recordings is None:
        return
    kept: list[dict[str, Any]] = [item for item in recordings if item["url"] != recording.url]
    kept.append(TypeAdapter(Recording).dump_python(recording, mode="json"))
    await transaction.execute("update journal_entries set audio_recordings = $2::jsonb where id = $1", entry_id, kept)


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
