"""A vision completed, read, compared, and taken up again: versions of which one is the person's own by now."""

from __future__ import annotations

from typing import Any

from prompts.categories import SECTIONS
from tests.world import Someone, Viva

ACTIVE = "select * from vision_versions where user_id = $1 and status = 'complete' order by updated_at desc limit 1"
"""The seed's query "Get User's Active Vision"."""

TEXTS = {section.key: f"I am glad of {section.key}. We sing by the sea." for section in SECTIONS}


async def _write(viva: Viva, person: Someone, **texts: str) -> None:
    texts = TEXTS | texts
    columns, places = ", ".join(texts), ", ".join(f"${place}" for place in range(1, len(texts) + 1))
    await viva.rows(person, f"insert into vision_versions ({columns}) values ({places})", *texts.values())


async def _active(viva: Viva, person: Someone) -> dict[str, Any]:
    (row,) = await viva.rows(person, ACTIVE, await person.user_id())
    return row


async def _versions(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    return await viva.rows(person, "select * from vision_versions order by version_number")


async def _by_hand(person: Someone, area: str, text: str) -> None:
    await person.send("/vision")
    await person.tap(area)
    await person.tap("Edit by hand")
    await person.send(text)
    await person.tap("Done, put it in")


async def test_a_full_draft_becomes_the_active_vision_and_a_change_begins_the_next_version(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _write(viva, ada, conclusion=" ")
    await ada.send("/vision")
    assert "13 of 14 sections written, 93%" in ada.screen.text
    assert not any("Make it my vision" in label for label in ada.screen.buttons)
    await ada.tap_data("vision:complete:")
    await ada.tap_data("v_ver:complete:1:0:0")
    assert (await _versions(viva, ada))[0]["status"] == "draft"
    await ada.tap("🌄 Conclusion")
    await ada.tap("Write it myself")
    await ada.send("I close the door softly.")
    await ada.tap("Done, put it in")
    await ada.tap("My life vision")
    await ada.tap("🎈 Fun")
    await ada.tap("Edit by hand")
    await ada.send("I dance. We sing by the sea.")
    await ada.send("/vision")
    await ada.tap("Make it my vision")
    assert "All fourteen sections are written" in ada.screen.text
    assert (await _versions(viva, ada))[0]["status"] == "draft"
    asked = ada.screen
    await ada.tap("Yes, this is my vision")
    assert "Version 1 is now the vision you live by" in ada.screen.text
    await viva.telegram.tap_data(ada.account, asked.message["message_id"], "v_ver:complete:1:0:0")
    await viva.quiet()
    (first,) = await _versions(viva, ada)
    assert (first["status"], first["is_active"], first["completion_percentage"]) == ("complete", True, 100)
    assert (await _active(viva, ada))["id"] == first["id"]
    await ada.send("/vision")
    assert "the one you live by" in ada.screen.text and "Draft all that is missing" not in ada.screen.buttons
    await ada.tap("Main menu")
    assert "14 of 14 sections written" in ada.screen.text

    # What was begun by hand before is still there.
    await ada.send("/vision")
    await ada.tap("🎈 Fun")
    await ada.tap("Go on by hand")
    assert "I dance." in ada.screen.text
    await ada.tap("Drop what I sent")

    # A change begins version 2 beside it; it counts once it is completed.
    await _by_hand(ada, "🏡 Home", "I live on a hill. We sing by the sea.")
    first, second = await _versions(viva, ada)
    assert (second["version_number"], second["status"], second["parent_id"]) == (2, "draft", first["id"])
    assert first["home"] == TEXTS["home"] and (await _active(viva, ada))["id"] == first["id"]
    await ada.tap("My life vision")
    assert "Version 2, not complete yet: 14 of 14" in ada.screen.text
    await ada.tap("Make it my vision")
    assert "Changed since the version it began from: 🏡 Home" in ada.screen.text
    await ada.tap("Yes, this is my vision")
    first, second = await _versions(viva, ada)
    assert (first["is_active"], second["is_active"]) == (False, True)
    # A late touch of an old version does not bring it back.
    await viva.rows(ada, "update vision_versions set last_audio_generated_at = now() where version_number = 1")
    assert (await _active(viva, ada))["id"] == second["id"]

    # Compare, and take up the older one.
    await ada.send("/vision")
    await ada.tap("Versions")
    await ada.tap("Version 2")
    assert "Other than in version 1: 🏡 Home" in ada.screen.text
    await ada.tap("Compare")
    await ada.tap("Version 1")
    assert "From version 1 to version 2" in ada.screen.text and "1 of 1 sections that differ" in ada.screen.text
    kinds = {entity["type"] for entity in ada.screen.message["entities"]}
    assert {"bold", "strikethrough"} <= kinds and "live on a hill" in ada.screen.text
    await ada.tap("Version 2")
    await ada.tap("Versions")
    await ada.tap("Version 1")
    await ada.tap("Take it up again")
    assert "Version 1 is in your draft, which is version 3" in ada.screen.text
    third = (await _versions(viva, ada))[2]
    assert third["home"] == TEXTS["home"] and third["parent_id"] == first["id"]
    await ada.send("/vision")
    await ada.tap("Make it my vision")
    assert "nothing new to complete" in ada.screen.text

    # With other words in the draft, it asks; what stood there can still be brought back.
    await _by_hand(ada, "🎈 Fun", "I juggle.")
    await ada.send("/vision")
    await ada.tap("Versions")
    await ada.tap("Version 2")
    await ada.tap("Take it up again")
    assert "In these sections other words would take its place: 🎈 Fun, 🏡 Home" in ada.screen.text
    assert (await _versions(viva, ada))[2]["fun"] == "I juggle."
    await ada.tap("Yes, put it into my draft")
    assert (await _versions(viva, ada))[2]["home"].startswith("I live on a hill.")
    kept = await viva.rows(ada, "select text from viva.vision_proposals where state = 'kept' and section_key = 'fun'")
    assert {"text": "I juggle."} in kept
    await ada.send("/vision")
    await ada.tap("Versions")
    await ada.tap("Version 3")
    await ada.tap("Drop this draft")
    await ada.tap("Yes, drop the draft")
    assert [row["version_number"] for row in await _versions(viva, ada)] == [1, 2]


async def test_the_vision_is_read_page_by_page_in_place(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    long = "\n\n".join(
        f"I walk row {row} of my garden, <b>slowly</b> & gladly, every single morning." for row in range(80)
    )
    await _write(viva, ada, fun="", home=long)
    await ada.send("/vision")
    count = len(ada.messages)
    await ada.tap("Read it")
    assert "Forward" in ada.screen.text and "page 1 of 14" in ada.screen.text
    seen = [ada.screen.text]
    while any("▶" in label for label in ada.screen.buttons):
        await ada.tap("▶")
        seen.append(ada.screen.text)
    assert len(ada.messages) == count and len(seen) == 14
    assert sum(page.count("<b>slowly</b>") for page in seen) == 80
    await ada.tap("◀")
    await ada.tap("Change 🌙 Spirit")
    assert TEXTS["spirituality"] in ada.screen.text
    # Another's version, a page that is not there, a forged step.
    await ben.send("/vision")
    for data in ("v_page:1:0", "v_page:99:99", "v_ver:open:1:0:0", "v_ver:dance:1:0:0", "v_ver:restore_yes:1:0:0"):
        await ben.tap_data(data)
        assert not any("sing by the sea" in text for text in ben.messages), data
    await ada.tap_data("v_page:1:99")
    assert "page 14 of 14" in ada.screen.text
    assert await viva.service_rows("select * from viva.work where state = 'parked'") == []
