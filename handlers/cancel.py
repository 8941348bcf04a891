"""Stopping: /cancel, and the Stop button of an answer being written. Both go around what is running."""

from __future__ import annotations

from aiogram import Router
from aiogram.filters import Command
from aiogram.types import Message, MessageGenerationStopped

from bot.services.work import Work
from handlers import home
from handlers.screen import Screen, show
from prompts import replies
from storage import people
from storage import work as store
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
STOPPABLE = ("chat.answer", "vision.hear", "vision.draft", "vision.refine", "vision.all", "narration.speak")
"""Jobs that a person may stop. Keeping what they sent is never stopped."""

router = Router(name="cancel")


@router.message(Command("cancel", "stop"))
async def on_cancel(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Stop what is running, and wait for nothing any more."""
    waited = user.waiting_for is not None
    await people.wait_for(db, None)
    await db.become_service()
    stopped = await store.request_cancel(db, work.chat_id, names=STOPPABLE)
    words = WORDS("cancelled" if stopped or waited else "nothing_to_cancel")
    show(work, Screen(text=words, rows=[[home.back()]]))


@router.stopped_message_generation()
async def on_stop(event: MessageGenerationStopped, db: Transaction, work: Work) -> None:
    """Stop the answer that is being written; what came of it is sent as a message by its job."""
    await db.become_service()
    await store.request_cancel(db, work.chat_id, names=STOPPABLE, work_id=event.draft_id)
