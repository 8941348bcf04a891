"""Telling area after area what one wants, before anything is written from it."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.config import Settings
from bot.services import vision as service
from bot.services.work import Work
from handlers import care, recordings, vision_all, vision_telling
from handlers.screen import Screen, button, show
from handlers.vision import VisionTap, back, title
from handlers.waiting import Waiting
from prompts import replies
from prompts.categories import Section
from storage import people, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal

WORDS = replies.of("vision")

router = Router(name="vision_walk")


@router.callback_query(VisionTap.filter(F.step == "tell"))
async def on_tell(
    tap: CallbackQuery, callback_data: VisionTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Ask for the first area of which nothing is told, or for the one after the area that was left out."""
    show(work, await _next(db, user, settings, after=callback_data.key), tap=tap)


async def _next(db: Transaction, user: Account, settings: Settings, *, after: str, noted: str = "") -> Screen:
    """The question for the next area; when there is none left, what can be written now."""
    order = [section.key for section in service.TWELVE]
    here = order.index(after) if after in order else -1
    left = [section for section in (await vision_all.plan(db)).untold if order.index(section.key) > here]
    if not left or user.consented_at is None:
        await people.wait_for(db, None)
        return await vision_all.missing_screen(db, user, settings)
    section = left[0]
    await people.wait_for(db, {"kind": "vision_walk", "category": section.key})
    parts: list[Any] = [noted, "\n\n"] if noted else []
    parts += [title(section), "\n\n", Bold(WORDS("ask")), "\n\n", WORDS("ask_how")]
    parts += ["\n\n", Italic(WORDS("tell_last" if len(left) == 1 else "tell_left", count=len(left)))]
    rows = [
        [
            button(WORDS("tell_skip"), VisionTap(step="tell", key=section.key)),
            button(WORDS("tell_enough"), VisionTap(step="missing")),
        ]
    ]
    return Screen(text=Text(*parts), rows=[*rows, back()])


@router.message(Waiting("vision_walk"), F.text, ~F.text.startswith("/"))
async def on_words(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Keep the words for their area, and ask for the next."""
    section = service.section(waiting.get("category"))
    await people.wait_for(db, None)
    if section is None:
        show(work, await vision_all.missing_screen(db, user, settings))
        return
    words = vision_telling.cleaned(message.text)
    await vision.propose(db, section_key=section.key, imagination=words, state="failed")
    go_on = VisionTap(step="tell", key=section.key)
    sign = await care.speak_up(work, db, user, words, go_on=go_on)
    if sign is None or sign.level != "immediate":
        show(work, await _next(db, user, settings, after=section.key, noted=_noted(section)))


@router.message(Waiting("vision_walk"), recordings.ANY)
async def on_recording(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Keep what the person says for its area and write it down, and ask for the next meanwhile."""
    section = service.section(waiting.get("category"))

    async def keep(words: str) -> Proposal:
        assert section is not None
        return await vision.propose(db, section_key=section.key, imagination=words)

    if await vision_telling.may_listen(message, work, db, user, section=section, keep=keep):
        assert section is not None
        proposal = await keep(vision_telling.cleaned(message.caption))
        vision_telling.listen(message, work, proposal, keep_only=True)
        show(work, await _next(db, user, settings, after=section.key))


def _noted(section: Section) -> str:
    return WORDS("tell_noted", section=section.label)
