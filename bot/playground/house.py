"""What VIVA needs around it, brought along: a database, a model, a Telegram, each only where none is named."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path

from pydantic import SecretStr

from bot.config import STAND_IN_KEY, Settings
from bot.errors import SettingsError
from bot.playground.model import ModelServer
from bot.playground.postgres import EmbeddedPostgres
from bot.playground.telegram import TelegramServer
from storage import migrate

log = logging.getLogger(__name__)

TOKEN = "8484848484:playground-token-of-no-worth-outside"
STAND_IN_LABEL = "stand-in model"


@contextlib.asynccontextmanager
async def with_database(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with a database that is up to date: the one that DATABASE_URL names, else the embedded one.

    Raises SettingsError where the database cannot be reached or brought up to date.
    """
    if settings.database_url is not None:
        await _bring_up_to_date(settings.database_url)
        yield settings
        return
    _make_home(settings.viva_home)
    async with EmbeddedPostgres(settings.viva_home) as postgres:
        await _bring_up_to_date(postgres.admin_url)
        yield settings.model_copy(update={"database_url": postgres.url()})


async def _bring_up_to_date(url: str) -> None:
    try:
        if await migrate.pending(url):
            await migrate.migrate(url)
    except migrate.MigrationError as error:
        raise SettingsError(f"DATABASE_URL: {error}") from None


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"VIVA_HOME cannot be used: {error.strerror}.") from None


@contextlib.asynccontextmanager
async def with_model(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with the local stand-in model in the place of a provider."""
    server = ModelServer()
    await server.start()
    try:
        yield settings.model_copy(update={"openai_api_key": SecretStr(STAND_IN_KEY), "openai_base_url": server.url})
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def playground(settings: Settings) -> AsyncIterator[tuple[Settings, str]]:
    """Everything on this machine, and the address of the page to chat on. A model that is named is used."""
    async with contextlib.AsyncExitStack() as stack:
        label = settings.viva_chat_model
        if settings.openai_api_key is None and settings.openai_base_url is None:
            settings = await stack.enter_async_context(with_model(settings))
            label = STAND_IN_LABEL
        settings = await stack.enter_async_context(with_database(settings))
        _make_home(settings.viva_home)
        telegram = TelegramServer(settings.viva_home / "telegram", token=TOKEN, model_label=label)
        await telegram.start(port=settings.playground_port)
        stack.push_async_callback(telegram.stop)
        complete = settings.model_copy(
            update={
                "telegram_bot_token": SecretStr(TOKEN),
                "telegram_api_url": telegram.url,
                "telegram_webhook_url": None,
            }
        )
        yield complete, telegram.page_url
