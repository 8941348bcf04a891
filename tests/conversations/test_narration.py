"""Listening to the life vision: each text is read and paid for once, and what is read can be heard at any time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from bot.services import narration
from bot.services.work import Job
from tests.conversations.test_book import write
from tests.world import PATIENCE, Someone, Viva

TEXTS = {"forward": "I am at home.", "fun": "I dance on Sundays.", "home": "A garden, and the sea. I live here."}


async def _tracks(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    return await viva.rows(person, "select * from audio_tracks order by created_at, section_key")


async def _usage(viva: Viva, person: Someone) -> list[tuple[str, int]]:
    rows = await viva.rows(person, "select action_type, tokens_used from token_usage where success order by created_at")
    return [(row["action_type"], row["tokens_used"]) for row in rows]


async def set_balance(viva: Viva, person: Someone, tokens: int) -> None:
    await viva.service_rows(
        "select viva.grant_tokens($1, $2 - (select balance from viva.wallets where user_id = $1), 'admin', $3, null)",
        await person.user_id(),
        tokens,
        f"test:{tokens}",
    )


def _spoken(viva: Viva) -> list[tuple[str, str]]:
    """What the model was asked to say, and in which voice."""
    asked = [request.body for request in viva.model.requests if request.path == "audio/speech"]
    return [(body["input"], body["voice"]) for body in asked if body is not None]


def _audio(person: Someone) -> list[dict[str, Any]]:
    return [screen.message for screen in person.screens if "audio" in screen.message]


async def _nothing_is_half_done(viva: Viva, person: Someone) -> None:
    rows = await viva.rows(person, "select from audio_tracks where status in ('pending', 'processing')")
    assert rows == [] and await viva.service_rows("select * from viva.ledger_differences()") == []


async def test_a_voice_is_chosen_by_hearing_it_and_the_vision_is_read_once(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await ada.send("/listen")
    assert screen is not None and "no section of your vision is written" in screen.text
    vision_id = await write(viva, ada, **TEXTS)
    await ada.send("/vision")
    await ada.tap("Listen")
    assert "0 of 3 sections are ready" in ada.screen.text and "Voice: Sage" in ada.screen.text
    await ada.tap("Choose a voice")
    assert "takes 65 tokens a voice" in ada.screen.text
    await ada.tap("▶ Nova")
    (sample,) = _audio(ada)
    assert sample["audio"]["title"] == "A sample of Nova" and "It took 65 tokens" in sample["caption"]
    assert _spoken(viva) == [("I am at home.", "nova")]
    await ada.tap("Choose a voice")
    await ada.tap("▶ Nova")
    assert len(_audio(ada)) == 2 and len(_spoken(viva)) == 1 and "Nothing was charged" in _audio(ada)[-1]["caption"]
    await ada.tap("Take this voice")
    assert "Voice: Nova" in ada.screen.text

    await ada.tap("All, one by one")
    tokens = sum(5 * len(text) for text in TEXTS.values())
    assert "Read aloud: 3 sections" in ada.screen.text and f"This takes {tokens} tokens" in ada.screen.text
    assert len(_spoken(viva)) == 1 and await _tracks(viva, ada) == []
    await ada.tap("Yes, go on")
    assert _spoken(viva)[1:] == [(text, "nova") for text in TEXTS.values()]
    assert await _usage(viva, ada) == [("audio_generation", 65)] + [
        ("audio_generation", 5 * len(text)) for text in TEXTS.values()
    ]
    assert any(f"All 3 are read.\n\nIt took {tokens} tokens" in text for text in ada.messages)
    album = _audio(ada)[2:]
    assert [message["audio"]["title"] for message in album] == ["Forward", "Fun / Recreation", "Home / Environment"]
    assert len({message["media_group_id"] for message in album}) == 1
    assert {message["audio"]["performer"] for message in album} == {"VIVA"}
    tracks = {row["section_key"]: row for row in await _tracks(viva, ada)}
    for message, (key, text) in zip(album, TEXTS.items(), strict=True):
        track = tracks[key]
        assert str(track["vision_id"]) == vision_id and track["text_content"] == text and track["voice_id"] == "nova"
        assert track["content_hash"] == hashlib.sha256(text.encode()).hexdigest()
        assert track["status"] == "completed" and track["error_message"] is None and track["s3_bucket"] == ""
        assert track["audio_url"].endswith(track["s3_key"]) and track["s3_key"].startswith("users/")
        assert track["duration_seconds"] == message["audio"]["duration"] >= 1
    (vision,) = await viva.rows(ada, "select last_audio_generated_at from vision_versions")
    assert vision["last_audio_generated_at"] is not None

    await ada.tap("Listen")
    assert "3 of 3 sections are ready" in ada.screen.text
    await ada.tap("Fun ✓")
    assert _audio(ada)[-1]["audio"]["title"] == "Fun / Recreation"
    await ada.send("/listen")
    await ada.tap("All in one track")
    whole = _audio(ada)[-1]["audio"]
    assert whole["title"] == "My life vision"
    assert whole["duration"] >= sum(message["audio"]["duration"] for message in album)
    assert len(_spoken(viva)) == 4 and len(await _tracks(viva, ada)) == 4
    await _nothing_is_half_done(viva, ada)


async def test_in_a_new_version_only_what_changed_is_read(viva: Viva) -> None:
    ada, ben = await viva.onboarded("Ada"), await viva.onboarded("Ben")
    first = await write(viva, ada, status="complete", **TEXTS)
    await ada.send("/listen")
    await ada.tap("All, one by one")
    go_on, message_id = ada.screen.data("Yes, go on"), ada.screen.message["message_id"]
    for _ in range(3):
        await viva.telegram.tap_data(ada.account, message_id, go_on)
    await viva.quiet()
    assert len(_spoken(viva)) == 3 and len(_audio(ada)) == 3
    second = await write(
        viva, ada, number=2, **TEXTS | {"home": "A\u200b garden,\n and the sea. I live here.", "fun": "I sing."}
    )
    await ada.send("/listen")
    assert "2 of 3 sections are ready" in ada.screen.text and "The complete one instead" in ada.screen.buttons
    await ada.tap("All, one by one")
    assert "Read aloud: Fun / Recreation" in ada.screen.text
    await ada.tap("Yes, go on")
    assert [text for text, _ in _spoken(viva)[3:]] == ["I sing."]
    rows = await _tracks(viva, ada)
    urls = {str(row["vision_id"]): row["audio_url"] for row in rows if row["section_key"] == "home"}
    assert urls[first] == urls[second] and len(rows) == 6
    broke_off = (
        "update audio_tracks set status = 'failed', audio_url = '' where vision_id = $1 and section_key = 'home'"
    )
    await viva.rows(ada, f"{broke_off} returning id", second)
    await ada.send("/listen")
    await ada.tap("All, one by one")
    assert len(_spoken(viva)) == 4 and all(row["status"] == "completed" for row in await _tracks(viva, ada))
    await ada.send("/listen")
    await ada.tap("Choose a voice")
    await ada.tap("Fable, a storyteller")
    assert "0 of 3 sections are ready" in ada.screen.text

    await ben.send("/listen")
    for data in (go_on, f"listen:one:{second.replace('-', '')}:fun", f"listen:dance:{second.replace('-', '')}:fun"):
        assert "I do not have that any more" in (await ben.tap_data(data)).text
    for data in ("voice:hear:0", "voice:take:99", "voice:dance:-1", "hush"):
        await ben.tap_data(data)
    await ada.tap_data(f"listen:one:{second.replace('-', '')}:title")
    assert "Listen to your vision" in ada.screen.text
    assert _audio(ben) == [] and len(_spoken(viva)) == 4
    assert await viva.service_rows("select * from viva.work where state = 'parked'") == []


async def test_a_kill_after_every_step_pays_for_nothing_twice_and_leaves_nothing_half_done(
    viva: Viva, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: asyncio.Queue[str] = asyncio.Queue()

    def standing(make: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def made(job: Job, step: str, *how: Any) -> Any:
            new = not job.done(step)
            result = await make(job, step, *how)
            if new and not step.startswith("kept"):
                done.put_nowait(step)
                await asyncio.Event().wait()  # here the process stands until it is killed
            return result

        return made

    for name in ("call", "step"):
        monkeypatch.setattr(Job, name, standing(getattr(Job, name)))
    ada = await viva.onboarded()
    long = "I walk by the sea. " * 120
    await write(viva, ada, fun=long, home="I live here.")
    await ada.send("/listen")
    await ada.tap("All in one track")
    viva.model.hold(after=1)
    await ada.tap("Yes, go on", wait=False)
    async with asyncio.timeout(4 * PATIENCE):
        await viva.model.held()
        await viva.restart(kill=True)  # in the middle of a call
        viva.model.release()
        for step in ("part 0", "part 1", "joined", "part 0", "joined", "joined"):
            assert await done.get() == step
            await viva.restart(kill=True)
    await viva.quiet()
    parts = narration.parts(long)
    assert len(parts) == 2 and all(part.endswith(".") for part in parts)
    paid = [tokens for _, tokens in await _usage(viva, ada) if tokens]
    assert sorted(paid) == sorted(5 * len(text) for text in (*parts, "I live here."))
    assert {row["status"] for row in await _tracks(viva, ada)} == {"completed"}
    (whole,) = [message for message in _audio(ada) if message["audio"]["title"] == "My life vision"]
    assert whole["audio"]["duration"] > 60
    assert not list((await _folder(viva, ada)).rglob("parts/*.mp3"))
    await _nothing_is_half_done(viva, ada)


async def _folder(viva: Viva, person: Someone) -> Path:
    return Path(unquote(urlsplit(viva.settings.media_location).path)) / "users" / str(await person.user_id())


async def test_a_section_that_fails_is_left_out_and_only_it_is_read_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    await write(viva, ada, **TEXTS)
    viva.model.script("audio/speech", status=400, code="content_policy")
    await ada.send("/listen")
    await ada.tap("All, one by one")
    await ada.tap("Yes, go on")
    assert any("2 of 3 are read. 1 could not be read" in text for text in ada.messages)
    assert [message["audio"]["title"] for message in _audio(ada)] == ["Fun / Recreation", "Home / Environment"]
    rows = {row["section_key"]: row for row in await _tracks(viva, ada)}
    assert (rows["forward"]["status"], rows["forward"]["error_message"]) == ("failed", "ModelRefused")
    await _nothing_is_half_done(viva, ada)
    await ada.tap("Listen")
    await ada.tap("All, one by one")
    await ada.tap("Yes, go on")
    assert len(_spoken(viva)) == 4 and _spoken(viva)[-1][0] == TEXTS["forward"]
    assert {row["status"] for row in await _tracks(viva, ada)} == {"completed"}


async def test_stopped_in_the_middle_what_is_read_is_kept_and_taken_up_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    long = "I walk by the sea. " * 120
    await write(viva, ada, fun=long, home="I live here.")
    await ada.send("/listen")
    await ada.tap("All, one by one")
    viva.model.hold(after=0)
    await ada.tap("Yes, go on", wait=False)
    await viva.model.held()
    await ada.wait(lambda: "Stop" in ada.screen.buttons)
    await ada.tap("Stop", wait=False)
    await ada.wait(lambda: any("I stop after the part" in text for text in ada.messages))
    assert viva.app is not None
    await viva.app.lanes.look_for_cancels()
    viva.model.release()
    await viva.quiet()
    assert any("Stopped. 0 of 2 are read" in text for text in ada.messages)
    assert {row["status"] for row in await _tracks(viva, ada)} == {"failed"}
    assert len(_spoken(viva)) == 1
    await ada.tap("Listen")
    await ada.tap("All, one by one")
    await ada.tap("Yes, go on")
    assert [text for text, _ in _spoken(viva)[1:]] == [narration.parts(long)[1], "I live here."]
    assert len(_audio(ada)) == 2
    await _nothing_is_half_done(viva, ada)


async def test_without_yes_tokens_or_room_nothing_is_charged_and_what_is_read_stays(viva: Viva) -> None:
    ada = await viva.onboarded()
    await write(viva, ada, **TEXTS)
    await ada.send("/listen")
    await ada.tap("Fun")
    await ada.tap("Yes, go on")
    user_id = await ada.user_id()
    await viva.service_rows("update user_profiles set storage_quota_gb = 0 where user_id = $1", user_id)
    await ada.send("/listen")
    await ada.tap("All, one by one")
    await ada.tap("Yes, go on")
    assert any("There is no room left for this file: you have 0 MB" in text for text in ada.messages)
    assert "Nothing was charged" in next(text for text in ada.messages if "no room left" in text)
    assert len(_audio(ada)) == 1
    await _nothing_is_half_done(viva, ada)
    await viva.service_rows("update user_profiles set storage_quota_gb = 5 where user_id = $1", user_id)
    await set_balance(viva, ada, 10)
    await ada.send("/listen")
    screen = await ada.tap("Home")
    assert "Yes, go on" not in screen.buttons and "more are needed" in screen.text
    await viva.rows(ada, "update viva.telegram_accounts set consented_at = null")
    await ada.send("/listen")
    await ada.tap("Home")
    assert any("agree" in label for label in ada.screen.buttons)
    await ada.send("/listen")
    await ada.tap("Fun ✓")
    assert _audio(ada)[-1]["audio"]["title"] == "Fun / Recreation"
    assert len(_spoken(viva)) == 2
