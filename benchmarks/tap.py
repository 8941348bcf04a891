"""One tap on an answer of the assessment: how long it takes, how many round trips to Postgres, against a bare bot.

    .venv/bin/python -m benchmarks.tap

Taps come one after another, in blocks by turns: VIVA, the bare bot, VIVA ... Each has a Bot API server of its own;
everything but Postgres shares one process and one event loop, as in the playground.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message

from benchmarks import world
from benchmarks.world import Transaction, Wire, World, say
from bot.playground.chats import Json, Person
from bot.playground.house import TOKEN
from bot.playground.telegram import TelegramServer
from prompts import assessment as bank

WARM_UP = 60
TAPS = 300
BLOCK = 30
ANSWERS_A_PERSON = 80
"""Below 84: completing an assessment draws a picture, which is no tap's work."""


@dataclass(frozen=True)
class Tap:
    """One tap's moments in seconds after the update reached the bot, and the statements it brought about."""

    committed: float
    shown: float
    arrived: float
    transactions: list[Transaction]


class Assessment:
    """People who take VIVA's assessment, one after another."""

    def __init__(self, viva: World) -> None:
        self._viva = viva
        self._wire = Wire(viva.telegram, viva.app.bot)
        self._person: Person | None = None
        self._message: Json = {}
        self._answers = 0

    async def answer(self) -> Tap:
        """One tap on an answer."""
        data = await self._next_question()
        assert self._person is not None
        statements = self._viva.statements
        statements.forget()
        shown, self._message = await self._wire.tap(self._person, self._message, data)
        self._answers += 1
        await statements.quiet()
        arrived = self._wire.arrived
        transactions = statements.since(arrived)
        committed = next(each.ended for each in transactions if each.has("viva.finish("))
        return Tap(committed - arrived, shown - arrived, arrived, transactions)

    async def _next_question(self) -> str:
        """Go on, by any other taps that takes, to the next question; the first of its answers."""
        if self._person is None or self._answers == ANSWERS_A_PERSON:
            self._person, home = await world.at_home(self._wire, self._viva.telegram)
            self._answers = 0
            await self._viva.telegram.tap_data(self._person, home["message_id"], "open:assessment")
            self._message = await self._wire.reach("a_begin")
        while True:
            data = world.choice(self._message, "a_answer", "a_begin", "a_fact", "a_rate", "a_go")
            assert data is not None
            if data.startswith("a_answer"):
                await self._viva.statements.quiet()
                return data
            await self._viva.telegram.tap_data(self._person, self._message["message_id"], data)
            self._message = await self._wire.reach("a_answer", "a_fact", "a_rate", "a_go")


class Bare:
    """The least that answers a tap: aiogram with default polling, answers in a dict, the next question by edit."""

    def __init__(self, telegram: TelegramServer, bot: Bot) -> None:
        self.dispatcher = Dispatcher()
        self.dispatcher.callback_query.register(self._on_tap)
        self.dispatcher.message.register(self._on_start)
        self._answers: dict[int, dict[int, int]] = {}
        self._telegram = telegram
        self._wire = Wire(telegram, bot)
        self._person: Person | None = None
        self._message: Json = {}

    async def _on_start(self, message: Message) -> None:
        self._answers[message.chat.id] = {}
        text, keyboard = _question(0)
        await message.answer(text, reply_markup=keyboard)

    async def _on_tap(self, tap: CallbackQuery) -> None:
        number, value = (int(part) for part in str(tap.data).split(":"))
        self._answers[tap.from_user.id][number] = value
        text, keyboard = _question(number + 1)
        assert isinstance(tap.message, Message)
        await tap.message.edit_text(text, reply_markup=keyboard)
        await tap.answer()

    async def answer(self) -> float:
        """Seconds of one tap, from the update at the bot to the edit at the server."""
        if self._person is None:
            self._person = self._telegram.person()
            _, self._message = await self._wire.say(self._person, "/start")
        data = self._message["reply_markup"]["inline_keyboard"][0][0]["callback_data"]
        shown, self._message = await self._wire.tap(self._person, self._message, data)
        await asyncio.sleep(world.QUIET_SECONDS)
        return shown - self._wire.arrived


def _question(number: int) -> tuple[str, InlineKeyboardMarkup]:
    questions = bank.bank().question
    question = questions[number % len(questions)]
    text = "\n\n".join([f"{number + 1}. {question.text}", *question.options])
    rows = [
        [InlineKeyboardButton(text=str(value), callback_data=f"{number}:{value}") for value in bank.VALUES],
        [InlineKeyboardButton(text="Does not apply to me", callback_data=f"{number}:0")],
        [InlineKeyboardButton(text=text, callback_data=f"{number - 1}:0") for text in ("Back", "Pause")],
    ]
    return text, InlineKeyboardMarkup(inline_keyboard=rows)


@contextlib.asynccontextmanager
async def bare(viva: World) -> AsyncIterator[Bare]:
    """The bare bot, polling a Bot API server of its own."""
    async with contextlib.AsyncExitStack() as stack:
        telegram = await world.bot_api(stack, viva.folder / "telegram-bare")
        bot = Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(telegram.url)))
        it = Bare(telegram, bot)
        polling = asyncio.create_task(it.dispatcher.start_polling(bot, handle_signals=False))
        try:
            yield it
        finally:
            await it.dispatcher.stop_polling()
            await polling


async def measure() -> None:
    """Run both by turns and print the tables."""
    taps: list[Tap] = []
    bare_taps: list[float] = []
    say(world.circumstances())
    async with world.viva(telegram_chat_rate=1000, telegram_rate=10_000) as viva, bare(viva) as bare_bot:
        assessment = Assessment(viva)
        for _ in range(WARM_UP):
            await assessment.answer()
            await bare_bot.answer()
        while len(taps) < TAPS:
            taps += [await assessment.answer() for _ in range(BLOCK)]
            bare_taps += [await bare_bot.answer() for _ in range(BLOCK)]
    committed, shown = [tap.committed for tap in taps], [tap.shown for tap in taps]
    say(f"{len(taps)} taps each; {world.circumstances()}\n")
    say("| from the update at the bot, ms | p50 | p99 | ratio p50 | ratio p99 |")
    say("|---|---|---|---|---|")
    say(f"| VIVA: outbox row committed | {world.milliseconds(committed)} | {world.ratios(committed, bare_taps)} |")
    say(f"| VIVA: edit at the Bot API server | {world.milliseconds(shown)} | {world.ratios(shown, bare_taps)} |")
    say(f"| bare aiogram: edit at the Bot API server | {world.milliseconds(bare_taps)} | 1 | 1 |")
    _say_statements(taps)


def _say_statements(taps: list[Tap]) -> None:
    stages: Counter[tuple[str, int]] = Counter()
    waited: defaultdict[str, list[float]] = defaultdict(list)
    until_row: list[float] = []
    for tap in taps:
        for transaction in tap.transactions:
            waited[transaction.name].append(transaction.waited)
            for statement in transaction.statements:
                passed = statement.ended - tap.arrived
                stages[transaction.name, 0 if passed <= tap.committed else 1 if passed <= tap.shown else 2] += 1
        statements = [each for transaction in tap.transactions for each in transaction.statements]
        until_row.append(sum(each.waited for each in statements if each.ended - tap.arrived <= tap.committed))
    say("\n| round trips a tap | one takes, ms | until the row | then until the edit | after it | in all |")
    say("|---|---|---|---|---|---|")
    for name, seconds in waited.items():
        counts = [stages[name, stage] / len(taps) for stage in range(3)]
        cells = " | ".join(f"{count:.1f}" for count in counts)
        say(f"| {name} | {1000 * sum(seconds) / len(seconds):.1f} | {cells} | {sum(counts):.1f} |")
    totals = [sum(count for (_, at), count in stages.items() if at == stage) / len(taps) for stage in range(3)]
    say(f"| **in all** | | {' | '.join(f'**{each:.1f}**' for each in totals)} | **{sum(totals):.1f}** |")
    say(f"\nWaited for Postgres until the row, in all: {world.percentile(until_row, 0.5) * 1000:.1f} ms at p50.")


if __name__ == "__main__":
    asyncio.run(measure())
