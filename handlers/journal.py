"""The journal: words, voice notes and pictures, kept first and understood afterwards."""

from __future__ import annotations

import uuid
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command, CommandObject
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.ai.sound import Transcript
from bot.errors import ModelError, ModelUnavailable, NoModel, NotFound, NotUnderstood, OutOfTokens, TooLarge
from bot.media import key_for
from bot.services import journal as service
from bot.services import recordings as sound
from bot.services.care import Sign
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, care, home, recordings, time_zone
from handlers.screen import Screen, button, react, replace, show
from handlers.waiting import Waiting
from prompts import replies
from storage import journal, people
from storage.database import Fenced, Transaction
from storage.people import Account

WORDS = replies.of("journal")
PAGE = 5

router = Router(name="journal")


class JournalTap(CallbackData, prefix="journal"):
    """A page of the list, or "write"."""

    step: str
    page: int = 0


class EntryTap(CallbackData, prefix="entry"):
    """Open an entry."""

    id: uuid.UUID


class HearTap(CallbackData, prefix="hear"):
    """Write down a recording of an entry that was not written down."""

    id: uuid.UUID
    place: int


# ------------------------------------------------------------------------------------- reading


async def list_screen(db: Transaction, *, page: int = 0) -> Screen:
    """A page of entries, newest first."""
    entries = await journal.latest(db, limit=PAGE + 1, skip=PAGE * page)
    rows = [[button(_label(entry), EntryTap(id=entry.id))] for entry in entries[:PAGE]]
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), JournalTap(step="list", page=page - 1)))
    if len(entries) > PAGE:
        turns.append(button(WORDS("older"), JournalTap(step="list", page=page + 1)))
    return Screen(
        text=Text(Bold(WORDS("title")), "\n\n", WORDS("how"), *(() if entries else ("\n\n", WORDS("empty")))),
        rows=[
            *rows,
            *([turns] if turns else []),
            [button(WORDS("write"), JournalTap(step="write"), style="success"), home.back()],
        ],
    )


def _label(entry: journal.Entry) -> str:
    words = entry.title or entry.content or next((r.transcript for r in entry.audio_recordings if r.transcript), "")
    if not words and entry.audio_recordings:
        words = WORDS("recording", length=sound.length(entry.audio_recordings[0].duration))
    if not words and entry.image_urls:
        words = _pictures(entry)
    return f"{entry.date:%d %b}  {service.headline(words or WORDS('no_words'))}"


def _pictures(entry: journal.Entry) -> str:
    count = len(entry.image_urls)
    return WORDS("photos_one") if count == 1 else WORDS("photos_many", count=count)


def entry_text(entry: journal.Entry) -> Text:
    """An entry with everything in it, transcripts in expandable quotes."""
    parts: list[Any] = [Bold(f"{entry.date:%A, %d %B %Y}")]
    if entry.content:
        parts += ["\n\n", entry.content]
    if entry.image_urls:
        parts += ["\n\n", Italic(_pictures(entry))]
    for recording in entry.audio_recordings:
        heard = "recording" if recording.transcript else "recording_unheard"
        parts += ["\n\n", Italic(WORDS(heard, length=sound.length(recording.duration)))]
        if recording.transcript:
            parts += ["\n", ExpandableBlockQuote(recording.transcript)]
    return Text(*parts)


@router.message(Command("journal"))
async def on_journal(message: Message, command: CommandObject, user: Account, db: Transaction, work: Work) -> None:
    """Show the journal; words behind the command are an entry."""
    await people.wait_for(db, None)
    if command.args:
        await _keep_words(command.args, user, db, work)
    else:
        show(work, await list_screen(db))


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
async def on_entry(tap: CallbackQuery, callback_data: EntryTap, db: Transaction, work: Work) -> None:
    """Open an entry."""
    entry = await journal.entry(db, callback_data.id)
    if entry is None:
        raise NotFound(WORDS("gone"))
    rows = [
        [button(WORDS("hear_again"), HearTap(id=entry.id, place=place))]
        for place, recording in enumerate(entry.audio_recordings)
        if not recording.transcript
    ]
    back = [button(WORDS("journal"), JournalTap(step="list")), home.back()]
    show(work, Screen(text=entry_text(entry), rows=[*rows, back]), tap=tap)


# ------------------------------------------------------------------------------------- writing


@router.callback_query(JournalTap.filter(F.step == "write"))
async def on_write(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Take the next words as an entry."""
    await people.wait_for(db, {"kind": "journal"})
    show(work, Screen(text=WORDS("write_prompt"), rows=[[button(WORDS("journal"), JournalTap(step="list"))]]), tap=tap)


@router.message(Waiting("journal"), F.text, ~F.text.startswith("/"))
async def on_text(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep the words as an entry."""
    await people.wait_for(db, None)
    await _keep_words(message.text or "", user, db, work)


async def _keep_words(words: str, user: Account, db: Transaction, work: Work) -> None:
    entry = await journal.add(db, content=words)
    sign = await care.speak_up(work, db, user, words)
    show(work, Screen(text=WORDS("kept_text", date=f"{entry.date:%d %B}"), rows=_after(entry)))
    await _ask_zone(work, db, user, sign)


async def _ask_zone(work: Work, db: Transaction, user: Account, sign: Sign | None) -> None:
    """With the first entry, ask whose day it is; not where help lines have just been shown."""
    if sign is None and user.time_zone is None and await journal.is_first(db):
        await time_zone.ask(work, db, user, back="journal", why=WORDS("ask_zone"))


@router.message(F.photo)
async def on_photo(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep a picture with its caption as an entry."""
    assert message.photo is not None
    caption = message.caption or ""
    entry = await journal.add(db, content=caption)
    await people.wait_for(db, None)
    sign = await care.speak_up(work, db, user, caption)
    react(work, message, "👀")
    show(work, Screen(text=WORDS("keeping_photo")), key=_key(work))
    await _ask_zone(work, db, user, sign)
    photo = message.photo[-1]
    payload = {"entry": str(entry.id), "file": photo.file_id, "key": _key(work)}
    work.start("journal.photo", payload, lane="journal")


@router.message(recordings.ANY)
async def on_recording(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep a recording with its caption as an entry; its words are written down by a job."""
    caption = message.caption or ""
    await people.wait_for(db, None)
    sign = await care.speak_up(work, db, user, caption)
    if recordings.too_large(message):
        if caption:
            await journal.add(db, content=caption)
        show(work, Screen(text=WORDS("too_large_rest" if caption else "too_large"), rows=[[home.back()]]))
        return
    entry = await journal.add(db, content=caption)
    react(work, message, "👀")
    show(work, Screen(text=WORDS("keeping_recording")), key=_key(work))
    await _ask_zone(work, db, user, sign)
    payload = {
        "entry": str(entry.id),
        "file": recordings.of(message).file_id,
        "type": recordings.kind(message),
        "ending": recordings.ending(message),
        "key": _key(work),
    }
    work.start("journal.recording", payload, lane="journal")


def _key(work: Work) -> str:
    return f"journal:{work.head.id}"


def _after(entry: journal.Entry, *, hear: int | None = None) -> list[list[Any]]:
    rows = []
    if hear is not None:
        rows.append([button(WORDS("hear_again"), HearTap(id=entry.id, place=hear))])
    rows.append([button(WORDS("journal"), JournalTap(step="list")), home.back()])
    return rows


@router.callback_query(HearTap.filter())
async def on_hear(tap: CallbackQuery, callback_data: HearTap, db: Transaction, work: Work) -> None:
    """Write down a recording that is kept but was not written down."""
    entry = await journal.entry(db, callback_data.id)
    if entry is None or not 0 <= callback_data.place < len(entry.audio_recordings):
        raise NotFound(WORDS("gone"))
    recording = entry.audio_recordings[callback_data.place]
    if recording.transcript:
        show(work, Screen(text=entry_text(entry), rows=_after(entry)), tap=tap)
        return
    show(work, Screen(text=WORDS("keeping_recording")), tap=tap)
    payload = {
        "entry": str(entry.id),
        "kept": recording.model_dump(mode="json"),
        "type": recording.type,
        "ending": recording.url.rpartition(".")[2],
        "key": _key(work),
    }
    work.start("journal.recording", payload, lane="journal", key=f"{entry.id}:{callback_data.place}:{work.head.id}")


# ---------------------------------------------------------------------------------------- jobs


async def keep_photo(job: Job, doors: Doors) -> None:
    """Fetch the picture, store it, and put it to its entry."""
    entry_id = uuid.UUID(job.payload["entry"])
    media_key = key_for(job.user_id, "journal", f"{entry_id}-{job.head.id}.jpg")

    async def store() -> str:
        await doors.media.put(media_key, await doors.sent_files.fetch(job.payload["file"]))
        return media_key

    try:
        await job.step("stored", store)
        async with job.finish() as db:
            await journal.add_image(db, entry_id, doors.media.url_of(media_key))
            entry = await journal.entry(db, entry_id)
            assert entry is not None
            done = Screen(text=WORDS("kept_photo", date=f"{entry.date:%d %B}"), rows=_after(entry))
            replace(job, done, key=job.payload["key"])
    except Fenced:
        await sound.tidy(job, doors, media_key)
        raise


async def keep_recording(job: Job, doors: Doors) -> None:
    """Fetch the recording and store it first; then write down its words and show them."""
    entry_id = uuid.UUID(job.payload["entry"])
    kept = journal.Recording.model_validate(job.payload["kept"]) if "kept" in job.payload else None
    recording, seconds = await sound.keep(
        job, doors, folder="journal", name=f"{entry_id}-{job.head.id}", category="journal", kept=kept
    )
    async with job.transaction() as db:
        await journal.keep_recording(db, entry_id, recording)
        account = await people.account(db)
        assert account is not None
    problem: Exception | None = None
    transcript: Transcript | None = None
    if account.consented_at is not None:
        try:
            transcript = await sound.hear(job, doors, recording, seconds=seconds)
        except ModelError as error:
            if isinstance(error, ModelUnavailable) and not job.last_try:
                raise
            problem = error
    async with job.finish() as db:
        sign = None
        if transcript is not None:
            await journal.keep_recording(db, entry_id, recording.model_copy(update={"transcript": transcript.text}))
            sign = await care.speak_up(job, db, account, transcript.text)
        entry = await journal.entry(db, entry_id)
        if entry is None:
            return
        place = next((i for i, r in enumerate(entry.audio_recordings) if r.url == recording.url), 0)
        heard = transcript.text if transcript is not None else None
        text = _told(entry, seconds, heard, problem, consented=account.consented_at is not None)
        again = place if heard is None and not isinstance(problem, NoModel) else None
        replace(job, Screen(text=text, rows=_after(entry, hear=again)), key=job.payload["key"])
        if transcript is not None and sign is None:
            await balance.warn_if_low(job, db)


def _told(
    entry: journal.Entry, seconds: float, heard: str | None, problem: Exception | None, *, consented: bool
) -> Text:
    """What the person reads once a recording is kept."""
    values = {"date": f"{entry.date:%d %B}", "length": sound.length(seconds)}
    if heard:
        return Text(WORDS("kept_recording", **values), "\n\n", ExpandableBlockQuote(heard))
    if heard is not None:
        return Text(WORDS("kept_silent", **values))
    if isinstance(problem, OutOfTokens):
        needed = f"{problem.missing + problem.available:,}"
        return Text(WORDS("kept_no_tokens", needed=needed, left=f"{problem.available:,}", **values))
    if isinstance(problem, NoModel):
        return Text(WORDS("kept_no_model", **values))
    if not consented:
        return Text(WORDS("kept_no_consent", **values))
    return Text(WORDS("kept_not_heard", **values))


async def not_kept(job: Job, db: Transaction, error: Exception) -> None:
    """Say why a file could not be kept; the entry's words stay, and an entry with nothing in it goes."""
    entry = await journal.entry(db, uuid.UUID(job.payload["entry"]))
    stays = entry is not None and bool(entry.content or entry.image_urls or entry.audio_recordings)
    if entry is not None and not stays:
        await journal.delete(db, entry.id)
    if isinstance(error, TooLarge):
        words = WORDS("too_large_rest" if stays else "too_large")
    elif isinstance(error, NotUnderstood):
        words = WORDS("not_a_recording")
    else:
        words = WORDS("file_lost")
    replace(job, Screen(text=words, rows=[[home.back()]]), key=job.payload["key"])


JOBS = {"journal.photo": (keep_photo, not_kept), "journal.recording": (keep_recording, not_kept)}
