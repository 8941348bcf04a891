"""Keeping things in the journal: words, pictures, albums and recordings, stored first and understood afterwards."""

from __future__ import annotations

import asyncio
import uuid
from datetime import date
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command, CommandObject
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import ExpandableBlockQuote, Text

from bot.ai.sound import Transcript
from bot.errors import (
    ModelError,
    ModelUnavailable,
    NoModel,
    NotFound,
    NotUnderstood,
    OutOfTokens,
    StorageFull,
    TooLarge,
)
from bot.media import key_for
from bot.services import photos
from bot.services import recordings as sound
from bot.services.care import Sign
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, care, home, recordings, time_zone
from handlers.journal import (
    WORDS,
    HearTap,
    JournalTap,
    StepTap,
    change_button,
    entry_screen,
    found,
    list_screen,
    to_entry,
    to_list,
)
from handlers.screen import Screen, button, react, replace, show
from handlers.waiting import Waiting
from storage import journal, people
from storage import work as work_store
from storage.database import Fenced, Transaction
from storage.journal import Album, Entry, Recording
from storage.people import Account

SPLIT_BY_TELEGRAM = 3750
"""Characters of a message from which on the rest of a longer text may follow in the next one: apps cut at 4096, or at
the end of a paragraph, a sentence or a word up to 300 before it."""

PICTURE_FILE = F.document.mime_type.startswith("image/") | F.document.file_name.regexp(r"(?i)\.(heic|heif)$")

router = Router(name="journal_keep")


# ----------------------------------------------------------------------------------------- writing


@router.message(Command("journal"))
async def on_journal(message: Message, command: CommandObject, user: Account, db: Transaction, work: Work) -> None:
    """Show the journal; words behind the command are an entry."""
    await people.wait_for(db, None)
    if command.args:
        await _keep_words(command.args, user.model_copy(update={"waiting_for": None}), db, work)
    else:
        show(work, await list_screen(db))


@router.callback_query(JournalTap.filter(F.step == "write"))
async def on_write(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Take the next words as an entry."""
    await people.wait_for(db, {"kind": "journal"})
    show(work, Screen(text=WORDS("write_prompt"), rows=[[to_list()]]), tap=tap)


async def write_for(day: date, tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Take the next words as an entry of that day."""
    await people.wait_for(db, {"kind": "journal", "day": day.isoformat()})
    text = WORDS("write_for_day", date=f"{day:%d %B %Y}")
    show(work, Screen(text=text, rows=[[to_list()]]), tap=tap)


@router.callback_query(StepTap.filter(F.step == "add"))
async def on_add(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Put whatever comes next into this entry, until the person is done."""
    entry = await found(db, callback_data.id)
    await _open(db, entry)
    text = WORDS("add_prompt", date=f"{entry.date:%d %B}")
    show(work, Screen(text=text, rows=[[done_button(entry)]]), tap=tap)


@router.callback_query(StepTap.filter(F.step == "done"))
async def on_done(tap: CallbackQuery, callback_data: StepTap, user: Account, db: Transaction, work: Work) -> None:
    """Nothing more goes into the entry; show it."""
    if (user.waiting_for or {}).get("kind") in ("journal", "journal_words", "journal_fix"):
        await people.wait_for(db, None)
    show(work, entry_screen(await found(db, callback_data.id)), tap=tap)


@router.message(Waiting("journal"), F.text, ~F.text.startswith("/"))
async def on_text(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep the words as an entry, or in the one that is open."""
    await _keep_words(message.text or "", user, db, work)


async def _keep_words(words: str, user: Account, db: Transaction, work: Work) -> None:
    entry, adding = await _entry_for(words, user, db)
    sign = await care.speak_up(work, db, user, words)
    if len(words) >= SPLIT_BY_TELEGRAM and not adding:
        await _open(db, entry)
        show(work, Screen(text=WORDS("kept_long", date=f"{entry.date:%d %B}"), rows=[[done_button(entry)]]))
    else:
        text = WORDS("added" if adding else "kept_text", date=f"{entry.date:%d %B}")
        show(work, Screen(text=text, rows=_after(entry, adding=adding)))
    await _ask_zone(work, db, user, sign)


async def _entry_for(words: str, user: Account, db: Transaction, *, album: str | None = None) -> tuple[Entry, bool]:
    """The entry that the words are for, with them in it, and whether it was open already.

    What comes as a member of an album that another feature is taking in leaves that feature waiting for the others.
    """
    waiting = user.waiting_for or {}
    ours = waiting.get("kind") == "journal"
    if ours and "entry" in waiting:
        entry = await journal.entry(db, uuid.UUID(waiting["entry"]))
        if entry is not None:
            if words:
                await journal.add_words(db, entry.id, words)
            return entry, True
    if album is None or (waiting.get("kind") != "board" and waiting.get("album") != album):
        await people.wait_for(db, None)
    day = date.fromisoformat(waiting["day"]) if ours and "day" in waiting else None
    return await journal.add(db, content=words, day=day), False


async def _open(db: Transaction, entry: Entry) -> None:
    await people.wait_for(db, {"kind": "journal", "entry": str(entry.id)})


async def _ask_zone(work: Work, db: Transaction, user: Account, sign: Sign | None) -> None:
    """With the first entry, ask whose day it is; not where help lines have just been shown."""
    if sign is None and user.time_zone is None and await journal.is_first(db):
        await time_zone.ask(work, db, user, back="journal", why=WORDS("ask_zone"))


# ----------------------------------------------------------------------- pictures and recordings


@router.message(F.photo | PICTURE_FILE)
async def on_photo(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep a picture with its caption, as an entry or in the one it belongs to; sent as a photo or as a file."""
    photo = message.photo[-1] if message.photo else message.document
    assert photo is not None
    if (photo.file_size or 0) > recordings.DOWNLOAD_LIMIT:
        await _too_large(message, user, db, work)
        return
    payload = await _take_in(message, user, db, work, words="keeping_photo")
    work.start("journal.photo", payload | {"file": photo.file_id}, lane="journal")


@router.message(recordings.ANY)
async def on_recording(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Keep a recording with its caption; its words are written down by a job."""
    await take_recording(message, user, db, work)


async def take_recording(message: Message, user: Account, db: Transaction, work: Work) -> uuid.UUID | None:
    """The entry that the recording is kept in; None where Telegram keeps it to itself."""
    if recordings.too_large(message):
        await _too_large(message, user, db, work)
        return None
    payload = await _take_in(message, user, db, work, words="keeping_recording")
    payload |= {
        "file": recordings.of(message).file_id,
        "type": recordings.kind(message),
        "ending": recordings.ending(message),
    }
    work.start("journal.recording", payload, lane="journal")
    return uuid.UUID(payload["entry"])


async def _take_in(message: Message, user: Account, db: Transaction, work: Work, *, words: str) -> dict[str, Any]:
    """The entry that a message's file goes into, as the payload of the job that keeps it; says that it has come."""
    caption = message.caption or ""
    album = await _album(message, caption, db)
    if album is not None:
        await care.speak_up(work, db, user, caption)
        return {"entry": str(album.entry_id), "key": album.shown_as, "album": True}
    entry, adding = await _entry_for(caption, user, db, album=message.media_group_id)
    sign = await care.speak_up(work, db, user, caption)
    react(work, message, "👀")
    show(work, Screen(text=WORDS(words)), key=_key(work))
    await _ask_zone(work, db, user, sign)
    if message.media_group_id is not None:
        await journal.open_album(db, message.media_group_id, entry_id=entry.id, shown_as=_key(work))
    return {
        "entry": str(entry.id),
        "key": _key(work),
        "album": message.media_group_id is not None,
        "adding": adding,
    }


async def _album(message: Message, caption: str, db: Transaction) -> Album | None:
    """The entry that the first member of the message's album made, with this member's caption in it."""
    if message.media_group_id is None:
        return None
    album = await journal.album(db, message.media_group_id)
    if album is not None and caption:
        await journal.add_words(db, album.entry_id, caption)
    return album


async def _too_large(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Say at once that Telegram keeps the file to itself; what else came with it is kept."""
    caption = message.caption or ""
    album = await _album(message, caption, db)
    await care.speak_up(work, db, user, caption)
    if caption and album is None:
        entry, _ = await _entry_for(caption, user, db, album=message.media_group_id)
        if message.media_group_id is not None:
            show(work, Screen(text=WORDS("kept_text", date=f"{entry.date:%d %B}"), rows=_after(entry)), key=_key(work))
            await journal.open_album(db, message.media_group_id, entry_id=entry.id, shown_as=_key(work))
    rest = caption or message.media_group_id is not None
    show(work, Screen(text=WORDS("too_large_rest" if rest else "too_large"), rows=[[to_list(), home.back()]]))


def _key(work: Work) -> str:
    return f"journal:{work.head.id}"


def done_button(entry: Entry) -> InlineKeyboardButton:
    """The button that says that nothing more belongs to the entry."""
    return button(WORDS("done"), StepTap(step="done", id=entry.id), style="success")


def _after(entry: Entry, *, adding: bool = False, hear: int | None = None) -> list[list[InlineKeyboardButton]]:
    rows = []
    if hear is not None:
        rows.append([button(WORDS("hear_again"), HearTap(id=entry.id, place=hear))])
    if adding:
        return [*rows, [done_button(entry)]]
    more = [button(WORDS("add"), StepTap(step="add", id=entry.id)), change_button(entry)]
    return [*rows, more, [to_entry(entry.id), to_list()], [home.back()]]


@router.callback_query(HearTap.filter())
async def on_hear(tap: CallbackQuery, callback_data: HearTap, db: Transaction, work: Work) -> None:
    """Write down a recording that is kept but was not written down."""
    entry = await found(db, callback_data.id)
    if not 0 <= callback_data.place < len(entry.audio_recordings):
        raise NotFound(WORDS("gone"))
    recording = entry.audio_recordings[callback_data.place]
    if recording.transcript:
        show(work, entry_screen(entry), tap=tap)
        return
    show(work, Screen(text=WORDS("keeping_recording")), key=_key(work))
    payload = {
        "entry": str(entry.id),
        "kept": recording.model_dump(mode="json"),
        "type": recording.type,
        "ending": recording.url.rpartition(".")[2],
        "key": _key(work),
    }
    work.start("journal.recording", payload, lane="journal", key=f"{entry.id}:{callback_data.place}:{work.head.id}")


# -------------------------------------------------------------------------------------------- jobs


async def keep_photo(job: Job, doors: Doors) -> None:
    """Fetch the picture, store it, and put it to its entry."""
    name = f"{job.payload['entry']}-{job.head.id}"
    media_key = await photos.keep(job, doors, folder="journal", name=name)
    await _keep_image(job, doors, media_key)


async def _keep_image(job: Job, doors: Doors, media_key: str) -> None:
    entry_id, url = uuid.UUID(job.payload["entry"]), doors.media.url_of(media_key)
    async with job.finish() as db:
        await journal.add_image(db, entry_id, url)
        entry = await journal.entry(db, entry_id)
        if entry is None:
            _left_over(job, [url])
            return
        film = not media_key.endswith((*photos.SHOWN.values(), "heic"))
        replace(job, Screen(text=_kept(entry, film=film), rows=_rows(job, entry)), key=job.payload["key"])


def _kept(entry: Entry, *, film: bool = False) -> str:
    day, count = f"{entry.date:%d %B}", len(entry.image_urls)
    if film and count == 1:
        return WORDS("kept_film", date=day)
    return WORDS("kept_photo", date=day) if count == 1 else WORDS("kept_photos", date=day, count=count)


def _rows(job: Job, entry: Entry, *, hear: int | None = None) -> list[list[InlineKeyboardButton]]:
    return _after(entry, adding=bool(job.payload.get("adding")), hear=hear)


def _left_over(job: Job, urls: list[str]) -> None:
    """The entry was deleted meanwhile: what was stored for it goes too."""
    job.start("journal.tidy", {"urls": urls}, lane="journal")
    replace(job, Screen(text=WORDS("gone"), rows=[[to_list(), home.back()]]), key=job.payload["key"])


async def keep_recording(job: Job, doors: Doors) -> None:
    """Fetch the recording and store it first; then write down its words and show them."""
    entry_id = uuid.UUID(job.payload["entry"])
    kept = Recording.model_validate(job.payload["kept"]) if "kept" in job.payload else None
    if kept is not None:
        async with job.transaction() as db:
            entry = await journal.entry(db, entry_id)
        if entry is not None and _transcript(entry, kept):
            # The second tap of a double one, or the person has written down themselves what was said.
            async with job.finish():
                replace(job, entry_screen(entry), key=job.payload["key"])
            return
    name = f"{entry_id}-{job.head.id}"
    try:
        recording, seconds = await sound.keep(job, doors, folder="journal", name=name, category="journal", kept=kept)
    except NotUnderstood:
        if kept is not None or job.payload["type"] != "video":
            raise
        await _keep_image(job, doors, await _keep_film(job, doors, name))
        return
    async with job.transaction() as db:
        entry = await journal.entry(db, entry_id)
        if entry is not None and not _transcript(entry, recording):
            await journal.keep_recording(db, entry_id, recording)
        account = await people.account(db)
        gone = entry is None
        assert account is not None
    if gone:
        async with job.finish():
            _left_over(job, [recording.url])
        return
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
        entry = await journal.entry(db, entry_id)
        if entry is None:
            _left_over(job, [recording.url])
            return
        if transcript is not None:
            if not _transcript(entry, recording):  # what the person wrote meanwhile stays
                heard_one = recording.model_copy(update={"transcript": transcript.text})
                await journal.keep_recording(db, entry_id, heard_one)
            sign = await care.speak_up(job, db, account, transcript.text)
        place = next((i for i, r in enumerate(entry.audio_recordings) if r.url == recording.url), 0)
        heard = transcript.text if transcript is not None else None
        text = _told(entry, seconds, heard, problem, consented=account.consented_at is not None)
        again = place if heard is None and not isinstance(problem, NoModel) else None
        replace(job, Screen(text=text, rows=_rows(job, entry, hear=again)), key=job.payload["key"])
        if transcript is not None and sign is None:
            await balance.warn_if_low(job, db)


def _transcript(entry: Entry, recording: Recording) -> str:
    """What stands as said in this recording of the entry; empty where nothing does yet."""
    return next((each.transcript for each in entry.audio_recordings if each.url == recording.url), "")


async def _keep_film(job: Job, doors: Doors, name: str) -> str:
    """The key of a video without sound, now in the media store: the seed keeps videos among the pictures."""
    media_key = key_for(job.user_id, "journal", f"{name}.{job.payload['ending']}")

    async def store() -> bool:
        film = await doors.sent_files.fetch(job.payload["file"])
        if not await asyncio.to_thread(photos.is_film, film):
            raise NotUnderstood("This file cannot be read as a video.")
        await doors.media.put(media_key, film)
        return True

    try:
        await job.step("stored film", store)
    except Fenced:
        await sound.tidy(job, doors, media_key)
        raise
    return media_key


def _told(entry: Entry, seconds: float, heard: str | None, problem: Exception | None, *, consented: bool) -> Text:
    """What the person reads once a recording is kept."""
    values = {"date": f"{entry.date:%d %B}", "length": sound.length(seconds)}
    if heard:
        gaps = (WORDS("gaps"),) if sound.GAP in heard else ()
        return Text(WORDS("kept_recording", **values), "\n\n", ExpandableBlockQuote(heard), *gaps)
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
    entry = await journal.entry_alone(db, uuid.UUID(job.payload["entry"]))
    files = entry is not None and bool(entry.image_urls or entry.audio_recordings)
    stays = entry is not None and bool(files or entry.content)
    album = bool(job.payload.get("album"))
    await db.become_service()
    # Another member of the album may still be kept, in the same entry, and tell of itself in the message they share.
    shared = album and (files or await work_store.waits(db, job.head, about={"entry": job.payload["entry"]}))
    if entry is not None and not stays and not shared and not job.payload.get("adding"):
        await journal.delete(db, entry.id)
    if isinstance(error, TooLarge):
        words = WORDS("too_large_rest" if stays else "too_large")
    elif isinstance(error, NotUnderstood):
        words = WORDS("not_a_picture" if job.head.name == "journal.photo" else "not_a_recording")
    elif isinstance(error, StorageFull):
        words = str(error)
    else:
        words = WORDS("file_lost")
    screen = Screen(text=words, rows=[[to_list(), home.back()]])
    if shared:
        show(job, screen)
    else:
        replace(job, screen, key=job.payload["key"])


async def tidy(job: Job, doors: Doors) -> None:
    """Remove files of what was deleted from the media store."""
    for url in job.payload["urls"]:
        try:
            await doors.media.delete(doors.media.key_of(url, owner=job.user_id))
        except NotFound:
            continue
    async with job.finish():
        pass


async def not_tidied(job: Job, db: Transaction, error: Exception) -> None:
    """Say that a file outlived its entry, and what removes it."""
    show(job, Screen(text=WORDS("file_stays"), rows=[[to_list(), home.back()]]))


JOBS = {
    "journal.photo": (keep_photo, not_kept),
    "journal.recording": (keep_recording, not_kept),
    "journal.tidy": (tidy, not_tidied),
}
