"""The always-on check hears plain words of danger and lets figures of speech pass."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.services import care
from prompts.care import SIGNS

PHRASES: dict[str, Any] = tomllib.loads(Path(__file__).with_name("care_phrases.toml").read_text("utf-8"))
DANGER = [(text, group["sign"]) for group in PHRASES["danger"] for text in group["texts"]]
CALM = [text for group in PHRASES["calm"] for text in group["texts"]]
ORDINARY = "We had soup on the balcony and spoke about the garden until late. "


def test_the_list_of_phrases_is_broad_and_says_each_thing_once() -> None:
    assert len(DANGER) >= 60 and len(CALM) >= 60
    texts = [text for text, _ in DANGER] + CALM
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize(("text", "sign"), DANGER)
def test_danger_is_noticed(text: str, sign: str) -> None:
    danger, level = sign.split()
    found = care.sign_in(text)
    assert found is not None
    assert found.danger == danger
    assert level in ("any", found.level)


@pytest.mark.parametrize("text", CALM)
def test_ordinary_words_raise_no_alarm(text: str) -> None:
    assert care.sign_in(text) is None


@pytest.mark.parametrize(("text", "sign"), DANGER)
def test_danger_is_noticed_in_the_middle_of_a_long_message(text: str, sign: str) -> None:
    assert care.sign_in(f"{ORDINARY * 20}\n{text}\n{ORDINARY * 20}") is not None or text.lower() == "suicide"


@pytest.mark.parametrize(
    "text",
    [
        "I WANT TO KILL MYSELF",
        "i want to kill my self",
        "I want to k1ll mys3lf",
        "I want to k!ll myself",
        "I want to k.i.l.l myself",
        "I want to kill\u200b my\u200dself",
        "I want to \u202ekill myself",
        "I want to kiiiill myself",
        "Ｉ ｗａｎｔ ｔｏ ｋｉｌｌ ｍｙｓｅｌｆ",
        "I, want, to - kill - myself 😞",
        "I want to kill\nmyself",
        "I. want. to. kill. myself.",
        "want to \U0001d424\U0001d422\U0001d425\U0001d425 myself",
    ],
)
def test_disguised_words_are_read_as_meant(text: str) -> None:
    assert care.sign_in(text) == care.Sign("self", "immediate")


def test_a_curly_apostrophe_reads_like_a_straight_one_and_like_none() -> None:
    for text in ("I don’t want to live any more", "I don't want to live anymore", "i dont want to live anymore"):
        assert care.sign_in(text) == care.Sign("self", "concern")


def test_means_close_to_a_concern_make_it_immediate_and_means_far_away_do_not() -> None:
    assert care.sign_in("I wish I was dead. The gun is in the drawer.") == care.Sign("self", "immediate")
    far = f"I wish I was dead. {ORDINARY * 10} Tonight there is a film about a bridge."
    assert care.sign_in(far) == care.Sign("self", "concern")


def test_a_figure_of_speech_does_not_hide_the_danger_beside_it() -> None:
    assert care.sign_in("This job is killing me and I want to die") == care.Sign("self", "concern")
    assert care.sign_in("lol I'm dead, but really, my husband hits me") == care.Sign("from_others", "concern")


def test_grief_for_somebody_who_took_their_life_is_not_danger_but_a_friend_at_risk_is_a_concern() -> None:
    assert care.sign_in("She took her own life in 2010 and I miss her") is None
    assert care.sign_in("She says she will take her own life") == care.Sign("self", "concern")


def test_a_plain_denial_passes_and_one_that_leaves_a_door_open_is_heard_gently() -> None:
    assert care.sign_in("I'm not suicidal, I'm only sad") is None
    assert care.sign_in("I would never kill myself") is None
    assert care.sign_in("I'm not suicidal any more") == care.Sign("self", "concern")
    assert care.sign_in("I won't kill myself but some days I don't see why") == care.Sign("self", "concern")


def test_the_gravest_sign_is_the_one_given() -> None:
    both = "Some days I wish I was dead. He has a knife and he is going to kill me if I leave."
    assert care.sign_in(both) == care.Sign("from_others", "immediate")


@pytest.mark.parametrize("text", ["", " ", "\n", "👍", "🔪", "...", "!!!", "123", "/start", "\u200b"])
def test_what_holds_no_words_holds_no_sign(text: str) -> None:
    assert care.sign_in(text) is None


@given(st.text(max_size=300))
def test_any_text_can_be_read_and_reads_the_same_twice(text: str) -> None:
    assert care.sign_in(text) == care.sign_in(text)


def test_phrases_are_written_as_messages_are_read() -> None:
    for group in (*SIGNS.signs, *SIGNS.means, *SIGNS.softened, *SIGNS.harmless):
        for phrase in group.phrases:
            assert "'" not in phrase and "  " not in phrase
            assert phrase == phrase.lower(), "a capital would be lost, also in an escape"


def test_every_language_has_core_phrases_for_oneself_for_others_and_from_others() -> None:
    languages = {"en", "ru", "uk", "es", "pt", "fr", "de", "it", "pl", "tr", "ar", "hi", "zh", "ja"}
    for danger in ("self", "others", "from_others"):
        assert {group.language for group in SIGNS.signs if group.danger == danger} == languages
