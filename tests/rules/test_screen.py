"""Long texts become messages that Telegram takes: cut between paragraphs, nothing lost, every entity in its place."""

from __future__ import annotations

from typing import Any

import pytest
from aiogram.utils.formatting import Bold, Italic, Text
from hypothesis import example, given
from hypothesis import strategies as st

from handlers.screen import CAPTION_LIMIT, TEXT_LIMIT, split

Part = tuple[str, list[dict[str, Any]]]


def units(text: str) -> int:
    """UTF-16 units, in which Telegram counts."""
    return len(text.encode("utf-16-le")) // 2


def cut_out(part: str, entity: dict[str, Any]) -> str:
    """The words an entity stands on."""
    encoded = part.encode("utf-16-le")
    return encoded[2 * entity["offset"] : 2 * (entity["offset"] + entity["length"])].decode("utf-16-le")


def without_spaces(text: str) -> str:
    """The text without any white space."""
    return "".join(text.split())


def test_a_short_text_stays_one_message() -> None:
    assert split("Good morning.") == [("Good morning.", [])]
    assert split(Text("Good ", Bold("morning"), ".")) == [
        ("Good morning.", [{"type": "bold", "offset": 5, "length": 7}])
    ]


def test_there_is_at_least_one_part() -> None:
    assert split("") == [("", [])]


@pytest.mark.parametrize("letter", ["a", "ж", "語"])
def test_a_text_of_exactly_the_limit_is_one_message_and_one_letter_more_is_two(letter: str) -> None:
    assert len(split(letter * TEXT_LIMIT)) == 1
    assert [units(part) for part, _ in split(letter * (TEXT_LIMIT + 1))] == [TEXT_LIMIT, 1]


def test_an_emoji_counts_for_two_and_is_never_cut_through() -> None:
    assert [units(part) for part, _ in split("😀" * (TEXT_LIMIT // 2))] == [TEXT_LIMIT]
    parts = [part for part, _ in split("a" + "😀" * (TEXT_LIMIT // 2))]
    assert [units(part) for part in parts] == [TEXT_LIMIT - 1, 2]
    assert parts[1] == "😀"


def test_a_cut_is_made_between_paragraphs_before_lines_before_sentences_before_words() -> None:
    first, second = "One. Two\nthree four", "Five. Six"
    assert [part for part, _ in split(f"{first}\n\n{second}", first_limit=25, limit=25)] == [first, second]
    assert [part for part, _ in split("One two\nthree. Four five", first_limit=18, limit=18)] == [
        "One two",
        "three. Four five",
    ]
    assert [part for part, _ in split("One two. Three four", first_limit=14, limit=14)] == ["One two.", "Three four"]
    assert [part for part, _ in split("One two three", first_limit=9, limit=9)] == ["One two", "three"]
    assert [part for part, _ in split("一二三。四五六", first_limit=5, limit=5)] == ["一二三。", "四五六"]


def test_a_caption_is_shorter_than_the_messages_after_it() -> None:
    parts = split("word " * 1500, first_limit=CAPTION_LIMIT)
    assert units(parts[0][0]) <= CAPTION_LIMIT < units(parts[1][0]) <= TEXT_LIMIT


def test_an_entity_over_a_cut_goes_on_in_the_next_message() -> None:
    words = "a " * TEXT_LIMIT
    parts = split(Text("before ", Bold(words.strip()), " after"))
    assert len(parts) == 3
    for part, entities in parts[:2]:
        assert [entity["type"] for entity in entities] == ["bold"]
        assert without_spaces(cut_out(part, entities[0])) == without_spaces(part).removeprefix("before")
    assert cut_out(*(parts[2][0], parts[2][1][0])) == parts[2][0].removesuffix(" after")


def test_an_entity_after_emoji_stands_where_it_stood() -> None:
    parts = split(Text("😀" * 3000, "\n\n", Italic("here"), " and ", Bold("there 😀")))
    found = [(entity["type"], cut_out(part, entity)) for part, entities in parts for entity in entities]
    assert found == [("italic", "here"), ("bold", "there 😀")]


PIECES = ["a", "ж", "語", "😀", "👩‍👩‍👧", " ", "\n", "\n\n", ". ", "。", "? ", "e\u0301", "\u00a0", "\t"]
WORDS = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)


@given(text=WORDS, first_limit=st.integers(2, 40), limit=st.integers(2, 40))
@example(text="   a", first_limit=2, limit=2)
@example(text="a\n\n\n\n", first_limit=2, limit=2)
@example(text="😀😀😀", first_limit=3, limit=3)
def test_nothing_but_white_space_at_cuts_is_lost_and_no_part_is_too_long(
    text: str, first_limit: int, limit: int
) -> None:
    parts = split(text, first_limit=first_limit, limit=limit)
    assert units(parts[0][0]) <= first_limit
    assert all(units(part) <= limit for part, _ in parts[1:])
    assert without_spaces("".join(part for part, _ in parts)) == without_spaces(text)
    assert all(part.strip() for part, _ in parts) or not text.strip()
    place = 0
    for part, _ in parts:
        found = text.index(part, place)
        assert text[place:found].strip() == ""
        place = found + len(part)


@given(pieces=st.lists(st.tuples(WORDS, st.sampled_from([None, Bold, Italic])), max_size=6), limit=st.integers(2, 60))
def test_every_entity_stands_on_the_words_it_stood_on(pieces: list[tuple[str, type[Text] | None]], limit: int) -> None:
    text = Text(*(words if style is None else style(words) for words, style in pieces))
    parts = split(text, first_limit=limit, limit=limit)
    for style in (Bold, Italic):
        kind = style.__name__.lower()
        meant = without_spaces("".join(words for words, given_style in pieces if given_style is style))
        found = "".join(
            cut_out(part, entity) for part, entities in parts for entity in entities if entity["type"] == kind
        )
        assert without_spaces(found) == meant
    for part, entities in parts:
        for entity in entities:
            assert entity["length"] > 0 and 0 <= entity["offset"] <= units(part) - entity["length"]
