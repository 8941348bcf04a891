"""Recordings: stored before anything else is done with them, measured, and written down by a model."""

from __future__ import annotations

import asyncio
import io
import itertools
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime

import av

from bot.ai.meter import Ticket
from bot.ai.sound import Transcript
from bot.errors import ModelError, NotUnderstood, OutOfTokens
from bot.media import key_for
from bot.services.doors import Doors
from bot.services.work import Job
from storage import meter
from storage.database import Fenced
from storage.journal import Recording

MOST_SECONDS = 10 * 60.0
"""Seconds that are written down in one call. OpenAI takes 25 MB, its newer models 25 minutes, and a server of
one's own may be slow; and a short piece is soon tried again."""

SEARCHED_SECONDS = 2 * 60.0
"""A cut is made where it is quietest within so many seconds before the limit."""

PIECE_RATE = 16_000
PIECE_BITS = 32_000
STILLNESS = 0.25
"""Seconds whose loudness is taken together when the quietest place is looked for."""

GAP = "[...]"
"""What stands in a transcript for a piece that could not be written down."""


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
    """The words of a stored recording, written down and charged once. Raises what `Model.transcribe` raises.

    A long one is written down in pieces, each charged by itself. A piece that could not be heard leaves a gap, so that
    those that were heard, and paid, are not lost; the first one that cannot be heard raises.
    """
    media_key = doors.media.key_of(recording.url, owner=job.user_id)
    if seconds <= MOST_SECONDS:

        async def whole(ticket: Ticket) -> Transcript:
            sound = await doors.media.get(media_key)
            name = f"recording.{media_key.rpartition('.')[2]}"
            return await doors.model.transcribe(ticket, sound=sound, file_name=name, seconds=seconds)

        await job.show_action("typing")
        return await job.call("transcript", Transcript, whole)

    if not job.done("cuts"):
        # Half a transcript would be paid for and be of little use.
        needed = doors.model.transcription_tokens(seconds)
        async with job.transaction() as db:
            purse = await meter.wallet(db)
        free = purse.balance - purse.held if purse is not None else 0
        if free < needed:
            raise OutOfTokens("This recording is longer than the balance.", missing=needed - free, available=free)

    async def find_cuts() -> list[float]:
        return await asyncio.to_thread(cuts, await doors.media.get(media_key), seconds=seconds)

    ends = [*await job.step("cuts", find_cuts), seconds]
    heard: list[Transcript] = []
    words: list[str] = []
    for number, (start, end) in enumerate(itertools.pairwise([0.0, *ends])):

        async def part(ticket: Ticket, start: float = start, end: float = end) -> Transcript:
            sound = await asyncio.to_thread(piece, await doors.media.get(media_key), start=start, end=end)
            return await doors.model.transcribe(ticket, sound=sound, file_name="piece.ogg", seconds=end - start)

        await job.show_action("typing")
        try:
            heard.append(await job.call(f"transcript {number + 1}", Transcript, part))
            words.append(heard[-1].text)
        except ModelError as error:
            if not heard or job.waits_for(error):
                raise
            words.append(GAP)
    return Transcript(text=" ".join(filter(None, words)), model=heard[0].model, seconds=seconds)


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


def cuts(sound: bytes, *, seconds: float) -> list[float]:
    """Where a recording is cut, in seconds, so that no piece is longer than a call takes: where it is quietest.

    Blocks for seconds: call it in a thread. Raises NotUnderstood.
    """
    level: list[float] = []
    for samples in _samples(sound, start=0.0, end=seconds):
        level.append(sum(abs(sample) for sample in samples[::4]) / max(1, len(samples[::4])))
    found: list[float] = []
    last = 0.0
    while seconds - last > MOST_SECONDS:
        first = int((last + MOST_SECONDS - min(SEARCHED_SECONDS, MOST_SECONDS / 2)) / STILLNESS)
        window = level[first : int((last + MOST_SECONDS) / STILLNESS)]
        # Of places about as quiet the last, so that there are no more pieces than it takes.
        still = [place for place, loudness in enumerate(window) if loudness <= min(window) * 1.1 + 20]
        last = (first + still[-1] + 0.5) * STILLNESS if still else last + MOST_SECONDS
        found.append(round(last, 3))
    return found


def piece(sound: bytes, *, start: float, end: float) -> bytes:
    """A piece of a recording as OGG/Opus. Blocks for seconds: call it in a thread. Raises NotUnderstood."""
    written = io.BytesIO()
    with av.open(written, "w", format="ogg") as target:
        stream = target.add_stream("libopus", rate=PIECE_RATE, layout="mono")
        stream.bit_rate = PIECE_BITS
        for samples in _samples(sound, start=start, end=end):
            frame = av.AudioFrame(format="s16", layout="mono", samples=len(samples))
            frame.sample_rate = PIECE_RATE
            frame.planes[0].update(samples.tobytes())
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return written.getvalue()


def _samples(sound: bytes, *, start: float, end: float) -> Iterator[array[int]]:
    """The sound between two moments, mono, a bit of `STILLNESS` seconds at a time."""
    size = int(STILLNESS * PIECE_RATE)
    kept: array[int] = array("h")
    try:
        with av.open(io.BytesIO(sound), "r") as container:
            resampler = av.AudioResampler(format="s16", layout="mono", rate=PIECE_RATE)
            if start > 1:
                container.seek(int((start - 1) * av.time_base))
            for frame in container.decode(audio=0):
                if frame.time is not None and frame.time + frame.samples / frame.sample_rate <= start:
                    continue
                if frame.time is not None and frame.time >= end:
                    break
                frame.pts = None
                for even in resampler.resample(frame):
                    kept.frombytes(bytes(even.planes[0])[: even.samples * 2])
                while len(kept) >= size:
                    yield kept[:size]
                    del kept[:size]
    except (av.FFmpegError, ValueError, IndexError):
        raise NotUnderstood("This file cannot be read as a recording.") from None
    if kept:
        yield kept


def length(seconds: float) -> str:
    """A length as people read it: 0:07, 12:30."""
    whole = max(1, round(seconds))
    return f"{whole // 60}:{whole % 60:02d}"
