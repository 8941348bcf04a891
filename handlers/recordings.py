"""Recordings as they arrive: voice notes, audio files, video notes and videos."""

from __future__ import annotations

from aiogram import F
from aiogram.types import Audio, Message, Video, VideoNote, Voice

DOWNLOAD_LIMIT = 20 * 1024 * 1024
"""Bytes a bot may download (Telegram limit on getFile)."""

ANY = F.voice | F.audio | F.video_note | F.video
"""The filter that lets any recording through."""


def of(message: Message) -> Voice | Audio | VideoNote | Video:
    """The recording in a message that has one."""
    media = message.voice or message.audio or message.video_note or message.video
    assert media is not None
    return media


def too_large(message: Message) -> bool:
    """Whether Telegram will not let VIVA have the recording."""
    return (of(message).file_size or 0) > DOWNLOAD_LIMIT


def kind(message: Message) -> str:
    """The seed's `type` of the recording: "audio" or "video"."""
    return "video" if message.video_note is not None or message.video is not None else "audio"


def ending(message: Message) -> str:
    """The file name's ending by which a transcription service knows the container."""
    if message.voice is not None:
        return "ogg"
    if message.audio is not None:
        endings = {"audio/mp4": "m4a", "audio/x-m4a": "m4a", "audio/ogg": "ogg", "audio/wav": "wav"}
        return endings.get(message.audio.mime_type or "", "mp3")
    return "mp4"
