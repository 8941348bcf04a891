"""A pack every month: subscribed to by a link, credited once a payment, ended, taken up again, gone with its person."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from bot.engine import payments
from bot.playground.payments import LINK
from prompts import packs as offers
from storage import topup
from tests.world import Someone, Viva

SMALL = offers.every()[0]


async def _link(person: Someone, label: str = "2 M") -> str:
    """The address under which the monthly pack can be subscribed to."""
    await person.send("/buy")
    await person.tap("A pack every month")
    await person.tap(f"{label} · ")
    keys = [key for row in person.screen.message["reply_markup"]["inline_keyboard"] for key in row]
    (address,) = [key["url"] for key in keys if "url" in key]
    assert address.startswith(LINK)
    return str(address)


async def _subscribe(viva: Viva, person: Someone, label: str = "2 M") -> str:
    """The charge id of the first payment, by which the subscription is known."""
    paid = await viva.telegram.pay_link(person.account, await _link(person, label))
    await viva.quiet()
    return str(paid["successful_payment"]["telegram_payment_charge_id"])


async def _balance(viva: Viva, person: Someone) -> int:
    return int((await viva.rows(person, "select balance from viva.wallets"))[0]["balance"])


async def _columns(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    """The seed's columns, of the active profile version."""
    return await viva.rows(person, "select auto_topup_enabled, auto_topup_pack_id from user_profiles where is_active")


async def _monthly(person: Someone) -> str:
    await person.send("/buy")
    return (await person.tap("A pack every month")).text


async def _exact(viva: Viva) -> None:
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert viva.app is not None
    assert await payments.differences(viva.app.bot, viva.database, fresh=timedelta(0)) == []


async def test_a_monthly_pack_is_credited_once_a_payment_and_the_seeds_columns_follow(viva: Viva) -> None:
    ada = await viva.onboarded()
    before = await _balance(viva, ada)
    first = await _subscribe(viva, ada)
    assert "2,000,000 tokens were added for 250 Stars" in ada.screen.text
    assert "until you end it" in ada.screen.text
    assert await _balance(viva, ada) == before + SMALL.tokens
    assert await _columns(viva, ada) == [{"auto_topup_enabled": True, "auto_topup_pack_id": SMALL.id}]
    renewed = await viva.telegram.renew(ada.account, first)
    viva.telegram.chats.add_update("message", renewed)
    await viva.quiet()
    assert await _balance(viva, ada) == before + 2 * SMALL.tokens
    assert sum("Thank you" in text for text in ada.messages) == 2
    rows = await viva.rows(ada, "select state, telegram_payment_charge_id from viva.topups")
    assert rows == [{"state": "active", "telegram_payment_charge_id": first}]
    await _exact(viva)
    screen = await ada.send("/paysupport")
    assert screen is not None and "You have a pack every month" in screen.text
    assert screen.buttons.count("Return 250 Stars") == 2
    await ada.tap("A pack every month")
    assert "It renews on" in ada.screen.text and "End it" in ada.screen.buttons


async def test_it_is_ended_with_one_tap_and_taken_up_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    first = await _subscribe(viva, ada)
    await _monthly(ada)
    screen = await ada.tap("End it")
    assert "It will not renew" in screen.text and screen.buttons[0] == "Take it up again"
    assert viva.telegram.chats.subscriptions[first]["canceled"] is True
    assert await _columns(viva, ada) == [{"auto_topup_enabled": False, "auto_topup_pack_id": SMALL.id}]
    screen = await ada.tap("Take it up again")
    assert "Telegram lets you turn it on again now" in screen.text
    assert (await _columns(viva, ada))[0]["auto_topup_enabled"] is False
    await viva.telegram.resume_subscription(ada.account, first)
    await viva.quiet()
    assert "Your monthly pack is on again" in ada.screen.text
    assert (await _columns(viva, ada))[0]["auto_topup_enabled"] is True
    await _exact(viva)


async def test_what_happens_to_it_in_telegram_is_heard(viva: Viva) -> None:
    ada = await viva.onboarded()
    first = await _subscribe(viva, ada)
    await viva.telegram.fail_renewal(ada.account, first)
    await viva.quiet()
    assert "could not be paid" in ada.screen.text
    assert (await _columns(viva, ada))[0]["auto_topup_enabled"] is False
    await viva.telegram.renew(ada.account, first)
    await viva.quiet()
    assert (await _columns(viva, ada))[0]["auto_topup_enabled"] is True
    await viva.telegram.end_subscription(ada.account, first)
    await viva.quiet()
    assert "will not renew" in ada.screen.text
    said = len(ada.messages)
    event = {"user": ada.account.as_user(), "invoice_payload": str(uuid.uuid4()), "state": "active"}
    for state in ({}, {"state": "of another time"}):
        viva.telegram.chats.add_update("subscription", event | state)
    await viva.quiet()
    assert len(ada.messages) == said
    await _exact(viva)


async def test_one_monthly_pack_at_a_time_is_enough(viva: Viva) -> None:
    ada = await viva.onboarded()
    other = await _link(ada, "5 M")
    await _subscribe(viva, ada)
    payload = viva.telegram.chats.invoice_links[other.removeprefix(LINK)]["payload"]
    answer = await viva.telegram.ask_to_pay(ada.account, stars=550, payload=payload)
    assert answer["ok"] is False and "monthly pack running already" in answer["error_message"]
    await ada.send("/buy")
    await ada.tap_data("monthly:large")
    assert "one is plenty" in ada.screen.text
    await ada.tap_data(f"renewal:{uuid.uuid4()}:0")
    assert "It renews on" in ada.screen.text


async def test_a_tap_that_telegram_does_not_answer_leaves_it_as_it_was_with_a_way_on(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.telegram.fail_next("createInvoiceLink", 400, "Bad Request: SUBSCRIPTION_PERIOD_INVALID")
    await ada.send("/buy")
    await ada.tap("A pack every month")
    screen = await ada.tap("2 M · ")
    assert "Telegram gave me no link" in screen.text
    first = await _subscribe(viva, ada)
    viva.telegram.fail_next("editUserStarSubscription", 400, "Bad Request: CHARGE_ID_INVALID")
    await _monthly(ada)
    screen = await ada.tap("End it")
    assert "Telegram would not change it" in screen.text
    assert viva.telegram.chats.subscriptions[first]["canceled"] is False
    screen = await ada.tap("Try again")
    assert "It will not renew" in screen.text


async def test_it_is_over_when_nothing_comes_for_days_after_its_time(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _subscribe(viva, ada)
    async with viva.database.as_service().transaction() as db:
        await db.execute("update viva.topups set paid_until = now() - interval '73 hours'")
        assert await topup.lapse(db, limit=10) == 1
        assert await topup.lapse(db, limit=10) == 0
    assert await _columns(viva, ada) == [{"auto_topup_enabled": False, "auto_topup_pack_id": SMALL.id}]
    assert "every thirty days" in await _monthly(ada)
    await _exact(viva)


async def test_with_its_person_gone_nothing_is_taken_for_it_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    first = await _subscribe(viva, ada)
    await ada.send("/delete")
    await ada.tap("Go on")
    await ada.tap("Delete it all for good")
    await ada.wait(lambda: "It is done" in ada.messages[-1])
    await viva.quiet()
    assert viva.telegram.chats.subscriptions[first]["bot_canceled"] is True
    # A renewal that was on its way all the same goes back.
    viva.telegram.chats.change_subscription(first, canceled=False)
    renewed = await viva.telegram.renew(ada.account, first)
    await viva.quiet()
    charge_id = renewed["successful_payment"]["telegram_payment_charge_id"]
    assert viva.telegram.chats.payments[charge_id]["refunded"] is not None
    await viva.telegram.fail_renewal(ada.account, first)
    await viva.quiet()
    assert await viva.service_rows("select 1 from viva.work where state = 'parked'") == []
    await _exact(viva)
