"""The price book: dated, exact, and never zero for what it does not know."""

from __future__ import annotations

import tomllib
from datetime import date, timedelta
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.ai import prices
from bot.config import Settings
from bot.errors import SettingsError

DAY = date(2026, 1, 1)

OWN = """
[[text]]
model = "my-model"
since = 2025-01-01
input = "1.00"
cached = "0.10"
output = "2.00"

[[text]]
model = "my-model"
since = 2025-06-01
input = "3.00"
cached = "0.30"
output = "4.00"
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A price file of one's own."""
    path = tmp_path / "prices.toml"
    path.write_text(OWN)
    return path


@pytest.mark.parametrize("model", ["nobody-knows-it", "", "GPT-4.1-mini", "gpt-4.1-mini "])
def test_an_unknown_price_refuses(model: str) -> None:
    book = prices.read()
    with pytest.raises(prices.UnknownPrice):
        book.for_text(model, DAY)
    with pytest.raises(prices.UnknownPrice):
        book.for_transcription(model, DAY)
    with pytest.raises(prices.UnknownPrice):
        book.for_speech(model, DAY)
    with pytest.raises(prices.UnknownPrice):
        book.for_image(model, "1024x1024", "medium", DAY)
    with pytest.raises(prices.UnknownPrice):
        book.for_embedding(model, DAY)


def test_what_a_picture_a_spoken_text_and_a_vector_cost_is_exact() -> None:
    book = prices.read()
    speech = book.for_speech("tts-1", DAY)
    assert speech.cents(4096) == Decimal("6.1440") and speech.tokens(4096) == 20_480 and speech.tokens(0) == 1
    picture = book.for_image("gpt-image-1", "1024x1024", "medium", DAY)
    assert picture.cents() == Decimal("4.2000") and picture.tokens_per_picture > 0
    with pytest.raises(prices.UnknownPrice):
        book.for_image("gpt-image-1", "4096x4096", "medium", DAY)
    vectors = book.for_embedding("text-embedding-3-small", DAY)
    assert vectors.cents(1_000_000) == Decimal("2.0000") and vectors.cents(3) == Decimal("0.0001")


def test_a_price_is_unknown_before_its_first_day() -> None:
    book = prices.read()
    first = min(row.since for row in book.text if row.model == "gpt-4.1-mini")
    with pytest.raises(prices.UnknownPrice):
        book.for_text("gpt-4.1-mini", first - timedelta(days=1))
    assert book.for_text("gpt-4.1-mini", first).since == first


def test_the_models_of_the_default_settings_have_prices() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    book = prices.read()
    assert book.for_text(settings.viva_chat_model, DAY).output > 0
    assert settings.viva_transcribe_model is not None
    assert book.for_transcription(settings.viva_transcribe_model, DAY).minute > 0


def test_the_latest_price_that_has_begun_counts(own: Path) -> None:
    book = prices.read(own)
    assert book.for_text("my-model", date(2025, 5, 31)).input == Decimal(1)
    assert book.for_text("my-model", date(2025, 6, 1)).input == Decimal(3)


def test_a_row_of_one_s_own_wins_over_viva_s_of_the_same_day(tmp_path: Path) -> None:
    theirs = prices.read().for_text("gpt-4.1-mini", DAY)
    path = tmp_path / "prices.toml"
    path.write_text(
        f'[[text]]\nmodel = "gpt-4.1-mini"\nsince = {theirs.since}\ninput = "9"\ncached = "9"\noutput = "9"\n'
    )
    assert prices.read(path).for_text("gpt-4.1-mini", DAY).input == Decimal(9)


def test_no_row_of_the_book_stands_twice() -> None:
    book = tomllib.loads(resources.files("bot.ai").joinpath("prices.toml").read_text())
    for rows in book.values():
        keys = [(row["model"], row["since"], row.get("size"), row.get("quality")) for row in rows]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not toml", "VIVA_PRICES_FILE is not a price book"),
        (OWN.replace('"2.00"', '"0"'), "VIVA_PRICES_FILE is not a price book: text 0 output"),
        (OWN.replace('"2.00"', '"-1"'), "VIVA_PRICES_FILE is not a price book: text 0 output"),
        (OWN.replace('"2.00"', '"NaN"'), "VIVA_PRICES_FILE is not a price book: text 0 output"),
        (OWN.replace("output", "outptu", 1), "VIVA_PRICES_FILE is not a price book: text 0 output"),
        (OWN.replace("[[text]]", "[[txet]]"), "VIVA_PRICES_FILE is not a price book: txet"),
    ],
)
def test_a_wrong_price_file_is_said_by_the_variable_and_the_place(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(content)
    with pytest.raises(SettingsError, match=said):
        prices.read(path)


def test_a_missing_price_file_is_said_by_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^VIVA_PRICES_FILE cannot be read"):
        prices.read(tmp_path / "nothing.toml")


# ------------------------------------------------------------------------------------- arithmetic

TEXT = prices.TextPrice(model="m", since=DAY, input=Decimal("0.40"), cached=Decimal("0.10"), output=Decimal("1.60"))
SOUND = prices.TranscriptionPrice(model="m", since=DAY, minute=Decimal("0.003"), tokens_per_minute=1500)


def test_a_call_costs_what_the_price_list_says() -> None:
    # 1,000 tokens at $0.40 and 500 at $1.60 a million are $0.0012, which is 0.12 cents.
    assert TEXT.cents(input_tokens=1000, cached_tokens=0, output_tokens=500) == Decimal("0.1200")
    # Cached tokens are inside the input.
    assert TEXT.cents(input_tokens=1000, cached_tokens=1000, output_tokens=0) == Decimal("0.0100")
    # A million in and a million out are two dollars.
    assert TEXT.cents(input_tokens=10**6, cached_tokens=0, output_tokens=10**6) == Decimal("200.0000")


def test_a_cheap_call_is_not_rounded_to_nothing() -> None:
    assert TEXT.cents(input_tokens=40, cached_tokens=0, output_tokens=10) == Decimal("0.0032")


def test_a_recording_costs_by_its_length() -> None:
    assert SOUND.cents(60) == Decimal("0.3000")
    assert SOUND.cents(1) == Decimal("0.0050")
    assert (SOUND.tokens(60), SOUND.tokens(60.001), SOUND.tokens(0.0001)) == (1500, 1501, 1)


def test_a_length_that_binary_fractions_cannot_hold_takes_no_token_more() -> None:
    assert [SOUND.tokens(hundredths / 100) for hundredths in range(4, 400, 4)] == list(range(1, 100))


TOKENS = st.integers(0, 10**8)


@given(input_tokens=TOKENS, cached=st.floats(0, 1), output_tokens=TOKENS)
def test_a_cost_is_exact_to_a_ten_thousandth_of_a_cent(input_tokens: int, cached: float, output_tokens: int) -> None:
    cached_tokens = int(input_tokens * cached)
    exact = (
        Decimal("0.00004") * (input_tokens - cached_tokens)
        + Decimal("0.00001") * cached_tokens
        + Decimal("0.00016") * output_tokens
    )
    found = TEXT.cents(input_tokens=input_tokens, cached_tokens=cached_tokens, output_tokens=output_tokens)
    assert abs(found - exact) <= Decimal("0.00005")
    assert found == found.quantize(Decimal("0.0001"))


@given(seconds=st.floats(0.001, 100_000))
def test_the_balance_never_pays_less_than_the_length_is_worth(seconds: float) -> None:
    worth = Decimal(str(seconds)) * 25
    assert worth <= SOUND.tokens(seconds) < worth + 1 or SOUND.tokens(seconds) == 1
