"""Who may see and change what, for every table there is."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from bot.playground.postgres import EmbeddedPostgres
from storage.database import Actor, Database
from tests.conftest import MIGRATED, DatabaseUrls

# What a person may do with their own rows: an insert that makes one, and a change to it.
# The change reads no column: one that does is also narrowed by what may be seen, and would prove less.
# `{user}`, `{profile}`, `{assessment}`, `{vision}`, `{item}`, `{entry}` are ids of the person's; `{number}` differs.
OWN: dict[str, tuple[str, str]] = {
    "public.user_profiles": (
        "insert into public.user_profiles (user_id, version_number, first_name) values ('{user}', {number}, 'Ada')",
        "first_name = 'Eve'",
    ),
    "public.vision_versions": (
        "insert into public.vision_versions (user_id, version_number, status, fun)"
        " values ('{user}', {number}, 'complete', 'We dance.')",
        "last_audio_generated_at = now()",
    ),
    "public.assessment_results": (
        "insert into public.assessment_results (user_id, profile_version_id) values ('{user}', '{profile}')",
        "notes = 'mine'",
    ),
    "public.assessment_responses": (
        "insert into public.assessment_responses"
        " (assessment_id, question_id, question_text, category, response_value, response_text, green_line)"
        " values ('{assessment}', 'fun_{number}', 'How?', 'fun', 8, 'Well.', 'above')",
        "response_text = 'mine'",
    ),
    "public.journal_entries": (
        "insert into public.journal_entries (user_id, content) values ('{user}', 'A day.')",
        "content = 'mine'",
    ),
    "public.audio_tracks": (
        "insert into public.audio_tracks"
        " (user_id, vision_id, section_key, content_hash, text_content, voice_id, s3_bucket, s3_key, audio_url)"
        " values ('{user}', '{vision}', 'fun', '{number}', 'We dance.', 'alloy', '', '', '')",
        "status = 'failed'",
    ),
    "public.vision_board_items": (
        "insert into public.vision_board_items (user_id, name) values ('{user}', 'A boat')",
        "name = 'mine'",
    ),
    "public.ai_conversations": (
        "insert into public.ai_conversations (user_id, message, role) values ('{user}', 'Good morning', 'user')",
        "message = 'mine'",
    ),
    "viva.assessment_not_applicable": (
        "insert into viva.assessment_not_applicable (assessment_id, question_id)"
        " values ('{assessment}', 'money_{number}')",
        "marked_at = now()",
    ),
    "viva.assessment_words": (
        "insert into viva.assessment_words (assessment_id, question_id, words)"
        " values ('{assessment}', 'money_{number}', 'It comes and goes.')",
        "state = 'failed'",
    ),
    "viva.assessment_self_ratings": (
        "insert into viva.assessment_self_ratings (assessment_id, category, rating)"
        " select '{assessment}', category, 7 from unnest(enum_range(null::public.assessment_category)) as category"
        "  where category not in (select r.category from viva.assessment_self_ratings as r"
        "                          where r.assessment_id = '{assessment}') limit 1",
        "rating = 3",
    ),
    "viva.assessment_readings": (
        "insert into viva.assessment_readings (assessment_id, state) values ('{assessment}', 'failed')",
        "updated_at = now()",
    ),
    "viva.journal_albums": (
        "insert into viva.journal_albums (user_id, media_group_id, entry_id, shown_as)"
        " values ('{user}', 'album-{number}',"
        " (select id from public.journal_entries where user_id = '{user}' limit 1), 'journal:1')",
        "shown_as = 'mine'",
    ),
    "viva.journal_reflections": (
        "insert into viva.journal_reflections (user_id, week_start, text)"
        " values ('{user}', date '2026-01-05' + 7 * {number}, 'A week.')",
        "text = 'mine'",
    ),
    "viva.narrators": (
        "insert into viva.narrators (user_id, provider, voice_id) values ('{user}', '{number}', 'sage')",
        "voice_id = 'mine'",
    ),
    "viva.blueprints": (
        "insert into viva.blueprints (user_id, category, state) values ('{user}', 'fun', 'written')",
        "state = 'failed'",
    ),
    "viva.blueprint_steps": (
        "insert into viva.blueprint_steps (user_id, blueprint_id, position, title, description)"
        " values ('{user}', '{blueprint}', 1, 'Dance', 'Tonight.')",
        "title = 'mine'",
    ),
    "viva.reminders": (
        "insert into viva.reminders (user_id, step_id) values ('{user}', '{step}')",
        "hour = 10",
    ),
    "viva.vision_proposals": (
        "insert into viva.vision_proposals (user_id, vision_id, section_key) values ('{user}', '{vision}', 'fun')",
        "state = 'kept'",
    ),
    "viva.board_ideas": (
        "insert into viva.board_ideas (user_id, category, name) values ('{user}', 'fun', 'A boat')",
        "state = 'passed'",
    ),
    "viva.board_stories": (
        "insert into viva.board_stories (user_id, item_id, entry_id) values ('{user}', '{item}', '{entry}')",
        "created_at = now()",
    ),
    "viva.memory_state": (
        "insert into viva.memory_state (user_id) values ('{user}')"
        " on conflict (user_id) do update set unread_tokens = {number}",
        "failed_at = now()",
    ),
    "viva.memory_facts": (
        "insert into viva.memory_facts"
        " (user_id, text, valid_from, confidence, source_kind, source_id, quote, said_at, tokens)"
        " values ('{user}', 'Lives in Cork', current_date, 0.9, 'turn', gen_random_uuid(), 'in Cork', now(), 4)",
        "valid_to = current_date",
    ),
    "viva.memory_digests": (
        "insert into viva.memory_digests (user_id, kind, covers_from, covers_to, sources, text, tokens)"
        " values ('{user}', 'week', now() + interval '{number} days', now(), '{{}}', 'A quiet week.', 4)",
        "text = 'mine'",
    ),
    "viva.memory_forgotten": (
        "insert into viva.memory_forgotten (user_id, source_id, hash, length)"
        " values ('{user}', gen_random_uuid(), 'x', 3)",
        "length = 4",
    ),
    "viva.memory_passages": (
        "insert into viva.memory_passages (user_id, source_kind, source_id, text, said_at, search)"
        " values ('{user}', 'turn', gen_random_uuid(), 'A day.', now(), 'day')",
        "read_at = now()",
    ),
    "viva.conversations": (
        "insert into viva.conversations (id, user_id, title) values (gen_random_uuid(), '{user}', 'A talk')",
        "title = 'mine'",
    ),
}

# What a person may only look at, and only their own; the service writes it.
SHOWN: dict[str, tuple[str, str]] = {
    "public.token_usage": (
        "insert into public.token_usage (user_id, action_type, model_used)"
        " values ('{user}', 'chat_conversation', 'stand-in')",
        "tokens_used",
    ),
    "public.assessment_insights": (
        "insert into public.assessment_insights (assessment_id, category, insight_type, title, description)"
        " values ('{assessment}', 'fun', 'strength', 'Play', 'You play.')",
        "title",
    ),
    "viva.journal_words": (
        "with entry as (insert into public.journal_entries (user_id, content) values ('{user}', 'A day.') returning id)"
        " insert into viva.journal_words (entry_id, user_id, words) select id, '{user}', '' from entry",
        "words",
    ),
    "viva.media_objects": (
        "insert into viva.media_objects (media_key, user_id, bytes) values ('users/{user}/{number}', '{user}', 5)",
        "bytes",
    ),
    "viva.media_notes": (
        "insert into viva.media_notes (user_id, told) values ('{user}', 80) on conflict do nothing",
        "told",
    ),
    "viva.wallets": ("insert into viva.wallets (user_id) values ('{user}') on conflict do nothing", "balance"),
    "viva.ledger": (
        "insert into viva.ledger (user_id, kind, amount, reference) values ('{user}', 'admin', 5, 'gift:{number}')",
        "amount",
    ),
    "viva.grants": (
        "with entry as (insert into viva.ledger (user_id, kind, amount, reference)"
        " values ('{user}', 'charge', -1, 'spent:{number}') returning id, user_id)"
        " insert into viva.grants (user_id, kind, amount, left_tokens, ledger_id)"
        " select user_id, 'admin', 5, 5, id from entry",
        "left_tokens",
    ),
    "viva.holds": (
        "insert into viva.holds (id, user_id, step, action_type, model, tokens)"
        " values (gen_random_uuid(), '{user}', 'call', 'chat_conversation', 'stand-in', 7)",
        "tokens",
    ),
    "viva.orders": (
        "insert into viva.orders (user_id, pack_id, tokens, stars) values ('{user}', 'small', 5, 250)",
        "stars",
    ),
    "viva.payments": (
        "insert into viva.payments (telegram_payment_charge_id, user_id, stars, tokens)"
        " values ('charge-{number}', '{user}', 250, 5)",
        "tokens",
    ),
    "viva.topups": (
        "with placed as (insert into viva.orders (user_id, pack_id, tokens, stars, monthly)"
        " values ('{user}', 'small', 5, 250, true) returning id)"
        " insert into viva.topups (order_id, user_id, telegram_payment_charge_id, paid_until)"
        " select id, '{user}', 'charge-{number}', now() from placed",
        "state",
    ),
}

# Whose a row is follows from its assessment.
OF_AN_ASSESSMENT = (
    "public.assessment_responses",
    "public.assessment_insights",
    "viva.assessment_not_applicable",
    "viva.assessment_words",
    "viva.assessment_self_ratings",
    "viva.assessment_readings",
)

ACCOUNTS = "viva.telegram_accounts"

# The machinery: no person ever reaches it.
CLOSED = {
    "auth.users",
    "viva.migrations",
    "viva.processes",
    "viva.leaders",
    "viva.lanes",
    "viva.work",
    "viva.work_steps",
    "viva.outbox",
    "viva.outbox_chats",
    "viva.gates",
    "viva.starting_grants",
}

ONE_A_PERSON = {"viva.memory_state"}

EVERY_TABLE = sorted([*OWN, *SHOWN, ACCOUNTS, *CLOSED])

# The few functions that a person may call: each looks at nobody or at the person of the transaction.
CALLABLE = {
    "viva.owns_profile(uuid)",
    "viva.warn_if_low()",
    "viva.returnable(uuid)",
    "viva.journal_text(text,text,jsonb)",
    "viva.without_white_space(text)",
    "viva.search_language(text)",
    "viva.search_vector(uuid,text)",
    "viva.lock_memory(uuid)",
    "viva.word_keys(uuid,tsvector)",
    "viva.passages_by_words(text,integer,uuid[])",
    "viva.without_forgotten(uuid,uuid,text)",
    "viva.keep_passage(uuid,text,uuid,text,timestamp with time zone,text[],integer)",
    "viva.drop_derived(uuid,text,uuid)",
    "viva.keep_embedding(uuid,real[],text)",
    "viva.nearest_passages(real[],text,integer)",
    "viva.next_reminder(integer[],integer,text,timestamp with time zone)",
}

METER_COLUMNS = [
    "vibe_assistant_tokens_used",
    "vibe_assistant_tokens_remaining",
    "vibe_assistant_total_cost",
    "token_rollover_cycles",
    "token_last_drip_date",
    "auto_topup_enabled",
    "auto_topup_pack_id",
    "storage_quota_gb",
]

_numbers = itertools.count(100)
_turns = itertools.count()


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person with one row in every table."""

    telegram_id: int
    user: uuid.UUID
    profile: uuid.UUID
    assessment: uuid.UUID
    vision: uuid.UUID
    item: uuid.UUID
    entry: uuid.UUID
    blueprint: uuid.UUID
    steps: list[uuid.UUID]

    def insert(self, table: str) -> str:
        """A statement that adds one more row of this person's."""
        number = next(_numbers)
        # A step has one reminder, so each takes the next step.
        step = self.steps[next(_turns) % len(self.steps)] if table == "viva.reminders" else ""
        return ({**OWN, **SHOWN})[table][0].format(**vars(self), number=number, step=step)


@dataclass(frozen=True, kw_only=True)
class TwoPeople:
    """Ada and Ben, strangers to each other; `as_ada` acts with her identity."""

    database: Database
    ada: Person
    ben: Person
    urls: DatabaseUrls

    @property
    def as_ada(self) -> Actor:
        return self.database.as_user(self.ada.user)


@pytest.fixture(scope="module")
async def urls(postgres: EmbeddedPostgres) -> AsyncIterator[DatabaseUrls]:
    """One database for this module: every test brings two people of its own, and others are strangers too."""
    name = "row_level_security"
    await postgres.clone(name, template=MIGRATED)
    yield DatabaseUrls(service=postgres.url(database=name), admin=postgres.url(database=name, user="postgres"))
    await postgres.drop(name)


@pytest.fixture(scope="module")
async def database(urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = await Database.connect(urls.service, pool_size=2)
    yield database
    await database.close()


@pytest.fixture
async def people(database: Database, urls: DatabaseUrls) -> TwoPeople:
    ada = await move_in(database)
    ben = await move_in(database)
    return TwoPeople(database=database, ada=ada, ben=ben, urls=urls)


async def move_in(database: Database) -> Person:
    """A new person with a row in every table, or more."""
    telegram_id = next(_numbers)
    async with database.as_service().transaction() as transaction:
        user = await transaction.value("select user_id from viva.arrive($1, $1, 'Ada', 'en', 1000)", telegram_id)
        blueprint = await transaction.value(
            "insert into viva.blueprints (user_id, category, state) values ($1, 'fun', 'written') returning id", user
        )
        person = Person(
            telegram_id=telegram_id,
            user=user,
            profile=await transaction.value("select id from public.user_profiles where user_id = $1", user),
            assessment=await transaction.value(
                "insert into public.assessment_results (user_id, status) values ($1, 'in_progress') returning id", user
            ),
            vision=await transaction.value(
                "insert into public.vision_versions (user_id) values ($1) returning id", user
            ),
            item=await transaction.value(
                "insert into public.vision_board_items (user_id, name) values ($1, 'A boat') returning id", user
            ),
            entry=await transaction.value(
                "insert into public.journal_entries (user_id, content) values ($1, 'It came.') returning id", user
            ),
            blueprint=blueprint,
            steps=[
                await transaction.value(
                    "insert into viva.blueprint_steps (user_id, blueprint_id, position, title, description)"
                    " values ($1, $2, 1, 'Dance', 'Tonight.') returning id",
                    user,
                    blueprint,
                )
                for _ in range(20)
            ],
        )
        for table in [*OWN, *SHOWN]:
            await transaction.execute(person.insert(table))
    return person


async def _rows_of(people: TwoPeople, table: str, person: Person) -> dict[str, str]:
    """A person's rows as the service sees them: each row's place and version, so that any change shows."""
    owned = "assessment_id = $1" if table in OF_AN_ASSESSMENT else "user_id = $1"
    key = person.assessment if owned.startswith("assessment") else person.user
    async with people.database.as_service().transaction() as transaction:
        rows = await transaction.value(
            f"select coalesce(jsonb_object_agg(ctid::text, xmin::text), '{{}}') from {table} where {owned}", key
        )
    assert isinstance(rows, dict)
    return rows


# --- every table -------------------------------------------------------------------------------------------


async def test_every_table_is_somebodys_or_closed(urls: DatabaseUrls) -> None:
    connection = await asyncpg.connect(urls.admin)
    tables = await connection.fetch(
        "select relname as name, relnamespace::regnamespace::text as schema, relrowsecurity, relforcerowsecurity"
        "  from pg_class where relkind in ('r', 'p', 'v', 'm', 'f')"
        "   and relnamespace in ('public'::regnamespace, 'viva'::regnamespace, 'auth'::regnamespace)"
    )
    await connection.close()
    names = {f"{table['schema']}.{table['name']}" for table in tables}
    assert names == set(EVERY_TABLE), "a table nobody decided about: add it to OWN, SHOWN or CLOSED"
    assert [table["name"] for table in tables if not table["relrowsecurity"]] == []
    assert [table["name"] for table in tables if not table["relforcerowsecurity"]] == []


@pytest.mark.parametrize("table", EVERY_TABLE)
async def test_without_an_identity_everything_is_an_error(people: TwoPeople, table: str) -> None:
    connection = await asyncpg.connect(people.urls.service)
    try:
        for statement in (
            f"select count(*) from {table}",
            f"insert into {table} default values",
            f"delete from {table}",
            f"truncate {table}",
        ):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


@pytest.mark.parametrize("table", EVERY_TABLE)
async def test_nobody_empties_a_table(people: TwoPeople, table: str) -> None:
    for actor in (people.as_ada, people.database.as_service()):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with actor.transaction() as transaction:
                await transaction.execute(f"truncate {table} cascade")


@pytest.mark.parametrize("table", sorted(CLOSED))
async def test_a_person_never_reaches_the_machinery(people: TwoPeople, table: str) -> None:
    for statement in (
        f"select count(*) from {table}",
        f"insert into {table} default values",
        f"delete from {table}",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with people.as_ada.transaction() as transaction:
                await transaction.execute(statement)


async def test_an_identity_without_a_person_sees_and_adds_nothing(people: TwoPeople) -> None:
    connection = await asyncpg.connect(people.urls.service)
    await connection.execute("set role authenticated")
    try:
        for table in [*OWN, *SHOWN, ACCOUNTS]:
            assert await connection.fetchval(f"select count(*) from {table}") == 0
        for table in OWN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(people.ada.insert(table))
    finally:
        await connection.close()


# --- one's own and another's -------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [*OWN, *SHOWN])
async def test_a_person_sees_their_own_rows_and_no_others(people: TwoPeople, table: str) -> None:
    async with people.as_ada.transaction() as transaction:
        seen = await transaction.value(f"select jsonb_object_agg(ctid::text, xmin::text) from {table}")
    assert seen == await _rows_of(people, table, people.ada)
    assert await _rows_of(people, table, people.ben)


@pytest.mark.parametrize("table", OWN)
async def test_a_person_adds_rows_of_their_own(people: TwoPeople, table: str) -> None:
    before = await _rows_of(people, table, people.ada)
    async with people.as_ada.transaction() as transaction:
        assert await transaction.execute(people.ada.insert(table)) == 1
    after = await _rows_of(people, table, people.ada)
    assert after != before and len(after) == (1 if table in ONE_A_PERSON else len(before) + 1)


@pytest.mark.parametrize("table", OWN)
async def test_a_person_cannot_add_rows_for_another(people: TwoPeople, table: str) -> None:
    before = await _rows_of(people, table, people.ben)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with people.as_ada.transaction() as transaction:
            await transaction.execute(people.ben.insert(table))
    assert await _rows_of(people, table, people.ben) == before


@pytest.mark.parametrize("table", OWN)
async def test_a_person_changes_their_own_rows_and_no_others(people: TwoPeople, table: str) -> None:
    mine = await _rows_of(people, table, people.ada)
    theirs = await _rows_of(people, table, people.ben)
    async with people.as_ada.transaction() as transaction:
        assert await transaction.execute(f"update {table} set {OWN[table][1]}") == len(mine)
    assert await _rows_of(people, table, people.ben) == theirs


@pytest.mark.parametrize("table", OWN)
async def test_a_person_deletes_their_own_rows_and_no_others(people: TwoPeople, table: str) -> None:
    mine = await _rows_of(people, table, people.ada)
    theirs = await _rows_of(people, table, people.ben)
    async with people.as_ada.transaction() as transaction:
        assert await transaction.execute(f"delete from {table}") == len(mine)
    assert await _rows_of(people, table, people.ada) == {}
    assert await _rows_of(people, table, people.ben) == theirs


@pytest.mark.parametrize("table", OWN)
async def test_a_person_cannot_give_a_row_away(people: TwoPeople, table: str) -> None:
    through_assessment = "assessment_id" in OWN[table][0]
    gift = f"assessment_id = '{people.ben.assessment}'" if through_assessment else f"user_id = '{people.ben.user}'"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with people.as_ada.transaction() as transaction:
            await transaction.execute(f"update {table} set {gift}")


@pytest.mark.parametrize("table", SHOWN)
async def test_the_meter_and_the_insights_are_written_by_the_service_only(people: TwoPeople, table: str) -> None:
    before = await _rows_of(people, table, people.ada)
    column = SHOWN[table][1]
    for statement in (people.ada.insert(table), f"update {table} set {column} = {column}", f"delete from {table}"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with people.as_ada.transaction() as transaction:
                await transaction.execute(statement)
    assert await _rows_of(people, table, people.ada) == before


async def test_a_row_knows_its_owner_without_being_told(people: TwoPeople) -> None:
    async with people.as_ada.transaction() as transaction:
        owner = await transaction.value("insert into public.journal_entries (content) values ('x') returning user_id")
    assert owner == people.ada.user


# --- particular doors --------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", METER_COLUMNS)
async def test_nobody_sets_their_own_balance(people: TwoPeople, column: str) -> None:
    for statement in (
        f"update public.user_profiles set {column} = default",
        f"insert into public.user_profiles (version_number, {column}) values (7, default)",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with people.as_ada.transaction() as transaction:
                await transaction.execute(statement)


async def test_an_account_is_its_persons_but_not_whose_it_is(people: TwoPeople) -> None:
    async with people.as_ada.transaction() as transaction:
        seen = await transaction.value("select array_agg(telegram_id) from viva.telegram_accounts")
        assert seen == [people.ada.telegram_id]
        assert await transaction.execute("update viva.telegram_accounts set time_zone = 'Europe/London'") == 1
    for statement in (
        "update viva.telegram_accounts set telegram_id = 3",
        "update viva.telegram_accounts set chat_id = 3",
        f"update viva.telegram_accounts set user_id = '{people.ben.user}'",
        "insert into viva.telegram_accounts (telegram_id, chat_id) values (3, 3)",
        "delete from viva.telegram_accounts",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with people.as_ada.transaction() as transaction:
                await transaction.execute(statement)
    async with people.database.as_service().transaction() as transaction:
        ben = "select time_zone from viva.telegram_accounts where user_id = $1"
        assert await transaction.value(ben, people.ben.user) is None


@pytest.mark.parametrize(
    "statement",
    [
        "insert into public.user_profiles (version_number, parent_version_id) values (9, '{profile}')",
        "update public.user_profiles set parent_version_id = '{profile}'",
        "insert into public.assessment_results (profile_version_id) values ('{profile}')",
        "update public.assessment_results set profile_version_id = '{profile}'",
        "insert into public.audio_tracks (vision_id, section_key, content_hash, text_content, voice_id, s3_bucket,"
        " s3_key, audio_url) values ('{vision}', 'fun', 'x', 'x', 'x', '', '', '')",
        "update public.audio_tracks set vision_id = '{vision}'",
        "insert into viva.vision_proposals (vision_id, section_key) values ('{vision}', 'fun')",
        "update viva.vision_proposals set vision_id = '{vision}'",
        "update viva.board_stories set item_id = '{item}'",
        "update viva.board_stories set entry_id = '{entry}'",
    ],
)
async def test_a_row_cannot_lean_on_anothers(people: TwoPeople, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with people.as_ada.transaction() as transaction:
            await transaction.execute(statement.format(**vars(people.ben)))


async def test_a_profile_version_may_lean_on_ones_own(people: TwoPeople) -> None:
    async with people.as_ada.transaction() as transaction:
        assert await transaction.execute(
            "insert into public.user_profiles (version_number, parent_version_id) values (9, $1)", people.ada.profile
        )


@pytest.mark.parametrize(
    "call",
    [
        "viva.create_user()",
        "viva.delete_user('{user}')",
        "viva.arrive({telegram_id}, {telegram_id}, 'Eve', 'en', 1000000)",
        "viva.grant_tokens('{user}', 1000000, 'admin', 'mine', null)",
        "viva.adjust('{user}', 1000000, 'mine', 'for nothing')",
        "viva.drip('{user}', 1000000, 1, now() + interval '1 year')",
        "viva.protect('public.user_profiles')",
        "viva.erase('{user}', {telegram_id}, 0)",
        "viva.enqueue('[]')",
        "viva.post('[]')",
        "viva.order_pack('{user}', 'small', 1000000, 1)",
        "viva.credit_payment('{user}', null, 'charge', 1)",
        "viva.begin_refund('{user}', null)",
        "viva.settle(null, 0, 0, 0, 0, true, null, '{{}}')",
        "viva.sync_profile('{user}')",
        "viva.ledger_differences()",
    ],
)
async def test_the_services_functions_are_not_for_people(people: TwoPeople, call: str) -> None:
    statement = f"select {call.format(**vars(people.ben))}"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with people.as_ada.transaction() as transaction:
            await transaction.execute(statement)
    connection = await asyncpg.connect(people.urls.service)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_function_with_its_owners_rights_is_never_the_publics(urls: DatabaseUrls) -> None:
    connection = await asyncpg.connect(urls.admin)
    functions = await connection.fetch(
        "select oid::regprocedure::text as name, proconfig, has_function_privilege('viva', oid, 'execute') as open"
        "  from pg_proc where prosecdef and pronamespace in ('viva'::regnamespace, 'public'::regnamespace)"
    )
    await connection.close()
    assert functions
    assert [function["name"] for function in functions if function["open"]] == []
    assert [function["name"] for function in functions if 'search_path=""' not in (function["proconfig"] or [])] == []


async def test_nobody_may_call_a_function_that_was_not_meant_for_them(urls: DatabaseUrls) -> None:
    connection = await asyncpg.connect(urls.admin)
    functions = await connection.fetch(
        """
        select oid::regprocedure::text as name, prorettype = 'trigger'::regtype as fires,
               has_function_privilege('authenticated', oid, 'execute') as persons,
               has_function_privilege('viva', oid, 'execute') as logins,
               has_function_privilege('service_role', oid, 'execute') as services,
               exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0) as publics
          from pg_proc where pronamespace = 'viva'::regnamespace
        """
    )
    await connection.close()
    assert [function["name"] for function in functions if function["publics"] or function["logins"]] == []
    assert {function["name"] for function in functions if function["persons"]} == CALLABLE
    owners = {
        "viva.protect(regclass)",
        "viva.grant_own(regclass,text[])",
        'viva.drop_constraints(regclass,"char",text[])',
        "viva.enable_vectors()",
    }
    assert {function["name"] for function in functions if not function["services"] and not function["fires"]} == owners


async def test_what_a_person_may_call_tells_nothing_of_another(people: TwoPeople) -> None:
    async with people.as_ada.transaction() as transaction:
        assert await transaction.value("select viva.owns_profile($1)", people.ben.profile) is False
        assert await transaction.value("select viva.returnable($1)", people.ben.user) is None
    for person in (people.ada, people.ben):
        async with people.database.as_user(person.user).transaction() as transaction:
            words = await transaction.value("select string_agg(text, ' ') from viva.memory_passages")
            own = await transaction.value("select array_agg(id) from viva.memory_passages")
            found = await transaction.value("select array_agg(id) from viva.passages_by_words($1, 100, '{}')", words)
            assert found and set(found) <= set(own)


async def test_the_service_logs_in_without_rights_of_its_own(urls: DatabaseUrls) -> None:
    connection = await asyncpg.connect(urls.admin)
    role = await connection.fetchrow(
        "select rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication, rolcanlogin"
        "  from pg_roles where rolname = 'viva'"
    )
    memberships = await connection.fetchval(
        "select array_agg(roleid::regrole::text order by 1) from pg_auth_members where member = 'viva'::regrole"
    )
    await connection.close()
    assert role is not None
    assert [name for name, granted in role.items() if granted] == ["rolcanlogin"]
    assert sorted(memberships) == ["authenticated", "service_role"]


async def test_deleting_a_person_leaves_nothing_of_theirs_and_everything_of_the_others(people: TwoPeople) -> None:
    theirs = {table: await _rows_of(people, table, people.ben) for table in [*OWN, *SHOWN, ACCOUNTS]}
    async with people.database.as_service().transaction() as transaction:
        assert await transaction.value("select viva.delete_user($1)", people.ada.user) is True
    for table in [*OWN, *SHOWN, ACCOUNTS]:
        assert await _rows_of(people, table, people.ada) == {}
        assert await _rows_of(people, table, people.ben) == theirs[table]
    async with people.database.as_service().transaction() as transaction:
        assert await transaction.value("select viva.delete_user($1)", people.ada.user) is False
