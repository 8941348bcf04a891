"""The meter: balance = sum(ledger), held = sum(open holds), neither ever below zero, whatever comes in any order."""

from __future__ import annotations

import asyncio
import itertools
import re
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from pydantic import BaseModel

from bot.ai.meter import Action, Meter, Ticket
from bot.errors import OutOfTokens
from bot.services import upkeep
from storage import meter, people
from storage.database import Database, Fenced, Transaction
from tests.conftest import DatabaseUrls
from tests.world import Someone, Viva, comes_true, wait_until

_telegram_ids = itertools.count(5_000_000)


async def arrive(database: Database, *, tokens: int) -> uuid.UUID:
    """Somebody new with so many tokens."""
    number = next(_telegram_ids)
    async with database.as_service().transaction() as transaction:
        account = await people.arrive(
            transaction,
            telegram_id=number,
            chat_id=number,
            first_name="Ada",
            language_code="en",
            starting_tokens=tokens,
        )
    return account.user_id


# ------------------------------------------------------------------------------- every order of events


@dataclass
class Purse:
    """What a wallet must hold."""

    balance: int
    held: int = 0
    used: int = 0
    cost: Decimal = Decimal(0)
    rows: int = 0

    @property
    def free(self) -> int:
        """What can still be promised."""
        return self.balance - self.held


@dataclass
class Promise:
    """A hold as it must stand."""

    owner: uuid.UUID
    work: int
    tokens: int
    state: str = "open"
    id: uuid.UUID = field(default_factory=uuid.uuid4)


class Crash(Exception):
    """The process died before its commit."""


class Bookkeeping(RuleBasedStateMachine):
    """Grants, holds and their ends in any order, against a few lines of arithmetic."""

    url: str
    runner: asyncio.Runner
    database: Database

    owners = Bundle("owners")
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.purses: dict[uuid.UUID, Purse] = {}
        self.promises: list[Promise] = []
        self.references = itertools.count(1)

    def run(self, work: Any) -> Any:
        """Wait for a coroutine."""
        return self.runner.run(work)

    async def _as_service(self, act: Any, *, crash: bool = False) -> Any:
        try:
            async with self.database.as_service().transaction() as transaction:
                answer = await act(transaction)
                if crash:
                    raise Crash
                return answer
        except Crash:
            return None

    @initialize(target=owners, tokens=st.lists(st.integers(0, 1000), min_size=2, max_size=2))
    def arrive(self, tokens: list[int]) -> Any:
        """Two people."""
        owners = [self.run(arrive(self.database, tokens=amount)) for amount in tokens]
        self.purses |= {owner: Purse(balance=amount) for owner, amount in zip(owners, tokens, strict=True)}
        return multiple(*owners)

    @rule(owner=owners, amount=st.integers(1, 500), twice=st.booleans(), crash=st.booleans())
    def grant(self, owner: uuid.UUID, amount: int, twice: bool, crash: bool) -> None:
        """Tokens by one reference, perhaps brought twice."""
        reference = f"{owner}:{next(self.references)}"

        async def act(transaction: Transaction) -> None:
            await meter.grant(transaction, user_id=owner, amount=amount, kind="admin", reference=reference, note=None)

        for _ in range(2 if twice else 1):
            self.run(self._as_service(act, crash=crash))
        if not crash and owner in self.purses:
            self.purses[owner].balance += amount

    @rule(target=holds, owner=owners, work=st.integers(1, 3), most=st.integers(1, 600), least=st.integers(0, 400))
    def hold(self, owner: uuid.UUID, work: int, most: int, least: int) -> Any:
        """A promise for a call; what the same work still held is given back first."""
        purse = self.purses[owner]
        work_id = list(self.purses).index(owner) * 10 + work
        promise = Promise(owner, work_id, 0)

        async def act(transaction: Transaction) -> meter.Granted:
            return await meter.hold(
                transaction,
                hold_id=promise.id,
                user_id=owner,
                work_id=self.numbered(work_id),
                step="step",
                action_type=Action.MEMORY,
                model="stand-in",
                most=most,
                least=least,
            )

        self.release_all(work_id)
        granted = self.run(self._as_service(act))
        expected = min(most, purse.free) if 0 < least <= most and least <= purse.free else 0
        assert (granted.granted, granted.free) == (expected, purse.free)
        if expected == 0:
            return multiple()
        promise.tokens = expected
        purse.held += expected
        self.promises.append(promise)
        return promise

    @rule(
        promise=holds,
        tokens=st.integers(0, 900),
        cost=st.decimals(0, 50, places=4),
        success=st.booleans(),
        crash=st.booleans(),
        times=st.integers(1, 2),
    )
    def settle(self, promise: Promise, tokens: int, cost: Decimal, success: bool, crash: bool, times: int) -> None:
        """Usage is reported: in time, after a release, again, or by a process that dies before its commit."""

        async def act(transaction: Transaction) -> None:
            await meter.settle(
                transaction,
                hold_id=promise.id,
                tokens=tokens,
                input_tokens=tokens,
                output_tokens=0,
                cost_cents=cost,
                success=success,
                error=None,
                metadata={},
            )

        for _ in range(times):
            self.run(self._as_service(act, crash=crash))
        if crash or promise.state == "settled" or (promise.state == "released" and tokens == 0):
            return
        purse = self.purses[promise.owner]
        charge = min(tokens, promise.tokens)
        if promise.state == "released":
            charge = min(charge, purse.free)
        else:
            purse.held -= promise.tokens
        purse.balance -= charge
        purse.used += charge
        purse.cost += cost
        purse.rows += 1
        promise.state = "released" if tokens == 0 and not success else "settled"

    @rule(promise=holds)
    def end_the_work(self, promise: Promise) -> None:
        """The work ends: what it still holds is given back."""

        async def act(transaction: Transaction) -> None:
            await meter.release(transaction, work_id=self.numbered(promise.work))

        self.run(self._as_service(act))
        self.release_all(promise.work)

    @rule(promise=consumes(holds))
    def forget(self, promise: Promise) -> None:
        """Nothing more is heard of a call."""

    def numbered(self, work: int) -> int:
        """The work's number, of this run alone."""
        return id(self) % 1_000_000_007 * 100 + work

    def release_all(self, work: int) -> None:
        """What the arithmetic says of a work that gives back what it holds."""
        for promise in self.promises:
            if promise.work == work and promise.state == "open":
                promise.state = "released"
                self.purses[promise.owner].held -= promise.tokens
                self.purses[promise.owner].rows += 1

    @invariant()
    def books_agree(self) -> None:
        """The stored figures are those of the arithmetic, and those of each other."""
        for owner, purse in self.purses.items():
            found = self.run(self._figures(owner))
            assert found == (purse.balance, purse.held, purse.used, purse.cost, purse.rows)
            assert 0 <= purse.held <= purse.balance
        everybody = [*self.purses]
        assert self.run(self._as_service(lambda transaction: meter.differences(transaction, everybody))) == []

    async def _figures(self, owner: uuid.UUID) -> tuple[Any, ...]:
        async with self.database.as_user(owner).transaction() as transaction:
            wallet = await meter.wallet(transaction)
            rows = await transaction.value("select count(*) from token_usage")
        assert wallet is not None
        return wallet.balance, wallet.held, wallet.used, wallet.cost_cents, rows


def test_in_every_order_of_grants_holds_and_ends_the_ledger_is_exact(database_urls: DatabaseUrls) -> None:
    with asyncio.Runner() as runner:
        Bookkeeping.runner = runner
        Bookkeeping.database = runner.run(Database.connect(database_urls.service, pool_size=2))
        try:
            run_state_machine_as_test(
                Bookkeeping,
                settings=settings(
                    max_examples=25,
                    derandomize=True,
                    stateful_step_count=15,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(Bookkeeping.database.close())


# ------------------------------------------------------------------------------------- all at once


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    """A database as the service reaches it."""
    opened = await Database.connect(database_urls.service, pool_size=16)
    yield opened
    await opened.close()


class Result(BaseModel):
    """What a call gave."""

    words: str = "hello"


def ticket(user_id: uuid.UUID, work_id: int, *, fenced: bool = False, taken: bool = False) -> Ticket:
    """A ticket of work that is ours, or that was taken over before the call (`taken`) or during it (`fenced`)."""

    async def still_ours(transaction: Transaction) -> None:
        if taken:
            raise Fenced

    async def record(transaction: Transaction, result: BaseModel) -> None:
        if fenced:
            raise Fenced

    return Ticket(user_id=user_id, work_id=work_id, step="step", still_ours=still_ours, record=record)


async def differences(database: Database) -> list[meter.Difference]:
    """What `viva ledger check` would print."""
    return await upkeep.ledger_differences(database)


async def wallet(database: Database, user_id: uuid.UUID) -> meter.Wallet:
    """The person's wallet."""
    async with database.as_user(user_id).transaction() as transaction:
        found = await meter.wallet(transaction)
    assert found is not None
    return found


async def test_sixty_four_calls_at_once_never_hold_more_than_there_is(database: Database) -> None:
    ada = await arrive(database, tokens=1000)
    counter = Meter(database)

    async def one(number: int) -> int:
        try:
            held = await counter.hold(ticket(ada, number), action=Action.MEMORY, model="stand-in", most=70, least=30)
        except OutOfTokens as error:
            assert error.available < 30
            return 0
        return held.granted

    granted = await asyncio.gather(*(one(number) for number in range(64)))
    found = await wallet(database, ada)
    assert sum(granted) == found.held and found.held <= 1000
    assert found.balance - found.held < 30
    assert sorted(set(granted)) in ([0, 70], [0, 20, 70])
    assert await differences(database) == []


async def test_calls_settled_and_released_all_at_once_leave_the_ledger_exact(database: Database) -> None:
    ada = await arrive(database, tokens=100_000)
    counter = Meter(database)

    async def one(number: int) -> None:
        mine = ticket(ada, number, fenced=number % 5 == 4)
        held = await counter.hold(mine, action=Action.MEMORY, model="stand-in", most=100, least=1)
        ends = [
            counter.settle(
                mine,
                held,
                Result(),
                tokens=60,
                input_tokens=50,
                output_tokens=10,
                cost_cents=Decimal("0.0123"),
                metadata={},
            ),
            counter.fail(held, error="gone"),
        ]
        await asyncio.gather(*ends, return_exceptions=True)

    await asyncio.gather(*(one(number) for number in range(40)))
    found = await wallet(database, ada)
    assert found.held == 0 and found.used == 60 * 40 and found.cost_cents == Decimal("0.0123") * 40
    assert await differences(database) == []


async def test_settling_twice_charges_once(database: Database) -> None:
    ada = await arrive(database, tokens=1000)
    counter = Meter(database)
    mine = ticket(ada, 1)
    held = await counter.hold(mine, action=Action.MEMORY, model="stand-in", most=100, least=1)
    for _ in range(3):
        await counter.settle(
            mine, held, Result(), tokens=40, input_tokens=40, output_tokens=0, cost_cents=Decimal(1), metadata={}
        )
    assert (await wallet(database, ada)).balance == 960
    assert await differences(database) == []


async def test_work_holds_once_at_most_however_often_it_tries(database: Database) -> None:
    ada = await arrive(database, tokens=1000)
    counter = Meter(database)
    for _ in range(5):
        await counter.hold(ticket(ada, 1), action=Action.MEMORY, model="stand-in", most=100, least=1)
    assert (await wallet(database, ada)).held == 100
    assert await differences(database) == []


async def test_work_that_was_taken_over_holds_nothing_and_leaves_its_successor_s_hold_alone(database: Database) -> None:
    ada = await arrive(database, tokens=1000)
    counter = Meter(database)
    await counter.hold(ticket(ada, 1), action=Action.MEMORY, model="stand-in", most=100, least=1)
    with pytest.raises(Fenced):
        await counter.hold(ticket(ada, 1, taken=True), action=Action.MEMORY, model="stand-in", most=500, least=1)
    assert (await wallet(database, ada)).held == 100
    async with database.as_service().transaction() as transaction:
        assert await transaction.value("select count(*) from viva.holds") == 1


async def test_usage_of_work_that_was_taken_over_is_charged_and_its_result_is_nobody_s(database: Database) -> None:
    ada = await arrive(database, tokens=1000)
    counter = Meter(database)
    mine = ticket(ada, 1, fenced=True)
    held = await counter.hold(mine, action=Action.MEMORY, model="stand-in", most=100, least=1)
    async with database.as_service().transaction() as transaction:
        await meter.release(transaction, work_id=1)
    with pytest.raises(Fenced):
        await counter.settle(
            mine, held, Result(), tokens=40, input_tokens=30, output_tokens=10, cost_cents=Decimal(1), metadata={}
        )
    async with database.as_user(ada).transaction() as transaction:
        rows = await transaction.value("select array_agg(row_to_json(t)::text order by tokens_used) from token_usage t")
    assert len(rows) == 2 and '"late": true' in rows[1] and '"success":false' in rows[1]
    assert (await wallet(database, ada)).balance == 960
    assert await differences(database) == []


async def test_a_call_of_somebody_who_erased_everything_meanwhile_ends_without_a_trace(database: Database) -> None:
    ada = await arrive(database, tokens=1000)
    counter = Meter(database)
    mine = ticket(ada, 1)
    held = await counter.hold(mine, action=Action.MEMORY, model="stand-in", most=100, least=1)
    async with database.as_service().transaction() as transaction:
        await transaction.execute("select viva.delete_user($1)", ada)
    await counter.settle(
        mine, held, Result(), tokens=40, input_tokens=40, output_tokens=0, cost_cents=Decimal(1), metadata={}
    )
    await counter.fail(held, error="gone")
    async with database.as_service().transaction() as transaction:
        assert await transaction.value("select count(*) from token_usage") == 0
        assert await transaction.value("select count(*) from viva.holds") == 0
    with pytest.raises(OutOfTokens):
        await counter.hold(mine, action=Action.MEMORY, model="stand-in", most=100, least=1)


# ------------------------------------------------------------------------------------- who may what


async def test_the_kinds_of_usage_the_database_takes_are_those_the_code_knows(database: Database) -> None:
    async with database.as_service().transaction() as transaction:
        definition = await transaction.value(
            "select pg_get_constraintdef(oid) from pg_constraint where conname = 'token_usage_action_type_check'"
        )
    assert set(re.findall(r"'([a-z_]+)'", definition)) == {str(action) for action in Action}


@pytest.mark.parametrize(
    "statement",
    [
        "update viva.wallets set balance = 1000000",
        "update viva.wallets set held = 0",
        "insert into viva.wallets (user_id, balance) values (gen_random_uuid(), 5)",
        "delete from viva.wallets",
        "insert into viva.ledger (user_id, kind, amount, reference) values (auth.uid(), 'admin', 5, 'mine')",
        "update viva.ledger set amount = 1000000",
        "delete from viva.ledger",
        "truncate viva.ledger",
        "update viva.holds set state = 'released'",
        "delete from viva.holds",
        "insert into public.token_usage (action_type, model_used) values ('memory', 'mine')",
        "update public.token_usage set tokens_used = 0",
        "delete from public.token_usage",
        "update public.user_profiles set vibe_assistant_tokens_remaining = 1000000",
        "update public.user_profiles set vibe_assistant_tokens_used = 0",
        "select viva.grant_tokens(auth.uid(), 5, 'admin', 'mine', null)",
        "select viva.settle((select id from viva.holds), 0, 0, 0, 0, false, null, '{}')",
        "select viva.release_open_holds(1, 'mine')",
        "select viva.hold(gen_random_uuid(), auth.uid(), 1, 's', 'memory', 'm', 5, 1)",
    ],
)
async def test_people_cannot_change_their_balance(database: Database, statement: str) -> None:
    ada = await arrive(database, tokens=1000)
    held = await Meter(database).hold(ticket(ada, 1), action=Action.MEMORY, model="stand-in", most=100, least=1)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.as_user(ada).transaction() as transaction:
            await transaction.execute(statement)
    assert (await wallet(database, ada)).held == held.granted
    assert await differences(database) == []


@pytest.mark.parametrize(
    "statement", ["update viva.ledger set amount = 5", "delete from viva.ledger", "truncate viva.ledger"]
)
async def test_not_even_the_service_changes_what_is_written_in_the_ledger(database: Database, statement: str) -> None:
    await arrive(database, tokens=1000)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with database.as_service().transaction() as transaction:
            await transaction.execute(statement)


async def test_the_ledger_check_finds_what_is_wrong(database: Database, database_urls: DatabaseUrls) -> None:
    ada = await arrive(database, tokens=1000)
    connection = await asyncpg.connect(database_urls.admin)
    await connection.execute("update viva.wallets set balance = balance + 5, used = 3")
    await connection.close()
    found = {difference.rule for difference in await differences(database) if difference.user_id == ada}
    assert {"balance = sum(ledger)", "used = sum(charges)", "used = sum(token_usage)", "profile remaining"} <= found


async def test_the_ledger_check_looks_at_every_version_of_a_profile(
    database: Database, database_urls: DatabaseUrls
) -> None:
    ada = await arrive(database, tokens=1000)
    async with database.as_user(ada).transaction() as transaction:
        await transaction.execute("update user_profiles set is_active = false where is_active")
        await transaction.execute("insert into user_profiles (version_number, is_active) values (2, true)")
    assert await differences(database) == []
    connection = await asyncpg.connect(database_urls.admin)
    for change, broken in (
        ("vibe_assistant_tokens_remaining = 7 where not is_active", "no balance on an old profile version"),
        ("vibe_assistant_tokens_used = 7 where not is_active", "nothing used on an old profile version"),
        ("vibe_assistant_total_cost = 7 where not is_active", "no cost on an old profile version"),
        ("token_rollover_cycles = 7 where is_active", "profile rollover cycles"),
        ("token_last_drip_date = now() where is_active", "profile last drip"),
        ("auto_topup_enabled = true where not is_active", "profile auto top-up"),
        ("auto_topup_pack_id = 'small' where is_active", "profile auto top-up"),
    ):
        await connection.execute("begin")
        await connection.execute(f"update public.user_profiles set {change}")
        found = await connection.fetch("select rule from viva.ledger_differences()")
        assert [row["rule"] for row in found] == [broken]
        await connection.execute("rollback")
    await connection.execute("delete from public.user_profiles where is_active")
    rules = {difference.rule for difference in await differences(database)}
    assert "one active profile version" in rules
    await connection.close()


# ---------------------------------------------------------------------------- through the front door


async def usage(viva: Viva, person: Someone) -> list[dict[str, Any]]:
    """The person's usage rows, once the ledger is seen to be exact and nothing is held."""
    assert await viva.service_rows("select * from viva.ledger_differences()") == []
    assert await viva.service_rows("select 1 from viva.holds where state = 'open'") == []
    return await viva.rows(person, "select * from token_usage order by created_at, tokens_used")


async def test_a_model_without_a_price_is_never_called(viva: Viva) -> None:
    await viva.restart(viva_chat_model="nobody-knows-it", viva_transcribe_model="nobody-knows-it-either")
    ada = await viva.onboarded()
    before = len(ada.messages)
    await ada.send("Hello?")
    await ada.send_voice()
    assert viva.model.requests == []
    assert await usage(viva, ada) == []
    assert len(ada.messages) > before + 1


async def test_a_provider_that_claims_more_than_was_asked_of_it_charges_no_more_than_was_held(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.script(
        "chat/completions", usage={"prompt_tokens": 150_000, "completion_tokens": 5, "total_tokens": 150_005}
    )
    await ada.send("Hello?")
    row = (await usage(viva, ada))[0]
    assert row["metadata"]["beyond_hold"] == 150_005 - row["tokens_used"] > 0
    assert row["metadata"]["usage_from"] == "provider"


@pytest.mark.parametrize("prompt_tokens", [-5, 10**12])
async def test_a_provider_whose_figures_cannot_be_is_not_believed(viva: Viva, prompt_tokens: int) -> None:
    ada = await viva.onboarded()
    viva.model.script(
        "chat/completions", usage={"prompt_tokens": prompt_tokens, "completion_tokens": 5, "total_tokens": 0}
    )
    await ada.send("Hello?")
    row = (await usage(viva, ada))[0]
    assert row["metadata"]["usage_from"] == "local_count"
    assert row["tokens_used"] == row["input_tokens"] + row["output_tokens"] > 0


async def test_a_provider_s_failure_with_no_words_costs_nothing_and_leaves_a_row_each_time(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.script("chat/completions", status=400, message="no")
    await ada.send("Hello?")
    row = (await usage(viva, ada))[0]
    assert (row["success"], row["tokens_used"], row["cost_estimate"]) == (False, 0, 0)
    assert "no" not in (row["error_message"] or "").split()


async def test_what_a_frozen_process_used_is_charged_when_it_wakes_up(viva: Viva) -> None:
    ada = await viva.onboarded()
    viva.model.hold(after=3)
    await ada.send_without_waiting("Tell me of the sea.")
    await viva.model.held()
    # It was frozen for so long that the others declared it dead; its lane is taken up again, once it has signed on
    # anew: what it claimed before that would be taken over a second time.
    await viva.service_rows("delete from viva.processes")
    await wait_until(lambda: len(viva.model.requests) == 2, "the answer is not tried again")
    viva.model.release()
    await viva.quiet()
    metered = "select metadata, tokens_used from token_usage order by tokens_used"

    async def all_metered() -> list[dict[str, Any]]:
        rows = await viva.rows(ada, metered)
        return rows if len(rows) == 3 else []

    rows = await comes_true(all_metered, "what the frozen process used was not charged")
    await usage(viva, ada)
    assert rows[0]["tokens_used"] == 0 and rows[1]["tokens_used"] > 0
    assert sum(row["metadata"].get("late", False) for row in rows) == 1
    answers = await viva.rows(ada, "select 1 from ai_conversations where role = 'assistant'")
    assert len(answers) == 1
