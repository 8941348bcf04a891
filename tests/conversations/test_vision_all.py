"""Drafting all that is missing: one long job, seen, stopped, resumed, each section by itself; then read and kept."""

from __future__ import annotations

from typing import Any

import pytest

from bot.playground import model
from prompts.categories import SECTIONS, category
from tests.world import PATIENCE, Someone, Viva, comes_true

STORIES = {
    "fun": "I love dancing in the kitchen with my friend Noor on Saturdays.",
    "home": "I live near the harbour, and I love the morning light on the long table.",
    "health": "I love walking in the woods before breakfast with my dog Bilbo.",
}


async def _tell_stories(viva: Viva, person: Someone, stories: dict[str, str] = STORIES) -> None:
    for key, story in stories.items():
        await viva.rows(person, f"update user_profiles set {category(key).story_column} = $1 where is_active", story)


async def _proposals(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    return await viva.rows(person, "select * from viva.vision_proposals order by created_at, section_key")


async def _draft(viva: Viva, person: Someone) -> dict[str, Any]:
    (row,) = await viva.rows(person, "select * from vision_versions where status = 'draft'")
    return row


def _calls(viva: Viva) -> list[model.Request]:
    return [request for request in viva.model.requests if request.path == model.CHAT]


async def _open(person: Someone) -> None:
    await person.send("/vision")
    await person.tap("Draft all that is missing")


async def test_a_provider_that_does_not_let_viva_in_is_asked_once_and_the_admins_hear_of_it(viva: Viva) -> None:
    ada, boss = await viva.onboarded(), await viva.onboarded("Boss")
    await viva.restart(viva_admin_ids=frozenset([boss.id]))
    await _tell_stories(viva, ada)
    await _open(ada)
    viva.model.script(model.CHAT, status=401, times=3)
    await ada.tap("Yes, go on")
    assert len(_calls(viva)) == 1 and any("does not let VIVA in" in text for text in boss.messages)
    assert any("Try " in label for label in ada.screen.buttons)


async def test_all_that_is_missing_is_priced_drafted_read_and_kept(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _open(ada)
    assert "I have nothing to write from yet" in ada.screen.text
    assert not any("Yes, go on" in label for label in ada.screen.buttons)
    await _tell_stories(viva, ada)
    await viva.rows(
        ada,
        "insert into journal_entries (content, date, categories) values ($1, '2026-03-08', '{money}'),"
        " ($2, '2026-03-09', '{\"Money / Abundance\"}'), ('Rain all day.', '2026-03-10', '{}')",
        "I counted it, and I have enough for a year of books.",
        "I paid for lunch with my brother Ravi, and I love giving.",
    )
    await _open(ada)
    assert "your profile's story" in ada.screen.text and "your journal" in ada.screen.text
    assert "Write 4 sections" in ada.screen.text and "tokens" in ada.screen.text
    assert "Forward" in ada.screen.text and "later, from the other twelve" in ada.screen.text
    viva.model.pace = 0.05
    offered = ada.screen
    # A newer progress takes the place of one that is not shown yet, so the model waits until each has been seen.
    viva.model.hold(after=0)
    await ada.tap("Yes, go on", wait=False)
    await ada.wait(lambda: any("✎ 🎈 Fun" in text for text in ada.messages))
    viva.model.release()
    await ada.wait(lambda: len(_calls(viva)) == 2)
    viva.model.hold(after=0)
    await ada.wait(lambda: any("1 of 4 sections done" in text for text in ada.messages))
    await viva.telegram.tap_data(ada.account, offered.message["message_id"], offered.data("Yes, go on"))
    await ada.wait(lambda: not viva.telegram.chats.updates)
    taken = "select 1 where not exists (select from viva.work where state = 'waiting' and kind = 'update')"
    await comes_true(lambda: viva.service_rows(taken), "the second tap was taken")
    viva.model.release()
    await viva.quiet()
    assert len(_calls(viva)) == 4
    assert "Written: 4" in ada.screen.text and "It took" in ada.screen.text
    assert not any("sections done" in text for text in ada.messages), "the progress stays behind"
    money = next(str(call.body["messages"][1]) for call in _calls(viva) if call.body and "Money" in str(call.body))
    assert "Day: 08 March 2026" in money and "brother Ravi" in money and "Rain all day" not in money

    # Nothing is in the vision until it is kept; one is kept, one written again, the rest kept at once.
    assert (await _draft(viva, ada))["completion_percentage"] == 0
    await ada.tap("Read what waits (4)")
    assert "Noor" in ada.screen.text and "Fun / Recreation" in ada.screen.text
    await ada.tap("Keep")
    assert "Fun / Recreation is kept: 1 of 14" in ada.screen.text and "harbour" in ada.screen.text
    await ada.tap("Next (2)")
    assert "Bilbo" in ada.screen.text
    await ada.tap("Write it again")
    assert "Bilbo" in ada.screen.text and len(_calls(viva)) == 5
    await ada.tap("Keep all 3")
    assert "Kept in your vision: 3" in ada.screen.text and "4 of 14 sections written, 29%" in ada.screen.text
    draft = await _draft(viva, ada)
    assert "Noor" in draft["fun"] and "harbour" in draft["home"] and "Bilbo" in draft["health"] and draft["money"]
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_what_the_person_imagined_comes_before_all_and_nothing_that_stands_is_touched(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _tell_stories(viva, ada)
    await viva.rows(ada, "insert into vision_versions (fun) values ('We dance.')")
    viva.model.script(model.CHAT, status=400)
    await ada.send("/vision")
    await ada.tap("🏡 Home")
    await ada.tap("Draft it with me")
    await ada.send("I want a house on a hill.")
    await _open(ada)
    assert "Write 2 sections" in ada.screen.text and "what you told me and your profile's story" in ada.screen.text
    await ada.tap("Yes, go on")
    home = next(str(call.body) for call in _calls(viva)[1:] if call.body and "Home /" in str(call.body))
    assert "<imagination>\\nI want a house on a hill." in home and "morning light" in home
    await ada.tap("Keep all 2")
    draft = await _draft(viva, ada)
    assert draft["fun"] == "We dance." and draft["home"] == "I have a house on a hill." and "Bilbo" in draft["health"]


@pytest.mark.parametrize(("cut", "mended"), [(1, False), (2, False), (3, False), (2, True)])
async def test_a_crash_at_any_step_is_resumed_and_paid_once(viva: Viva, cut: int, mended: bool) -> None:
    """The call with number `cut` is cut short; with `mended` it is the second one for the first section."""
    ada = await viva.onboarded()
    await _tell_stories(viva, ada)
    await _open(ada)
    if mended:
        viva.model.script(model.CHAT, text="You will dance with Noor and with Marco in Paris.")
    else:
        viva.model.script(model.CHAT, times=cut - 1)
    viva.model.script(model.CHAT, delay=PATIENCE)
    await ada.tap("Yes, go on", wait=False)
    await ada.wait(lambda: len(_calls(viva)) == cut)
    await viva.restart(kill=True)
    await viva.quiet()
    calls = 4 if mended else 3
    assert len(_calls(viva)) == calls + 1, "only the call that was cut short is made again"
    proposals = await _proposals(viva, ada)
    assert [row["state"] for row in proposals] == ["proposed"] * 3
    assert not any("Marco" in row["text"] for row in proposals)
    charged = await viva.rows(ada, "select * from token_usage where success and action_type = 'vision_generation'")
    assert len(charged) == calls
    assert sum("Written: 3" in text for text in ada.messages) == 1
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_stop_keeps_what_is_done_and_leaves_the_rest_for_another_time(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _tell_stories(viva, ada)
    await _open(ada)
    viva.model.script(model.CHAT)
    viva.model.script(model.CHAT, delay=30.0)
    await ada.tap("Yes, go on", wait=False)
    await ada.wait(lambda: len(_calls(viva)) == 2)
    await ada.wait(lambda: "Stop here" in ada.screen.buttons)
    await ada.tap("Stop here")
    assert "Written: 1" in ada.screen.text and "Stopped. What was done by then is here" in ada.screen.text
    assert len(_calls(viva)) == 2
    assert [row["state"] for row in await _proposals(viva, ada)] == ["proposed"]
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    await ada.tap("Draft all that is missing")
    assert "Write 2 sections" in ada.screen.text
    await ada.tap("Yes, go on")
    assert "Written: 2" in ada.screen.text
    await ada.tap("Keep all 3")
    assert "Kept in your vision: 3" in ada.screen.text
    await ada.tap_data("vision:missing_stop:")
    assert "My life vision" in ada.screen.text


async def test_a_section_fails_alone_and_is_tried_again_alone(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _tell_stories(viva, ada)
    await _open(ada)
    viva.model.script(model.CHAT)
    viva.model.script(model.CHAT, status=400)
    await ada.tap("Yes, go on")
    assert "Written: 2" in ada.screen.text and "✕ 🏡 Home" in ada.screen.text
    await ada.tap("Try again: 🏡 Home")
    assert "harbour" in ada.screen.text
    assert [row["state"] for row in await _proposals(viva, ada)] == ["proposed"] * 3

    # A provider that stays away is waited for; what is done is not asked for again.
    ben = await viva.onboarded("Ben")
    await _tell_stories(viva, ben)
    before = len(_calls(viva))
    await _open(ben)
    viva.model.script(model.CHAT)
    viva.model.script(model.CHAT, status=503, retry_after=0, times=2)
    await ben.tap("Yes, go on")
    assert "Written: 3" in ben.screen.text
    assert len(_calls(viva)) - before == 5


async def test_tokens_that_end_on_the_way_stop_it_in_words(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _tell_stories(viva, ada)
    await _open(ada)
    await viva.service_rows(
        "select viva.grant_tokens($1, 2600 - balance, 'admin', 'x', null) from viva.wallets where user_id = $1",
        await ada.user_id(),
    )
    await ada.tap("Yes, go on")
    done = sum(row["state"] == "proposed" for row in await _proposals(viva, ada))
    assert 1 <= done < 3
    (ended,) = [text for text in ada.messages if f"Written: {done}" in text]
    assert "This would take at least" in ended
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_forward_and_conclusion_are_woven_from_the_twelve(viva: Viva) -> None:
    ada = await viva.onboarded()
    keys = [section.key for section in SECTIONS if section.key not in ("forward", "conclusion")]
    texts = {key: f"I love my {key} by the sea. We sing about {key}." for key in keys}
    columns, values = ", ".join(texts), ", ".join(f"'{text}'" for text in texts.values())
    await viva.rows(ada, f"insert into vision_versions ({columns}) values ({values})")
    await _open(ada)
    assert "woven from the other twelve" in ada.screen.text and "Write 2 sections" in ada.screen.text
    await ada.tap("Yes, go on")
    forward, conclusion = (call.body["messages"] for call in _calls(viva) if call.body)
    assert "the forward of a person's life vision" in forward[0]["content"]
    assert "the conclusion of a person's life vision" in conclusion[0]["content"]
    assert all(text in forward[1]["content"] for text in texts.values())
    await ada.tap("Keep all 2")
    draft = await _draft(viva, ada)
    assert draft["forward"].startswith("I love my fun by the sea.") and draft["completion_percentage"] == 100
    assert draft["conclusion"].startswith("We sing about fun.")

    # Enough by the person's own choice: three areas stand, and a wish of theirs leads.
    ben = await viva.onboarded("Ben")
    await viva.rows(ben, "insert into vision_versions (fun, home) values ('We dance.', 'I live by the sea.')")
    await ben.send("/vision")
    assert not any("Forward" in label for label in ben.screen.buttons)
    await viva.rows(ben, "update vision_versions set money = 'I have enough.'")
    await ben.send("/vision")
    await ben.tap("🌅 Forward")
    await ben.tap("Weave it")
    assert "from the 3 areas that stand" in ben.screen.text
    await ben.send("I want it to begin with the sea.")
    assert "<imagination>" in str(_calls(viva)[-1].body)
    await ben.tap("Put it aside")
    await ben.tap("Draft again")
    await ben.tap("Weave it from what stands")
    assert "We dance. I live by the sea. I have enough." in ben.screen.text


async def test_area_after_area_can_be_told_before_anything_is_written(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _open(ada)
    await ada.tap("Tell you more first")
    assert "🎈 Fun / Recreation" in ada.screen.text and "12 areas to go" in ada.screen.text
    await ada.send("I want to dance with Noor.")
    assert "Noted for Fun / Recreation" in ada.screen.text and "🧭 Travel / Adventure" in ada.screen.text
    await ada.tap("Next one")
    assert "🏡 Home / Environment" in ada.screen.text
    await ada.send_voice(words="I want to live on a hill.")
    assert any("This is what I heard" in text for text in ada.messages)
    assert _calls(viva) == []
    await viva.restart()
    await ada.tap("That is enough")
    assert "Write 2 sections" in ada.screen.text and "what you told me" in ada.screen.text
    await ada.tap("Yes, go on")
    await ada.tap("Keep all 2")
    draft = await _draft(viva, ada)
    assert (draft["fun"], draft["home"]) == ("I dance with Noor.", "I live on a hill.")
    await ada.send("Good morning.")
    assert len(await _proposals(viva, ada)) == 2
