"""Sound and pictures of the stand-in model: real files that any player opens, made of tones and soft shapes."""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
import sys
from array import array
from functools import lru_cache
from typing import cast
from zlib import crc32

import av
import av.error
from av.audio.stream import AudioStream
from PIL import Image, ImageDraw, ImageFilter

RATE = 24_000  # samples a second, as OpenAI's pcm has
SOUND_TYPES = {
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "aac": "audio/aac",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "pcm": "audio/pcm",
}
CONTAINERS = {
    "mp3": ("mp3", "libmp3lame"),
    "opus": ("ogg", "libopus"),
    "aac": ("adts", "aac"),
    "flac": ("flac", "flac"),
    "wav": ("wav", "pcm_s16le"),
}
SCALE = (220.0, 246.94, 293.66, 329.63, 369.99, 440.0)  # hertz: a pentatonic row, where no two notes quarrel

# Output tokens of one gpt-image picture by quality: square, tall, wide.
PICTURE_TOKENS = {"low": (272, 408, 400), "medium": (1056, 1584, 1568), "high": (4160, 6240, 6208)}


def seconds(recording: bytes) -> float:
    """The length of a recording, measured by decoding all of it; ValueError when it holds no sound."""
    length = 0.0
    try:
        with av.open(io.BytesIO(recording), mode="r") as container:
            if not container.streams.audio:
                raise ValueError("There is no sound in this file.")
            for frame in container.decode(audio=0):
                length += frame.samples / frame.sample_rate
    except (av.error.FFmpegError, OSError, ArithmeticError) as error:
        if not length:
            raise ValueError("This file is not a recording.") from error
    if not length:
        raise ValueError("There is no sound in this file.")
    return length


def speech(text: str, *, form: str, speed: float) -> bytes:
    """A gentle row of tones, one for each word of `text`, as a file in the format `form` of `SOUND_TYPES`."""
    samples = _melody(text, speed=speed)
    if form == "pcm":
        return samples.tobytes()
    file = io.BytesIO()
    container_name, codec = CONTAINERS[form]
    with av.open(file, mode="w", format=container_name) as container:
        stream = cast(AudioStream, container.add_stream(codec, rate=RATE))
        stream.layout = "mono"
        for start in range(0, len(samples), RATE):
            part = samples[start : start + RATE]
            frame = av.AudioFrame(format="s16", layout="mono", samples=len(part))
            frame.planes[0].update(part.tobytes())
            frame.sample_rate = RATE
            frame.pts = start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def picture(prompt: str, *, number: int, width: int, height: int, form: str) -> bytes:
    """An abstract picture, the same for the same prompt and number, as a file in the format `form`."""
    seed = hashlib.blake2b(f"{number}:{prompt}".encode("utf-8", "replace"), digest_size=64).digest()
    # Soft shapes need no detail, so they are drawn small and enlarged.
    small = (max(16, width // 4), max(16, height // 4))
    canvas = Image.new("RGB", small, (244, 239, 231))
    for shape in range(9):
        x, y, size, red, green, blue = (byte / 255 for byte in seed[shape * 7 : shape * 7 + 6])
        radius = (0.12 + 0.28 * size) * min(small)
        centre = (x * small[0], y * small[1])
        layer = Image.new("L", small, 0)
        ImageDraw.Draw(layer).ellipse(
            (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius), fill=150
        )
        colour = (int(150 + 90 * red), int(130 + 90 * green), int(140 + 90 * blue))
        canvas.paste(colour, mask=layer.filter(ImageFilter.GaussianBlur(radius / 3)))
    file = io.BytesIO()
    canvas.resize((width, height), Image.Resampling.BICUBIC).save(file, format=form)
    return file.getvalue()


def picture_tokens(*, width: int, height: int, quality: str) -> int:
    """The output tokens OpenAI counts for one picture of this size; other sizes by their share of a square."""
    by_shape = PICTURE_TOKENS.get(quality, PICTURE_TOKENS["high"])
    if quality in ("auto", "standard"):
        by_shape = PICTURE_TOKENS["medium"]
    known = {(1024, 1024): by_shape[0], (1024, 1536): by_shape[1], (1536, 1024): by_shape[2]}
    return known.get((width, height)) or math.ceil(by_shape[0] * width * height / 1024**2)


def as_base64(data: bytes) -> str:
    """`data` in base64, as JSON carries it."""
    return base64.b64encode(data).decode("ascii")


def _melody(text: str, *, speed: float) -> array[int]:
    """16-bit samples: a note for each word, longer for longer ones, and a breath at each mark of punctuation."""
    samples = array("h")
    step = 2
    for part in re.findall(r"\w{1,9}|[.!?…,;:\n]", text) or [text]:
        if re.fullmatch(r"\w+", part) is None:
            samples.extend(array("h", bytes(2 * int(RATE * 0.22 / speed))))
            continue
        # Neighbouring words move by a step at most, so that the row sounds sung and not scattered.
        step = min(max(step + crc32(part.lower().encode("utf-8", "replace")) % 3 - 1, 0), len(SCALE) - 1)
        samples.extend(_note(SCALE[step], round(RATE * (0.12 + 0.06 * math.ceil(len(part) / 3)) / speed)))
    while len(samples) < RATE // 2:
        samples.extend(_note(SCALE[step], RATE // 4))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


@lru_cache(maxsize=256)
def _note(pitch: float, length: int) -> array[int]:
    attack = RATE * 0.015
    return array(
        "h",
        [
            int(
                5_000
                * min(1.0, position / attack)
                * math.exp(-3.0 * position / length)
                * min(1.0, (length - position) / attack)
                * (
                    math.sin(math.tau * pitch * position / RATE)
                    + 0.2 * math.sin(2 * math.tau * pitch * position / RATE)
                )
            )
            for position in range(length)
        ],
    )
