"""/memory: every fact with where it comes from, to correct or to forget; pause, start over, forget it all."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, tzinfo
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import BlockQuote, Bold, ExpandableBlockQuote, Italic, Text

from bot.ai import tokens
from bot.config import Settings
from bot.errors import NotFound
from bot.services import memory as service
from bot.services import recall
from bot.services.work import Work
from handlers import care, home, memory_reading, price_tag, start
from handlers.conversations import TurnTap
from handlers.journal import EntryTap
from handlers.screen import Screen, button, passing, show, shown
from handlers.vision import VisionTap
from handlers.waiting import Waiting
from prompts import replies
from prompts.categories import CATEGORIES
from storage import conversations, memory, people, vision
from storage import recall as found
from storage.database import Transaction
from storage.memory import Fact, NewFact, Place, Said
from storage.people import Account

WORDS = replies.of("memory")
PAGE = 5
DIGESTS_PAGE = 4
MOST_CORRECTION = service.MOST_FACT_CHARACTERS

LABELS = {category.key: f"{category.icon} {category.short}" for category in CATEGORIES}

router = Router(name="memory")


class MemoryTap(CallbackData, prefix="memory"):
    """A step with the whole: list, digests (with their page), pause, resume, read, over, overnow, wipe, wipenow."""

    step: str
    page: int = 0


class FactTap(CallbackData, prefix="fact"):
    """A step with a fact: open, correct, forget, gone; source."""

    step: str
    id: uuid.UUID


class LeaveOutTap(CallbackData, prefix="leave_out"):
    """Leave what was said at this place out of all that VIVA remembers."""

    id: uuid.UUID


class DigestTap(CallbackData, prefix="digest"):
    """Take out a digest, from this page of them."""

    id: uuid.UUID
    page: int


# ----------------------------------------------------------------------------------------- screens


async def list_screen(db: Transaction, user: Account, *, page: int = 0) -> Screen:
    """A page of facts, the latest said first, each with where it comes from."""
    zone = user.zone
    state = await memory.state(db)
    number = await memory.count(db)
    page = min(max(page, 0), max(0, number - 1) // PAGE)
    facts = await memory.facts(db, limit=PAGE, skip=PAGE * page)
    parts: list[Any] = [Bold(WORDS("title")), "\n\n", WORDS("how") if number else WORDS("empty")]
    for place, fact in enumerate(facts, PAGE * page + 1):
        parts += ["\n\n", Bold(f"{place}. "), fact.text, "\n", Italic(_origin(fact, zone))]
    if state.paused_at is not None:
        parts += ["\n\n", Italic(WORDS("is_paused", day=_day(state.paused_at.astimezone(zone))))]
    elif user.consented_at is None:
        parts += ["\n\n", Italic(WORDS("no_consent"))]
    rows: list[list[InlineKeyboardButton]] = []
    if facts:
        rows.append(
            [button(str(place), FactTap(step="open", id=fact.id)) for place, fact in enumerate(facts, PAGE * page + 1)]
        )
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), MemoryTap(step="list", page=page - 1)))
    if PAGE * (page + 1) < number:
        turns.append(button(WORDS("older"), MemoryTap(step="list", page=page + 1)))
    rows += [turns] if turns else []
    if state.unread_tokens and state.paused_at is None:
        rows.append([button(WORDS("read"), MemoryTap(step="read"))])
    step = "resume" if state.paused_at is not None else "pause"
    pause = button(WORDS(step), MemoryTap(step=step))
    if number or await memory.all_digests(db, limit=1, skip=0):
        rows.append([button(WORDS("digests"), MemoryTap(step="digests")), pause])
        rows.append([button(WORDS("over"), MemoryTap(step="over")), button(WORDS("wipe"), MemoryTap(step="wipe"))])
    else:
        rows.append([pause])
    return Screen(text=Text(*parts), rows=[*rows, [home.back()]])


def _origin(fact: Fact, zone: tzinfo) -> str:
    said = WORDS(f"from_{fact.source_kind}", day=_day(fact.said_at.astimezone(zone)))
    label = LABELS.get(fact.category or "")
    return f"{label}, {said}" if label else said


def _day(day: date | datetime) -> str:
    return f"{day.day} {day:%B %Y}"


async def fact_screen(db: Transaction, user: Account, fact: Fact) -> Screen:
    """A fact with its words, since when it holds, and what it took the place of."""
    zone = user.zone
    parts: list[Any] = [Bold(fact.text), "\n\n", Italic(_origin(fact, zone)), "\n", ExpandableBlockQuote(fact.quote)]
    parts += ["\n\n", WORDS("since", day=_day(fact.valid_from))]
    if fact.valid_to is not None:
        parts += ["\n", WORDS("until", day=_day(fact.valid_to))]
    if fact.said_again:
        times = len(fact.said_again)
        parts += ["\n", WORDS("again_one" if times == 1 else "again_many", count=times)]
    before = await memory.replaced(db, fact.id)
    for older in before:
        until = _day(older.valid_to or older.valid_from)
        parts += ["\n\n", Italic(WORDS("before", since=_day(older.valid_from), until=until)), "\n", older.text]
    rows = []
    if fact.source_kind != "correction":
        rows.append([button(WORDS("source"), FactTap(step="source", id=fact.id))])
    if fact.valid_to is None:
        rows.append([button(WORDS("correct"), FactTap(step="correct", id=fact.id))])
    rows[-1:] = [[*(rows[-1] if rows else []), button(WORDS("forget"), FactTap(step="forget", id=fact.id))]]
    for place, older in enumerate(before[:3], 1):
        rows.append([button(WORDS("open_before", place=place), FactTap(step="open", id=older.id))])
    return Screen(text=Text(*parts), rows=[*rows, _back()])


def _back() -> list[InlineKeyboardButton]:
    return [button(WORDS("memory"), MemoryTap(step="list")), home.back()]


# ------------------------------------------------------------------------------------ looking around


@router.message(Command("memory"))
async def on_memory(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Show what VIVA remembers."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, user))


@router.callback_query(home.OpenTap.filter(F.feature == "memory"))
async def on_open(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show what VIVA remembers in place."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, user), tap=tap)


@router.callback_query(MemoryTap.filter(F.step == "digests"))
async def on_digests(tap: CallbackQuery, callback_data: MemoryTap, user: Account, db: Transaction, work: Work) -> None:
    """Show what VIVA summed up, the newest first."""
    show(work, await digests_screen(db, user, page=callback_data.page), tap=tap)


@router.callback_query(DigestTap.filter())
async def on_digest_taken_out(
    tap: CallbackQuery, callback_data: DigestTap, user: Account, db: Transaction, work: Work
) -> None:
    """Take out what a digest says, for good."""
    await memory.empty_digest(db, callback_data.id)
    show(work, await digests_screen(db, user, page=callback_data.page), tap=tap)


async def digests_screen(db: Transaction, user: Account, *, page: int) -> Screen:
    """A page of what VIVA summed up, the newest first; each can be taken out."""
    page = min(max(0, page), 10_000)
    zone = user.zone
    told = await memory.all_digests(db, limit=DIGESTS_PAGE + 1, skip=DIGESTS_PAGE * page)
    if page and not told:
        return await digests_screen(db, user, page=page - 1)
    parts: list[Any] = [Bold(WORDS("digests_title")), "\n\n", WORDS("digests_how" if told else "digests_empty")]
    out = []
    for place, digest in enumerate(told[:DIGESTS_PAGE], DIGESTS_PAGE * page + 1):
        first, last = _day(digest.covers_from.astimezone(zone)), _day(digest.covers_to.astimezone(zone))
        key = "digest_talk_day" if digest.kind == "talk" and first == last else f"digest_{digest.kind}"
        parts += ["\n\n", Bold(f"{place}. {WORDS(key, first=first, last=last)}"), "\n", digest.text]
        out.append(button(WORDS("digest_out", place=place), DigestTap(id=digest.id, page=page)))
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), MemoryTap(step="digests", page=page - 1)))
    if len(told) > DIGESTS_PAGE:
        turns.append(button(WORDS("older"), MemoryTap(step="digests", page=page + 1)))
    rows = [out[:2], out[2:], turns, _back()]
    return Screen(text=Text(*parts), rows=[row for row in rows if row])


# -------------------------------------------------------------------------------------- one fact


async def _theirs(db: Transaction, tapped: FactTap) -> Fact:
    fact = await memory.fact(db, tapped.id)
    if fact is None:
        raise NotFound(WORDS("gone"))
    return fact


@router.callback_query(FactTap.filter(F.step == "source"))
async def on_source(tap: CallbackQuery, callback_data: FactTap, user: Account, db: Transaction, work: Work) -> None:
    """Lead to where the person said it."""
    fact = await _theirs(db, callback_data)
    to: CallbackData | None = None
    if fact.source_kind == "entry":
        to = EntryTap(id=fact.source_id)
    elif fact.source_kind == "turn" and await conversations.turn(db, fact.source_id) is not None:
        to = TurnTap(id=fact.source_id)
    elif fact.source_kind == "imagination":
        proposal = await vision.proposal(db, fact.source_id)
        to = VisionTap(step="open", key=proposal.section_key) if proposal is not None else None
    words = WORDS(f"from_{fact.source_kind}", day=_day(fact.said_at.astimezone(user.zone)))
    rows = [[button(WORDS("open_it"), to)]] if to is not None else []
    text = Text(Bold(words), "\n\n", ExpandableBlockQuote(fact.quote))
    show(
        work,
        Screen(text=text, rows=[*rows, [button(WORDS("to_fact"), FactTap(step="open", id=fact.id))], _back()]),
        tap=tap,
    )


@router.callback_query(FactTap.filter(F.step == "correct"))
async def on_correct(tap: CallbackQuery, callback_data: FactTap, db: Transaction, work: Work) -> None:
    """Ask how it is."""
    fact = await _theirs(db, callback_data)
    await people.wait_for(db, {"kind": "fact", "fact": str(fact.id)})
    leave = button(WORDS("leave"), FactTap(step="open", id=fact.id))
    text = Text(Bold(fact.text), "\n\n", WORDS("ask_correct"))
    show(work, Screen(text=text, rows=[[leave], _back()]), tap=tap)


@router.message(Waiting("fact"), F.text, ~F.text.startswith("/"))
async def on_corrected(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep the person's own wording; what stood there before stays as its history."""
    words = " ".join((message.text or "").replace("\0", "").split())
    fact = await memory.fact(db, uuid.UUID(waiting["fact"]))
    if fact is None or fact.valid_to is not None:
        await people.wait_for(db, None)
        raise SkipHandler  # nothing is there to be corrected any more: the words are taken as talk
    await care.speak_up(work, db, user, words)
    if not words or len(words) > MOST_CORRECTION:
        leave = [button(WORDS("leave"), MemoryTap(step="list"))]
        show(work, Screen(text=WORDS("too_long", most=MOST_CORRECTION), rows=[leave]))
        return
    await people.wait_for(db, None)
    now = datetime.now(UTC)
    said = Said(kind="correction", id=fact.id, quote=words, said_at=now)
    new = NewFact(
        text=words,
        category=fact.category,
        valid_from=now.astimezone(user.zone).date(),
        confidence=1.0,
        said=said,
        tokens=tokens.count(words),
        replaces=[fact.id],
    )
    kept = await memory.fact(db, await memory.keep(db, new))
    assert kept is not None
    show(work, await fact_screen(db, user, kept))


@router.callback_query(FactTap.filter(F.step == "forget"))
async def on_forget(tap: CallbackQuery, callback_data: FactTap, db: Transaction, work: Work) -> None:
    """Say what forgetting does, and ask once more."""
    fact = await _theirs(db, callback_data)
    rows = [
        [button(WORDS("forget_yes"), FactTap(step="gone", id=fact.id), style="danger")],
        [button(WORDS("leave"), FactTap(step="open", id=fact.id))],
    ]
    show(work, Screen(text=Text(Bold(fact.text), "\n\n", WORDS("forget_question")), rows=rows), tap=tap)


@router.callback_query(FactTap.filter(F.step == "gone"))
async def on_gone(tap: CallbackQuery, callback_data: FactTap, user: Account, db: Transaction, work: Work) -> None:
    """Forget the fact, and its words wherever VIVA would find them again."""
    fact = await memory.fact(db, callback_data.id)
    parts: list[Any] = [WORDS("forgotten")]
    rows = []
    if fact is not None:
        likely = await recall.elsewhere(db, fact, without=[fact.source_id, *(each.id for each in fact.said_again)])
        await _forget(db, fact)
        await memory_reading.read_if_due(work, db, digests_only=True)
        still = await found.passages(db, [passage.id for passage in likely])
        about = service.telling(f"{fact.text} {fact.quote}")
        # Where what was forgotten has just been taken out, nothing of it may be left.
        likely = [
            one
            for one in likely
            if one.id in still and (still[one.id].text == one.text or about & service.telling(still[one.id].text))
        ]
        for place, passage in enumerate(likely, 1):
            words, _ = recall.excerpt(still[passage.id], fact.text)
            parts += ["\n\n", WORDS("elsewhere"), "\n"] if place == 1 else []
            said = WORDS(f"from_{passage.source_kind}", day=_day(passage.said_at.astimezone(user.zone)))
            parts += ["\n", Bold(f"{place}. "), Italic(said), "\n", BlockQuote(words)]
            rows.append([button(WORDS("leave_out", place=place), LeaveOutTap(id=passage.source_id))])
    show(work, Screen(text=Text(*parts), rows=[*rows, _back()]), tap=tap)


@router.callback_query(LeaveOutTap.filter())
async def on_leave_out(tap: CallbackQuery, callback_data: LeaveOutTap, db: Transaction, work: Work) -> None:
    """Leave what was said at one place out of all that VIVA remembers; the screen with the others stays."""
    said = await memory.sources(db, [callback_data.id])
    # What was taken out of it before stands whole in the source itself: each part is left out for itself.
    parts = [(source.id, part.strip()) for source in said for part in source.text.split(service.LEFT_OUT)]
    await memory.leave_out(db, [Place(id=key, words=part) for key, part in parts if any(map(str.isalnum, part))])
    show(work, Screen(text=WORDS("left_out"), rows=[_back()]))


async def _forget(db: Transaction, fact: Fact) -> None:
    """Forget a fact with its history: where it was said, where VIVA echoed it, and the digests that tell of it."""
    await memory.lock(db)
    for one in (fact, *await memory.replaced(db, fact.id)):
        said = [(one.source_id, one.quote), *((each.id, each.quote) for each in one.said_again)]
        places = [Place(id=key, words=words) for key, words in said]
        for words in {one.text, one.quote}:
            longest = max(service.telling(words), key=len, default="")
            for line in await memory.said_with(db, longest) if longest else ():
                if line.speaker == "viva":
                    if service.echoes(line.text, words):
                        places.append(Place(id=line.id, words=line.text))
                else:
                    places += [Place(id=line.id, words=part) for part in service.sentences_with(line.text, words)]
        await memory.forget(db, one.id, places)
    told = await memory.all_digests(db, limit=1_000, skip=0)
    telling = [digest.id for digest in told if service.echoes(digest.text, fact.text)]
    await memory.drop_digests(db, telling)


@router.callback_query(FactTap.filter())
async def on_fact(tap: CallbackQuery, callback_data: FactTap, user: Account, db: Transaction, work: Work) -> None:
    """Open a fact."""
    await people.wait_for(db, None)
    show(work, await fact_screen(db, user, await _theirs(db, callback_data)), tap=tap)


# ------------------------------------------------------------------------------------- the whole


@router.callback_query(MemoryTap.filter(F.step.in_({"pause", "resume"})))
async def on_pause(tap: CallbackQuery, callback_data: MemoryTap, user: Account, db: Transaction, work: Work) -> None:
    """Keep nothing new in mind from now on, or go on."""
    await people.wait_for(db, None)
    await memory.pause(db, paused=callback_data.step == "pause")
    show(work, await list_screen(db, user), tap=tap)


@router.callback_query(MemoryTap.filter(F.step == "read"))
async def on_read(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Look through what was said since the last time, now."""
    await people.wait_for(db, None)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    state = await memory.state(db)
    if not state.unread_tokens or state.paused_at is not None:
        show(work, await list_screen(db, user), tap=tap)
        return
    key = passing(work, Screen(text=WORDS("reading"), rows=[_back()]), tap=tap)
    memory_reading.read_now(work, once=shown(tap), key=key)


@router.callback_query(MemoryTap.filter(F.step == "over"))
async def on_over(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Say what it takes to draw everything anew."""
    await people.wait_for(db, None)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    characters = await memory.characters(db)
    low, high = service.cost_of_all(characters)
    tag = await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("over_what"),
        low=low,
        high=high,
        go_on=MemoryTap(step="overnow"),
        back=_back(),
    )
    show(work, tag, tap=tap)


@router.callback_query(MemoryTap.filter(F.step == "overnow"))
async def on_over_now(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Draw facts and digests anew from the person's words."""
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    key = passing(work, Screen(text=WORDS("reading_over"), rows=[_back()]), tap=tap)
    memory_reading.read_now(work, once=shown(tap), key=key, over=True)


@router.callback_query(MemoryTap.filter(F.step == "wipe"))
async def on_wipe(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Say what is forgotten and what stays, and ask once more."""
    rows = [
        [button(WORDS("wipe_yes"), MemoryTap(step="wipenow"), style="danger")],
        [button(WORDS("leave"), MemoryTap(step="list"))],
    ]
    show(work, Screen(text=WORDS("wipe_question"), rows=rows), tap=tap)


@router.callback_query(MemoryTap.filter(F.step == "wipenow"))
async def on_wipe_now(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Forget all that VIVA drew from the person's words."""
    await memory.forget_all(db)
    show(work, Screen(text=WORDS("wiped"), rows=[_back()]), tap=tap)


@router.callback_query(MemoryTap.filter())
async def on_list(tap: CallbackQuery, callback_data: MemoryTap, user: Account, db: Transaction, work: Work) -> None:
    """Show a page of facts in place."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, user, page=min(max(0, callback_data.page), 10_000)), tap=tap)
