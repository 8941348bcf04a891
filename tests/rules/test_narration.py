"""Reading aloud: a text is cut between sentences, and the parts become one track in which no joint is heard."""

from __future__ import annotations

import io
import itertools
import math
import struct
import wave
from array import array

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotUnderstood
from bot.services import narration

LOUD = 12_000
"""The amplitude of the tones, in 16 bits."""

PITCH = 440


def _tone(seconds: float) -> bytes:
    """A WAV of a tone that begins and ends at its peak, as no voice does: a bare cut of it clicks."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(narration.RATE)
        turn = 2 * math.pi * PITCH / narration.RATE
        samples = (round(LOUD * math.cos(turn * at)) for at in range(round(seconds * narration.RATE)))
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return buffer.getvalue()


def _samples(track: bytes) -> list[int]:
    resampler = av.AudioResampler(format="s16", layout="mono", rate=narration.RATE)
    found = bytearray()
    with av.open(io.BytesIO(track)) as container:
        for frame in container.decode(audio=0):
            for even in resampler.resample(frame):
                found += bytes(even.planes[0])[: 2 * even.samples]
    return list(array("h", bytes(found)))


@pytest.mark.parametrize("between_sections", [False, True])
def test_no_joint_of_a_track_clicks(between_sections: bool) -> None:
    track = narration.join([_tone(0.7), _tone(0.5), _tone(0.6)], title="Vision", between_sections=between_sections)
    samples = _samples(track.data)
    steepest = max(abs(after - before) for before, after in itertools.pairwise(samples))
    # The tone itself rises by LOUD * 2 pi * PITCH / RATE from one sample to the next; a bare cut would jump by LOUD.
    assert LOUD * 2 * math.pi * PITCH / narration.RATE * 0.9 < steepest < LOUD / 5
    loud = [abs(sample) > LOUD // 2 for sample in samples]
    assert not all(loud), "there is a breath between the parts"
    assert track.seconds == pytest.approx(len(samples) / narration.RATE, abs=0.15)


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(NotUnderstood):
        narration.join([b"no sound at all"], title="Vision")


@given(st.text(alphabet="abc .!?\n漢。", max_size=400), st.integers(min_value=20, max_value=80))
def test_parts_hold_every_word_once_in_order_and_fit(text: str, limit: int) -> None:
    parts = narration.parts(text, limit=limit)
    assert all(0 < len(part) <= limit for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_text_is_cut_between_sentences() -> None:
    parts = narration.parts("I walk by the sea. " * 20, limit=100)
    assert len(parts) > 2 and all(part.endswith("sea.") for part in parts)
