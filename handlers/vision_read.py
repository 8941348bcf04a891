"""Reading the vision: a page for each section, turned in place."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery
from aiogram.utils.formatting import Italic, Text

from bot.services import vision as service
from bot.services.work import Work
from handlers.screen import Screen, button, show, split
from handlers.vision import VisionTap, back, open_tap, overview, title
from prompts import replies
from prompts.categories import SECTIONS, Section
from storage import people, vision, vision_versions
from storage.database import Transaction
from storage.vision import Vision

WORDS = replies.of("vision")
PAGE_LIMIT = 3500
"""UTF-16 units of a page, so that heading and footer fit into the message beside it."""

router = Router(name="vision_read")


class PageTap(CallbackData, prefix="v_page"):
    """Turn to a page of a version."""

    number: int
    page: int


@router.callback_query(VisionTap.filter(F.step == "read"))
async def on_read(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Open the vision at its first page."""
    await people.wait_for(db, None)
    standing = await vision.standing(db)
    show(work, await _screen(db, standing, 0), tap=tap)


@router.callback_query(PageTap.filter())
async def on_page(tap: CallbackQuery, callback_data: PageTap, db: Transaction, work: Work) -> None:
    """Turn the page."""
    await people.wait_for(db, None)
    version = await vision_versions.version(db, callback_data.number)
    show(work, await _screen(db, version, callback_data.page), tap=tap)


async def _screen(db: Transaction, version: Vision | None, page: int) -> Screen:
    pages = _pages(version) if version is not None else []
    if version is None or not pages:
        return await overview(db)
    page = min(max(page, 0), len(pages) - 1)
    section, text = pages[page]
    footer = WORDS("page", number=version.version_number, page=page + 1, pages=len(pages))
    turn = [
        button(f"{mark} {service.short(pages[to][0])}", PageTap(number=version.version_number, page=to))
        for mark, to in (("◀", page - 1), ("▶", page + 1))
        if 0 <= to < len(pages)
    ]
    standing = await vision.standing(db)
    rows = [turn] if turn else []
    if standing is not None and standing.id == version.id:
        rows.append([button(WORDS("page_change", section=service.short(section)), open_tap(section))])
    rows.append([button(WORDS("versions"), VisionTap(step="versions")), *back()])
    return Screen(text=Text(title(section), "\n\n", text, "\n\n", Italic(footer)), rows=rows)


def _pages(version: Vision) -> list[tuple[Section, str]]:
    """The written sections in the order of reading; a long one takes several pages."""
    return [
        (section, piece)
        for section in SECTIONS
        if section.key in version.written
        for piece, _ in split(version.sections[section.key].strip(), first_limit=PAGE_LIMIT, limit=PAGE_LIMIT)
    ]
