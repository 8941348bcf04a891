"""Writing a section of the vision by hand: sent back changed, in as many messages as it takes, or dictated."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Code, Text

from bot.services import vision as service
from bot.services.work import Work
from handlers import care, recordings, vision_proposals, vision_telling
from handlers.screen import Screen, show
from handlers.vision import VisionTap, back_to, overview, section_screen, title
from handlers.vision_telling import gathered_screen, waiting_for
from handlers.waiting import Waiting
from prompts import replies
from prompts.categories import Section
from storage import people, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal

WORDS = replies.of("vision")

router = Router(name="vision_edit")


@router.callback_query(VisionTap.filter(F.step == "edit"))
async def on_edit(tap: CallbackQuery, callback_data: VisionTap, db: Transaction, work: Work) -> None:
    """Give the text to copy and change, and take what comes; or what was sent so far."""
    section = service.section(callback_data.key)
    if section is None:
        show(work, await overview(db), tap=tap)
        return
    await people.wait_for(db, waiting_for(section, "edit"))
    begun = await vision.edit(db, section.key)
    if begun is not None and begun.text:
        show(work, gathered_screen(section, begun.text), tap=tap)
        return
    standing = await vision.standing(db)
    text = standing.sections[section.key].strip() if standing is not None else ""
    parts: list[Any] = [title(section), "\n\n", WORDS("edit_how" if text else "edit_how_empty")]
    parts += ["\n\n", Code(text)] if text else []
    show(work, Screen(text=Text(*parts), rows=[back_to(section)]), tap=tap)


@router.message(Waiting("vision_edit"), F.text, ~F.text.startswith("/"))
async def on_words(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person sends; it takes the section's place when they say that it is whole."""
    section = service.section(waiting.get("category"))
    if section is None:
        await people.wait_for(db, None)
        show(work, await overview(db))
        return
    await _add(work, db, user, section, vision_telling.cleaned(message.text))


async def _add(work: Work, db: Transaction, user: Account, section: Section, words: str) -> None:
    begun = await _begun(db, section)
    text = service.joined(begun.text, words)
    await vision.put_text(db, begun.id, text)
    sign = await care.speak_up(work, db, user, words, go_on=VisionTap(step="edit", key=section.key))
    if sign is None or sign.level != "immediate":
        show(work, gathered_screen(section, text))


async def _begun(db: Transaction, section: Section) -> Proposal:
    begun = await vision.edit(db, section.key)
    return begun or await vision.propose(db, section_key=section.key, purpose="edit", imagination="")


@router.message(Waiting("vision_edit"), recordings.ANY)
async def on_recording(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person dictates, write it down, and put it to the end of the text."""
    if user.consented_at is None:
        raise SkipHandler
    section = service.section(waiting.get("category"))
    if section is None:
        await people.wait_for(db, None)
        show(work, await overview(db))
        return
    caption = vision_telling.cleaned(message.caption)
    if recordings.too_large(message):
        show(work, Screen(text=WORDS("too_large"), rows=[back_to(section)]))
        if caption:
            await _add(work, db, user, section, caption)
        return
    begun = await _begun(db, section)
    await vision.move(db, begun.id, since=["failed"], to="drafting")
    if caption:
        await care.speak_up(work, db, user, caption)
        await vision.put_text(db, begun.id, service.joined(begun.text, caption))
    vision_telling.listen(message, work, begun)


@router.callback_query(VisionTap.filter(F.step.in_({"edit_done", "edit_drop"})))
async def on_done(tap: CallbackQuery, callback_data: VisionTap, db: Transaction, work: Work) -> None:
    """Put what was sent into the vision, or drop it; what stood there can be brought back."""
    section = service.section(callback_data.key)
    if section is None:
        show(work, await overview(db), tap=tap)
        return
    begun = await vision.edit(db, section.key)
    if begun is not None and begun.state == "drafting" and begun.unheard and callback_data.step == "edit_done":
        show(work, Screen(text=WORDS("edit_hearing"), rows=[back_to(section)]))
        return
    await people.wait_for(db, None)
    if begun is None or not begun.text or callback_data.step == "edit_drop":
        if begun is not None:
            await vision.move(db, begun.id, since=["drafting", "failed"], to="rejected")
        show(work, await section_screen(db, section), tap=tap)
        return
    await vision.move(db, begun.id, since=["drafting", "failed"], to="kept")
    written = await vision.write_section(db, section_key=section.key, text=begun.text)
    show(work, vision_proposals.kept_screen(section, begun.text, written), tap=tap)
