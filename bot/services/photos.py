"""Photos: pictures that people send, kept as they came where Telegram can show them again."""

from __future__ import annotations

import asyncio
import io
from pathlib import PurePosixPath

import av
from PIL import Image, ImageOps, UnidentifiedImageError

from bot.errors import NotUnderstood
from bot.media import key_for
from bot.services.doors import Doors
from bot.services.recordings import tidy
from bot.services.work import Job
from storage.database import Fenced

SHOWN = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp"}
"""Formats that Telegram shows as a photo, with their file endings."""

SHOWN_BYTES = 10 * 1024 * 1024
SHOWN_SIDES = 10_000
SHOWN_STRETCH = 20
"""Limits of a photo for Telegram (sendPhoto): bytes, width and height together, and one against the other."""

LONGEST_SIDE = 4096
"""Pixels of a picture that has to be made anew."""


async def keep(job: Job, doors: Doors, *, folder: str, name: str) -> str:
    """The key in the media store of the picture that the job's payload names ("file").

    Raises NotUnderstood where it is no picture, TooLarge and NotFound.
    """

    made: list[str] = []

    async def store() -> str:
        picture, ending = await asyncio.to_thread(prepared, await doors.sent_files.fetch(job.payload["file"]))
        media_key = key_for(job.user_id, folder, f"{name}.{ending}")
        made.append(media_key)
        await doors.media.put(media_key, picture)
        return media_key

    try:
        media_key: str = await job.step("stored", store)
    except Fenced:
        for stored in made:
            await tidy(job, doors, stored)
        raise
    return media_key


def prepared(data: bytes) -> tuple[bytes, str]:
    """The picture as it is kept, and its file ending: as it came, or as a JPEG where Telegram would not show it.

    A HEIC picture, which nothing here can open, stays as it came. Blocks while it works: call it in a thread. Raises
    NotUnderstood where it is no picture.
    """
    if data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"):
        return data, "heic"
    try:
        with Image.open(io.BytesIO(data)) as picture:
            width, height = picture.size
            fits = width + height <= SHOWN_SIDES and max(width, height) <= SHOWN_STRETCH * min(width, height)
            if picture.format in SHOWN and len(data) <= SHOWN_BYTES and fits:
                picture.verify()
                return data, SHOWN[picture.format]
            layered = ImageOps.exif_transpose(picture).convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise NotUnderstood("This file cannot be read as a picture.") from None
    layered.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    flat = Image.new("RGB", layered.size, "white")
    flat.paste(layered, mask=layered.getchannel("A"))
    written = io.BytesIO()
    flat.save(written, "JPEG", quality=90)
    return written.getvalue(), "jpg"


def is_film(data: bytes) -> bool:
    """Whether it is a video that can be read. Blocks for milliseconds: call it in a thread."""
    try:
        with av.open(io.BytesIO(data), "r") as container:
            return bool(container.streams.video) and next(container.demux(video=0)).size > 0
    except (av.FFmpegError, ValueError, IndexError, StopIteration):
        return False


def is_shown(media_key: str) -> bool:
    """Whether Telegram shows it as a photo; anything else goes as a file."""
    return PurePosixPath(media_key).suffix.removeprefix(".") in SHOWN.values()
