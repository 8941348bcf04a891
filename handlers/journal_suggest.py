"""A title and the areas of an entry, proposed by VIVA when the person asks for it, and changed by a tap."""

from __future__ import annotations

import json
import uuid

from aiogram import F, Router
from aiogram.types import CallbackQuery
from aiogram.utils.formatting import Bold, Text

from bot.ai import tokens
from bot.ai.meter import Action
from bot.config import Settings
from bot.services import journal as service
from bot.services import shorter
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, home, price_tag, start, trouble
from handlers.journal import WORDS, StepTap, change_button, found, to_entry, to_list
from handlers.screen import Screen, button, replace, show
from prompts import replies
from prompts.categories import category
from prompts.journal import suggestion
from storage import journal, memory, people
from storage.database import Transaction
from storage.journal import Entry
from storage.people import Account

HOUSE = replies.of("house")

MATERIAL = 2_000
"""Tokens of an entry that are read for it: a title needs no more."""

MOST_OUTPUT = 120
LEAST_OUTPUT = 60
"""Tokens of a title and three keys, in any language."""

router = Router(name="journal_suggest")


def about(entry: Entry) -> int:
    """The tokens that a proposal for the entry takes, about: to the next hundred."""
    messages = suggestion.messages(service.shortened(entry.words, MATERIAL))
    parts = [*(message["content"] for message in messages), json.dumps(suggestion.Suggestion.model_json_schema())]
    return -(-(sum(map(tokens.count, parts)) + MOST_OUTPUT) // 100) * 100


@router.callback_query(StepTap.filter(F.step == "suggest"))
async def on_suggest(
    tap: CallbackQuery, callback_data: StepTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Let VIVA propose a title and areas, where the person has said yes to AI."""
    entry = await found(db, callback_data.id)
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    key = f"suggest:{work.head.id}"
    show(work, Screen(text=WORDS("suggesting")), key=key)
    work.start("journal.suggest", {"entry": str(entry.id), "key": key}, lane="journal_suggest")


async def suggest(job: Job, doors: Doors) -> None:
    """Ask for a title and areas in one small call; they fill what is empty, never what the person chose."""
    entry_id = uuid.UUID(job.payload["entry"])
    async with job.transaction() as db:
        entry = await found(db, entry_id)
        account = await people.account(db)
        (read,) = await memory.without_forgotten(db, [entry])
    wanted = account is not None and account.consented_at is not None and bool(entry.words)
    if not wanted or (entry.title and entry.categories):
        # Asked twice, or taken back meanwhile: what stands is shown, and nothing is charged.
        async with job.finish():
            replace(job, _screen(entry, None), key=job.payload["key"])
        return
    answer = await shorter.asked(
        suggestion.messages(service.shortened(read.words, MATERIAL)),
        lambda messages: job.call(
            "suggestion",
            suggestion.Suggestion,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.JOURNAL_REFLECTION,
                messages=messages,
                shape=suggestion.Suggestion,
                most_output=MOST_OUTPUT,
                least_output=LEAST_OUTPUT,
            ),
        ),
    )
    async with job.finish() as db:
        entry = await found(db, entry_id)
        if not entry.title:
            await journal.call(db, entry_id, service.title(answer.title) or None)
        if not entry.categories:
            await journal.file_under(db, entry_id, list(dict.fromkeys(answer.categories))[:3])
        entry = await found(db, entry_id)
        replace(job, _screen(entry, await price_tag.receipt(db, job)), key=job.payload["key"])
        await balance.warn_if_low(job, db)


def _screen(entry: Entry, receipt: str | None) -> Screen:
    areas = ", ".join(category(key).label for key in entry.categories) or WORDS("no_areas")
    parts: list[object] = [
        WORDS("suggested"),
        "\n\n",
        Bold(entry.title or WORDS("no_words")),
        "\n",
        areas,
    ]
    if receipt:
        parts += ["\n\n", receipt]
    rows = [
        [
            button(WORDS("change_title"), StepTap(step="title", id=entry.id)),
            button(WORDS("change_areas"), StepTap(step="areas", id=entry.id)),
        ],
        [to_entry(entry.id), to_list()],
    ]
    return Screen(text=Text(*parts), rows=rows)


async def not_suggested(job: Job, db: Transaction, error: Exception) -> None:
    """Say why there is no proposal; the person can name the entry themselves, or try again."""
    entry = await journal.entry(db, uuid.UUID(job.payload["entry"]))
    if entry is None:
        replace(job, Screen(text=WORDS("gone"), rows=[[to_list(), home.back()]]), key=job.payload["key"])
        return
    below = [change_button(entry), to_list(), *trouble.balance_button(error)]
    again = [button(HOUSE("try_again"), StepTap(step="suggest", id=entry.id))]
    words = trouble.why(error, otherwise=HOUSE("model_busy"))
    replace(job, Screen(text=words, rows=[again, below]), key=job.payload["key"])


JOBS = {"journal.suggest": (suggest, not_suggested)}
