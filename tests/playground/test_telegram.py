"""The local Bot API server keeps Telegram's promises to a bot."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import aiohttp
import av
import pytest
from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    TelegramAPIError,
    TelegramConflictError,
    TelegramForbiddenError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllPrivateChats,
    BufferedInputFile,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputMediaDocument,
    InputMediaPhoto,
    Message,
    MessageEntity,
    ReactionTypeEmoji,
    ReplyParameters,
    Update,
    WebhookInfo,
)
from aiohttp import web
from PIL import Image

from bot.playground import methods
from bot.playground.chats import Person
from bot.playground.telegram import TelegramServer
from tests.world import PATIENCE, comes_true, wait_until

TOKEN = "123456789:AAE-playground-playground-playgrou"
MEGABYTE = 1024 * 1024


class Clock:
    """The server's clock, which a test can move."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Line:
    """A server, a bot on it, and somebody who has written to the bot once."""

    def __init__(self, server: TelegramServer, bot: Bot, person: Person, clock: Clock) -> None:
        self.server = server
        self.bot = bot
        self.person = person
        self.clock = clock

    async def updates(self) -> list[Update]:
        """The updates waiting, confirmed at once."""
        updates = await self.bot.get_updates()
        if updates:
            await self.bot.get_updates(offset=updates[-1].update_id + 1)
        return updates

    async def say(self, text: str = "hello", **more: Any) -> Message:
        """A message of the bot in the person's chat."""
        return await self.bot.send_message(self.person.id, text, **more)


def bot_on(server: TelegramServer, *, token: str = TOKEN) -> Bot:
    return Bot(token, session=AiohttpSession(api=TelegramAPIServer.from_base(server.url)))


@pytest.fixture(scope="session")
async def wire() -> AsyncIterator[AiohttpSession]:
    # Closing a session takes aiogram a quarter of a second; one serves all tests in turn.
    session = AiohttpSession()
    yield session
    await session.close()


@pytest.fixture
async def line(tmp_path: Path, wire: AiohttpSession) -> AsyncIterator[Line]:
    clock = Clock()
    server = TelegramServer(tmp_path / "telegram", token=TOKEN, model_label="stand-in", now=clock)
    await server.start()
    wire.api = TelegramAPIServer.from_base(server.url)
    bot = Bot(TOKEN, session=wire)
    person = server.person(first_name="Ada")
    await server.send_text(person, "/start")
    try:
        yield Line(server, bot, person, clock)
    finally:
        await server.stop()


async def long_poll(server: TelegramServer, bot: Bot) -> asyncio.Task[list[Update]]:
    """A long poll that has reached the server."""
    before = server._poll
    polling = asyncio.create_task(bot.get_updates(timeout=30))
    await wait_until(lambda: server._poll > before, "the poll has not come")
    return polling


async def refused(call: Awaitable[Any]) -> str:
    with pytest.raises(TelegramAPIError) as caught:
        await call
    return caught.value.message


def keyboard(*rows: list[InlineKeyboardButton]) -> InlineKeyboardMarkup:
    return InlineKeyboardMarkup(inline_keyboard=list(rows))


def button(text: str = "Go on", data: str = "go") -> InlineKeyboardButton:
    return InlineKeyboardButton(text=text, callback_data=data)


def picture(width: int, height: int, *, form: str = "JPEG", exif: Image.Exif | None = None) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (120, 90, 60)).save(written, form, **({"exif": exif} if exif else {}))
    return written.getvalue()


def recording(container: str, codec: str, layout: str, *, seconds: int = 3) -> bytes:
    written = io.BytesIO()
    with av.open(written, "w", format=container) as target:
        stream = target.add_stream(codec, rate=48_000, layout=layout)
        for number in range(seconds * 50):
            frame = av.AudioFrame(format="s16", layout=layout, samples=960)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate = 48_000
            frame.pts = number * 960
            frame.time_base = Fraction(1, 48_000)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return written.getvalue()


async def downloaded(line: Line, file_id: str) -> bytes:
    file = await line.bot.get_file(file_id)
    assert file.file_path is not None
    written = await line.bot.download_file(file.file_path)
    assert written is not None
    return written.read()


# Who may call what


async def test_bot_learns_who_it_is(line: Line) -> None:
    me = await line.bot.get_me()
    assert (me.id, me.is_bot, me.first_name) == (123456789, True, "VIVA")


async def test_wrong_token_is_unauthorized(line: Line) -> None:
    async with bot_on(line.server, token="123456789:AAE-another-another-another-anoth") as stranger:
        with pytest.raises(TelegramUnauthorizedError):
            await stranger.get_me()


async def test_unknown_method_is_not_found_in_json(line: Line) -> None:
    with pytest.raises(TelegramNotFound, match="method not found"):
        await line.bot.get_my_star_balance()


@pytest.mark.parametrize("shape", ["json", "form", "multipart", "query"])
async def test_parameters_may_come_in_every_shape_telegram_takes(line: Line, shape: str) -> None:
    address = f"{line.server.url}/bot{TOKEN}/SendMessage"
    values = {"chat_id": str(line.person.id), "text": f"by {shape}"}
    async with aiohttp.ClientSession() as session:
        if shape == "json":
            call = session.post(address, json={**values, "chat_id": line.person.id})
        elif shape == "form":
            call = session.post(address, data=values)
        elif shape == "multipart":
            form = aiohttp.FormData(values, default_to_multipart=True)
            call = session.post(address, data=form)
        else:
            call = session.get(address, params=values)
        async with call as answer:
            assert (await answer.json())["result"]["text"] == f"by {shape}"


async def test_nonsense_in_a_call_is_answered_in_json(line: Line) -> None:
    address = f"{line.server.url}/bot{TOKEN}/"
    async with aiohttp.ClientSession() as session:
        for method, body in (
            ("sendMessage", b"not json"),
            ("sendMessage", b"[]"),
            ("sendMessage", b'{"chat_id": {}, "text": 5}'),
            ("setMyCommands", b'{"commands": ["start"]}'),
            ("deleteMessages", b'{"chat_id": %d, "message_ids": "x"}' % line.person.id),
            ("sendMessage", b'{"chat_id": %d, "text": "a", "reply_markup": "[]"}' % line.person.id),
            ("sendMessage", b'{"chat_id": %d, "text": "\\ud800"}' % line.person.id),
        ):
            headers = {"Content-Type": "application/json"}
            async with session.post(address + method, data=body, headers=headers) as answer:
                assert answer.status == 400
                assert (await answer.json())["ok"] is False


async def test_calls_under_another_host_name_or_from_another_site_are_refused(line: Line) -> None:
    address = f"{line.server.url}/bot{TOKEN}/getMe"
    async with aiohttp.ClientSession() as session:
        for headers in ({"Host": f"evil.example:{line.server.port}"}, {"Origin": "https://evil.example"}):
            async with session.post(address, headers=headers) as answer:
                assert answer.status == 403


# Sending


async def test_text_is_delivered_with_its_formatting(line: Line) -> None:
    sent = await line.say("<b>Good</b> &lt;day&gt; <a href='https://example.org'>here</a> 🙂", parse_mode="HTML")
    assert sent.text == "Good <day> here 🙂"
    assert [(entity.type, entity.offset, entity.length) for entity in sent.entities or []] == [
        ("bold", 0, 4),
        ("text_link", 11, 4),
    ]
    assert sent.message_id == 2
    shown = line.server.messages(line.person)[-1]
    assert shown["text"] == sent.text


async def test_html_knows_code_spoilers_and_quotations(line: Line) -> None:
    source = (
        '<pre><code class="language-python">x</code></pre><tg-spoiler>y</tg-spoiler>'
        "<blockquote expandable>z<i>w</i></blockquote>"
    )
    sent = await line.say(source, parse_mode="HTML")
    assert [(entity.type, entity.offset, entity.length) for entity in sent.entities or []] == [
        ("pre", 0, 1),
        ("spoiler", 1, 1),
        ("expandable_blockquote", 2, 2),
        ("italic", 3, 1),
    ]
    assert sent.entities is not None and sent.entities[0].language == "python"


async def test_text_loses_its_outer_spaces_and_entities_move_along(line: Line) -> None:
    sent = await line.say("  🙂 hi  ", entities=[MessageEntity(type="bold", offset=2, length=5)])
    assert sent.text == "🙂 hi"
    assert [(entity.offset, entity.length) for entity in sent.entities or []] == [(0, 5)]


@pytest.mark.parametrize(
    ("text", "more", "description"),
    [
        ("   ", {}, "Bad Request: message text is empty"),
        ("a" * 4097, {}, "Bad Request: message is too long"),
        ("🙂" * 2049, {}, "Bad Request: message is too long"),
        ("<b>open", {"parse_mode": "HTML"}, "can't parse entities: Can't find end tag"),
        ("<b>a</i>", {"parse_mode": "HTML"}, "can't parse entities: Unmatched end tag at byte offset 4"),
        ("</b>", {"parse_mode": "HTML"}, "can't parse entities: Unexpected end tag"),
        ("a<br>b", {"parse_mode": "HTML"}, 'can\'t parse entities: Unsupported start tag "br" at byte offset 1'),
        ("1 < 2", {"parse_mode": "HTML"}, "can't parse entities"),
        ("ab", {"entities": [MessageEntity(type="bold", offset=1, length=2)]}, "ends after the end of the text"),
        ("🙂", {"entities": [MessageEntity(type="bold", offset=1, length=1)]}, "middle of a UTF-16 symbol"),
        ("ab", {"entities": [MessageEntity(type="loud", offset=0, length=1)]}, "can't parse MessageEntity"),
        ("a", {"reply_markup": keyboard([button(data="я" * 33)])}, "Bad Request: BUTTON_DATA_INVALID"),
        ("a", {"reply_markup": keyboard(*[[button()]] * 101)}, "Bad Request: reply markup is too long"),
        ("a", {"reply_markup": keyboard([InlineKeyboardButton(text="?")])}, "Text buttons are unallowed"),
        ("a", {"reply_markup": keyboard([InlineKeyboardButton(text="?", url="javascript:x")])}, "is invalid"),
        ("a", {"reply_parameters": ReplyParameters(message_id=99)}, "Bad Request: message to be replied not found"),
    ],
)
async def test_what_telegram_refuses_to_send_is_refused(
    line: Line, text: str, more: dict[str, Any], description: str
) -> None:
    assert description in await refused(line.say(text, **more))
    assert len(line.server.messages(line.person)) == 1


async def test_longest_text_and_fullest_keyboard_go_through(line: Line) -> None:
    sent = await line.say("🙂" * 2048, reply_markup=keyboard(*[[button(data="x" * 64)]] * 100))
    assert sent.reply_markup is not None and len(sent.reply_markup.inline_keyboard) == 100


async def test_unknown_chat_is_not_found(line: Line) -> None:
    assert await refused(line.bot.send_message(42, "hello")) == "Bad Request: chat not found"


async def test_bot_cannot_write_first(line: Line) -> None:
    silent = line.server.person(first_name="Bea")
    with pytest.raises(TelegramForbiddenError, match="can't initiate conversation"):
        await line.bot.send_message(silent.id, "hello")


async def test_bot_cannot_write_to_somebody_who_blocked_it_and_learns_of_it(line: Line) -> None:
    await line.updates()
    await line.server.block(line.person)
    with pytest.raises(TelegramForbiddenError, match="Forbidden: bot was blocked by the user"):
        await line.say()
    await line.server.block(line.person, blocked=False)
    await line.say()
    changes = [update.my_chat_member for update in await line.updates()]
    assert [change and change.new_chat_member.status for change in changes] == ["kicked", "member"]


async def test_reply_shows_what_it_answers(line: Line) -> None:
    sent = await line.say(reply_parameters=ReplyParameters(message_id=1))
    assert sent.reply_to_message is not None and sent.reply_to_message.text == "/start"
    missing = ReplyParameters(message_id=99, allow_sending_without_reply=True)
    assert (await line.say(reply_parameters=missing)).reply_to_message is None


# Editing and deleting


async def test_edit_changes_words_and_buttons(line: Line) -> None:
    sent = await line.say("before", reply_markup=keyboard([button()]))
    edited = await line.bot.edit_message_text(
        "after", chat_id=line.person.id, message_id=sent.message_id, reply_markup=keyboard([button("Back")])
    )
    assert isinstance(edited, Message) and edited.edit_date
    shown = line.server.messages(line.person)[-1]
    assert shown["text"] == "after"
    assert shown["reply_markup"]["inline_keyboard"][0][0]["text"] == "Back"
    await line.bot.edit_message_reply_markup(chat_id=line.person.id, message_id=sent.message_id)
    assert "reply_markup" not in line.server.messages(line.person)[-1]


async def test_edit_that_changes_nothing_is_refused(line: Line) -> None:
    sent = await line.say("same", reply_markup=keyboard([button()]))
    same = {"chat_id": line.person.id, "message_id": sent.message_id, "reply_markup": keyboard([button()])}
    assert await refused(line.bot.edit_message_text("same", **same)) == f"Bad Request: {methods.NOT_MODIFIED}"
    assert await refused(line.bot.edit_message_reply_markup(**same)) == f"Bad Request: {methods.NOT_MODIFIED}"


async def test_edit_of_the_wrong_message_is_refused(line: Line) -> None:
    photo = await line.bot.send_photo(line.person.id, BufferedInputFile(picture(40, 30), "a.jpg"))
    text = await line.say()
    to = {"chat_id": line.person.id}
    edit = line.bot.edit_message_text
    assert await refused(edit("x", message_id=99, **to)) == "Bad Request: message to edit not found"
    assert await refused(edit("x", message_id=1, **to)) == "Bad Request: message can't be edited"
    assert "there is no text in the message to edit" in await refused(edit("x", message_id=photo.message_id, **to))
    caption = line.bot.edit_message_caption(caption="x", message_id=text.message_id, **to)
    assert "there is no caption in the message to edit" in await refused(caption)


async def test_caption_and_photo_can_be_changed(line: Line) -> None:
    sent = await line.bot.send_photo(line.person.id, BufferedInputFile(picture(40, 30), "a.jpg"), caption="one")
    to = {"chat_id": line.person.id, "message_id": sent.message_id}
    edited = await line.bot.edit_message_caption(caption="two", **to)
    assert isinstance(edited, Message) and edited.caption == "two"
    assert "caption is too long" in await refused(line.bot.edit_message_caption(caption="x" * 1025, **to))
    another = InputMediaPhoto(media=BufferedInputFile(picture(60, 20), "b.jpg"), caption="three")
    changed = await line.bot.edit_message_media(another, **to)
    assert isinstance(changed, Message) and changed.photo
    assert (changed.photo[-1].width, changed.caption) == (60, "three")


async def test_deleted_message_is_gone_and_its_id_is_not_used_again(line: Line) -> None:
    sent = await line.say()
    await line.bot.delete_message(line.person.id, sent.message_id)
    assert "message to delete not found" in await refused(line.bot.delete_message(line.person.id, sent.message_id))
    assert (await line.say()).message_id == sent.message_id + 1
    await line.bot.delete_messages(line.person.id, [1, sent.message_id + 1, 99])
    assert line.server.messages(line.person) == []


async def test_message_older_than_two_days_cannot_be_deleted(line: Line) -> None:
    sent = await line.say()
    line.clock.ahead = 48 * 3600 + 1
    assert "message can't be deleted" in await refused(line.bot.delete_message(line.person.id, sent.message_id))
    await line.bot.edit_message_text("still editable", chat_id=line.person.id, message_id=sent.message_id)


async def test_pins_and_reactions(line: Line) -> None:
    sent = await line.say()
    await line.bot.pin_chat_message(line.person.id, sent.message_id)
    await line.bot.unpin_chat_message(line.person.id)
    assert "message to unpin not found" in await refused(line.bot.unpin_chat_message(line.person.id))
    await line.bot.set_message_reaction(line.person.id, 1, reaction=[ReactionTypeEmoji(emoji="👀")])
    assert line.server.events(line.person)[-1] == {
        "type": "reaction",
        "message_id": 1,
        "reaction": [{"type": "emoji", "emoji": "👀"}],
    }
    strange = line.bot.set_message_reaction(line.person.id, 1, reaction=[ReactionTypeEmoji(emoji="🥦")])
    assert await refused(strange) == "Bad Request: REACTION_INVALID"


# Taps


async def test_tap_arrives_with_its_message_and_gets_its_answer(line: Line) -> None:
    sent = await line.say(reply_markup=keyboard([button("Go on", "go:1")]))
    await line.updates()
    query_id = await line.server.tap(line.person, sent.message_id, "Go on")
    query = (await line.updates())[0].callback_query
    assert query is not None and (query.id, query.data, query.from_user.id) == (query_id, "go:1", line.person.id)
    assert isinstance(query.message, Message) and query.message.message_id == sent.message_id
    await line.bot.answer_callback_query(query_id, text="Done", show_alert=True)
    answer = await line.server.wait_for_answer(line.person, query_id)
    assert (answer["text"], answer["show_alert"]) == ("Done", True)


async def test_tap_on_a_deleted_message_arrives_without_it(line: Line) -> None:
    sent = await line.say(reply_markup=keyboard([button()]))
    await line.bot.delete_message(line.person.id, sent.message_id)
    await line.updates()
    await line.server.tap_data(line.person, sent.message_id, "go")
    query = (await line.updates())[0].callback_query
    assert query is not None and query.message is not None and not isinstance(query.message, Message)


async def test_answer_to_an_unknown_tap_is_refused(line: Line) -> None:
    answer = line.bot.answer_callback_query("123")
    assert "query is too old and response timeout expired or query ID is invalid" in await refused(answer)
    query_id = await line.server.tap_data(line.person, 1, "x")
    assert "MESSAGE_TOO_LONG" in await refused(line.bot.answer_callback_query(query_id, text="x" * 201))


# Drafts and chat actions


async def test_draft_is_shown_until_the_bot_writes(line: Line) -> None:
    await line.bot.send_message_draft(line.person.id, 7, text="Thin", can_stop=True)
    await line.bot.send_message_draft(line.person.id, 7, text="Thinking", can_stop=True)
    assert [draft["text"] for draft in line.server.drafts(line.person)] == ["Thin", "Thinking"]
    assert line.server.chats.draft(line.person.id) is not None
    await line.say("Thought")
    assert line.server.chats.draft(line.person.id) is None


async def test_draft_fades_after_half_a_minute(line: Line) -> None:
    await line.bot.send_message_draft(line.person.id, 7, text="a")
    line.clock.ahead = 31
    assert line.server.chats.draft(line.person.id) is None


async def test_stop_reaches_the_bot_only_where_it_was_offered(line: Line) -> None:
    await line.updates()
    await line.bot.send_message_draft(line.person.id, 7, text="a")
    with pytest.raises(Exception, match="draft not found"):
        await line.server.stop_draft(line.person, 7)
    await line.bot.send_message_draft(line.person.id, 7, can_stop=True)
    await line.server.stop_draft(line.person, 7)
    stopped = (await line.updates())[0].stopped_message_generation
    assert stopped is not None and (stopped.chat.id, stopped.draft_id) == (line.person.id, 7)


async def test_draft_is_refused_without_an_id_in_groups_and_over_the_limit(line: Line) -> None:
    group = (await line.server.send_group_text(line.person, "hello"))["chat"]["id"]
    assert "TEXTDRAFT_PEER_INVALID" in await refused(line.bot.send_message_draft(group, 7, text="a"))
    assert "RANDOM_ID_INVALID" in await refused(line.bot.send_message_draft(line.person.id, 0, text="a"))
    assert "too long" in await refused(line.bot.send_message_draft(line.person.id, 7, text="a" * 4097))


async def test_chat_action_is_shown_and_a_made_up_one_refused(line: Line) -> None:
    await line.bot.send_chat_action(line.person.id, "typing")
    assert line.server.actions(line.person) == ["typing"]
    assert "wrong parameter action" in await refused(line.bot.send_chat_action(line.person.id, "dancing"))


# Files


async def test_photo_of_a_person_is_made_smaller_upright_and_bare(line: Line) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    await line.updates()
    await line.server.send_photo(line.person, picture(2000, 1000, exif=exif), caption="a board")
    message = (await line.updates())[0].message
    assert message is not None and message.photo and message.caption == "a board"
    assert [(size.width, size.height) for size in message.photo] == [(45, 90), (160, 320), (400, 800), (640, 1280)]
    data = await downloaded(line, message.photo[-1].file_id)
    with Image.open(io.BytesIO(data)) as opened:
        assert (opened.format, opened.size, dict(opened.getexif())) == ("JPEG", (640, 1280), {})
    assert len(data) == message.photo[-1].file_size


@pytest.mark.parametrize(
    ("data", "description"),
    [
        (b"no picture", "IMAGE_PROCESS_FAILED"),
        (picture(2100, 100), "PHOTO_INVALID_DIMENSIONS"),
        (picture(9000, 1100), "PHOTO_INVALID_DIMENSIONS"),
        (bytes(10 * MEGABYTE + 1), "is too big for a photo"),
    ],
    ids=["unreadable", "stretched", "huge", "heavy"],
)
async def test_photo_telegram_cannot_show_is_refused(line: Line, data: bytes, description: str) -> None:
    assert description in await refused(line.bot.send_photo(line.person.id, BufferedInputFile(data, "a.jpg")))


async def test_small_photo_keeps_its_size(line: Line) -> None:
    sent = await line.bot.send_photo(line.person.id, BufferedInputFile(picture(64, 48, form="PNG"), "a.png"))
    assert sent.photo is not None
    assert [(size.width, size.height) for size in sent.photo] == [(64, 48)]


@pytest.mark.parametrize(
    ("container", "codec", "layout"),
    [("webm", "libopus", "mono"), ("webm", "libopus", "stereo"), ("ogg", "libopus", "mono"), ("mp4", "aac", "stereo")],
)
async def test_recording_of_any_browser_becomes_an_ogg_opus_voice_message(
    line: Line, container: str, codec: str, layout: str
) -> None:
    await line.updates()
    await line.server.send_voice(line.person, recording(container, codec, layout))
    message = (await line.updates())[0].message
    assert message is not None and message.voice is not None
    assert (message.voice.duration, message.voice.mime_type) == (3, "audio/ogg")
    with av.open(io.BytesIO(await downloaded(line, message.voice.file_id)), "r") as opened:
        codec_context = opened.streams.audio[0].codec_context
        assert (opened.format.name, codec_context.name, codec_context.channels) == ("ogg", "opus", 1)


async def test_voice_message_that_is_no_sound_is_refused(line: Line) -> None:
    with pytest.raises(Exception, match="VOICE_MESSAGE_INVALID"):
        await line.server.send_voice(line.person, b"no sound at all")


async def test_document_arrives_byte_for_byte(line: Line) -> None:
    await line.updates()
    await line.server.send_document(line.person, b"\x00notes\xff", name="../notes.txt")
    message = (await line.updates())[0].message
    assert message is not None and message.document is not None
    assert (message.document.file_name, message.document.mime_type) == ("notes.txt", "text/plain")
    assert await downloaded(line, message.document.file_id) == b"\x00notes\xff"


async def test_bot_sends_voice_audio_and_documents(line: Line) -> None:
    sound = recording("ogg", "libopus", "mono", seconds=2)
    voice = await line.bot.send_voice(line.person.id, BufferedInputFile(sound, "a.ogg"), caption="listen")
    assert voice.voice is not None and (voice.voice.duration, voice.caption) == (2, "listen")
    audio = await line.bot.send_audio(line.person.id, BufferedInputFile(sound, "a.ogg"), title="Calm")
    assert audio.audio is not None and (audio.audio.duration, audio.audio.title) == (2, "Calm")
    document = await line.bot.send_document(line.person.id, BufferedInputFile(b"a,b", "a.csv"))
    assert document.document is not None and document.document.file_name == "a.csv"
    wave = recording("wav", "pcm_s16le", "mono", seconds=1)
    not_a_voice = await line.bot.send_voice(line.person.id, BufferedInputFile(wave, "a.wav"))
    assert not_a_voice.voice is None and not_a_voice.document is not None


async def test_file_can_be_sent_again_by_its_id_as_the_same_kind_only(line: Line) -> None:
    sent = await line.bot.send_photo(line.person.id, BufferedInputFile(picture(640, 480), "a.jpg"))
    assert sent.photo is not None
    again = await line.bot.send_photo(line.person.id, sent.photo[0].file_id)
    assert again.photo == sent.photo
    as_document = line.bot.send_document(line.person.id, sent.photo[0].file_id)
    assert "can't use file of type Photo as Document" in await refused(as_document)
    assert "wrong file identifier" in await refused(line.bot.send_photo(line.person.id, "made-up"))


async def test_caption_over_the_limit_leaves_no_file_behind(line: Line) -> None:
    photo = BufferedInputFile(picture(64, 48), "a.jpg")
    too_long = line.bot.send_photo(line.person.id, photo, caption="x" * 1025)
    assert await refused(too_long) == "Bad Request: message caption is too long"
    assert line.server.chats.files == {}


async def test_album_has_two_to_ten_of_a_kind(line: Line) -> None:
    def photo(caption: str | None = None) -> InputMediaPhoto:
        return InputMediaPhoto(media=BufferedInputFile(picture(32, 32), "a.jpg"), caption=caption)

    document = InputMediaDocument(media=BufferedInputFile(b"text", "a.txt"))
    sent = await line.bot.send_media_group(line.person.id, [photo("first"), photo()])
    assert len({message.media_group_id for message in sent}) == 1 and sent[0].media_group_id
    assert [message.caption for message in sent] == ["first", None]
    assert "too few" in await refused(line.bot.send_media_group(line.person.id, [photo()]))
    assert "too many" in await refused(line.bot.send_media_group(line.person.id, [photo()] * 11))
    mixed = line.bot.send_media_group(line.person.id, [photo(), document])
    assert "document can't be mixed with other media types" in await refused(mixed)


async def test_album_of_a_person_arrives_as_messages_of_one_group(line: Line) -> None:
    await line.updates()
    await line.server.send_album(line.person, [picture(32, 32), picture(16, 32)], caption="both")
    messages = [update.message for update in await line.updates()]
    assert [message and message.caption for message in messages] == ["both", None]
    assert len({message and message.media_group_id for message in messages}) == 1


async def test_file_over_the_download_limit_is_too_big_for_the_bot(line: Line) -> None:
    sent = await line.server.send_document(line.person, bytes(20 * MEGABYTE + 1), name="film.bin")
    assert await refused(line.bot.get_file(sent["document"]["file_id"])) == "Bad Request: file is too big"


async def test_upload_over_fifty_megabytes_is_refused(line: Line) -> None:
    document = BufferedInputFile(bytes(50 * MEGABYTE + 1), "film.bin")
    assert "Request Entity Too Large" in await refused(line.bot.send_document(line.person.id, document))


async def test_only_the_server_files_can_be_downloaded(line: Line) -> None:
    assert "wrong file_id" in await refused(line.bot.get_file("made-up"))
    async with aiohttp.ClientSession() as session:
        for path in ("documents/file_99.txt", "..%2f..%2fjournal.jsonl", "%2e%2e/journal.jsonl", "documents"):
            async with session.get(f"{line.server.url}/file/bot{TOKEN}/{path}") as answer:
                assert answer.status == 404
                assert (await answer.json())["ok"] is False


# What people send


async def test_commands_of_people_are_marked(line: Line) -> None:
    await line.updates()
    await line.server.send_text(line.person, "/start ref_1 or /help")
    message = (await line.updates())[0].message
    assert message is not None
    assert [(entity.type, entity.offset, entity.length) for entity in message.entities or []] == [
        ("bot_command", 0, 6),
        ("bot_command", 16, 5),
    ]


async def test_everything_a_person_can_send_is_understood_by_the_bot(line: Line) -> None:
    await line.updates()
    await line.server.send_sticker(line.person)
    await line.server.send_poll(line.person)
    await line.server.send_location(line.person)
    await line.server.send_contact(line.person)
    await line.server.send_file(line.person, "video_note", b"film")
    await line.server.send_file(line.person, "video", b"film", name="a.mp4")
    await line.server.send_file(line.person, "audio", recording("ogg", "libopus", "mono"), name="a.ogg")
    await line.server.send_group_text(line.person, "hello all")
    await line.server.edit_text(line.person, 1, "/help")
    updates = await line.updates()
    kinds = [update.message.content_type for update in updates if update.message]
    assert kinds == ["sticker", "poll", "location", "contact", "video_note", "video", "audio", "text"]
    group = updates[-2].message
    assert group is not None and group.chat.type == "supergroup"
    assert updates[-1].edited_message is not None and updates[-1].edited_message.text == "/help"


async def test_waiting_for_a_message_ends_when_it_comes_or_in_time(line: Line) -> None:
    said_b = line.server.wait_for(line.person, lambda message: message["text"] == "b", timeout=PATIENCE)
    waiting = asyncio.create_task(said_b)
    await line.say("a")
    await line.say("b")
    assert (await waiting)["text"] == "b"
    with pytest.raises(TimeoutError):
        await line.server.wait_for(line.person, lambda message: message["text"] == "c", timeout=0.01)


# How updates reach the bot


async def test_update_stays_until_it_is_confirmed(line: Line) -> None:
    await line.server.send_text(line.person, "second")
    first, second = await line.bot.get_updates()
    assert [update.update_id for update in await line.bot.get_updates()] == [first.update_id, second.update_id]
    assert [update.update_id for update in await line.bot.get_updates(offset=second.update_id)] == [second.update_id]
    assert second.update_id == first.update_id + 1
    assert await line.bot.get_updates(offset=second.update_id + 1) == []


async def test_updates_come_in_portions_and_from_the_end_when_asked(line: Line) -> None:
    for number in range(120):
        await line.server.send_text(line.person, str(number))
    assert len(await line.bot.get_updates()) == 100
    assert len(await line.bot.get_updates(limit=3)) == 3
    last = await line.bot.get_updates(offset=-1)
    assert [update.message and update.message.text for update in last] == ["119"]


async def test_long_poll_ends_with_the_first_update(line: Line) -> None:
    await line.updates()
    polling = await long_poll(line.server, line.bot)
    assert not polling.done()
    await line.server.send_text(line.person, "now")
    assert [update.message and update.message.text for update in await polling] == ["now"]


async def test_newer_poll_ends_the_older_with_a_conflict(line: Line) -> None:
    await line.updates()
    older = await long_poll(line.server, line.bot)
    newer = asyncio.create_task(line.bot.get_updates(timeout=30))
    with pytest.raises(TelegramConflictError, match="terminated by other getUpdates request"):
        await older
    await line.server.send_text(line.person, "for the newer")
    assert len(await newer) == 1


async def test_only_the_kinds_asked_for_are_kept_and_the_wish_is_remembered(line: Line) -> None:
    await line.updates()
    await line.bot.get_updates(allowed_updates=["callback_query"])
    await line.server.send_text(line.person, "not asked for")
    await line.server.tap_data(line.person, 1, "x")
    updates = await line.bot.get_updates()
    assert [update.event_type for update in updates] == ["callback_query"]


async def test_webhook_gets_the_updates_with_its_secret_and_again_after_a_failure(line: Line) -> None:
    got: list[tuple[str | None, Any]] = []
    statuses = [500, 200, 200]

    async def receive(request: web.Request) -> web.Response:
        got.append((request.headers.get("X-Telegram-Bot-Api-Secret-Token"), await request.json()))
        return web.Response(status=statuses[len(got) - 1])

    async with AsyncExitStack() as stack:
        app = web.Application()
        app.router.add_post("/hook", receive)
        runner = web.AppRunner(app)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await line.server.send_text(line.person, "second")
        address = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        await line.bot.set_webhook(address, secret_token="a-secret", allowed_updates=["message"])
        with pytest.raises(TelegramConflictError, match="can't use getUpdates method while webhook is active"):
            await line.bot.get_updates()

        async def delivered() -> WebhookInfo | None:
            info = await line.bot.get_webhook_info()
            return None if info.pending_update_count else info

        info = await comes_true(delivered, "updates are still pending")
        assert (info.url, info.pending_update_count, info.allowed_updates) == (address, 0, ["message"])
        assert [secret for secret, _ in got] == ["a-secret"] * 3
        assert [update["message"]["text"] for _, update in got] == ["/start", "/start", "second"]
        await line.bot.delete_webhook()
    assert await line.bot.get_updates() == []
    assert (await line.bot.get_webhook_info()).url == ""


async def test_webhook_must_be_https_or_on_this_machine(line: Line) -> None:
    plain = line.bot.set_webhook("http://example.org/hook")
    assert "An HTTPS URL must be provided for webhook" in await refused(plain)
    assert "only on ports" in await refused(line.bot.set_webhook("https://example.org:99/hook"))
    odd = line.bot.set_webhook("https://127.0.0.1/hook", secret_token="не токен")
    assert "secret token contains unallowed characters" in await refused(odd)


async def test_webhook_started_anew_can_drop_what_waits(line: Line) -> None:
    await line.bot.delete_webhook(drop_pending_updates=True)
    assert await line.bot.get_updates() == []


# The bot about itself


async def test_commands_are_kept_by_scope_and_language(line: Line) -> None:
    private = BotCommandScopeAllPrivateChats()
    start = [BotCommand(command="start", description="Begin")]
    anfang = [BotCommand(command="start", description="Anfangen")]
    await line.bot.set_my_commands(start)
    await line.bot.set_my_commands(anfang, scope=private, language_code="de")
    assert [command.description for command in await line.bot.get_my_commands()] == ["Begin"]
    german = await line.bot.get_my_commands(scope=private, language_code="de")
    assert [command.description for command in german] == ["Anfangen"]
    assert await line.bot.get_my_commands(scope=private) == []
    loud = line.bot.set_my_commands([BotCommand(command="Start", description="Begin")])
    assert "BOT_COMMAND_INVALID" in await refused(loud)
    empty = line.bot.set_my_commands([BotCommand(command="start", description="")])
    assert "BOT_COMMAND_DESCRIPTION_INVALID" in await refused(empty)
    many = [BotCommand(command=f"c{number}", description="x") for number in range(101)]
    assert "BOT_COMMANDS_TOO_MUCH" in await refused(line.bot.set_my_commands(many))


async def test_words_about_the_bot_are_kept(line: Line) -> None:
    await line.bot.set_my_name("Viva")
    await line.bot.set_my_description("Talk to me.", language_code="en")
    await line.bot.set_my_short_description("A companion.")
    assert (await line.bot.get_my_name()).name == "Viva"
    assert (await line.bot.get_my_description(language_code="en")).description == "Talk to me."
    assert (await line.bot.get_my_short_description(language_code="de")).short_description == "A companion."
    assert "too long" in await refused(line.bot.set_my_short_description("x" * 121))
    await line.bot.set_chat_menu_button()
    assert (await line.bot.get_chat_menu_button()).type == "default"


# Faults on purpose


async def test_faults_come_as_telegram_words_them_and_then_end(line: Line) -> None:
    line.server.fail_next("sendMessage", 429, "Too Many Requests: retry after 5", retry_after=5)
    line.server.fail_next("sendMessage", 500, "Internal Server Error")
    with pytest.raises(TelegramRetryAfter) as caught:
        await line.say()
    assert caught.value.retry_after == 5
    with pytest.raises(TelegramServerError):
        await line.say()
    await line.say()
    assert len(line.server.messages(line.person)) == 2


async def test_connection_can_break_before_or_after_the_work(line: Line) -> None:
    line.server.cut_next("sendMessage", done_first=False)
    with pytest.raises(TelegramNetworkError):
        await line.say()
    assert len(line.server.messages(line.person)) == 1
    line.server.cut_next("sendMessage", done_first=True)
    with pytest.raises(TelegramNetworkError):
        await line.say()
    assert len(line.server.messages(line.person)) == 2


# Restarts


async def test_restart_keeps_history_updates_files_and_numbers(tmp_path: Path) -> None:
    server = TelegramServer(tmp_path, token=TOKEN, model_label="stand-in")
    await server.start()
    person = server.person(first_name="Ada")
    document = await server.send_document(person, b"kept", name="a.txt")
    async with bot_on(server) as bot:
        sent = await bot.send_message(person.id, "hi", reply_markup=keyboard([button()]))
        await bot.set_my_commands([BotCommand(command="start", description="Begin")])
        query_id = await server.tap(person, sent.message_id, "go")
        before = [update.update_id for update in await bot.get_updates()]
    messages, people, key = server.messages(person), list(server.chats.people), server.page_key
    await server.stop()
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'{"do":"message","chat":')

    again = TelegramServer(tmp_path, token=TOKEN, model_label="stand-in")
    await again.start()
    async with bot_on(again) as bot:
        assert again.messages(person) == messages
        assert list(again.chats.people) == people
        assert again.page_key == key
        assert [update.update_id for update in await bot.get_updates()] == before
        await bot.answer_callback_query(query_id)
        file = await bot.get_file(document["document"]["file_id"])
        written = await bot.download_file(str(file.file_path))
        assert written is not None and written.read() == b"kept"
        assert (await bot.get_my_commands())[0].command == "start"
        assert (await bot.send_message(person.id, "on")).message_id == sent.message_id + 1
        await again.send_text(person, "more")
        assert [update.update_id for update in await bot.get_updates()] == [*before, before[-1] + 1]
    await again.stop()

    third = TelegramServer(tmp_path, token=TOKEN, model_label="stand-in")
    assert [message.get("text") for message in third.messages(person)] == [None, "hi", "on", "more"]
    await third.stop()


async def test_busy_port_gives_way_to_a_free_one(line: Line, tmp_path: Path) -> None:
    second = TelegramServer(tmp_path / "second", token=TOKEN, model_label="stand-in")
    await second.start(port=line.server.port)
    try:
        assert second.port != line.server.port
        assert second.url.startswith("http://127.0.0.1:")
    finally:
        await second.stop()


async def test_stop_lets_a_waiting_bot_go(tmp_path: Path) -> None:
    server = TelegramServer(tmp_path, token=TOKEN, model_label="stand-in")
    await server.start()
    async with bot_on(server) as bot:
        polling = await long_poll(server, bot)
        await server.stop()
        assert await polling == []
