"""`viva doctor`: knocks at every door and says what is wrong, in one line each."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiogram import Bot
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.exceptions import TelegramAPIError

from bot import logs
from bot.ai import elevenlabs, pictures, prices
from bot.ai.model import reach
from bot.config import Settings
from bot.errors import SettingsError, VivaError
from bot.media import Media, MediaUnavailable
from bot.services import upkeep
from storage import recall
from storage.database import Database, DatabaseUnavailable


class _Wrong(Exception):
    """What is wrong with a door, in one sentence."""


async def examine(settings: Settings) -> bool:
    """Print a line a door; whether all is well. `settings` name a database that is up to date."""
    doors: list[tuple[str, Callable[[Settings], Awaitable[str]]]] = [
        ("database", _database),
        ("ledger", _ledger),
        ("media store", _media),
        ("Telegram", _telegram),
        ("model", _model),
    ]
    well = True
    for name, knock in doors:
        try:
            async with asyncio.timeout(30):
                found = await knock(settings)
            print(f"  ok     {name}: {found}")
        except (_Wrong, VivaError, SettingsError, MediaUnavailable, DatabaseUnavailable) as error:
            well = False
            print(f"  wrong  {name}: {logs.without_secrets(str(error))}")
        except TimeoutError:
            well = False
            print(f"  wrong  {name}: no answer within 30 seconds")
    return well


async def _database(settings: Settings) -> str:
    database = await _open(settings)
    try:
        async with database.as_service().transaction() as transaction:
            version = await transaction.value("select current_setting('server_version')")
            vectors = await recall.has_vectors(transaction)
            above = await transaction.value(
                "select rolsuper or rolbypassrls from pg_catalog.pg_roles where rolname = session_user"
            )
        if above:
            raise _Wrong(
                "DATABASE_URL logs in as a role above row-level security; use the role viva, which has no rights"
            )
        if vectors:
            return f"Postgres {version}, up to date"
        if settings.viva_embedding_model is not None:
            raise _Wrong(
                "VIVA_EMBEDDING_MODEL is set, but this database has no pgvector, so it is found by its words alone; "
                "have an administrator run `create extension vector;`, then `select viva.enable_vectors();`"
            )
        return f"Postgres {version}, up to date, without pgvector: memory goes by words alone"
    finally:
        await database.close()


async def _ledger(settings: Settings) -> str:
    database = await _open(settings)
    try:
        differences = await upkeep.ledger_differences(database)
        if differences:
            raise _Wrong(f"{len(differences)} differences; `viva ledger check` lists them")
        return "exact"
    finally:
        await database.close()


async def _open(settings: Settings) -> Database:
    assert settings.database_url is not None
    return await Database.connect(settings.database_url, pool_size=2)


async def _media(settings: Settings) -> str:
    media = Media.open(settings.media_location)
    await media.put("doctor/knock", b"knock")
    if await media.get("doctor/knock") != b"knock":
        raise _Wrong("what was stored did not come back")
    await media.delete("doctor/knock")
    return settings.media_location.partition("://")[0] + " store takes and gives"


async def _telegram(settings: Settings) -> str:
    if settings.telegram_bot_token is None:
        return "TELEGRAM_BOT_TOKEN is not set: the playground is used"
    session = AiohttpSession(api=TelegramAPIServer.from_base(settings.telegram_api_url))
    try:
        me = await Bot(settings.telegram_bot_token.get_secret_value(), session=session).get_me()
    except TelegramAPIError as error:
        raise _Wrong(f"the bot's token does not work ({type(error).__name__})") from None
    finally:
        await session.close()
    return f"@{me.username}"


async def _model(settings: Settings) -> str:
    book = prices.read(settings.viva_prices_file)
    finding: list[tuple[str, str | None, Callable[[str], object]]] = [
        ("VIVA_CHAT_MODEL", settings.viva_chat_model, lambda model: book.for_text(model, prices.today())),
        (
            "VIVA_TRANSCRIBE_MODEL",
            settings.viva_transcribe_model,
            lambda model: book.for_transcription(model, prices.today()),
        ),
        (
            "VIVA_SPEECH_MODEL" if settings.elevenlabs_api_key is None else "ELEVENLABS_MODEL",
            settings.speech_model,
            lambda model: book.for_speech(model, prices.today()),
        ),
        (
            "VIVA_IMAGE_MODEL",
            settings.viva_image_model,
            lambda model: book.for_image(model, pictures.SIZE, pictures.QUALITY, prices.today()),
        ),
        (
            "VIVA_EMBEDDING_MODEL",
            settings.viva_embedding_model,
            lambda model: book.for_embedding(model, prices.today()),
        ),
    ]
    missing = []
    for name, model, find in finding:
        if model is not None:
            try:
                find(model)
            except prices.UnknownPrice:
                missing.append(f"{name}={model}")
    if missing:
        raise _Wrong(f"no price for {' and '.join(missing)}; put rows into a file named by VIVA_PRICES_FILE")
    if settings.elevenlabs_api_key is not None:
        await elevenlabs.reach(settings.elevenlabs_api_key, settings.elevenlabs_base_url)
    if settings.openai_api_key is None and settings.openai_base_url is None:
        return "OPENAI_API_KEY is not set: the local stand-in answers"
    await reach(settings.openai_api_key, settings.openai_base_url)
    return (
        f"{settings.provider} answers; {settings.viva_chat_model}, {settings.viva_transcribe_model or 'no listening'}"
    )
