"""The composition root: opens the doors, builds the routing once, runs until stopped."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

from aiogram import Bot, Dispatcher
from aiogram.client.default import DefaultBotProperties
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import (
    ClientDecodeError,
    TelegramAPIError,
    TelegramBadRequest,
    TelegramNotFound,
    TelegramUnauthorizedError,
)
from aiogram.methods import SetWebhook
from aiogram.types import LinkPreviewOptions, Update
from aiohttp import web
from pydantic import ValidationError

import handlers
from bot.ai import elevenlabs, prices, tokens
from bot.ai.meter import Meter
from bot.ai.model import Model
from bot.ai.provider import Models
from bot.config import Settings
from bot.engine.files import TelegramFiles
from bot.engine.frames import TelegramFrames
from bot.engine.health import Health
from bot.engine.intake import Intake
from bot.engine.lanes import Lanes, Unlisted, Unreadable, where
from bot.engine.metrics import Metrics
from bot.engine.outbox import Outbox
from bot.engine.payments import TelegramPayments
from bot.engine.process import Process
from bot.engine.schedule import Schedule
from bot.errors import SettingsError
from bot.media import Media
from bot.middlewares import Identity
from bot.services import scratch, upkeep
from bot.services.doors import Doors
from bot.services.work import Work
from storage import work as store
from storage.database import Database, DatabaseUnavailable

log = logging.getLogger(__name__)

WEBHOOK_PATH = "/telegram"
DRAIN_SECONDS = 20.0
"""How long what is in hand may still take at the end; what is not done then is taken up by the next process."""

DATABASE_SECONDS = 60.0
"""How long a start waits for the database; then whoever started this process starts it again."""

SENDING_SECONDS = 5.0
"""How long what is due is still sent at the end; the rest waits in the database for the next process."""


@functools.cache
def routing() -> Dispatcher:
    """The routing table, built once a process; it holds no state and takes what it needs with each update."""
    dispatcher = Dispatcher(disable_fsm=True)
    dispatcher.include_routers(*handlers.ROUTERS)
    dispatcher.update.outer_middleware(Identity())
    return dispatcher


class App:
    """The running service. Made by `App.open(settings)`, run by `run()`."""

    def __init__(self, settings: Settings, bot: Bot, database: Database, model: Model, media: Media) -> None:
        self.bot, self.database = bot, database
        self._settings, self._model = settings, model
        self._frames = TelegramFrames(bot)
        self._process = Process(database)
        metrics = Metrics()
        self._outbox = Outbox(
            database,
            self._process,
            bot,
            media,
            doubt=handlers.doubt(),
            chat_rate=settings.telegram_chat_rate,
            all_rate=settings.telegram_rate,
            metrics=metrics,
        )
        self.lanes = Lanes(
            database,
            self._process,
            doors=Doors(
                model=model,
                media=media,
                sent_files=TelegramFiles(bot),
                payments=TelegramPayments(bot),
                context_tokens=settings.viva_context_tokens,
                upload_limit=int(settings.telegram_upload_mb * 1_000_000),
                home=settings.viva_home,
            ),
            frames=self._frames,
            handle=self._handle,
            sorry=handlers.sorry,
            jobs=handlers.JOBS,
            outbox_wake=self._outbox.wake,
            service_jobs=upkeep.jobs(settings, media),
            alarm=functools.partial(handlers.alarm, settings.viva_admin_ids),
            metrics=metrics,
        )
        self.schedule = Schedule(database, wake=self.lanes.wake)
        self.intake = Intake(
            database,
            self._process,
            bot,
            wake=self.lanes.wake,
            allowed_updates=routing().resolve_used_update_types(),
            metrics=metrics,
        )
        self.health = Health(
            database,
            intake=self.intake,
            lanes=self.lanes,
            outbox=self._outbox,
            metrics=metrics,
            polling=settings.telegram_webhook_url is None,
        )

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[App]:
        """The app with its doors open; closes them at the end."""
        assert settings.telegram_bot_token is not None and settings.database_url is not None
        # No limit here: each kind of call has its own, and none waits for a connection behind those of another kind.
        session = AiohttpSession(api=TelegramAPIServer.from_base(settings.telegram_api_url), limit=0)
        defaults = DefaultBotProperties(link_preview=LinkPreviewOptions(is_disabled=True))
        async with contextlib.AsyncExitStack() as doors:
            bot = Bot(settings.telegram_bot_token.get_secret_value(), session=session, default=defaults)
            doors.push_async_callback(session.close)
            database = await _connected(settings)
            doors.push_async_callback(database.close)
            model = Model(
                api_key=settings.openai_api_key.get_secret_value() if settings.openai_api_key is not None else "none",
                base_url=settings.openai_base_url,
                models=Models(
                    chat=settings.viva_chat_model,
                    transcribe=settings.viva_transcribe_model,
                    speech=settings.speech_model,
                    image=settings.viva_image_model,
                    embedding=settings.viva_embedding_model,
                ),
                meter=Meter(database),
                price_book=prices.read(settings.viva_prices_file),
                speaker=None
                if settings.elevenlabs_api_key is None
                else elevenlabs.open_speaker(
                    api_key=settings.elevenlabs_api_key, base_url=settings.elevenlabs_base_url
                ),
            )
            doors.push_async_callback(model.close)
            yield cls(settings, bot, database, model, Media.open(settings.media_location, database=database))

    async def _handle(self, work: Work) -> None:
        if work.head.name not in self.intake.allowed_updates:
            # This version never asked for the kind: a newer one may have, where both run for a while. aiogram would
            # print one it does not know, words and all.
            async with self.database.as_service().transaction() as transaction:
                if await store.has_younger(transaction, self._process.id):
                    raise Unlisted
                await work.commit(transaction)
            return
        try:
            update = Update.model_validate(work.head.payload, context={"bot": self.bot})
        except ValidationError:
            raise Unreadable from None
        me = await self.bot.me()
        await routing().feed_update(
            self.bot,
            update,
            work=work,
            database=self.database,
            settings=self._settings,
            worth=self._model,
            bot_name=me.username,
        )

    async def run(self, stop: asyncio.Event, *, ready: Callable[[], None] = lambda: None) -> None:
        """Serve until `stop` is set; then take nothing new in, let what is running end, and leave.

        `ready` is called once updates are being taken in.

        Cancelled, it leaves at once: what is running then is taken up again by the next process. Raises SettingsError
        where Telegram refuses the token or the webhook's address.
        """
        async with contextlib.AsyncExitStack() as running:
            tasks: list[asyncio.Task[Any]] = []

            def forever(work: Coroutine[Any, Any, Any]) -> None:
                tasks.append(asyncio.create_task(work))
                running.push_async_callback(_cancel, tasks[-1])

            forever(stop.wait())
            if not await self._ask(stop, self._meet):
                return
            running.push_async_callback(self._process.stop)
            if not await self._sign_on(stop):
                return
            await handlers.introduce(self.bot)
            await asyncio.to_thread(scratch.sweep, self._settings.viva_home)
            forever(self._process.run())
            forever(self.health.run())
            if self._settings.metrics_port is not None:
                await _serve(running, self.health.application(), self._settings.metrics_port, name="METRICS_PORT")
            running.push_async_callback(self._frames.close)
            forever(self._outbox.run())
            running.push_async_callback(self._outbox.drain, seconds=SENDING_SECONDS)
            running.push_async_exit(self._drain)
            forever(self.lanes.run())
            forever(self.schedule.run())
            running.push_async_callback(self.intake.drain)
            if self._settings.telegram_webhook_url is None:
                running.push_async_callback(self.intake.confirm)
                forever(self.intake.poll())
            else:
                await self._listen(running, stop)
            ready()
            # Unpacking the vocabulary takes most of a second, which nobody's first message should wait for.
            await asyncio.to_thread(tokens.encoding)
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            log.info("draining")
            for task in ended:
                if (error := task.exception()) is not None:
                    # Whoever started this process starts a new one, which takes up what this one leaves.
                    error = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error
                    log.critical("VIVA cannot go on", extra={"error": type(error).__name__, "where": where(error)})
                    raise RuntimeError("a part of VIVA failed; its log says which") from None

    async def _drain(self, _: object, error: BaseException | None, __: object) -> None:
        await self.lanes.drain(seconds=0.0 if isinstance(error, asyncio.CancelledError) else DRAIN_SECONDS)

    async def _sign_on(self, stop: asyncio.Event) -> bool:
        """Sign on as soon as the database lets us; False when `stop` was set first."""
        while not stop.is_set():
            try:
                await self._process.start()
                return True
            except DatabaseUnavailable as error:
                log.warning("the database does not answer yet: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await stop.wait()
        return False

    async def _meet(self) -> None:
        """Learn who the bot is; a webhook of another time would keep updates from polling."""
        await self.bot.me()
        if self._settings.telegram_webhook_url is None:
            await self.bot.delete_webhook()

    async def _ask(self, stop: asyncio.Event, question: Callable[[], Awaitable[object]]) -> bool:
        """Ask Telegram until it answers; False when `stop` was set first. Raises SettingsError, TelegramBadRequest."""
        pause = 1.0
        while not stop.is_set():
            try:
                await question()
                return True
            except (TelegramUnauthorizedError, TelegramNotFound):
                address = self._settings.telegram_api_url
                raise SettingsError(f"TELEGRAM_BOT_TOKEN is refused by the Bot API at {address}.") from None
            except TelegramBadRequest:
                raise
            except (TelegramAPIError, ClientDecodeError) as error:
                log.warning("Telegram does not answer: %s", type(error).__name__)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await stop.wait()
            pause = min(30.0, pause * 2)
        return False

    async def _listen(self, running: contextlib.AsyncExitStack, stop: asyncio.Event) -> None:
        assert self._settings.telegram_webhook_url is not None and self._settings.telegram_webhook_secret is not None
        secret = self._settings.telegram_webhook_secret.get_secret_value()
        webhook = self.intake.webhook(secret, path=WEBHOOK_PATH)
        await _serve(running, webhook, self._settings.webhook_port, name="WEBHOOK_PORT")
        call = SetWebhook(
            url=self._settings.telegram_webhook_url.rstrip("/") + WEBHOOK_PATH,
            secret_token=secret,
            allowed_updates=self.intake.allowed_updates,
        )
        try:
            await self._ask(stop, functools.partial(self.bot, call))
        except TelegramBadRequest as error:
            raise SettingsError(f"TELEGRAM_WEBHOOK_URL is refused by Telegram: {error.message}.") from None


async def _connected(settings: Settings) -> Database:
    """The database; one that is starting, or recovering from a crash, is waited for."""
    assert settings.database_url is not None
    ends = time.monotonic() + DATABASE_SECONDS
    while True:
        try:
            return await Database.connect(
                settings.database_url, pool_size=settings.database_pool_size, pooled=settings.database_pooled
            )
        except DatabaseUnavailable as error:
            if time.monotonic() > ends:
                raise
            log.warning("the database does not answer yet: %s", error)
        await asyncio.sleep(1)


async def _serve(running: contextlib.AsyncExitStack, application: web.Application, port: int, *, name: str) -> None:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    running.push_async_callback(runner.cleanup)
    try:
        await web.TCPSite(runner, port=port).start()
    except OSError as error:
        raise SettingsError(f"{name} cannot be listened on: {error.strerror}.") from None


async def _cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
