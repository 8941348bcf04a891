"""Home: the one screen from which everything can be reached."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, Text

from bot.config import Settings
from bot.services import assessment as rules
from bot.services.work import Work
from handlers.screen import Screen, button, show
from prompts import replies
from storage import assessment, people, vision
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
router = Router(name="home")


class HomeTap(CallbackData, prefix="home"):
    """Go home."""


class OpenTap(CallbackData, prefix="open"):
    """Open a feature by its name; the feature's own module answers."""

    feature: str


async def screen(user: Account, db: Transaction, *, met: bool = False) -> Screen:
    """The home screen, with how far the person has come; `met` when they have just said their name."""
    standing = await _standing(db)
    greeting = WORDS("home_met" if met else "home_greeting", name=user.first_name or "")
    parts = [Bold(greeting), "\n\n"]
    parts += ["\n".join(standing), "\n\n", WORDS("home_again")] if standing else [WORDS("home_first")]
    if user.consented_at is None:
        parts += ["\n\n", WORDS("home_no_ai")]
    return Screen(
        text=Text(*parts),
        rows=[
            [button(WORDS("assessment"), OpenTap(feature="assessment"), style=None if standing else "success")],
            [button(WORDS("vision"), OpenTap(feature="vision")), button(WORDS("board"), OpenTap(feature="board"))],
            [button(WORDS("journal"), OpenTap(feature="journal")), button(WORDS("talk"), OpenTap(feature="talk"))],
            [button(WORDS("profile"), OpenTap(feature="profile")), button(WORDS("memory"), OpenTap(feature="memory"))],
            [button(WORDS("balance"), OpenTap(feature="balance")), button(WORDS("help"), OpenTap(feature="help"))],
        ],
    )


async def _standing(db: Transaction) -> list[str]:
    """How far the assessment and the vision have come, a line each; empty when neither is begun."""
    attempt = await assessment.in_progress(db)
    result = await assessment.result(db) if attempt is None else None
    standing = await vision.standing(db)
    written = len(standing.written) if standing is not None else 0
    if attempt is None and result is None and not written:
        return []
    if attempt is not None:
        facts = rules.facts(
            has_children=attempt.has_children,
            relationship_status=attempt.relationship_status,
            employment_type=attempt.employment_type,
        )
        sheet = rules.Sheet.of(facts=facts, answers=attempt.answers, not_applicable=attempt.not_applicable)
        done = sum(1 for chapter in sheet.chapters if sheet.complete(chapter))
        first = WORDS("standing_begun", done=done, chapters=len(sheet.chapters))
    elif result is None:
        first = WORDS("standing_new")
    else:
        percentage = rules.percentage(result.total_score, result.max_possible_score)
        first = WORDS("standing_done") if percentage is None else WORDS("standing_result", percentage=percentage)
    sections = WORDS("standing_vision", written=written) if written else WORDS("standing_no_vision")
    return [first, sections]


def back() -> InlineKeyboardButton:
    """The button that leads home."""
    return button(WORDS("home"), HomeTap())


@router.callback_query(HomeTap.filter())
async def on_home(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Show home, and wait for nothing any more; the question of the welcome comes first while it is open."""
    from handlers import start

    await people.wait_for(db, None)
    asked = user.consented_at is not None or await people.has_answered_consent(db)
    show(work, await screen(user, db) if asked else start.welcome_screen(settings), tap=tap)
