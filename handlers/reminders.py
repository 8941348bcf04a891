"""Reminders of small steps: by the person's own clock, at the days and hour they chose, off with one tap."""

from __future__ import annotations

import uuid

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.errors import NotFound
from bot.services import reminders as rules
from bot.services import time_zone as clocks
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import assessment, home, time_zone
from handlers.blueprint import RemindTap, StepTap
from handlers.screen import Screen, button, show
from prompts import replies
from prompts.categories import category
from storage import blueprint
from storage import reminders as store
from storage.database import Transaction
from storage.people import Account
from storage.reminders import Reminder

WORDS = replies.of("reminders")
MOST_LISTED = 24
HOURS_IN_A_ROW = 5
NUMBERS_IN_A_ROW = 6

router = Router(name="reminders")


# ------------------------------------------------------------------------------------------ screens


def _when(reminder: Reminder) -> str:
    """When it comes, in words: "every day at 9:00"."""
    hour = WORDS("hour", hour=reminder.hour)
    names = [WORDS(f"day_{day}") for day in reminder.days]
    days = names[0] if len(names) == 1 else ", ".join(names[:-1]) + WORDS("and") + names[-1]
    if len(names) == len(rules.DAYS):
        return WORDS("once_any" if reminder.once else "every_day", hour=hour)
    return WORDS("once" if reminder.once else "on_days", days=days, hour=hour)


def _clock(user: Account) -> str:
    return WORDS("by_clock", place=clocks.place(user.time_zone)) if user.time_zone else WORDS("by_utc")


def _reminder_screen(reminder: Reminder, user: Account) -> Screen:
    """The days and the hour of a reminder, each to be changed by a tap, and the way to turn it on or off."""
    is_on = reminder.state == "on"
    when = f"{_when(reminder)}, {_clock(user)}"
    days = []
    for day in rules.DAYS:
        label = WORDS(f"day_{day}")
        label = WORDS("ticked", label=label) if day in reminder.days else label
        days.append(button(label, RemindTap(step="day", id=reminder.step_id, value=day)))
    hours = []
    for hour in rules.HOURS:
        # Five in a row have room for the hour alone.
        label = WORDS("ticked", label=hour) if hour == reminder.hour else str(hour)
        hours.append(button(label, RemindTap(step="hour", id=reminder.step_id, value=hour)))
    often = [
        button(
            WORDS("ticked", label=WORDS(name)) if reminder.once == once else WORDS(name),
            RemindTap(step="once", id=reminder.step_id, value=int(once)),
        )
        for name, once in (("weekly", False), ("only_once", True))
    ]
    turn = RemindTap(step="off" if is_on else "on", id=reminder.step_id)
    return Screen(
        text=Text(
            Bold(WORDS("when_title")),
            "\n",
            f"{category(reminder.category).icon} {reminder.title}",
            "\n\n",
            WORDS("when_text"),
            "\n\n",
            Italic(WORDS("is_on" if is_on else "is_off", when=when)),
        ),
        rows=[
            days[:4],
            days[4:],
            *(hours[place : place + HOURS_IN_A_ROW] for place in range(0, len(hours), HOURS_IN_A_ROW)),
            often,
            [button(WORDS("turn_off" if is_on else "turn_on"), turn, style=None if is_on else "success")],
            [button(WORDS("to_step"), StepTap(to="see", id=reminder.step_id)), _all()],
            [home.back()],
        ],
    )


def _all() -> InlineKeyboardButton:
    return button(WORDS("all"), home.OpenTap(feature="reminders"))


async def _list_screen(db: Transaction, user: Account) -> Screen:
    """Every reminder with when it comes, and a button for each."""
    found = await store.every(db, limit=MOST_LISTED)
    if not found:
        return Screen(text=Text(Bold(WORDS("title")), "\n\n", WORDS("none")), rows=_empty_ways())
    lines = []
    for number, each in enumerate(found, start=1):
        when = _when(each) if each.state == "on" else WORDS("off")
        icon = category(each.category).icon
        lines.append("\n" + WORDS("line", number=number, icon=icon, title=each.title, when=when))
    parts: list[object] = [Bold(WORDS("title")), "\n\n", WORDS("list"), "\n", *lines]
    if user.consented_at is None:
        parts += ["\n\n", Italic(WORDS("withdrawn"))]
    numbers = [
        button(str(number), RemindTap(step="set", id=each.step_id)) for number, each in enumerate(found, start=1)
    ]
    return Screen(
        text=Text(*parts),
        rows=[
            *(numbers[place : place + NUMBERS_IN_A_ROW] for place in range(0, len(numbers), NUMBERS_IN_A_ROW)),
            [time_zone.change("reminders")],
            [home.back()],
        ],
    )


def _empty_ways() -> list[list[InlineKeyboardButton]]:
    return [[button(home.WORDS("assessment"), home.OpenTap(feature="assessment")), home.back()]]


def _sent_screen(reminder: Reminder) -> Screen:
    """What comes at the chosen time."""
    return Screen(
        text=Text(
            Italic(WORDS("reminder")),
            "\n",
            Bold(f"{category(reminder.category).icon} {reminder.title}"),
            "\n",
            reminder.description,
        ),
        rows=[
            [button(WORDS("done"), StepTap(to="done", id=reminder.step_id), style="success")],
            [button(WORDS("not_any_more"), RemindTap(step="off", id=reminder.step_id))],
            [_all()],
        ],
    )


# ----------------------------------------------------------------------------------------- handlers


@router.message(Command("reminders"))
async def on_reminders(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """List the reminders."""
    await assessment.wait_no_more(user, db)
    show(work, await _list_screen(db, user))


@router.callback_query(home.OpenTap.filter(F.feature == "reminders"))
async def on_open(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """List the reminders in place."""
    await assessment.wait_no_more(user, db)
    show(work, await _list_screen(db, user), tap=tap)


@router.callback_query(RemindTap.filter())
async def on_remind(tap: CallbackQuery, callback_data: RemindTap, user: Account, db: Transaction, work: Work) -> None:
    """Show when a step is reminded of; change it; turn it on, which nothing else does, or off."""
    step, value = callback_data.step, callback_data.value
    found = await blueprint.step(db, callback_data.id)
    if found is None:
        raise NotFound(WORDS("gone"))
    reminder = await store.of_step(db, found.id)
    if step == "off":
        await store.turn(db, reminder.id, on=False)
        again = button(WORDS("on_again"), RemindTap(step="on", id=found.id))
        show(work, Screen(text=WORDS("turned_off"), rows=[[again], [_all(), home.back()]]), tap=tap)
        return
    if found.state != "open":
        show(work, await _list_screen(db, user), tap=tap)
        return
    if step == "on":
        await store.turn(db, reminder.id, on=True)
        if await time_zone.ask(work, db, user, back="reminders", why=WORDS("where"), tap=tap):
            return
        set_ = WORDS("turned_on", when=f"{_when(reminder)}, {_clock(user)}")
        ways = [button(WORDS("to_step"), StepTap(to="see", id=found.id)), _all()]
        show(work, Screen(text=set_, rows=[ways, [home.back()]]), tap=tap)
        return
    if step == "day" and value in rules.DAYS:
        reminder = reminder.model_copy(update={"days": rules.toggled(reminder.days, value)})
    elif step == "hour" and value in rules.HOURS:
        reminder = reminder.model_copy(update={"hour": value})
    elif step == "once" and value in (0, 1):
        reminder = reminder.model_copy(update={"once": bool(value)})
    if step in ("day", "hour", "once"):
        await store.change(db, reminder)
    show(work, _reminder_screen(reminder, user), tap=tap)


# --------------------------------------------------------------------------------------------- job


async def send(job: Job, doors: Doors) -> None:
    """Send a reminder whose time has come, where it is still wanted and may be sent now."""
    async with job.finish() as db:
        reminder = await store.to_send(db, uuid.UUID(job.payload["reminder"]))
        if reminder is not None:
            job.unasked = True
            show(job, _sent_screen(reminder))


async def send_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say nothing: the next time comes."""


JOBS = {"reminders.send": (send, send_failed)}
