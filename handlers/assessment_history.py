"""Looking at results again: the newest, the earlier ones, one area with its answers, the pictures."""

from __future__ import annotations

import uuid

from aiogram import Router
from aiogram.types import CallbackQuery

from bot.services.work import Work
from handlers import assessment, home
from handlers.assessment_result import (
    AreaTap,
    PastTap,
    PictureTap,
    ResultTap,
    area_screen,
    areas_screen,
    past_screen,
    result_screen,
    start_picture,
)
from handlers.screen import Screen, show
from prompts import replies
from prompts.categories import CATEGORIES
from storage import assessment as store
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("assessment")
MOST_LISTED = 24

router = Router(name="assessment_history")


async def named(db: Transaction, assessment_id: str) -> store.Result | None:
    """The completed assessment that a button names by its id, if it is the person's."""
    try:
        return await store.result(db, uuid.UUID(assessment_id))
    except ValueError:
        return None


@router.callback_query(ResultTap.filter())
async def on_result(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show the newest result."""
    await assessment.wait_no_more(user, db)
    result = await store.result(db)
    if result is None:
        await assessment.stale(tap, user, db, work)
        return
    show(work, result_screen(result, await store.before(db, result), user, work), tap=tap)


@router.callback_query(PastTap.filter())
async def on_past(tap: CallbackQuery, callback_data: PastTap, user: Account, db: Transaction, work: Work) -> None:
    """List the results by their dates, or show one of them as it was then."""
    await assessment.wait_no_more(user, db)
    if not callback_data.assessment:
        show(work, past_screen(await store.completed(db, limit=MOST_LISTED), user), tap=tap)
        return
    result = await named(db, callback_data.assessment)
    newest = await store.result(db)
    if result is None or newest is None:
        await assessment.stale(tap, user, db, work)
        return
    before = await store.before(db, result)
    show(work, result_screen(result, before, user, work, newest=result.id == newest.id), tap=tap)


@router.callback_query(AreaTap.filter())
async def on_area(tap: CallbackQuery, callback_data: AreaTap, user: Account, db: Transaction, work: Work) -> None:
    """List the twelve areas of a result, or show one of them with every answer."""
    await assessment.wait_no_more(user, db)
    result = await named(db, callback_data.assessment)
    if result is None:
        await assessment.stale(tap, user, db, work)
        return
    if callback_data.category not in {area.key for area in CATEGORIES}:
        show(work, areas_screen(result, user), tap=tap)
        return
    before = await store.before(db, result)
    answers = await store.answered(db, result.id)
    newest = await store.result(db)
    is_newest = newest is not None and newest.id == result.id
    show(work, area_screen(result, before, answers, callback_data.category, user, newest=is_newest), tap=tap)


@router.callback_query(PictureTap.filter())
async def on_picture(tap: CallbackQuery, callback_data: PictureTap, user: Account, db: Transaction, work: Work) -> None:
    """Send the pictures of a result again."""
    result = await named(db, callback_data.assessment)
    if result is None:
        await assessment.stale(tap, user, db, work)
        return
    start_picture(work, result.id, key=f"{result.id}:{callback_data.shown}")
    show(work, Screen(text=WORDS("picture_coming"), rows=[[home.back()]]), tap=tap)
