"""Answering a field of the profile aloud: the recording is kept first, then written down, then the person decides."""

from __future__ import annotations

from typing import Any

from aiogram import Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.errors import NotUnderstood, StorageFull, TooLarge
from bot.media import key_for
from bot.services import profile as service
from bot.services import recordings as sound
from bot.services.doors import Doors
from bot.services.profile_words import Odd
from bot.services.work import Job, Work
from handlers import balance, care, home, profile, recordings, trouble
from handlers.profile import WORDS, FieldTap, RecordingTap
from handlers.screen import Screen, button, replace, show
from handlers.waiting import Waiting
from prompts.profile import fields
from prompts.profile.fields import MEDIA, Field
from storage import people
from storage import profile as store
from storage.database import Transaction
from storage.journal import Recording
from storage.people import Account
from storage.profile import Version

LISTED = 6
"""Recordings of a field that are listed: the newest ones."""

router = Router(name="profile_voice")


class TakeTap(CallbackData, prefix="p_take"):
    """Keep what was heard in a recording; `anew` is in place of a story."""

    version: int
    column: str
    mark: str
    walk: bool
    anew: bool


@router.message(Waiting("profile"), recordings.ANY)
async def on_recording(message: Message, waiting: dict[str, Any], db: Transaction, work: Work) -> None:
    """Keep what is said to a field, and write it down."""
    field = fields.field(waiting.get("field"))
    if field is None or field.kind in MEDIA or message.caption:
        # The journal keeps a recording that comes with words of its own, or where none was asked for.
        await people.wait_for(db, None)
        raise SkipHandler
    if recordings.too_large(message):
        show(work, Screen(text=WORDS("hear_too_large"), rows=[[home.back()]]))
        return
    payload = {
        "file": recordings.of(message).file_id,
        "ending": recordings.ending(message),
        "type": recordings.kind(message),
    }
    number, walk, anew = int(waiting["version"]), bool(waiting.get("walk")), bool(waiting.get("anew"))
    _begin(work, number, field, payload, walk=walk, anew=anew)


def _begin(
    work: Work, number: int, field: Field, payload: dict[str, Any], *, walk: bool, anew: bool, key: str | None = None
) -> None:
    shown = f"profile:{work.head.id}"
    show(work, Screen(text=WORDS("listening")), key=shown)
    payload |= {"version": number, "field": field.column, "walk": walk, "anew": anew, "key": shown}
    work.start("profile.hear", payload, lane="profile", key=key)


# -------------------------------------------------------------------------------------------- jobs


def _of(job: Job) -> Field:
    field = fields.field(job.payload["field"])
    assert field is not None
    return field


async def hear(job: Job, doors: Doors) -> None:
    """Store the recording first; then write down its words, and ask what shall become of them."""
    field = _of(job)
    kept = None
    if "mark" in job.payload:
        async with job.transaction() as db:
            version = await profile.named(db, job.payload["version"])
            kept = _recording(version, field, job.payload["mark"])
        if kept is None or kept.transcript:
            # Removed meanwhile, or written down already: the second tap of a double one.
            gone = Screen(text=WORDS("gone"), rows=[[home.back()]])
            async with job.finish():
                shown = gone if kept is None else _heard(version, field, kept, walk=False, anew=False)
                replace(job, shown, key=job.payload["key"])
            return
    recording, seconds = await sound.keep(
        job, doors, folder="profile", name=str(job.head.id), category=field.category, kept=kept
    )
    async with job.transaction() as db:
        await service.keep_recording(db, job.payload["version"], recording)
        account = await people.account(db)
    if account is None or account.consented_at is None:
        async with job.finish() as db:
            version = await profile.named(db, job.payload["version"])
            replace(job, _trouble(job, version, recording, WORDS("hear_no_consent")), key=job.payload["key"])
        return
    transcript = await sound.hear(job, doors, recording, seconds=seconds)
    async with job.finish() as db:
        recording = recording.model_copy(update={"transcript": transcript.text})
        version = await service.keep_recording(db, job.payload["version"], recording)
        walk, anew = bool(job.payload["walk"]), bool(job.payload["anew"])
        replace(job, _heard(version, field, recording, walk=walk, anew=anew), key=job.payload["key"])
        back = FieldTap(version=version.version_number, column=field.column, walk=walk)
        sign = await care.speak_up(job, db, account, transcript.text, go_on=back)
        if sign is None:
            await balance.warn_if_low(job, db)


def _heard(version: Version, field: Field, recording: Recording, *, walk: bool, anew: bool) -> Screen:
    """What was heard, and what would be kept of it; only the person's tap keeps it."""
    ask = FieldTap(version=version.version_number, column=field.column, walk=walk)
    again = [button(WORDS("heard_again"), ask)]
    if not recording.transcript:
        return Screen(text=WORDS("heard_silent"), rows=[again])
    opening: list[Any] = [Bold(field.asked), "\n\n"]
    quoted = ExpandableBlockQuote(recording.transcript)
    try:
        profile.read(field, recording.transcript, version, anew=anew)
    except Odd as odd:
        why = WORDS(f"odd_{odd.key}", **odd.values)
        return Screen(text=Text(*opening, WORDS("heard_short"), "\n", quoted, "\n\n", why), rows=[again])
    take = TakeTap(
        version=version.version_number,
        column=field.column,
        mark=service.mark(recording.url),
        walk=walk,
        anew=anew,
    )
    if field.kind == "story":
        yes = button(WORDS("heard_anew" if anew else "heard_add"), take, style="success")
        return Screen(text=Text(*opening, WORDS("heard_story"), "\n", quoted), rows=[[yes], again])
    would_be = WORDS("heard_kept_as", value=_as_kept(version, field, recording))
    yes = button(WORDS("heard_yes"), take, style="success")
    return Screen(text=Text(*opening, WORDS("heard_short"), "\n", quoted, "\n\n", would_be), rows=[[yes], again])


def _as_kept(version: Version, field: Field, recording: Recording) -> str:
    value = profile.read(field, recording.transcript, version, anew=False)
    return service.in_words(field, version.model_copy(update={field.column: value}))


def _recording(version: Version, field: Field, mark: str) -> Recording | None:
    return next((each for each in service.spoken(version, field) if service.mark(each.url) == mark), None)


def _trouble(job: Job, version: Version, recording: Recording, why: str, *more: InlineKeyboardButton) -> Screen:
    """Why a kept recording is not written down, with the way to try again."""
    field = _of(job)
    write = RecordingTap(
        version=version.version_number, column=field.column, step="write", mark=service.mark(recording.url)
    )
    back = FieldTap(version=version.version_number, column=field.column, walk=bool(job.payload["walk"]))
    rows = [[button(WORDS("hear_again"), write, style="primary"), *more], [button(WORDS("back"), back)]]
    return Screen(text=Text(Bold(field.asked), "\n\n", why), rows=rows)


async def hear_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the recording could not be kept or heard; it can be tried again, or typed."""
    field = _of(job)
    version = await profile.named(db, job.payload["version"])
    mark = job.payload.get("mark") or service.mark(await _url(job, version, field))
    recording = _recording(version, field, mark)
    if recording is not None:
        said = trouble.why(error, otherwise=WORDS("hear_failed"))
        screen = _trouble(job, version, recording, said, *trouble.balance_button(error))
        replace(job, screen, key=job.payload["key"])
        return
    why = "hear_lost"
    if isinstance(error, TooLarge | NotUnderstood):
        why = "hear_too_large" if isinstance(error, TooLarge) else "hear_no_recording"
    back = FieldTap(version=version.version_number, column=field.column, walk=bool(job.payload["walk"]))
    said = str(error) if isinstance(error, StorageFull) else WORDS(why)
    replace(job, Screen(text=said, rows=[[button(WORDS("back"), back)]]), key=job.payload["key"])


async def _url(job: Job, version: Version, field: Field) -> str:
    """The address under which this job keeps its recording, if it came to that."""
    name = f"/{key_for(job.user_id, 'profile', str(job.head.id))}."
    return next((each.url for each in service.spoken(version, field) if name in each.url), "")


JOBS = {"profile.hear": (hear, hear_failed)}


# ---------------------------------------------------------------------------------------- deciding


@router.callback_query(TakeTap.filter())
async def on_take(tap: CallbackQuery, callback_data: TakeTap, db: Transaction, work: Work) -> None:
    """Keep what was heard; a story takes the same words once."""
    field = fields.field(callback_data.column)
    version = await service.open_version(db, callback_data.version)
    recording = _recording(version, field, callback_data.mark) if field is not None else None
    if field is None or recording is None or not recording.transcript:
        await profile.stale(tap, db, work)
        return
    walk, anew = callback_data.walk, callback_data.anew
    if field.kind == "story" and service.is_told(getattr(version, field.column), recording.transcript):
        await profile.ask(db, work, version, field, walk=walk, tap=tap, opening=WORDS("heard_already"))
        return
    try:
        value = profile.read(field, recording.transcript, version, anew=anew)
    except Odd as odd:
        opening = WORDS(f"odd_{odd.key}", **odd.values)
        await profile.ask(db, work, version, field, walk=walk, tap=tap, opening=opening, anew=anew)
        return
    await profile.keep(db, work, version, field, value, walk=walk, tap=tap)


# ------------------------------------------------------------------------------------ what was said


@router.callback_query(RecordingTap.filter())
async def on_recordings(
    tap: CallbackQuery, callback_data: RecordingTap, user: Account, db: Transaction, work: Work
) -> None:
    """List what was said aloud for a field; hear, write down or remove one of them."""
    await people.wait_for(db, None)
    field = fields.field(callback_data.column)
    version = await profile.named(db, callback_data.version)
    if field is None:
        await profile.stale(tap, db, work)
        return
    recording = _recording(version, field, callback_data.mark) if callback_data.mark else None
    if recording is None and callback_data.step != "list":
        show(work, _list(version, field, opening=WORDS("gone")), tap=tap)
    elif recording is None:
        show(work, _list(version, field), tap=tap)
    elif callback_data.step == "play":
        _play(work, recording, user)
    elif callback_data.step == "write" and not recording.transcript:
        payload = {"mark": callback_data.mark, "type": recording.type, "ending": recording.url.rpartition(".")[2]}
        key = f"{callback_data.mark}:{work.head.id}"
        _begin(work, version.version_number, field, payload, walk=False, anew=False, key=key)
    elif callback_data.step == "remove":
        sure = callback_data.model_copy(update={"step": "sure"})
        keep = callback_data.model_copy(update={"step": "list", "mark": ""})
        rows = [[button(WORDS("remove_yes"), sure, style="danger")], [button(WORDS("remove_no"), keep)]]
        show(work, Screen(text=WORDS("removing"), rows=rows), tap=tap)
    elif callback_data.step == "sure":
        await store.remove_media(db, recording.url)
        work.start("profile.tidy", {"urls": [recording.url]}, lane="profile")
        version = await profile.named(db, callback_data.version)
        show(work, _list(version, field, opening=WORDS("recording_removed")), tap=tap)
    else:
        show(work, _heard(version, field, recording, walk=False, anew=False), tap=tap)


def _play(work: Work, recording: Recording, user: Account) -> None:
    key = key_for(user.user_id, "profile", recording.url.rpartition("/")[2])
    if not recording.url.endswith(f"/{key}"):
        show(work, Screen(text=WORDS("gone"), rows=[[home.back()]]))
        return
    name = key.rpartition("/")[2]
    method, part = ("sendVoice", "voice") if name.endswith(".ogg") else ("sendDocument", "document")
    work.send(method, {part: {"media": key, "name": name}})


def _list(version: Version, field: Field, *, opening: str | None = None) -> Screen:
    number, column = version.version_number, field.column
    parts: list[Any] = [opening, "\n\n"] if opening else []
    parts.append(Bold(WORDS("recordings_title", label=service.label(field))))
    rows = []
    spoken = service.spoken(version, field)
    for place, each in list(enumerate(spoken, start=1))[-LISTED:]:
        day = f"{each.created_at.day} {each.created_at:%B %Y}"
        parts += ["\n\n", WORDS("recording_line", number=place, day=day, length=sound.length(each.duration)), "\n"]
        parts.append(ExpandableBlockQuote(each.transcript) if each.transcript else Italic(WORDS("recording_unheard")))
        mark = service.mark(each.url)
        steps = [("play", "play"), ("remove", "remove_recording")]
        if not each.transcript:
            steps.insert(1, ("write", "write_down"))
        elif field.kind == "story" and not service.is_told(getattr(version, column), each.transcript):
            steps.insert(1, ("take", "take"))
        rows.append(
            [
                button(WORDS(words, number=place), RecordingTap(version=number, column=column, step=step, mark=mark))
                for step, words in steps
            ]
        )
    back = button(WORDS("back"), FieldTap(version=number, column=column, walk=False))
    return Screen(text=Text(*parts), rows=[*rows, [back]])
