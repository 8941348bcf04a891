"""Every accounting fault that the product VIVA comes from has had, each named as it was, and shown not to be here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import asyncpg
import pytest

from bot.ai import prices
from storage import packs
from storage.database import Database
from tests.conftest import DatabaseUrls
from tests.storage.test_grants import Person, arrive
from tests.world import Someone, Viva, comes_true

CHAT = "chat/completions"


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = await Database.connect(database_urls.service, pool_size=12)
    yield database
    await database.close()


@pytest.fixture
async def ada(database: Database) -> Person:
    return await arrive(database)


async def _balance(viva: Viva, person: Someone) -> int:
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    return int((await viva.rows(person, "select balance from viva.wallets"))[0]["balance"])


async def _usage(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    return await viva.rows(person, "select * from token_usage order by created_at, id")


# ------------------------------------------------------------------------------------ the balance


async def test_balance_never_decremented(viva: Viva) -> None:
    """432,778 tokens used at an unchanged 600,100."""
    mia = await viva.onboarded("Mia")
    before = await _balance(viva, mia)
    await mia.send("I want to paint again.")
    await mia.send_voice(words="With oil, I think.")
    used = [row["tokens_used"] for row in await _usage(viva, mia)]
    assert len(used) == 2 and min(used) > 0
    assert await _balance(viva, mia) == before - sum(used)


async def test_balance_that_people_could_update_themselves(ada: Person) -> None:
    """Row policy alone let people write their own balance."""
    await ada.given(1_000)
    for statement in (
        "update user_profiles set vibe_assistant_tokens_remaining = 1000000",
        "update viva.wallets set balance = 1000000",
        "insert into user_profiles (version_number, is_draft, vibe_assistant_tokens_remaining) values (2, true, 5)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with ada.database.as_user(ada.user).transaction() as db:
                await db.execute(statement)
    assert await ada.balance() == 1_000
    assert await ada.differences() == []


async def test_balance_that_cannot_be_read_failing_open(viva: Viva, database_urls: DatabaseUrls) -> None:
    """Where the balance could not be read, the call was made."""
    mia = await viva.onboarded("Mia")
    admin = await asyncpg.connect(database_urls.admin)
    await admin.execute("delete from viva.grants; delete from viva.ledger; delete from viva.wallets")
    await mia.send("Hello?")
    assert viva.model.requests == []
    assert "nothing was charged" in mia.screen.text
    await admin.execute("alter function viva.hold rename to hold_away")
    await mia.send_without_waiting("Hello again?")
    tried = "select 1 from viva.work where name = 'chat.answer' and attempts > 0"
    await comes_true(lambda: viva.service_rows(tried), "a first try")
    assert viva.model.requests == []
    await admin.execute("alter function viva.hold_away rename to hold")
    await viva.quiet()
    assert viva.model.requests == []
    await admin.close()


async def test_floor_at_zero_that_hid_debts(ada: Person) -> None:
    """A balance was cut off at zero, and what was overspent was forgotten."""
    await ada.given(1_000)
    hold_id, _ = await ada.hold(300)
    refused = await ada.adjusted(-701)
    assert (refused.done, refused.free) == (False, 700)
    assert await ada.balance() == 1_000
    assert (await ada.adjusted(-700)).done
    await ada.settle(hold_id, 5_000)
    assert await ada.balance() == 0
    beyond = await ada.ask("select metadata -> 'beyond_hold' from token_usage where user_id = $1", ada.user)
    assert beyond == 4_700
    assert await ada.differences() == []


async def test_twelve_drafts_started_at_once_each_checked_against_the_same_balance(ada: Person) -> None:
    """Each of them saw the whole balance, and all of them ran."""
    await ada.given(3_500)
    granted = [tokens for _, tokens in await asyncio.gather(*(ada.hold(1_000, work=number) for number in range(12)))]
    assert sorted(granted, reverse=True) == [1_000, 1_000, 1_000, 500, *[0] * 8]
    assert await ada.differences() == []


# ------------------------------------------------------------------------------------- the ledger


async def test_backfill_without_a_unique_key_run_again_and_again(ada: Person) -> None:
    """3,164,390 instead of 600,000."""
    for _ in range(5):
        await ada.given(600_000, reference="backfill:ada")
    assert await ada.balance() == 600_000
    assert await ada.grants() == [("admin", 600_000)]


async def test_sign_convention_turned_four_times(ada: Person) -> None:
    """What was a charge was a gift a week later."""
    await ada.given(1_000)
    for kind, amount in (("charge", 5), ("expiry", 5), ("refund", 5), ("drip", -5), ("purchase", -5)):
        with pytest.raises(Exception, match="ledger_sign_check"):
            await ada.ask(
                "insert into viva.ledger (user_id, kind, amount, reference) values ($1, $2, $3, $2)",
                ada.user,
                kind,
                amount,
            )
    assert await ada.differences() == []


async def test_all_usage_subtracted_from_each_grant(ada: Person) -> None:
    """-363,843."""
    await ada.given(500)
    await ada.given(500)
    await ada.spend(400)
    assert await ada.grants() == [("admin", 100), ("admin", 500)]
    assert await ada.balance() == 600


async def test_grant_that_replaced_the_balance_and_wiped_bought_packs(ada: Person) -> None:
    """The year's grant was set, not added."""
    await ada.given(2_000, kind="purchase")
    await ada.drip(days=28, amount=100)
    assert await ada.balance() == 2_100
    assert await ada.grants() == [("purchase", 2_000), ("drip", 100)]


async def test_fourth_rollover_that_wiped_bought_packs_too(database: Database) -> None:
    """What rolled over too often was cut, bought tokens with it."""
    ada = await arrive(database, starting=1_000)
    await ada.given(2_000, kind="purchase")
    await ada.given(300)
    for period in range(1, 7):
        await ada.expire(days=28 * period)
        assert await ada.drip(days=28 * period, amount=100)
    await ada.expire(days=1_000)
    assert (await ada.grants())[:3] == [("starting", 1_000), ("purchase", 2_000), ("admin", 300)]
    assert await ada.balance() == 3_300
    assert await ada.differences() == []


# -------------------------------------------------------------------------------------- the usage


async def test_usage_rows_refused_by_a_check_that_lagged_and_swallowed(viva: Viva, database_urls: DatabaseUrls) -> None:
    """A new kind of call was refused by the table, nobody heard of it, and the call was free."""
    mia = await viva.onboarded("Mia")
    admin = await asyncpg.connect(database_urls.admin)
    rule = await admin.fetchval(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'token_usage_action_type_check'"
    )
    await admin.execute("alter table token_usage drop constraint token_usage_action_type_check")
    await admin.execute(
        "alter table token_usage add constraint token_usage_action_type_check check (action_type = 'memory')"
    )
    said = len(mia.messages)
    await mia.send_without_waiting("Hello?")
    tried = "select 1 from viva.work where name = 'chat.answer' and attempts > 0"
    await comes_true(lambda: viva.service_rows(tried), "a first try")
    # Nothing is tried again until it is mended, else the last try might come before.
    await viva.stop()
    # The answer was made and cannot be written down, so it is not given away either.
    assert viva.model.requests and len(mia.messages) == said
    assert await viva.rows(mia, "select 1 from ai_conversations where role = 'assistant'") == []
    await admin.execute("alter table token_usage drop constraint token_usage_action_type_check")
    await admin.execute(f"alter table token_usage add constraint token_usage_action_type_check {rule}")
    await admin.close()
    await viva.start()
    await viva.quiet()
    assert sum(row["success"] for row in await _usage(viva, mia)) == 1
    await _balance(viva, mia)


async def test_streaming_that_recorded_no_tokens(viva: Viva) -> None:
    """Nobody asked the provider for its figures."""
    mia = await viva.onboarded("Mia")
    await mia.send("Hello?")
    assert viva.model.requests[0].body is not None
    assert viva.model.requests[0].body["stream_options"] == {"include_usage": True}
    viva.model.script(CHAT, text="Here I am.", omit_usage=True)
    await mia.send("And now?")
    for row in await _usage(viva, mia):
        assert row["tokens_used"] == row["input_tokens"] + row["output_tokens"]
        assert min(row["input_tokens"], row["output_tokens"], row["cost_estimate"]) > 0


async def test_client_that_went_away_billed_by_the_provider_and_no_row(viva: Viva) -> None:
    """Who closed the page in the middle of an answer paid nothing for it."""
    mia = await viva.onboarded("Mia")
    before = await _balance(viva, mia)
    viva.model.hold(after=2)
    await mia.send_without_waiting("Tell me of the sea.")
    await viva.model.held()
    await viva.telegram.block(mia.account)
    viva.model.release()
    await viva.quiet()
    (row,) = await _usage(viva, mia)
    assert row["success"] and await _balance(viva, mia) == before - row["tokens_used"] < before


# ------------------------------------------------------------------------------------- the prices


def test_images_charged_one_token() -> None:
    """A picture costs cents, and took one token."""
    book = prices.read()
    for row in book.image:
        assert row.tokens_per_picture >= 1_000 and row.cents() >= Decimal("0.1"), row.model
        # As many tokens for a cent in every row, or nearly: no size or quality is nearly free.
        assert 2_500 <= row.tokens_per_picture / row.cents() <= 5_000, row.model


async def test_transcription_priced_sixty_times_too_high(viva: Viva) -> None:
    """A price by the minute was taken by the second."""
    mia = await viva.onboarded("Mia")
    await mia.send_voice(seconds=30)
    (row,) = await _usage(viva, mia)
    price = prices.read().for_transcription(row["model_used"], prices.today())
    assert abs(row["tokens_used"] - price.tokens_per_minute / 2) <= price.tokens_per_minute / 60
    assert abs(row["cost_estimate"] - price.minute * 100 / 2) <= price.minute * 100 / 60


def test_prices_ten_to_forty_times_off_and_unknown_models_for_nothing() -> None:
    """The list in the code was somebody's memory, and what stood on no list cost nothing."""
    book = prices.read()
    mini = book.for_text("gpt-4.1-mini", prices.today())
    assert (mini.input, mini.cached, mini.output) == (Decimal("0.40"), Decimal("0.10"), Decimal("1.60"))
    assert mini.cents(input_tokens=1_000_000, cached_tokens=0, output_tokens=1_000_000) == Decimal(200)
    for look in (book.for_text, book.for_transcription, book.for_speech, book.for_embedding):
        with pytest.raises(prices.UnknownPrice):
            look("nobody-knows-it", prices.today())


async def test_integer_cents_that_rounded_cheap_calls_to_nothing(viva: Viva) -> None:
    """A turn of a twentieth of a cent was free for ever."""
    mia = await viva.onboarded("Mia")
    for number in range(3):
        await mia.send(f"Hello, {number}")
    costs = [row["cost_estimate"] for row in await _usage(viva, mia)]
    assert all(0 < cost < 1 for cost in costs)
    purse = (await viva.rows(mia, "select cost_cents from viva.wallets"))[0]
    assert purse["cost_cents"] == sum(costs)


# ------------------------------------------------------------------------------------ the payments


async def test_webhooks_without_de_duplication(viva: Viva) -> None:
    """Each repetition of a payment's message credited the pack again."""
    mia = await viva.onboarded("Mia")
    before = await _balance(viva, mia)
    await mia.send("/buy")
    await mia.tap("2 M")
    await viva.telegram.pay(mia.account, mia.screen.message["message_id"])
    await viva.quiet()
    assert viva.app is not None
    paid = next(message for message in viva.telegram.messages(mia.account) if "successful_payment" in message)
    viva.telegram.chats.add_update("message", paid)
    for _ in range(3):
        await viva.app.intake.take([{"update_id": 5_000_000_000, "message": paid}])
    await viva.quiet()
    assert await _balance(viva, mia) == before + 2_000_000


async def test_refunds_that_gave_nothing_back(ada: Person) -> None:
    """The money went back, and the tokens stayed; or the other way round."""
    async with ada.database.as_service().transaction() as db:
        order = await packs.order_pack(db, user_id=ada.user, pack_id="small", tokens=2_000, stars=250)
        await packs.credit_payment(db, user_id=ada.user, order_id=order, charge_id="stars", stars=250)
        payment = await db.value("select id from viva.payments")
        assert (await packs.begin_refund(db, user_id=ada.user, payment_id=payment)).outcome == "begun"
        assert await packs.undo_refund(db, payment)
    assert await ada.balance() == 2_000
    async with ada.database.as_service().transaction() as db:
        assert (await packs.begin_refund(db, user_id=ada.user, payment_id=payment)).outcome == "begun"
        assert await packs.end_refund(db, payment)
        assert not await packs.end_refund(db, payment)
        assert (await packs.begin_refund(db, user_id=ada.user, payment_id=payment)).outcome == "refunded"
        assert [one.state for one in await packs.booked(db)] == ["refunded"]
    assert await ada.balance() == 0
    assert await ada.differences() == []
