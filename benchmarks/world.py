"""What the benchmarks share: VIVA with all it needs in this process, moments on the wire, SQL counted, and figures."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import platform
import re
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
from aiogram import Bot
from pydantic import SecretStr

from bot import logs
from bot.app import App
from bot.config import STAND_IN_KEY, Settings
from bot.playground import markup
from bot.playground.chats import Draft, Json, Person
from bot.playground.house import TOKEN
from bot.playground.model import ModelServer
from bot.playground.postgres import EmbeddedPostgres
from bot.playground.telegram import TelegramServer
from storage import migrate

PATIENCE = 30.0
"""Seconds until something that should have happened counts as broken."""

QUIET_SECONDS = 0.03
HEARTBEAT = ("viva.processes", "viva.bury(", "viva.lead(")
"""Statements that run by the clock, whatever people do."""


# ------------------------------------------------------------------------------------------- SQL


@dataclass(frozen=True)
class Statement:
    """One round trip to Postgres: when it ended (`time.perf_counter`), and the seconds it was waited for."""

    ended: float
    waited: float
    sql: str


@dataclass(frozen=True)
class Transaction:
    """The statements from `begin` to `commit` on one connection; or a single one outside of those."""

    statements: tuple[Statement, ...]

    @property
    def ended(self) -> float:
        """When its last statement was answered."""
        return self.statements[-1].ended

    def has(self, words: str) -> bool:
        """Whether one of its statements contains these words."""
        return any(words in statement.sql for statement in self.statements)

    @property
    def name(self) -> str:
        """Its statements in short, as a cell of a table."""
        return " · ".join(f"`{_brief(statement.sql)}`" for statement in self.statements)

    @property
    def waited(self) -> float:
        """Seconds in which its statements were waited for."""
        return sum(statement.waited for statement in self.statements)


class Statements:
    """Every statement sent over the pooled connections that are made inside `watched()`."""

    def __init__(self) -> None:
        self.transactions: list[Transaction] = []
        self._open: dict[int, list[Statement]] = {}
        self._connections = 0

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Give each connection of a pool that is made meanwhile a query logger."""
        create_pool = asyncpg.create_pool

        def create_watched_pool(*values: Any, init: Any = None, **options: Any) -> Any:
            async def prepare(connection: Any) -> None:
                if init is not None:
                    await init(connection)
                self._watch(connection)

            return create_pool(*values, init=prepare, **options)

        setattr(asyncpg, "create_pool", create_watched_pool)  # noqa: B010 - a module's name, as asyncpg has no hook
        try:
            yield
        finally:
            setattr(asyncpg, "create_pool", create_pool)  # noqa: B010

    def _watch(self, connection: Any) -> None:
        self._connections += 1
        number = self._connections

        def note(record: Any) -> None:
            self._note(number, Statement(time.perf_counter(), record.elapsed, " ".join(record.query.split())))

        connection.add_query_logger(note)

    def _note(self, connection: int, statement: Statement) -> None:
        opened = self._open.pop(connection, None)
        if opened is None and not statement.sql.startswith("begin"):
            self.transactions.append(Transaction((statement,)))
            return
        opened = [*(opened or []), statement]
        if statement.sql in ("commit", "rollback"):
            self.transactions.append(Transaction(tuple(opened)))
        else:
            self._open[connection] = opened

    def since(self, moment: float) -> list[Transaction]:
        """The transactions that ended after `moment`, without the heartbeat."""
        return [each for each in self.transactions if each.ended >= moment and not any(map(each.has, HEARTBEAT))]

    def forget(self) -> None:
        """Drop what was noted so far."""
        self.transactions.clear()

    async def quiet(self) -> None:
        """Return when nothing has been sent for a moment."""
        until = time.perf_counter() + PATIENCE
        while time.perf_counter() < until:
            last = self.transactions[-1].ended if self.transactions else 0.0
            if not self._open and time.perf_counter() - last > QUIET_SECONDS:
                return
            await asyncio.sleep(QUIET_SECONDS / 4)
        raise TimeoutError("the database is never quiet")


def _brief(sql: str) -> str:
    if sql.startswith("begin"):
        return "begin as a person" if "authenticated" in sql else "begin as the service"
    called = re.search(r"viva\.(\w+)\(", sql)
    if called:
        return f"{called[1]}()"
    return sql if len(sql) <= 44 else f"{sql[:40].rstrip()} ..."


# ------------------------------------------------------------------------------------------ wire


class Wire:
    """When updates reach a bot, and when its messages reach the Bot API server (`time.perf_counter`)."""

    def __init__(self, telegram: TelegramServer, bot: Bot) -> None:
        self.arrived = math.nan
        self.drafts: list[float] = []
        self._telegram = telegram
        self._shown: asyncio.Queue[tuple[float, Json]] = asyncio.Queue()
        self._watch_updates(bot)
        self._watch_messages()

    def _watch_updates(self, bot: Bot) -> None:
        loads = bot.session.json_loads

        def stamped(text: Any) -> Any:
            if '"update_id"' in text:
                self.arrived = time.perf_counter()
            return loads(text)

        bot.session.json_loads = stamped

    def _watch_messages(self) -> None:
        chats = self._telegram.chats
        add, replace, show = chats.add_message, chats.replace_message, chats.show_draft

        def add_message(chat_id: int, sender: Json, content: Json) -> Json:
            moment = time.perf_counter()
            message = add(chat_id, sender, content)
            if sender["is_bot"]:
                self._shown.put_nowait((moment, message))
            return message

        def replace_message(chat_id: int, message: Json) -> None:
            moment = time.perf_counter()
            replace(chat_id, message)
            self._shown.put_nowait((moment, message))

        def show_draft(chat_id: int, draft: Draft) -> None:
            self.drafts.append(time.perf_counter())
            show(chat_id, draft)

        chats.__dict__.update(add_message=add_message, replace_message=replace_message, show_draft=show_draft)

    async def shown(self) -> tuple[float, Json]:
        """The next message that the bot sends or edits, and the moment it reached the server."""
        async with asyncio.timeout(PATIENCE):
            return await self._shown.get()

    async def tap(self, person: Person, message: Json, data: str) -> tuple[float, Json]:
        """Tap a button and see what comes of it first: the moment and the message."""
        await self._telegram.tap_data(person, message["message_id"], data)
        return await self.shown()

    async def say(self, person: Person, text: str) -> tuple[float, Json]:
        """Send a text and see what comes of it first: the moment and the message."""
        await self._telegram.send_text(person, text)
        return await self.shown()

    async def reach(self, *prefixes: str) -> Json:
        """The next message with a button of one of these kinds."""
        while True:
            _, message = await self.shown()
            if choice(message, *prefixes):
                return message


def choice(message: Json, *prefixes: str) -> str | None:
    """The callback data of the message's first button of one of these kinds (what stands before the colon)."""
    for button in markup.buttons(message):
        data = str(button.get("callback_data", ""))
        if data.split(":")[0] in prefixes:
            return data
    return None


async def at_home(wire: Wire, telegram: TelegramServer) -> tuple[Person, Json]:
    """Somebody new who has said yes to everything, and their home screen."""
    person = telegram.person()
    await telegram.send_text(person, "/start")
    for question in ("consent", "name"):
        message = await wire.reach(question)
        data = choice(message, question)
        assert data is not None
        await telegram.tap_data(person, message["message_id"], data)
    return person, await wire.reach("open")


# ------------------------------------------------------------------------------------------ VIVA


@dataclass(frozen=True, kw_only=True)
class World:
    """VIVA running in this process, and what it runs on."""

    app: App
    telegram: TelegramServer
    model: ModelServer
    statements: Statements
    folder: Path
    owner_url: str
    """The database as its owner."""


@contextlib.asynccontextmanager
async def viva(*, model: ModelServer | None = None, **changes: Any) -> AsyncIterator[World]:
    """VIVA on an embedded Postgres of its own, over HTTP to a Bot API server and a stand-in model of its own."""
    logs.set_up("WARNING")
    statements = Statements()
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        postgres = EmbeddedPostgres(folder / "home")
        await postgres.start()
        stack.push_async_callback(postgres.erase)
        await migrate.migrate(postgres.admin_url)
        model = model or ModelServer(pace=0)
        await model.start()
        stack.push_async_callback(model.stop)
        telegram = await bot_api(stack, folder / "telegram")
        settings = Settings(
            _env_file=None,
            telegram_bot_token=SecretStr(TOKEN),
            telegram_api_url=telegram.url,
            telegram_webhook_url=None,
            openai_api_key=SecretStr(STAND_IN_KEY),
            openai_base_url=model.url,
            database_url=postgres.url(),
            media_url=(folder / "media").as_uri(),
            viva_home=folder / "home",
        ).model_copy(update=changes)
        with statements.watched():
            app = await stack.enter_async_context(App.open(settings))
        stop = asyncio.Event()
        running = asyncio.create_task(app.run(stop))
        try:
            yield World(
                app=app,
                telegram=telegram,
                model=model,
                statements=statements,
                folder=folder,
                owner_url=postgres.admin_url,
            )
        finally:
            stop.set()
            await running


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes with everything in it, and that the account of a Postgres started by root can pass through."""
    with tempfile.TemporaryDirectory(prefix="viva-benchmark-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


async def bot_api(stack: contextlib.AsyncExitStack, folder: Path) -> TelegramServer:
    """A Bot API server that stops with the stack."""
    telegram = TelegramServer(folder, token=TOKEN)
    await telegram.start()
    stack.push_async_callback(telegram.stop)
    return telegram


# --------------------------------------------------------------------------------------- figures


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all values do not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def milliseconds(seconds: Sequence[float]) -> str:
    """p50 and p99 as two cells of a table."""
    return f"{percentile(seconds, 0.5) * 1000:.1f} | {percentile(seconds, 0.99) * 1000:.1f}"


def ratios(seconds: Sequence[float], to: Sequence[float]) -> str:
    """How many times as long, at p50 and at p99, as two cells of a table."""
    return " | ".join(f"{percentile(seconds, share) / percentile(to, share):.1f}" for share in (0.5, 0.99))


def statements_table(transactions: Sequence[Transaction], *, per: float) -> Iterator[str]:
    """The rows of a table: each kind of transaction with its round trips, and milliseconds of waiting for one."""
    kinds: dict[str, list[Transaction]] = {}
    for transaction in transactions:
        kinds.setdefault(transaction.name, []).append(transaction)
    total = 0
    for name, found in sorted(kinds.items(), key=lambda kind: -len(kind[1])):
        trips = sum(len(transaction.statements) for transaction in found)
        total += trips
        waited = sum(transaction.waited for transaction in found) / len(found) * 1000
        yield f"| {name} | {waited:.1f} | {len(found) / per:.2f} | {trips / per:.2f} |"
    yield f"| **in all** | | {len(transactions) / per:.1f} | **{total / per:.1f}** |"


def circumstances() -> str:
    """The machine, and how busy it is just now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{each:.2f}" for each in os.getloadavg())
    python = f"{platform.system()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {python}; load {load}"


def say(line: str = "") -> None:
    """Print a line at once."""
    print(line, flush=True)
