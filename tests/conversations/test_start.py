"""Arriving: who VIVA is, the yes or no to AI, the name, home; help; what VIVA cannot read; groups."""

from __future__ import annotations

import pytest
from aiogram.exceptions import TelegramBadRequest

from tests.world import PATIENCE, Viva


async def test_a_new_person_learns_who_viva_is_and_is_not_before_anything_else(viva: Viva) -> None:
    ada = await viva.person("Ada")
    screen = await ada.send("/start")
    assert screen is not None
    assert "I am VIVA" in screen.text
    assert "no therapist, doctor, lawyer" in screen.text
    assert viva.settings.provider in screen.text
    assert screen.buttons == ["Yes, I am 18 and agree", "Not now, without AI", "What happens to my words?"]
    assert viva.model.requests == []


async def test_a_yes_is_kept_with_its_version_and_moment_and_the_name_is_asked(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("I am 18")
    assert "What may I call you" in ada.screen.text
    await ada.send("Countess Ada")
    assert "Lovely to meet you, Countess Ada" in ada.screen.text
    account = (await viva.rows(ada, "select * from viva.telegram_accounts"))[0]
    assert account["consent_version"] == 1 and account["consented_at"] is not None
    assert account["first_name"] == "Countess Ada" and account["waiting_for"] is None
    profile = (await viva.rows(ada, "select first_name, has_children from user_profiles"))[0]
    assert profile == {"first_name": "Countess Ada", "has_children": None}


async def test_a_no_still_leads_home_and_says_what_works_without_ai(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("Not now")
    await ada.tap("Ada")
    assert "without AI" in ada.screen.text
    assert "Life assessment" in ada.screen.buttons
    assert (await viva.rows(ada, "select consented_at from viva.telegram_accounts"))[0]["consented_at"] is None


async def test_a_name_that_cannot_be_one_is_asked_again(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("I am 18")
    await ada.send("12345")
    assert "60 characters" in ada.screen.text
    await ada.send("x" * 61)
    assert "60 characters" in ada.screen.text
    await viva.telegram.send_sticker(ada.account)
    await viva.quiet()
    assert "Please type what I may call you" in ada.screen.text
    await ada.send("Грета 🙂")
    assert "Грета 🙂" in ada.screen.text


async def test_what_somebody_confides_while_their_name_is_asked_is_heard_and_kept(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("I am 18")
    await ada.send_photo(caption="My garden.")
    await ada.send("I feel so tired lately and do not know why.")
    said = await viva.rows(ada, "select message from ai_conversations where role = 'user'")
    assert said == [{"message": "I feel so tired lately and do not know why."}]
    assert await viva.rows(ada, "select content from journal_entries") == [{"content": "My garden."}]
    assert len(viva.model.requests) == 1


async def test_the_starting_grant_comes_once_and_stands_in_the_ledger(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/start")
    ledger = await viva.rows(ada, "select kind, amount from viva.ledger")
    assert ledger == [{"kind": "starting", "amount": viva.settings.viva_starting_tokens}]
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_every_command_of_the_menu_is_answered(viva: Viva) -> None:
    ada = await viva.onboarded()
    for command in ("start", "assessment", "vision", "journal", "balance", "help", "privacy", "delete", "cancel"):
        before = len(ada.messages)
        await ada.send(f"/{command}")
        assert len(ada.messages) > before, command
        assert "I do not know that command" not in ada.screen.text, command


async def test_an_unknown_command_gets_help(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/fly")
    assert "I do not know that command" in ada.screen.text
    assert "/assessment" in ada.screen.text


async def test_what_viva_cannot_read_gets_one_kind_sentence(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.telegram.send_sticker(ada.account)
    await viva.quiet()
    assert "Text, photos and voice notes I can" in ada.screen.text
    await viva.telegram.send_poll(ada.account)
    await viva.telegram.send_location(ada.account)
    await viva.telegram.send_contact(ada.account)
    await viva.quiet()
    assert sum("Text, photos and voice notes I can" in text for text in ada.messages) == 4


async def test_an_old_or_forged_button_leads_home(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.tap_data("nonsense:1:2")
    assert "Good to see you, Ada" in screen.text
    assert any("earlier screen" in text for text in ada.messages)


async def test_every_tap_is_answered_so_that_no_button_spins(viva: Viva) -> None:
    ada = await viva.onboarded()
    query = await viva.telegram.tap_data(ada.account, ada.screen.message["message_id"], "home")
    await viva.telegram.wait_for_answer(ada.account, query, timeout=PATIENCE)


async def test_in_a_group_viva_says_that_it_talks_in_private_and_makes_no_account(viva: Viva) -> None:
    ada = await viva.person("Ada")
    message = await viva.telegram.send_group_text(ada.account, "/start")
    await viva.quiet()
    texts = [m.get("text", "") for m in viva.telegram.chats.chat(message["chat"]["id"]).messages.values()]
    assert any("in private" in text for text in texts)
    assert await viva.service_rows("select * from viva.telegram_accounts") == []


async def test_home_is_one_screen_edited_in_place(viva: Viva) -> None:
    ada = await viva.onboarded()
    count = len(ada.messages)
    await ada.tap("Help")
    await ada.tap("Main menu")
    await ada.tap("Balance")
    await ada.tap("Main menu")
    assert len(ada.messages) == count
    assert "Good to see you, Ada" in ada.screen.text


async def test_words_under_what_viva_cannot_read_are_kept(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.telegram.send_document(ada.account, b"...", caption="What I want to remember of today.")
    await viva.quiet()
    assert "What you wrote with it is in your journal" in ada.screen.text
    entries = await viva.rows(ada, "select content from journal_entries")
    assert entries == [{"content": "What I want to remember of today."}]


async def test_a_payment_is_credited_while_viva_waits_for_a_name(viva: Viva) -> None:
    ada = await viva.person()
    await ada.send("/start")
    await ada.tap("I am 18")
    await ada.send("/buy")
    await ada.tap("2 M")
    await viva.telegram.pay(ada.account, ada.screen.message["message_id"])
    await viva.quiet()
    (purse,) = await viva.rows(ada, "select balance from viva.wallets")
    assert purse["balance"] > viva.settings.viva_starting_tokens
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_home_before_the_yes_or_no_leads_back_to_the_question(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("What happens to my words?")
    screen = await ada.tap("Main menu")
    assert "May I use AI" in screen.text and "Not now, without AI" in screen.buttons


async def test_a_name_can_be_changed_later(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/help")
    await ada.tap("Call me something else")
    await ada.send("Countess")
    assert "Lovely to meet you, Countess" in ada.screen.text
    assert (await viva.rows(ada, "select first_name from user_profiles"))[0] == {"first_name": "Countess"}


async def test_home_says_how_far_the_assessment_and_the_vision_have_come(viva: Viva) -> None:
    ada = await viva.onboarded()
    assert "Where would you like to begin" in ada.screen.text
    await ada.tap("Life assessment")
    await ada.tap("Begin")
    await ada.tap("Skip")
    while "Continue" not in ada.screen.buttons:
        await ada.tap("1")
    screen = await ada.send("/start")
    assert screen is not None
    assert "Life assessment: 1 of 12 chapters done" in screen.text and "Life vision: not begun" in screen.text


async def test_talking_without_the_yes_to_ai_asks_for_it(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("Not now")
    await ada.tap("Ada")
    screen = await ada.tap("Talk with me")
    assert "Yes, I am 18 and agree" in screen.buttons


async def test_telegram_is_told_the_commands_once_and_not_again_at_each_start(viva: Viva) -> None:
    ada = await viva.onboarded()  # once VIVA answers, it has introduced itself
    assert viva.app is not None
    told = await viva.app.bot.get_my_commands()
    assert "assessment" in {command.command for command in told}
    viva.telegram.fail_next("setMyCommands", 400, "Bad Request: told again")
    await viva.restart()
    await ada.send("/help")
    with pytest.raises(TelegramBadRequest, match="told again"):  # still waiting for the first call since
        await viva.app.bot.set_my_commands(told)
