"""The features in the order they are asked, the catch-all last; their jobs; and what VIVA says of itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from aiogram import Bot, Router

from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import (
    assessment,
    assessment_history,
    assessment_result,
    assessment_words,
    balance,
    blueprint,
    board,
    board_ideas,
    board_picture,
    board_pin,
    book,
    cancel,
    chat,
    conversations,
    export,
    fallback,
    groups,
    help,
    home,
    insights,
    journal,
    journal_change,
    journal_find,
    journal_keep,
    journal_reflection,
    journal_suggest,
    memory,
    memory_reading,
    narration,
    narration_jobs,
    packs,
    privacy,
    profile,
    profile_photos,
    profile_versions,
    profile_voice,
    reminders,
    start,
    time_zone,
    topup,
    usage,
    vision,
    vision_all,
    vision_draft,
    vision_edit,
    vision_proposals,
    vision_read,
    vision_refine,
    vision_telling,
    vision_versions,
    vision_walk,
)
from storage.database import Transaction

ROUTERS: tuple[Router, ...] = (
    groups.router,  # before all others: in a group there is no person
    packs.router,  # before all that take a person's next message: a payment comes as one, whatever VIVA waits for
    topup.router,
    cancel.router,
    start.router,
    home.router,
    help.router,
    time_zone.router,
    privacy.router,
    export.router,
    balance.router,
    usage.router,
    assessment.router,
    assessment_history.router,
    assessment_words.router,
    profile.router,
    profile_versions.router,
    profile_photos.router,
    profile_voice.router,
    insights.router,
    blueprint.router,
    reminders.router,
    book.router,
    board_pin.router,  # before the board, which takes any step with an item that none of them knows
    board.router,
    board_ideas.router,
    board_picture.router,
    journal_find.router,  # before what keeps: /journal search is no entry
    journal_change.router,
    journal_suggest.router,
    journal_reflection.router,
    vision_draft.router,
    vision_all.router,
    vision_walk.router,
    vision_refine.router,
    vision_edit.router,
    vision_read.router,
    vision_versions.router,
    vision_proposals.router,
    vision.router,  # after the other parts of the vision: it takes any step with a section that none of them knows
    narration.router,
    journal.router,
    journal_keep.router,  # any picture and any recording
    memory.router,
    conversations.router,
    chat.router,  # any other words
    fallback.router,  # must be last
)

JOBS: Mapping[
    str,
    tuple[Callable[[Job, Doors], Awaitable[None]], Callable[[Job, Transaction, Exception], Awaitable[None]]],
] = {
    **privacy.JOBS,
    **export.JOBS,
    **balance.JOBS,
    **usage.JOBS,
    **packs.JOBS,
    **assessment_result.JOBS,
    **topup.JOBS,
    **assessment_words.JOBS,
    **profile_photos.JOBS,
    **profile_voice.JOBS,
    **insights.JOBS,
    **blueprint.JOBS,
    **reminders.JOBS,
    **book.JOBS,
    **board_ideas.JOBS,
    **board_picture.JOBS,
    **vision_telling.JOBS,
    **vision_draft.JOBS,
    **vision_all.JOBS,
    **vision_refine.JOBS,
    **narration_jobs.JOBS,
    **journal.JOBS,
    **journal_keep.JOBS,
    **journal_reflection.JOBS,
    **journal_suggest.JOBS,
    **memory_reading.JOBS,
    **conversations.JOBS,
    **chat.JOBS,
}
"""Every job by name: what runs it, and what is said when it gives up."""


def sorry(work: Work) -> None:
    """Tell the person that something of theirs could not be worked, after the last try."""
    fallback.sorry(work)


def alarm(admins: Iterable[int], work: Work, error: str) -> None:
    """Tell those who run VIVA that work was given up."""
    fallback.alarm(admins, work, error)


def doubt() -> dict[str, Any]:
    """The message that asks whether one whose arrival is unknown shall be shown again."""
    return fallback.doubt()


async def introduce(bot: Bot) -> None:
    """Tell Telegram VIVA's name, description and commands, where they are not told already."""
    await help.introduce(bot)
