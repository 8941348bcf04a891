"""Counting tokens needs no network, and never undercounts what a request will cost."""

from __future__ import annotations

import socket
from typing import Any

import pytest
import tiktoken_ext.openai_public

from bot.ai import tokens


def test_the_vocabulary_is_whole_and_built_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("no network is needed")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    tokens.encoding.cache_clear()
    assert tokens.encoding().n_vocab == 200_019
    assert tokens.encoding() is tokens.encoding()


def test_the_pattern_and_special_tokens_are_those_of_o200k_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiktoken_ext.openai_public, "load_tiktoken_bpe", lambda *_, **__: {})
    original = tiktoken_ext.openai_public.o200k_base()
    assert original["pat_str"] == tokens.PATTERN
    assert original["special_tokens"] == tokens.SPECIAL_TOKENS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("hello world", 2),
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("お誕生日おめでとう", 8),
    ],
)
def test_known_texts_count_as_openai_publishes(text: str, expected: int) -> None:
    assert tokens.count(text) == expected


def test_words_that_look_like_special_tokens_are_plain_text() -> None:
    assert tokens.count("<|endoftext|>") > 1
    assert tokens.count("a <|endofprompt|> b") > 3


def test_odd_text_is_counted_and_never_refused() -> None:
    assert tokens.count("\ud800 half a pair") > 0
    assert tokens.count("\x00\u200b🫶🏽") > 0
    assert tokens.count("a" * 50_000) > 0


def test_every_text_comes_back_from_its_tokens() -> None:
    text = "I live by the sea. Ich möchte Zeit. 我想要自由 🌊\n\n  two spaces"
    encoding = tokens.encoding()
    assert encoding.decode(encoding.encode(text)) == text


def test_messages_count_their_text_their_role_and_the_framing() -> None:
    system = {"role": "system", "content": "You are VIVA."}
    user = {"role": "user", "content": "hello world"}
    assert tokens.count_messages([]) == 3
    assert tokens.count_messages([user]) == 3 + 3 + 1 + 2
    assert tokens.count_messages([system, user]) == tokens.count_messages([user]) + 3 + 1 + tokens.count(
        "You are VIVA."
    )


def test_a_name_costs_its_text_and_one_more() -> None:
    plain = {"role": "user", "content": "hi"}
    assert tokens.count_messages([{**plain, "name": "Ada"}]) == tokens.count_messages([plain]) + tokens.count("Ada") + 1


def test_text_parts_count_like_text() -> None:
    parts = {"role": "user", "content": [{"type": "text", "text": "hello world"}]}
    assert tokens.count_messages([parts]) == tokens.count_messages([{"role": "user", "content": "hello world"}])
    assert tokens.count_messages([{"role": "assistant", "content": None}]) == 3 + 3 + 1
