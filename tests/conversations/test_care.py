"""Care: help lines come first and whatever else fails, coaching waits, and VIVA goes on only when asked to."""

from __future__ import annotations

from typing import Any

from tests.world import Viva

CHAT = "chat/completions"
IMMEDIATE = "I am going to kill myself tonight"
CONCERN = "I used to want to die and it still comes back"


def sent(viva: Viva, number: int) -> list[dict[str, Any]]:
    """The messages of a request that reached the model."""
    body = viva.model.requests[number].body
    assert body is not None
    return list(body["messages"])


async def test_at_immediate_danger_help_lines_come_and_no_model_is_called(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    async with viva.database.as_user(await mira.user_id()).transaction() as db:
        await db.execute("update user_profiles set country = 'United Kingdom' where is_active")
    screen = await mira.send(IMMEDIATE)
    assert screen is not None
    assert "Emergency number in the United Kingdom: 999." in screen.text
    assert "Samaritans" in screen.text and "116 123" in screen.text
    assert "not a crisis service" in screen.text
    assert screen.buttons == ["Talk with me anyway", "Main menu"]
    assert viva.model.requests == []
    asked = (await viva.rows(mira, "select role, message, context from ai_conversations"))[0]
    assert (asked["role"], asked["message"]) == ("user", IMMEDIATE)
    assert asked["context"]["care"] == {"danger": "self", "level": "immediate"}


async def test_with_no_country_known_the_worldwide_directory_is_named(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    screen = await mira.send(IMMEDIATE)
    assert screen is not None and "https://findahelpline.com" in screen.text and "112" in screen.text


async def test_viva_talks_on_after_danger_when_the_person_asks_for_it(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    await mira.send(IMMEDIATE)
    help_lines = mira.screen.text
    await mira.tap("Talk with me anyway")
    assert "do not have to carry it alone" in mira.screen.text
    assert help_lines in mira.messages
    system, said = sent(viva, 0)
    assert said == {"role": "user", "content": IMMEDIATE}
    assert "Do not coach in this answer" in system["content"]
    await mira.send("Thank you for listening")
    assert "Do not coach in this answer" in sent(viva, 1)[0]["content"]


async def test_help_lines_come_when_the_model_fails_the_balance_is_empty_and_there_is_no_consent(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    viva.model.script(CHAT, status=503, retry_after=0.01, times=100)
    user_id = await mira.user_id()
    await viva.service_rows(
        "select viva.grant_tokens(user_id, -balance, 'admin', 'test:' || user_id, null) from viva.wallets"
    )
    async with viva.database.as_user(user_id).transaction() as db:
        await db.execute("update viva.telegram_accounts set consented_at = null, consent_version = null")
    await mira.send(IMMEDIATE)
    assert "https://findahelpline.com" in mira.screen.text
    await mira.tap("Talk with me anyway")
    assert "only with your yes" in mira.screen.text
    assert viva.model.requests == []
    before = len(mira.messages)
    await mira.send(CONCERN)
    assert "https://findahelpline.com" in mira.messages[before]


async def test_a_concern_gets_help_lines_first_and_then_a_gentle_answer(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    before = len(mira.messages)
    await mira.send(CONCERN)
    care, answer = mira.screens[before:]
    assert "https://findahelpline.com" in care.text and care.buttons == ["Pause the coaching", "Main menu"]
    assert "do not have to carry it alone" in answer.text
    assert "Do not coach in this answer" in sent(viva, 0)[0]["content"]


async def test_a_concern_with_a_failing_model_still_gets_help_lines(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    viva.model.script(CHAT, status=400)
    before = len(mira.messages)
    await mira.send(CONCERN)
    assert "https://findahelpline.com" in mira.messages[before]
    assert "Try again" in mira.screen.buttons


async def test_a_pause_stops_the_answer_and_leaves_the_help_lines_where_they_are(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    viva.model.hold(after=2)
    await mira.send_without_waiting(CONCERN)
    await viva.model.held()
    await mira.wait(lambda: "Pause the coaching" in mira.screen.buttons)
    await mira.wait(lambda: mira.drafts and mira.drafts[-1]["text"])
    help_lines = mira.screen.text
    await mira.tap("Pause the coaching")
    viva.model.release()
    assert help_lines in mira.messages
    assert any("I have put the coaching down" in text for text in mira.messages)
    row = (await viva.rows(mira, "select context from ai_conversations where role = 'assistant'"))[0]
    assert row["context"]["stopped"] is True


async def test_home_under_the_help_lines_leaves_them_where_they_are(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    await mira.send(IMMEDIATE)
    help_lines = mira.screen.text
    await mira.tap("Main menu")
    assert "Good to see you, Mira" in mira.screen.text
    assert help_lines in mira.messages


async def test_a_figure_of_speech_is_no_danger(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    await mira.send("This deadline is killing me")
    assert "deadline" in mira.screen.text
    assert not any("findahelpline" in text for text in mira.messages)
