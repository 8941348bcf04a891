"""What VIVA adds to a turn of the talk around the model's own time, against a bare bot that calls the same model.

    .venv/bin/python -m benchmarks.turn

From the person's message accepted by the Bot API server to the answer there, less the time in which the model was
at work. The model gives a fixed answer: once as fast as it can, once over 200 ms. Turns are far enough apart that
each of VIVA's shows its draft.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import openai
from aiogram import Bot, Dispatcher
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.types import Message
from aiohttp import web

from benchmarks import world
from benchmarks.world import Transaction, Wire, World, say
from bot.config import STAND_IN_KEY
from bot.engine.frames import FRAME_SECONDS
from bot.playground.chats import Person
from bot.playground.house import TOKEN
from bot.playground.model import CHAT, ModelServer
from bot.playground.telegram import TelegramServer

WARM_UP = 5
TURNS = 50
BLOCK = 10
WORDS = "I have been thinking about how I spend my evenings, and I would like to read more."
ANSWER = "That sounds like a good wish. Which evening comes first?"
DELAYS = {"as fast as it can": 0.0, "over 200 ms": 0.2 / len(ANSWER.split())}
"""Seconds before each word, by what the row of the table says."""


class TimedModel(ModelServer):
    """The stand-in, remembering when each chat call arrived and when its answer was out."""

    def __init__(self) -> None:
        super().__init__(pace=0)
        self.calls: list[tuple[float, float]] = []

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        began = time.perf_counter()
        try:
            return await super()._chat(request)
        finally:
            self.calls.append((began, time.perf_counter()))

    def busy(self, *, since: float, until: float) -> float:
        """Seconds between the two moments in which at least one call was under way."""
        total, reached = 0.0, since
        for began, ended in sorted(self.calls):
            begin, end = max(began, reached), min(ended, until)
            if end > begin:
                total += end - begin
                reached = end
        return total


@dataclass(frozen=True)
class Turn:
    """Seconds of one turn: in all, those in which the model was at work, those until the first sign of an answer."""

    whole: float
    model: float
    first_sign: float
    sent: float

    @property
    def added(self) -> float:
        """What the bot added."""
        return self.whole - self.model


class Talk:
    """Somebody who talks with a bot, turn by turn."""

    def __init__(self, telegram: TelegramServer, bot: Bot, model: TimedModel) -> None:
        self.wire = Wire(telegram, bot)
        self._telegram = telegram
        self._model = model

    async def turn(self, person: Person, *, delay: float) -> Turn:
        """One message and its answer."""
        await asyncio.sleep(FRAME_SECONDS + 0.1)
        self._model.calls.clear()
        self.wire.drafts.clear()
        self._model.script(CHAT, text=ANSWER, delay=delay)
        sent = time.perf_counter()
        shown, message = await self.wire.say(person, WORDS)
        while ANSWER not in message.get("text", ""):
            shown, message = await self.wire.shown()
        signs = [*self.wire.drafts, shown]
        return Turn(shown - sent, self._model.busy(since=sent, until=shown), signs[0] - sent, sent)


@contextlib.asynccontextmanager
async def bare(viva: World, model: TimedModel) -> AsyncIterator[tuple[Talk, Person]]:
    """A bot that streams the model's answer to the last words alone, and sends it when it is whole."""
    async with contextlib.AsyncExitStack() as stack:
        telegram = await world.bot_api(stack, viva.folder / "telegram-bare")
        bot = Bot(TOKEN, session=AiohttpSession(api=TelegramAPIServer.from_base(telegram.url)))
        client = await stack.enter_async_context(openai.AsyncOpenAI(api_key=STAND_IN_KEY, base_url=model.url))
        dispatcher = Dispatcher()

        @dispatcher.message()
        async def on_words(message: Message) -> None:
            chunks = await client.chat.completions.create(
                model="gpt-4.1-mini",
                messages=[
                    {"role": "system", "content": "You are a kind companion."},
                    {"role": "user", "content": message.text or ""},
                ],
                stream=True,
            )
            words = [choice.delta.content or "" async for chunk in chunks for choice in chunk.choices]
            await message.answer("".join(words))

        polling = asyncio.create_task(dispatcher.start_polling(bot, handle_signals=False))
        try:
            yield Talk(telegram, bot, model), telegram.person()
        finally:
            await dispatcher.stop_polling()
            await polling


async def measure() -> None:
    """Run both by turns and print the tables."""
    model = TimedModel()
    say(world.circumstances())
    turns: dict[str, list[Turn]] = {name: [] for name in DELAYS}
    bare_turns: dict[str, list[Turn]] = {name: [] for name in DELAYS}
    transactions: list[Transaction] = []
    rates = {"telegram_chat_rate": 1000, "telegram_rate": 10_000, "viva_starting_tokens": 100_000_000}
    async with world.viva(model=model, **rates) as viva, bare(viva, model) as (bare_talk, bare_person):
        talk = Talk(viva.telegram, viva.app.bot, model)
        person, _ = await world.at_home(talk.wire, viva.telegram)
        await viva.statements.quiet()
        for _ in range(WARM_UP):
            await talk.turn(person, delay=0)
            await bare_talk.turn(bare_person, delay=0)
        for name, delay in DELAYS.items():
            while len(turns[name]) < TURNS:
                # A new talk with each block, so that no turn has much more history than another.
                person, _ = await world.at_home(talk.wire, viva.telegram)
                await viva.statements.quiet()
                for _ in range(BLOCK):
                    viva.statements.forget()
                    turns[name].append(await talk.turn(person, delay=delay))
                    await viva.statements.quiet()
                    if not delay:
                        transactions += viva.statements.since(turns[name][-1].sent)
                for _ in range(BLOCK):
                    bare_turns[name].append(await bare_talk.turn(bare_person, delay=delay))
    say(f"{TURNS} turns each; {world.circumstances()}\n")
    say("| the model answers | its own time, ms p50 | added, ms | p50 | p99 | ratio p50 | ratio p99 |")
    say("|---|---|---|---|---|---|---|")
    for name in DELAYS:
        added, bare_added = [turn.added for turn in turns[name]], [turn.added for turn in bare_turns[name]]
        for label, measured, ratio in (
            ("VIVA", turns[name], world.ratios(added, bare_added)),
            ("bare aiogram", bare_turns[name], "1 | 1"),
        ):
            own = world.percentile([turn.model for turn in measured], 0.5) * 1000
            cells = world.milliseconds([turn.added for turn in measured])
            say(f"| {name} | {own:.1f} | {label} | {cells} | {ratio} |")
    signs = world.milliseconds([turn.first_sign for each in turns.values() for turn in each])
    say(f"\n| VIVA's first sign of an answer (a draft), ms after the message | {signs} |")
    say("\n| Postgres, a turn (the model as fast as it can) | one takes, ms | times | round trips |")
    say("|---|---|---|---|")
    for row in world.statements_table(transactions, per=TURNS):
        say(row)


if __name__ == "__main__":
    asyncio.run(measure())
