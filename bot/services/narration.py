"""Reading a vision aloud: which texts, in which parts, and how the sound of the parts becomes one track."""

from __future__ import annotations

import hashlib
import io
import re
import unicodedata
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import av
import typst
from PIL import Image

from bot.ai import prices
from bot.config import Settings
from bot.errors import NotUnderstood
from prompts.categories import SECTIONS, Section

FULL: Final = "full"
"""The section key of the track that holds all sections in one."""

PART: Final = 1800
"""Characters of one part at most: well below any provider's limit, and little is lost where a call fails."""

SAMPLE: Final = 160
"""Characters of a voice's sample at most."""

RATE: Final = 44_100
_BIT_RATE: Final = 64_000
_BETWEEN_PARTS: Final = 0.45
_BETWEEN_SECTIONS: Final = 1.6
_WINDOW: Final = RATE // 100
_QUIET: Final = 330
_MARGIN: Final = RATE // 16
_FADE: Final = RATE // 125

_FOLDER: Final = Path(__file__).parent / "pictures"
_FONTS: Final = typst.Fonts(include_system_fonts=False)


# -------------------------------------------------------------------------------------------- texts


def content_hash(text: str) -> str:
    """SHA-256 of the text without zero-width characters, with white space collapsed and trimmed (domain section 6)."""
    seen = "".join(letter for letter in text if unicodedata.category(letter) != "Cf")
    return hashlib.sha256(" ".join(seen.split()).encode()).hexdigest()


def parts(text: str, *, limit: int = PART) -> list[str]:
    """The text in parts of at most `limit` characters, cut between paragraphs, else sentences, else words."""
    found: list[str] = []
    rest = text.strip()
    while len(rest) > limit:
        cut = _cut(rest, limit)
        found.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [part for part in (*found, rest) if part]


_ENDS: Final = (re.compile(r"\n\s*\n"), re.compile(r"[.!?…]+[\"”’»)\]]*\s|[。！？]|[।۔؟]\s?"), re.compile(r"\s"))


def _cut(text: str, limit: int) -> int:
    """Where a part of at most `limit` characters ends."""
    for end in _ENDS:
        last = 0
        for match in end.finditer(text, 0, limit):
            last = match.end()
        # A part is not cut short for the sake of a paragraph that ends soon after the last cut.
        if last > limit // 3:
            return last
    return limit


def sample(sections: Mapping[str, str]) -> str:
    """The first words of a vision, for hearing a voice with."""
    first = next((sections[section.key] for section in SECTIONS if sections.get(section.key, "").strip()), "")
    return parts(first, limit=SAMPLE)[0] if first.strip() else ""


def whole(sections: Mapping[str, str]) -> str:
    """All sections that are written, in the order of reading: the text of the full track."""
    return "\n\n".join(sections[section.key].strip() for section in SECTIONS if sections.get(section.key, "").strip())


def section(key: str) -> Section | None:
    """The section under this key, or None."""
    return next((section for section in SECTIONS if section.key == key), None)


@cache
def _price_book(extra: Path | None) -> prices.PriceBook:
    return prices.read(extra)


def price(settings: Settings, text: str) -> int | None:
    """What reading this aloud takes from the balance, in tokens; None where no model that speaks is set up."""
    if settings.speech_model is None:
        return None
    try:
        row = _price_book(settings.viva_prices_file).for_speech(settings.speech_model, prices.today())
    except prices.UnknownPrice:
        return None
    return sum(row.tokens(len(part)) for part in parts(text))


# -------------------------------------------------------------------------------------------- sound


@dataclass(frozen=True, kw_only=True)
class Sound:
    """A track as an MP3, and its length in seconds."""

    data: bytes
    seconds: float


def join(recordings: Iterable[bytes], *, title: str, between_sections: bool = False) -> Sound:
    """The recordings, in any format, one after another as one MP3 with a breath between them.

    Silence at their edges is cut to a breath and the edges are faded over 8 ms, so that no joint is heard. Blocks for
    about a second a minute of sound: call it in a thread. Raises NotUnderstood when there is no sound in one.
    """
    pause = bytes(2 * int(RATE * (_BETWEEN_SECTIONS if between_sections else _BETWEEN_PARTS)))
    file = io.BytesIO()
    samples = 0
    with av.open(file, mode="w", format="mp3") as container:
        container.metadata["title"] = title
        stream = container.add_stream("libmp3lame", rate=RATE)
        stream.layout = "mono"
        stream.bit_rate = _BIT_RATE
        for place, recording in enumerate(recordings):
            for piece in (pause if place else b"", _trimmed(_decoded(recording))):
                for chunk in _chunks(piece):
                    frame = av.AudioFrame(format="s16", layout="mono", samples=len(chunk) // 2)
                    frame.planes[0].update(chunk)
                    frame.sample_rate = RATE
                    frame.pts = samples
                    samples += frame.samples
                    container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Sound(data=file.getvalue(), seconds=samples / RATE)


def _chunks(piece: bytes) -> Iterator[bytes]:
    for start in range(0, len(piece), 2 * RATE):
        yield piece[start : start + 2 * RATE]


def _decoded(recording: bytes) -> bytes:
    """The samples: 16 bits, one channel, RATE a second."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    found = bytearray()
    try:
        with av.open(io.BytesIO(recording), mode="r") as container:
            if not container.streams.audio:
                raise NotUnderstood("There is no sound in this file.")
            for frame in container.decode(audio=0):
                for even in resampler.resample(frame):
                    found += bytes(even.planes[0])[: 2 * even.samples]
            for even in resampler.resample(None):
                found += bytes(even.planes[0])[: 2 * even.samples]
    except (av.FFmpegError, ValueError):
        raise NotUnderstood("What the model spoke cannot be read as a recording.") from None
    if not found:
        raise NotUnderstood("The model spoke nothing.")
    return bytes(found)


def _trimmed(sound: bytes) -> bytes:
    """The sound without the silence at its edges but a breath, faded in and out."""
    samples = array("h", sound)
    first = next((at for at in range(0, len(samples), _WINDOW) if _is_loud(samples[at : at + _WINDOW])), None)
    if first is None:
        return sound
    last = next(at for at in range(len(samples), 0, -_WINDOW) if _is_loud(samples[max(0, at - _WINDOW) : at]))
    kept = samples[max(0, first - _MARGIN) : last + _MARGIN]
    fade = min(_FADE, len(kept) // 2)
    for step in range(fade):
        kept[step] = kept[step] * step // fade
        kept[-1 - step] = kept[-1 - step] * step // fade
    return kept.tobytes()


def _is_loud(window: array[int]) -> bool:
    return max(window) > _QUIET or min(window) < -_QUIET


# ------------------------------------------------------------------------------------------- covers


def cover(key: str) -> bytes:
    """A JPEG of 320 by 320 pixels, as Telegram shows it beside a track. Blocks for about 50 ms: call it in a thread."""
    picture = typst.compile(
        str(_FOLDER / "cover.typ"),
        root=str(_FOLDER),
        format="png",
        ppi=72,
        font_paths=_FONTS,
        ignore_system_fonts=True,
        sys_inputs={"section": key},
    )
    assert isinstance(picture, bytes)
    file = io.BytesIO()
    Image.open(io.BytesIO(picture)).convert("RGB").save(file, "JPEG", quality=88)
    return file.getvalue()
