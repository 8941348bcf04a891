"""What Telegram does to pictures and sound on the way: sizes, bare JPEG, OGG/Opus voice, durations."""

from __future__ import annotations

import io
from dataclasses import dataclass

import av
import av.error
from av.container import InputContainer
from PIL import Image, ImageOps, UnidentifiedImageError

SIZES = (90, 320, 800, 1280)
LARGEST_PHOTO = 10 * 1024 * 1024
WIDEST_PHOTO = 10_000
MOST_STRETCHED_PHOTO = 20
VOICE_BITS = 32_000
VOICE_RATE = 48_000


class Unreadable(Exception):
    """The bytes are not what they were sent as; the message is the end of Telegram's refusal."""


@dataclass(frozen=True)
class Picture:
    """A JPEG of `width` x `height` pixels."""

    width: int
    height: int
    data: bytes


@dataclass(frozen=True)
class Sound:
    """A recording of `seconds`, rounded, at least 1 when there is any sound."""

    seconds: int
    data: bytes
    mime: str


@dataclass(frozen=True)
class Film:
    """What is known of a video: its size in pixels and its length in seconds."""

    width: int
    height: int
    seconds: int


def photo_sizes(data: bytes) -> list[Picture]:
    """The photo as bare JPEGs, smallest first, none larger than 1280; raises Unreadable."""
    if len(data) > LARGEST_PHOTO:
        raise Unreadable(
            f"file of size {len(data)} bytes is too big for a photo; the maximum size is {LARGEST_PHOTO} bytes"
        )
    try:
        with Image.open(io.BytesIO(data)) as opened:
            width, height = opened.size
            if width + height > WIDEST_PHOTO or max(width, height) > MOST_STRETCHED_PHOTO * min(width, height):
                raise Unreadable("PHOTO_INVALID_DIMENSIONS")
            upright = ImageOps.exif_transpose(opened)
            layered = upright.convert("RGBA")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise Unreadable("IMAGE_PROCESS_FAILED") from None
    # A new picture carries no EXIF, no comments and no colour profile of the old one.
    bare = Image.new("RGB", layered.size, "white")
    bare.paste(layered, mask=layered.getchannel("A"))
    longest = max(bare.size)
    bounds = [bound for bound in SIZES if bound < longest] + ([longest] if longest <= SIZES[-1] else [])
    return [_scaled(bare, bound / longest) for bound in bounds]


def _scaled(picture: Image.Image, scale: float) -> Picture:
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    scaled = picture if size == picture.size else picture.resize(size, Image.Resampling.LANCZOS)
    written = io.BytesIO()
    scaled.save(written, "JPEG", quality=87, optimize=True)
    return Picture(width=size[0], height=size[1], data=written.getvalue())


def voice(data: bytes) -> Sound:
    """The recording as OGG/Opus mono, copied when it is Opus already; raises Unreadable."""
    try:
        with _reading(data) as source:
            if not source.streams.audio:
                raise Unreadable("VOICE_MESSAGE_INVALID")
            codec = source.streams.audio[0].codec_context
            as_it_is = codec.name == "opus" and codec.channels == 1
        written = _copied(data) if as_it_is else _encoded(data)
        seconds = duration(written)
    except (av.error.FFmpegError, ValueError):
        raise Unreadable("VOICE_MESSAGE_INVALID") from None
    return Sound(seconds=seconds, data=written, mime="audio/ogg")


def _reading(data: bytes) -> InputContainer:
    return av.open(io.BytesIO(data), "r")


def _copied(data: bytes) -> bytes:
    written = io.BytesIO()
    with _reading(data) as source, av.open(written, "w", format="ogg") as target:
        recorded = source.streams.audio[0]
        stream = target.add_stream_from_template(recorded)
        for packet in source.demux(recorded):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return written.getvalue()


def _encoded(data: bytes) -> bytes:
    written = io.BytesIO()
    with _reading(data) as source, av.open(written, "w", format="ogg") as target:
        stream = target.add_stream("libopus", rate=VOICE_RATE, layout="mono")
        stream.bit_rate = VOICE_BITS
        resampler = av.AudioResampler(format="s16", layout="mono", rate=VOICE_RATE)
        for frame in source.decode(audio=0):
            # Browsers leave gaps in the timestamps; the encoder counts its own.
            frame.pts = None
            for even in resampler.resample(frame):
                target.mux(stream.encode(even))
        for even in resampler.resample(None):
            target.mux(stream.encode(even))
        target.mux(stream.encode(None))
    return written.getvalue()


def is_voice(data: bytes) -> bool:
    """Whether Telegram shows the file as a voice message: OGG/Opus, MP3 or M4A."""
    try:
        with _reading(data) as source:
            if not source.streams.audio or source.streams.video:
                return False
            codec = source.streams.audio[0].codec_context.name
            container = source.format.name
    except (av.error.FFmpegError, ValueError):
        return False
    return (container, codec) == ("ogg", "opus") or container == "mp3" or ("m4a" in container and codec == "aac")


def duration(data: bytes) -> int:
    """How many seconds the recording lasts, 0 when the bytes cannot be read."""
    try:
        with _reading(data) as source:
            if source.duration is not None:
                return max(1, round(source.duration / av.time_base))
            ends = [
                float((packet.pts + (packet.duration or 0)) * packet.time_base)
                for packet in source.demux()
                if packet.pts is not None and packet.time_base is not None
            ]
    except (av.error.FFmpegError, ValueError):
        return 0
    return max(1, round(max(ends))) if ends else 0


def film(data: bytes) -> Film:
    """The size and length of a video; zeros when the bytes cannot be read."""
    try:
        with _reading(data) as source:
            if not source.streams.video:
                return Film(width=0, height=0, seconds=0)
            codec = source.streams.video[0].codec_context
            width, height = codec.width, codec.height
    except (av.error.FFmpegError, ValueError):
        return Film(width=0, height=0, seconds=0)
    return Film(width=width, height=height, seconds=duration(data))
