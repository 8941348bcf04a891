"""The whole of VIVA as real processes, people who use it, and somebody who kills, freezes and cuts off at random.

What is counted at the end must be zero, whatever happened: lost, doubled, out of order, charged twice, left behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from aiohttp import web

from bot.playground.chats import Json, Person, Refused
from bot.playground.house import TOKEN
from bot.playground.model import CHAT, ModelServer, Script
from bot.playground.postgres import PORT, EmbeddedPostgres
from bot.playground.telegram import TelegramServer
from prompts import packs
from storage import migrate
from storage.database import Database, DatabaseUnavailable
from tests.engine import nursery
from tests.engine.relay import Relay, Streams, kept_port
from tests.world import tone

PATIENCE = 240.0
"""Seconds until what must happen counts as never happening; generous, for a machine that is busy with other things."""

LONG = "at length"
BEFORE_STALE = 40.0
"""Seconds after which whoever gives no sign of life has surely been declared dead."""

DEADLY = ("kill", "kill the leader", "cut", "database", "freeze for long", "silence for long")
"""What ends a process, or has it declared dead, in the middle of whatever it does; what may send a message twice.

A process that is cut off loses its lock with its line, so the others free what it holds.
"""

LASTING = ("freeze for long", "silence for long")
PACK = packs.every()[0]


class EchoModel(ModelServer):
    """The stand-in, answering each message with itself, so that every answer can be told from every other."""

    _said: contextvars.ContextVar[str] = contextvars.ContextVar("said", default="")

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        self._said.set((await request.json())["messages"][-1]["content"])
        return await super()._chat(request)

    def _next_script(self, endpoint: str) -> Script:
        if endpoint != CHAT:
            return super()._next_script(endpoint)
        said = self._said.get()
        long = LONG in said
        return Script(text=f"Answer to: {said} {'And so on and on. ' * (20 if long else 1)}", delay=0.01 if long else 0)


@dataclass
class Counts:
    """What happened; all of the first group must be zero."""

    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    charged_twice: int = 0
    left_behind: int = 0

    messages: int = 0
    sent: int = 0
    in_flight: int = 0
    """Messages whose way, from the person's words to Telegram's last taking of the answer, met a deadly strike."""
    sent_twice: int = 0
    sent_twice_unstruck: int = 0
    """Of these, those that no deadly strike on the message's way explains, one for each."""
    of_unknown_fate: int = 0
    tried_again: int = 0
    checkouts_missed: int = 0
    charged_late: int = 0
    events: Counter[str] = field(default_factory=Counter)
    details: list[str] = field(default_factory=list)

    @property
    def broken(self) -> int:
        """How many promises were broken."""
        return self.lost + self.doubled + self.out_of_order + self.charged_twice + self.left_behind

    def note(self, what: str, count: int, detail: str) -> None:
        """Add to one of the counts that must be zero."""
        if count:
            setattr(self, what, getattr(self, what) + count)
            self.details.append(f"{what} {count}: {detail}")


class Replica:
    """One process of VIVA, with its own line to the database."""

    def __init__(self, number: int, folder: Path, environment: dict[str, str], line: Relay) -> None:
        self.number = number
        self.folder = folder
        self.line = line
        self.process: BaseProcess | None = None
        self.expected = False
        """Whether somebody has ended it on purpose."""
        self._environment = environment

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process is not None and self.process.exitcode is None

    def start(self) -> None:
        """Start it, and go on at once."""
        self.process = nursery.start(self._environment, self.folder)
        self.expected = False

    async def end(self, number: signal.Signals) -> int:
        """Send a signal, and see the exit code."""
        self.expected = True
        assert self.process is not None and self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)
        await until(lambda: not self.alive, f"process {self.number} did not end")
        assert self.process.exitcode is not None
        return self.process.exitcode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, and go on at once."""
        assert self.process is not None and self.process.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, number)


@dataclass
class Human:
    """Somebody who uses VIVA, and what they have done."""

    account: Person
    texts: dict[str, float] = field(default_factory=dict)
    """What they wrote, in order, and when."""
    asked_again: bool = False
    voices: int = 0
    taps: int = 0
    paid: set[str] = field(default_factory=set)
    """The payloads of the invoices they paid."""


class House:
    """Everything around the processes, and the processes. Made by `open_house`."""

    def __init__(
        self, folder: Path, postgres: EmbeddedPostgres, telegram: TelegramServer, model: EchoModel, database: Database
    ) -> None:
        self.folder = folder
        self.postgres = postgres
        self.telegram = telegram
        self.model = model
        self.database = database
        self.replicas: list[Replica] = []
        self.humans: list[Human] = []
        self.counts = Counts()
        self.gateway: Relay | None = None
        self._ports: dict[int, int] = {}
        self.kept_ports = contextlib.ExitStack()
        self._shown: dict[tuple[int, int], float] = {}
        self._deadly_at: list[float] = []
        self._away: set[Replica] = set()
        self._lasting: set[asyncio.Task[None]] = set()
        self._asking: set[asyncio.Future[str]] = set()
        self._watch_messages()

    def _watch_messages(self) -> None:
        chats = self.telegram.chats
        add = chats.add_message

        def add_message(chat_id: int, sender: Json, content: Json) -> Json:
            message = add(chat_id, sender, content)
            self._shown[chat_id, message["message_id"]] = time.monotonic()
            return message

        chats.__dict__.update(add_message=add_message)

    async def hire(self, *, webhook: bool) -> None:
        """One more process, not started yet."""
        number = len(self.replicas) + 1
        folder = self.folder / f"r{number}"
        folder.mkdir()
        line = Relay(self._reach_postgres)
        await line.listen(folder / f".s.PGSQL.{PORT}")
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": self.telegram.url,
            "TELEGRAM_CHAT_RATE": "1000",
            "TELEGRAM_RATE": "10000",
            "OPENAI_API_KEY": "stand-in",
            "OPENAI_BASE_URL": self.model.url,
            "DATABASE_URL": f"postgresql://viva@/viva?host={folder}&port={PORT}",
            "MEDIA_URL": (self.folder / "media").as_uri(),
            "VIVA_HOME": str(folder),
        }
        if webhook:
            if self.gateway is None:
                self.gateway = Relay(self._reach_replica)
                await self.gateway.listen()
            self._ports[number] = self.kept_ports.enter_context(kept_port())
            environment |= {
                "TELEGRAM_WEBHOOK_URL": f"http://127.0.0.1:{self.gateway.port}",
                "TELEGRAM_WEBHOOK_SECRET": "secret",
                "WEBHOOK_PORT": str(self._ports[number]),
            }
        self.replicas.append(Replica(number, folder, environment, line))

    async def _reach_postgres(self) -> Streams:
        return await asyncio.open_unix_connection(self.postgres._socket_folder() / f".s.PGSQL.{PORT}")

    async def _reach_replica(self) -> Streams:
        # As a proxy does: a process that takes no connections, or does not answer, is passed over.
        for replica in random.sample(self.replicas, len(self.replicas)):
            if replica.alive and (replica not in self._away or len(self.replicas) == 1):
                with contextlib.suppress(OSError):
                    return await asyncio.open_connection("127.0.0.1", self._ports[replica.number])
        raise ConnectionRefusedError

    async def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """Rows as the service sees them, however often the database goes away meanwhile."""
        while True:
            try:
                async with self.database.as_service().transaction() as db:
                    return [dict(row) for row in await db._connection.fetch(sql, *values)]
            except DatabaseUnavailable:
                await asyncio.sleep(0.1)

    async def none(self, sql: str, what: str, *, meanwhile: Callable[[], Any] = lambda: None) -> None:
        """Wait until this query finds nothing."""
        ends = time.monotonic() + PATIENCE
        while found := await self.rows(sql):
            meanwhile()
            if time.monotonic() > ends:
                self.counts.note("left_behind", len(found), f"{what}: {found[:5]}")
                return
            await asyncio.sleep(0.1)

    async def arrive(self, count: int) -> None:
        """So many people, who have said yes to AI."""
        accounts = [self.telegram.person(first_name=f"Human {number}") for number in range(count)]
        for account in accounts:
            await self.telegram.send_text(account, "/start")
        sql = "select count(*) as arrived from viva.telegram_accounts"
        ends = time.monotonic() + PATIENCE
        while (await self.rows(sql))[0]["arrived"] < count:
            assert time.monotonic() < ends, "nobody could arrive"
            await asyncio.sleep(0.1)
        await self.rows(
            """
            update viva.telegram_accounts
               set consent_version = 1, consented_at = now(), waiting_for = null, time_zone = 'UTC'
            """
        )
        self.humans = [Human(account) for account in accounts]

    # What people do

    async def use(self, human: Human, *, actions: int, pace: float, chance: random.Random) -> None:
        """Write, speak, tap and pay so many times, without waiting for answers but where one must."""
        for number in range(actions):
            what = chance.choices(("text", "long", "voice", "tap", "pay"), (10, 3, 1, 2, 1))[0]
            if what in ("text", "long"):
                text = f"Matter {human.account.id % 1000}-{number:03d}{f' {LONG}' if what == 'long' else ''}."
                human.texts[text] = time.monotonic()
                await self.telegram.send_text(human.account, text)
            elif what == "voice":
                await self.telegram.send_voice(human.account, tone(1))
                human.voices += 1
            elif what == "tap":
                await self._tap_pack(human)
            else:
                await self._pay(human)
            await asyncio.sleep(chance.uniform(0, pace))

    async def _tap_pack(self, human: Human) -> None:
        last = self.telegram.chats.chat(human.account.id).last_message_id
        await self.telegram.tap_data(human.account, last, f"pack:{PACK.id}")
        human.taps += 1

    async def _pay(self, human: Human) -> None:
        """Buy a pack as a person does: ask for an invoice, press Pay until it goes through, pay once."""
        await self._tap_pack(human)
        await until(lambda: self._unpaid(human), "no invoice came")
        payload = self._unpaid(human)[-1]
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                answer = await self.telegram.ask_to_pay(human.account, stars=PACK.stars, payload=payload)
                break
            except Refused:
                # Ten seconds went by, or the answer went with its process: nothing was paid, and one presses again.
                self.counts.checkouts_missed += 1
                assert time.monotonic() < ends, "no pre-checkout query is ever answered"
        assert answer["ok"], answer
        await self.telegram.send_payment(human.account, stars=PACK.stars, payload=payload)
        human.paid.add(payload)

    def _unpaid(self, human: Human) -> list[str]:
        shown = sorted(self.telegram.chats.invoices.items())
        return [each for (person, _), each in shown if person == human.account.id and each not in human.paid]

    # What somebody does to VIVA

    async def strike(self, kind: str, chance: random.Random) -> None:
        """Do this to one process, or to the database, and make it whole again; what lasts goes on meanwhile."""
        if kind in LASTING and self._lasting:
            return
        if len(self._away) == len(self.replicas):
            await self.recover()
        replica = chance.choice([replica for replica in self.replicas if replica not in self._away])
        if kind == "kill the leader":
            replica = await self._leader(replica)
        self.counts.events[kind] += 1
        if kind in DEADLY:
            self._deadly_at.append(time.monotonic())
        if kind == "kill":
            await replica.end(signal.SIGKILL)
            await asyncio.sleep(chance.uniform(0, 1))
            replica.start()
        elif kind == "kill the leader":
            await replica.end(signal.SIGKILL)
            replica.start()
        elif kind == "stop":
            await self.stop(replica)
            replica.start()
        elif kind == "freeze":
            await self._freeze(replica, chance.uniform(0.5, 2))
        elif kind == "silence":
            await self._silence(replica, chance.uniform(0.5, 2))
        elif kind in LASTING:
            task = asyncio.create_task(self._be_away(replica, kind))
            self._lasting.add(task)
            task.add_done_callback(self._lasting.discard)
        elif kind == "cut":
            replica.line.cut()
            await asyncio.sleep(chance.uniform(0.5, 2))
            replica.line.heal()
        elif kind == "database":
            status = self.postgres._ground() / "postgres" / "postmaster.pid"
            with contextlib.suppress(OSError, ValueError):
                os.kill(int(status.read_text().splitlines()[0]), signal.SIGKILL)
            await self.rows("select 1")
        else:
            raise ValueError(kind)

    async def stop(self, replica: Replica) -> None:
        """Let a process leave in order, once it has signed on: before that it is deaf to SIGTERM and dies of it."""
        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends and replica.process is not None:
            if await self.rows("select from viva.processes where pid = $1", replica.process.pid):
                break
            await asyncio.sleep(0.1)
        code = await replica.end(signal.SIGTERM)
        self.counts.note("left_behind", int(code != 0), f"exit code {code} after SIGTERM")

    async def _freeze(self, replica: Replica, seconds: float) -> None:
        replica.signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        replica.signal(signal.SIGCONT)

    async def _silence(self, replica: Replica, seconds: float) -> None:
        replica.line.hold()
        await asyncio.sleep(seconds)
        replica.line.heal()

    async def _be_away(self, replica: Replica, kind: str) -> None:
        """Freeze or silence it for so long that it is declared dead, and let it come back."""
        self._away.add(replica)
        away = asyncio.create_task(
            (self._freeze if kind.startswith("freeze") else self._silence)(replica, BEFORE_STALE)
        )
        if self.gateway is not None and len(self.replicas) > 1:
            # A proxy's health check notices, and lets go of what stands.
            await asyncio.sleep(3)
            self.gateway.cut()
            self.gateway.heal()
        await away
        self._away.discard(replica)

    async def somebody_serves(self) -> None:
        """Wait until some process has signed on and shows that it is alive."""
        while True:
            if await self.rows("select from viva.processes where seen_at > now() - interval '4 seconds'"):
                return
            await asyncio.sleep(0.1)

    async def recover(self) -> None:
        """Wait until whatever lasts is over."""
        await asyncio.gather(*self._lasting)

    async def _leader(self, otherwise: Replica) -> Replica:
        """The process that polls."""
        found = await self.rows("select p.pid from viva.leaders l join viva.processes p on p.id = l.process")
        pids = {one.process.pid: one for one in self.replicas if one.process is not None}
        return pids.get(found[0]["pid"], otherwise) if found else otherwise

    async def supervise(self) -> None:
        """Start anew, as systemd and Docker do, what ended by itself; until cancelled."""
        while True:
            await asyncio.sleep(0.2)
            for replica in self.replicas:
                if not replica.alive and not replica.expected:
                    self.counts.events["ended by itself"] += 1
                    self._deadly_at.append(time.monotonic())
                    replica.start()

    # What is counted

    async def settle(self) -> None:
        """Wait until nothing is left to do; a person whose answer was given up asks for it again."""
        asked: set[str] = set()

        def ask_again() -> None:
            for human in self.humans:
                for message in self.telegram.messages(human.account):
                    for row in message.get("reply_markup", {}).get("inline_keyboard", []):
                        for button in row:
                            data = str(button.get("callback_data", ""))
                            if data.startswith("chat:") and data not in asked:
                                asked.add(data)
                                human.taps += 1
                                human.asked_again = True
                                task = self.telegram.tap_data(human.account, message["message_id"], data)
                                self._asking.add(asyncio.ensure_future(task))

        for _ in range(3):
            with contextlib.suppress(AssertionError):
                await until(lambda: not self.telegram.chats.updates, "updates")
            self.counts.note("left_behind", len(self.telegram.chats.updates), "updates were never taken in")
            await self.none(
                "select id, name, error from viva.work where state = 'waiting'", "work", meanwhile=ask_again
            )
            await self.none("select id, method, error from viva.outbox where state = 'waiting'", "messages")
            ask_again()
            await asyncio.sleep(0.3)
        self.counts.tried_again = len(asked)
        await self.none("select lane from viva.lanes", "lanes")
        await self.none("select chat_id from viva.outbox_chats where claimed_by is not null", "chats")
        for table, what in (
            ("viva.work where state = 'parked'", "parked work"),
            ("viva.holds where state = 'open'", "open holds"),
            ("viva.work_steps", "steps"),
            ("viva.ledger_differences()", "differences in the ledger"),
        ):
            found = await self.rows(f"select * from {table}")
            self.counts.note("left_behind", len(found), f"{what}: {found[:3]}")

    async def count(self) -> None:
        """Hold what each person did against what stands in the database and in their chat."""
        for human in self.humans:
            await self._count_talk(human)
            await self._count_rest(human)

    async def _count_talk(self, human: Human) -> None:
        name, user = human.account.first_name, await self._user(human)
        turns = await self.rows(
            """
            select id::text, role, message, context ->> 'answers' as answers from ai_conversations
             where user_id = $1 order by created_at, id
            """,
            user,
        )
        kept = [turn["message"] for turn in turns if turn["role"] == "user"]
        texts = {turn["id"]: turn["message"] for turn in turns if turn["role"] == "user"}
        answered = [texts.get(turn["answers"], "?") for turn in turns if turn["role"] == "assistant"]
        for what, found in (("kept", kept), ("answered", answered)):
            times = Counter(found)
            self.counts.note("lost", sum(text not in times for text in human.texts), f"{name}: not {what}")
            self.counts.note("doubled", sum(count - 1 for count in times.values()), f"{name}: {what} twice")
            if not human.asked_again:
                in_order = [text for text in human.texts if text in times]
                self.counts.note("out_of_order", int(found != in_order), f"{name}: {what} {found} for {human.texts}")
        charged = await self.rows(
            """
            select coalesce(error_message, '') like '%taken over%' as late, count(*) as times from token_usage
             where user_id = $1 and action_type = 'chat_conversation' and tokens_used > 0 group by 1
            """,
            user,
        )
        # A process that was taken over while its call was under way is charged for what the call used (design of the
        # meter): counted apart.
        times = {row["late"]: row["times"] for row in charged}
        self.counts.charged_late += times.get(True, 0)
        answers = times.get(False, 0)
        self.counts.note("charged_twice", max(0, answers - len(set(answered))), f"{name}: {charged}")
        self.counts.note("lost", max(0, len(set(answered)) - answers), f"{name}: not charged {charged}")
        answers_to = {turn["message"]: texts.get(turn["answers"], "?") for turn in turns if turn["role"] == "assistant"}
        await self._count_shown(human, answers_to)

    async def _count_shown(self, human: Human, answers: dict[str, str]) -> None:
        """Each answer must have been shown, in order; `answers` says what each of them answers."""
        unknown = await self.rows(
            "select payload ->> 'text' as text from viva.outbox where chat_id = $1 and state = 'unknown'",
            human.account.id,
        )
        doubtful = {row["text"] for row in unknown}
        shown: list[str] = []
        shown_last: dict[str, float] = {}
        for message in self.telegram.messages(human.account):
            if message["from"]["is_bot"] and (text := message.get("text")) in answers:
                shown.append(text)
                shown_last[text] = self._shown[human.account.id, message["message_id"]]
        times = Counter(shown)
        missing = [answer for answer in answers if answer not in times]
        self.counts.messages += len(answers)
        self.counts.sent += len(shown)
        self.counts.sent_twice += sum(count - 1 for count in times.values())
        self.counts.of_unknown_fate += len(doubtful)
        self.counts.note("lost", len(set(missing) - doubtful), f"{human.account.first_name}: answers never shown")
        for answer, last in shown_last.items():
            met = sum(human.texts.get(answers[answer], last) <= moment <= last for moment in self._deadly_at)
            self.counts.in_flight += met > 0
            self.counts.sent_twice_unstruck += max(0, times[answer] - 1 - met)
        first = [answer for answer in dict.fromkeys(shown) if answer not in doubtful]
        expected = [answer for answer in answers if answer in times and answer not in doubtful]
        self.counts.note("out_of_order", int(first != expected), f"{human.account.first_name}: shown out of order")

    async def _count_rest(self, human: Human) -> None:
        name, user = human.account.first_name, await self._user(human)
        found = (
            await self.rows(
                """
                select (select count(*) from journal_entries where user_id = $1) as voices,
                       (select count(*) from viva.work
                         where chat_id = $2 and name = 'callback_query' and state = 'done') as taps,
                       (select count(*) from viva.payments where user_id = $1 and state = 'paid') as paid,
                       (select count(*) from viva.ledger where user_id = $1 and kind = 'purchase') as credited,
                       (select count(*) from token_usage
                         where user_id = $1 and action_type = 'transcription' and tokens_used > 0
                           and coalesce(error_message, '') not like '%taken over%') as heard,
                       (select count(*) from token_usage
                         where user_id = $1 and action_type = 'transcription' and tokens_used > 0
                           and error_message like '%taken over%') as heard_late
                """,
                user,
                human.account.id,
            )
        )[0]
        for what, expected in (
            ("voices", human.voices),
            ("taps", human.taps),
            ("paid", len(human.paid)),
            ("credited", len(human.paid)),
        ):
            self.counts.note("lost", max(0, expected - found[what]), f"{name}: {what} {found[what]} of {expected}")
            self.counts.note("doubled", max(0, found[what] - expected), f"{name}: {what} {found[what]} for {expected}")
        self.counts.note("charged_twice", max(0, found["heard"] - human.voices), f"{name}: recordings")
        self.counts.charged_late += found["heard_late"]

    async def _user(self, human: Human) -> Any:
        rows = await self.rows("select user_id from viva.telegram_accounts where telegram_id = $1", human.account.id)
        return rows[0]["user_id"]


@contextlib.asynccontextmanager
async def open_house(*, processes: int, webhook: bool, model: EchoModel | None = None) -> AsyncIterator[House]:
    """A house of its own: Postgres, Bot API server, model, and so many processes, all started."""
    async with contextlib.AsyncExitStack() as stack:
        # A socket's path must be short.
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="viva-", ignore_cleanup_errors=True)))
        os.chmod(folder, 0o711)
        postgres = EmbeddedPostgres(folder / "pg")
        await postgres.start()
        stack.push_async_callback(postgres.erase)
        await migrate.migrate(postgres.admin_url)
        model = model or EchoModel(pace=0)
        await model.start()
        stack.push_async_callback(model.stop)
        telegram = TelegramServer(folder / "telegram", token=TOKEN)
        await telegram.start()
        stack.push_async_callback(telegram.stop)
        database = await Database.connect(postgres.url(), pool_size=2)
        stack.push_async_callback(database.close)
        house = House(folder, postgres, telegram, model, database)
        stack.enter_context(house.kept_ports)
        for _ in range(processes):
            await house.hire(webhook=webhook)
            stack.push_async_callback(house.replicas[-1].line.close)
        if house.gateway is not None:
            stack.push_async_callback(house.gateway.close)
        for replica in house.replicas:
            replica.start()
        supervising = asyncio.create_task(house.supervise())
        try:
            yield house
        finally:
            supervising.cancel()
            await asyncio.gather(supervising, return_exceptions=True)
            for replica in house.replicas:
                if replica.alive:
                    replica.signal(signal.SIGCONT)
                    await replica.end(signal.SIGKILL)


async def run(
    *,
    processes: int,
    webhook: bool,
    seed: int,
    people: int,
    actions: int,
    pace: float,
    kinds: tuple[str, ...],
    pause: tuple[float, float] = (0.5, 2.0),
    strikes: int | None = None,
) -> Counts:
    """People use VIVA while somebody strikes at it, so many times or until they are done; what was counted then."""
    chance = random.Random(seed)
    async with open_house(processes=processes, webhook=webhook) as house:
        await house.arrive(people)
        using = asyncio.gather(
            *(
                house.use(human, actions=actions, pace=pace, chance=random.Random(f"{seed}:{place}"))
                for place, human in enumerate(house.humans)
            )
        )
        struck = 0
        while not using.done() if strikes is None else struck < strikes:
            # Where the only process is never left the time to start, nothing can be done at all.
            await house.somebody_serves()
            await asyncio.sleep(chance.uniform(*pause))
            await house.strike(kinds[struck % len(kinds)] if strikes else chance.choice(kinds), chance)
            struck += 1
        await using
        await house.recover()
        await house.settle()
        for replica in house.replicas:
            await house.stop(replica)
        await house.none("select id from viva.processes", "processes")
        await house.none("select name from viva.leaders", "leaders")
        await house.count()
        return house.counts


async def until(condition: Callable[[], Any], otherwise: str) -> None:
    """Wait until the condition holds."""
    ends = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < ends, otherwise
        await asyncio.sleep(0.02)
