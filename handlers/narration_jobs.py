"""Reading a vision aloud, a section a job: each is paid for and kept by itself, and a crash repeats none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup
from aiogram.utils.formatting import Text

from bot.ai.meter import Ticket
from bot.ai.sound import Spoken
from bot.errors import ModelUnavailable, NoModel, NotFound, OutOfTokens, StorageFull
from bot.media import key_for
from bot.services import narration as service
from bot.services import recordings, wallet
from bot.services.doors import Doors
from bot.services.work import Job
from handlers import balance, home, trouble
from handlers.narration import WORDS, ListenTap, VoiceTap, progress
from handlers.screen import Screen, button, hide, replace, show
from prompts import replies
from storage import editions, meter, narration, people, usage
from storage.database import Transaction
from storage.narration import Track

USAGE = replies.of("usage")
ALBUM = 10
"""Tracks in one album at most (Bot API, sendMediaGroup)."""


# ------------------------------------------------------------------------------------------ reading


async def speak(job: Job, doors: Doors) -> None:
    """Read the next section aloud; then start the job of the one after it, or play what is read."""
    track_id = uuid.UUID(job.payload["left"][0])
    async with job.transaction() as db:
        account = await people.account(db)
        track = await narration.track(db, track_id)
        consented = account is not None and account.consented_at is not None
        if track is not None and consented and not job.stopped:
            await narration.begin(db, track_id)
    if not consented or job.stopped:
        async with job.finish() as db:
            await _end(job, db, "withdrawn" if not consented else "stopped")
        return
    if track is None or track.status == "completed":
        async with job.finish() as db:
            await _next(job, db)
        return
    if track.section_key == service.FULL:
        await _join_all(job, doors, track)
        return
    texts = service.parts(track.text_content)
    spoken = []
    for place, text in enumerate(texts):
        if job.stop.is_set() and not job.done(f"part {place}"):
            # Parts that are read stay, and are taken up when the section is asked for again.
            async with job.finish() as db:
                await _end(job, db, "stopped")
            return
        await job.show_action("record_voice")
        spoken.append(await _part(job, doors, track, place, text))

    async def joined() -> dict[str, Any]:
        return await _store(job, doors, track, [await doors.media.get(part.kept) for part in spoken])

    stored: dict[str, Any] = await job.step("joined", joined)
    await _drop_parts(doors, spoken)
    await _complete(job, doors, track, stored)


async def _part(job: Job, doors: Doors, track: Track, place: int, text: str) -> Spoken:
    """A part of a text read aloud and stored, paid for once, also where the reading was stopped after it."""
    media_key = key_for(job.user_id, "narration", f"parts/{track.id}-{place}.mp3")
    if await job.step(f"kept {place}", partial(doors.media.has, media_key)):
        return Spoken(kept=media_key, model="", voice=track.voice_id, characters=len(text))

    async def keep(sound: bytes) -> str:
        # What is no sound is not paid for.
        await asyncio.to_thread(recordings.measure, sound)
        await doors.media.put(media_key, sound)
        return media_key

    async def say(ticket: Ticket) -> Spoken:
        return await doors.model.speak(ticket, text=text, voice=track.voice_id, keep=keep)

    return await job.call(f"part {place}", Spoken, say)


async def _drop_parts(doors: Doors, spoken: Sequence[Spoken]) -> None:
    for part in spoken:
        await doors.media.delete(part.kept)


async def _join_all(job: Job, doors: Doors, track: Track) -> None:
    """The track that holds all sections in one, from the tracks of each."""
    async with job.transaction() as db:
        found = [await narration.track(db, uuid.UUID(track_id)) for track_id in job.payload["sections"]]
    tracks = [one for one in found if one is not None and one.status == "completed"]
    if len(tracks) < len(found):
        async with job.finish() as db:
            await narration.fail(db, [track.id], message="a section is missing")
            job.payload["failed"].append(str(track.id))
            await _next(job, db)
        return

    async def joined() -> dict[str, Any]:
        keys = [doors.media.key_of(one.audio_url, owner=job.user_id) for one in tracks]
        return await _store(job, doors, track, [await doors.media.get(key) for key in keys], whole=True)

    await _complete(job, doors, track, await job.step("joined", joined))


async def _store(
    job: Job, doors: Doors, track: Track, sounds: Sequence[bytes], *, whole: bool = False
) -> dict[str, Any]:
    """Put the joined recordings and the track's cover into the media store; where they are, and how long it is."""
    title = _title(track.section_key)
    sound = await asyncio.to_thread(service.join, sounds, title=title, between_sections=whole)
    key = key_for(job.user_id, "narration", f"{track.id}.mp3")
    await doors.media.put(key, sound.data)
    await doors.media.put(_cover(job, track), await asyncio.to_thread(service.cover, track.section_key))
    return {"key": key, "seconds": max(1, round(sound.seconds))}


async def _complete(job: Job, doors: Doors, track: Track, stored: dict[str, Any]) -> None:
    key = str(stored["key"])
    bucket, bucket_key = doors.media.place_of(key)
    async with job.finish() as db:
        await narration.complete(
            db,
            track.id,
            bucket=bucket,
            key=bucket_key,
            url=doors.media.url_of(key),
            seconds=stored["seconds"],
        )
        await _next(job, db)


# ---------------------------------------------------------------------------------- one after another


async def _spent(job: Job, db: Transaction) -> tuple[int, Decimal]:
    """What the reading has taken so far, over all its jobs."""
    spent = await usage.of_work(db, job.head.id)
    return job.payload["tokens"] + spent.tokens, Decimal(job.payload["cents"]) + spent.cost_cents


async def _next(job: Job, db: Transaction) -> None:
    """Go on with what is left; at the end say what it took, and play it."""
    left = job.payload["left"][1:]
    following = await narration.track(db, uuid.UUID(left[0])) if left else None
    if following is None:
        await _end(job, db, None)
        return
    tokens, cents = await _spent(job, db)
    done = job.payload["count"] - len(left) - len(job.payload["failed"])
    replace(job, progress(following.section_key, done=done, count=job.payload["count"]), key=job.payload["key"])
    payload = job.payload | {"left": left, "tokens": tokens, "cents": str(cents)}
    job.start("narration.speak", payload, lane="narration")


async def _end(job: Job, db: Transaction, why: str | None, *more: InlineKeyboardButton) -> None:
    """End the reading: say how far it came, `why` where it broke off, and play what was asked for and is there.

    `why` is the key of a reply, or words for the person.
    """
    left = [uuid.UUID(track_id) for track_id in job.payload["left"]] if why else []
    await narration.fail(db, left, message=why if why in ("stopped", "withdrawn") else "broken off")
    count, failed = job.payload["count"], len(job.payload["failed"])
    done = count - failed - len(left)
    if why is None:
        words = WORDS(
            "done_some" if failed else "done_all" if count > 1 else "done_one", **_counts(done, count, failed)
        )
    elif why in ("stopped", "withdrawn"):
        words = WORDS(why, done=done, count=count)
    else:
        words = why
    tokens, cents = await _spent(job, db)
    words += "\n\n" + await _receipt(db, tokens, cents)
    edition = uuid.UUID(job.payload["edition"])
    rows = [[button(WORDS("listen"), ListenTap(step="open", id=edition)), *more], [home.back()]]
    replace(job, Screen(text=words, rows=rows), key=job.payload["key"])
    if done:
        payload = {"tracks": job.payload["play"], "edition": job.payload["edition"], "voice": job.payload["voice"]}
        job.start("narration.play", payload, lane="play")
    await balance.warn_if_low(job, db)


def _counts(done: int, count: int, failed: int) -> dict[str, int]:
    return {"done": done, "count": count, "failed": failed}


async def _receipt(db: Transaction, tokens: int, cents: Decimal) -> str:
    purse = await meter.wallet(db)
    assert purse is not None
    left = wallet.tokens(purse.balance - purse.held)
    if tokens == 0:
        return USAGE("receipt_nothing", left=left)
    return USAGE("receipt", tokens=wallet.tokens(tokens), cost=wallet.money(cents), left=left)


async def not_spoken(job: Job, db: Transaction, error: Exception) -> None:
    """Leave this section out and go on with the next; where no other could be read either, say why and end."""
    if isinstance(error, OutOfTokens | ModelUnavailable):
        await _end(job, db, trouble.why(error, otherwise=""), *trouble.balance_button(error))
    elif isinstance(error, NoModel):
        await _end(job, db, WORDS("no_model"))
    elif isinstance(error, StorageFull):
        await _end(job, db, str(error))
    else:
        await narration.fail(db, [uuid.UUID(job.payload["left"][0])], message=type(error).__name__)
        job.payload["failed"].append(job.payload["left"][0])
        await _next(job, db)


# ------------------------------------------------------------------------------------------ playing


async def play(job: Job, doors: Doors) -> None:
    """Send tracks that are there: one by itself, several as albums, each with its cover."""
    async with job.transaction() as db:
        found = [await narration.track(db, uuid.UUID(track_id)) for track_id in job.payload["tracks"]]
    tracks = [track for track in found if track is not None and track.status == "completed"]
    if not tracks:
        raise NotFound(WORDS("gone"))
    limit = doors.upload_limit
    keys = {track.id: doors.media.key_of(track.audio_url, owner=job.user_id) for track in tracks}
    large = {track.id for track in tracks if limit < await doors.media.size(keys[track.id])}
    links = {track_id: await doors.media.link(keys[track_id]) for track_id in large}
    fitting = [track for track in tracks if track.id not in large]
    listen = [button(WORDS("listen"), ListenTap(step="open", id=uuid.UUID(job.payload["edition"]))), home.back()]
    async with job.finish():
        for track in tracks:
            if track.id in large:
                _send_link(job, track, links[track.id], listen)
        if len(fitting) == 1:
            markup = InlineKeyboardMarkup(inline_keyboard=[listen]).model_dump(mode="json", exclude_none=True)
            track = fitting[0]
            audio = _audio(job, track, keys[track.id])
            job.send("sendAudio", {"audio": audio.pop("media")} | audio | {"reply_markup": markup})
        elif fitting:
            for album in _albums(fitting):
                media = [{"type": "audio"} | _audio(job, track, keys[track.id]) for track in album]
                job.send("sendMediaGroup", {"media": media})
            # An album carries no buttons.
            show(job, Screen(text=WORDS("here", name=job.payload["voice"]), rows=[listen]))


def _send_link(job: Job, track: Track, link: str | None, back: list[InlineKeyboardButton]) -> None:
    title = _title(track.section_key)
    if link is None:
        show(job, Screen(text=WORDS("too_large_here", title=title), rows=[back]))
    else:
        rows = [[InlineKeyboardButton(text=WORDS("download"), url=link)], back]
        show(job, Screen(text=Text(WORDS("too_large", title=title)), rows=rows))


def _albums(tracks: Sequence[Track]) -> list[Sequence[Track]]:
    """The tracks in albums of much the same size, so that none is left alone."""
    number = -(-len(tracks) // ALBUM)
    size = -(-len(tracks) // number)
    return [tracks[start : start + size] for start in range(0, len(tracks), size)]


def _audio(job: Job, track: Track, media_key: str) -> dict[str, Any]:
    title = _title(track.section_key)
    return {
        "media": {"media": media_key, "name": f"{title.replace('/', '-')}.mp3"},
        "thumbnail": {"media": _cover(job, track), "name": "cover.jpg"},
        "title": title,
        "performer": WORDS("performer"),
        "duration": track.seconds,
    }


def _title(section_key: str) -> str:
    section = service.section(section_key)
    return section.label if section is not None else WORDS("full_title")


def _cover(job: Job, track: Track) -> str:
    return key_for(job.user_id, "narration", f"cover-{track.section_key}.jpg")


async def not_played(job: Job, db: Transaction, error: Exception) -> None:
    """Say that the tracks cannot be sent, with the way back."""
    back = [button(WORDS("listen"), home.OpenTap(feature="narration")), home.back()]
    show(job, Screen(text=str(error) if isinstance(error, NotFound) else WORDS("failed"), rows=[back]))


# ----------------------------------------------------------------------------------------- samples


async def sample(job: Job, doors: Doors) -> None:
    """Let a voice be heard with the first words of the vision: read once, and kept."""
    voice = job.payload["voice"]
    async with job.transaction() as db:
        account = await people.account(db)
        edition = await editions.edition(db, uuid.UUID(job.payload["edition"]))
    text = service.sample(edition.sections) if edition is not None else ""
    if account is None or account.consented_at is None or not text:
        raise NotFound(WORDS("gone"))
    media_key = key_for(job.user_id, "narration", f"samples/{voice}.mp3")
    cover = key_for(job.user_id, "narration", f"cover-{service.FULL}.jpg")
    if not await job.step("kept", partial(doors.media.has, media_key)):

        async def keep(sound: bytes) -> str:
            await doors.media.put(media_key, (await asyncio.to_thread(service.join, [sound], title=voice)).data)
            return media_key

        await job.show_action("record_voice")
        await job.call("sample", Spoken, lambda ticket: doors.model.speak(ticket, text=text, voice=voice, keep=keep))
    await doors.media.put(cover, await asyncio.to_thread(service.cover, service.FULL))
    async with job.finish() as db:
        spent = await usage.of_work(db, job.head.id)
        receipt = await _receipt(db, spent.tokens, spent.cost_cents)
        rows = [[button(WORDS("take"), VoiceTap(step="take", place=job.payload["place"]), style="success")]]
        assert edition is not None
        rows.append([button(WORDS("voices"), ListenTap(step="voices", id=edition.id)), home.back()])
        hide(job, key=job.payload["key"])
        job.send(
            "sendAudio",
            {
                "audio": {"media": media_key, "name": "sample.mp3"},
                "thumbnail": {"media": cover, "name": "cover.jpg"},
                "title": WORDS("sample_title", name=job.payload["name"]),
                "performer": WORDS("performer"),
                "caption": WORDS("sample_done", name=job.payload["name"]) + " " + receipt,
                "reply_markup": InlineKeyboardMarkup(inline_keyboard=rows).model_dump(mode="json", exclude_none=True),
            },
        )


async def no_sample(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the voice cannot be heard."""
    if isinstance(error, NoModel):
        words = WORDS("no_model")
    else:
        known = isinstance(error, NotFound | StorageFull)
        words = trouble.why(error, otherwise=str(error) if known else WORDS("failed"))
    back = [button(WORDS("listen"), home.OpenTap(feature="narration")), home.back()]
    replace(job, Screen(text=words, rows=[[*trouble.balance_button(error), *back]]), key=job.payload["key"])


JOBS = {
    "narration.speak": (speak, not_spoken),
    "narration.play": (play, not_played),
    "narration.sample": (sample, no_sample),
}
