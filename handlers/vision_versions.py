"""Versions of the vision: a draft completed, older ones read, compared, and taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, Italic, Text

from bot.errors import NotFound
from bot.services import vision as service
from bot.services import vision_changes
from bot.services.work import Work
from handlers import vision_proposals
from handlers.screen import Screen, button, show
from handlers.vision import VisionTap, back, overview, title
from handlers.vision_read import PageTap
from prompts import replies
from prompts.categories import Section
from storage import people, vision, vision_versions
from storage.database import Transaction
from storage.vision import Vision

WORDS = replies.of("vision")
A_PAGE = 8
"""Versions listed at once."""

router = Router(name="vision_versions")


class VersionTap(CallbackData, prefix="v_ver"):
    """A step with a version by its number: list, open, with, compare, complete, restore, drop; `other` is compared."""

    step: str
    number: int = 0
    other: int = 0
    page: int = 0


# -------------------------------------------------------------------------------------- completing


@router.callback_query(VisionTap.filter(F.step == "complete"))
async def on_complete(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Ask whether the draft shall become the vision that the person lives by."""
    await people.wait_for(db, None)
    draft = await vision.draft(db)
    if draft is None or draft.completion_percentage < 100:
        show(work, await overview(db), tap=tap)
        return
    number = draft.version_number
    refined = await _refined(db, draft)
    if refined == []:
        same = Text(Bold(WORDS("complete_title", number=number)), "\n\n", WORDS("complete_same"))
        drop = button(WORDS("drop"), VersionTap(step="drop", number=number))
        show(work, Screen(text=same, rows=[[drop], back()]), tap=tap)
        return
    parts: list[Any] = [Bold(WORDS("complete_title", number=number)), "\n\n", WORDS("complete_question")]
    if refined is not None:
        parts += ["\n\n", WORDS("refined", sections=_named(refined))]
    if waiting := len(await vision.waiting(db)):
        parts += ["\n\n", WORDS("complete_waiting", count=waiting)]
    yes = button(WORDS("complete_yes"), VersionTap(step="complete", number=number), style="success")
    show(work, Screen(text=Text(*parts), rows=[[yes], back()]), tap=tap)


@router.callback_query(VersionTap.filter(F.step == "complete"))
async def on_complete_yes(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Make the draft the active vision, once."""
    version = await vision_versions.version(db, callback_data.number)
    if version is not None and version.status == "draft":
        version = await vision_versions.complete(db, version.id)
    if version is None or not version.is_active:
        show(work, await overview(db), tap=tap)
        return
    number = version.version_number
    parts = [Bold(WORDS("completed", number=number)), "\n\n", WORDS("completed_how")]
    rows = [[button(WORDS("read_all"), PageTap(number=number, page=0), style="success")], back()]
    show(work, Screen(text=Text(*parts), rows=rows), tap=tap)


async def _refined(db: Transaction, version: Vision) -> list[Section] | None:
    """The sections that differ from those of the version's parent; None where there is no parent."""
    parent = await vision_versions.parent(db, version)
    return None if parent is None else vision_changes.refined(version.sections, parent.sections)


def _named(sections: Sequence[Section]) -> str:
    return ", ".join(service.short(section) for section in sections)


# ----------------------------------------------------------------------------------------- looking


@router.callback_query(VisionTap.filter(F.step == "versions"))
@router.callback_query(VersionTap.filter(F.step == "list"))
async def on_list(tap: CallbackQuery, callback_data: VisionTap | VersionTap, db: Transaction, work: Work) -> None:
    """List the versions, newest first."""
    await people.wait_for(db, None)
    history = await vision_versions.history(db)
    if not history:
        show(work, await overview(db), tap=tap)
        return
    page = callback_data.page if isinstance(callback_data, VersionTap) else 0
    first = min(max(page, 0), (len(history) - 1) // A_PAGE) * A_PAGE
    shown = history[first : first + A_PAGE]
    rows = [[button(_line(version), VersionTap(step="open", number=version.version_number))] for version in shown]
    turn = [
        button(WORDS(words), VersionTap(step="list", page=first // A_PAGE + step))
        for words, step, there in (("newer", -1, first > 0), ("older", 1, first + A_PAGE < len(history)))
        if there
    ]
    show(
        work,
        Screen(
            text=Text(Bold(WORDS("versions_title")), "\n\n", WORDS("versions_how")),
            rows=[*rows, *([turn] if turn else []), back()],
        ),
        tap=tap,
    )


def _line(version: Vision) -> str:
    number, day = version.version_number, f"{version.updated_at:%d %B %Y}"
    if version.status == "draft":
        return WORDS("version_draft", number=number, percentage=version.completion_percentage)
    return WORDS("version_active" if version.is_active else "version_past", number=number, day=day)


async def _theirs(db: Transaction, number: int) -> Vision:
    version = await vision_versions.version(db, number)
    if version is None:
        raise NotFound(WORDS("version_gone"))
    return version


@router.callback_query(VersionTap.filter(F.step == "open"))
async def on_open(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """What a version is, and what can be done with it."""
    version = await _theirs(db, callback_data.number)
    show(work, await _version_screen(db, version), tap=tap)


async def _version_screen(db: Transaction, version: Vision) -> Screen:
    number = version.version_number
    parts: list[Any] = [Bold(_line(version))]
    refined = await _refined(db, version)
    parent = await vision_versions.parent(db, version)
    if parent is not None:
        words = "version_refined" if refined else "version_same"
        parts += ["\n\n", WORDS(words, parent=parent.version_number, sections=_named(refined or []))]
    rows: list[list[InlineKeyboardButton]] = []
    if version.written:
        rows.append([button(WORDS("read_all"), PageTap(number=number, page=0), style="success")])
    if len(await vision_versions.history(db)) > 1:
        rows.append([button(WORDS("compare"), VersionTap(step="with", number=number))])
    if version.status == "complete":
        rows.append([button(WORDS("take_up"), VersionTap(step="restore", number=number))])
    else:
        rows.append([button(WORDS("drop"), VersionTap(step="drop", number=number))])
    return Screen(text=Text(*parts), rows=[*rows, _to_list()])


def _to_list() -> list[InlineKeyboardButton]:
    return [button(WORDS("versions"), VisionTap(step="versions")), *back()]


def _to_version(number: int) -> list[InlineKeyboardButton]:
    return [button(WORDS("version", number=number), VersionTap(step="open", number=number)), *back()]


# --------------------------------------------------------------------------------------- comparing


@router.callback_query(VersionTap.filter(F.step == "with"))
async def on_with(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Ask with which version to compare."""
    version = await _theirs(db, callback_data.number)
    number = version.version_number
    others = [other for other in await vision_versions.history(db) if other.version_number != number]
    rows = [
        [button(_line(other), VersionTap(step="compare", number=number, other=other.version_number))]
        for other in others[: 2 * A_PAGE]
    ]
    screen = Screen(text=Text(Bold(_line(version)), "\n\n", WORDS("compare_with")), rows=[*rows, _to_version(number)])
    show(work, screen, tap=tap)


@router.callback_query(VersionTap.filter(F.step == "compare"))
async def on_compare(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """What came and what went between two versions, section by section, from the older to the newer."""
    numbers = sorted((callback_data.number, callback_data.other))
    older, newer = await _theirs(db, numbers[0]), await _theirs(db, numbers[1])
    changed = vision_changes.refined(newer.sections, older.sections)
    heading = WORDS("compare_title", older=older.version_number, newer=newer.version_number)
    if not changed:
        same = Text(Bold(heading), "\n\n", WORDS("compare_same"))
        show(work, Screen(text=same, rows=[_to_version(callback_data.number)]), tap=tap)
        return
    page = min(max(callback_data.page, 0), len(changed) - 1)
    section = changed[page]
    difference = vision_proposals.difference(older.sections[section.key], newer.sections[section.key])
    footer = WORDS("compare_page", page=page + 1, pages=len(changed))
    parts = [Italic(heading), "\n\n", title(section), "\n\n", *difference]
    turn = [
        button(f"{mark} {service.short(changed[to])}", callback_data.model_copy(update={"page": to}))
        for mark, to in (("◀", page - 1), ("▶", page + 1))
        if 0 <= to < len(changed)
    ]
    rows = [*([turn] if turn else []), _to_version(callback_data.number)]
    show(work, Screen(text=Text(*parts, "\n\n", Italic(footer)), rows=rows), tap=tap)


# ------------------------------------------------------------------------------ taking up, dropping


@router.callback_query(VersionTap.filter(F.step.in_({"restore", "restore_yes"})))
async def on_restore(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Put an older version into the draft; where a draft with other words stands, only after that was said."""
    older = await _theirs(db, callback_data.number)
    draft = await vision.draft(db)
    if older.status == "draft":
        show(work, await overview(db), tap=tap)
        return
    changed = vision_changes.refined(older.sections, draft.sections) if draft is not None else []
    if draft is not None and draft.written and changed and callback_data.step == "restore":
        yes = button(WORDS("take_up_yes"), VersionTap(step="restore_yes", number=older.version_number))
        parts = [Bold(_line(older)), "\n\n", WORDS("take_up_question", sections=_named(changed))]
        show(work, Screen(text=Text(*parts), rows=[[yes], _to_version(older.version_number)]), tap=tap)
        return
    taken = await vision_versions.take_up(db, older)
    text = Text(Bold(WORDS("taken_up", number=older.version_number, draft=taken.version_number)))
    rows = [[button(WORDS("read_all"), PageTap(number=taken.version_number, page=0))], back()]
    show(work, Screen(text=text, rows=rows), tap=tap)


@router.callback_query(VersionTap.filter(F.step.in_({"drop", "drop_yes"})))
async def on_drop(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Drop the draft, after that was said twice."""
    version = await vision_versions.version(db, callback_data.number)
    if version is None or version.status != "draft":
        show(work, await overview(db), tap=tap)
    elif callback_data.step == "drop":
        yes = button(WORDS("drop_yes"), VersionTap(step="drop_yes", number=version.version_number), style="danger")
        parts = [Bold(_line(version)), "\n\n", WORDS("drop_question")]
        show(work, Screen(text=Text(*parts), rows=[[yes], _to_version(version.version_number)]), tap=tap)
    else:
        await vision_versions.drop_draft(db, version.id)
        show(work, await overview(db), tap=tap)


@router.callback_query(VersionTap.filter())
async def on_other(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """A step of another time: show where things stand."""
    show(work, await overview(db), tap=tap)
