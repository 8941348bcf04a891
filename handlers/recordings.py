"""Recordings as they arrive: voice notes, audio files, video notes and videos, also those sent as files."""

from __future__ import annotations

from pathlib import PurePath

from aiogram import F
from aiogram.types import Audio, Document, Message, Video, VideoNote, Voice

DOWNLOAD_LIMIT = 20 * 1024 * 1024
"""Bytes a bot may download (Telegram limit on getFile)."""

SOUND_FILE = F.document.mime_type.regexp(r"^(audio|video)/") & ~F.animation

ANY = F.voice | F.audio | F.video_note | F.video | SOUND_FILE
"""The filter that lets any recording through."""


ENDINGS = {
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/m4a": "m4a",
    "audio/aac": "m4a",
    "audio/ogg": "ogg",
    "audio/opus": "ogg",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/flac": "flac",
    "audio/x-flac": "flac",
    "audio/webm": "webm",
    "video/webm": "webm",
}


def of(message: Message) -> Voice | Audio | VideoNote | Video | Document:
    """The recording in a message that has one."""
    media = message.voice or message.audio or message.video_note or message.video or message.document
    assert media is not None
    return media


def too_large(message: Message) -> bool:
    """Whether Telegram will not let VIVA have the recording."""
    return (of(message).file_size or 0) > DOWNLOAD_LIMIT


def kind(message: Message) -> str:
    """The seed's `type` of the recording: "audio" or "video"."""
    film = message.video_note is not None or message.video is not None
    return "video" if film or _mime(message).startswith("video/") else "audio"


def ending(message: Message) -> str:
    """The file name's ending by which a transcription service knows the container."""
    if message.voice is not None:
        return "ogg"
    named = PurePath((message.document and message.document.file_name) or "").suffix.lower().removeprefix(".")
    if named in ENDINGS.values() or named in ("mp3", "mp4"):
        return named
    return ENDINGS.get(_mime(message), "mp4" if kind(message) == "video" else "mp3")


def _mime(message: Message) -> str:
    media = message.audio or message.video or message.document
    return (media.mime_type if media is not None else None) or ""
