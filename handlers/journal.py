"""The journal as it is read: the list, an entry, its pictures and recordings once more."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import Any

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.errors import NotFound
from bot.services import journal as service
from bot.services import photos
from bot.services import recordings as sound
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home
from handlers.screen import Screen, button, show
from prompts import replies
from prompts.categories import category
from storage import journal, people
from storage.database import Transaction
from storage.journal import Entry
from storage.people import Account

WORDS = replies.of("journal")
PAGE = 5
ALBUM = 10
"""Photos in one album (Telegram limit)."""

MOST_RECORDINGS = 30
"""Recordings of an entry that have a button; a keyboard holds 100 (Telegram limit)."""

router = Router(name="journal")


class JournalTap(CallbackData, prefix="journal"):
    """The journal as a whole: a page of the "list", or "write", "search", "weekly"."""

    step: str
    page: int = 0


class EntryTap(CallbackData, prefix="entry"):
    """Open an entry."""

    id: uuid.UUID


class StepTap(CallbackData, prefix="j"):
    """Something to do with an entry: "change", "add", "done", "pictures", "words", "delete" ..."""

    step: str
    id: uuid.UUID


class HearTap(CallbackData, prefix="hear"):
    """Write down a recording of an entry that was not written down."""

    id: uuid.UUID
    place: int


class PlayTap(CallbackData, prefix="play"):
    """Play a recording of an entry."""

    id: uuid.UUID
    place: int


# ----------------------------------------------------------------------------------------- screens


async def list_screen(db: Transaction, *, page: int = 0, opening: str | None = None) -> Screen:
    """A page of entries, newest first; `opening` comes before everything else."""
    entries = await journal.latest(db, limit=PAGE + 1, skip=PAGE * page)
    rows = entry_rows(entries[:PAGE])
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), JournalTap(step="list", page=page - 1)))
    if len(entries) > PAGE:
        turns.append(button(WORDS("older"), JournalTap(step="list", page=page + 1)))
    ways = [
        button(WORDS("calendar"), JournalTap(step="calendar")),
        button(WORDS("search"), JournalTap(step="search")),
    ]
    return Screen(
        text=Text(
            *((opening, "\n\n") if opening else ()),
            Bold(WORDS("title")),
            "\n\n",
            WORDS("how"),
            *(() if entries else ("\n\n", WORDS("empty"))),
        ),
        rows=[
            *rows,
            *([turns] if turns else []),
            [button(WORDS("write"), JournalTap(step="write"), style="success")],
            *([ways] if entries else []),
            [button(WORDS("weekly"), JournalTap(step="weekly")), home.back()],
        ],
    )


def entry_rows(entries: list[Entry]) -> list[list[InlineKeyboardButton]]:
    """A button for each entry."""
    return [[button(label(entry), EntryTap(id=entry.id))] for entry in entries]


def label(entry: Entry) -> str:
    """An entry on a button: its day and how it begins."""
    words = entry.title or entry.words
    if not words and entry.audio_recordings:
        words = WORDS("recording", length=sound.length(entry.audio_recordings[0].duration))
    if not words and entry.image_urls:
        words = pictures(entry)
    recent = datetime.now(UTC).date() - entry.date < timedelta(days=300)
    return f"{entry.date:{'%d %b' if recent else '%d %b %Y'}}  {service.headline(words or WORDS('no_words'))}"


def pictures(entry: Entry) -> str:
    """How many pictures there are in an entry, in words."""
    count = len(entry.image_urls)
    return WORDS("photos_one") if count == 1 else WORDS("photos_many", count=count)


def entry_text(entry: Entry) -> Text:
    """An entry with everything in it, transcripts in expandable quotes."""
    parts: list[Any] = [Bold(entry.title), "\n"] if entry.title else []
    day = f"{entry.date:%A, %d %B %Y}"
    parts.append(Italic(day) if entry.title else Bold(day))
    if entry.categories:
        areas = [category(key) for key in entry.categories]
        parts += ["\n", "  ".join(f"{area.icon} {area.short}" for area in areas)]
    if entry.content:
        parts += ["\n\n", entry.content]
    if entry.image_urls:
        parts += ["\n\n", Italic(pictures(entry))]
    for recording in entry.audio_recordings:
        heard = "recording" if recording.transcript else "recording_unheard"
        parts += ["\n\n", Italic(WORDS(heard, length=sound.length(recording.duration)))]
        if recording.transcript:
            parts += ["\n", ExpandableBlockQuote(recording.transcript)]
    return Text(*parts)


def entry_screen(entry: Entry, *, opening: str | None = None) -> Screen:
    """An entry and what can be done with it; `opening` comes before it."""
    rows: list[list[InlineKeyboardButton]] = []
    if entry.image_urls:
        rows.append([button(WORDS("show_pictures"), StepTap(step="pictures", id=entry.id))])
    for place, recording in enumerate(entry.audio_recordings[:MOST_RECORDINGS]):
        row = [button(WORDS("play", length=sound.length(recording.duration)), PlayTap(id=entry.id, place=place))]
        if not recording.transcript:
            row.append(button(WORDS("hear_again"), HearTap(id=entry.id, place=place)))
        rows.append(row)
    rows.append([button(WORDS("add"), StepTap(step="add", id=entry.id)), change_button(entry)])
    return Screen(
        text=Text(*((opening, "\n\n") if opening else ()), entry_text(entry)), rows=[*rows, [to_list(), home.back()]]
    )


def change_button(entry: Entry) -> InlineKeyboardButton:
    """The button to everything that can be changed in an entry."""
    return button(WORDS("change"), StepTap(step="change", id=entry.id))


def to_list() -> InlineKeyboardButton:
    """The button that leads to the journal."""
    return button(WORDS("journal"), JournalTap(step="list"))


def to_entry(entry_id: uuid.UUID) -> InlineKeyboardButton:
    """The button that leads to an entry."""
    return button(WORDS("open"), EntryTap(id=entry_id))


async def found(db: Transaction, entry_id: uuid.UUID) -> Entry:
    """The entry; raises NotFound where there is none of the person's."""
    entry = await journal.entry(db, entry_id)
    if entry is None:
        raise NotFound(WORDS("gone"))
    return entry


# ----------------------------------------------------------------------------------------- reading


@router.callback_query(home.OpenTap.filter(F.feature == "journal"))
async def on_open(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show the journal in place."""
    await people.wait_for(db, None)
    show(work, await list_screen(db), tap=tap)


@router.callback_query(JournalTap.filter(F.step == "list"))
async def on_page(tap: CallbackQuery, callback_data: JournalTap, db: Transaction, work: Work) -> None:
    """Show another page."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, page=min(max(0, callback_data.page), 10_000)), tap=tap)


@router.callback_query(EntryTap.filter())
async def on_entry(tap: CallbackQuery, callback_data: EntryTap, user: Account, db: Transaction, work: Work) -> None:
    """Open an entry."""
    if (user.waiting_for or {}).get("kind") != "journal_found":  # whoever opens a hit may turn to the next page after
        await people.wait_for(db, None)
    show(work, entry_screen(await found(db, callback_data.id)), tap=tap)


@router.callback_query(StepTap.filter(F.step == "pictures"))
async def on_pictures(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Show the pictures of an entry once more."""
    entry = await found(db, callback_data.id)
    work.start("journal.show", {"entry": str(entry.id), "urls": entry.image_urls}, lane="journal_show")


@router.callback_query(PlayTap.filter())
async def on_play(tap: CallbackQuery, callback_data: PlayTap, db: Transaction, work: Work) -> None:
    """Send a recording back, to be heard once more."""
    entry = await found(db, callback_data.id)
    if not 0 <= callback_data.place < len(entry.audio_recordings):
        raise NotFound(WORDS("gone"))
    urls = [entry.audio_recordings[callback_data.place].url]
    work.start("journal.show", {"entry": str(entry.id), "urls": urls}, lane="journal_show")


async def show_again(job: Job, doors: Doors) -> None:
    """Send what an entry holds: photos as albums, sound as voice notes, anything else as it came."""
    entry_id = uuid.UUID(job.payload["entry"])
    keys, gone = [], 0
    for url in job.payload["urls"]:
        try:
            key = doors.media.key_of(url, owner=job.user_id)
        except NotFound:
            gone += 1
            continue
        keys.append(key)
    shown = [key for key in keys if photos.is_shown(key)]
    async with job.finish() as db:
        entry = await journal.entry(db, entry_id)
        for start in range(0, len(shown), ALBUM):
            album = [_file(key) for key in shown[start : start + ALBUM]]
            if len(album) == 1:
                job.send("sendPhoto", {"photo": album[0]})
            else:
                job.send("sendMediaGroup", {"media": [{"type": "photo", "media": photo} for photo in album]})
        for key in keys:
            if key not in shown:
                method, field = AGAIN.get(_ending(key), ("sendDocument", "document"))
                job.send(method, {field: _file(key)})
        day = f"{entry.date:%d %B %Y}" if entry is not None else ""
        words = WORDS("shown", date=day) if entry is not None and not gone else WORDS("shown_gone")
        show(job, Screen(text=words, rows=[[*([to_entry(entry.id)] if entry is not None else []), to_list()]]))


AGAIN = {
    "ogg": ("sendVoice", "voice"),
    "mp3": ("sendVoice", "voice"),
    "m4a": ("sendVoice", "voice"),
    "mp4": ("sendVideo", "video"),
}
"""How a file is sent again, by its ending: the method, and the field for the file."""


def _ending(key: str) -> str:
    return PurePosixPath(key).suffix.removeprefix(".")


def _file(key: str) -> dict[str, str]:
    return {"media": key, "name": f"journal.{_ending(key)}"}


async def not_shown(job: Job, db: Transaction, error: Exception) -> None:
    """Say that it could not be shown just now."""
    show(job, Screen(text=WORDS("shown_gone"), rows=[[to_list(), home.back()]]))


JOBS = {"journal.show": (show_again, not_shown)}
