"""The outbox: messages reach Telegram in order per chat, once as far as can be known, and nothing stands in the way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from bot import app
from bot.playground.house import TOKEN
from bot.playground.telegram import TelegramServer
from storage import outbox
from storage.database import DatabaseUnavailable, Fenced
from storage.work import NewMessage
from tests.conftest import DatabaseUrls
from tests.engine.crew import PATIENCE, Crew, break_connections, crew_on
from tests.world import Someone, Viva, comes_true, picture


@pytest.fixture
async def crew(database_urls: DatabaseUrls) -> AsyncIterator[Crew]:
    """A database without anybody who sends."""
    async with crew_on(database_urls) as found:
        yield found


@pytest.fixture
async def ada(viva: Viva) -> Someone:
    """Somebody at home."""
    return await viva.onboarded()


def text(words: str, *, to: Someone, key: str | None = None) -> NewMessage:
    """A message of these words."""
    return NewMessage(chat_id=to.id, method="sendMessage", payload={"text": words}, key=key)


def edit(words: str, *, of: str, to: Someone) -> NewMessage:
    """The message that was sent under a key, changed to these words."""
    return NewMessage(chat_id=to.id, method="editMessageText", payload={"text": words, "message_id": {"sent_as": of}})


async def post(viva: Viva, *messages: NewMessage) -> None:
    """Put messages in line, in one commit."""
    async with viva.database.as_service().transaction() as transaction:
        await outbox.post(transaction, messages)


async def newest(viva: Viva, count: int) -> list[dict[str, Any]]:
    """The latest rows of the outbox, oldest first."""
    rows = await viva.service_rows("select * from viva.outbox order by id desc limit $1", count)
    return rows[::-1]


def told(person: Someone, before: int) -> list[str]:
    """What the bot said since it had said so many things."""
    return person.messages[before:]


# ----------------------------------------------------------------------------------------- in order


async def test_after_a_flood_answer_the_chat_waits_with_all_that_follows_and_other_chats_do_not(
    viva: Viva, ada: Someone
) -> None:
    ben = await viva.onboarded("Ben")
    before, before_ben = len(ada.messages), len(ben.messages)
    viva.telegram.fail_next("sendMessage", 429, "Too Many Requests: retry after 300", retry_after=300)
    await post(viva, *(text(f"{number}", to=ada) for number in range(4)))
    await viva_until(viva, "select 1 from viva.outbox where error = 'flood'")
    await post(viva, text("at once", to=ben))
    await ben.wait(lambda: told(ben, before_ben) == ["at once"])
    assert told(ada, before) == []
    # The flood is over; five minutes would be long for a test.
    await viva.service_rows("update viva.outbox set due_at = now() where error = 'flood'")
    await viva.service_rows("update viva.outbox_chats set due_at = now() where chat_id = $1", ada.id)
    await viva.quiet()
    assert told(ada, before) == ["0", "1", "2", "3"]


async def test_a_failure_of_telegram_s_is_tried_again_in_order(viva: Viva, ada: Someone) -> None:
    before = len(ada.messages)
    viva.telegram.fail_next("sendMessage", 500, "Internal Server Error")
    await post(viva, *(text(f"{number}", to=ada) for number in range(3)))
    await viva.quiet()
    assert told(ada, before) == ["0", "1", "2"]


async def test_a_message_that_is_refused_or_cannot_be_built_does_not_hold_up_the_next_and_keeps_no_words(
    viva: Viva, ada: Someone
) -> None:
    before = len(ada.messages)
    viva.telegram.fail_next("sendMessage", 400, "Bad Request: message is too strange", times=2)
    viva.telegram.fail_next("sendMessage", 413, "Request Entity Too Large", times=2)
    unknown = NewMessage(chat_id=ada.id, method="sendNobodyKnowsWhat", payload={"text": "secret"})
    await post(viva, text("secret", to=ada), text("secret", to=ada), unknown, text("the next", to=ada))
    await viva.quiet()
    assert told(ada, before) == ["the next"]
    rows = await newest(viva, 4)
    assert [row["state"] for row in rows] == ["failed", "failed", "failed", "sent"]
    assert [row["payload"] for row in rows] == [{}, {}, {}, {}]


async def test_a_message_refused_for_its_form_is_shown_as_a_plain_copy_with_its_buttons(
    viva: Viva, ada: Someone
) -> None:
    before = len(ada.messages)
    wrong = {"entities": [{"type": "bold", "offset": 0, "length": 6}], "message_effect_id": "1"}
    markup = {"reply_markup": {"inline_keyboard": [[{"text": "Main menu", "callback_data": "home"}]]}}
    for description in ("Bad Request: EFFECT_ID_INVALID", "Bad Request: can't parse entities"):
        viva.telegram.fail_next("sendMessage", 400, description)
        whole = NewMessage(chat_id=ada.id, method="sendMessage", payload={"text": "answer"} | wrong | markup)
        await post(viva, whole)
        await viva.quiet()
        assert ada.screen.buttons == ["Main menu"] and "entities" not in ada.screen.message
    viva.telegram.fail_next("editMessageText", 400, "Bad Request: can't parse entities")
    changed = {"text": "changed", "message_id": ada.screen.message["message_id"]} | wrong | markup
    await post(viva, NewMessage(chat_id=ada.id, method="editMessageText", payload=changed))
    await viva.quiet()
    assert told(ada, before) == ["answer", "changed"]


async def test_a_long_flood_answer_delays_words_and_edits_and_loses_neither(viva: Viva, ada: Someone) -> None:
    await post(viva, text("first", to=ada, key="k"))
    await viva.quiet()
    before = len(ada.messages)
    for method in ("sendMessage", "editMessageText"):
        viva.telegram.fail_next(method, 429, "Too Many Requests: retry after 300", retry_after=300)
    await post(viva, edit("changed", of="k", to=ada), text("one", to=ada), text("two", to=ada))
    for awaited in ("editMessageText", "sendMessage"):
        await viva_until(viva, "select 1 from viva.outbox where error = 'flood' and method = $1", awaited)
        waits = await viva.service_rows("select due_at - now() as wait from viva.outbox where error = 'flood'")
        assert [row["wait"].total_seconds() > 100 for row in waits] == [True]
        await viva.service_rows("update viva.outbox set created_at = now() - interval '1 hour' where state = 'waiting'")
        assert viva.app is not None
        assert viva.app.health.problems(await viva.app.health.look()) == [], "it is Telegram that lets the chat wait"
        # The flood is over; five minutes would be long for a test.
        await viva.service_rows("update viva.outbox set due_at = now() where error = 'flood'")
        await viva.service_rows("update viva.outbox_chats set due_at = now() where claimed_by is null")
    await viva.quiet()
    assert told(ada, before - 1) == ["changed", "one", "two"]


async def test_an_upload_comes_through_floods_and_faults_once_and_whole(viva: Viva, ada: Someone) -> None:
    assert viva.app is not None
    await viva.app._outbox._media.put("faults/picture.jpg", picture())
    viva.telegram.fail_next("sendPhoto", 429, "Too Many Requests: retry after 1", retry_after=1)
    viva.telegram.fail_next("sendPhoto", 502, "Bad Gateway")
    photo = {"photo": {"media": "faults/picture.jpg", "name": "picture.jpg"}, "caption": "Here it is."}
    await post(viva, NewMessage(chat_id=ada.id, method="sendPhoto", payload=photo), text("after it", to=ada))
    await viva.quiet()
    assert [screen.text for screen in ada.screens[-2:]] == ["Here it is.", "after it"] and ada.screens[-2].photo


async def test_a_picture_that_telegram_refuses_leaves_its_words(viva: Viva, ada: Someone) -> None:
    assert viva.app is not None
    await viva.app._outbox._media.put("faults/picture.jpg", picture())
    viva.telegram.fail_next("sendPhoto", 400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
    photo = {"photo": {"media": "faults/picture.jpg", "name": "picture.jpg"}, "caption": "Here it is."}
    await post(viva, NewMessage(chat_id=ada.id, method="sendPhoto", payload=photo))
    await viva.quiet()
    assert ada.screen.text == "Here it is." and not ada.screen.photo


async def test_a_chat_that_vanished_is_noted_and_not_waited_for(viva: Viva, ada: Someone) -> None:
    viva.telegram.fail_next("sendMessage", 400, "Bad Request: chat not found")
    await post(viva, text("hello?", to=ada))
    await viva.quiet()
    assert (await newest(viva, 1))[0]["error"] == "nobody there"
    assert (await viva.service_rows("select blocked_at from viva.telegram_accounts"))[0]["blocked_at"] is not None


async def viva_until(viva: Viva, sql: str, *values: object) -> None:
    """Wait until this query finds a row."""
    await comes_true(lambda: viva.service_rows(sql, *values), sql)


async def test_whoever_blocked_viva_is_noted_and_not_waited_for(viva: Viva, ada: Someone) -> None:
    await viva.telegram.block(ada.account)
    await viva.quiet()
    await post(viva, text("hello?", to=ada))
    await viva.quiet()
    assert (await newest(viva, 1))[0]["error"] == "blocked"
    assert (await viva.service_rows("select blocked_at from viva.telegram_accounts"))[0]["blocked_at"] is not None


async def test_a_key_is_sent_once(viva: Viva, ada: Someone) -> None:
    before = len(ada.messages)
    await post(viva, text("once", to=ada, key="k"), text("once", to=ada, key="k"))
    await post(viva, text("once", to=ada, key="k"))
    await viva.quiet()
    assert told(ada, before) == ["once"]


# ------------------------------------------------------------------------------- of unknown arrival


async def test_a_message_that_arrived_though_its_answer_did_not_is_not_sent_again_unasked(
    viva: Viva, ada: Someone
) -> None:
    before = len(ada.messages)
    viva.telegram.cut_next("sendMessage", done_first=True)
    await post(viva, text("the answer", to=ada), text("the next", to=ada))
    await viva.quiet()
    assert told(ada, before)[:2] == ["the answer", "the next"]
    assert len(ada.screen.buttons) == 1  # asks whether to show it again
    assert [row["state"] for row in await newest(viva, 3)] == ["unknown", "sent", "sent"]


async def test_a_message_that_got_lost_on_the_way_is_shown_when_the_person_asks_for_it(
    viva: Viva, ada: Someone
) -> None:
    before = len(ada.messages)
    viva.telegram.cut_next("sendMessage", done_first=False)
    await post(viva, text("the answer", to=ada))
    await viva.quiet()
    assert "the answer" not in told(ada, before) and len(ada.screen.buttons) == 1
    await ada.tap(ada.screen.buttons[0])
    assert told(ada, before)[-1] == "the answer"
    await ada.tap_data(
        ada.screens[-2].data(ada.screens[-2].buttons[0]), message_id=ada.screens[-2].message["message_id"]
    )
    assert told(ada, before).count("the answer") == 1


async def test_nobody_is_asked_about_the_question_itself(viva: Viva, ada: Someone) -> None:
    viva.telegram.cut_next("sendMessage", done_first=False, times=2)
    await post(viva, text("the answer", to=ada))
    await viva.quiet()
    assert [row["state"] for row in await newest(viva, 2)] == ["unknown", "unknown"]


async def test_a_gateway_that_gives_up_waiting_leaves_the_arrival_unknown(viva: Viva, ada: Someone) -> None:
    viva.telegram.fail_next("sendMessage", 504, "Gateway Timeout")
    await post(viva, text("the answer", to=ada))
    await viva.quiet()
    assert (await newest(viva, 2))[0]["state"] == "unknown"


async def test_an_edit_without_an_answer_is_made_again_as_that_changes_nothing(viva: Viva, ada: Someone) -> None:
    await post(viva, text("first", to=ada, key="k"))
    await viva.quiet()
    viva.telegram.cut_next("editMessageText", done_first=True)
    await post(viva, edit("second", of="k", to=ada))
    await viva.quiet()
    assert ada.messages[-1] == "second"
    assert (await newest(viva, 1))[0]["error"] == "not modified"


async def test_where_no_connection_stood_the_message_was_never_sent_and_is_tried_again(
    viva: Viva, ada: Someone
) -> None:
    port, folder = viva.telegram.port, viva.settings.viva_home.parent / "telegram"
    before = len(ada.messages)
    await viva.telegram.stop()
    await post(viva, text("the answer", to=ada))
    await viva_until(viva, "select 1 from viva.outbox where error = 'unreached'")
    viva.telegram = TelegramServer(folder, token=TOKEN, model_label="stand-in")
    await viva.telegram.start(port=port)
    assert viva.telegram.port == port
    await viva.quiet()
    assert told(ada, before) == ["the answer"]


async def test_what_telegram_took_is_marked_though_the_chat_was_taken_over_meanwhile(crew: Crew) -> None:
    await crew.person(700)
    async with crew.service.transaction() as transaction:
        await outbox.post(transaction, [NewMessage(chat_id=700, method="sendMessage", payload={"text": "x"})])
    claim, message = await taken(crew)
    await crew.rows("select viva.bury(interval '1 minute')")  # its process is nobody's
    other, again = await taken(crew)
    assert (again.id, other.fence != claim.fence) == (message.id, True)
    with pytest.raises(Fenced):
        async with crew.service.transaction() as transaction:
            await outbox.postpone(transaction, claim=claim, message=message, delay=60, error="late")
    with pytest.raises(Fenced):
        async with crew.service.transaction() as transaction:
            await outbox.sent(transaction, claim=claim, message=message, state="unknown", message_id=None, error=None)
    async with crew.service.transaction() as transaction:
        await outbox.sent(transaction, claim=claim, message=message, state="sent", message_id=5, error=None)
    assert await crew.rows("select state, message_id from viva.outbox") == [{"state": "sent", "message_id": 5}]


async def taken(crew: Crew) -> tuple[outbox.ChatClaim, outbox.Outgoing]:
    """A chat claimed by a process that is not there, and its next message."""
    async with crew.service.transaction() as transaction:
        process = await transaction.value("select gen_random_uuid()")
        claim = (await outbox.claim_chats(transaction, process=process, limit=1, all_rate=1000))[0]
        message = await outbox.next_send(transaction, claim, chat_rate=1000, all_rate=1000)
    assert message is not None
    return claim, message


# ------------------------------------------------------------------------------------------- edits


async def test_edits_of_one_message_right_behind_each_other_become_the_last(viva: Viva, ada: Someone) -> None:
    await post(viva, text("first", to=ada, key="k"))
    await viva.quiet()
    await post(viva, *(edit(f"edit {number}", of="k", to=ada) for number in range(4)))
    await viva.quiet()
    assert ada.messages[-1] == "edit 3"
    assert [row["error"] for row in await newest(viva, 4)] == ["superseded", "superseded", "superseded", None]


async def test_edits_do_not_overtake_what_stands_between_them(viva: Viva, ada: Someone) -> None:
    await post(viva, text("first", to=ada, key="k"), text("other", to=ada, key="o"))
    await viva.quiet()
    await post(
        viva,
        edit("first, again", of="k", to=ada),
        edit("other, again", of="o", to=ada),
        edit("first, at last", of="k", to=ada),
        text("the end", to=ada),
    )
    await viva.quiet()
    assert ada.messages[-3:] == ["first, at last", "other, again", "the end"]
    assert [row["error"] for row in await newest(viva, 4)] == [None, None, None, None]


async def test_the_words_of_an_edit_are_sent_anew_where_the_message_is_gone(viva: Viva, ada: Someone) -> None:
    await post(viva, text("first", to=ada, key="k"))
    await viva.quiet()
    gone = NewMessage(chat_id=ada.id, method="deleteMessage", payload={"message_id": {"sent_as": "k"}})
    await post(viva, gone, edit("second", of="k", to=ada), text("third", to=ada))
    await viva.quiet()
    assert ada.messages[-2:] == ["second", "third"] and "first" not in ada.messages


# ------------------------------------------------------------------------------------------- gates


async def test_a_chat_gets_three_messages_at_once_and_then_waits_for_its_gate(crew: Crew) -> None:
    await crew.person(700)
    messages = [NewMessage(chat_id=700, method="sendMessage", payload={"text": str(number)}) for number in range(5)]
    async with crew.service.transaction() as transaction:
        await outbox.post(transaction, messages)
        process = await transaction.value("select gen_random_uuid()")
    async with crew.service.transaction() as transaction:
        claim = (await outbox.claim_chats(transaction, process=process, limit=1, all_rate=1000))[0]
    sent: list[str] = []
    while True:
        async with crew.service.transaction() as transaction:
            message = await outbox.next_send(transaction, claim, chat_rate=1 / 3600, all_rate=1000)
            if message is None:
                break
            await outbox.sent(transaction, claim=claim, message=message, state="sent", message_id=None, error=None)
            sent.append(message.payload["text"])
    assert sent == ["0", "1", "2"]
    row = (await crew.rows("select claimed_by, due_at, next_free_at, now() as now from viva.outbox_chats"))[0]
    due: datetime = row["due_at"]
    assert row["claimed_by"] is None and 3000 < (due - row["now"]).total_seconds() <= 3600


async def test_behind_the_gate_of_the_bot_the_oldest_message_is_first_and_what_nobody_waits_for_last(
    crew: Crew,
) -> None:
    slow = 1 / 3600
    process = (await crew.rows("select gen_random_uuid() as id"))[0]["id"]

    async def claims() -> list[outbox.ChatClaim]:
        async with crew.service.transaction() as transaction:
            return await outbox.claim_chats(transaction, process=process, limit=40, all_rate=slow)

    async def following(claim: outbox.ChatClaim) -> outbox.Outgoing | None:
        async with crew.service.transaction() as transaction:
            return await outbox.next_send(transaction, claim, chat_rate=slow, all_rate=slow)

    for chat in range(700, 740):
        await crew.person(chat)
        message = NewMessage(chat_id=chat, method="sendMessage", payload={"text": "x"}, unasked=chat < 705)
        async with crew.service.transaction() as transaction:
            await outbox.post(transaction, [message] * (2 if chat == 710 else 1))
    line = await crew.rows("select chat_id, due_at from viva.outbox_chats order by chat_id")
    first = await claims()
    # A second's worth at once, and the one whose turn it is; each has passed the gate already.
    assert sorted(claim.chat_id for claim in first) == list(range(705, 736))
    assert all([await following(claim) is not None for claim in first])
    # Nobody loses their place to a closed gate, neither those who never came to it nor a chat with more to say.
    assert await claims() == []
    assert [await following(claim) for claim in first if claim.chat_id == 710] == [None]
    assert await crew.rows("select chat_id, due_at from viva.outbox_chats order by chat_id") == line
    # What somebody waits for takes the chat along, with what lay there before.
    asked = NewMessage(chat_id=704, method="sendMessage", payload={"text": "x"})
    async with crew.service.transaction() as transaction:
        await outbox.post(transaction, [asked])
        await transaction.execute("update viva.gates set next_free_at = now() + interval '24 hours 1 minute'")
    assert sorted(claim.chat_id for claim in await claims()) == [704, 710, *range(736, 740)]
    await crew.rows("update viva.gates set next_free_at = '-infinity'")
    assert sorted(claim.chat_id for claim in await claims()) == [700, 701, 702, 703]


async def test_a_chat_that_has_to_wait_for_its_own_gate_gives_its_pass_to_another(crew: Crew) -> None:
    process = (await crew.rows("select gen_random_uuid() as id"))[0]["id"]
    for chat in (700, 701):
        await crew.person(chat)
    async with crew.service.transaction() as transaction:
        messages = [NewMessage(chat_id=chat, method="sendMessage", payload={"text": "x"}) for chat in (700, 701)]
        await outbox.post(transaction, messages)
        await transaction.execute("update viva.gates set next_free_at = now() + interval '30 hours'")
        await transaction.execute(
            "update viva.outbox_chats set next_free_at = 'infinity', due_at = '-infinity' where chat_id = 700"
        )
    found: list[tuple[int, bool]] = []
    for _ in range(2):
        async with crew.service.transaction() as transaction:
            for claim in await outbox.claim_chats(transaction, process=process, limit=5, all_rate=1 / 3600):
                message = await outbox.next_send(transaction, claim, chat_rate=1, all_rate=1 / 3600)
                found.append((claim.chat_id, message is not None))
    assert found == [(700, False), (701, True)]


async def test_a_message_that_telegram_does_not_take_is_late_since_it_was_posted_and_health_says_so(
    viva: Viva, ada: Someone
) -> None:
    assert viva.app is not None
    before = len(ada.messages)
    viva.telegram.fail_next("sendMessage", 502, "Bad Gateway", times=10_000)
    await post(viva, text("the answer", to=ada))
    await viva_until(viva, "select 1 from viva.outbox where error is not null")
    await viva.service_rows(
        "update viva.outbox set created_at = now() - interval '1 hour', due_at = 'infinity' where state = 'waiting'"
    )
    standing = await viva.app.health.look()
    assert standing is not None and 3600 <= standing.messages_lag < 3700
    assert [problem[:21] for problem in viva.app.health.problems(standing)] == ["messages are late by "]
    viva.telegram._faults.clear()
    await viva.service_rows("update viva.outbox set due_at = now() where state = 'waiting'")
    await viva.service_rows("update viva.outbox_chats set due_at = now() where claimed_by is null")
    await viva.quiet()
    assert told(ada, before) == ["the answer"]
    assert viva.app.health.problems(await viva.app.health.look()) == []


# ------------------------------------------------------------------------------------ left in order


async def test_a_stop_sends_what_is_due_before_it_leaves(
    viva: Viva, ada: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "SENDING_SECONDS", PATIENCE)
    before = len(ada.messages)
    await post(viva, *(text(f"{number}", to=ada) for number in range(20)))
    await viva.stop()
    assert told(ada, before) == [f"{number}" for number in range(20)]
    assert await viva.service_rows("select 1 from viva.outbox_chats where claimed_by is not null") == []
    await viva.start()


async def test_a_chat_whose_sender_lost_its_connection_between_claim_and_send_is_sent_by_the_next(
    viva: Viva, ada: Someone, database_urls: DatabaseUrls
) -> None:
    before = len(ada.messages)
    administrator = await asyncpg.connect(database_urls.admin)
    # The sender claims the chat and then waits for the gate of all chats, where its connection breaks.
    async with administrator.transaction():
        await administrator.execute("select from viva.gates for update")
        await post(viva, text("the answer", to=ada))
        waiting = "select 1 from pg_locks where not granted"
        await comes_true(lambda: administrator.fetch(waiting), "nobody waits for the gate")
        await break_connections(database_urls)
    await administrator.close()
    with contextlib.suppress(DatabaseUnavailable):
        await viva.service_rows("select 1")
    await viva.quiet()
    assert told(ada, before) == ["the answer"]


async def test_when_connections_break_nothing_is_lost_doubled_out_of_order_or_left_claimed(
    viva: Viva, ada: Someone, database_urls: DatabaseUrls
) -> None:
    before = len(ada.messages)
    for number in range(20):
        await post(viva, text(f"{number}", to=ada, key=f"{number}"))
        if number % 5 == 4:
            await break_connections(database_urls)
            # The test's own connections broke as well.
            with contextlib.suppress(DatabaseUnavailable):
                await viva.service_rows("select 1")
            with contextlib.suppress(DatabaseUnavailable):
                await viva.service_rows("select 1")
    await viva.quiet()
    assert told(ada, before) == [f"{number}" for number in range(20)]
    # The last mark may have had to wait for a connection, and the chat with it.
    until = time.monotonic() + PATIENCE
    while await viva.service_rows("select 1 from viva.outbox_chats where claimed_by is not null"):
        assert time.monotonic() < until, "the chat is still claimed"
        await asyncio.sleep(0.05)
