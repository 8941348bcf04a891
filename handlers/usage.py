"""/usage: each call with what it was for and what it cost, and a picture of the last thirty days."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from aiogram import Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot import media
from bot.services import usage as rules
from bot.services import wallet
from bot.services.doors import Doors
from bot.services.pictures import thirty_days
from bot.services.work import Job, Work
from handlers import home
from handlers.screen import Screen, button, show
from prompts import replies
from storage import people
from storage import usage as store
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("usage")
HOUSE = replies.of("house")
PAGE = 6
"""How many calls a page has."""

router = Router(name="usage")


class UsageTap(CallbackData, prefix="usage"):
    """Show a page of the calls; 0 is the newest."""

    page: int


class MonthTap(CallbackData, prefix="u_month"):
    """Send the picture of thirty days; `shown` is the work that showed this button, which sends it once."""

    shown: int


def open_button() -> InlineKeyboardButton:
    """The button that leads to the calls."""
    return button(WORDS("see_calls"), UsageTap(page=0))


def day(moment: datetime, user: Account) -> str:
    """A day as the person reads it, such as "3 December"."""
    local = moment.astimezone(user.zone)
    return f"{local.day} {local:%B}"


def _call(call: store.Call, user: Account) -> list[object]:
    local = call.created_at.astimezone(user.zone)
    head = WORDS("call_head", when=f"{local.day} {local:%b %H:%M}", what=HOUSE(f"action_{call.action_type}"))
    if call.tokens_used == 0:
        return ["\n\n", Bold(head), "\n", WORDS("call_failed", model=call.model_used)]
    figures = {
        "tokens": wallet.tokens(call.tokens_used),
        "input": wallet.tokens(call.input_tokens),
        "output": wallet.tokens(call.output_tokens),
        "cost": wallet.money(call.cost_estimate),
        "model": call.model_used,
    }
    return ["\n\n", Bold(head), "\n", WORDS("call" if call.success else "call_broke", **figures)]


async def screen(db: Transaction, user: Account, work: Work, *, page: int) -> Screen:
    """A page of the calls of the person who is acting; one beyond the last is the last."""
    number = await store.count(db)
    to_balance = button(WORDS("to_balance"), home.OpenTap(feature="balance"))
    if number == 0:
        text = Text(Bold(WORDS("title")), "\n\n", WORDS("nothing"))
        return Screen(text=text, rows=[[to_balance], [home.back()]])
    page = min(max(page, 0), (number - 1) // PAGE)
    calls = await store.calls(db, skip=page * PAGE, limit=PAGE)
    first = page * PAGE + 1
    parts: list[object] = [
        Bold(WORDS("title")),
        "\n",
        WORDS("range" if number > 1 else "range_one", first=first, last=first + len(calls) - 1, all=number),
    ]
    for call in calls:
        parts += _call(call, user)
    if user.time_zone is None:
        parts += ["\n\n", Italic(WORDS("in_utc"))]
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), UsageTap(page=page - 1)))
    if first + PAGE <= number:
        turns.append(button(WORDS("older"), UsageTap(page=page + 1)))
    month = button(WORDS("see_month"), MonthTap(shown=work.head.id))
    rows = [turns, [month], [to_balance, home.back()]]
    return Screen(text=Text(*parts), rows=[row for row in rows if row])


@router.message(Command("usage"))
async def on_usage(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Show the newest calls."""
    show(work, await screen(db, user, work, page=0))


@router.callback_query(UsageTap.filter())
async def on_page(tap: CallbackQuery, callback_data: UsageTap, user: Account, db: Transaction, work: Work) -> None:
    """Show a page of the calls in place."""
    show(work, await screen(db, user, work, page=callback_data.page), tap=tap)


@router.callback_query(MonthTap.filter())
async def on_month(tap: CallbackQuery, callback_data: MonthTap, work: Work) -> None:
    """Have the picture of the last thirty days drawn."""
    work.start("usage.month", {}, lane="usage", key=f"{work.chat_id}:{callback_data.shown}")
    show(work, Screen(text=WORDS("month_coming"), rows=[[home.back()]]), tap=tap)


async def month(job: Job, doors: Doors) -> None:
    """Draw the last thirty days by kind, and send the picture with what it shows in words."""
    async with job.transaction() as db:
        user = await people.account(db)
        last_day = datetime.now(user.zone if user else UTC).date()
        rows = await store.by_day(
            db, since=rules.first_day(last_day), time_zone=(user.time_zone if user else None) or "UTC"
        )
    kinds = rules.by_kind(rows, last_day=last_day)
    if not kinds:
        async with job.finish():
            show(job, Screen(text=WORDS("month_nothing"), rows=[[home.back()]]))
        return
    drawn = [thirty_days.Kind(label=WORDS(f"kind_{kind}"), days=days) for kind, days in kinds.items()]
    key = media.key_for(job.user_id, "usage", f"{last_day.isoformat()}.png")

    async def draw() -> str:
        picture = await asyncio.to_thread(thirty_days.draw, title=WORDS("month_title"), last_day=last_day, kinds=drawn)
        await doors.media.put(key, picture)
        return key

    stored: str = await job.step("picture", draw)
    parts: list[object] = [
        WORDS("month_caption", tokens=wallet.tokens(sum(sum(kind.days) for kind in drawn))),
        "\n",
    ]
    for kind in drawn:
        parts += ["\n", WORDS("month_line", what=kind.label, tokens=wallet.tokens(sum(kind.days)))]
    async with job.finish():
        show(job, Screen(text=Text(*parts), picture=stored, rows=[[open_button()], [home.back()]]))


async def month_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that there is no picture, and where the calls are."""
    show(job, Screen(text=WORDS("month_failed"), rows=[[open_button()], [home.back()]]))


JOBS = {"usage.month": (month, month_failed)}
