"""Care: every message of a person's words passes here first, apart from any model, balance or consent."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery
from aiogram.utils.formatting import Bold, Text

from bot.services import care
from bot.services.care import CareAnswer, Sign
from bot.services.work import Work
from handlers import cancel, home
from handlers.screen import Screen, button, show
from prompts import replies
from prompts.care import HelpLine
from storage import people, profile
from storage import work as store
from storage.database import Transaction
from storage.people import Account

CHAT = replies.of("chat")
HOUSE = replies.of("house")

router = Router(name="care")


class CareTap(CallbackData, prefix="care"):
    """What next, under the help lines, which stay where they are: pause, home."""

    step: str


async def speak_up(
    work: Work,
    db: Transaction,
    user: Account,
    text: str,
    *,
    go_on: CallbackData | None = None,
    go_on_label: str = CHAT("go_on_anyway"),
) -> Sign | None:
    """The sign of danger in a person's words, or None; with a sign, help lines are shown before anything else.

    After a sign of immediate danger the person carries on by tapping `go_on`, where one is given.
    """
    sign = care.sign_in(text)
    if sign is None:
        return None
    country = (await profile.active(db)).country
    answer = care.answer(sign, country=country, language_code=user.language_code, time_zone=user.time_zone)
    if go_on is not None and sign.level == "immediate":
        first = button(go_on_label, go_on)
    else:
        first = button(answer.pause_button, CareTap(step="pause"))
    show(work, Screen(text=_words(answer), rows=[[first], [button(HOUSE("home"), CareTap(step="home"))]]))
    return sign


def _words(answer: CareAnswer) -> Text:
    parts: list[Any] = ["\n\n".join(answer.before)]
    for line in answer.lines:
        parts += ["\n\n", *_line(line)]
    return Text(*parts, "\n\n", answer.offer)


def _line(line: HelpLine) -> list[Any]:
    """A help line: its name, how to reach it, and when."""
    reach = ", ".join(way for way in (line.phone, line.text) if way)
    below = [part for part in (reach, line.link, line.hours) if part]
    return [Bold(line.name), *(f"\n{part}" for part in below)]


@router.callback_query(CareTap.filter(F.step == "pause"))
async def on_pause(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Stop what VIVA is writing and wait for nothing; the help lines stay."""
    await people.wait_for(db, None)
    await db.become_service()
    await store.request_cancel(db, work.chat_id, names=cancel.STOPPABLE)
    show(work, Screen(text=CHAT("paused"), rows=[[home.back()]]))


@router.callback_query(CareTap.filter(F.step == "home"))
async def on_home(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show home below, so that the help lines stay."""
    await people.wait_for(db, None)
    show(work, await home.screen(user, db))
