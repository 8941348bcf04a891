"""The life vision: its fourteen sections as they stand, and the way to everything that can be done with them."""

from __future__ import annotations

import uuid
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.services import vision as service
from bot.services.work import Work
from handlers import home
from handlers.screen import Rows, Screen, button, show
from prompts import replies
from prompts.categories import SECTIONS, Section
from prompts.vision import WOVEN
from storage import assessment, people, vision
from storage.database import Transaction
from storage.vision import Proposal, Vision

WORDS = replies.of("vision")
IN_A_ROW = 2
"""Section buttons side by side: with their mark they fit a phone's width."""

ENOUGH = 3
"""Areas that must stand before a forward or a conclusion can be woven from them, if the person does not wait."""

router = Router(name="vision")


class VisionTap(CallbackData, prefix="vision"):
    """A step with a section, such as open, ask, refine, edit; without one, with the whole vision."""

    step: str
    key: str = ""


class ProposalTap(CallbackData, prefix="draft"):
    """A step with a proposal: keep, replace, restore, again, aside, show, retry, more."""

    step: str
    id: uuid.UUID


# ----------------------------------------------------------------------------------------- screens


async def overview(db: Transaction) -> Screen:
    """The fourteen sections and how each stands, with a button for each that can be opened."""
    standing = await vision.standing(db)
    written = standing.written if standing is not None else set()
    newest = await vision.newest(db)
    marks = {key: WORDS(mark) for key, proposal in newest.items() if (mark := _mark(proposal)) is not None}
    lines: list[Any] = []
    for section in SECTIONS:
        line = f"{section.icon} {section.label}"
        if section.key in written:
            line += " ✓"
        if section.key in marks:
            lines += ["\n", line, Italic(f"  {marks[section.key]}")]
        elif section.key in WOVEN and not may_weave(section, written):
            lines += ["\n", Italic(f"{line}  {WORDS('later')}")]
        else:
            lines += ["\n", line]
    buttons = [
        button(service.short(section) + (" ✓" if section.key in written else ""), open_tap(section))
        for section in (*service.TWELVE, *(s for s in SECTIONS if s.key in WOVEN and may_weave(s, written)))
    ]
    rows = [buttons[place : place + IN_A_ROW] for place in range(0, len(buttons), IN_A_ROW)]
    choose = WORDS("choose" if len(written) < len(SECTIONS) else "choose_written")
    count = sum(proposal.state == "proposed" for proposal in newest.values())
    return Screen(
        text=Text(Bold(WORDS("title")), "\n", _progress(standing), "\n", *lines, "\n\n", choose),
        rows=[*rows, *_whole(standing, waiting=count), [home.back()]],
    )


def _progress(standing: Vision | None) -> str:
    if standing is None:
        return WORDS("progress", count=0, percentage=0)
    if standing.status == "complete":
        return WORDS("standing_complete", number=standing.version_number, day=f"{standing.updated_at:%d %B %Y}")
    progress = WORDS("progress", count=len(standing.written), percentage=standing.completion_percentage)
    if standing.version_number == 1:
        return progress
    return WORDS("draft_of", number=standing.version_number) + " " + progress


def _whole(standing: Vision | None, *, waiting: int) -> Rows:
    """What can be done with the vision as a whole."""
    rows = []
    if waiting:
        rows.append([button(WORDS("read_waiting", count=waiting), VisionTap(step="waiting"), style="success")])
    if standing is None or len(standing.written) < len(SECTIONS):
        rows.append([button(WORDS("draft_missing"), VisionTap(step="missing"))])
    elif standing.status == "draft":
        rows.append([button(WORDS("complete"), VisionTap(step="complete"), style="success")])
    if standing is None or not standing.written:
        return rows
    book = button(WORDS("book"), home.OpenTap(feature="book"))
    listen = button(WORDS("listen"), home.OpenTap(feature="narration"))
    read, versions = VisionTap(step="read"), VisionTap(step="versions")
    return [*rows, [button(WORDS("read_all"), read), listen, book], [button(WORDS("versions"), versions)]]


def may_weave(section: Section, written: set[str]) -> bool:
    """Whether a forward or a conclusion can be opened: once enough of the twelve stand, or where it stands itself."""
    return section.key in written or len(written - set(WOVEN)) >= ENOUGH


def _mark(proposal: Proposal) -> str | None:
    if proposal.state == "failed":
        return "told_mark" if has_words(proposal) else None
    return {"drafting": "writing_mark", "proposed": "waiting_mark"}.get(proposal.state)


def has_words(proposal: Proposal) -> bool:
    """Whether the person has told something for it."""
    return bool(proposal.imagination or proposal.unheard)


async def section_screen(db: Transaction, section: Section) -> Screen:
    """What stands in a section, and what can be done next."""
    standing = await vision.standing(db)
    text = standing.sections[section.key].strip() if standing is not None else ""
    newest = (await vision.newest(db)).get(section.key)
    parts: list[Any] = [title(section), "\n\n", text or WORDS("empty")]
    rows = []
    if newest is not None and newest.state == "drafting":
        parts += ["\n\n", Italic(WORDS("being_written"))]
    elif newest is not None and newest.state == "proposed":
        parts += ["\n\n", Italic(WORDS("waits"))]
        rows.append([button(WORDS("read"), ProposalTap(step="show", id=newest.id), style="success")])
    elif newest is not None and newest.state == "failed" and has_words(newest):
        parts += ["\n\n", Italic(WORDS("told"))]
        rows.append([button(WORDS("go_on"), ProposalTap(step="retry", id=newest.id), style="success")])
    rows += _ways(section, text=text, begun=await vision.edit(db, section.key))
    return Screen(text=Text(*parts), rows=[*rows, *await _small_steps(db, section), back()])


async def _small_steps(db: Transaction, section: Section) -> list[list[InlineKeyboardButton]]:
    """The way to small steps, where the newest assessment leaves something to bridge."""
    from handlers.assessment_result import BLUEPRINT, StepsTap

    result = await assessment.result(db)
    if result is None or result.green_line_status.get(section.key) not in ("transition", "below"):
        return []
    return [[button(BLUEPRINT("open"), StepsTap(category=section.key))]]


def _ways(section: Section, *, text: str, begun: Proposal | None) -> list[list[InlineKeyboardButton]]:
    """The ways to change a section: by drafting, by talking, by hand."""
    if section.key in WOVEN:
        draft = button(WORDS("weave_again" if text else "weave"), VisionTap(step="ask", key=section.key))
    else:
        draft = button(WORDS("draft_again" if text else "draft"), VisionTap(step="ask", key=section.key))
    words = "edit_on" if begun is not None and begun.text else "edit" if text else "edit_empty"
    by_hand = button(WORDS(words), VisionTap(step="edit", key=section.key))
    if not text:
        return [[draft], [by_hand]]
    return [[button(WORDS("refine"), VisionTap(step="refine", key=section.key)), by_hand], [draft]]


def title(section: Section) -> Bold:
    """A section's name as a heading."""
    return Bold(f"{section.icon} {section.label}")


def open_tap(section: Section) -> VisionTap:
    """The tap that opens a section."""
    return VisionTap(step="open", key=section.key)


def back() -> list[InlineKeyboardButton]:
    """The way back to the vision, and home."""
    return [button(WORDS("vision"), VisionTap(step="all")), home.back()]


def back_to(section: Section) -> list[InlineKeyboardButton]:
    """The way back to a section, and home."""
    return [button(service.short(section), open_tap(section)), home.back()]


# ----------------------------------------------------------------------------------------- looking


@router.message(Command("vision"))
async def on_vision(message: Message, db: Transaction, work: Work) -> None:
    """Show the vision."""
    await people.wait_for(db, None)
    show(work, await overview(db))


@router.callback_query(home.OpenTap.filter(F.feature == "vision"))
@router.callback_query(VisionTap.filter(F.step == "all"))
async def on_overview(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show the vision in place."""
    await people.wait_for(db, None)
    show(work, await overview(db), tap=tap)


@router.callback_query(VisionTap.filter())
async def on_section(tap: CallbackQuery, callback_data: VisionTap, db: Transaction, work: Work) -> None:
    """Open a section; any other step with a section is taken by the module that knows it, before this one."""
    section = service.section(callback_data.key)
    await people.wait_for(db, None)
    show(work, await overview(db) if section is None else await section_screen(db, section), tap=tap)
