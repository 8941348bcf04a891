"""Bytes turned into the part of a message that shows them: a photo, a voice message, a document."""

from __future__ import annotations

import asyncio
import mimetypes
from pathlib import PurePath

from bot.playground import media
from bot.playground.chats import Chats, Json, StoredFile, bad_request

KIND_NAMES = {
    "photo": "Photo",
    "voice": "VoiceNote",
    "audio": "Audio",
    "video": "Video",
    "video_note": "VideoNote",
    "sticker": "Sticker",
    "document": "Document",
}


async def keep(
    chats: Chats, kind: str, data: bytes, *, name: str = "", mime: str = "", details: Json | None = None
) -> Json:
    """The message content showing these bytes as `kind`; raises Refused for what Telegram would refuse.

    `details` are the sender's own words about the file (title, performer, duration); they win over ours.
    """
    if not data:
        raise bad_request("file must be non-empty")
    if kind == "photo":
        return await _keep_photo(chats, data)
    if kind == "voice" and not await asyncio.to_thread(media.is_voice, data):
        kind = "document"
    name = PurePath(name.replace("\\", "/")).name or "file"
    guessed = mimetypes.guess_type(name)[0] or "application/octet-stream"
    mime = mime if mime and mime != "application/octet-stream" else guessed
    shown: Json = {"file_name": name, "mime_type": mime}
    if kind == "voice":
        mime = "audio/ogg" if data.startswith(b"OggS") else mime
        shown = {"duration": await asyncio.to_thread(media.duration, data), "mime_type": mime}
    elif kind == "audio":
        shown["duration"] = await asyncio.to_thread(media.duration, data)
    elif kind in ("video", "video_note"):
        film = await asyncio.to_thread(media.film, data)
        if kind == "video_note":
            shown = {"length": film.width or 240, "duration": film.seconds}
        else:
            shown |= {"width": film.width, "height": film.height, "duration": film.seconds}
    elif kind == "sticker":
        shown = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        mime = "image/webp"
    shown |= {key: value for key, value in (details or {}).items() if value is not None}
    return {kind: _keep_one(chats, kind, data, name=name, mime=mime, shown=shown).media}


async def keep_recording(chats: Chats, data: bytes) -> Json:
    """The message content of a voice message recorded by a person, in any container a browser writes."""
    try:
        sound = await asyncio.to_thread(media.voice, data)
    except media.Unreadable as error:
        raise bad_request(str(error)) from None
    shown = {"duration": sound.seconds, "mime_type": sound.mime}
    return {"voice": _keep_one(chats, "voice", sound.data, name="", mime=sound.mime, shown=shown).media}


def again(stored: StoredFile, kind: str) -> Json:
    """The message content of a file sent once more by its id; raises Refused for another kind of media."""
    if stored.kind != kind:
        raise bad_request(f"can't use file of type {KIND_NAMES[stored.kind]} as {KIND_NAMES[kind]}")
    return {kind: stored.media}


async def _keep_photo(chats: Chats, data: bytes) -> Json:
    try:
        pictures = await asyncio.to_thread(media.photo_sizes, data)
    except media.Unreadable as error:
        raise bad_request(str(error)) from None
    sizes = [
        {
            "file_id": chats.new_file_id(),
            "file_unique_id": chats.unique_id(picture.data),
            "width": picture.width,
            "height": picture.height,
            "file_size": len(picture.data),
        }
        for picture in pictures
    ]
    for size, picture in zip(sizes, pictures, strict=True):
        file_id = str(size["file_id"])
        chats.store(picture.data, file_id=file_id, kind="photo", extension=".jpg", mime="image/jpeg", media=sizes)
    return {"photo": sizes}


def _keep_one(chats: Chats, kind: str, data: bytes, *, name: str, mime: str, shown: Json) -> StoredFile:
    file_id = chats.new_file_id()
    described = {"file_id": file_id, "file_unique_id": chats.unique_id(data), "file_size": len(data), **shown}
    suffix = PurePath(name).suffix.lower()
    safe = suffix if suffix[1:].isalnum() and suffix.isascii() and len(suffix) <= 10 else ""
    extension = ".oga" if kind == "voice" and mime == "audio/ogg" else safe
    return chats.store(data, file_id=file_id, kind=kind, extension=extension, mime=mime, media=described)
