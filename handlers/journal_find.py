"""Finding in the journal: a month of buttons, the day of an entry, and a search in words."""

from __future__ import annotations

import uuid
from datetime import date, timedelta
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command, CommandObject
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Text

from bot.errors import NotFound, NotNow
from bot.services import journal as service
from bot.services.work import Work
from handlers import care, journal_keep
from handlers.journal import (
    PAGE,
    WORDS,
    EntryTap,
    JournalTap,
    StepTap,
    entry_rows,
    entry_screen,
    found,
    to_list,
)
from handlers.screen import Screen, button, show
from handlers.waiting import Waiting
from storage import journal, journal_search, people
from storage.database import Transaction
from storage.journal import Entry
from storage.journal_search import Found, Way
from storage.people import Account

BLANK = "·"
"""A place in the calendar where no day is to be tapped; Telegram wants some text on every button."""

router = Router(name="journal_find")


class MonthTap(CallbackData, prefix="month"):
    """Show a month such as "2026-11"; with `entry`, to pick the day that the entry is of."""

    month: str
    entry: uuid.UUID | None = None


class DayTap(CallbackData, prefix="day"):
    """A day such as "2026-11-25": its entries, or with `entry` the day that the entry is of from now on."""

    day: str
    entry: uuid.UUID | None = None


class WriteTap(CallbackData, prefix="write"):
    """Write an entry of a day."""

    day: str


class HitsTap(CallbackData, prefix="hits"):
    """Another page of what was looked for last."""

    page: int


# ---------------------------------------------------------------------------------------- calendar


async def month_screen(db: Transaction, first: date, *, today: date, entry: Entry | None = None) -> Screen:
    """A month of buttons: days with entries are marked, and days to come are left out."""
    last = service.month_after(first) - timedelta(days=1)
    marked = await journal.days_with_entries(db, first, last)
    of = entry.id if entry is not None else None
    here = MonthTap(month=f"{first:%Y-%m}", entry=of)
    rows = [[button(name, here) for name in WORDS("weekdays").split()]]
    for week in service.weeks(first):
        row = []
        for day in week:
            if day is None or day > today:
                row.append(button(BLANK, here))
            else:
                name = f"•{day.day}" if day in marked else str(day.day)
                row.append(
                    button(name, DayTap(day=day.isoformat(), entry=of), style="primary" if day == today else None)
                )
        if any(name.text != BLANK for name in row):
            rows.append(row)
    turns = [button(f"‹ {service.month_before(first):%b %Y}", _month(service.month_before(first), of))]
    if service.month_after(first) <= today:
        turns.append(button(f"{service.month_after(first):%b %Y} ›", _month(service.month_after(first), of)))
    if entry is None:
        return Screen(
            text=Text(Bold(f"{first:%B %Y}"), "\n\n", WORDS("calendar_how")), rows=[*rows, turns, [to_list()]]
        )
    quick = [
        button(WORDS("today"), DayTap(day=today.isoformat(), entry=of)),
        button(WORDS("yesterday"), DayTap(day=(today - timedelta(days=1)).isoformat(), entry=of)),
    ]
    text = Text(WORDS("day_ask", date=f"{entry.date:%d %B %Y}"), "\n\n", Bold(f"{first:%B %Y}"))
    leave = [button(WORDS("leave_it"), StepTap(step="change", id=entry.id))]
    return Screen(text=text, rows=[quick, *rows, turns, leave])


def _month(first: date, entry_id: uuid.UUID | None) -> MonthTap:
    return MonthTap(month=f"{first:%Y-%m}", entry=entry_id)


@router.callback_query(JournalTap.filter(F.step == "calendar"))
async def on_calendar(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show this month."""
    await people.wait_for(db, None)
    today = await people.today(db)
    show(work, await month_screen(db, today.replace(day=1), today=today), tap=tap)


@router.callback_query(StepTap.filter(F.step == "day"))
async def on_change_day(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Let the person pick the day that an entry is of."""
    await people.wait_for(db, None)
    entry = await found(db, callback_data.id)
    show(work, await month_screen(db, entry.date.replace(day=1), today=await people.today(db), entry=entry), tap=tap)


@router.callback_query(MonthTap.filter())
async def on_month(tap: CallbackQuery, callback_data: MonthTap, db: Transaction, work: Work) -> None:
    """Show another month."""
    first = service.month_of(callback_data.month)
    if first is None:
        raise NotFound(WORDS("no_day"))
    entry = await found(db, callback_data.entry) if callback_data.entry is not None else None
    show(work, await month_screen(db, first, today=await people.today(db), entry=entry), tap=tap)


@router.callback_query(DayTap.filter())
async def on_day(tap: CallbackQuery, callback_data: DayTap, db: Transaction, work: Work) -> None:
    """Show a day, or make an entry one of that day."""
    day = await _day(callback_data.day, db)
    if callback_data.entry is not None:
        entry = await found(db, callback_data.entry)
        await journal.move_to(db, entry.id, day)
        show(work, entry_screen(await found(db, entry.id), opening=WORDS("changed")), tap=tap)
        return
    entries = await journal.between(db, day, day)
    if len(entries) == 1:
        show(work, entry_screen(entries[0]), tap=tap)
        return
    text = Text(Bold(f"{day:%A, %d %B %Y}"), "\n\n", WORDS("day_some" if entries else "day_none"))
    ways = [button(WORDS("calendar"), MonthTap(month=f"{day:%Y-%m}")), to_list()]
    write = [button(WORDS("write_then"), WriteTap(day=day.isoformat()))]
    show(work, Screen(text=text, rows=[*entry_rows(entries[:20]), write, ways]), tap=tap)


@router.callback_query(WriteTap.filter())
async def on_write(tap: CallbackQuery, callback_data: WriteTap, db: Transaction, work: Work) -> None:
    """Take the next words as an entry of the day."""
    await journal_keep.write_for(await _day(callback_data.day, db), tap, db, work)


async def _day(text: str, db: Transaction) -> date:
    """The day that a tap names; raises NotFound where it is none, or is yet to come."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise NotFound(WORDS("no_day")) from None
    if not date(1900, 1, 1) <= day <= await people.today(db):
        raise NotFound(WORDS("no_day"))
    return day


# ------------------------------------------------------------------------------------------ search


@router.message(Command("journal", magic=F.args.regexp(r"(?is)^search\s+\S")))
async def on_search_command(
    message: Message, command: CommandObject, user: Account, db: Transaction, work: Work
) -> None:
    """Look for the words behind "/journal search"."""
    await _search((command.args or "").split(maxsplit=1)[1], user, db, work)


@router.callback_query(JournalTap.filter(F.step == "search"))
async def on_search(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Take the next words as what to look for."""
    await people.wait_for(db, {"kind": "journal_search"})
    show(work, Screen(text=WORDS("search_prompt"), rows=[[to_list()]]), tap=tap)


@router.message(Waiting("journal_search"), F.text, ~F.text.startswith("/"))
async def on_asked(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Look for the words."""
    await _search(message.text or "", user, db, work)


async def _search(asked: str, user: Account, db: Transaction, work: Work) -> None:
    await care.speak_up(work, db, user, asked)
    asked = asked[:300]
    # Nobody waits for this kind: it only keeps what was asked, for the next page.
    await people.wait_for(db, {"kind": "journal_found", "asked": asked})
    show(work, await hits_screen(db, asked))


@router.callback_query(HitsTap.filter())
async def on_hits(tap: CallbackQuery, callback_data: HitsTap, user: Account, db: Transaction, work: Work) -> None:
    """Show another page of what was found."""
    waiting = user.waiting_for or {}
    if waiting.get("kind") != "journal_found":
        raise NotNow(WORDS("search_over"))
    page = min(max(0, callback_data.page), 10_000)
    show(work, await hits_screen(db, str(waiting["asked"]), page=page), tap=tap)


async def hits_screen(db: Transaction, asked: str, *, page: int = 0) -> Screen:
    """Entries that hold what was asked for, dated, newest first, each with the sentence around the hit."""
    hits, way, looked_for = await _hits(db, asked, page=page)
    ways = [button(WORDS("search_again"), JournalTap(step="search")), to_list()]
    parts: list[Any] = [WORDS("search_title"), " ", Bold(service.headline(asked, limit=80)), "\n\n"]
    if not hits:
        return Screen(text=Text(*parts, WORDS("search_none")), rows=[ways])
    total = hits[0].total
    day = f"{hits[0].date:%d %B %Y}"
    if page == 0:
        parts.append(WORDS("search_one", date=day) if total == 1 else WORDS("search_many", count=total, date=day))
        if way == "some":
            parts += ["\n", WORDS("search_some")]
    rows = []
    for number, hit in enumerate(hits, start=PAGE * page + 1):
        parts += ["\n\n", Bold(f"{number}. {hit.date:%d %B %Y}"), "\n"]
        parts += [Bold(piece) if is_hit else piece for piece, is_hit in service.passage(hit.words, looked_for)]
        rows.append([button(f"{number}.  {hit.date:%d %b %Y}", EntryTap(id=hit.id))])
    turns: list[InlineKeyboardButton] = []
    if page > 0:
        turns.append(button(WORDS("newer"), HitsTap(page=page - 1)))
    if total > PAGE * (page + 1):
        turns.append(button(WORDS("older"), HitsTap(page=page + 1)))
    return Screen(text=Text(*parts), rows=[*rows, *([turns] if turns else []), ways])


async def _hits(db: Transaction, asked: str, *, page: int) -> tuple[list[Found], Way, str]:
    """What was found in the strictest way that finds anything, that way, and the words it looked for."""
    language = await journal_search.language(db)
    wanted, parts = service.wanted(asked), service.parts(asked)
    ways: tuple[tuple[Way, str], ...] = (("all", wanted), ("part", parts), ("some", wanted))
    for way, words in ways:
        if not words:
            continue
        hits = await journal_search.search(db, words, language=language, way=way, limit=PAGE, skip=PAGE * page)
        if not hits and page:
            # The last page may have gone meanwhile.
            hits = await journal_search.search(db, words, language=language, way=way, limit=PAGE)
        if hits:
            return hits, way, words
    return [], "all", wanted
