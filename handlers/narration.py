"""Listening to the life vision: which sections, in which voice, and what it takes; the reading itself is in a job."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Text

from bot.config import Settings
from bot.errors import NotFound
from bot.services import narration as service
from bot.services import vision as visions
from bot.services.work import Work
from handlers import home, price_tag, start
from handlers.screen import Screen, button, passing, show, shown
from prompts import narration as prompts
from prompts import replies
from prompts.categories import SECTIONS
from prompts.narration import Voice
from storage import editions, narration, people
from storage import work as store
from storage.database import Transaction
from storage.editions import Edition
from storage.people import Account

WORDS = replies.of("narration")
IN_A_ROW = 2
STOPPABLE = ("narration.speak",)

router = Router(name="narration")


class ListenTap(CallbackData, prefix="listen"):
    """A step with an edition: open, voices; one (a section), all, full, and the same with the price agreed to."""

    step: str
    id: uuid.UUID
    key: str = ""


class VoiceTap(CallbackData, prefix="voice"):
    """Hear or take the voice at this place of the list."""

    step: str
    place: int


class StopTap(CallbackData, prefix="hush"):
    """Stop reading aloud."""


# ----------------------------------------------------------------------------------------- screens


async def voice_of(db: Transaction, settings: Settings) -> Voice:
    """The voice that the person chose, as far as it is one of those there are; else the first."""
    chosen = await narration.voice(db, settings.speech_provider)
    voices = prompts.voices(settings.speech_provider)
    return next((voice for voice in voices if voice.id == chosen), voices[0])


async def _ready(db: Transaction, edition: Edition, voice: Voice) -> set[str]:
    """The keys of the sections that can be heard as they stand."""
    hashes = {key: service.content_hash(text) for key, text in edition.sections.items()}
    found = await narration.ready(db, hashes=list(hashes.values()), voice_id=voice.id)
    return {track.section_key for track in found if hashes.get(track.section_key) == track.content_hash}


def back(edition: Edition | None = None) -> list[InlineKeyboardButton]:
    """The buttons that lead away, to the sections of an edition where one is given."""
    if edition is None:
        return [button(WORDS("vision"), home.OpenTap(feature="vision")), home.back()]
    return [button(WORDS("listen"), ListenTap(step="open", id=edition.id)), home.back()]


async def screen(db: Transaction, settings: Settings, edition: Edition | None = None) -> Screen:
    """What can be heard of an edition, of the newest where none is given."""
    found = await editions.editions(db)
    if edition is None:
        edition = found[0] if found else None
    if edition is None or not edition.sections:
        return Screen(text=Text(Bold(WORDS("title")), "\n\n", WORDS("nothing")), rows=[back()])
    voice = await voice_of(db, settings)
    ready = await _ready(db, edition, voice)
    parts: list[Any] = [Bold(WORDS("title")), "\n\n", WORDS("intro"), "\n\n", WORDS(f"intro_{edition.status}"), "\n"]
    parts += [WORDS("voice_now", name=voice.name, words=voice.words), "\n"]
    parts += [WORDS("standing", ready=len(ready), count=len(edition.sections))]
    if settings.speech_model is None:
        parts += ["\n\n", WORDS("no_model")]
    buttons = [
        button(
            visions.short(section) + (" ✓" if section.key in ready else ""),
            ListenTap(step="one", id=edition.id, key=section.key),
        )
        for section in SECTIONS
        if section.key in edition.sections
    ]
    rows = [buttons[place : place + IN_A_ROW] for place in range(0, len(buttons), IN_A_ROW)]
    if len(buttons) > 1:
        both = [("everything", "all"), ("one_track", "full")]
        rows.append([button(WORDS(words), ListenTap(step=step, id=edition.id)) for words, step in both])
    rows.append([button(WORDS("voices"), ListenTap(step="voices", id=edition.id))])
    rows += [
        [button(WORDS(f"other_{other.status}"), ListenTap(step="open", id=other.id))]
        for other in found
        if other.id != edition.id
    ]
    return Screen(text=Text(*parts), rows=[*rows, back()])


async def voices_screen(db: Transaction, settings: Settings, edition: Edition) -> Screen:
    """The voices there are, each to be heard and to be chosen."""
    chosen = await voice_of(db, settings)
    takes = service.price(settings, service.sample(edition.sections))
    intro = WORDS("voices_free") if takes is None else WORDS("voices_intro", tokens=f"{takes:,}")
    rows = []
    for place, voice in enumerate(prompts.voices(settings.speech_provider)):
        words = "voice_chosen" if voice == chosen else "voice_choose"
        rows.append(
            [
                button(WORDS("voice_hear", name=voice.name), VoiceTap(step="hear", place=place)),
                button(WORDS(words, name=voice.name, words=voice.words), VoiceTap(step="take", place=place)),
            ]
        )
    return Screen(text=Text(Bold(WORDS("voices_title")), "\n\n", intro), rows=[*rows, back(edition)])


# ---------------------------------------------------------------------------------------- choosing


@router.message(Command("listen"))
async def on_listen(message: Message, db: Transaction, work: Work, settings: Settings) -> None:
    """Show what can be heard."""
    await people.wait_for(db, None)
    show(work, await screen(db, settings))


@router.callback_query(home.OpenTap.filter(F.feature == "narration"))
async def on_open(tap: CallbackQuery, db: Transaction, work: Work, settings: Settings) -> None:
    """Show what can be heard."""
    await people.wait_for(db, None)
    show(work, await screen(db, settings), tap=tap)


@router.callback_query(StopTap.filter())
async def on_stop(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Stop reading aloud after the part that is being read."""
    await db.become_service()
    await store.request_cancel(db, work.chat_id, names=STOPPABLE)
    show(work, Screen(text=WORDS("stopping")), tap=tap)


@router.callback_query(VoiceTap.filter())
async def on_voice(
    tap: CallbackQuery, callback_data: VoiceTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Let a voice be heard, or take it from now on."""
    voices = prompts.voices(settings.speech_provider)
    found = await editions.editions(db)
    if not 0 <= callback_data.place < len(voices) or not found:
        show(work, await screen(db, settings), tap=tap)
        return
    voice = voices[callback_data.place]
    if callback_data.step == "take":
        await narration.choose_voice(db, provider=settings.speech_provider, voice_id=voice.id)
        show(work, await screen(db, settings), tap=tap)
    elif user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
    else:
        payload = {
            "edition": str(found[0].id),
            "voice": voice.id,
            "name": voice.name,
            "place": callback_data.place,
            "key": passing(work, Screen(text=WORDS("sampling", name=voice.name))),
        }
        work.start("narration.sample", payload, lane="sample")


@router.callback_query(ListenTap.filter())
async def on_tap(
    tap: CallbackQuery, callback_data: ListenTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Let sections be heard; what is not read yet is read once its price was agreed to."""
    edition = await editions.edition(db, callback_data.id)
    if edition is None or not edition.sections:
        raise NotFound(WORDS("gone"))
    step, agreed = callback_data.step.removesuffix("_yes"), callback_data.step.endswith("_yes")
    if step == "voices":
        show(work, await voices_screen(db, settings, edition), tap=tap)
        return
    keys = [section.key for section in SECTIONS if section.key in edition.sections]
    if step == "one":
        keys = [key for key in keys if key == callback_data.key]
    if step not in ("one", "all", "full") or not keys:
        show(work, await screen(db, settings, edition), tap=tap)
        return
    voice = await voice_of(db, settings)
    ready = await _ready(db, edition, voice)
    missing = [key for key in keys if key not in ready]
    if missing and user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
    elif missing and not agreed:
        show(work, await _price_screen(db, user, settings, edition, callback_data, missing), tap=tap)
    else:
        await _begin(db, work, edition, voice, keys, full=step == "full", tap=tap)


async def _price_screen(
    db: Transaction, user: Account, settings: Settings, edition: Edition, tapped: ListenTap, missing: Sequence[str]
) -> Screen:
    prices = [service.price(settings, edition.sections[key]) for key in missing]
    if any(price is None for price in prices):
        return Screen(text=WORDS("no_model"), rows=[back(edition)])
    tokens = sum(price for price in prices if price is not None)
    section = service.section(missing[0])
    kind = "one" if len(missing) == 1 and tapped.step == "all" else tapped.step
    what = WORDS(f"price_{kind}", count=len(missing), section=section.label if section else "")
    return await price_tag.screen(
        db,
        user,
        settings,
        what=what,
        low=tokens,
        high=tokens,
        go_on=ListenTap(step=f"{tapped.step}_yes", id=edition.id, key=tapped.key),
        back=back(edition),
    )


async def _begin(
    db: Transaction, work: Work, edition: Edition, voice: Voice, keys: Sequence[str], *, full: bool, tap: CallbackQuery
) -> None:
    """Have what is missing read, and then all of it played."""
    tracks = [await _want(db, edition, voice, key, edition.sections[key]) for key in keys]
    missing = [track for track in tracks if track.status != "completed"]
    play = tracks
    if full:
        whole = await _want(db, edition, voice, service.FULL, service.whole(edition.sections))
        play = [whole]
        missing += [whole] if whole.status != "completed" else []
    payload: dict[str, Any]
    play_ids = [str(track.id) for track in play]
    if not missing:
        payload = {"tracks": play_ids, "edition": str(edition.id), "voice": voice.name}
        work.start("narration.play", payload, lane="play")
        return
    payload = {
        "edition": str(edition.id),
        "voice": voice.name,
        "left": [str(track.id) for track in missing],
        "count": len(missing),
        "failed": [],
        "sections": [str(track.id) for track in tracks],
        "play": play_ids,
        "key": passing(work, progress(missing[0].section_key, done=0, count=len(missing)), tap=tap),
        "tokens": 0,
        "cents": "0",
    }
    work.start("narration.speak", payload, lane="narration", key=f"{work.chat_id}:{shown(tap)}")


async def _want(db: Transaction, edition: Edition, voice: Voice, key: str, text: str) -> narration.Track:
    return await narration.want(
        db,
        vision_id=edition.id,
        section_key=key,
        content_hash=service.content_hash(text),
        text=text,
        voice_id=voice.id,
    )


def progress(section_key: str, *, done: int, count: int) -> Screen:
    """What is being read just now, with a way to stop."""
    section = service.section(section_key)
    words = WORDS("joining") if section is None else WORDS("reading", section=section.label, done=done, count=count)
    return Screen(text=words, rows=[[button(WORDS("stop"), StopTap(), style="danger")]])
