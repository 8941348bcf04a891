"""What VIVA does with what people keep: entries in words, in a month, found again, and looked back on."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from datetime import date, timedelta

from bot.ai import tokens
from prompts import journal as words
from prompts.journal.reflection import LookBack
from storage.journal import Entry
from storage.journal_reflections import Quote
from storage.journal_search import HIT, HIT_END

TITLE_LIMIT = 80
SENTENCE_LIMIT = 240

_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
_QUOTED = re.compile(r"[“\"„«]([^“”\"„«»]{3,})[”\"“»]")


def headline(content: str, *, limit: int = 28) -> str:
    """The beginning of an entry's words, for a button."""
    words = " ".join(content.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"


def title(text: str) -> str:
    """A title as it is kept: one line, no quotation marks around it, not too long."""
    return headline(text.strip().strip("\"'“”„«»").strip().rstrip("."), limit=TITLE_LIMIT)


def month_of(text: str) -> date | None:
    """The first of the month that "2026-11" names."""
    found = re.fullmatch(r"(\d{4})-(\d{2})", text)
    if found is None or not 1 <= int(found[2]) <= 12 or not 1900 <= int(found[1]) <= 2200:
        return None
    return date(int(found[1]), int(found[2]), 1)


def month_before(first: date) -> date:
    """The first of the month before."""
    return (first - timedelta(days=1)).replace(day=1)


def month_after(first: date) -> date:
    """The first of the month after."""
    return (first + timedelta(days=31)).replace(day=1)


def weeks(first: date) -> list[list[date | None]]:
    """The weeks of a month from Monday; None for a day of another month."""
    rows = calendar.Calendar().monthdatescalendar(first.year, first.month)
    return [[day if day.month == first.month else None for day in week] for week in rows]


# ------------------------------------------------------------------------------------------ search


def wanted(asked: str) -> str:
    """What a question looks for: its words without those that only carry it, such as "when did I last write about"."""
    kept = re.findall(r"[\w'’-]+", asked)
    bare = [word for word in kept if word.lower().replace("’", "'") not in words.carriers()]
    return " ".join(bare or kept)


def parts(asked: str) -> str:
    """What to look for inside of words: the looked for words, cut to what forms of one word have in common."""
    return " ".join(word if len(word) < 6 else word[:-2] for word in wanted(asked).split() if len(word) > 1)


def passage(marked: str, looked_for: str) -> list[tuple[str, bool]]:
    """The sentence around the first hit, in pieces: the words, and whether they are a hit."""
    sentences = [sentence.strip() for sentence in _SENTENCE_END.split(marked) if sentence.strip()]
    if HIT not in marked:
        sentences = [_mark(sentence, looked_for) for sentence in sentences]
    hit = next((sentence for sentence in sentences if HIT in sentence), sentences[0] if sentences else "")
    if len(hit) > SENTENCE_LIMIT:
        start = max(0, hit.find(HIT) - SENTENCE_LIMIT // 2)
        start = hit.find(" ", start) + 1 if start else 0
        end = start + SENTENCE_LIMIT
        hit = ("…" if start else "") + hit[start:end] + ("…" if end < len(hit) else "")
    pieces: list[tuple[str, bool]] = []
    for place, piece in enumerate(re.split(f"[{HIT}{HIT_END}]", hit)):
        if piece:
            pieces.append((piece, place % 2 == 1))
    return pieces


def _mark(sentence: str, looked_for: str) -> str:
    for word in looked_for.split():
        place = sentence.casefold().find(word.casefold())
        if place >= 0 and len(sentence.casefold()) == len(sentence):
            end = place + len(word)
            return f"{sentence[:place]}{HIT}{sentence[place:end]}{HIT_END}{sentence[end:]}"
    return sentence


# -------------------------------------------------------------------------------------- reflection


def shortened(text: str, most: int) -> str:
    """The text, or as much of its beginning as so many tokens hold."""
    count = tokens.count(text)
    while count > most:
        text = text[: int(len(text) * most / count * 0.98)].rstrip() + "…"
        count = tokens.count(text)
    return text


def true_quotes(draft: LookBack, entries: Sequence[Entry]) -> list[Quote]:
    """Those quotes that stand in the entry they are said to be from, word for word, in the entry's own spelling."""
    quotes: list[Quote] = []
    for claimed in draft.quotes:
        if not 1 <= claimed.entry <= len(entries):
            continue
        entry = entries[claimed.entry - 1]
        found = standing(claimed.words, entry)
        if found is not None and all(found != quote.words for quote in quotes):
            quotes.append(Quote(entry_id=entry.id, date=entry.date, words=found))
    return quotes


def standing(claimed: str, entry: Entry) -> str | None:
    """The words as they stand in the entry, with white space collapsed; None where they do not."""
    plain = " ".join(claimed.split()).strip("\"'“”„«»… ")
    if len(plain) < 3:
        return None
    for text in (entry.title or "", entry.content, *(recording.transcript for recording in entry.audio_recordings)):
        if re.search(rf"(?<!\w){re.escape(plain)}(?!\w)", " ".join(text.split())):
            return plain
    return None


def honest(text: str, entries: Sequence[Entry]) -> str:
    """The text with the marks taken off what it quotes though nobody wrote it."""
    return _QUOTED.sub(
        lambda quoted: quoted[0] if any(standing(quoted[1], entry) for entry in entries) else quoted[1], text
    )
