"""ElevenLabs reads aloud where its key is set: by its own SDK over HTTP, behind the same meter."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.app import App
from bot.errors import SettingsError
from bot.playground import model_media
from tests.conversations.test_book import write
from tests.world import Viva

SARAH = "EXAVITQu4vr4xnSDxMaL"


class ElevenLabs:
    """A server with ElevenLabs' two calls; answers with `statuses` first, then with sound."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    async def speak(self, request: web.Request) -> web.Response:
        body = await request.json()
        if request.headers.get("xi-api-key") != "eleven-key":
            return web.json_response({"detail": {"status": "invalid_api_key"}}, status=401)
        self.asked.append({"voice": request.match_info["voice"], "form": request.query.get("output_format"), **body})
        if self.statuses:
            return web.json_response({"detail": {"status": "trouble"}}, status=self.statuses.pop(0))
        sound = await asyncio.to_thread(model_media.speech, body["text"], form="mp3", speed=1.0)
        return web.Response(body=sound, content_type="audio/mpeg")


@pytest.fixture
async def elevenlabs() -> AsyncIterator[ElevenLabs]:
    server = ElevenLabs()
    application = web.Application()
    application.router.add_post("/v1/text-to-speech/{voice}", server.speak)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


async def test_elevenlabs_reads_in_its_own_voices_and_each_character_is_charged_once(
    viva: Viva, elevenlabs: ElevenLabs
) -> None:
    ada = await viva.onboarded()
    await write(viva, ada, fun="I dance.", home="I live here.")
    await viva.restart(elevenlabs_api_key=SecretStr("eleven-key"), elevenlabs_base_url=elevenlabs.url)
    await ada.send("/listen")
    assert "Voice: Sarah" in ada.screen.text
    await ada.tap("All, one by one")
    assert f"This takes {33 * 8 + 33 * 12} tokens" in ada.screen.text
    elevenlabs.statuses = [503, 400]
    await ada.tap("Yes, go on")
    assert any("1 of 2 are read. 1 could not be read" in text for text in ada.messages)
    assert [asked["text"] for asked in elevenlabs.asked] == ["I dance.", "I dance.", "I live here."]
    assert {(asked["voice"], asked["form"], asked["model_id"]) for asked in elevenlabs.asked} == {
        (SARAH, "mp3_44100_128", "eleven_multilingual_v2")
    }
    rows = await viva.rows(ada, "select section_key, status, voice_id from audio_tracks order by section_key")
    assert [(row["status"], row["voice_id"]) for row in rows] == [("failed", SARAH), ("completed", SARAH)]
    usage = await viva.rows(
        ada, "select action_type, model_used, tokens_used, cost_estimate, success from token_usage order by created_at"
    )
    assert [(row["model_used"], row["tokens_used"], row["success"]) for row in usage] == [
        ("eleven_multilingual_v2", 0, False),
        ("eleven_multilingual_v2", 0, False),
        ("eleven_multilingual_v2", 396, True),
    ]
    assert str(usage[-1]["cost_estimate"]) == "0.1200"
    assert [request.path for request in viva.model.requests] == []
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    ben = await viva.person("Ben")
    await ben.send("/start")
    assert any("and ElevenLabs for what is read aloud" in text for text in ben.messages)
    await viva.restart(elevenlabs_api_key=SecretStr("another"), viva_admin_ids=frozenset([ben.id]))
    await ada.send("/listen")
    await ada.tap("Fun")
    await ada.tap("Yes, go on")
    assert any("does not answer just now" in text and "nothing was charged" in text for text in ada.messages)
    assert any("does not let VIVA in" in text for text in ben.messages), "who runs VIVA hears of it"


async def test_without_the_sdk_viva_says_how_to_get_it(viva: Viva, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "elevenlabs.client", None)
    settings = viva.settings.model_copy(update={"elevenlabs_api_key": SecretStr("eleven-key")})
    with pytest.raises(SettingsError, match="pip install 'elevenlabs>=2,<3'"):
        async with App.open(settings):
            pass
