"""Recall by rule: the times that words speak of, lists merged by rank, themes over weeks, excerpts, quotations."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta

import pytest

from bot.ai import tokens
from bot.services import conversations, memory, recall
from storage.conversations import Conversation
from storage.recall import Match, Passage

NOW = datetime(2026, 5, 14, 9, 30, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("words", "first", "after"),
    [
        ("What did I write yesterday?", "2026-05-13", "2026-05-14"),
        ("the day before yesterday", "2026-05-12", "2026-05-13"),
        ("what was on Monday? last Monday I mean", "2026-05-11", "2026-05-12"),
        ("last Thursday", "2026-05-07", "2026-05-08"),
        ("last week", "2026-05-04", "2026-05-11"),
        ("this week", "2026-05-11", "2026-05-18"),
        ("last weekend", "2026-05-09", "2026-05-11"),
        ("last month", "2026-04-01", "2026-05-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("last spring", "2025-03-01", "2025-06-01"),
        ("this spring", "2026-03-01", "2026-06-01"),
        ("last winter", "2025-12-01", "2026-03-01"),
        ("last summer", "2025-06-01", "2025-09-01"),
        ("in March", "2026-03-01", "2026-04-01"),
        ("in December", "2025-12-01", "2026-01-01"),
        ("in June 2024", "2024-06-01", "2024-07-01"),
        ("December 2023", "2023-12-01", "2024-01-01"),
        ("in 2024", "2024-01-01", "2025-01-01"),
        ("two weeks ago", "2026-04-26", "2026-05-05"),
        ("3 days ago", "2026-05-11", "2026-05-12"),
        ("on 2026-02-03", "2026-02-03", "2026-02-04"),
    ],
)
def test_a_time_in_words_is_understood_from_today(words: str, first: str, after: str) -> None:
    span = recall.time_in(words, now=NOW)
    assert span is not None and [moment.date().isoformat() for moment in span] == [first, after]


@pytest.mark.parametrize(
    "words", ["I may go", "march on", "a spring of water", "2026-13-40", "Hello", "on 999 years ago?"]
)
def test_words_that_name_no_time_bound_nothing_or_do_no_harm(words: str) -> None:
    span = recall.time_in(words, now=NOW)
    assert span is None or span[0] < span[1]


def key(number: int) -> uuid.UUID:
    return uuid.UUID(int=number)


def test_what_several_lists_hold_comes_first() -> None:
    merged = recall.merged([key(1), key(2), key(3)], [key(3), key(4)], [])
    assert merged[0] == key(3) and set(merged) == {key(1), key(2), key(3), key(4)}


def match(number: int, *, share: float, days_ago: int, shared: int = 4) -> Match:
    return Match(
        id=key(number), source_id=key(number), share=share, shared=shared, said_at=NOW - timedelta(days=days_ago)
    )


def test_a_theme_was_met_before_only_where_enough_is_shared_and_some_days_lie_between() -> None:
    assert recall.theme([match(1, share=0.9, days_ago=2)], now=NOW).callback is None
    assert recall.theme([match(1, share=0.2, days_ago=20)], now=NOW).callback is None
    assert recall.theme([match(1, share=0.6, days_ago=20, shared=2)], now=NOW).callback is None
    met = recall.theme([match(n, share=0.6, days_ago=n * 7) for n in range(1, 4)], now=NOW)
    assert met.callback == key(1) and met.weeks == 4


def test_an_excerpt_keeps_to_its_tokens_and_holds_what_was_asked_for() -> None:
    text = "It rained all morning. " * 60 + "Then my father called about the boat. " + "We had soup. " * 60
    passage = Passage(
        id=key(1), source_kind="entry", source_id=key(2), text=text, said_at=NOW, categories=[], tokens=None
    )
    told, size = recall.excerpt(passage, "my father's boat")
    assert "father called about the boat" in told and tokens.count(told) == size <= recall.PASSAGE_TOKENS
    assert told.startswith("… ") and told.endswith(" …")


@pytest.mark.parametrize(
    ("quote", "found"),
    [
        ("my Sister  is called", "My sister is\ncalled"),
        ('"called Edith."', "called Edith"),
        ("she said it’s fine", "she said it's fine"),
        ("called Anna", None),
        ("My.sister", None),
        ("", None),
    ],
)
def test_a_quotation_is_found_as_it_stands_or_not_at_all(quote: str, found: str | None) -> None:
    assert memory.located(quote, "My sister is\ncalled Edith, and she said it's fine.") == found


def test_only_a_sentence_that_holds_all_of_it_is_left_out() -> None:
    text = "My sister Edith lives in Cork. Cork is wet. Edith, my sister, phoned from Cork where she lives!"
    assert memory.sentences_with(text, "my sister Edith lives in Cork") == [
        "My sister Edith lives in Cork.",
        "Edith, my sister, phoned from Cork where she lives!",
    ]
    assert memory.sentences_with(text, "is wet") == []


def test_a_talk_is_called_by_its_first_words() -> None:
    assert conversations.title("  Hello\n there ") == "Hello there"
    long = conversations.title("word " * 40)
    assert long.endswith(" …") and len(long) <= conversations.TITLE_CHARACTERS + 2
    assert conversations.title("你" * 200) == "你" * conversations.TITLE_CHARACTERS + " …"


def test_a_talk_about_an_area_moves_on_after_two_turns_and_another_does_not() -> None:
    def talk(phase: str, category: str | None) -> Conversation:
        return Conversation.model_validate(
            {
                "id": key(1),
                "title": "t",
                "phase": phase,
                "category": category,
                "opened_at": None,
                "created_at": NOW,
                "last_turn_at": NOW,
            }
        )

    assert conversations.moves_to(talk("contrast", "money"), said=1) is None
    assert conversations.moves_to(talk("contrast", "money"), said=2) == "peak"
    assert conversations.moves_to(talk("peak", "money"), said=2) == "specific"
    assert conversations.moves_to(talk("specific", "money"), said=9) is None
    assert conversations.moves_to(talk("master_assistant", None), said=9) is None
    assert conversations.ready_to_draft(talk("specific", "money"), said=2)
    assert not conversations.ready_to_draft(talk("specific", "money"), said=1)


def test_the_day_from_which_a_fact_holds_is_never_in_the_future() -> None:
    assert memory._since("2024-02-30", said_at=NOW, today=NOW.date()) == NOW.date()
    assert memory._since("2031-01-01", said_at=NOW, today=NOW.date()) == NOW.date()
    assert memory._since("2024-02-03", said_at=NOW, today=NOW.date()) == date(2024, 2, 3)
