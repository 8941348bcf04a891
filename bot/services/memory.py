"""The rules of remembering: what a model's notes must keep to, what is worth reading, and what is summed up.

Facts are drawn from the person's own words alone. What a model notes counts only where its quotation stands in the
source it names, and where every name and number of the fact stands there as well.
"""

from __future__ import annotations

import re
import unicodedata
import uuid
from collections.abc import Sequence
from datetime import date, datetime, tzinfo
from typing import TypeVar

from bot.ai import tokens
from bot.services import chat
from prompts.memory import Found
from storage.memory import Fact, Line, NewFact, Said, Source

Row = TypeVar("Row", Fact, Source)

ENOUGH_TO_READ = 500
"""Tokens of new words that are worth a reading."""

MOST_CHARACTERS = 8_000
"""Characters of words in one reading, about 2,000 tokens."""

MOST_READINGS = 4
"""Readings in one job; what is left waits for the next one."""

LEAST_CHARACTERS = 1_000
"""Characters below which a reading is not halved for a model that can read less."""

MOST_STANDING = 80
"""Facts that are shown to the model, so that it can tell what is new."""

MOST_FACT_CHARACTERS = 240

LEAST_QUOTE_WORDS = 2

LEFT_OUT = "[…]"
"""What stands in the place of words that were forgotten."""

GONE = "(gone)"
"""What stands in a numbered list in the place of what is there no more."""

LEAST_CONFIDENCE = 0.4

LEAST_FREE = 20_000
"""Tokens of balance below which nothing is read: they are kept for the talk itself."""

KEEP_LATEST = 40
"""The latest turns, which a talk is given word for word and which are not summed up."""

STRETCH = 60
"""Turns in one digest of talk."""

LEAST_STRETCH = 24
"""Turns below which a stretch is not summed up yet."""

WEEK_CHARACTERS = 800
"""Characters of a week's words below which the week gets no digest."""

WEEKS_BACK = 8

LINE_TOKENS = 120
"""Tokens of one line that a digest is made from."""

MOST_WEEK_LINES = 60

MOST_DIGEST_OUTPUT, LEAST_DIGEST_OUTPUT = 400, 160
MOST_FACTS_OUTPUT, LEAST_FACTS_OUTPUT = 1_500, 300


def normal(text: str) -> str:
    """The text as two sayings of the same are compared: folded, without marks, single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.findall(r"\w+", folded))


def located(quote: str, text: str) -> str | None:
    """The words of the quotation as they stand in the text, or None where they do not."""
    words = quote.strip(" \t\n\"'“”‘’«».…").split()
    if len(words) < LEAST_QUOTE_WORDS and len(quote.strip()) < 6:
        return None
    # Typographic quotes and apostrophes come back from a model in another shape.
    patterns = [re.sub(r"['’‘]", "['’‘]", re.escape(word)) for word in words]
    found = re.search(r"\s+".join(patterns), text, re.I) if patterns else None
    return found.group(0) if found else None


def checked(
    found: Found,
    *,
    sources: Sequence[Source | None],
    standing: Sequence[Fact | None],
    known: Sequence[Said],
    today: date,
) -> tuple[list[NewFact], list[tuple[uuid.UUID | int, Said]]]:
    """What of a model's notes may be kept: new facts, and where one is said again: its id, or its place among the new.

    `sources` and `standing` are as they were numbered, None where one is gone since. `known` are places that a fact,
    standing or closed, rests on already: those are not drawn a second time.
    """
    new: list[NewFact] = []
    again: list[tuple[uuid.UUID | int, Said]] = []
    by_text = {normal(fact.text): fact for fact in standing if fact is not None}
    drawn = {(said.id, normal(said.quote)) for said in known}
    placed: dict[int, int] = {}
    for position, note in enumerate(found.facts, len(standing) + 1):
        source = _numbered(sources, note.source)
        text = " ".join(note.text.split()).rstrip(".")
        if source is None or not text or len(text) > MOST_FACT_CHARACTERS or LEFT_OUT in text:
            continue
        quote = located(note.quote, source.text)
        if quote is None or LEFT_OUT in quote or not 0 <= note.confidence <= 1 or note.confidence < LEAST_CONFIDENCE:
            continue
        if (source.id, normal(quote)) in drawn or not _rests_on(text, source.text):
            continue
        said = Said(kind=source.kind, id=source.id, quote=quote, said_at=source.said_at)
        if (same := by_text.get(normal(text))) is not None:
            again.append((same.id, said))
            continue
        if any(normal(other.text) == normal(text) for other in new):
            continue
        placed[position] = len(new)
        replaces = [one for number in note.replaces if (one := _numbered(standing, number)) is not None]
        new.append(
            NewFact(
                text=text,
                category=note.category or None,
                valid_from=_since(note.since, said_at=source.said_at, today=today),
                confidence=note.confidence,
                said=said,
                tokens=tokens.count(text),
                # What was said later is not undone by what was said before it.
                replaces=[fact.id for fact in replaces if fact.said_at <= source.said_at],
                replaces_new=[placed[number] for number in note.replaces if number in placed and number < position],
            )
        )
    for once_more in found.again:
        source = _numbered(sources, once_more.source)
        quote = located(once_more.quote, source.text) if source is not None else None
        if source is None or quote is None or LEFT_OUT in quote:
            continue
        said = Said(kind=source.kind, id=source.id, quote=quote, said_at=source.said_at)
        if (known_fact := _numbered(standing, once_more.fact)) is not None:
            again.append((known_fact.id, said))
        elif once_more.fact in placed:
            again.append((placed[once_more.fact], said))
    return new, again


def _numbered(rows: Sequence[Row | None], number: int) -> Row | None:
    """The row of this number in a request, counted from 1."""
    return rows[number - 1] if 0 < number <= len(rows) else None


def _rests_on(text: str, source: str) -> bool:
    """Whether every number, and every name within the fact, stands in the source."""
    words = set(re.findall(r"\w+", unicodedata.normalize("NFKC", source).casefold()))
    names = re.findall(r"(?<=\s)[^\W\d_]*[A-ZÀ-ÖØ-ÞА-ЯΑ-Ω][\w]*|\d+", unicodedata.normalize("NFKC", text))
    return all(name.casefold() in words or name.casefold().removesuffix("s") in words for name in names)


def _since(since: str, *, said_at: datetime, today: date) -> date:
    try:
        day = date.fromisoformat(since)
    except ValueError:
        return said_at.date()
    return day if date(1900, 1, 1) <= day <= today else said_at.date()


def in_order(rows: Sequence[Row], ids: Sequence[uuid.UUID]) -> list[Row | None]:
    """The rows in the order of these ids, None where one is gone."""
    by_id = {row.id: row for row in rows}
    return [by_id.get(key) for key in ids]


def standing_lines(facts: Sequence[Fact | None]) -> list[str]:
    """Facts as the model is told them."""
    return [f"{fact.text} (since {fact.valid_from.isoformat()})" if fact is not None else GONE for fact in facts]


def told_of(numbers: Sequence[int], facts: Sequence[Fact]) -> list[uuid.UUID]:
    """The facts that a digest says it tells of, by the numbers of the request."""
    return [fact.id for number in sorted(set(numbers)) if (fact := _numbered(facts, number)) is not None]


def said_lines(sources: Sequence[Source | None], *, zone: tzinfo, most: int) -> list[str]:
    """Pieces of a person's words as the model is told them, each with its day, and at most so many characters long."""
    return [
        GONE
        if source is None
        else f"({source.said_at.astimezone(zone):%Y-%m-%d, %A}) {' '.join(source.text[:most].split())}"
        for source in sources
    ]


def digest_lines(lines: Sequence[Line], *, zone: tzinfo) -> list[str]:
    """What a digest is made from, a line each."""
    return [
        f"{line.said_at.astimezone(zone):%Y-%m-%d} {line.speaker}: "
        f"{chat.clip(' '.join(line.text.split()), most=LINE_TOKENS)[0]}"
        for line in lines
        if line.text.strip() != LEFT_OUT
    ]


def telling(text: str) -> set[str]:
    """The words of a text by which the same would be known elsewhere."""
    return {word for word in normal(text).split() if len(word) > 3 or word.isdigit()}


def echoes(text: str, words: str) -> bool:
    """Whether the text repeats most of the telling words."""
    asked = telling(words)
    return bool(asked) and len(asked & telling(text)) * 3 >= len(asked) * 2


def sentences_with(text: str, words: str) -> list[str]:
    """The sentences of a text that hold every telling word, as they stand."""
    asked = telling(words)
    if len(asked) < 2:
        return []
    return [part.strip() for part in re.split(r"(?<=[.!?…。])\s+|\n+", text) if asked <= telling(part)]


def tidy(text: str) -> str:
    """A digest as it is kept."""
    return " ".join(text.replace("**", "").split())


def size(text: str) -> int:
    """The tokens of a text that is kept, counted once."""
    return tokens.count(text)


def cost_of_all(characters: int) -> tuple[int, int]:
    """From how many to how many tokens it takes to draw everything anew from so many characters of words."""
    readings = max(1, -(-characters // MOST_CHARACTERS))
    words = characters // 4
    return words + readings * 900, words * 2 + readings * (1_000 + MOST_FACTS_OUTPUT)
