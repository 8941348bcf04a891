"""The outbox when Telegram refuses the token or a change, or breaks off an upload."""

from __future__ import annotations

import pytest

from bot.engine import health
from storage.work import NewMessage
from tests.engine.test_outbox import ada, edit, post, text, told, viva_until
from tests.world import Someone, Viva, picture, wait_until

__all__ = ["ada"]


async def test_while_the_token_is_refused_messages_wait_and_health_is_red_whoever_sends_them_afterwards(
    viva: Viva, ada: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "LOOK_SECONDS", 0.1)
    await viva.restart()
    assert viva.app is not None
    app, before = viva.app, len(ada.messages)
    await wait_until(lambda: app.intake.leads, "VIVA has not started again")
    viva.telegram.fail_next("getMe", 401, "Unauthorized", times=10_000)
    viva.telegram.fail_next("sendMessage", 401, "Unauthorized")
    await post(viva, text("the answer", to=ada))
    await viva_until(viva, "select 1 from viva.outbox where error = 'unauthorized'")
    assert "Telegram refuses the token" in app.health.problems(await app.health.look())
    # The token is good again, and what this process waited with is for another to send.
    viva.telegram._faults.clear()
    await wait_until(lambda: not app._outbox.refused, "the token is still thought to be refused")
    assert app.health.problems(await app.health.look()) == [] and told(ada, before) == []
    await viva.service_rows("update viva.outbox set due_at = now() where state = 'waiting'")
    await viva.service_rows("update viva.outbox_chats set due_at = now() where claimed_by is null")
    await viva.quiet()
    assert told(ada, before) == ["the answer"]


@pytest.mark.parametrize("arrived", [False, True], ids=["before", "after"])
async def test_an_upload_that_is_cut_off_before_or_after_it_was_taken_is_asked_about_and_never_doubled_unasked(
    viva: Viva, ada: Someone, arrived: bool
) -> None:
    assert viva.app is not None
    await viva.app._outbox._media.put("faults/picture.jpg", picture())
    viva.telegram.cut_next("sendPhoto", done_first=arrived)
    photo = {"photo": {"media": "faults/picture.jpg", "name": "picture.jpg"}, "caption": "Here it is."}
    await post(viva, NewMessage(chat_id=ada.id, method="sendPhoto", payload=photo), text("after it", to=ada))
    await viva.quiet()
    assert len([screen for screen in ada.screens if screen.photo]) == int(arrived)
    assert "after it" in ada.messages and len(ada.screen.buttons) == 1
    await ada.tap(ada.screen.buttons[0])
    assert ada.screen.text == "Here it is." and ada.screen.photo


async def test_the_words_of_an_edit_are_sent_anew_where_telegram_lets_the_message_be_changed_no_more(
    viva: Viva, ada: Someone
) -> None:
    await post(viva, text("first", to=ada, key="k"))
    await viva.quiet()
    viva.telegram.fail_next("editMessageText", 400, "Bad Request: message can't be edited")
    await post(viva, edit("second", of="k", to=ada))
    await viva.quiet()
    assert ada.messages[-2:] == ["first", "second"]
