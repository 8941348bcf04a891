"""The page's API lets a browser, and only the browser that was given the key, be a person in a chat."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from PIL import Image

from bot.playground.chats import KEPT_EVENTS
from bot.playground.telegram import TelegramServer
from tests.world import PATIENCE

TOKEN = "123456789:AAE-playground-playground-playgrou"


class Page:
    """What a browser does: calls with the key, and a stream of events."""

    def __init__(self, server: TelegramServer, session: aiohttp.ClientSession) -> None:
        self.server = server
        self.session = session
        self.person = next(iter(server.chats.people))
        self.headers = {"X-Page-Key": server.page_key}

    async def get(self, path: str) -> Any:
        """The answer to a GET under /page."""
        async with self.session.get(f"{self.server.url}/page{path}", headers=self.headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    async def post(self, path: str, body: Any = None, *, status: int = 200, form: Any = None) -> Any:
        """The answer to a POST under /page."""
        address = f"{self.server.url}/page{path}"
        more = {"data": form} if form is not None else {"json": {} if body is None else body}
        async with self.session.post(address, headers=self.headers, **more) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def say(self, text: str, **more: Any) -> Any:
        """The message the person has sent."""
        body = {"text": text, **more}
        return (await self.post(f"/chats/{self.person}/messages", body))["message"]

    async def bot(self, method: str, **values: Any) -> Any:
        """The result of a Bot API call."""
        async with self.session.post(f"{self.server.url}/bot{TOKEN}/{method}", json=values) as answer:
            result = await answer.json()
            assert result["ok"], result
            return result["result"]

    async def events(self, count: int, *, after: int = 0, resume: int | None = None) -> list[tuple[int, Any]]:
        """The next `count` numbered events of the chat."""
        address = f"{self.server.url}/page/chats/{self.person}/events"
        headers = {} if resume is None else {"Last-Event-ID": str(resume)}
        found: list[tuple[int, Any]] = []
        params = {"after": str(after), "key": self.server.page_key}
        async with asyncio.timeout(PATIENCE), self.session.get(address, params=params, headers=headers) as answer:
            assert answer.content_type == "text/event-stream"
            number = 0
            while len(found) < count:
                line = (await answer.content.readline()).decode()
                if line.startswith("id: "):
                    number = int(line[4:])
                elif line.startswith("data: "):
                    found.append((number, json.loads(line[6:])))
        return found

    async def history(self) -> Any:
        """The chat as it stands."""
        return await self.get(f"/chats/{self.person}/history")


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    server = TelegramServer(tmp_path / "telegram", token=TOKEN, model_label="stand-in")
    await server.start()
    async with aiohttp.ClientSession() as session:
        yield Page(server, session)
    await server.stop()


def picture() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (1600, 900), (120, 90, 60)).save(written, "PNG")
    return written.getvalue()


def webm() -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format="webm") as target:
        stream = target.add_stream("libopus", rate=48_000, layout="mono")
        for number in range(100):
            frame = av.AudioFrame(format="s16", layout="mono", samples=960)
            frame.planes[0].update(bytes(frame.planes[0].buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return written.getvalue()


async def test_page_itself_is_served_with_its_guards(page: Page) -> None:
    async with page.session.get(page.server.page_url) as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'; img-src 'self' blob: data:")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    async with page.session.get(f"{page.server.url}/chat.css") as answer:
        assert (answer.status, answer.content_type) == (200, "text/css")


@pytest.mark.parametrize("path", ["pages.py", "..%2fpages.py", "%2e%2e/pages.py", "page/../../pages.py", "no.js"])
async def test_nothing_beside_the_page_is_served(page: Page, path: str) -> None:
    async with page.session.get(f"{page.server.url}/{path}") as answer:
        assert answer.status == 404


async def test_wrong_key_is_refused_everywhere(page: Page) -> None:
    chat = f"/page/chats/{page.person}"
    gets = ["/page/people", "/page/bot", f"{chat}/history", f"{chat}/events", "/page/files/x"]
    posts = ["messages", "uploads", "callbacks", "stop", "poll", "location", "block"]
    for headers in ({}, {"X-Page-Key": "guess"}, {"X-Page-Key": "ключ"}):
        for path in gets:
            async with page.session.get(page.server.url + path, headers=headers) as answer:
                assert answer.status == 403, path
        for path in [f"{chat}/{name}" for name in posts] + ["/page/people", "/page/reset"]:
            async with page.session.post(page.server.url + path, headers=headers, json={}) as answer:
                assert answer.status == 403, path


async def test_wrong_host_or_foreign_origin_is_refused_even_with_the_key(page: Page) -> None:
    address = f"{page.server.url}/page/people"
    for extra in (
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ):
        async with page.session.post(address, headers={**page.headers, **extra}, json={"first_name": "Eve"}) as answer:
            assert answer.status == 403
    own = {"Host": f"localhost:{page.server.port}", "Origin": f"http://localhost:{page.server.port}"}
    async with page.session.post(address, headers={**page.headers, **own}, json={"first_name": "Bea"}) as answer:
        assert answer.status == 200


async def test_there_are_three_people_and_a_new_one_can_come(page: Page) -> None:
    assert [sorted(person) for person in await page.get("/people")] == [
        ["first_name", "id", "language_code", "username"]
    ] * 3
    new = await page.post("/people", {"first_name": "Bea"})
    assert new in await page.get("/people")
    await page.post("/people", {"first_name": "  "}, status=400)


async def test_page_learns_about_the_bot(page: Page) -> None:
    await page.bot("setMyCommands", commands=[{"command": "start", "description": "Begin"}])
    await page.bot("setMyDescription", description="Talk to me.")
    assert await page.get("/bot") == {
        "first_name": "VIVA",
        "username": "viva_playground_bot",
        "description": "Talk to me.",
        "commands": [{"command": "start", "description": "Begin"}],
        "model": "stand-in",
    }


async def test_what_is_said_on_either_side_is_seen_by_the_other(page: Page) -> None:
    said = await page.say("/start")
    update = (await page.bot("getUpdates"))[0]
    assert update["message"] == said
    assert said["entities"] == [{"offset": 0, "length": 6, "type": "bot_command"}]
    await page.bot("sendMessage", chat_id=page.person, text="Hello", reply_to_message_id=said["message_id"])
    answered = await page.say("Yes", reply_to_message_id=2)
    assert answered["reply_to_message"]["text"] == "Hello"
    seen = [(event["type"], event["from_bot"], event["message"]["text"]) for event in (await page.history())["events"]]
    assert seen == [("message", False, "/start"), ("message", True, "Hello"), ("message", False, "Yes")]
    await page.post(f"/chats/{page.person}/messages", {"text": " "}, status=400)
    await page.post("/chats/5/messages", {"text": "nobody"}, status=404)


async def test_stream_tells_everything_in_order(page: Page) -> None:
    await page.say("/start")
    sent = await page.bot("sendMessage", chat_id=page.person, text="a")
    at = {"chat_id": page.person, "message_id": sent["message_id"]}
    await page.bot("editMessageText", text="b", **at)
    await page.bot("sendChatAction", chat_id=page.person, action="typing")
    await page.bot("sendMessageDraft", chat_id=page.person, draft_id=3, text="c", can_stop=True)
    await page.bot("setMessageReaction", reaction=[{"type": "emoji", "emoji": "👀"}], **at)
    query = await page.post(f"/chats/{page.person}/callbacks", {"message_id": sent["message_id"], "data": "x"})
    await page.bot("answerCallbackQuery", text="ok", **query)
    await page.bot("deleteMessage", **at)
    numbers, events = zip(*await page.events(8), strict=True)
    assert list(numbers) == sorted(set(numbers))
    assert [event["type"] for event in events] == [
        *("message", "message", "message_edited", "action", "draft", "reaction"),
        *("callback_answered", "message_deleted"),
    ]
    assert events[2]["message"]["text"] == "b"
    assert events[4] == {"type": "draft", "draft_id": 3, "text": "c", "entities": [], "can_stop": True}
    assert events[6] == {"type": "callback_answered", "text": "ok", "show_alert": False, **query}


async def test_stream_goes_on_after_the_last_event_seen(page: Page) -> None:
    await page.say("one")
    await page.say("two")
    first, second = await page.events(2)
    assert (await page.events(1, after=first[0]))[0] == second
    assert (await page.events(1, after=0, resume=first[0]))[0] == second
    last = (await page.history())["last"]
    assert last == second[0]
    waiting = asyncio.create_task(page.events(1, after=last))
    await asyncio.sleep(0.05)
    await page.say("three")
    assert (await waiting)[0][1]["message"]["text"] == "three"


async def test_stream_goes_on_over_a_restart(page: Page, tmp_path: Path) -> None:
    await page.say("one")
    last = (await page.history())["last"]
    await page.say("two")
    await page.server.stop()
    page.server = TelegramServer(tmp_path / "telegram", token=TOKEN, model_label="stand-in")
    await page.server.start()
    await page.say("three")
    assert [event["message"]["text"] for _, event in await page.events(2, after=last)] == ["two", "three"]


async def test_stream_starts_anew_when_too_much_was_missed(page: Page) -> None:
    await page.say("one")
    (first,) = await page.events(1)
    await page.say("two")
    # An action is shown for five seconds: the clock stands until it has been seen.
    moment = page.server.chats.now()
    page.server.chats.now = lambda: moment
    for _ in range(KEPT_EVENTS):
        page.server.chats.show_action(page.person, "typing")
    types = [event["type"] for _, event in await page.events(4, after=first[0])]
    assert types == ["reset", "message", "message", "action"]


async def test_history_has_the_draft_of_this_moment(page: Page) -> None:
    await page.say("/start")
    await page.bot("sendMessageDraft", chat_id=page.person, draft_id=3, text="c", can_stop=True)
    assert (await page.history())["events"][-1]["text"] == "c"
    await page.post(f"/chats/{page.person}/stop", {"draft_id": 3})
    assert [event["type"] for event in (await page.history())["events"]] == ["message"]
    assert (await page.bot("getUpdates"))[-1]["stopped_message_generation"]["draft_id"] == 3
    await page.post(f"/chats/{page.person}/stop", {"draft_id": 3}, status=400)


def upload(kind: str, data: bytes, *, name: str, mime: str, caption: str = "") -> aiohttp.FormData:
    form = aiohttp.FormData({"kind": kind, "caption": caption})
    form.add_field("file", data, filename=name, content_type=mime)
    return form


async def test_recording_of_the_browser_arrives_as_a_voice_message_and_plays(page: Page) -> None:
    form = upload("voice", webm(), name="voice.webm", mime="audio/webm;codecs=opus")
    voice = (await page.post(f"/chats/{page.person}/uploads", form=form))["message"]["voice"]
    assert (voice["mime_type"], voice["duration"]) == ("audio/ogg", 2)
    address = f"{page.server.url}/page/files/{voice['file_id']}?key={page.server.page_key}"
    async with page.session.get(address) as answer:
        assert (answer.status, answer.content_type) == (200, "audio/ogg")
        assert (await answer.read()).startswith(b"OggS")
    async with page.session.get(address, headers={"Range": "bytes=0-3"}) as answer:
        assert (answer.status, await answer.read()) == (206, b"OggS")


async def test_photo_of_the_browser_is_shown_as_jpeg(page: Page) -> None:
    form = upload("photo", picture(), name="a.png", mime="image/png", caption="my board")
    message = (await page.post(f"/chats/{page.person}/uploads", form=form))["message"]
    assert message["caption"] == "my board"
    assert [size["width"] for size in message["photo"]] == [90, 320, 800, 1280]
    address = f"{page.server.url}/page/files/{message['photo'][-1]['file_id']}"
    async with page.session.get(address, headers=page.headers) as answer:
        assert answer.content_type == "image/jpeg"


async def test_photos_sent_together_are_an_album_that_answers_what_it_replies_to(page: Page) -> None:
    asked = await page.say("one")
    form = upload("photo", picture(), name="a.png", mime="image/png", caption="by the sea")
    form.add_field("file", picture(), filename="b.png", content_type="image/png")
    form.add_field("reply_to_message_id", str(asked["message_id"]))
    messages = (await page.post(f"/chats/{page.person}/uploads", form=form))["messages"]
    assert [message.get("caption") for message in messages] == ["by the sea", None]
    assert len({message["media_group_id"] for message in messages}) == 1
    assert [message["reply_to_message"]["text"] for message in messages] == ["one", "one"]
    updates = await page.bot("getUpdates")
    assert [update["message"]["message_id"] for update in updates[-2:]] == [one["message_id"] for one in messages]

    alone = upload("voice", webm(), name="voice.webm", mime="audio/webm")
    alone.add_field("reply_to_message_id", str(asked["message_id"]))
    voice = (await page.post(f"/chats/{page.person}/uploads", form=alone))["message"]
    assert voice["reply_to_message"]["text"] == "one"


async def test_what_is_no_album_is_refused_and_none_of_it_sent(page: Page) -> None:
    await page.say("one")
    last = (await page.history())["last"]
    many = upload("photo", picture(), name="0.png", mime="image/png")
    for number in range(10):
        many.add_field("file", picture(), filename=f"{number + 1}.png", content_type="image/png")
    await page.post(f"/chats/{page.person}/uploads", form=many, status=400)
    papers = upload("document", b"x", name="a.txt", mime="text/plain")
    papers.add_field("file", b"y", filename="b.txt", content_type="text/plain")
    await page.post(f"/chats/{page.person}/uploads", form=papers, status=400)
    astray = upload("photo", picture(), name="a.png", mime="image/png")
    astray.add_field("reply_to_message_id", "the first")
    await page.post(f"/chats/{page.person}/uploads", form=astray, status=400)
    assert (await page.history())["last"] == last


async def test_uploaded_page_or_script_is_only_ever_saved(page: Page) -> None:
    for name, mime in (("a.html", "text/html"), ("a.js", "text/javascript"), ("a.svg", "image/svg+xml")):
        for kind in ("document", "audio"):
            form = upload(kind, b"<script>alert(1)</script>", name=name, mime=mime)
            message = (await page.post(f"/chats/{page.person}/uploads", form=form))["message"]
            address = f"{page.server.url}/page/files/{message[kind]['file_id']}"
            async with page.session.get(address, headers=page.headers) as answer:
                assert answer.content_type == "application/octet-stream"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Content-Security-Policy"].startswith("sandbox")


async def test_upload_without_a_file_or_of_an_unknown_kind_is_refused(page: Page) -> None:
    empty = aiohttp.FormData({"kind": "photo"}, default_to_multipart=True)
    await page.post(f"/chats/{page.person}/uploads", form=empty, status=400)
    odd = upload("hologram", b"x", name="a", mime="application/octet-stream")
    await page.post(f"/chats/{page.person}/uploads", form=odd, status=400)
    broken = upload("photo", b"x", name="a.jpg", mime="image/jpeg")
    await page.post(f"/chats/{page.person}/uploads", form=broken, status=400)


async def test_poll_location_and_block_reach_the_bot(page: Page) -> None:
    await page.post(f"/chats/{page.person}/poll")
    await page.post(f"/chats/{page.person}/location")
    await page.post(f"/chats/{page.person}/block", {"blocked": True})
    await page.post(f"/chats/{page.person}/messages", {"text": "still there?"}, status=403)
    await page.post(f"/chats/{page.person}/block", {"blocked": False})
    await page.say("back")
    updates = await page.bot("getUpdates")
    assert [next(kind for kind in update if kind != "update_id") for update in updates] == [
        *("message", "message", "my_chat_member", "my_chat_member", "message")
    ]
    assert "poll" in updates[0]["message"] and "location" in updates[1]["message"]


async def test_reset_empties_every_chat_and_keeps_counting(page: Page, tmp_path: Path) -> None:
    await page.say("secret words")
    form = upload("document", b"secret bytes", name="a.txt", mime="text/plain")
    document = (await page.post(f"/chats/{page.person}/uploads", form=form))["message"]["document"]
    before = (await page.bot("getUpdates"))[-1]["update_id"]
    last = (await page.history())["last"]
    await page.post("/reset")
    assert (await page.history())["events"] == []
    assert [event["type"] for _, event in await page.events(1, after=last)] == ["reset"]
    assert await page.bot("getUpdates") == []
    async with page.session.get(f"{page.server.url}/page/files/{document['file_id']}", headers=page.headers) as answer:
        assert answer.status == 404
    kept = [path for path in (tmp_path / "telegram").rglob("*") if path.is_file()]
    assert not any(b"secret" in path.read_bytes() for path in kept)
    assert (await page.say("anew"))["message_id"] == 3
    assert (await page.bot("getUpdates"))[0]["update_id"] == before + 1
    await page.bot("sendMessage", chat_id=page.person, text="still allowed")

    await page.server.stop()
    page.server = TelegramServer(tmp_path / "telegram", token=TOKEN, model_label="stand-in")
    await page.server.start()
    found = await page.events(3, after=last)
    assert [event["type"] for _, event in found] == ["reset", "message", "message"]
