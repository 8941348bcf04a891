"""Intake: an update is ours before Telegram forgets it, comes once however often it is brought, in any shape."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.app import WEBHOOK_PATH, App
from bot.engine import intake
from bot.engine.intake import as_work
from bot.errors import SettingsError
from tests.conftest import DatabaseUrls
from tests.engine.crew import break_connections
from tests.engine.relay import kept_port
from tests.engine.test_outbox import viva_until
from tests.world import Someone, Viva, wait_until

SECRET = "a-secret_of-the-webhook"
_numbers = itertools.count(900_000_000)


class Door:
    """The webhook as Telegram knocks at it."""

    def __init__(self, viva: Viva, session: aiohttp.ClientSession) -> None:
        self.viva = viva
        self._session = session
        self.url = f"http://127.0.0.1:{viva.settings.webhook_port}{WEBHOOK_PATH}"

    async def knock(self, update: Any, *, secret: str = SECRET) -> int:
        """The status that Telegram gets for an update."""
        headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
        async with self._session.post(self.url, json=update, headers=headers) as answer:
            return answer.status


@pytest.fixture
async def door(viva: Viva) -> AsyncIterator[Door]:
    """VIVA behind a webhook."""
    with kept_port() as port:
        await viva.restart(
            telegram_webhook_url=f"http://127.0.0.1:{port}",
            telegram_webhook_secret=SecretStr(SECRET),
            webhook_port=port,
        )
        await wait_until(lambda: viva.telegram.chats.settings.get("webhook"), "the webhook is not set")
        async with aiohttp.ClientSession() as session:
            yield Door(viva, session)


def message(person: Someone, words: str, *, number: int | None = None) -> dict[str, Any]:
    """The update that brings these words."""
    number = number or next(_numbers)
    chat = {"id": person.id, "type": "private", "first_name": "Ada"}
    sender = {"id": person.id, "is_bot": False, "first_name": "Ada"}
    body = {"message_id": number, "date": 1_700_000_000, "chat": chat, "from": sender, "text": words}
    return {"update_id": number, "message": body}


async def said(viva: Viva, person: Someone) -> list[str]:
    """The person's words as VIVA keeps them."""
    rows = await viva.rows(person, "select message from ai_conversations where role = 'user' order by created_at, id")
    return [row["message"] for row in rows]


async def states(viva: Viva, kind: str) -> list[str]:
    """How the updates of a kind stand."""
    rows = await viva.service_rows("select state from viva.work where kind = 'update' and name = $1 order by id", kind)
    return [row["state"] for row in rows]


# ----------------------------------------------------------------------------------------- webhook


async def test_behind_a_webhook_a_talk_goes_as_it_does_by_polling(door: Door) -> None:
    ada = await door.viva.onboarded()
    await ada.send("I would like to learn to swim.")
    assert await said(door.viva, ada) == ["I would like to learn to swim."]
    assert len(ada.screens) >= 2


async def test_what_telegram_brings_twice_is_worked_once(door: Door) -> None:
    ada = await door.viva.onboarded()
    update = message(ada, "Once.")
    assert await asyncio.gather(*(door.knock(update) for _ in range(5))) == [200] * 5
    await door.viva.quiet()
    assert await door.knock(update) == 200
    await door.viva.quiet()
    assert await said(door.viva, ada) == ["Once."]


async def test_without_the_secret_nothing_is_taken(door: Door) -> None:
    ada = await door.viva.person()
    for secret in ("", "wrong", SECRET + "x", "ключ"):
        assert await door.knock(message(ada, "/start"), secret=secret) == 401
    assert await door.viva.service_rows("select 1 from viva.work") == []


async def test_what_is_no_update_is_refused(door: Door) -> None:
    for update in ([], "text", {}, {"update_id": "x"}, {"update_id": None}):
        assert await door.knock(update) == 400
    assert await door.viva.service_rows("select 1 from viva.work") == []


async def test_while_the_database_is_away_telegram_is_told_so_and_brings_the_update_again(door: Door) -> None:
    ada = await door.viva.onboarded()
    assert door.viva.app is not None
    await door.viva.app.database.close()
    assert await door.knock(message(ada, "Too early.")) == 503
    await ada.send_without_waiting("Kept for later.")
    await door.viva.restart()
    await door.viva.quiet()
    assert await said(door.viva, ada) == ["Kept for later."]


async def test_an_update_of_an_unknown_kind_is_done_with_and_holds_nothing_up(door: Door) -> None:
    ada = await door.viva.onboarded()
    before = len(ada.messages)
    chat = {"id": ada.id, "type": "private"}
    for body in ({"chat": chat, "from": {"id": ada.id}}, {"text": "words"}, "words", None, 7, []):
        assert await door.knock({"update_id": next(_numbers), "brand_new": body}) == 200
    assert await door.knock({"update_id": next(_numbers)}) == 200
    await ada.send("And now?")
    assert await said(door.viva, ada) == ["And now?"]
    assert await states(door.viva, "brand_new") == ["done"] * 6
    assert len(ada.messages) == before + 1


async def test_an_update_of_a_kind_that_only_a_newer_version_knows_waits_for_it(door: Door) -> None:
    viva = door.viva
    ada = await viva.onboarded()
    assert viva.app is not None
    viva.app.intake.allowed_updates.remove("edited_message")  # an earlier version, beside which a newer one starts
    await viva.service_rows(
        "insert into viva.processes (id, host, started_at) values (gen_random_uuid(), 'newer', now() + interval '1 h')"
    )
    await ada.send("I want to learn to swin.")
    sent = viva.telegram.messages(ada.account)[-2]
    await viva.telegram.edit_text(ada.account, sent["message_id"], "I want to learn to swim.")
    await ada.send_without_waiting("And to dance.")
    await ada.wait(lambda: not viva.telegram.chats.updates)
    await viva_until(viva, "select 1 from viva.work where error = 'unknown here'")
    await viva.restart()
    await viva.quiet()
    assert any("my answer is to the words before" in text for text in ada.messages)
    assert await said(viva, ada) == ["I want to learn to swin.", "And to dance."]


async def test_an_update_of_a_known_kind_that_cannot_be_read_is_parked_at_once_and_holds_nothing_up(door: Door) -> None:
    ada = await door.viva.onboarded()
    before = len(ada.messages)
    broken = message(ada, "words")
    broken["message"]["date"] = {"not": "a date"}
    assert await door.knock(broken) == 200
    await ada.send("And now?")
    parked = await door.viva.service_rows("select attempts, error from viva.work where state = 'parked'")
    assert parked == [{"attempts": 0, "error": "unreadable"}]
    assert await said(door.viva, ada) == ["And now?"]
    assert len(ada.messages) == before + 1


async def test_fields_of_a_newer_bot_api_and_updates_out_of_order_are_taken_as_they_come(door: Door) -> None:
    ada = await door.viva.onboarded()
    later, sooner = message(ada, "Said second, brought first."), message(ada, "Said first, brought second.")
    later["update_id"], sooner["update_id"] = sooner["update_id"], later["update_id"]
    later["message"] |= {"hologram": {"depth": [1, 2]}, "sender_mood": "calm"}
    later["message"]["from"]["is_hologram"] = True
    assert [await door.knock(update) for update in (later, sooner, later)] == [200] * 3
    await door.viva.quiet()
    assert await said(door.viva, ada) == ["Said second, brought first.", "Said first, brought second."]


# ----------------------------------------------------------------------------------------- polling


async def test_when_connections_break_while_updates_come_all_are_kept_once_and_in_order(
    viva: Viva, database_urls: DatabaseUrls
) -> None:
    ada = await viva.onboarded()
    texts = [f"Thought {number:02d}." for number in range(15)]
    for number, text in enumerate(texts):
        await ada.send_without_waiting(text)
        if number % 5 == 2:
            await break_connections(database_urls)
            await viva.database._pool.expire_connections()
            await asyncio.sleep(0.05)
    await viva.quiet()
    assert await said(viva, ada) == texts


async def test_when_polling_fails_nothing_is_lost(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.telegram.fail_next("getUpdates", 502, "Bad Gateway")
    viva.telegram.cut_next("getUpdates", done_first=True)
    await ada.send("Still there?")
    await ada.send("And now?")
    assert await said(viva, ada) == ["Still there?", "And now?"]


async def test_while_polling_is_refused_telegram_is_asked_ever_more_rarely_health_is_red_and_then_all_is_taken(
    viva: Viva,
) -> None:
    assert viva.app is not None
    app, ada = viva.app, await viva.onboarded()
    viva.telegram.fail_next("getUpdates", 401, "Unauthorized", times=10_000)
    refusals = viva.telegram._faults[-1]
    await ada.send_without_waiting("Ends the poll under way.")
    await wait_until(lambda: app.intake.refused == "unauthorized" and refusals.times < 9_998, "not refused twice")
    assert "Telegram refuses to be polled: unauthorized" in app.health.problems(await app.health.look())
    await ada.send_without_waiting("Kept at Telegram meanwhile.")
    assert refusals.times > 9_980
    viva.telegram._faults.clear()
    await viva.quiet()
    assert await said(viva, ada) == ["Ends the poll under way.", "Kept at Telegram meanwhile."]
    assert app.health.problems(await app.health.look()) == []


async def test_a_burst_of_taps_keeps_neither_a_payment_nor_a_message_waiting(viva: Viva) -> None:
    ada, ben = await viva.onboarded(), await viva.onboarded("Ben")
    screen = ada.screen.message["message_id"]
    taps = viva.telegram.hold("answerCallbackQuery")
    for _ in range(110):
        await viva.telegram.tap_data(ada.account, screen, "nobody:knows")
    await wait_until(lambda: taps.waiting == intake.ANSWERS_AT_ONCE, "the taps are not answered side by side")
    assert (await viva.telegram.ask_to_pay(ben.account, stars=1, payload="not an order"))["ok"] is False
    before = len(ben.screens)
    await ben.send_without_waiting("/help")
    await ben.wait(lambda: len(ben.screens) > before)
    assert taps.waiting <= intake.ANSWERS_AT_ONCE
    taps.release()
    await viva.quiet()


async def test_after_a_week_of_silence_telegram_may_count_from_anywhere(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "LONG_POLL_SECONDS", 0)  # the silence is asked through many times
    await viva.restart()
    ada = await viva.onboarded()
    await ada.send("Before.")
    # "If there are no new updates for at least a week, then identifier of the next update will be chosen randomly."
    viva.telegram.chats._last["update"] = 1_000
    await ada.send("After, by the same process.")
    await viva.stop()
    viva.telegram.chats._last["update"] = 500
    await viva.telegram.send_text(ada.account, "After, by the next process.")
    await viva.start()
    await viva.quiet()
    assert await said(viva, ada) == ["Before.", "After, by the same process.", "After, by the next process."]


async def test_what_was_taken_is_confirmed_at_a_stop_and_not_brought_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    before = len(ada.screens)
    await viva.telegram.send_text(ada.account, "The last words.")
    await ada.wait(lambda: len(ada.screens) > before)
    await viva.stop()
    assert viva.telegram.chats.updates == {}


# ------------------------------------------------------------------------------------------- start


async def test_a_token_that_telegram_refuses_is_said_in_one_sentence(viva: Viva) -> None:
    await viva.stop()
    viva.telegram.fail_next("getMe", 401, "Unauthorized")
    async with App.open(viva.settings) as app:
        with pytest.raises(SettingsError, match=r"^TELEGRAM_BOT_TOKEN is refused by the Bot API at http[^ ]+\.$"):
            await app.run(asyncio.Event())


async def test_a_webhook_that_telegram_refuses_is_said_in_one_sentence(viva: Viva) -> None:
    await viva.stop()
    settings = viva.settings.model_copy(
        update={
            "telegram_webhook_url": "http://elsewhere.example",
            "telegram_webhook_secret": SecretStr(SECRET),
            "webhook_port": 0,
        }
    )
    async with App.open(settings) as app:
        with pytest.raises(SettingsError, match=r"^TELEGRAM_WEBHOOK_URL is refused by Telegram: "):
            await app.run(asyncio.Event())
    assert await viva.service_rows("select 1 from viva.processes") == []


async def test_a_telegram_that_does_not_answer_yet_is_waited_for(viva: Viva) -> None:
    await viva.stop()
    viva.telegram.fail_next("getMe", 502, "Bad Gateway")
    await viva.start()
    ada = await viva.onboarded()
    assert ada.messages


async def test_a_stop_is_heard_while_telegram_does_not_answer(viva: Viva) -> None:
    await viva.stop()
    viva.telegram.fail_next("getMe", 502, "Bad Gateway", times=100)
    stop = asyncio.Event()
    async with App.open(viva.settings) as app:
        running = asyncio.create_task(app.run(stop))
        await asyncio.sleep(0.1)
        stop.set()
        await running


# ------------------------------------------------------------------------------------ as a function

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["chat", "from", "id", "type", "text", "message", "data"]) | st.text(max_size=4),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(number=st.integers(0, 2**40), kind=st.sampled_from(["message", "callback_query", "new"]), body=JSON)
def test_an_update_of_any_shape_finds_a_lane(number: int, kind: str, body: Any) -> None:
    work = as_work({"update_id": number, kind: body})
    assert work.key == f"update:{number}" and work.name == kind
    assert work.lane.partition(":")[0] in ("chat", "urgent")
    assert all(value is None or abs(value) < 2**63 for value in (work.chat_id, work.telegram_id))


@pytest.mark.parametrize("words", ["/cancel", "/stop", "/cancel@viva_bot", "/cancel now", "/cancel\nnow"])
def test_stop_and_cancel_go_around_what_is_running(words: str) -> None:
    body = {"chat": {"id": 7, "type": "private"}, "from": {"id": 7}, "text": words}
    assert as_work({"update_id": 1, "message": body}).lane == "urgent:7"


@pytest.mark.parametrize("words", ["/cancelled", "cancel", "please /cancel", "", "   "])
def test_other_words_wait_their_turn(words: str) -> None:
    body = {"chat": {"id": 7, "type": "private"}, "from": {"id": 7}, "text": words}
    assert as_work({"update_id": 1, "message": body}).lane == "chat:7"
