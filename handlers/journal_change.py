"""Changing what is in the journal: words, transcripts, title and areas by hand, and an entry deleted."""

from __future__ import annotations

import uuid
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Code, Text

from bot.errors import NotFound
from bot.services import journal as service
from bot.services import recordings as sound
from bot.services import wallet
from bot.services.work import Work
from handlers import care, journal_suggest
from handlers.journal import (
    MOST_RECORDINGS,
    WORDS,
    StepTap,
    entry_screen,
    entry_text,
    found,
    list_screen,
    to_entry,
    to_list,
)
from handlers.journal_keep import SPLIT_BY_TELEGRAM, done_button
from handlers.screen import Screen, button, show
from handlers.waiting import MOST_IN_A_NAME, Waiting
from prompts.categories import CATEGORIES
from storage import journal, people
from storage.database import Transaction
from storage.journal import Entry
from storage.people import Account

SHOWN_TO_COPY = 3000
"""Characters of words that stand on the screen to be copied; longer ones are on the entry's own screen."""

router = Router(name="journal_change")


class FixTap(CallbackData, prefix="fix"):
    """Put a transcript right."""

    id: uuid.UUID
    place: int


class AreaTap(CallbackData, prefix="area"):
    """Put an entry under an area of life, or take it out."""

    id: uuid.UUID
    category: str


def change_screen(entry: Entry, user: Account) -> Screen:
    """Everything that can be changed in an entry."""

    def step(words: str, name: str) -> InlineKeyboardButton:
        return button(WORDS(words), StepTap(step=name, id=entry.id))

    rows = [
        [step("change_words" if entry.content else "change_no_words", "words"), step("change_day", "day")],
        [step("change_title" if entry.title else "change_no_title", "title"), step("change_areas", "areas")],
    ]
    rows += [
        [button(WORDS("fix", length=sound.length(recording.duration)), FixTap(id=entry.id, place=place))]
        for place, recording in enumerate(entry.audio_recordings[:MOST_RECORDINGS])
    ]
    if user.consented_at is not None and entry.words and not (entry.title and entry.categories):
        about = wallet.tokens(journal_suggest.about(entry))
        rows.append([button(WORDS("suggest", tokens=about), StepTap(step="suggest", id=entry.id))])
    rows.append([button(WORDS("delete"), StepTap(step="delete", id=entry.id), style="danger")])
    return Screen(text=entry_text(entry), rows=[*rows, [to_entry(entry.id), to_list()]])


@router.callback_query(StepTap.filter(F.step == "change"))
async def on_change(tap: CallbackQuery, callback_data: StepTap, user: Account, db: Transaction, work: Work) -> None:
    """Show what can be changed."""
    await people.wait_for(db, None)
    show(work, change_screen(await found(db, callback_data.id), user), tap=tap)


# ------------------------------------------------------------------------------------------- words


def _ask(entry: Entry, words: str, present: str, *more: InlineKeyboardButton) -> Screen:
    parts: list[Any] = [WORDS(words)]
    if present and len(present) <= SHOWN_TO_COPY:
        parts += ["\n\n", Code(present)]
    return Screen(text=Text(*parts), rows=[[*more, button(WORDS("leave_it"), StepTap(step="change", id=entry.id))]])


@router.callback_query(StepTap.filter(F.step == "words"))
async def on_words(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Take the next words in the place of the entry's."""
    entry = await found(db, callback_data.id)
    await people.wait_for(db, {"kind": "journal_words", "entry": str(entry.id)})
    show(work, _ask(entry, "words_ask", entry.content), tap=tap)


@router.callback_query(StepTap.filter(F.step == "title"))
async def on_title(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Take the next words as the entry's title."""
    entry = await found(db, callback_data.id)
    await people.wait_for(db, {"kind": "journal_title", "entry": str(entry.id)})
    none = [button(WORDS("no_title"), StepTap(step="no_title", id=entry.id))] if entry.title else []
    show(work, _ask(entry, "title_ask", entry.title or "", *none), tap=tap)


@router.callback_query(StepTap.filter(F.step == "no_title"))
async def on_no_title(tap: CallbackQuery, callback_data: StepTap, user: Account, db: Transaction, work: Work) -> None:
    """Take the title off."""
    entry = await found(db, callback_data.id)
    await people.wait_for(db, None)
    await journal.call(db, entry.id, None)
    show(work, change_screen(await found(db, entry.id), user), tap=tap)


@router.callback_query(FixTap.filter())
async def on_fix(tap: CallbackQuery, callback_data: FixTap, db: Transaction, work: Work) -> None:
    """Take the next words as what was said in a recording; until then the old ones stay."""
    entry = await found(db, callback_data.id)
    if not 0 <= callback_data.place < len(entry.audio_recordings):
        raise NotFound(WORDS("gone"))
    recording = entry.audio_recordings[callback_data.place]
    await people.wait_for(db, {"kind": "journal_fix", "entry": str(entry.id), "url": recording.url})
    show(work, _ask(entry, "fix_ask", recording.transcript), tap=tap)


async def _awaited(waiting: dict[str, Any], db: Transaction) -> Entry:
    """The entry that the words are for; where it is gone they go to whoever takes any words, so that they are kept."""
    await people.wait_for(db, None)
    entry = await journal.entry(db, uuid.UUID(str(waiting["entry"])))
    if entry is None:
        raise SkipHandler
    return entry


@router.message(Waiting("journal_words"), F.text, ~F.text.startswith("/"))
async def on_new_words(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Put the words in the place of the entry's."""
    entry, words = await _awaited(waiting, db), message.text or ""
    put = journal.add_words if waiting.get("more") else journal.put_words
    await put(db, entry.id, words)
    await care.speak_up(work, db, user, words)
    await _show_changed(entry, words, waiting, db, work)


async def _show_changed(entry: Entry, words: str, waiting: dict[str, Any], db: Transaction, work: Work) -> None:
    """Show the entry as it is now; where an app may have cut the words, take the next ones to the same place first."""
    if len(words) >= SPLIT_BY_TELEGRAM:
        await people.wait_for(db, waiting | {"more": True})
        show(work, Screen(text=WORDS("changed_long"), rows=[[done_button(entry)]]))
        return
    show(work, entry_screen(await found(db, entry.id), opening=WORDS("changed")))


@router.message(Waiting("journal_title"), F.text, ~F.text.startswith("/"))
async def on_new_title(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Give the entry the title; what is too long for one goes to whoever takes any words."""
    entry, words = await _awaited(waiting, db), message.text or ""
    if len(words) > MOST_IN_A_NAME:
        raise SkipHandler
    await care.speak_up(work, db, user, words)
    await journal.call(db, entry.id, service.title(words) or None)
    show(work, entry_screen(await found(db, entry.id), opening=WORDS("changed")))


@router.message(Waiting("journal_fix"), F.text, ~F.text.startswith("/"))
async def on_right_words(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Put the transcript right."""
    entry, words = await _awaited(waiting, db), message.text or ""
    recording = next((one for one in entry.audio_recordings if one.url == waiting["url"]), None)
    if recording is None:
        raise SkipHandler
    heard = f"{recording.transcript}\n\n{words}" if waiting.get("more") else words
    await journal.keep_recording(db, entry.id, recording.model_copy(update={"transcript": heard}))
    await care.speak_up(work, db, user, words)
    await _show_changed(entry, words, waiting, db, work)


# ------------------------------------------------------------------------------------------- areas


def areas_screen(entry: Entry) -> Screen:
    """The twelve areas, those of the entry marked."""
    buttons = [
        button(
            f"{'✓ ' if area.key in entry.categories else ''}{area.icon} {area.short}",
            AreaTap(id=entry.id, category=area.key),
        )
        for area in CATEGORIES
    ]
    rows = [buttons[i : i + 3] for i in range(0, len(buttons), 3)]
    return Screen(
        text=Text(WORDS("areas_ask"), "\n\n", Bold(entry.title or service.headline(entry.words, limit=120))),
        rows=[*rows, [button(WORDS("done"), StepTap(step="change", id=entry.id), style="success")]],
    )


@router.callback_query(StepTap.filter(F.step == "areas"))
async def on_areas(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Show the areas."""
    await people.wait_for(db, None)
    show(work, areas_screen(await found(db, callback_data.id)), tap=tap)


@router.callback_query(AreaTap.filter())
async def on_area(tap: CallbackQuery, callback_data: AreaTap, db: Transaction, work: Work) -> None:
    """Put the entry under the area, or take it out."""
    entry = await found(db, callback_data.id)
    chosen = {*entry.categories} ^ {callback_data.category}
    await journal.file_under(db, entry.id, [area.key for area in CATEGORIES if area.key in chosen])
    show(work, areas_screen(await found(db, entry.id)), tap=tap)


# ---------------------------------------------------------------------------------------- deleting


@router.callback_query(StepTap.filter(F.step == "delete"))
async def on_delete(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Ask whether the entry shall really go."""
    entry = await found(db, callback_data.id)
    rows = [
        [button(WORDS("delete_yes"), StepTap(step="sure", id=entry.id), style="danger")],
        [button(WORDS("delete_no"), StepTap(step="change", id=entry.id))],
    ]
    text = Text(
        WORDS("delete_ask", date=f"{entry.date:%d %B %Y}"), "\n\n", Bold(service.headline(entry.words, limit=120))
    )
    show(work, Screen(text=text, rows=rows), tap=tap)


@router.callback_query(StepTap.filter(F.step == "sure"))
async def on_sure(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Remove the entry, and its pictures and recordings from the media store."""
    entry = await found(db, callback_data.id)
    await people.wait_for(db, None)
    await journal.delete(db, entry.id)
    urls = [*entry.image_urls, *(recording.url for recording in entry.audio_recordings)]
    if urls:
        work.start("journal.tidy", {"urls": urls}, lane="journal")
    show(work, await list_screen(db, opening=WORDS("deleted")), tap=tap)
