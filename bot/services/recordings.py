"""Recordings: stored before anything else is done with them, measured, and written down by a model."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime

import av

from bot.ai.meter import Ticket
from bot.ai.sound import Transcript
from bot.errors import NotUnderstood
from bot.media import key_for
from bot.services.doors import Doors
from bot.services.work import Job
from storage.database import Fenced
from storage.journal import Recording


async def keep(
    job: Job, doors: Doors, *, folder: str, name: str, category: str, kept: Recording | None
) -> tuple[Recording, float]:
    """The recording that the job's payload names ("file", "ending", "type"), now in the media store, and its seconds.

    `kept` is one that is stored already and only measured again. Raises NotUnderstood where there is no sound in it,
    TooLarge and NotFound.
    """
    if kept is None:
        media_key = key_for(job.user_id, folder, f"{name}.{job.payload['ending']}")
    else:
        media_key = doors.media.key_of(kept.url, owner=job.user_id)

    async def store() -> float:
        sound = await doors.sent_files.fetch(job.payload["file"])
        seconds = await asyncio.to_thread(measure, sound)
        await doors.media.put(media_key, sound)
        return seconds

    async def measure_again() -> float:
        return await asyncio.to_thread(measure, await doors.media.get(media_key))

    try:
        seconds: float = await job.step("stored", store if "file" in job.payload else measure_again)
    except Fenced:
        await tidy(job, doors, media_key)
        raise
    recording = kept or Recording(
        url=doors.media.url_of(media_key),
        transcript="",
        type=job.payload["type"],
        category=category,
        duration=max(1, round(seconds)),
        created_at=datetime.now(UTC),
    )
    return recording, seconds


async def hear(job: Job, doors: Doors, recording: Recording, *, seconds: float) -> Transcript:
    """The words of a stored recording, written down and charged once. Raises what `Model.transcribe` raises."""
    await job.show_action("typing")
    media_key = doors.media.key_of(recording.url, owner=job.user_id)

    async def listen(ticket: Ticket) -> Transcript:
        sound = await doors.media.get(media_key)
        name = f"recording.{media_key.rpartition('.')[2]}"
        return await doors.model.transcribe(ticket, sound=sound, file_name=name, seconds=seconds)

    return await job.call("transcript", Transcript, listen)


async def tidy(job: Job, doors: Doors, media_key: str) -> None:
    """Remove what was just stored for somebody who erased everything meanwhile."""
    if not await job.still_wanted():
        await doors.media.delete(media_key)


def measure(sound: bytes) -> float:
    """The length in seconds of a recording in any container, by its own packets, not by what was claimed.

    Blocks for milliseconds: call it in a thread. Raises NotUnderstood when there is no sound in it.
    """
    try:
        with av.open(io.BytesIO(sound), "r") as container:
            if not container.streams.audio:
                raise NotUnderstood("There is no sound in this file.")
            stream = container.streams.audio[0]
            end = 0.0
            for packet in container.demux(stream):
                if packet.pts is not None and packet.time_base is not None:
                    end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    except (av.FFmpegError, ValueError, IndexError):
        raise NotUnderstood("This file cannot be read as a recording.") from None
    if end <= 0:
        raise NotUnderstood("This recording is empty.")
    return end


def length(seconds: float) -> str:
    """A length as people read it: 0:07, 12:30."""
    whole = max(1, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
