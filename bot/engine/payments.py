"""Telegram Stars: returning a payment, and comparing the books with Telegram's."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramBadRequest, TelegramNotFound, TelegramUnauthorizedError
from aiogram.methods import CreateInvoiceLink
from aiogram.types import StarTransaction, TransactionPartnerUser
from pydantic import BaseModel

from bot.config import Settings
from bot.errors import RefundRefused, RenewalRefused, SettingsError
from storage import packs
from storage.database import Database, forbid_inside_transaction

PAGE = 100
"""Transactions that one call tells (Telegram limit)."""

FRESH = timedelta(minutes=5)
"""How long a payment may be on its way before its absence is a difference."""


class TelegramPayments:
    """Payments as the Bot API returns them."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def give_back(self, *, telegram_id: int, charge_id: str) -> None:
        """Return all Stars of a payment; one that was returned already is done."""
        forbid_inside_transaction("a call of the Bot API")
        try:
            await self._bot.refund_star_payment(telegram_id, charge_id, request_timeout=20)
        except TelegramBadRequest as error:
            if "CHARGE_ALREADY_REFUNDED" not in error.message:
                raise RefundRefused("Telegram would not return these Stars.") from None

    async def subscription_link(self, subscription: dict[str, object]) -> str:
        """The link under which a subscription can be paid; `subscription` is the payload of createInvoiceLink."""
        forbid_inside_transaction("a call of the Bot API")
        try:
            return await self._bot(CreateInvoiceLink.model_validate(subscription), request_timeout=20)
        except TelegramBadRequest:
            raise RenewalRefused("Telegram would not make this subscription.") from None

    async def set_renewal(self, *, telegram_id: int, charge_id: str, canceled: bool) -> None:
        """Let a subscription not be renewed any more, or let the person turn it on again."""
        forbid_inside_transaction("a call of the Bot API")
        try:
            await self._bot.edit_user_star_subscription(telegram_id, charge_id, canceled, request_timeout=20)
        except TelegramBadRequest:
            raise RenewalRefused("Telegram would not change this subscription.") from None


class PaymentDifference(BaseModel):
    """A payment that Telegram and VIVA tell differently; None where one of them does not know it."""

    charge_id: str
    telegram: str | None
    viva: str | None


@contextlib.asynccontextmanager
async def bot_of(settings: Settings) -> AsyncIterator[Bot]:
    """A bot for one check, outside the running service; raises SettingsError where its token is wrong."""
    assert settings.telegram_bot_token is not None
    session = AiohttpSession(api=TelegramAPIServer.from_base(settings.telegram_api_url))
    try:
        yield Bot(settings.telegram_bot_token.get_secret_value(), session=session)
    except (TelegramUnauthorizedError, TelegramNotFound):
        raise SettingsError("TELEGRAM_BOT_TOKEN does not work: Telegram refuses it.") from None
    finally:
        await session.close()


async def differences(bot: Bot, database: Database, *, fresh: timedelta = FRESH) -> list[PaymentDifference]:
    """Every payment that Telegram and the books tell differently, oldest first; those of the last minutes left out."""
    since = datetime.now(UTC) - fresh
    theirs: dict[str, tuple[datetime, str]] = {}
    offset = 0
    while True:
        page = (await bot.get_star_transactions(offset=offset, limit=PAGE)).transactions
        for charge_id, date, told in _payments(page):
            theirs[charge_id] = (date, told)
        offset += len(page)
        if len(page) < PAGE:
            break
    async with database.as_service().transaction() as transaction:
        ours = {one.telegram_payment_charge_id: one for one in await packs.booked(transaction)}
    found = []
    for charge_id, (date, told) in theirs.items():
        booked = ours.get(charge_id)
        kept = f"{booked.state} {booked.stars}" if booked is not None else None
        if told != kept and date <= since:
            found.append(PaymentDifference(charge_id=charge_id, telegram=told, viva=kept))
    for charge_id, booked in ours.items():
        if charge_id not in theirs and booked.created_at <= since:
            kept = f"{booked.state} {booked.stars}"
            found.append(PaymentDifference(charge_id=charge_id, telegram=None, viva=kept))
    return found


def _payments(page: list[StarTransaction]) -> Iterator[tuple[str, datetime, str]]:
    """(charge id, when, state and Stars) of what people paid for invoices; a refund comes under its payment's id."""
    for one in page:
        partner = one.receiver or one.source
        if isinstance(partner, TransactionPartnerUser) and partner.transaction_type == "invoice_payment":
            yield one.id, one.date, f"{'refunded' if one.receiver is not None else 'paid'} {one.amount}"
