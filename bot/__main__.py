"""The `viva` command: serve, playground, migrate, doctor, ledger check, grant, export, payments check, work."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import functools
import logging
import os
import shutil
import signal
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

from bot import logs
from bot.config import Settings, read_settings
from bot.errors import SettingsError

log = logging.getLogger(__name__)

EXIT_STOPPED = 0
EXIT_DIFFERENCES = 1
EXIT_WRONG_SETTINGS = 2

MOST_GRANTED = 1_000_000_000
"""Tokens in one grant by hand; more is a slip of the hand."""


def main() -> None:
    """Run the command; exit 0 stopped cleanly, 1 a check found something, 2 wrong configuration."""
    parser = argparse.ArgumentParser(prog="viva", description="VIVA, a companion for conscious life design.")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="serve Telegram, or the playground where no token is set (the default)")
    commands.add_parser("playground", help="chat with VIVA in a browser; needs no keys and no servers")
    commands.add_parser("migrate", help="bring the database up to date")
    commands.add_parser("doctor", help="check every door and say what is wrong")
    ledger = commands.add_parser("ledger", help="the balances")
    ledger.add_argument("what", choices=["check"], help="print every difference; exit 1 if there is one")
    grant = commands.add_parser("grant", help="give a person tokens, or take some where the number is below zero")
    grant.add_argument("telegram_id", type=int, metavar="TELEGRAM_ID")
    grant.add_argument("amount", type=int, metavar="AMOUNT", help="tokens")
    grant.add_argument("--reason", required=True, help="why, for the ledger")
    export = commands.add_parser("export", help="write everything of a person into an archive")
    export.add_argument("telegram_id", type=int, metavar="TELEGRAM_ID")
    export.add_argument("place", type=Path, metavar="FOLDER_OR_FILE", help="a folder, or the archive's name")
    payments = commands.add_parser("payments", help="payments in Telegram Stars")
    payments.add_argument("what", choices=["check"], help="print what Telegram tells differently; exit 1 if it does")
    work = commands.add_parser("work", help="work that was given up after too many tries")
    work.add_argument("what", choices=["list", "retry"], help="print it, or put it back into its lane")
    work.add_argument("id", type=int, nargs="?", metavar="ID", help="one piece of work; all without it")
    arguments = parser.parse_args()
    try:
        settings = read_settings()
        logs.set_up(settings.log_level)
        run: dict[str, Callable[[Settings], Coroutine[Any, Any, int]]] = {
            "migrate": _migrate,
            "doctor": _doctor,
            "ledger": _ledger,
            "grant": functools.partial(_grant, arguments),
            "export": functools.partial(_export, arguments),
            "payments": _payments,
            "work": functools.partial(_work, arguments),
            "playground": _playground,
        }
        code = asyncio.run(run.get(arguments.command or "serve", _serve)(settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        code = EXIT_WRONG_SETTINGS
    except KeyboardInterrupt:
        code = EXIT_STOPPED
    sys.exit(code)


@contextlib.asynccontextmanager
async def _stopping() -> AsyncIterator[asyncio.Event]:
    """An event that SIGTERM and Ctrl-C set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    yield stop


@contextlib.asynccontextmanager
async def _with_database(settings: Settings) -> AsyncIterator[Settings]:
    """The settings with a database that is up to date: the one named, or the embedded one."""
    from bot.playground.house import with_database

    async with with_database(settings) as complete:
        yield complete


async def _serve(settings: Settings) -> int:
    if settings.telegram_bot_token is None:
        return await _playground(settings)
    if settings.openai_api_key is None and settings.openai_base_url is None:
        from bot.playground.house import with_model

        log.warning("OPENAI_API_KEY is not set: the local stand-in model answers")
        async with with_model(settings) as complete:
            return await _serve_with(complete)
    return await _serve_with(settings)


async def _serve_with(settings: Settings) -> int:
    async with _stopping() as stop, _with_database(settings) as complete:
        from bot.app import App

        async with App.open(complete) as app:
            await app.run(stop)
    return EXIT_STOPPED


async def _playground(settings: Settings) -> int:
    from bot.playground.house import playground

    async with _stopping() as stop, playground(settings) as (complete, page_url):
        from bot.app import App

        def ready() -> None:
            kept = f"(Ctrl-C stops it; everything is kept in {settings.viva_home})"
            print(f"\n  VIVA is at  {page_url}\n  {kept}\n", flush=True)

        async with App.open(complete) as app:
            await app.run(stop, ready=ready)
    return EXIT_STOPPED


async def _migrate(settings: Settings) -> int:
    async with _with_database(settings):
        print("The database is up to date.")
    return EXIT_STOPPED


async def _doctor(settings: Settings) -> int:
    from bot.doctor import examine

    async with _with_database(settings) as complete:
        return EXIT_STOPPED if await examine(complete) else EXIT_DIFFERENCES


async def _ledger(settings: Settings) -> int:
    from bot.services import upkeep
    from storage.database import Database

    async with _with_database(settings) as complete:
        assert complete.database_url is not None
        database = await Database.connect(complete.database_url, pool_size=2, pooled=complete.database_pooled)
        differences = await upkeep.ledger_differences(database)
        await database.close()
    for difference in differences:
        print(f"{difference.user_id}  {difference.rule}: expected {difference.expected}, found {difference.found}")
    if not differences:
        print("The ledger is exact.")
    return EXIT_DIFFERENCES if differences else EXIT_STOPPED


async def _payments(settings: Settings) -> int:
    from bot.engine import payments
    from storage.database import Database

    if settings.telegram_bot_token is None:
        raise SettingsError("TELEGRAM_BOT_TOKEN is not set: only Telegram can say what was paid.")
    async with _with_database(settings) as complete:
        assert complete.database_url is not None
        database = await Database.connect(complete.database_url, pool_size=2, pooled=complete.database_pooled)
        try:
            async with payments.bot_of(complete) as bot:
                differences = await payments.differences(bot, database)
        finally:
            await database.close()
    for difference in differences:
        telegram, viva = difference.telegram or "unknown", difference.viva or "unknown"
        print(f"{difference.charge_id}  Telegram: {telegram}, VIVA: {viva}")
    if not differences:
        print("Every payment is in the books.")
    return EXIT_DIFFERENCES if differences else EXIT_STOPPED


async def _work(arguments: argparse.Namespace, settings: Settings) -> int:
    from storage import work
    from storage.database import Database

    one: int | None = arguments.id
    async with _with_database(settings) as complete:
        assert complete.database_url is not None
        database = await Database.connect(complete.database_url, pool_size=2, pooled=complete.database_pooled)
        try:
            async with database.as_service().transaction() as transaction:
                parked = [each for each in await work.parked(transaction) if one in (None, each.id)]
                replayed = await work.replay(transaction, one) if arguments.what == "retry" else 0
        finally:
            await database.close()
    if arguments.what == "retry":
        print(f"Put back into line: {replayed}.")
        return EXIT_STOPPED if replayed or one is None else EXIT_DIFFERENCES
    for each in parked:
        print(f"{each.id}  {each.created_at:%Y-%m-%d %H:%M} UTC  {each.name}  {each.error}")
    if not parked:
        print("Nothing was given up.")
    return EXIT_DIFFERENCES if parked else EXIT_STOPPED


async def _grant(arguments: argparse.Namespace, settings: Settings) -> int:
    from storage import grants
    from storage.database import Database

    person, amount, reason = arguments.telegram_id, arguments.amount, arguments.reason.strip()
    if not reason or not 0 < abs(amount) <= MOST_GRANTED:
        print(f"Name a reason, and an amount up to {MOST_GRANTED:,} that is not 0.", file=sys.stderr)
        return EXIT_DIFFERENCES
    async with _with_database(settings) as complete:
        assert complete.database_url is not None
        database = await Database.connect(complete.database_url, pool_size=2, pooled=complete.database_pooled)
        try:
            async with database.as_service().transaction() as transaction:
                user_id = await grants.find_person(transaction, telegram_id=person)
                if user_id is None:
                    print(f"Nobody with the Telegram id {person} has written to VIVA.", file=sys.stderr)
                    return EXIT_DIFFERENCES
                answer = await grants.adjust(
                    transaction, user_id=user_id, amount=amount, reference=f"admin:{uuid.uuid4()}", reason=reason
                )
        finally:
            await database.close()
    if not answer.done:
        print(f"Nothing was taken: only {answer.free:,} tokens are free, and {-amount:,} were asked.", file=sys.stderr)
        return EXIT_DIFFERENCES
    print(f"{'Given' if amount > 0 else 'Taken'}: {abs(amount):,} tokens. Free now: {answer.free + amount:,}.")
    return EXIT_STOPPED


async def _export(arguments: argparse.Namespace, settings: Settings) -> int:
    from bot.media import Media
    from bot.services import export, scratch
    from storage import grants
    from storage.database import Database

    person: int = arguments.telegram_id
    place: Path = arguments.place
    if await asyncio.to_thread(place.is_dir):
        place = place / f"viva-{person}.zip"
    async with _with_database(settings) as complete:
        assert complete.database_url is not None
        database = await Database.connect(complete.database_url, pool_size=2, pooled=complete.database_pooled)
        try:
            async with database.as_service().transaction() as transaction:
                user_id = await grants.find_person(transaction, telegram_id=person)
            if user_id is None:
                print(f"Nobody with the Telegram id {person} has written to VIVA.", file=sys.stderr)
                return EXIT_DIFFERENCES
            media = Media.open(complete.media_location)
            await asyncio.to_thread(scratch.sweep, complete.viva_home)
            archive = export.pack(
                user_id=user_id,
                transaction=database.as_user(user_id).transaction,
                media=media,
                home=complete.viva_home,
            )
            async with contextlib.aclosing(archive) as parts:
                async for whole in parts:
                    await asyncio.to_thread(_keep, whole, place)
        except OSError as error:
            print(f"{place} could not be written: {error.strerror}.", file=sys.stderr)
            return EXIT_DIFFERENCES
        finally:
            await database.close()
    print(f"Everything of {person} is in {place}; whoever opens it can read it all.")
    return EXIT_STOPPED


def _keep(whole: Path, place: Path) -> None:
    """Copy the archive to its place, where nobody else may read it and nothing may stand yet."""
    with whole.open("rb") as source, open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        shutil.copyfileobj(source, target)


if __name__ == "__main__":
    main()
