"""Grants: what a balance is made of, what ends and when, whoever ticks and how often."""

from __future__ import annotations

import asyncio
import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from bot.services import upkeep
from storage import grants, meter, migrate, packs, topup
from storage.database import Database
from tests.conftest import DatabaseUrls

PERIOD = timedelta(days=28)
NEW_VERSION = """
    with before as (update user_profiles set is_active = false where is_active returning version_number)
    insert into user_profiles (version_number, is_active, is_draft) select version_number + 1, false, true from before
"""
_numbers = itertools.count(1)


@dataclass(kw_only=True)
class Person:
    """A person's wallet, as the tests reach it."""

    database: Database
    user: uuid.UUID
    came: datetime

    async def ask(self, sql: str, *values: object) -> Any:
        async with self.database.as_service().transaction() as db:
            return await db.value(sql, *values)

    async def given(self, amount: int, *, kind: str = "admin", reference: str | None = None) -> None:
        async with self.database.as_service().transaction() as db:
            name = reference or f"{kind}:{uuid.uuid4()}"
            await meter.grant(db, user_id=self.user, amount=amount, kind=kind, reference=name, note=None)

    async def paid(self, amount: int, *, charge: str) -> uuid.UUID:
        async with self.database.as_service().transaction() as db:
            order = await packs.order_pack(db, user_id=self.user, pack_id="small", tokens=amount, stars=amount)
            credit = await packs.credit_payment(db, user_id=self.user, order_id=order, charge_id=charge, stars=amount)
        return credit.payment_id

    async def refunded(self, payment: uuid.UUID, *, refused: bool) -> str:
        """How asking for a refund began; it is then made, or refused by Telegram."""
        async with self.database.as_service().transaction() as db:
            begun = await packs.begin_refund(db, user_id=self.user, payment_id=payment)
        async with self.database.as_service().transaction() as db:
            end = packs.undo_refund if refused else packs.end_refund
            assert await end(db, payment) == (begun.outcome == "begun")
        return begun.outcome

    async def adjusted(self, amount: int) -> grants.Adjusted:
        async with self.database.as_service().transaction() as db:
            return await grants.adjust(
                db, user_id=self.user, amount=amount, reference=f"admin:{uuid.uuid4()}", reason="a test"
            )

    async def drip(self, *, days: float, amount: int = 100, cycles: int = 1) -> bool:
        moment = self.came + timedelta(days=days)
        return bool(await self.ask("select viva.drip($1, $2, $3, $4)", self.user, amount, cycles, moment))

    async def expire(self, *, days: float) -> int:
        return int(await self.ask("select viva.expire_grants(100, $1)", self.came + timedelta(days=days)))

    async def hold(self, most: int, *, work: int = 1) -> tuple[uuid.UUID, int]:
        hold_id = uuid.uuid4()
        async with self.database.as_service().transaction() as db:
            answer = await meter.hold(
                db,
                hold_id=hold_id,
                user_id=self.user,
                work_id=work,
                step="answer",
                action_type="chat_conversation",
                model="gpt-4.1-mini",
                most=most,
                least=1,
            )
        return hold_id, answer.granted

    async def settle(self, hold_id: uuid.UUID, tokens: int) -> None:
        async with self.database.as_service().transaction() as db:
            await meter.settle(
                db,
                hold_id=hold_id,
                tokens=tokens,
                input_tokens=tokens,
                output_tokens=0,
                cost_cents=Decimal(tokens) / 1000,
                success=True,
                error=None,
                metadata={},
            )

    async def spend(self, tokens: int) -> None:
        hold_id, granted = await self.hold(tokens)
        assert granted == tokens
        await self.settle(hold_id, tokens)

    async def new_profile_version(self) -> None:
        async with self.database.as_user(self.user).transaction() as db:
            await db.execute(NEW_VERSION)
            await db.execute("update user_profiles set is_active = true, is_draft = false where is_draft")

    async def balance(self) -> int:
        return int(await self.ask("select balance from viva.wallets where user_id = $1", self.user))

    async def grants(self) -> list[tuple[str, int]]:
        """Kind and what is left of each grant, oldest first."""
        left = await self.ask(
            "select coalesce(jsonb_agg(jsonb_build_array(kind, left_tokens) order by id), '[]') from viva.grants"
            " where user_id = $1",
            self.user,
        )
        return [(kind, tokens) for kind, tokens in left]

    async def differences(self) -> list[str]:
        found = await upkeep.ledger_differences(self.database)
        return [f"{one.rule}: {one.expected} {one.found}" for one in found]


async def arrive(database: Database, *, starting: int = 0) -> Person:
    """A new person with a wallet."""
    async with database.as_service().transaction() as db:
        user = await db.value("select user_id from viva.arrive($1, $1, 'Ada', 'en', $2)", next(_numbers), starting)
        came = await db.value("select created_at from viva.wallets where user_id = $1", user)
    return Person(database=database, user=user, came=came)


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = await Database.connect(database_urls.service, pool_size=6)
    yield database
    await database.close()


@pytest.fixture
async def ada(database: Database) -> Person:
    return await arrive(database)


# --- profile versions --------------------------------------------------------------------------------------


async def test_a_new_profile_version_neither_copies_nor_changes_the_balance(ada: Person) -> None:
    await ada.given(1_000)
    await ada.drip(days=28, amount=100)
    await ada.spend(250)
    await ada.new_profile_version()
    await ada.spend(50)
    await ada.new_profile_version()
    async with ada.database.as_user(ada.user).transaction() as db:
        columns = await db.value(
            """
            select jsonb_agg(jsonb_build_array(is_active, vibe_assistant_tokens_remaining, vibe_assistant_tokens_used,
                                               token_last_drip_date is not null) order by version_number)
              from user_profiles
            """
        )
    assert columns == [[False, 0, 0, False], [False, 0, 0, False], [True, 800, 300, True]]
    assert await ada.differences() == []


async def test_balance_top_up_and_quota_stand_on_whichever_version_is_active(ada: Person) -> None:
    await ada.given(1_000)
    async with ada.database.as_service().transaction() as db:
        order = await packs.order_pack(db, user_id=ada.user, pack_id="small", tokens=2_000_000, stars=250, monthly=True)
        until = datetime.now(UTC) + timedelta(days=30)
        await topup.note(db, user_id=ada.user, order_id=order, charge_id="charge", first=True, until=until)
        await db.execute("update user_profiles set storage_quota_gb = 40 where is_active")
    kept = """
        select jsonb_agg(jsonb_build_array(is_active, vibe_assistant_tokens_remaining, vibe_assistant_tokens_used,
                         auto_topup_enabled, auto_topup_pack_id, storage_quota_gb) order by version_number)
          from user_profiles
    """

    async def become(version: int) -> Any:
        """Make this version the active one, with a charge on either side of it, and see all versions."""
        await ada.spend(10)
        async with ada.database.as_user(ada.user).transaction() as db:
            await db.execute("update user_profiles set is_active = false where is_active")
            await db.execute(
                "update user_profiles set is_active = true, is_draft = false where version_number = $1", version
            )
        await ada.spend(10)
        assert await ada.differences() == []
        async with ada.database.as_user(ada.user).transaction() as db:
            return await db.value(kept)

    async with ada.database.as_user(ada.user).transaction() as db:
        # A draft, made as a copy of what stands.
        await db.execute(
            """
            insert into user_profiles (first_name, version_number, is_draft, parent_version_id)
              select first_name, 2, true, id from user_profiles where is_active
            """
        )
    assert await become(2) == [[False, 0, 0, False, None, 40], [True, 980, 20, True, "small", 40]]
    assert await become(1) == [[True, 960, 40, True, "small", 40], [False, 0, 0, False, None, 40]]
    async with ada.database.as_service().transaction() as db:
        await topup.change(db, user_id=ada.user, order_id=order, state="canceled")
    assert (await become(2))[1] == [True, 940, 60, False, "small", 40]


async def test_a_charge_during_a_change_of_version_reaches_the_new_version(ada: Person) -> None:
    await ada.given(10_000)
    for _ in range(5):
        hold_id, _ = await ada.hold(100)
        # One of the two may be ended by Postgres as a deadlock; the engine then tries it again.
        both = await asyncio.gather(ada.new_profile_version(), ada.settle(hold_id, 100), return_exceptions=True)
        if isinstance(both[1], Exception):
            await ada.settle(hold_id, 100)
        assert await ada.differences() == []


# --- the months --------------------------------------------------------------------------------------------


async def test_the_monthly_tokens_come_once_a_period_whatever_number_of_replicas_tick(ada: Person) -> None:
    given = await asyncio.gather(*(ada.drip(days=28.5) for _ in range(8)))
    assert sorted(given) == [False] * 7 + [True]
    assert await ada.balance() == 100
    assert not await ada.drip(days=55.9)
    assert await ada.drip(days=56)
    assert await ada.balance() == 200


async def test_replicas_that_tick_for_everybody_at_once_give_each_person_theirs_once(database: Database) -> None:
    people = [await arrive(database) for _ in range(20)]
    moment = max(person.came for person in people) + PERIOD

    async def tick() -> int:
        async with database.as_service().transaction() as db:
            return int(await db.value("select viva.drip_due(100, 1, 7, $1)", moment))

    while sum(await asyncio.gather(*(tick() for _ in range(4)))):
        pass
    assert [await person.balance() for person in people] == [100] * 20
    assert await people[0].differences() == []


async def test_nothing_comes_before_the_first_period_is_over_or_where_it_is_switched_off(ada: Person) -> None:
    assert not await ada.drip(days=27.9)
    assert not await ada.drip(days=28, amount=0)
    assert await ada.balance() == 0


async def test_periods_that_nobody_ticked_in_are_not_made_up_for(ada: Person) -> None:
    assert await ada.drip(days=100)
    assert not await ada.drip(days=100)
    assert await ada.balance() == 100


async def test_unused_monthly_tokens_survive_as_many_periods_as_the_cap_says(ada: Person) -> None:
    for cycles, lasts in ((0, 1), (1, 2), (2, 3)):
        person = await arrive(ada.database)
        await person.drip(days=28, cycles=cycles)
        assert await person.expire(days=28 * (1 + lasts) - 0.1) == 0
        assert await person.expire(days=28 * (1 + lasts)) == 1
        assert await person.balance() == 0


async def test_the_profile_says_when_the_last_came_and_how_many_earlier_ones_are_left(ada: Person) -> None:
    for period in range(1, 4):
        await ada.expire(days=28 * period)
        await ada.drip(days=28 * period, cycles=2)
    async with ada.database.as_user(ada.user).transaction() as db:
        last = await db.value("select token_last_drip_date from user_profiles where is_active")
        cycles = await db.value("select token_rollover_cycles from user_profiles where is_active")
    assert (last, cycles) == (ada.came + 3 * PERIOD, 2)


async def test_an_expired_grant_takes_only_what_is_left_of_itself(ada: Person) -> None:
    await ada.given(1_000)
    await ada.drip(days=28, amount=100)
    await ada.spend(70)
    assert await ada.grants() == [("admin", 1_000), ("drip", 30)]
    assert await ada.expire(days=84) == 1
    assert await ada.grants() == [("admin", 1_000), ("drip", 0)]
    assert await ada.balance() == 1_000
    assert await ada.expire(days=84) == 0
    assert await ada.differences() == []


async def test_the_soonest_to_expire_is_spent_first_and_bought_tokens_last(ada: Person) -> None:
    await ada.given(1_000, kind="purchase")
    await ada.given(1_000)
    await ada.drip(days=28, amount=100)
    await ada.drip(days=56, amount=100)
    await ada.spend(150)
    assert await ada.grants() == [("purchase", 1_000), ("admin", 1_000), ("drip", 0), ("drip", 50)]
    await ada.spend(1_060)
    assert await ada.grants() == [("purchase", 990), ("admin", 0), ("drip", 0), ("drip", 0)]


async def test_a_refund_takes_back_what_was_bought(ada: Person) -> None:
    await ada.given(1_000, kind="purchase")
    await ada.drip(days=28, amount=100)
    await ada.ask("select viva.grant_tokens($1, -600, 'refund', 'refund:1', null)", ada.user)
    assert await ada.grants() == [("purchase", 400), ("drip", 100)]
    assert await ada.differences() == []


async def test_nothing_expires_under_a_call_that_is_under_way(ada: Person) -> None:
    await ada.drip(days=28, amount=100)
    hold_id, granted = await ada.hold(80)
    assert granted == 80
    assert await ada.expire(days=84) == 0
    await ada.settle(hold_id, 60)
    assert await ada.expire(days=84) == 1
    assert await ada.balance() == 0
    assert await ada.differences() == []


# --- what was there before grants --------------------------------------------------------------------------


async def test_a_database_in_use_gets_its_grants_from_its_ledger(empty_database_url: str) -> None:
    connection = await asyncpg.connect(empty_database_url)
    await migrate._prepare(connection)
    for migration in migrate.read_migrations():
        if migration.name < "0008_grants.sql":
            await migrate._apply(connection, migration)
    user = await connection.fetchval("select user_id from viva.arrive(1, 1, 'Ada', 'en', 1000)")
    await connection.execute("select viva.grant_tokens($1, 500, 'admin', 'admin:1', null)", user)
    hold = uuid.uuid4()
    await connection.execute(
        "select viva.hold($1, $2, 1, 'a', 'chat_conversation', 'gpt-4.1-mini', 1200, 1)", hold, user
    )
    await connection.execute("select viva.settle($1, 1200, 1100, 100, 0.5, true, null, '{}')", hold)
    await migrate.migrate(empty_database_url)
    grants = await connection.fetch("select kind, amount, left_tokens from viva.grants order by id")
    assert [tuple(row) for row in grants] == [("starting", 1000, 0), ("admin", 500, 300)]
    assert await connection.fetch("select * from viva.ledger_differences()") == []
    await connection.close()


# --- any order of anything ---------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Given:
    """A grant as the model of the test knows it."""

    kind: str
    left: int
    ends: float | None = None


@dataclass(kw_only=True)
class Purse:
    """What must be true of a person, kept by rules of its own."""

    given: list[Given] = field(default_factory=list)
    bought: dict[uuid.UUID, tuple[int, Given]] = field(default_factory=dict)
    holds: dict[uuid.UUID, int] = field(default_factory=dict)
    period: int = 0

    @property
    def balance(self) -> int:
        return sum(grant.left for grant in self.given)

    @property
    def free(self) -> int:
        return self.balance - sum(self.holds.values())

    @property
    def returnable(self) -> int:
        return min(self.free, sum(grant.left for grant in self.given if grant.kind == "purchase"))

    def take(self, tokens: int, *, back: Given | None = None) -> None:
        def order(grant: Given) -> tuple[bool, bool, float, bool]:
            ends = float("inf") if grant.ends is None else grant.ends
            bought = grant.kind == "purchase"
            return (grant is not back, back is not None and not bought, ends, bought)

        for grant in sorted(self.given, key=order):
            taken = min(tokens, grant.left)
            grant.left -= taken
            tokens -= taken
        assert tokens == 0


AMOUNTS = st.integers(1, 400)


class AnyOrder(RuleBasedStateMachine):
    """Grants, drips, packs, refunds, calls, crashes, expiries, deductions and profile versions, in any order."""

    runner: asyncio.Runner
    database: Database

    def run(self, coroutine: Any) -> Any:
        return self.runner.run(coroutine)

    @initialize(starting=st.integers(0, 500))
    def arrive(self, starting: int) -> None:
        self.ada: Person = self.run(arrive(self.database, starting=starting))
        self.purse = Purse()
        self.days = 0.0
        self.work = 0
        if starting:
            self.purse.given.append(Given(kind="starting", left=starting))

    @rule(days=st.integers(1, 40))
    def time_goes_by(self, days: int) -> None:
        self.days += days

    @rule(amount=AMOUNTS, cycles=st.integers(0, 2), replicas=st.integers(1, 2))
    def drip(self, amount: int, cycles: int, replicas: int) -> None:
        period = int(self.days // 28)
        expected = int(period > self.purse.period)
        came = sum(self.run(self.ada.drip(days=self.days, amount=amount, cycles=cycles)) for _ in range(replicas))
        assert came == expected
        if expected:
            self.purse.period = period
            self.purse.given.append(Given(kind="drip", left=amount, ends=(period + 1 + cycles) * 28.0))

    @rule(amount=AMOUNTS, kind=st.sampled_from(["admin", "purchase"]))
    def give(self, amount: int, kind: str) -> None:
        self.run(self.ada.given(amount, kind=kind))
        self.purse.given.append(Given(kind=kind, left=amount))

    @rule(amount=AMOUNTS, times=st.integers(1, 2))
    def buy(self, amount: int, times: int) -> None:
        charge = str(uuid.uuid4())
        for _ in range(times):
            payment = self.run(self.ada.paid(amount, charge=charge))
        bought = Given(kind="purchase", left=amount)
        self.purse.given.append(bought)
        self.purse.bought[payment] = (amount, bought)

    @precondition(lambda self: self.purse.bought)
    @rule(refused=st.booleans(), data=st.data())
    def refund(self, refused: bool, data: st.DataObject) -> None:
        payment = data.draw(st.sampled_from(list(self.purse.bought)))
        amount, bought = self.purse.bought[payment]
        may = self.purse.returnable >= amount
        assert self.run(self.ada.refunded(payment, refused=refused)) == ("begun" if may else "spent")
        if may:
            self.purse.take(amount, back=bought)
            if refused:
                self.purse.given.append(Given(kind="purchase", left=amount))
            else:
                del self.purse.bought[payment]

    @rule(amount=AMOUNTS)
    def deduct(self, amount: int) -> None:
        answer = self.run(self.ada.adjusted(-amount))
        assert (answer.done, answer.free) == (amount <= self.purse.free, self.purse.free)
        if answer.done:
            self.purse.take(amount)

    @rule(most=AMOUNTS)
    def begin_a_call(self, most: int) -> None:
        self.work += 1
        hold_id, granted = self.run(self.ada.hold(most, work=self.work))
        assert granted == min(most, self.purse.free)
        if granted:
            self.purse.holds[hold_id] = granted

    @precondition(lambda self: self.purse.holds)
    @rule(used=st.integers(0, 500), data=st.data())
    def end_a_call(self, used: int, data: st.DataObject) -> None:
        hold_id = data.draw(st.sampled_from(list(self.purse.holds)))
        for _ in range(2):
            self.run(self.ada.settle(hold_id, used))
        self.purse.take(min(used, self.purse.holds.pop(hold_id)))

    @precondition(lambda self: self.purse.holds)
    @rule()
    def crash(self) -> None:
        for work in range(1, self.work + 1):
            self.run(self.ada.ask("select viva.release_open_holds($1, 'a crash')", work))
        self.purse.holds.clear()

    @rule()
    def expire(self) -> None:
        self.run(self.ada.expire(days=self.days))
        if not self.purse.holds:
            for grant in self.purse.given:
                if grant.ends is not None and grant.ends <= self.days:
                    grant.left = 0

    @rule()
    def new_profile_version(self) -> None:
        self.run(self.ada.new_profile_version())

    @invariant()
    def the_ledger_is_exact(self) -> None:
        assert self.run(self.ada.grants()) == [(grant.kind, grant.left) for grant in self.purse.given]
        assert self.run(self.ada.balance()) == self.purse.balance
        assert self.run(self.ada.differences()) == []

    def teardown(self) -> None:
        if hasattr(self, "ada"):
            self.run(self.ada.ask("select viva.delete_user($1)", self.ada.user))


def test_the_ledger_is_exact_after_every_step_in_any_order(database_urls: DatabaseUrls) -> None:
    with asyncio.Runner() as runner:
        database = runner.run(Database.connect(database_urls.service, pool_size=2))
        machine = type("AnyOrder", (AnyOrder,), {"runner": runner, "database": database})
        try:
            run_machine(
                machine,
                settings=settings(
                    max_examples=30,
                    derandomize=True,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(database.close())
