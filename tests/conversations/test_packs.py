"""Buying tokens with Telegram Stars: credited once, answered in time, and given back."""

from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bot.engine import payments
from bot.playground.chats import Refused
from prompts import packs as offers
from storage import meter
from tests.world import Someone, Viva, comes_true

SMALL = offers.every()[0]


async def _invoice(person: Someone, label: str = "2 M") -> dict[str, Any]:
    """The invoice message of a pack."""
    await person.send("/buy")
    await person.tap(label)
    message = person.screen.message
    assert "invoice" in message, message
    return message


def _payload(viva: Viva, person: Someone, message: dict[str, Any]) -> str:
    return viva.telegram.chats.invoices[person.id, message["message_id"]]


async def _pay(viva: Viva, person: Someone, message: dict[str, Any]) -> str:
    """The charge id of a payment of this invoice, once VIVA has answered it."""
    paid = await viva.telegram.pay(person.account, message["message_id"])
    await viva.quiet()
    return str(paid["successful_payment"]["telegram_payment_charge_id"])


async def _balance(viva: Viva, person: Someone) -> int:
    return int((await viva.rows(person, "select balance from viva.wallets"))[0]["balance"])


async def _spend(viva: Viva, person: Someone, tokens: int) -> None:
    """Use up so many tokens, as a call of that size does."""
    hold_id, user_id = uuid.uuid4(), await person.user_id()
    async with viva.database.as_service().transaction() as db:
        held = await meter.hold(
            db,
            hold_id=hold_id,
            user_id=user_id,
            work_id=None,
            step="call",
            action_type="chat_conversation",
            model="stand-in",
            most=tokens,
            least=tokens,
        )
        assert held.granted == tokens
        await meter.settle(
            db,
            hold_id=hold_id,
            tokens=tokens,
            input_tokens=tokens,
            output_tokens=0,
            cost_cents=Decimal(1),
            success=True,
            error=None,
            metadata={},
        )


async def _exact(viva: Viva) -> None:
    """The ledger has no difference, and the books agree with Telegram's."""
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert viva.app is not None
    assert await payments.differences(viva.app.bot, viva.database, fresh=timedelta(0)) == []


async def _states(viva: Viva, person: Someone) -> list[str]:
    rows = await viva.rows(person, "select state from viva.payments order by created_at")
    return [row["state"] for row in rows]


# ------------------------------------------------------------------------------------- buying


async def test_the_packs_are_offered_with_their_prices(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/balance")
    screen = await ada.tap("Add tokens")
    assert screen.buttons == [
        "2 M · 250 Stars",
        "5 M · 550 Stars",
        "12 M · 1,200 Stars",
        "A pack every month",
        "Main menu",
    ]
    message = await _invoice(ada)
    assert message["invoice"]["currency"] == "XTR" and message["invoice"]["total_amount"] == SMALL.stars
    assert message["reply_markup"]["inline_keyboard"][0][0]["pay"] is True


async def test_a_pack_is_credited_once_and_the_receipt_says_the_new_balance(viva: Viva) -> None:
    ada = await viva.onboarded()
    before = await _balance(viva, ada)
    charge_id = await _pay(viva, ada, await _invoice(ada))
    after = before + SMALL.tokens
    assert await _balance(viva, ada) == after
    assert f"{SMALL.tokens:,} tokens were added for 250 Stars" in ada.screen.text
    assert f"You have {after:,} tokens now" in ada.screen.text
    ledger = await viva.rows(ada, "select kind, amount from viva.ledger where reference = $1", f"stars:{charge_id}")
    assert ledger == [{"kind": "purchase", "amount": SMALL.tokens}]
    orders = await viva.rows(ada, "select state, telegram_payment_charge_id from viva.orders")
    assert orders == [{"state": "paid", "telegram_payment_charge_id": charge_id}]
    await _exact(viva)


async def test_a_payment_that_telegram_tells_twice_is_credited_once(viva: Viva) -> None:
    ada = await viva.onboarded()
    message = await _invoice(ada)
    before = await _balance(viva, ada)
    paid = await viva.telegram.pay(ada.account, message["message_id"])
    viva.telegram.chats.add_update("message", paid)
    await viva.quiet()
    assert await _balance(viva, ada) == before + SMALL.tokens
    assert sum("Thank you" in text for text in ada.messages) == 1
    await _exact(viva)


async def test_an_invoice_that_was_paid_twice_is_credited_twice(viva: Viva) -> None:
    ada = await viva.onboarded()
    payload = _payload(viva, ada, await _invoice(ada))
    before = await _balance(viva, ada)
    for _ in range(2):
        answer = await viva.telegram.ask_to_pay(ada.account, stars=SMALL.stars, payload=payload)
        assert answer == {"ok": True}
    for _ in range(2):
        await viva.telegram.send_payment(ada.account, stars=SMALL.stars, payload=payload)
    await viva.quiet()
    assert await _balance(viva, ada) == before + 2 * SMALL.tokens
    assert await _states(viva, ada) == ["paid", "paid"]
    await _exact(viva)


async def test_a_double_tap_asks_for_one_invoice(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/buy")
    assert screen is not None
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, screen.message["message_id"], screen.data("2 M"))
    await viva.quiet()
    assert sum("invoice" in shown.message for shown in ada.screens) == 1
    assert len(await viva.rows(ada, "select id from viva.orders")) == 1


async def test_a_checkout_is_answered_while_a_long_answer_is_being_written(viva: Viva) -> None:
    ada = await viva.onboarded()
    message = await _invoice(ada)
    viva.model.hold()
    await ada.send_without_waiting("Tell me about the sea.")
    await viva.model.held()
    try:
        await viva.telegram.pay(ada.account, message["message_id"])
        await ada.wait(lambda: any("Thank you" in text for text in ada.messages))
        assert (await viva.rows(ada, "select held from viva.wallets"))[0]["held"] > 0
    finally:
        viva.model.release()
    await viva.quiet()
    await _exact(viva)


async def test_a_checkout_is_answered_while_the_chat_waits_out_a_flood(viva: Viva) -> None:
    ada = await viva.onboarded()
    message = await _invoice(ada)
    viva.telegram.fail_next("sendMessage", 429, "Too Many Requests: retry after 600", retry_after=600)
    await viva.telegram.send_text(ada.account, "/help")
    await comes_true(lambda: viva.service_rows("select 1 from viva.outbox where error = 'flood'"), "a flood")
    payload = _payload(viva, ada, message)
    assert await viva.telegram.ask_to_pay(ada.account, stars=SMALL.stars, payload=payload) == {"ok": True}
    waiting = await viva.service_rows("select error from viva.outbox where state = 'waiting'")
    assert waiting == [{"error": "flood"}]


async def test_a_checkout_whose_answer_telegram_did_not_take_is_answered_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    message = await _invoice(ada)
    viva.telegram.cut_next("answerPreCheckoutQuery", done_first=False)
    viva.telegram.fail_next("answerPreCheckoutQuery", 429, "Too Many Requests: retry after 1", retry_after=1)
    await _pay(viva, ada, message)
    assert "Thank you" in ada.screen.text


async def test_a_checkout_that_does_not_fit_is_refused_with_a_sentence(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    payload = _payload(viva, ada, await _invoice(ada))
    stars = SMALL.stars
    assert (await viva.telegram.ask_to_pay(ada.account, stars=stars, payload=payload)) == {"ok": True}
    for person, asked, words in (
        (ada, {"stars": stars - 1, "payload": payload}, "do not match"),
        (ada, {"stars": stars, "payload": payload, "currency": "USD"}, "do not match"),
        (ada, {"stars": stars, "payload": str(uuid.uuid4())}, "not one of yours"),
        (ada, {"stars": stars, "payload": "anything else"}, "not one of yours"),
        (ben, {"stars": stars, "payload": payload}, "not one of yours"),
    ):
        answer = await viva.telegram.ask_to_pay(person.account, **asked)
        assert answer["ok"] is False and words in answer["error_message"]
    await viva.telegram.send_payment(ada.account, stars=stars, payload=payload)
    await viva.quiet()
    with pytest.raises(Refused, match="paid already"):
        await viva.telegram.pay(ada.account, ada.screens[-2].message["message_id"])
    assert len(await viva.service_rows("select 1 from viva.payments")) == 1
    await _exact(viva)


async def test_a_payment_that_fits_no_order_goes_back_and_credits_nothing(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    payload = _payload(viva, ada, await _invoice(ada))
    before = await _balance(viva, ben)
    await viva.telegram.send_payment(ben.account, stars=SMALL.stars, payload=payload)
    await viva.quiet()
    assert await _balance(viva, ben) == before
    assert await _states(viva, ben) == ["refunded"]
    assert any("fits none of your invoices" in text for text in ben.messages)
    assert "250 Stars are on their way back" in ben.screen.text
    await _exact(viva)


async def test_a_payment_by_somebody_who_blocked_viva_is_credited_all_the_same(viva: Viva) -> None:
    ada = await viva.onboarded()
    payload = _payload(viva, ada, await _invoice(ada))
    before = await _balance(viva, ada)
    await viva.telegram.block(ada.account)
    await viva.telegram.send_payment(ada.account, stars=SMALL.stars, payload=payload)
    await viva.quiet()
    assert await _balance(viva, ada) == before + SMALL.tokens
    await _exact(viva)


async def test_nobody_can_write_their_own_order_or_payment(viva: Viva) -> None:
    ada = await viva.onboarded()
    for statement in (
        "insert into viva.orders (user_id, pack_id, tokens, stars) values (auth.uid(), 'mine', 1000000, 1)",
        "insert into viva.payments (telegram_payment_charge_id, user_id, stars, tokens) values ('a', auth.uid(), 1, 1)",
        "select viva.order_pack(auth.uid(), 'mine', 1000000, 1)",
        "select viva.credit_payment(auth.uid(), null, 'mine', 1)",
    ):
        with pytest.raises(Exception, match="permission denied"):
            await viva.rows(ada, statement)


# ----------------------------------------------------------------------------------- returning


async def _ask_back(person: Someone) -> None:
    await person.send("/paysupport")
    await person.tap("Return 250 Stars")
    assert "Shall I take 2,000,000 tokens off your balance" in person.screen.text
    await person.tap("Yes, return them")


async def test_an_unspent_pack_is_returned_with_all_its_stars(viva: Viva) -> None:
    ada = await viva.onboarded()
    before = await _balance(viva, ada)
    charge_id = await _pay(viva, ada, await _invoice(ada))
    await _ask_back(ada)
    assert f"You have {before:,} tokens now" in ada.screen.text
    assert await _balance(viva, ada) == before
    assert viva.telegram.chats.payments[charge_id]["refunded"] is not None
    ledger = await viva.rows(ada, "select kind, amount from viva.ledger where reference = $1", f"refund:{charge_id}")
    assert ledger == [{"kind": "refund", "amount": -SMALL.tokens}]
    assert (await viva.rows(ada, "select state from viva.orders"))[0]["state"] == "refunded"
    screen = await ada.send("/paysupport")
    assert screen is not None and charge_id in screen.text and screen.buttons == ["Add tokens", "Main menu"]
    await _exact(viva)


async def test_a_refund_confirmed_twice_is_made_once(viva: Viva) -> None:
    ada = await viva.onboarded()
    before = await _balance(viva, ada)
    await _pay(viva, ada, await _invoice(ada))
    await ada.send("/paysupport")
    screen = await ada.tap("Return 250 Stars")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, screen.message["message_id"], screen.data("Yes"))
    await viva.quiet()
    assert await _balance(viva, ada) == before
    assert sum("on their way back" in text for text in ada.messages) == 1
    await _exact(viva)


async def test_a_pack_that_was_spent_in_part_is_not_returned(viva: Viva) -> None:
    ada = await viva.onboarded()
    charge_id = await _pay(viva, ada, await _invoice(ada))
    await ada.send("/paysupport")
    await ada.tap("Return 250 Stars")
    await _spend(viva, ada, await _balance(viva, ada) - SMALL.tokens + 1)
    await ada.tap("Yes, return them")
    assert "1,999,999 of those you bought are unspent" in ada.screen.text
    assert await _balance(viva, ada) == SMALL.tokens - 1
    assert viva.telegram.chats.payments[charge_id]["refunded"] is None
    screen = await ada.send("/paysupport")
    assert screen is not None and "used in part" in screen.text and screen.buttons == ["Add tokens", "Main menu"]
    await _exact(viva)


async def test_tokens_that_were_a_gift_pay_for_no_refund(viva: Viva) -> None:
    ada = await viva.onboarded()
    charge_id = await _pay(viva, ada, await _invoice(ada))
    await _spend(viva, ada, await _balance(viva, ada) - 1)
    user_id = await ada.user_id()
    async with viva.database.as_service().transaction() as db:
        await meter.grant(db, user_id=user_id, amount=3_000_000, kind="admin", reference="gift", note=None)
    screen = await ada.send("/paysupport")
    assert screen is not None and "used in part" in screen.text and screen.buttons == ["Add tokens", "Main menu"]
    payment = (await viva.rows(ada, "select id from viva.payments"))[0]["id"]
    await ada.tap_data(f"refund:{payment}:yes")
    assert "1 of those you bought are unspent" in ada.screen.text
    assert viva.telegram.chats.payments[charge_id]["refunded"] is None
    await _exact(viva)


async def test_a_refund_whose_answer_was_lost_is_asked_again_and_made_once(viva: Viva) -> None:
    ada = await viva.onboarded()
    before = await _balance(viva, ada)
    await _pay(viva, ada, await _invoice(ada))
    viva.telegram.cut_next("refundStarPayment", done_first=True)
    await _ask_back(ada)
    await ada.wait(lambda: any("on their way back" in text for text in ada.messages))
    await viva.quiet()
    assert await _balance(viva, ada) == before
    assert await _states(viva, ada) == ["refunded"]
    await _exact(viva)


async def test_a_refund_that_telegram_refuses_puts_the_tokens_back_and_can_be_asked_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _pay(viva, ada, await _invoice(ada))
    after = await _balance(viva, ada)
    viva.telegram.fail_next("refundStarPayment", 400, "Bad Request: STARS_BALANCE_TOO_LOW")
    await _ask_back(ada)
    assert "I put 2,000,000 tokens back" in ada.screen.text
    assert await _balance(viva, ada) == after
    await _exact(viva)
    await _ask_back(ada)
    assert await _balance(viva, ada) == after - SMALL.tokens
    await _exact(viva)


async def test_stars_that_telegram_returned_by_itself_take_what_is_left_of_their_tokens(viva: Viva) -> None:
    ada = await viva.onboarded()
    charge_id = await _pay(viva, ada, await _invoice(ada))
    await _spend(viva, ada, await _balance(viva, ada) - 1_500_000)
    assert viva.app is not None
    await viva.app.bot.refund_star_payment(ada.id, charge_id)
    await viva.quiet()
    assert "I took 1,500,000 tokens off your balance" in ada.screen.text
    assert await _balance(viva, ada) == 0
    assert await viva.rows(ada, "select state, shortfall from viva.payments") == [
        {"state": "refunded", "shortfall": 500_000}
    ]
    await _exact(viva)


async def test_paysupport_says_whom_to_ask(viva: Viva) -> None:
    await viva.restart(viva_support="help@viva.example")
    ada = await viva.onboarded()
    screen = await ada.send("/paysupport")
    assert screen is not None and "write to help@viva.example" in screen.text
    assert "You have not paid for anything here" in screen.text


async def test_a_forged_refund_button_finds_nothing(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await _pay(viva, ada, await _invoice(ada))
    payment = (await viva.rows(ada, "select id from viva.payments"))[0]["id"]
    await ben.send("/paysupport")
    for step in ("ask", "yes"):
        await ben.tap_data(f"refund:{payment}:{step}")
        assert "I do not find that payment" in ben.screen.text
    assert await _states(viva, ada) == ["paid"]


async def test_after_delete_a_payment_stays_in_the_books_without_its_person(viva: Viva) -> None:
    ada = await viva.onboarded()
    charge_id = await _pay(viva, ada, await _invoice(ada))
    await ada.send("/delete")
    await ada.tap("Go on")
    await ada.tap("Delete it all for good")
    await ada.wait(lambda: "It is done" in ada.messages[-1])
    await viva.quiet()
    rows = await viva.service_rows("select telegram_payment_charge_id, user_id, order_id from viva.payments")
    assert rows == [{"telegram_payment_charge_id": charge_id, "user_id": None, "order_id": None}]
    await _exact(viva)
    assert viva.app is not None
    await viva.app.bot.refund_star_payment(ada.id, charge_id)
    await viva.quiet()
    assert await viva.service_rows("select 1 from viva.work where state = 'parked'") == []
    await _exact(viva)


# -------------------------------------------------------------------------------- books, terms


async def test_the_books_name_each_payment_that_telegram_tells_differently(viva: Viva) -> None:
    ada = await viva.onboarded()
    charge_id = await _pay(viva, ada, await _invoice(ada))
    missed = {viva.telegram.chats.add_payment(ada.id, stars=1, payload="lost") for _ in range(120)}
    async with viva.database.as_service().transaction() as db:
        await db.execute("update viva.payments set telegram_payment_charge_id = 'never'")
    assert viva.app is not None
    found = await payments.differences(viva.app.bot, viva.database, fresh=timedelta(0))
    assert {one.charge_id for one in found if one.viva is None} == missed | {charge_id}
    assert [(one.charge_id, one.telegram, one.viva) for one in found if one.telegram is None] == [
        ("never", None, "paid 250")
    ]
    assert await payments.differences(viva.app.bot, viva.database) == []


async def test_the_terms_say_what_is_bought_and_how_it_is_returned(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/terms")
    assert screen is not None and "Telegram Stars" in screen.text and "/paysupport" in screen.text
