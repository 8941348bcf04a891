"""/buy, /paysupport and /terms: packs of tokens for Telegram Stars, and the Stars back again."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message, PreCheckoutQuery
from aiogram.utils.formatting import Bold, Code, Text

from bot.config import Settings
from bot.errors import NotNow, RefundRefused
from bot.services import packs as service
from bot.services import wallet
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home, usage
from handlers.screen import Screen, button, show
from prompts import packs as offers
from prompts import replies
from storage import meter, packs, topup
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("packs")
LATEST = 8
"""How many payments /paysupport lists."""

router = Router(name="packs")


class BuyTap(CallbackData, prefix="buy"):
    """Show the packs."""


class PackTap(CallbackData, prefix="pack"):
    """Ask for an invoice for this pack."""

    id: str


class TopupTap(CallbackData, prefix="topup"):
    """Show the monthly pack."""


class SupportTap(CallbackData, prefix="paid"):
    """Show the payments."""


class RefundTap(CallbackData, prefix="refund"):
    """A step towards the Stars of a payment: ask, yes."""

    id: uuid.UUID
    step: str


# ------------------------------------------------------------------------------------- buying


def buy_button() -> InlineKeyboardButton:
    """The button that leads to the packs."""
    return button(WORDS("buy"), BuyTap())


async def packs_screen(db: Transaction, user: Account) -> Screen:
    """What is offered, with its prices."""
    purse = await meter.wallet(db)
    parts: list[object] = [
        Bold(WORDS("title")),
        "\n\n",
        WORDS("offer", left=wallet.tokens(purse.balance if purse else 0)),
    ]
    if user.consented_at is None:
        parts += ["\n\n", WORDS("offer_no_ai")]
    tags = [
        WORDS("price_tag", millions=f"{pack.tokens / 1_000_000:g}", stars=f"{pack.stars:,}") for pack in offers.every()
    ]
    rows = [
        [button(tag, PackTap(id=pack.id), style="primary" if place == 0 else None)]
        for place, (tag, pack) in enumerate(zip(tags, offers.every(), strict=True))
    ]
    return Screen(text=Text(*parts), rows=[*rows, [_monthly_button()], [home.back()]])


def _monthly_button() -> InlineKeyboardButton:
    return button(replies.of("topup")("open"), TopupTap())


@router.message(Command("buy"))
async def on_buy(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Show the packs."""
    show(work, await packs_screen(db, user))


@router.callback_query(BuyTap.filter())
async def on_buy_tap(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show the packs in place."""
    show(work, await packs_screen(db, user), tap=tap)


@router.callback_query(PackTap.filter())
async def on_pack(tap: CallbackQuery, callback_data: PackTap, user: Account, db: Transaction, work: Work) -> None:
    """Send an invoice for the pack; a second tap at once asks for the same one."""
    pack = offers.named(callback_data.id)
    if pack is None:
        raise NotNow(WORDS("gone"))
    await db.become_service()
    order_id = await packs.order_pack(db, user_id=user.user_id, pack_id=pack.id, tokens=pack.tokens, stars=pack.stars)
    pay = InlineKeyboardButton(text=WORDS("pay", stars=f"{pack.stars:,}"), pay=True)
    markup = {"inline_keyboard": [[pay.model_dump(mode="json", exclude_none=True)]]}
    work.send("sendInvoice", service.invoice(pack, order_id) | {"reply_markup": markup}, key=f"invoice:{order_id}")


@router.pre_checkout_query()
async def on_checkout(query: PreCheckoutQuery, db: Transaction, work: Work) -> None:
    """Say whether the payment may go through, at once: Telegram waits ten seconds for it."""
    order_id = service.order_of(query.invoice_payload)
    order = await packs.order(db, order_id) if order_id is not None else None
    running = await topup.topups(db) if order is not None and order.monthly else []
    objection = service.objection(order, amount=query.total_amount, currency=query.currency, topups=running)
    answer: dict[str, object] = {"pre_checkout_query_id": query.id, "ok": objection is None}
    if objection is not None:
        answer["error_message"] = WORDS(objection)
    work.answer_at_once("answerPreCheckoutQuery", answer)


@router.message(F.successful_payment)
async def on_paid(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Credit the payment, once, and show the receipt; what fits no order goes back."""
    paid = message.successful_payment
    assert paid is not None
    order_id = service.order_of(paid.invoice_payload) if paid.currency == service.CURRENCY else None
    await db.become_service()
    credit = await packs.credit_payment(
        db,
        user_id=user.user_id,
        order_id=order_id,
        charge_id=paid.telegram_payment_charge_id,
        stars=paid.total_amount,
    )
    if credit.outcome == "misfit":
        await packs.begin_refund(db, user_id=user.user_id, payment_id=credit.payment_id)
        show(work, Screen(text=WORDS("misfit", stars=f"{paid.total_amount:,}"), rows=[[home.back()]]))
        work.start("packs.refund", {"payment": str(credit.payment_id)}, lane="pay")
        if paid.subscription_expiration_date is not None:
            work.start("topup.stop", {"charge": paid.telegram_payment_charge_id}, lane="pay")
    elif credit.outcome == "credited":
        until = None
        if paid.subscription_expiration_date is not None and order_id is not None:
            until = datetime.fromtimestamp(paid.subscription_expiration_date, UTC)
            await topup.note(
                db,
                user_id=user.user_id,
                order_id=order_id,
                charge_id=paid.telegram_payment_charge_id,
                first=bool(paid.is_first_recurring),
                until=until,
            )
        values = {
            "tokens": wallet.tokens(credit.tokens),
            "stars": f"{paid.total_amount:,}",
            "balance": wallet.tokens(credit.balance),
        }
        parts: list[object] = [Bold(WORDS("receipt_title")), "\n\n", WORDS("receipt", **values)]
        if until is not None:
            parts += ["\n\n", WORDS("receipt_monthly", date=usage.day(until, user))]
        balance = button(home.WORDS("balance"), home.OpenTap(feature="balance"))
        rows = [[_monthly_button()]] if until is not None else []
        screen = Screen(text=Text(*parts, "\n\n", WORDS("receipt_more")), rows=[*rows, [balance, home.back()]])
        show(work, screen)


# ----------------------------------------------------------------------------------- returning


async def support_screen(db: Transaction, settings: Settings, *, opening: str | None = None) -> Screen:
    """The person's payments, and a button for each that can be returned."""
    unspent = await packs.returnable(db)
    parts: list[object] = [Bold(WORDS("support_title")), "\n\n", *([opening, "\n\n"] if opening else [])]
    parts.append(WORDS("support"))
    if settings.viva_support is not None:
        parts += ["\n\n", WORDS("support_contact", contact=settings.viva_support)]
    rows: list[list[InlineKeyboardButton]] = []
    paid = await packs.payments(db, limit=LATEST)
    if await topup.topups(db):
        parts += ["\n\n", WORDS("support_monthly")]
        rows.append([_monthly_button()])
    if not paid:
        parts += ["\n\n", WORDS("support_none")]
    for payment in paid:
        values = {
            "date": f"{payment.created_at:%d %b %Y}",
            "tokens": wallet.tokens(payment.tokens),
            "stars": f"{payment.stars:,}",
        }
        parts += ["\n\n", WORDS("payment_line" if payment.tokens else "payment_misfit", **values), "\n"]
        returnable = payment.state == "paid" and unspent >= payment.tokens
        state = "spent" if payment.state == "paid" and not returnable else payment.state
        parts.append(WORDS(f"payment_{state}"))
        parts += ["\n", Code(payment.telegram_payment_charge_id)]
        if returnable:
            rows.append([button(WORDS("refund", stars=values["stars"]), RefundTap(id=payment.id, step="ask"))])
        elif payment.state == "refunding":
            rows.append([button(WORDS("refund_again"), RefundTap(id=payment.id, step="yes"))])
    return Screen(text=Text(*parts), rows=[*rows, [buy_button(), home.back()]])


@router.message(Command("paysupport"))
async def on_support(message: Message, db: Transaction, work: Work, settings: Settings) -> None:
    """Show the payments."""
    show(work, await support_screen(db, settings))


@router.callback_query(SupportTap.filter())
async def on_support_tap(tap: CallbackQuery, db: Transaction, work: Work, settings: Settings) -> None:
    """Show the payments in place."""
    show(work, await support_screen(db, settings), tap=tap)


@router.callback_query(RefundTap.filter(F.step == "ask"))
async def on_refund(
    tap: CallbackQuery, callback_data: RefundTap, db: Transaction, work: Work, settings: Settings
) -> None:
    """Ask before anything is returned."""
    payment = await packs.payment(db, callback_data.id)
    if payment is None or payment.state != "paid":
        opening = WORDS("refund_unknown") if payment is None else None
        show(work, await support_screen(db, settings, opening=opening), tap=tap)
        return
    text = WORDS("refund_question", tokens=wallet.tokens(payment.tokens), stars=f"{payment.stars:,}")
    rows = [
        [button(WORDS("refund_yes"), RefundTap(id=payment.id, step="yes"), style="danger")],
        [button(WORDS("refund_no"), SupportTap())],
    ]
    show(work, Screen(text=text, rows=rows), tap=tap)


@router.callback_query(RefundTap.filter(F.step == "yes"))
async def on_refund_sure(
    tap: CallbackQuery, callback_data: RefundTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Take the tokens back now, and let the Stars follow; asked again, only the Stars are asked for again."""
    payment = await packs.payment(db, callback_data.id)
    if payment is None or payment.state == "refunded":
        opening = WORDS("refund_unknown") if payment is None else None
        show(work, await support_screen(db, settings, opening=opening), tap=tap)
        return
    await db.become_service()
    begun = await packs.begin_refund(db, user_id=user.user_id, payment_id=payment.id)
    if begun.outcome == "spent":
        words = WORDS("refund_spent", tokens=wallet.tokens(begun.tokens), left=wallet.tokens(begun.unspent))
        show(work, Screen(text=words, rows=[[button(WORDS("support_title"), SupportTap()), home.back()]]), tap=tap)
        return
    show(work, Screen(text=WORDS("refund_running", stars=f"{payment.stars:,}")), tap=tap)
    work.start("packs.refund", {"payment": str(payment.id)}, lane="pay")


@router.message(F.refunded_payment)
async def on_refunded(
    message: Message,
    work: Work,
    user: Account | None = None,
    db: Transaction | None = None,
    system: Transaction | None = None,
) -> None:
    """Book what Telegram returned; tokens go where we had not begun it. The person may have erased everything."""
    returned = message.refunded_payment
    assert returned is not None
    charge_id, stars = returned.telegram_payment_charge_id, returned.total_amount
    if db is None or user is None:
        assert system is not None
        await packs.take_refund(system, user_id=None, charge_id=charge_id, stars=stars)
        return
    await db.become_service()
    refund = await packs.take_refund(db, user_id=user.user_id, charge_id=charge_id, stars=stars)
    balance = wallet.tokens(refund.balance or 0)
    if refund.outcome == "ended":
        show(work, _refunded_screen(stars, balance))
    elif refund.outcome == "taken":
        words = WORDS("refund_reported", stars=f"{stars:,}", taken=wallet.tokens(refund.taken), balance=balance)
        show(work, Screen(text=words, rows=[[button(WORDS("support_title"), SupportTap()), home.back()]]))


def _refunded_screen(stars: int, balance: str) -> Screen:
    words = WORDS("refunded", stars=f"{stars:,}", balance=balance)
    return Screen(text=words, rows=[[button(WORDS("support_title"), SupportTap()), home.back()]])


async def refund(job: Job, doors: Doors) -> None:
    """Return the Stars of a payment whose tokens are taken already; Telegram returns each payment once only.

    Telegram also reports it as a message; whichever comes first ends the refund and tells the person.
    """
    payment_id = uuid.UUID(job.payload["payment"])
    async with job.transaction() as db:
        payment = await packs.payment(db, payment_id)
    telegram_id = job.head.telegram_id
    if payment is None or payment.state != "refunding" or telegram_id is None:
        async with job.finish():
            return
    charge_id = payment.telegram_payment_charge_id

    async def give_back() -> bool:
        await doors.payments.give_back(telegram_id=telegram_id, charge_id=charge_id)
        return True

    await job.step("returned", give_back)
    async with job.finish() as db:
        purse = await meter.wallet(db)
        await db.become_service()
        if await packs.end_refund(db, payment_id):
            show(job, _refunded_screen(payment.stars, wallet.tokens(purse.balance if purse is not None else 0)))


async def refund_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Put the tokens back where Telegram refused; where it never answered, let the person ask again."""
    payment = await packs.payment(db, uuid.UUID(job.payload["payment"]))
    if payment is None or payment.state != "refunding":
        return
    if isinstance(error, RefundRefused):
        await db.become_service()
        await packs.undo_refund(db, payment.id)
        number = payment.telegram_payment_charge_id
        words = WORDS("refund_refused", tokens=wallet.tokens(payment.tokens), number=number)
        show(job, Screen(text=words, rows=[[home.back()]]))
        return
    again = button(WORDS("refund_again"), RefundTap(id=payment.id, step="yes"))
    show(job, Screen(text=WORDS("refund_unsure", stars=f"{payment.stars:,}"), rows=[[again], [home.back()]]))


# --------------------------------------------------------------------------------------- terms


@router.message(Command("terms"))
async def on_terms(message: Message, work: Work) -> None:
    """Show the terms."""
    show(work, Screen(text=Text(Bold(WORDS("terms_title")), "\n\n", WORDS("terms")), rows=[[home.back()]]))


JOBS = {"packs.refund": (refund, refund_failed)}
