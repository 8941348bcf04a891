"""Privacy: what is said of it, the yes taken back, and everything deleted in two steps."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from tests.conftest import DatabaseUrls
from tests.world import Someone, Viva, comes_true

PERSONAL = """
    select n.nspname || '.' || c.relname as name,
           array(select a.attname::text from pg_attribute a where a.attrelid = c.oid and a.attnum > 0
                    and a.attname in ('user_id', 'chat_id', 'telegram_id')) as columns
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where n.nspname in ('public', 'viva') and c.relkind = 'r'
"""


async def _rows_of(viva: Viva, person: Someone, user_id: object) -> dict[str, int]:
    """How many rows each table holds that name the person."""
    found = {}
    for table in await viva.service_rows(PERSONAL):
        tests = [f"{column} = {person.id}" for column in table["columns"] if column != "user_id"]
        tests += [f"user_id = '{user_id}'"] if "user_id" in table["columns"] else []
        if tests:
            rows = await viva.service_rows(f"select count(*) as n from {table['name']} where {' or '.join(tests)}")
            found[table["name"]] = rows[0]["n"]
    return found


def _files(viva: Viva) -> list[Path]:
    # `Path.rglob` fails where a folder goes while it looks.
    folder = urlsplit(str(viva.settings.media_url)).path
    return [Path(place, name) for place, _, names in os.walk(folder) for name in names]


async def _live_a_little(viva: Viva, person: Someone) -> None:
    await person.send("I would like more time for my garden.")
    await person.send_voice(words="I slept well.")
    await person.send_photo(caption="The first tomatoes.")


async def test_privacy_says_what_is_kept_and_who_sees_it(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/privacy")
    assert screen is not None and viva.settings.provider in screen.text
    assert screen.buttons == ["Take back my yes to AI", "Give me everything of mine", "Delete everything", "Main menu"]


async def test_a_yes_taken_back_stops_every_call_to_the_model(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/privacy")
    await ada.tap("Take back my yes")
    await ada.send("Hello?")
    await ada.send_voice()
    assert viva.model.requests == []
    await ada.send("/privacy")
    await ada.tap("Say yes to AI")
    await ada.tap("I am 18")
    await ada.send("Hello again")
    assert [request.path for request in viva.model.requests] == ["chat/completions"]


async def test_delete_takes_two_steps_and_can_be_left_at_each(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/delete")
    await ada.tap("Keep everything")
    await ada.send("/delete")
    await ada.tap("Go on")
    assert "Are you sure, Ada?" in ada.screen.text
    await ada.tap("Keep everything")
    assert "Everything is as it was" in ada.screen.text
    assert len(await viva.rows(ada, "select * from user_profiles")) == 1


async def test_after_delete_nothing_of_the_person_is_in_any_table_or_in_the_media_store(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await _live_a_little(viva, ada)
    await _live_a_little(viva, ben)
    user_id = await ada.user_id()
    before = await _rows_of(viva, ada, user_id)
    for table in ("public.ai_conversations", "public.journal_entries", "public.token_usage", "viva.ledger"):
        assert before[table] > 0, table
    assert len(_files(viva)) == 4
    # What a process leaves that is killed while it writes: no listing of the store names it.
    (theirs, *_) = [path for path in _files(viva) if str(user_id) in path.parts]
    theirs.with_name(f"{theirs.name}#1").write_bytes(b"half of it")
    await ada.send("/delete")
    await ada.tap("Go on")
    await ada.tap("Delete it all for good")
    await ada.wait(lambda: "It is done" in ada.messages[-1])
    await viva.quiet()
    # The sender lets go of the chat after its last message.
    let_go = "select 1 where not exists (select from viva.outbox_chats where chat_id = $1)"
    await comes_true(lambda: viva.service_rows(let_go, ada.id), "the sender lets go of the chat")
    after = await _rows_of(viva, ada, user_id)
    assert {table: count for table, count in after.items() if count} == {}
    assert await viva.service_rows("select 1 from viva.lanes where lane like $1", f"%{ada.id}") == []
    assert len(_files(viva)) == 2
    kept = await _rows_of(viva, ben, await ben.user_id())
    assert kept["public.ai_conversations"] == 2 and kept["public.journal_entries"] == 2
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_starting_tokens_do_not_come_again_with_each_return(viva: Viva) -> None:
    ada = await viva.onboarded()
    for _ in range(2):
        await ada.send("/delete")
        await ada.tap("Go on")
        await ada.tap("Delete it all for good")
        await ada.wait(lambda: "It is done" in ada.messages[-1])
        await ada.send("/start")
        wallet = await viva.rows(ada, "select balance from viva.wallets")
        assert wallet == [{"balance": 0}]
    await viva.service_rows("update viva.starting_grants set granted_on = granted_on - 366 returning 1")
    await ada.send("/delete")
    await ada.tap("Go on")
    await ada.tap("Delete it all for good")
    await ada.wait(lambda: "It is done" in ada.messages[-1])
    await ada.send("/start")
    assert await viva.rows(ada, "select balance from viva.wallets") == [{"balance": viva.settings.viva_starting_tokens}]


async def test_what_a_person_did_in_a_group_is_kept_under_nobody(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.telegram.send_group_text(ada.account, "/start")
    await viva.quiet()
    rows = await viva.service_rows("select 1 from viva.work where chat_id < 0 and telegram_id is not null")
    assert rows == []


async def test_whoever_comes_back_after_delete_begins_anew(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/delete")
    await ada.tap("Go on")
    await ada.tap("Delete it all for good")
    await ada.wait(lambda: "It is done" in ada.messages[-1])
    await ada.send("/start")
    assert "I am VIVA" in ada.screen.text


async def test_a_second_tap_on_the_last_button_does_no_harm(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/delete")
    screen = await ada.tap("Go on")
    data, message_id = screen.data("Delete it all"), screen.message["message_id"]
    await viva.telegram.tap_data(ada.account, message_id, data)
    await viva.telegram.tap_data(ada.account, message_id, data)
    await ada.wait(lambda: any("It is done" in text for text in ada.messages))
    await viva.quiet()
    assert await viva.service_rows("select * from viva.work where state = 'parked'") == []


async def _delete_everything(viva: Viva, person: Someone) -> None:
    await person.send("/delete")
    await person.tap("Go on")
    await person.tap("Delete it all for good", wait=False)
    await person.wait(lambda: any("It is done" in text for text in person.messages))
    await viva.quiet()


async def test_whoever_blocks_viva_after_delete_stays_forgotten(viva: Viva) -> None:
    ada = await viva.onboarded()
    await _delete_everything(viva, ada)
    await viva.telegram.block(ada.account)
    await viva.quiet()
    assert await viva.service_rows("select 1 from viva.telegram_accounts") == []
    assert await viva.service_rows("select 1 from viva.work where state = 'parked'") == []


async def test_what_is_stored_while_everything_is_deleted_goes_as_well(viva: Viva, database_urls: DatabaseUrls) -> None:
    ada = await viva.onboarded()
    await ada.send_photo(caption="The first tomatoes.")
    user_id = await ada.user_id()
    (picture,) = _files(viva)
    connection = await asyncpg.connect(database_urls.admin)
    try:
        async with connection.transaction():
            # The rows cannot go yet, so the deletion stands between its two halves.
            await connection.execute("select from viva.wallets where user_id = $1 for update", user_id)
            await ada.send("/delete")
            await ada.tap("Go on")
            await ada.tap("Delete it all for good", wait=False)
            await ada.wait(lambda: not picture.parent.parent.exists())
            picture.parent.mkdir(parents=True)
            picture.write_bytes(b"just stored")
    finally:
        await connection.close()
    await ada.wait(lambda: any("It is done" in text for text in ada.messages))
    await ada.wait(lambda: _files(viva) == [])
