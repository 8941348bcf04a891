"""Narration: the tracks of a vision (`audio_tracks`), and the voice that a person chose."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction

Status = Literal["pending", "processing", "completed", "failed"]


class Track(BaseModel):
    """A text read aloud in a voice, or to be read; `audio_url` is empty and `seconds` None until it is stored."""

    id: uuid.UUID
    vision_id: uuid.UUID
    section_key: str
    content_hash: str
    text_content: str
    voice_id: str
    audio_url: str
    seconds: int | None
    status: Status


_TRACK = """
    id, vision_id, section_key, content_hash, text_content, voice_id, audio_url, duration_seconds as seconds, status"""


async def voice(transaction: Transaction, provider: str) -> str | None:
    """The voice of this provider that the person chose."""
    return await transaction.value(  # type: ignore[no-any-return]
        "select voice_id from viva.narrators where provider = $1", provider
    )


async def choose_voice(transaction: Transaction, *, provider: str, voice_id: str) -> None:
    """Take this voice of this provider from now on."""
    await transaction.execute(
        """
        insert into viva.narrators (provider, voice_id) values ($1, $2)
        on conflict (user_id, provider) do update set voice_id = excluded.voice_id
        """,
        provider,
        voice_id,
    )


async def ready(transaction: Transaction, *, hashes: Sequence[str], voice_id: str) -> list[Track]:
    """The tracks that are there, of whatever version of the vision, for texts with these hashes in this voice."""
    return await transaction.many(
        Track,
        f"""
        select distinct on (section_key, content_hash) {_TRACK}
          from audio_tracks
         where status = 'completed' and voice_id = $2 and content_hash = any ($1)
         order by section_key, content_hash, created_at
        """,
        list(hashes),
        voice_id,
    )


async def want(
    transaction: Transaction, *, vision_id: uuid.UUID, section_key: str, content_hash: str, text: str, voice_id: str
) -> Track:
    """The track of this text in this voice for this vision: as it is where it is there, else one that is pending.

    One that another version of the vision has is taken over with its file.
    """
    await transaction.execute(
        """
        insert into audio_tracks
          (vision_id, section_key, content_hash, text_content, voice_id, s3_bucket, s3_key, audio_url,
           duration_seconds, status)
        select $1, $2, $3, $4, $5, coalesce(done.s3_bucket, ''), coalesce(done.s3_key, ''),
               coalesce(done.audio_url, ''), done.duration_seconds, coalesce(done.status, 'pending')
          from (values (1)) as one (row)
          left join lateral (
            select s3_bucket, s3_key, audio_url, duration_seconds, status
              from audio_tracks
             where status = 'completed' and section_key = $2 and content_hash = $3 and voice_id = $5
             order by created_at limit 1
          ) done on true
        on conflict (vision_id, section_key, content_hash, voice_id) do update
          set status = excluded.status, s3_bucket = excluded.s3_bucket, s3_key = excluded.s3_key,
              audio_url = excluded.audio_url, duration_seconds = excluded.duration_seconds, error_message = null
          where audio_tracks.status = 'failed'
        """,
        vision_id,
        section_key,
        content_hash,
        text,
        voice_id,
    )
    found = await transaction.one(
        Track,
        f"""
        select {_TRACK} from audio_tracks
         where vision_id = $1 and section_key = $2 and content_hash = $3 and voice_id = $4
        """,
        vision_id,
        section_key,
        content_hash,
        voice_id,
    )
    assert found is not None
    return found


async def track(transaction: Transaction, track_id: uuid.UUID) -> Track | None:
    """The track, if it is the person's."""
    return await transaction.one(Track, f"select {_TRACK} from audio_tracks where id = $1", track_id)


async def begin(transaction: Transaction, track_id: uuid.UUID) -> None:
    """The track is being made."""
    await transaction.execute(
        "update audio_tracks set status = 'processing', error_message = null where id = $1 and status <> 'completed'",
        track_id,
    )


async def complete(
    transaction: Transaction, track_id: uuid.UUID, *, bucket: str, key: str, url: str, seconds: int
) -> None:
    """The track is there; its vision's `last_audio_generated_at` is now."""
    await transaction.execute(
        """
        update audio_tracks
           set status = 'completed', s3_bucket = $2, s3_key = $3, audio_url = $4, duration_seconds = $5,
               error_message = null
         where id = $1
        """,
        track_id,
        bucket,
        key,
        url,
        seconds,
    )
    await transaction.execute(
        """
        update vision_versions set last_audio_generated_at = now()
         where id = (select vision_id from audio_tracks where id = $1)
        """,
        track_id,
    )


async def fail(transaction: Transaction, track_ids: Sequence[uuid.UUID], *, message: str) -> None:
    """These tracks could not be made, those that are there excepted; they can be asked for again."""
    await transaction.execute(
        """
        update audio_tracks set status = 'failed', error_message = $2
         where id = any ($1) and status in ('pending', 'processing')
        """,
        list(track_ids),
        message,
    )


async def end_forgotten(transaction: Transaction, *, limit: int) -> int:
    """Mark as failed up to `limit` tracks that wait for work that is no more; how many. For the service."""
    return await transaction.execute(
        """
        update audio_tracks set status = 'failed', error_message = 'interrupted'
         where id in (
           select t.id from audio_tracks t
            where t.status in ('pending', 'processing') and t.updated_at < now() - interval '1 hour'
              and not exists (
                select from viva.work w join viva.telegram_accounts a on a.telegram_id = w.telegram_id
                 where a.user_id = t.user_id and w.state = 'waiting' and w.name like 'narration.%')
            limit $1)
        """,
        limit,
    )
