"""The journal: kept first, understood afterwards, never lost."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from bot.services import recordings
from handlers.journal import HearTap
from tests.world import Someone, Viva, tone


async def _entries(viva: Viva, person: Someone) -> list[dict[str, object]]:
    return await viva.rows(person, "select * from journal_entries order by created_at")


def _stored(viva: Viva, url: str) -> bytes:
    return Path(unquote(urlsplit(url).path)).read_bytes()


async def test_a_written_entry_is_kept_word_for_word(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/journal")
    await ada.tap("Write an entry")
    await ada.send("Today I saw a heron.\n\nIt did not hurry.")
    (entry,) = await _entries(viva, ada)
    assert entry["content"] == "Today I saw a heron.\n\nIt did not hurry."
    assert "Kept in your journal" in ada.screen.text
    assert viva.model.requests == []
    await ada.tap("Journal")
    await ada.tap("Today I saw")
    assert "It did not hurry." in ada.screen.text


async def test_a_voice_note_is_stored_and_its_transcript_stands_in_the_seed_s_shape(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send_voice(seconds=3, words="I walked by the river and thought of my father.")
    (entry,) = await _entries(viva, ada)
    (recording,) = entry["audio_recordings"]  # type: ignore[misc]
    assert set(recording) == {"url", "transcript", "type", "category", "duration", "created_at"}
    assert recording["transcript"] == "I walked by the river and thought of my father."
    assert recording["type"] == "audio" and recording["category"] == "journal" and recording["duration"] == 3
    assert 2.5 < recordings.measure(_stored(viva, recording["url"])) < 3.5
    assert "by the river" in ada.screen.text
    kinds = [entity["type"] for entity in ada.screen.message["entities"]]
    assert "expandable_blockquote" in kinds
    usage = await viva.rows(ada, "select action_type, success from token_usage")
    assert usage == [{"action_type": "transcription", "success": True}]
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_without_a_transcription_model_the_recording_is_kept_and_that_is_said(viva: Viva) -> None:
    await viva.restart(viva_transcribe_model=None)
    ada = await viva.onboarded()
    await ada.send_voice(seconds=2)
    (entry,) = await _entries(viva, ada)
    assert entry["audio_recordings"][0]["transcript"] == ""  # type: ignore[index]
    assert "no model set up here that could write it down" in ada.screen.text
    assert viva.model.requests == []


async def test_without_a_yes_to_ai_nobody_listens(viva: Viva) -> None:
    ada = await viva.person()
    await ada.send("/start")
    await ada.tap("Not now")
    await ada.tap("Ada")
    await ada.send_voice(seconds=2)
    assert any("nobody listens to it" in text for text in ada.messages)
    assert len(await _entries(viva, ada)) == 1
    assert viva.model.requests == []


async def test_with_too_few_tokens_the_recording_is_kept_and_can_be_written_down_later(viva: Viva) -> None:
    ada = await viva.onboarded()
    user_id = await ada.user_id()
    grant = "select viva.grant_tokens($1, $2, 'admin', $3, null)"
    await viva.service_rows(grant, user_id, 10 - viva.settings.viva_starting_tokens, "test:poor")
    await ada.send_voice(seconds=4)
    assert "10 free" in ada.screen.text and "stays as sound" in ada.screen.text
    assert viva.model.requests == []
    await viva.service_rows(grant, user_id, 100_000, "test:rich")
    viva.model.script("audio/transcriptions", text="Now you can hear me.")
    await ada.tap("Write it down now", wait=False)
    await ada.tap("Write it down now")
    assert any("Now you can hear me." in text for text in ada.messages)
    (entry,) = await _entries(viva, ada)
    assert entry["audio_recordings"][0]["transcript"] == "Now you can hear me."  # type: ignore[index]
    assert len(viva.model.requests) == 1, "a double tap is heard, and paid, once"
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_a_model_that_fails_leaves_the_recording_and_charges_nothing(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.script("audio/transcriptions", status=400, message="no")
    await ada.send_voice(seconds=2)
    assert "could not write it down just now" in ada.screen.text
    assert "Write it down now" in ada.screen.buttons
    wallet = (await viva.rows(ada, "select balance, held from viva.wallets"))[0]
    assert wallet == {"balance": viva.settings.viva_starting_tokens, "held": 0}
    usage = await viva.rows(ada, "select success, tokens_used from token_usage")
    assert usage == [{"success": False, "tokens_used": 0}]


async def test_a_kill_while_the_model_listens_loses_nothing_and_charges_once(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.hold(after=0)
    await ada.send_voice(seconds=2, wait=False)
    await viva.model.held()
    await viva.stop(kill=True)
    viva.model.release()
    viva.model.script("audio/transcriptions", text="Still here.")
    await viva.start()
    await viva.quiet()
    (entry,) = await _entries(viva, ada)
    assert [r["transcript"] for r in entry["audio_recordings"]] == ["Still here."]  # type: ignore[attr-defined]
    charged = await viva.rows(ada, "select tokens_used from token_usage where tokens_used > 0")
    assert len(charged) == 1
    assert sum("Still here." in text for text in ada.messages) == 1
    assert await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_a_photo_with_its_caption_is_an_entry(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send_photo(caption="The garden this morning.")
    (entry,) = await _entries(viva, ada)
    assert entry["content"] == "The garden this morning."
    (url,) = entry["image_urls"]  # type: ignore[misc]
    assert _stored(viva, url)[:2] == b"\xff\xd8"
    assert "with your picture" in ada.screen.text


async def test_a_file_over_telegram_s_limit_is_said_at_once_and_the_words_with_it_are_kept(viva: Viva) -> None:
    ada = await viva.onboarded()
    large = tone(1) + bytes(21 * 1024 * 1024)
    await viva.telegram.send_file(ada.account, "audio", large, name="long.mp3", mime="audio/mpeg", caption="About Mum")
    await viva.quiet()
    assert "up to 20 MB" in ada.screen.text
    (entry,) = await _entries(viva, ada)
    assert entry["content"] == "About Mum" and entry["audio_recordings"] == []


async def test_a_file_that_is_no_recording_leaves_no_empty_entry(viva: Viva) -> None:
    ada = await viva.onboarded()
    await viva.telegram.send_file(ada.account, "audio", b"not a sound", name="x.mp3", mime="audio/mpeg")
    await viva.quiet()
    assert "could not read this file as a recording" in ada.screen.text
    assert await _entries(viva, ada) == []


async def test_a_stranger_s_entry_opens_nothing(viva: Viva) -> None:
    ada, eve = await viva.onboarded("Ada"), await viva.onboarded("Eve")
    await ada.send_photo(caption="Mine alone.")
    (entry,) = await _entries(viva, ada)
    for data in (f"entry:{entry['id']}", f"hear:{entry['id']}:0"):
        await eve.tap_data(data)
        assert "not in your journal" in eve.screen.text
    assert all("Mine alone" not in text for text in eve.messages)


async def test_many_entries_are_turned_page_by_page(viva: Viva) -> None:
    ada = await viva.onboarded()
    for number in range(7):
        await ada.send("/journal")
        await ada.tap("Write an entry")
        await ada.send(f"Entry number {number}.")
    await ada.send("/journal")
    assert any("number 6" in label for label in ada.screen.buttons)
    await ada.tap("Older")
    assert any("number 0" in label for label in ada.screen.buttons)
    await ada.tap("Newer")
    assert any("number 6" in label for label in ada.screen.buttons)


async def test_words_behind_the_command_are_an_entry(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/journal We walked by the sea.")
    (entry,) = await _entries(viva, ada)
    assert entry["content"] == "We walked by the sea."


async def test_an_address_of_another_s_recording_opens_nothing(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    await ben.send_voice(words="Only for me.")
    (entry,) = await _entries(viva, ben)
    recordings = [recording | {"transcript": ""} for recording in entry["audio_recordings"]]  # type: ignore[attr-defined]
    (forged,) = await viva.rows(
        ada, "insert into journal_entries (content, audio_recordings) values ('', $1::jsonb) returning id", recordings
    )
    requests = len(viva.model.requests)
    await ada.tap_data(HearTap(id=forged["id"], place=0).pack())
    assert len(viva.model.requests) == requests
    assert "Telegram could not give me this file" in ada.screen.text
