"""The whole of VIVA as a person meets it: the real bot over HTTP, a local Bot API server, a local model, Postgres."""

from __future__ import annotations

import asyncio
import contextlib
import io
import math
import struct
import time
import uuid
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import SecretStr

from bot.app import App
from bot.config import Settings
from bot.playground.house import TOKEN
from bot.playground.model import ModelServer
from bot.playground.telegram import TelegramServer
from storage.database import Database

PATIENCE = 180.0
"""Seconds until a promise counts as broken; generous, for two cores busy with other things as well."""


class Screen:
    """A message of the bot as the person sees it."""

    def __init__(self, message: dict[str, Any]) -> None:
        self.message = message
        self.text: str = message.get("text") or message.get("caption") or ""
        self.photo = message.get("photo")
        self.rows = [
            [button["text"] for button in row] for row in message.get("reply_markup", {}).get("inline_keyboard", [])
        ]
        self.buttons = [label for row in self.rows for label in row]

    def data(self, label: str) -> str:
        """The callback data behind the button whose label contains `label`."""
        for row in self.message.get("reply_markup", {}).get("inline_keyboard", []):
            for button in row:
                if label in button["text"]:
                    return str(button["callback_data"])
        raise AssertionError(f"no button {label!r} among {self.buttons}")


class Someone:
    """A person with a Telegram account, and what they can do."""

    def __init__(self, viva: Viva, first_name: str) -> None:
        self._viva = viva
        self.account = viva.telegram.person(first_name=first_name)
        self.id = self.account.id

    async def send(self, text: str, *, reply_to: int | None = None) -> Screen | None:
        """Send a text, and see the newest screen once VIVA has answered."""
        await self._viva.telegram.send_text(self.account, text, reply_to=reply_to)
        await self._viva.quiet()
        return self.screens[-1] if self.screens else None

    async def send_without_waiting(self, text: str) -> None:
        """Send a text and go on at once."""
        await self._viva.telegram.send_text(self.account, text)

    async def tap(self, label: str, *, wait: bool = True) -> Screen:
        """Tap the newest button whose label contains `label`, and see the newest screen once VIVA has answered."""
        for screen in reversed(self.screens):
            if any(label in button for button in screen.buttons):
                data = screen.data(label)
                await self._viva.telegram.tap_data(self.account, screen.message["message_id"], data)
                if wait:
                    await self._viva.quiet()
                return self.screen
        raise AssertionError(f"no button {label!r}; the last screen says {self.screen.text!r} {self.screen.buttons}")

    async def tap_data(self, data: str, *, message_id: int | None = None) -> Screen:
        """Tap with callback data of one's own making, as a forged or late tap would come."""
        message = message_id or self.screen.message["message_id"]
        await self._viva.telegram.tap_data(self.account, message, data)
        await self._viva.quiet()
        return self.screen

    async def send_voice(self, *, seconds: float = 2, words: str | None = None, wait: bool = True) -> None:
        """Send a voice note; the stand-in model hears `words` in it."""
        if words is not None:
            self._viva.model.script("audio/transcriptions", text=words)
        await self._viva.telegram.send_voice(self.account, tone(seconds))
        if wait:
            await self._viva.quiet()

    async def send_photo(self, *, caption: str = "", wait: bool = True) -> None:
        """Send a photo."""
        await self._viva.telegram.send_photo(self.account, picture(), caption=caption)
        if wait:
            await self._viva.quiet()

    @property
    def screens(self) -> list[Screen]:
        """Everything the bot says in the chat, as it stands, oldest first."""
        messages = self._viva.telegram.messages(self.account)
        return [Screen(message) for message in messages if message["from"]["is_bot"]]

    @property
    def screen(self) -> Screen:
        """The bot's newest message."""
        assert self.screens, "the bot has said nothing"
        return self.screens[-1]

    @property
    def messages(self) -> list[str]:
        """The texts of the bot's messages, oldest first."""
        return [screen.text for screen in self.screens]

    @property
    def drafts(self) -> list[dict[str, Any]]:
        """The frames of drafts shown, oldest first."""
        return self._viva.telegram.drafts(self.account)

    async def wait(self, condition: Callable[[], Any]) -> None:
        """Wait until the condition holds."""
        await wait_until(condition, lambda: f"the last screens say {self.messages[-3:]}")

    async def user_id(self) -> uuid.UUID:
        """The person's id in the database."""
        rows = await self._viva.service_rows(
            "select user_id from viva.telegram_accounts where telegram_id = $1", self.id
        )
        return uuid.UUID(str(rows[0]["user_id"]))


class Viva:
    """The running service with its surroundings; made by `open_world`."""

    def __init__(self, settings: Settings, telegram: TelegramServer, model: ModelServer, database: Database) -> None:
        self.settings = settings
        self.telegram = telegram
        self.model = model
        self.database = database
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self.app: App | None = None

    async def start(self) -> None:
        """Start the service."""
        self._stop = asyncio.Event()
        ready: asyncio.Future[App] = asyncio.get_running_loop().create_future()

        async def serve() -> None:
            async with App.open(self.settings) as app:
                ready.set_result(app)
                await app.run(self._stop)

        self._running = asyncio.create_task(serve())
        await asyncio.wait({self._running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if self._running.done():
            await self._running
        self.app = ready.result()

    async def stop(self, *, kill: bool = False) -> None:
        """Stop the service: cleanly, or in the middle of whatever it does."""
        if self._running is None:
            return
        if kill:
            self._running.cancel()
        self._stop.set()
        await asyncio.gather(self._running, return_exceptions=True)
        self._running = None

    async def restart(self, *, kill: bool = False, **changes: Any) -> None:
        """Stop and start, with settings changed where named."""
        await self.stop(kill=kill)
        self.settings = self.settings.model_copy(update=changes)
        await self.start()

    async def person(self, first_name: str = "Ada") -> Someone:
        """A new person on Telegram who has not said a word."""
        return Someone(self, first_name)

    async def onboarded(
        self,
        first_name: str = "Ada",
        *,
        has_children: bool | None = True,
        relationship_status: str | None = "single",
        employment_type: str | None = "employee",
        time_zone: str | None = "UTC",
    ) -> Someone:
        """A person who has said yes to everything, with these facts, at the home screen."""
        person = await self.person(first_name)
        await person.send("/start")
        user_id = await person.user_id()
        async with self.database.as_user(user_id).transaction() as db:
            await db.execute(
                """
                update viva.telegram_accounts
                   set consent_version = 1, consented_at = now(), waiting_for = null, time_zone = $1
                """,
                time_zone,
            )
            await db.execute(
                """
                update user_profiles set first_name = $1, has_children = $2, relationship_status = $3,
                       employment_type = $4 where is_active
                """,
                first_name,
                has_children,
                relationship_status,
                employment_type,
            )
        await person.send("/start")
        return person

    async def quiet(self) -> None:
        """Wait until there is nothing left to do: no update, no job, no message on its way."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if not self.telegram.chats.updates:
                async with self.database.as_service().transaction() as db:
                    waiting = await db.value(
                        """
                        select (select count(*) from viva.work where state = 'waiting')
                             + (select count(*) from viva.outbox where state = 'waiting')
                        """
                    )
                if waiting == 0:
                    return
            await asyncio.sleep(0.02)
        rows = await self.service_rows(
            """
            select name, state, attempts, error from viva.work where state = 'waiting'
            union all select method, state, attempts, error from viva.outbox where state = 'waiting'
            """
        )
        raise AssertionError(f"VIVA is still busy after {PATIENCE} s: {rows}")

    async def rows(self, person: Someone, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows as the person sees them."""
        async with self.database.as_user(await person.user_id()).transaction() as db:
            return [dict(row) for row in await db._connection.fetch(sql, *values)]

    async def service_rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows as the service sees them."""
        async with self.database.as_service().transaction() as db:
            return [dict(row) for row in await db._connection.fetch(sql, *values)]


async def wait_until(condition: Callable[[], Any], otherwise: str | Callable[[], str]) -> None:
    """Wait until the condition holds; AssertionError with `otherwise`, as it is then, when it never does."""
    until = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"it never came to that: {otherwise if isinstance(otherwise, str) else otherwise()}")
        await asyncio.sleep(0.02)


async def comes_true(condition: Callable[[], Awaitable[Any]], otherwise: str) -> Any:
    """Wait until what the condition gives is true, and give it; AssertionError with `otherwise` when it never is."""
    until = time.monotonic() + PATIENCE
    while not (found := await condition()):
        if time.monotonic() > until:
            raise AssertionError(f"it never came to that: {otherwise}")
        await asyncio.sleep(0.02)
    return found


@contextlib.asynccontextmanager
async def open_world(folder: Path, database_url: str, **changes: Any) -> AsyncIterator[Viva]:
    """VIVA on a database of its own, started."""
    model = ModelServer(pace=0)
    await model.start()
    telegram = TelegramServer(folder / "telegram", token=TOKEN, model_label="stand-in")
    await telegram.start()
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        telegram_bot_token=SecretStr(TOKEN),
        telegram_api_url=telegram.url,
        telegram_chat_rate=1000,
        telegram_rate=10_000,
        openai_api_key=SecretStr("stand-in"),
        openai_base_url=model.url,
        database_url=database_url,
        media_url=(folder / "media").as_uri(),
        viva_home=folder / "home",
    ).model_copy(update=changes)
    database = await Database.connect(database_url, pool_size=2)
    viva = Viva(settings, telegram, model, database)
    try:
        await viva.start()
        yield viva
    finally:
        await viva.stop()
        await database.close()
        await telegram.stop()
        await model.stop()


def tone(seconds: float) -> bytes:
    """A WAV recording of a quiet tone."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        frames = (int(3000 * math.sin(i / 8)) for i in range(int(seconds * 16_000)))
        sound.writeframes(b"".join(struct.pack("<h", frame) for frame in frames))
    return buffer.getvalue()


def picture() -> bytes:
    """A small JPEG."""
    buffer = io.BytesIO()
    Image.new("RGB", (640, 480), (90, 140, 110)).save(buffer, "JPEG")
    return buffer.getvalue()
