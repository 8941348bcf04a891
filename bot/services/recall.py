"""Recall: what of all that a person said belongs beside the words they say now.

Found by words, by meaning and by time, each a list of its own; the lists are merged by reciprocal rank (Cormack,
Clarke and Büttcher 2009), which needs no common scale. Everything found is dated, and short.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, tzinfo

from bot.ai import tokens
from bot.services import chat
from prompts import chat as prompts
from prompts.categories import CATEGORIES
from storage import memory as facts_store
from storage import recall as store
from storage.conversations import Turn
from storage.database import Transaction
from storage.recall import Match, Passage

MOST = 5
"""Passages beside one message."""

LOOKED_AT = 12
"""Passages of each list."""

PASSAGE_TOKENS = 110
"""Tokens of one passage that a model is given."""

RANK_CONSTANT = 60

SAME_THEME = 0.34
"""The share of a message's telling words that makes a passage one about the same."""

LEAST_SHARED = 2
"""Words that two must share at least to be about the same."""

CALLBACK_AFTER = timedelta(days=6)
"""How long ago something must have been said to be worth naming with its day."""

WEEKS_LOOKED_AT = 10
MANY_WEEKS = 3
"""In so many different weeks the same has come up: another question is due."""


# ------------------------------------------------------------------------------------------- merging


def merged(*lists: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """The ids of all lists, the best first: each adds 1 / (60 + its place)."""
    scores: dict[uuid.UUID, float] = {}
    for ranked in lists:
        for place, key in enumerate(ranked, 1):
            scores[key] = scores.get(key, 0.0) + 1 / (RANK_CONSTANT + place)
    return sorted(scores, key=lambda key: (-scores[key], str(key)))


def worth_it(matches: Sequence[Match], *, words: int) -> list[uuid.UUID]:
    """The matches that share enough with what was asked to be about it; one word will do where few were said."""
    return [
        match.id
        for match in matches
        if match.share >= SAME_THEME / 2 and (match.shared >= LEAST_SHARED or match.share >= SAME_THEME or words <= 6)
    ]


# --------------------------------------------------------------------------------------------- time

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan",
            "february feb",
            "march",
            "april",
            "may",
            "june",
            "july",
            "august",
            "september sept",
            "october",
            "november",
            "december",
        ),
        1,
    )
    for name in names.split()
}
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SEASONS = {"spring": 3, "summer": 6, "autumn": 9, "fall": 9, "winter": 12}
_NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "a few": 3}
_AGO = re.compile(r"\b(\d{1,3}|a few|an?|one|two|three|four|five|six) (day|week|month|year)s? ago\b", re.I)
_SPAN = re.compile(r"\b(last|this|past) (week|month|year|night|weekend|" + "|".join((*_DAYS, *_SEASONS)) + r")\b", re.I)
_MONTH = re.compile(
    r"\b(?:in|since|during|last|of) ("
    + "|".join(_MONTHS)
    + r")\b(?: (?:of )?(\d{4}))?|\b("
    + "|".join(_MONTHS)
    + r") (\d{4})\b",
    re.I,
)
_ISO = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b")
_YEAR = re.compile(r"\bin (20\d\d)\b")
_YESTERDAY = re.compile(r"\b(the day before yesterday|yesterday|today|this morning)\b", re.I)


def time_in(text: str, *, now: datetime) -> tuple[datetime, datetime] | None:
    """The time that the words speak of, seen from `now` in the person's own zone; None where they name none."""
    today = now.date()
    days = _days_in(text, today)
    if days is None:
        return None
    first, after = days
    start = datetime(first.year, first.month, first.day, tzinfo=now.tzinfo)
    return start, datetime(after.year, after.month, after.day, tzinfo=now.tzinfo)


def _days_in(text: str, today: date) -> tuple[date, date] | None:
    if found := _ISO.search(text):
        try:
            day = date(int(found[1]), int(found[2]), int(found[3]))
        except ValueError:
            return None
        return day, day + timedelta(days=1)
    if found := _YESTERDAY.search(text):
        back = {"yesterday": 1, "the day before yesterday": 2}.get(found[1].lower(), 0)
        return today - timedelta(days=back), today - timedelta(days=back - 1)
    if found := _AGO.search(text):
        return _ago(found[1].lower(), found[2].lower(), today)
    if found := _MONTH.search(text):
        month = _MONTHS[(found[1] or found[3]).lower()]
        named = found[2] or found[4]
        year = (
            int(named) if named else today.year - (month > today.month or (month == today.month and "last" in found[0]))
        )
        return date(year, month, 1), _month_after(year, month)
    if found := _SPAN.search(text):
        return _span(found[1].lower(), found[2].lower(), today)
    if found := _YEAR.search(text):
        return date(int(found[1]), 1, 1), date(int(found[1]) + 1, 1, 1)
    return None


def _ago(number: str, unit: str, today: date) -> tuple[date, date]:
    count = _NUMBERS.get(number) or int(number)
    length = {"day": 1, "week": 7, "month": 30, "year": 365}[unit]
    middle = today - timedelta(days=min(count * length, 36_500))
    slack = timedelta(days={"day": 0, "week": 4, "month": 15, "year": 60}[unit])
    return middle - slack, middle + slack + timedelta(days=1)


def _span(which: str, unit: str, today: date) -> tuple[date, date]:
    monday = today - timedelta(days=today.weekday())
    if unit in _DAYS:
        back = (today.weekday() - _DAYS.index(unit)) % 7 or (7 if which != "this" else 0)
        return today - timedelta(days=back), today - timedelta(days=back - 1)
    if unit in _SEASONS:
        return _season(unit, today, current=which == "this")
    if unit == "night":
        return today - timedelta(days=1), today + timedelta(days=1)
    if unit == "weekend":
        saturday = monday + timedelta(days=5 if which == "this" else -2)
        return saturday, saturday + timedelta(days=2)
    if unit == "week":
        return (monday, monday + timedelta(days=7)) if which == "this" else (monday - timedelta(days=7), monday)
    if unit == "month":
        first = today.replace(day=1)
        if which == "this":
            return first, _month_after(today.year, today.month)
        return (first - timedelta(days=1)).replace(day=1), first
    year = today.year - (which != "this")
    return date(year, 1, 1), date(year + 1, 1, 1)


def _season(name: str, today: date, *, current: bool) -> tuple[date, date]:
    """The season of the northern half of the earth that began last; not the one that is, unless it is meant."""
    month = _SEASONS[name]
    year = today.year if date(today.year, month, 1) <= today else today.year - 1
    begins, ends = _season_of(year, month)
    if not current and begins <= today < ends:
        begins, ends = _season_of(year - 1, month)
    return begins, ends


def _season_of(year: int, month: int) -> tuple[date, date]:
    last = month + 2
    return date(year, month, 1), _month_after(year + (last > 12), last - 12 if last > 12 else last)


def _month_after(year: int, month: int) -> date:
    return date(year + (month == 12), month % 12 + 1, 1)


def category_in(text: str) -> str | None:
    """The area of life that the words name outright, such as "health" or "money"; None where none, or several."""
    named = {
        category.key
        for category in CATEGORIES
        if re.search(rf"\b(?:{category.key}|{re.escape(category.short.lower())})\b", text, re.I)
    }
    asks = re.search(r"\b(?:what|when|how|did|have|remember|told|said|wrote)\b", text, re.I)
    return named.pop() if len(named) == 1 and asks else None


# ------------------------------------------------------------------------------------- themes and weeks


@dataclass(frozen=True, kw_only=True)
class Theme:
    """How what is said now stands to what was said: the passage to name with its day, and in how many weeks it came."""

    callback: uuid.UUID | None
    weeks: int


def theme(matches: Sequence[Match], *, now: datetime) -> Theme:
    """Whether today's theme was met before. `matches` are found by the words of the message, the best first."""
    same = [match for match in matches if match.share >= SAME_THEME and match.shared > LEAST_SHARED]
    older = [match for match in same if now - match.said_at >= CALLBACK_AFTER]
    recent = [match for match in same if now - match.said_at <= timedelta(weeks=WEEKS_LOOKED_AT)]
    weeks = {match.said_at.astimezone(now.tzinfo).isocalendar()[:2] for match in recent}
    weeks.add(now.isocalendar()[:2])
    return Theme(callback=older[0].id if older else None, weeks=len(weeks) if recent else 0)


# ------------------------------------------------------------------------------------- said elsewhere

MOST_ELSEWHERE = 3


async def elsewhere(db: Transaction, fact: facts_store.Fact, *, without: Sequence[uuid.UUID]) -> list[Passage]:
    """Other places where the person may have spoken of what a fact says, the likeliest first; `without` are sources."""
    passed = [*without, fact.id]
    found = await store.by_words(db, f"{fact.text}\n{fact.quote}", limit=LOOKED_AT, without=passed)
    lists = [[match.id for match in found if match.share >= SAME_THEME and match.shared >= LEAST_SHARED]]
    if await store.has_vectors(db) and (known := await store.vector_of_fact(db, fact.id)) is not None:
        vector, model = known
        lists.append(await store.by_meaning(db, vector, model=model, limit=MOST_ELSEWHERE, without=passed))
    ranked = merged(*lists)
    passages = await store.passages(db, ranked)
    own = [passages[key] for key in ranked if key in passages and passages[key].source_kind != "fact"]
    return own[:MOST_ELSEWHERE]


# -------------------------------------------------------------------------------------- what is told


def excerpt(passage: Passage, words: str, *, most: int = PASSAGE_TOKENS) -> tuple[str, int]:
    """The passage, or the part of it around what it shares with `words`; and its tokens, counted where not known."""
    text = " ".join(passage.text.split())
    if passage.tokens is not None and passage.tokens <= most:
        return text, passage.tokens
    size = passage.tokens or tokens.count(text)
    if size <= most:
        return text, size
    asked = {word[:5] for word in re.findall(r"\w{4,}", words.casefold())}
    parts = re.split(r"(?<=[.!?…。])\s+", text)
    found = [sum(word[:5] in asked for word in re.findall(r"\w{4,}", part.casefold())) for part in parts]
    best = max(range(len(parts)), key=lambda place: found[place])
    first = last = best
    kept = parts[best]
    while True:
        grown = [place for place in (last + 1, first - 1) if 0 <= place < len(parts)]
        for place in grown:
            wider = " ".join(parts[min(first, place) : max(last, place) + 1])
            if tokens.count(wider) <= most - 4:
                first, last, kept = min(first, place), max(last, place), wider
                break
        else:
            break
    kept, _ = chat.clip(kept, most=most - 4)
    told = f"{'… ' if first else ''}{' '.join(kept.split())}{' …' if last + 1 < len(parts) else ''}"
    return told, tokens.count(told)


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What VIVA remembers whatever is said: the facts that hold, and the latest digests."""

    facts: Sequence[facts_store.Fact]
    remembered: chat.Remembered


async def standing(db: Transaction, *, zone: tzinfo | None, guide: str = "") -> Standing:
    """What VIVA remembers whatever is said, with days in the person's time zone."""
    facts = await facts_store.facts(db, limit=MOST_FACTS)
    talk = await facts_store.digests(db, kind="talk", limit=MOST_TALK_DIGESTS)
    weeks = await facts_store.digests(db, kind="week", limit=MOST_WEEK_DIGESTS)
    digests = sorted((*talk, *weeks), key=lambda digest: (digest.covers_to, digest.kind))
    remembered = chat.Remembered(
        facts=[
            chat.Line(f"{fact.text} (since {_day_of(fact.valid_from)})", fact.tokens + FACT_FRAME) for fact in facts
        ],
        digests=[
            chat.Line(
                f"{_day(digest.covers_from.astimezone(zone))} to "
                f"{_day((digest.covers_to - timedelta(seconds=1)).astimezone(zone))}: {digest.text}",
                digest.tokens + FACT_FRAME * 2,
            )
            for digest in digests
        ],
        guide=guide,
    )
    return Standing(facts=facts, remembered=remembered)


@dataclass(frozen=True, kw_only=True)
class Recollection:
    """What VIVA remembers for a turn, and which of it is worth a button: the most telling that was found."""

    remembered: chat.Remembered
    worth_opening: Sequence[Passage] = ()


MOST_FACTS = 60
MOST_TALK_DIGESTS, MOST_WEEK_DIGESTS = 3, 3

WHERE = {"turn": "told VIVA", "entry": "in the journal", "imagination": "imagining", "fact": "a fact"}


async def recollect(
    db: Transaction,
    *,
    asked: Turn,
    known: Standing,
    shown: Sequence[Turn],
    now: datetime,
    vector: Sequence[float] | None = None,
    vectors_of: str = "",
) -> Recollection:
    """What VIVA remembers for the answer to `asked`; what is `shown` word for word is not recalled besides.

    Except with its day: where the message names a time, or the same was spoken of before. `now` is in the person's
    time zone. `vector` is that of the message, by the model `vectors_of`.
    """
    told = [asked.id, *(fact.id for fact in known.facts)]
    passed = [*told, *(turn.id for turn in shown)]
    replying_to = asked.context.get("replying_to")
    words = f"{asked.message}\n{replying_to.get('text', '') if isinstance(replying_to, dict) else ''}"
    matches = await store.by_words(db, words, limit=LOOKED_AT * 6, without=told)
    beside = [match for match in matches if match.source_id not in set(passed)]
    lists = [worth_it(beside, words=len(words.split()))[:LOOKED_AT]]
    if vector is not None:
        lists.append(await store.by_meaning(db, vector, model=vectors_of, limit=LOOKED_AT, without=passed))
    span = time_in(asked.message, now=now)
    if span is not None:
        within = await store.by_words_within(db, words, since=span[0], until=span[1], limit=LOOKED_AT, without=told)
        # A time that was named weighs twice: once with the words, once by itself.
        lists.append([match.id for match in within])
        lists.append(await store.by_time(db, since=span[0], until=span[1], limit=LOOKED_AT, without=told))
    area = category_in(asked.message) or asked.context.get("category")
    if isinstance(area, str):
        lists.append((await store.by_category(db, area, limit=LOOKED_AT, without=passed))[:3])
    seen = theme(matches, now=now)
    ranked = merged(*lists)
    if span is not None:
        # Who names a time means what was then; the best of any other time keeps the last place.
        then = await store.said_within(db, ranked, since=span[0], until=span[1])
        inside = [key for key in ranked if key in then]
        outside = [key for key in ranked if key not in then]
        ranked = [*inside[: MOST - 1], *outside[:1], *inside[MOST - 1 :], *outside[1:]]
    if seen.callback is not None:
        ranked = [seen.callback, *(key for key in ranked if key != seen.callback)]
    found = await store.passages(db, ranked[: LOOKED_AT * 2])
    chosen = [found[key] for key in ranked if key in found][:MOST]
    recalled = []
    counted = {}
    for passage in chosen:
        text, size = excerpt(passage, words)
        if passage.tokens is None:
            counted[passage.id] = tokens.count(" ".join(passage.text.split()))
        head = f"{_day(passage.said_at.astimezone(now.tzinfo))}, {_where(passage)}: "
        recalled.append(chat.Line(f"{head}{text}", size + tokens.count(head)))
    await store.counted(db, counted)
    hints = []
    callback = found.get(seen.callback) if seen.callback else None
    if callback is not None:
        hints.append(prompts.callback(_day(callback.said_at.astimezone(now.tzinfo))))
    if seen.weeks >= MANY_WEEKS:
        hints.append(prompts.weeks(seen.weeks))
    remembered = replace(known.remembered, recalled=recalled, hints=hints)
    pointed = [*([callback] if callback else []), *(chosen[:2] if span is not None else [])]
    openable = {passage.id: passage for passage in pointed if passage.source_kind in ("entry", "turn")}
    return Recollection(remembered=remembered, worth_opening=list(openable.values())[:2])


FACT_FRAME = 12
"""Tokens of the day beside a fact, at most."""


def _day(moment: datetime) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _day_of(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _where(passage: Passage) -> str:
    if passage.source_kind == "imagination" and passage.categories:
        return f"imagining {passage.categories[0]}"
    return WHERE[passage.source_kind]
