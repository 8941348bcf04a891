"""A pack every month: subscribing with Stars, how the subscription stands, ending it and taking it up again."""

from __future__ import annotations

import contextlib
import uuid
from typing import Literal

from aiogram import Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import BotSubscriptionUpdated, CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, Text

from bot.errors import NotNow, RenewalRefused
from bot.services import packs as service
from bot.services import wallet
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home, packs, usage
from handlers.screen import Screen, button, replace, show
from prompts import packs as offers
from prompts import replies
from storage import packs as orders
from storage import people
from storage import topup as store
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("topup")
PACKS = replies.of("packs")

STATES: dict[str, Literal["active", "canceled", "failed"]] = {
    "active": "active",
    "canceled": "canceled",
    "failed": "failed",
}
"""What Telegram tells of a subscription; a state that is new to us changes nothing."""

router = Router(name="topup")


class MonthlyTap(CallbackData, prefix="monthly"):
    """Ask for the link to subscribe to this pack."""

    id: str


class RenewalTap(CallbackData, prefix="renewal"):
    """End the subscription of this order, or take it up again."""

    order: uuid.UUID
    on: bool


# -------------------------------------------------------------------------------------- showing


def offer(*, opening: str | None = None) -> Screen:
    """What can be had every month, with its prices."""
    parts: list[object] = [Bold(WORDS("title")), "\n\n", *([opening, "\n\n"] if opening else []), WORDS("offer")]
    rows = [
        [
            button(
                WORDS("price_tag", millions=f"{pack.tokens / 1_000_000:g}", stars=f"{pack.stars:,}"),
                MonthlyTap(id=pack.id),
            )
        ]
        for pack in offers.every()
    ]
    return Screen(text=Text(*parts), rows=[*rows, [packs.buy_button(), home.back()]])


def standing(topups: list[store.Topup], user: Account, *, opening: str | None = None) -> Screen:
    """How the person's subscriptions stand, with what can be done with each."""
    parts: list[object] = [Bold(WORDS("title")), *(["\n\n", opening] if opening else [])]
    rows: list[list[InlineKeyboardButton]] = []
    for topup in topups:
        figures = {"tokens": wallet.tokens(topup.tokens), "stars": f"{topup.stars:,}"}
        parts += ["\n\n", WORDS("standing", **figures), "\n"]
        parts.append(WORDS(topup.state, date=usage.day(topup.paid_until, user)))
        if topup.state == "canceled":
            if not topup.ended_here:
                parts += ["\n\n", WORDS("may_be_resumed")]
            else:
                rows.append([button(WORDS("again"), RenewalTap(order=topup.order_id, on=True))])
        else:
            rows.append([button(WORDS("end"), RenewalTap(order=topup.order_id, on=False))])
    payments = button(WORDS("payments"), packs.SupportTap())
    return Screen(text=Text(*parts), rows=[*rows, [payments], [packs.buy_button(), home.back()]])


async def screen(db: Transaction, user: Account, *, opening: str | None = None) -> Screen:
    """The subscriptions of the person who is acting, or what could be one."""
    topups = await store.topups(db)
    return standing(topups, user, opening=opening) if topups else offer(opening=opening)


@router.callback_query(packs.TopupTap.filter())
async def on_show(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show the monthly pack in place."""
    show(work, await screen(db, user), tap=tap)


# ---------------------------------------------------------------------------------- subscribing


@router.callback_query(MonthlyTap.filter())
async def on_monthly(tap: CallbackQuery, callback_data: MonthlyTap, user: Account, db: Transaction, work: Work) -> None:
    """Place the order and have its link made; a second tap at once leads to the same order, which is paid once."""
    pack = offers.named(callback_data.id)
    if pack is None:
        raise NotNow(PACKS("gone"))
    topups = await store.topups(db)
    if any(topup.state == "active" for topup in topups):
        show(work, standing(topups, user, opening=WORDS("one_is_running")), tap=tap)
        return
    await db.become_service()
    order_id = await orders.order_pack(
        db, user_id=user.user_id, pack_id=pack.id, tokens=pack.tokens, stars=pack.stars, monthly=True
    )
    name = f"monthly:{work.head.id}"
    work.start("topup.link", {"order": str(order_id), "shown": name}, lane="pay")
    show(work, Screen(text=WORDS("preparing")), key=name)


async def link(job: Job, doors: Doors) -> None:
    """Have the link made, and show it with what it will cost."""
    async with job.transaction() as db:
        order = await orders.order(db, uuid.UUID(job.payload["order"]))
    pack = offers.named(order.pack_id) if order is not None else None
    if order is None or pack is None or (pack.tokens, pack.stars) != (order.tokens, order.stars):
        async with job.finish():
            replace(job, offer(opening=PACKS("gone")), key=job.payload["shown"])
        return
    order_id = order.id

    async def ask() -> str:
        return await doors.payments.subscription_link(service.subscription(pack, order_id))

    address = await job.step("link", ask)
    words = WORDS("link", pack=pack.title, stars=f"{pack.stars:,}")
    subscribe = InlineKeyboardButton(text=WORDS("subscribe", stars=f"{pack.stars:,}"), url=address)
    async with job.finish():
        shown = Screen(text=words, rows=[[subscribe], [packs.buy_button(), home.back()]])
        replace(job, shown, key=job.payload["shown"])


async def link_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that there is no link, and offer the packs again."""
    replace(job, offer(opening=WORDS("link_failed")), key=job.payload["shown"])


# ------------------------------------------------------------------------- ending, taking it up


@router.callback_query(RenewalTap.filter())
async def on_renewal(tap: CallbackQuery, callback_data: RenewalTap, user: Account, db: Transaction, work: Work) -> None:
    """Tell Telegram to end the subscription, or to let it go on; one tap is enough, as it can be undone."""
    topups = await store.topups(db)
    topup = next((one for one in topups if one.order_id == callback_data.order), None)
    if topup is None:
        show(work, await screen(db, user, opening=WORDS("none") if not topups else None), tap=tap)
        return
    if callback_data.on == (topup.state == "active" or (topup.state == "canceled" and not topup.ended_here)):
        show(work, standing(topups, user), tap=tap)
        return
    name = f"renewal:{work.head.id}"
    payload = {"order": str(topup.order_id), "on": callback_data.on, "shown": name}
    work.start("topup.renewal", payload, lane="pay")
    show(work, Screen(text=WORDS("resuming" if callback_data.on else "ending")), key=name)


async def renewal(job: Job, doors: Doors) -> None:
    """End the subscription at Telegram, or allow it again there, and show how it stands."""
    order_id, on = uuid.UUID(job.payload["order"]), bool(job.payload["on"])
    async with job.transaction() as db:
        topup = next((one for one in await store.topups(db) if one.order_id == order_id), None)
    telegram_id = job.head.telegram_id
    if topup is not None and telegram_id is not None:
        charge_id = topup.telegram_payment_charge_id

        async def tell() -> bool:
            await doors.payments.set_renewal(telegram_id=telegram_id, charge_id=charge_id, canceled=not on)
            return True

        await job.step("told", tell)
    async with job.finish() as db:
        user, topups = await people.account(db), await store.topups(db)
        await db.become_service()
        # Allowed again is not yet on again: Telegram leaves that to the person, and tells when they did it.
        await store.change(db, user_id=job.user_id, order_id=order_id, state="canceled", ended_here=not on)
        changed = {"state": "canceled", "ended_here": not on}
        topups = [one.model_copy(update=changed) if one.order_id == order_id else one for one in topups]
        shown = standing(topups, user) if topups and user is not None else offer(opening=WORDS("none"))
        replace(job, shown, key=job.payload["shown"])


async def renewal_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that it stands as it was, and how the person can end it without us."""
    again = RenewalTap(order=uuid.UUID(job.payload["order"]), on=bool(job.payload["on"]))
    refused = isinstance(error, RenewalRefused)
    rows = [[button(WORDS("try_again"), again)], [button(WORDS("title"), packs.TopupTap()), home.back()]]
    replace(job, Screen(text=WORDS("refused" if refused else "unsure"), rows=rows), key=job.payload["shown"])


@router.subscription()
async def on_subscription(event: BotSubscriptionUpdated, user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person did with the subscription in Telegram, or that a renewal could not be paid, and say so."""
    order_id = service.order_of(event.invoice_payload)
    topup = next((one for one in await store.topups(db) if one.order_id == order_id), None)
    state = STATES.get(event.state)
    if topup is None or state is None:
        return
    await db.become_service()
    if not await store.change(db, user_id=user.user_id, order_id=topup.order_id, state=state):
        return
    told = {"active": WORDS("told_active"), "canceled": WORDS("told_canceled"), "failed": WORDS("failed")}[state]
    words = Text(told, "\n\n", WORDS("standing", tokens=wallet.tokens(topup.tokens), stars=f"{topup.stars:,}"))
    show(work, Screen(text=words, rows=[[button(WORDS("title"), packs.TopupTap()), home.back()]]))


async def stop(job: Job, doors: Doors) -> None:
    """End a subscription that belongs to no order any more, so that nothing is taken for it again."""
    telegram_id = job.head.telegram_id

    async def tell() -> bool:
        assert telegram_id is not None
        with contextlib.suppress(RenewalRefused):
            await doors.payments.set_renewal(telegram_id=telegram_id, charge_id=job.payload["charge"], canceled=True)
        return True

    if telegram_id is not None:
        await job.step("told", tell)
    async with job.finish():
        return


async def stop_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Leave it: the payment goes back all the same, and the person can end it in Telegram."""


JOBS = {
    "topup.link": (link, link_failed),
    "topup.renewal": (renewal, renewal_failed),
    "topup.stop": (stop, stop_failed),
}
