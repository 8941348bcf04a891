"""Threads of talk: begun, found again, named, taken along; and talks about an area of life that end in a draft."""

from __future__ import annotations

import json
from typing import Any

from tests.world import Someone, Viva

CHAT = "chat/completions"


def requests(viva: Viva) -> list[list[dict[str, Any]]]:
    """The messages of each answer asked of the model."""
    return [
        request.body["messages"]
        for request in viva.model.requests
        if request.path == CHAT and request.body and "You are VIVA" in request.body["messages"][0]["content"]
    ]


async def threads(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    return await viva.rows(
        person, "select title, phase, category from viva.conversations where title <> '' order by created_at"
    )


async def test_threads_are_kept_apart_found_again_and_named(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    tom = await viva.onboarded("Tom")
    await mira.send("My garden is full of weeds after the long rain and I do not know where to begin.")
    await mira.tap_data("open:talk")
    await mira.tap("Begin a new talk")
    await mira.send("The office was loud.")
    talk = requests(viva)[-1]
    assert [message["content"] for message in talk if message["role"] == "user"] == ["The office was loud."]
    await mira.send("/talks")
    assert mira.screen.rows[0][0].endswith("The office was loud.")
    assert mira.screen.rows[1][0].endswith("My garden is full of weeds after the long rain …")
    await mira.tap("My garden")
    assert "You  My garden is full of weeds" in mira.screen.text and "VIVA" in mira.screen.text
    name = mira.screen.data("Rename")
    await tom.tap_data(name)
    assert "do not have that talk" in tom.screen.text
    await mira.tap("Rename")
    screen = await mira.send("Weeds")
    assert screen is not None and screen.text.startswith("Weeds\n")
    await viva.restart()
    await mira.tap("Go on in this talk")
    await mira.send("I began at the gate.")
    assert "full of weeds" in json.dumps(requests(viva)[-1][1:-1])
    assert "office" not in json.dumps(requests(viva)[-1][1:])
    assert [row["title"] for row in await threads(viva, mira)] == ["Weeds", "The office was loud."]
    rows = await viva.rows(mira, "select count(distinct context ->> 'conversation_id') as n from ai_conversations")
    assert rows == [{"n": 2}]
    await mira.send("/talks")
    await mira.tap("Weeds")
    await mira.tap("As a document")
    sent = mira.screen.message["document"]
    assert sent["file_name"].startswith("viva-talk-") and "word for word" in mira.screen.text
    chats = viva.telegram.chats
    content = chats.blob(chats.file(sent["file_id"])).read_text()
    assert content.startswith("# Weeds\n") and "**Mira**," in content and "I began at the gate." in content
    assert "office" not in content


async def test_words_that_cannot_be_a_title_are_heard_instead(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    await mira.send("Weeds.")
    confided = "I have not slept since Tuesday, and I keep going over what my sister said at the table. " * 3
    for gone in (False, True):
        await mira.send("/talks")
        await mira.tap("Weeds")
        await mira.tap("Rename")
        if gone:
            await viva.rows(mira, "delete from viva.conversations returning id")
        await mira.send("The shed" if gone else confided)
    said = await viva.rows(mira, "select message from ai_conversations where role = 'user' order by created_at")
    assert [row["message"] for row in said] == ["Weeds.", confided.strip(), "The shed"]
    assert "Weeds." not in [row["title"] for row in await threads(viva, mira)]
    # The same where an entry is to have a title, and where a note's version is gone.
    await mira.send("/journal Rain.")
    await mira.tap("Change")
    await mira.tap("Give it a title")
    await mira.send(confided)
    assert await viva.rows(mira, "select title from journal_entries") == [{"title": None}]
    await viva.rows(
        mira,
        """update viva.telegram_accounts set waiting_for = '{"kind": "profile_note", "version": 99}' returning 1""",
    )
    await mira.send("A note to nothing.")
    said = await viva.rows(mira, "select message from ai_conversations where role = 'user' order by created_at")
    assert [row["message"] for row in said[3:]] == [confided.strip(), "A note to nothing."]


async def test_a_talk_is_deleted_by_itself_and_an_answer_on_its_way_is_not_kept(viva: Viva) -> None:
    mira, tom = await viva.onboarded("Mira"), await viva.onboarded("Tom")
    await mira.send("The weeds are back.")
    await mira.tap_data("open:talk")
    await mira.tap("Begin a new talk")
    await mira.send("The office was loud.")
    (said,) = await viva.rows(mira, "select id from ai_conversations where message = 'The office was loud.'")
    await viva.rows(
        mira,
        """
        insert into viva.memory_facts (text, source_kind, source_id, quote, said_at, tokens, confidence, valid_from)
        values ('Has a loud office', 'turn', $1, 'loud', now(), 4, 1, current_date) returning id
        """,
        said["id"],
    )
    viva.model.hold(after=0)
    await mira.send_without_waiting("And my desk is by the door.")
    await viva.model.held()
    await mira.send_without_waiting("/talks")
    await mira.wait(lambda: any("The office" in label for label in mira.screen.buttons))
    await mira.tap("The office", wait=False)
    await mira.wait(lambda: "Delete this talk" in mira.screen.buttons)
    await mira.tap("Delete this talk", wait=False)
    await mira.wait(lambda: "Yes, delete it" in mira.screen.buttons)
    sure, before = mira.screen.data("Yes, delete it"), len(mira.messages)
    await mira.tap("Yes, delete it", wait=False)
    await mira.wait(lambda: "That talk is gone" in mira.screen.text)
    viva.model.release()
    await viva.quiet()
    assert len(mira.messages) == before and "That talk is gone" in mira.screen.text
    assert [row["title"] for row in await threads(viva, mira)] == ["The weeds are back."]
    kept = await viva.rows(mira, "select message from ai_conversations where role = 'user'")
    assert [row["message"] for row in kept] == ["The weeds are back."]
    assert await viva.rows(mira, "select id from viva.memory_facts") == []
    usage = await viva.rows(mira, "select tokens_used from token_usage where action_type = 'chat_conversation'")
    assert len(usage) >= 2 and await viva.service_rows("select * from viva.ledger_differences()") == []
    for person in (mira, tom):
        await person.tap_data(sure)
        assert "do not have that talk" in person.screen.text
    # It was the open one: the next words begin another, and do not go on in an older one.
    await mira.send("Good morning.")
    assert [row["title"] for row in await threads(viva, mira)] == ["The weeds are back.", "Good morning."]


async def test_a_talk_about_an_area_moves_on_and_its_section_is_drafted_from_what_was_said(viva: Viva) -> None:
    mira = await viva.onboarded("Mira")
    await mira.tap_data("open:talk")
    await mira.tap("Talk about an area of life")
    await mira.tap("Home")
    assert "what does not fit" in mira.screen.text and viva.model.requests == []
    said = [
        ("contrast", "The rooms are dark and I hear every neighbour."),
        ("contrast", "There is no place for my books."),
        ("peak", "I love the morning light in my aunt's kitchen."),
        ("peak", "I feel wide awake there, and calm."),
        ("specific", "I wake in a white house near the sea and open blue shutters."),
        ("specific", "My books stand along the whole wall and bread is on the table."),
    ]
    for phase, words in said:
        assert "Draft" not in str(mira.screen.buttons)
        await mira.send(words)
        assert (
            f"its {['first', 'second', 'third'][['contrast', 'peak', 'specific'].index(phase)]} part, {phase}"
            in (requests(viva)[-1][-2]["content"])
        )
    rows = await viva.rows(mira, "select role, context from ai_conversations order by created_at, id")
    assert [row["context"]["visionBuildPhase"] for row in rows if row["role"] == "user"] == [each[0] for each in said]
    assert {row["context"]["category"] for row in rows} == {"home"}
    before = len(viva.model.requests)
    data, message = mira.screen.data("Draft"), mira.screen.message["message_id"]
    await mira.tap("Draft")
    assert "white house near the sea" in mira.screen.text
    assert "dark" not in json.dumps(viva.model.requests[before].body)
    await mira.tap_data(data, message_id=message)
    assert "waits for you" in mira.screen.text and len(viva.model.requests) == before + 1
    await mira.send("/vision")
    await mira.tap("Home")
    await mira.tap("Read")
    await mira.tap("Keep")
    await mira.tap_data("area:home")
    assert "stands in your vision" in mira.screen.text
    await mira.send("I would add a fireplace.")
    assert "look at it again" in requests(viva)[-1][-2]["content"] and "Draft" in str(mira.screen.buttons)
