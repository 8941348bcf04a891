"""Privacy: what is kept and who sees it, the yes to AI taken back, and everything deleted in two steps."""

from __future__ import annotations

import contextlib

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.config import Settings
from bot.errors import RenewalRefused
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home
from handlers.export import ExportTap
from handlers.screen import Screen, button, say, show
from prompts import replies
from storage import people, topup
from storage import work as store
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
router = Router(name="privacy")


class PrivacyTap(CallbackData, prefix="privacy"):
    """A step on the privacy screens: show, withdraw, agree."""

    step: str


class DeleteTap(CallbackData, prefix="delete"):
    """A step towards deleting everything: ask, sure, now; or keep."""

    step: str


def screen(user: Account, settings: Settings) -> Screen:
    """What is kept, who sees it, and what can be done about it."""
    if user.consented_at is not None:
        state = WORDS("privacy_consent_on", date=f"{user.consented_at.day} {user.consented_at:%B %Y}")
        change = button(WORDS("privacy_withdraw"), PrivacyTap(step="withdraw"))
    else:
        state = WORDS("privacy_consent_off")
        change = button(WORDS("privacy_agree"), PrivacyTap(step="agree"))
    return Screen(
        text=Text(
            Bold(WORDS("privacy_title")),
            "\n\n",
            WORDS("privacy_text", provider=settings.provider),
            "\n\n",
            Bold(state),
        ),
        rows=[
            [change],
            [button(WORDS("privacy_export"), ExportTap())],
            [button(WORDS("privacy_delete"), DeleteTap(step="ask"), style="danger")],
            [home.back()],
        ],
    )


@router.message(Command("privacy"))
async def on_privacy(message: Message, user: Account, work: Work, settings: Settings) -> None:
    """Show the privacy screen."""
    show(work, screen(user, settings))


@router.callback_query(PrivacyTap.filter(F.step == "show"))
async def on_show(tap: CallbackQuery, user: Account, work: Work, settings: Settings) -> None:
    """Show the privacy screen below, so that the question above it can still be answered."""
    show(work, screen(user, settings))


@router.callback_query(PrivacyTap.filter(F.step == "withdraw"))
async def on_withdraw(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Take back the yes to AI."""
    await people.decline(db)
    show(work, Screen(text=WORDS("privacy_withdrawn"), rows=[[home.back()]]), tap=tap)


@router.callback_query(PrivacyTap.filter(F.step == "agree"))
async def on_agree(tap: CallbackQuery, work: Work, settings: Settings) -> None:
    """Ask for the yes in full words."""
    from handlers import start

    show(work, start.consent_screen(settings), tap=tap)


def _first_step() -> Screen:
    return Screen(
        text=WORDS("delete_first"),
        rows=[
            [button(WORDS("delete_first_yes"), DeleteTap(step="sure"), style="danger")],
            [button(WORDS("delete_no"), DeleteTap(step="keep"))],
        ],
    )


@router.message(Command("delete"))
async def on_delete(message: Message, work: Work) -> None:
    """The first step."""
    show(work, _first_step())


@router.callback_query(DeleteTap.filter(F.step == "ask"))
async def on_ask(tap: CallbackQuery, work: Work) -> None:
    """The first step, from the privacy screen."""
    show(work, _first_step(), tap=tap)


@router.callback_query(DeleteTap.filter(F.step == "sure"))
async def on_sure(tap: CallbackQuery, user: Account, work: Work) -> None:
    """The second step."""
    show(
        work,
        Screen(
            text=WORDS("delete_second", name=user.first_name or ""),
            rows=[
                [button(WORDS("delete_second_yes"), DeleteTap(step="now"), style="danger")],
                [button(WORDS("delete_no"), DeleteTap(step="keep"))],
            ],
        ),
        tap=tap,
    )


@router.callback_query(DeleteTap.filter(F.step == "keep"))
async def on_keep(tap: CallbackQuery, work: Work) -> None:
    """Everything stays."""
    show(work, Screen(text=WORDS("delete_kept"), rows=[[home.back()]]), tap=tap)


@router.callback_query(DeleteTap.filter(F.step == "now"))
async def on_now(tap: CallbackQuery, work: Work) -> None:
    """Start removing everything, in a lane that does not name the person."""
    show(work, Screen(text=WORDS("delete_running")), tap=tap)
    work.start_apart("privacy.erase", {})


async def erase(job: Job, doors: Doors) -> None:
    """Remove the person's media, then every row of theirs, and say goodbye."""
    await _end_topups(job, doors)
    await doors.media.erase_person(job.user_id)
    async with job.finish() as db:
        await db.become_service()
        await store.erase(db, user_id=job.user_id, chat_id=job.chat_id, work_id=job.head.id)
        say(job, WORDS("deleted"))
    # What another job of theirs stored in between; from here on none can.
    await doors.media.erase_person(job.user_id)


async def _end_topups(job: Job, doors: Doors) -> None:
    """Tell Telegram to renew no subscription of the person's; nobody would be left to have its tokens."""
    telegram_id = job.head.telegram_id
    async with job.transaction() as db:
        running = [one.telegram_payment_charge_id for one in await topup.topups(db)]
    for charge_id in running:
        assert telegram_id is not None
        with contextlib.suppress(RenewalRefused):
            await doors.payments.set_renewal(telegram_id=telegram_id, charge_id=charge_id, canceled=True)


async def erase_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that it did not work, and how to try again."""
    say(job, WORDS("delete_failed"))


JOBS = {"privacy.erase": (erase, erase_failed)}
