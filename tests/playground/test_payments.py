"""Invoices and payments in test Stars keep to Telegram's rules, and each limit of its is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError
from aiogram.types import InlineKeyboardButton, InlineKeyboardMarkup, LabeledPrice, PreCheckoutQuery

from bot.playground.chats import Person, Refused
from bot.playground.telegram import LONGEST_POLL, TelegramServer

TOKEN = "123456789:AAE-playground-playground-playgrou"
STARS = 250


class Clock:
    """The server's clock, which a test can move."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


class Shop:
    """A server, a bot on it, and somebody who has written to it."""

    def __init__(self, server: TelegramServer, bot: Bot, person: Person, clock: Clock) -> None:
        self.server, self.bot, self.person, self.clock = server, bot, person, clock

    async def invoice(self, **changes: Any) -> int:
        """The message_id of an invoice over 250 Stars, changed where named."""
        prices = [LabeledPrice(label="Tokens", amount=STARS)]
        given = {"title": "Tokens", "description": "A pack.", "payload": "order 1", "currency": "XTR", "prices": prices}
        return (await self.bot.send_invoice(self.person.id, **{**given, **changes})).message_id

    async def checkout(self) -> PreCheckoutQuery:
        """The next pre-checkout query."""
        while True:
            updates = await self.bot.get_updates(timeout=LONGEST_POLL)
            await self.bot.get_updates(offset=updates[-1].update_id + 1)
            for update in updates:
                if update.pre_checkout_query is not None:
                    return update.pre_checkout_query

    async def paid(self, message_id: int) -> str:
        """The charge id of an invoice paid with the bot's yes."""
        paying = asyncio.create_task(self.server.pay(self.person, message_id))
        query = await self.checkout()
        await self.bot.answer_pre_checkout_query(query.id, ok=True)
        return str((await paying)["successful_payment"]["telegram_payment_charge_id"])


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    clock = Clock()
    server = TelegramServer(tmp_path / "telegram", token=TOKEN, now=clock)
    await server.start()
    bot = Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(server.url)))
    person = server.person(first_name="Ada")
    await server.send_text(person, "/start")
    try:
        yield Shop(server, bot, person, clock)
    finally:
        await bot.session.close()
        await server.stop()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"title": ""}, "INVOICE_TITLE_INVALID"),
        ({"title": "x" * 33}, "INVOICE_TITLE_INVALID"),
        ({"description": ""}, "INVOICE_DESCRIPTION_INVALID"),
        ({"description": "x" * 256}, "INVOICE_DESCRIPTION_INVALID"),
        ({"payload": ""}, "INVOICE_PAYLOAD_INVALID"),
        ({"payload": "é" * 65}, "INVOICE_PAYLOAD_INVALID"),
        ({"currency": "USD"}, "CURRENCY_INVALID"),
        ({"provider_token": "284685063:TEST"}, "STARS_INVOICE_INVALID"),
        ({"max_tip_amount": 5}, "STARS_INVOICE_INVALID"),
        ({"prices": []}, "STARS_INVOICE_INVALID"),
        ({"prices": [LabeledPrice(label="a", amount=1), LabeledPrice(label="b", amount=1)]}, "STARS_INVOICE_INVALID"),
        ({"prices": [LabeledPrice(label="a", amount=0)]}, "CURRENCY_TOTAL_AMOUNT_INVALID"),
        ({"prices": [LabeledPrice(label="a", amount=100_001)]}, "CURRENCY_TOTAL_AMOUNT_INVALID"),
        ({"prices": [LabeledPrice(label=" ", amount=1)]}, "PRICE_LABEL_INVALID"),
        ({"start_parameter": "x" * 65}, "START_PARAM_INVALID"),
    ],
)
async def test_an_invoice_over_a_limit_is_refused(shop: Shop, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TelegramAPIError, match=reason):
        await shop.invoice(**changes)


async def test_an_invoice_gets_a_button_that_pays_and_its_first_button_must_pay(shop: Shop) -> None:
    await shop.invoice(title="x" * 32, description="x" * 255, payload="x" * 128)
    message = shop.server.messages(shop.person)[-1]
    assert message["reply_markup"]["inline_keyboard"] == [[{"text": "Pay ⭐️250", "pay": True}]]
    assert "payload" not in message["invoice"]
    back, pay = InlineKeyboardButton(text="Back", callback_data="b"), InlineKeyboardButton(text="Pay", pay=True)
    await shop.invoice(reply_markup=InlineKeyboardMarkup(inline_keyboard=[[pay], [back]]))
    with pytest.raises(TelegramAPIError, match="REPLY_MARKUP_BUY_EMPTY"):
        await shop.invoice(reply_markup=InlineKeyboardMarkup(inline_keyboard=[[back], [pay]]))


async def test_a_payment_goes_through_with_the_bots_yes(shop: Shop) -> None:
    message_id = await shop.invoice()
    paying = asyncio.create_task(shop.server.pay(shop.person, message_id))
    query = await shop.checkout()
    assert (query.from_user.id, query.total_amount, query.currency) == (shop.person.id, STARS, "XTR")
    assert query.invoice_payload == "order 1"
    await shop.bot.answer_pre_checkout_query(query.id, ok=True)
    await paying
    (update,) = await shop.bot.get_updates()
    assert update.message is not None and update.message.successful_payment is not None
    assert update.message.successful_payment.invoice_payload == "order 1"
    assert update.message.successful_payment.telegram_payment_charge_id in shop.server.chats.payments


async def test_a_payment_ends_with_the_bots_reason(shop: Shop) -> None:
    paying = asyncio.create_task(shop.server.pay(shop.person, await shop.invoice()))
    query = await shop.checkout()
    with pytest.raises(TelegramAPIError, match="ERROR_TEXT_EMPTY"):
        await shop.bot.answer_pre_checkout_query(query.id, ok=False)
    await shop.bot.answer_pre_checkout_query(query.id, ok=False, error_message="Sold out.")
    with pytest.raises(Refused, match="Sold out"):
        await paying
    assert shop.server.chats.payments == {}
    with pytest.raises(TelegramAPIError, match="query is too old"):
        await shop.bot.answer_pre_checkout_query(query.id, ok=True)


async def test_a_payment_that_nobody_answers_ends_after_ten_seconds(shop: Shop) -> None:
    paying = asyncio.create_task(shop.server.pay(shop.person, await shop.invoice()))
    query = await shop.checkout()
    shop.clock.now += 10
    with pytest.raises(TelegramAPIError, match="query is too old"):
        await shop.bot.answer_pre_checkout_query(query.id, ok=True)
    shop.server.chats.touch()
    with pytest.raises(Refused, match="BOT_PRECHECKOUT_TIMEOUT"):
        await paying
    assert shop.server.chats.payments == {}


async def test_stars_go_back_once_and_only_to_who_paid(shop: Shop) -> None:
    charge_id = await shop.paid(await shop.invoice())
    other = shop.server.person(first_name="Ben")
    for user_id, name, reason in (
        (1, charge_id, "USER_ID_INVALID"),
        (other.id, charge_id, "CHARGE_NOT_FOUND"),
        (shop.person.id, "nothing", "CHARGE_NOT_FOUND"),
    ):
        with pytest.raises(TelegramAPIError, match=reason):
            await shop.bot.refund_star_payment(user_id, name)
    assert await shop.bot.refund_star_payment(shop.person.id, charge_id)
    assert shop.server.messages(shop.person)[-1]["refunded_payment"]["telegram_payment_charge_id"] == charge_id
    with pytest.raises(TelegramAPIError, match="CHARGE_ALREADY_REFUNDED"):
        await shop.bot.refund_star_payment(shop.person.id, charge_id)


async def test_transactions_are_told_in_pages_of_a_hundred(shop: Shop) -> None:
    paid = [shop.server.chats.add_payment(shop.person.id, stars=1, payload="order") for _ in range(101)]
    shop.clock.now += 1
    shop.server.chats.refund_payment(paid[0])
    first = (await shop.bot.get_star_transactions()).transactions
    rest = (await shop.bot.get_star_transactions(offset=100, limit=100)).transactions
    assert [one.id for one in first + rest] == [*paid, paid[0]]
    assert rest[-1].receiver is not None and rest[-1].source is None and first[0].source is not None
    for limit in (0, 101):
        with pytest.raises(TelegramAPIError, match="wrong limit"):
            await shop.bot.get_star_transactions(limit=limit)


async def test_payments_outlive_a_restart_and_a_cleared_chat(shop: Shop, tmp_path: Path) -> None:
    message_id = await shop.invoice()
    charge_id = await shop.paid(message_id)
    await shop.server.stop()
    again = TelegramServer(tmp_path / "telegram", token=TOKEN)
    assert again.chats.invoices == {(shop.person.id, message_id): "order 1"}
    again.chats.reset()
    assert list(again.chats.payments) == [charge_id] and again.chats.invoices == {}
    await again.start()
    await again.stop()


async def test_the_page_pays_an_invoice_and_tells_why_not(shop: Shop) -> None:
    message_id = await shop.invoice()
    address = f"{shop.server.url}/page/chats/{shop.person.id}/payments"
    headers = {"X-Page-Key": shop.server.page_key}
    async with aiohttp.ClientSession(headers=headers) as browser:
        for ok in (False, True):
            paying = asyncio.create_task(browser.post(address, json={"message_id": message_id}))
            query = await shop.checkout()
            await shop.bot.answer_pre_checkout_query(query.id, ok=ok, error_message=None if ok else "Sold out.")
            async with await paying as answer:
                body = await answer.json()
                assert answer.status == (200 if ok else 400)
                assert ("message" in body) if ok else (body["description"] == "Bad Request: Sold out.")
        async with browser.post(address, json={"message_id": 1}) as answer:
            assert answer.status == 400 and "INVOICE_INVALID" in (await answer.json())["description"]


async def _subscribed(shop: Shop, browser: aiohttp.ClientSession, **changes: Any) -> str:
    """The charge id of a subscription that the page has paid, with the bot's yes."""
    prices = [LabeledPrice(label="Tokens", amount=STARS)]
    given = {"title": "Tokens", "description": "A pack.", "payload": "order 1", "currency": "XTR", "prices": prices}
    link = await shop.bot.create_invoice_link(**{**given, "subscription_period": 2_592_000, **changes})
    page = f"{shop.server.url}/page/chats/{shop.person.id}"
    async with browser.get(f"{page}/invoice", params={"link": link}) as answer:
        shown = (await answer.json())["invoice"]
        assert (shown["total_amount"], shown["period"]) == (STARS, 2_592_000) and "payload" not in shown
    paying = asyncio.create_task(browser.post(f"{page}/payments", json={"link": link}))
    await shop.bot.answer_pre_checkout_query((await shop.checkout()).id, ok=True)
    async with await paying as answer:
        paid = (await answer.json())["message"]["successful_payment"]
    assert paid["is_recurring"] and paid["is_first_recurring"]
    assert paid["subscription_expiration_date"] == shop.clock.now + 2_592_000
    return str(paid["telegram_payment_charge_id"])


async def test_the_page_subscribes_and_lets_months_pass_and_telegrams_settings_end_it(shop: Shop) -> None:
    page = f"{shop.server.url}/page/chats/{shop.person.id}/subscriptions"
    async with aiohttp.ClientSession(headers={"X-Page-Key": shop.server.page_key}) as browser:
        charge_id = await _subscribed(shop, browser)

        async def do(verb: str, status: int = 200) -> None:
            async with browser.post(page, json={"id": charge_id, "do": verb}) as answer:
                assert answer.status == status, await answer.text()

        for verb in ("renew", "fail", "end", "resume"):
            await do(verb)
        updates = (await shop.bot.get_updates())[-4:]
        renewed = updates[0].message
        assert renewed is not None and renewed.successful_payment is not None
        assert renewed.successful_payment.is_recurring and not renewed.successful_payment.is_first_recurring
        assert renewed.successful_payment.subscription_expiration_date == shop.clock.now + 2 * 2_592_000
        assert [update.subscription.state for update in updates if update.subscription] == [
            "failed",
            "canceled",
            "active",
        ]
        # What the bot canceled only the bot can allow again, and only the person turns on.
        assert await shop.bot.edit_user_star_subscription(shop.person.id, charge_id, is_canceled=True)
        await do("resume", 400)
        await do("renew", 400)
        assert await shop.bot.edit_user_star_subscription(shop.person.id, charge_id, is_canceled=False)
        await do("renew", 400)
        await do("resume")
        await do("renew")
        async with browser.get(page) as answer:
            (kept,) = (await answer.json())["subscriptions"]
            assert (kept["id"], kept["canceled"]) == (charge_id, False)
        partner = (await shop.bot.get_star_transactions()).transactions[0].source
        assert partner is not None and getattr(partner, "subscription_period", None) == 2_592_000


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subscription_period": 86_400}, "SUBSCRIPTION_PERIOD_INVALID"),
        ({"prices": [LabeledPrice(label="a", amount=10_001)]}, "CURRENCY_TOTAL_AMOUNT_INVALID"),
        ({"currency": "USD"}, "CURRENCY_INVALID"),
    ],
)
async def test_a_subscription_over_a_limit_is_refused(shop: Shop, changes: dict[str, Any], reason: str) -> None:
    async with aiohttp.ClientSession() as browser:
        with pytest.raises(TelegramAPIError, match=reason):
            await _subscribed(shop, browser, **changes)
    for user_id, charge_id, refused in ((1, "a", "USER_ID_INVALID"), (shop.person.id, "a", "CHARGE_ID_INVALID")):
        with pytest.raises(TelegramAPIError, match=refused):
            await shop.bot.edit_user_star_subscription(user_id, charge_id, is_canceled=True)
