"""The photos of the profile: one of the person, and several of how things change. Kept in our own store."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.errors import StorageFull, TooLarge
from bot.media import key_for
from bot.services import profile as service
from bot.services import recordings as sound
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import care, home, profile
from handlers.profile import WORDS, CardTap, FieldTap, PhotoTap
from handlers.screen import Screen, button, conclude, react, replace, show
from handlers.waiting import Waiting
from prompts.profile import fields
from prompts.profile.fields import MEDIA, Field
from storage import journal, people
from storage import profile as store
from storage.database import Fenced, Transaction
from storage.people import Account
from storage.profile import Version

MOST_PHOTOS = 60

router = Router(name="profile_photos")


def photos(version: Version, field: Field) -> list[str]:
    """The addresses of a field's photos, oldest first."""
    value = getattr(version, field.column)
    return list(value) if isinstance(value, list) else [value] if value else []


def photo_screen(version: Version, field: Field, user: Account, *, place: int, opening: str | None = None) -> Screen:
    """A photo as a photo, with the way to the ones before and after it, and to take it away."""
    number, kept = version.version_number, photos(version, field)
    back = button(WORDS("back"), CardTap(version=number, topic=field.topic))
    ask = FieldTap(version=number, column=field.column, walk=False)
    more = button(WORDS("photo_another" if kept else "photo_send"), ask)
    if not kept:
        return Screen(text=WORDS("photos_empty"), rows=[[more], [back]])
    place = min(max(0, place), len(kept) - 1)
    url = kept[place]
    key = key_for(user.user_id, "profile", url.rpartition("/")[2])
    title = field.label if len(kept) == 1 else WORDS("photo_of", label=field.label, place=place + 1, count=len(kept))
    turns = [
        button(WORDS(words), PhotoTap(version=number, column=field.column, step="show", place=to))
        for words, to in (("photo_older", place - 1), ("photo_newer", place + 1))
        if 0 <= to < len(kept)
    ]
    remove = PhotoTap(version=number, column=field.column, step="remove", place=place, mark=service.mark(url))
    parts = [opening, "\n\n", Bold(title)] if opening else [Bold(title)]
    return Screen(
        text=Text(*parts),
        rows=[*([turns] if turns else []), [more], [button(WORDS("photo_remove"), remove)], [back]],
        picture=key if url.endswith(f"/{key}") else None,
    )


@router.callback_query(PhotoTap.filter())
async def on_photos(tap: CallbackQuery, callback_data: PhotoTap, user: Account, db: Transaction, work: Work) -> None:
    """Show a photo, or take it away for good: out of every version and out of the store."""
    await people.wait_for(db, None)
    field = fields.field(callback_data.column)
    if field is None or field.kind not in MEDIA:
        await profile.stale(tap, db, work)
        return
    version = await profile.named(db, callback_data.version)
    place = callback_data.place
    url = next((each for each in photos(version, field) if service.mark(each) == callback_data.mark), None)
    if callback_data.step == "show" or url is None:
        opening = None if callback_data.step == "show" else WORDS("gone")
        show(work, photo_screen(version, field, user, place=place, opening=opening), tap=tap)
    elif callback_data.step == "remove":
        sure = callback_data.model_copy(update={"step": "sure"})
        keep = callback_data.model_copy(update={"step": "show"})
        rows = [[button(WORDS("remove_yes"), sure, style="danger")], [button(WORDS("remove_no"), keep)]]
        show(work, Screen(text=WORDS("removing"), rows=rows), tap=tap)
    else:
        await store.remove_media(db, url)
        work.start("profile.tidy", {"urls": [url]}, lane="profile")
        version = await profile.named(db, callback_data.version)
        topic = fields.topic(field.topic)
        assert topic is not None
        show(work, profile.card(version, topic, opening=WORDS("photo_removed")), tap=tap)


@router.message(Waiting("profile"), F.photo)
async def on_photo(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep a photo that was asked for; any other goes into the journal."""
    field = fields.field(waiting.get("field"))
    if field is None or field.kind not in MEDIA:
        await people.wait_for(db, None)
        raise SkipHandler
    version = await profile.named(db, int(waiting["version"]))
    if field.kind == "photos" and len(photos(version, field)) >= MOST_PHOTOS:
        await profile.ask(db, work, version, field, walk=False, opening=WORDS("photo_many", most=MOST_PHOTOS))
        return
    assert message.photo is not None
    if field.kind == "photo":
        await people.wait_for(db, None)  # there is one such picture; of the others, as many as they like
    if message.caption:
        await journal.add(db, content=message.caption)
        await care.speak_up(work, db, user, message.caption)
    react(work, message, "👀")
    key = f"profile:{work.head.id}"
    show(work, Screen(text=WORDS("photo_keeping_words" if message.caption else "photo_keeping")), key=key)
    payload = {
        "file": message.photo[-1].file_id,
        "version": version.version_number,
        "field": field.column,
        "key": key,
    }
    work.start("profile.photo", payload, lane="profile")


# -------------------------------------------------------------------------------------------- jobs


async def keep_photo(job: Job, doors: Doors) -> None:
    """Fetch the photo, store it, put it to its field, and show it."""
    field = fields.field(job.payload["field"])
    assert field is not None
    media_key = key_for(job.user_id, "profile", f"{job.head.id}.jpg")

    async def put() -> str:
        await doors.media.put(media_key, await doors.sent_files.fetch(job.payload["file"]))
        return media_key

    try:
        await job.step("stored", put)
        url = doors.media.url_of(media_key)
        async with job.finish() as db:
            account = await people.account(db)
            assert account is not None
            version = await service.open_version(db, job.payload["version"])
            before = photos(version, field)
            value = [*before, url] if field.kind == "photos" else url
            version = await service.keep(db, version, {field.column: value})
            if field.kind == "photo" and before:
                job.start("profile.tidy", {"urls": before}, lane="profile")
            last = len(photos(version, field)) - 1
            kept = photo_screen(version, field, account, place=last, opening=WORDS("photo_kept"))
            conclude(job, kept, key=job.payload["key"])
    except Fenced:
        await sound.tidy(job, doors, media_key)
        raise


async def photo_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that the photo could not be kept, and wait for it once more."""
    field = fields.field(job.payload["field"])
    assert field is not None
    version = await profile.named(db, job.payload["version"])
    words = WORDS("photo_too_large" if isinstance(error, TooLarge) else "photo_lost")
    if isinstance(error, StorageFull):
        words = str(error)
    ask = button(WORDS("photo_send"), FieldTap(version=version.version_number, column=field.column, walk=False))
    replace(job, Screen(text=words, rows=[[ask], [home.back()]]), key=job.payload["key"])


async def tidy(job: Job, doors: Doors) -> None:
    """Take out of the store what no version of the profile has any more."""
    for url in job.payload["urls"]:
        async with job.transaction() as db:
            held = await store.is_held(db, url)
        if not held:
            await doors.media.delete(doors.media.key_of(url, owner=job.user_id))
    async with job.finish():
        pass


async def tidy_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that something removed still lies in the store, and what takes it away."""
    show(job, Screen(text=WORDS("tidy_failed"), rows=[[home.back()]]))


JOBS = {"profile.photo": (keep_photo, photo_failed), "profile.tidy": (tidy, tidy_failed)}
