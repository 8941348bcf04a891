"""What VIVA does with what people keep: measuring recordings, and putting entries into words."""

from __future__ import annotations

import io

import av

from bot.errors import NotUnderstood


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


def headline(content: str, *, limit: int = 28) -> str:
    """The beginning of an entry's words, for a button."""
    words = " ".join(content.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
