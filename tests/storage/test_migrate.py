"""The migrations make the same database everywhere, from nothing and over one in use."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from bot.playground.postgres import EmbeddedPostgres
from storage import migrate
from storage.database import Database
from tests.conftest import DatabaseUrls
from tests.storage import servers

HERE = Path(__file__).parent
SEED = (HERE / "seed_schema.sql").read_text()
NAMES = [migration.name for migration in migrate.read_migrations()]
SEED_TABLES = [
    "user_profiles",
    "vision_versions",
    "assessment_results",
    "assessment_responses",
    "assessment_insights",
    "journal_entries",
    "audio_tracks",
    "vision_board_items",
    "token_usage",
    "ai_conversations",
]

# The seed's "Common Queries", as they stand.
COMMON_QUERIES = {
    "Get User's Active Vision": """
        SELECT * FROM vision_versions
        WHERE user_id = $1
          AND status = 'complete'
        ORDER BY updated_at DESC
        LIMIT 1;
    """,
    "Get Categories Below Green Line": """
        SELECT key, value
        FROM jsonb_each_text(
          (SELECT green_line_status
           FROM assessment_results
           WHERE user_id = $1
             AND status = 'completed'
           ORDER BY completed_at DESC
           LIMIT 1)
        )
        WHERE value = 'below';
    """,
    "Get Recent Journal Entries": """
        SELECT * FROM journal_entries
        WHERE user_id = $1
        ORDER BY created_at DESC
        LIMIT 10;
    """,
    "Count Vision Board Items by Status": """
        SELECT
          status,
          COUNT(*) as count
        FROM vision_board_items
        WHERE user_id = $1
        GROUP BY status;
    """,
}


@pytest.fixture(scope="module", params=[15, 16, 17, 18])
def server_of_version(request: pytest.FixtureRequest) -> Any:
    programs = servers.programs(request.param)
    if programs is None:
        pytest.skip(f"no Postgres {request.param} on this machine")
    try:
        with servers.running(programs) as server:
            yield server
    except PermissionError:
        pytest.skip(f"an ordinary account may not run the Postgres {request.param} of this machine")


@pytest.fixture
async def server(server_of_version: servers.Server) -> AsyncIterator[servers.Server]:
    yield server_of_version
    await server_of_version.empty()


# --- from nothing ------------------------------------------------------------------------------------------


async def test_one_command_makes_an_empty_database_whole(empty_database_url: str) -> None:
    assert await migrate.pending(empty_database_url) == NAMES
    assert await migrate.migrate(empty_database_url) == NAMES
    assert await migrate.pending(empty_database_url) == []


async def test_a_second_run_changes_nothing(database_urls: DatabaseUrls) -> None:
    before = await _catalog(database_urls.admin)
    assert await migrate.migrate(database_urls.admin) == []
    assert await _catalog(database_urls.admin) == before


async def test_the_service_can_tell_whether_its_database_is_up_to_date(database_urls: DatabaseUrls) -> None:
    assert await migrate.pending(database_urls.service) == []


async def test_two_runners_at_once_share_the_work(empty_database_url: str) -> None:
    applied = await asyncio.gather(*(migrate.migrate(empty_database_url) for _ in range(3)))
    assert sorted(applied, key=len) == [[], [], NAMES]


async def test_every_supported_version_takes_the_migrations_from_a_superuser(server: servers.Server) -> None:
    await _administer(server, "create database plain")
    url = server.url(database="plain")
    assert await migrate.migrate(url) == NAMES
    await _live_through_a_day(server.url(database="plain", user="viva"))


async def test_every_supported_version_takes_the_migrations_from_a_plain_owner(server: servers.Server) -> None:
    await _administer(server, "create role landlord login createrole", "create database plain owner landlord")
    url = server.url(database="plain", user="landlord")
    assert await migrate.migrate(url) == NAMES
    assert await migrate.pending(url) == []
    await _live_through_a_day(server.url(database="plain", user="viva"))
    # The owner itself is bound by row-level security, and yet its later migrations reach the rows.
    assert await _value(url, "select count(*) from public.user_profiles") == 1


async def test_two_databases_of_one_server_share_the_roles(server: servers.Server) -> None:
    await _administer(server, "create role landlord login createrole", "create database one owner landlord")
    await _administer(server, "create role tenant login", "create database two owner tenant")
    assert await migrate.migrate(server.url(database="one", user="landlord")) == NAMES
    assert await migrate.migrate(server.url(database="two", user="tenant")) == NAMES
    await _live_through_a_day(server.url(database="two", user="viva"))


async def test_an_owner_who_may_not_make_roles_is_told_what_to_ask_for(server: servers.Server) -> None:
    await _administer(server, "create role tenant login", "create database plain owner tenant")
    url = server.url(database="plain", user="tenant")
    with pytest.raises(migrate.MigrationError, match=r"`create role authenticated nologin noinherit;`"):
        await migrate.migrate(url)
    assert await migrate.pending(url) == NAMES


async def test_the_role_the_service_logs_in_as_may_not_be_the_owner(server: servers.Server) -> None:
    await _administer(server, "create role viva login createrole", "create database plain owner viva")
    with pytest.raises(migrate.MigrationError, match="The role viva is the one the service logs in as"):
        await migrate.migrate(server.url(database="plain", user="viva"))


async def test_a_service_role_above_row_level_security_is_refused(server: servers.Server) -> None:
    await _administer(server, "create role viva login bypassrls", "create database plain")
    with pytest.raises(migrate.MigrationError, match="must be an ordinary role"):
        await migrate.migrate(server.url(database="plain"))


async def test_a_service_role_that_inherits_rights_loses_them(server: servers.Server) -> None:
    await _administer(
        server,
        "create role viva login inherit",
        "create role authenticated nologin",
        "grant authenticated to viva",
        "create database plain",
    )
    await migrate.migrate(server.url(database="plain"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await _value(server.url(database="plain", user="viva"), "select count(*) from public.journal_entries")
    await _live_through_a_day(server.url(database="plain", user="viva"))


# --- over a database in use --------------------------------------------------------------------------------


async def test_a_supabase_database_in_use_keeps_its_rows_and_gains_ours(server: servers.Server) -> None:
    owner = await _make_supabase(server)
    ada, ben = await _use_supabase(owner)
    before = {table: await _rows(owner, table) for table in ["auth.users", *SEED_TABLES]}
    users_before = await _value(owner, _USERS_SECURITY)

    assert await migrate.migrate(owner) == NAMES

    for table, rows in before.items():
        after = await _rows(owner, table)
        changed = {"is_active", "version_number", "parent_id"}
        assert [_without(row, changed) for row in after] == [_without(row, changed) for row in rows], table
    assert await _value(owner, _USERS_SECURITY) == users_before
    assert [row["is_active"] for row in await _rows(owner, "user_profiles")] == [True, True]
    visions = {row["title"]: row for row in await _rows(owner, "vision_versions")}
    assert {title: row["version_number"] for title, row in visions.items()} == {
        "Ada's first": 1,
        "Ada's second": 2,
        "Ada's draft": 3,
        "Ben's only": 1,
    }
    assert [title for title, row in visions.items() if row["is_active"]] == ["Ada's first", "Ben's only"]

    # The live product stamps every change; the newest complete vision must stay the active one all the same.
    await _value(owner, "update vision_versions set last_audio_generated_at = now() where title = 'Ada''s second'")
    active = await _record(owner, COMMON_QUERIES["Get User's Active Vision"], ada)
    assert active["title"] == "Ada's first"

    database = await Database.connect(server.url(database="live", user="viva"), pool_size=1)
    try:
        async with database.as_user(ada).transaction() as transaction:
            assert await transaction.value("select count(*) from public.journal_entries") == 1
            active = await transaction.value("select title from public.vision_versions where is_active")
            assert active == "Ada's first"
        async with database.as_user(ben).transaction() as transaction:
            assert await transaction.value("select count(*) from public.vision_versions") == 1
    finally:
        await database.close()
    await _live_through_a_day(server.url(database="live", user="viva"))


async def test_supabase_makes_the_same_tables_as_a_plain_postgres(server: servers.Server) -> None:
    owner = await _make_supabase(server)
    await migrate.migrate(owner)
    await _administer(server, "create database plain")
    await migrate.migrate(server.url(database="plain"))
    live, plain = await _catalog(owner), await _catalog(server.url(database="plain"))
    for part in plain:
        assert live[part] == plain[part], part


async def test_on_supabase_strangers_lose_what_supabase_gives_everyone(server: servers.Server) -> None:
    owner = await _make_supabase(server)
    await migrate.migrate(owner)
    granted = await _value(
        owner,
        "select array_agg(c.oid::regclass::text || ': ' || privilege) from pg_class c,"
        " unnest(array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger']) as privilege"
        " where c.relkind = 'r' and c.relnamespace in ('public'::regnamespace, 'viva'::regnamespace)"
        " and (has_table_privilege('anon', c.oid, privilege)"
        "      or privilege in ('truncate', 'references', 'trigger')"
        "         and has_table_privilege('authenticated', c.oid, privilege))",
    )
    assert granted is None


async def test_a_person_made_on_supabase_is_one_its_auth_service_can_list(server: servers.Server) -> None:
    owner = await _make_supabase(server)
    await migrate.migrate(owner)
    user = await _value(owner, "select viva.create_user()")
    row = await _record(owner, "select * from auth.users where id = $1", user)
    assert row["aud"] == row["role"] == "authenticated"
    assert row["instance_id"] == uuid.UUID(int=0)
    tokens = [name for name in row if "token" in name or name in ("email_change", "phone_change")]
    assert len(tokens) == 8
    assert {name: row[name] for name in tokens} == dict.fromkeys(tokens, "")


async def test_several_drafts_are_left_for_people_to_choose_between(server: servers.Server) -> None:
    owner = await _make_supabase(server)
    ada, _ = await _use_supabase(owner)
    await _value(owner, "insert into vision_versions (user_id, title) values ($1, 'Another draft')", ada)
    with pytest.raises(migrate.MigrationError, match="1 people have more than one draft vision"):
        await migrate.migrate(owner)
    assert await migrate.pending(owner) == NAMES[2:]
    await _value(owner, "delete from vision_versions where title = 'Another draft'")
    assert await migrate.migrate(owner) == NAMES[2:]


# --- what the files and the database must agree on ----------------------------------------------------------


async def test_an_edited_file_is_refused(database_urls: DatabaseUrls) -> None:
    await _value(database_urls.admin, "update viva.migrations set sha256 = 'other' where name = $1", NAMES[1])
    for ask in (migrate.migrate, migrate.pending):
        with pytest.raises(migrate.MigrationError, match=f"{NAMES[1]} was changed after it was applied"):
            await ask(database_urls.admin)


async def test_a_vanished_file_is_refused(database_urls: DatabaseUrls) -> None:
    await _value(database_urls.admin, "insert into viva.migrations values ('0002_a_lost_one.sql', '')")
    for ask in (migrate.migrate, migrate.pending):
        with pytest.raises(migrate.MigrationError, match=r"0002_a_lost_one\.sql was applied"):
            await ask(database_urls.admin)


async def test_a_newer_database_is_refused(database_urls: DatabaseUrls) -> None:
    await _value(database_urls.admin, "insert into viva.migrations values ('9999_of_tomorrow.sql', '')")
    for ask in (migrate.migrate, migrate.pending):
        with pytest.raises(migrate.MigrationError, match="newer than this version of VIVA: it has 9999_of_tomorrow"):
            await ask(database_urls.admin)


async def test_a_file_slipped_in_between_is_refused(database_urls: DatabaseUrls) -> None:
    await _value(database_urls.admin, "delete from viva.migrations where name = $1", NAMES[2])
    with pytest.raises(migrate.MigrationError, match=f"{NAMES[2]} was never applied"):
        await migrate.migrate(database_urls.admin)


async def test_a_refused_file_leaves_no_trace_and_the_ones_before_it_stay(empty_database_url: str) -> None:
    await _value(empty_database_url, "create table public.vision_versions (id integer)")
    with pytest.raises(migrate.MigrationError, match=NAMES[1]):
        await migrate.migrate(empty_database_url)
    assert await _value(empty_database_url, "select to_regclass('public.user_profiles')") is None
    assert await migrate.pending(empty_database_url) == NAMES[1:]
    await _value(empty_database_url, "drop table public.vision_versions")
    assert await migrate.migrate(empty_database_url) == NAMES[1:]


async def test_an_unreachable_database_is_said_in_a_sentence(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(migrate.MigrationError, match="The database cannot be reached"):
        await migrate.migrate(postgres.url(database="nowhere", user="postgres"))


# --- the seed, as it stands --------------------------------------------------------------------------------

# What 0003 takes away from the seed's tables, and what the migrations put in its place.
TAKEN_AWAY = {
    "user_profiles": {
        "column has_children boolean default false",
        "column number_of_children integer default 0",
        "column user_id uuid not null",
        "UNIQUE (user_id)",
    },
    "vision_versions": {"column user_id uuid not null"},
    "assessment_results": {"column user_id uuid not null"},
    "assessment_responses": set(),
    "assessment_insights": set(),
    "journal_entries": {"column user_id uuid not null"},
    "audio_tracks": {"column user_id uuid not null", "UNIQUE (vision_id, section_key, content_hash)"},
    "vision_board_items": {"column user_id uuid not null"},
    "token_usage": {
        "column user_id uuid not null",
        "CHECK ((action_type = ANY (ARRAY['assessment_scoring'::text, 'vision_generation'::text,"
        " 'vision_refinement'::text, 'blueprint_generation'::text, 'chat_conversation'::text,"
        " 'audio_generation'::text, 'image_generation'::text])))",
    },
    "ai_conversations": {"column user_id uuid not null"},
}
OWNER = "column user_id uuid not null default auth.uid()"
ADDED = {
    "user_profiles": {
        "column has_children boolean",
        "column number_of_children integer",
        "CHECK ((NOT (is_active AND is_draft)))",
        OWNER,
        "UNIQUE (user_id, version_number)",
        "UNIQUE INDEX user_profiles_one_active USING btree (user_id) WHERE is_active",
        "UNIQUE INDEX user_profiles_one_draft USING btree (user_id) WHERE is_draft",
    },
    "vision_versions": {
        OWNER,
        "column is_active boolean not null default false",
        "column parent_id uuid",
        "UNIQUE (user_id, id)",
        "FOREIGN KEY (user_id, parent_id) REFERENCES vision_versions(user_id, id) ON DELETE SET NULL (parent_id)",
        "INDEX vision_versions_parent_id USING btree (parent_id)",
        "CHECK (((NOT is_active) OR (status = 'complete'::text)))",
        "UNIQUE (user_id, version_number)",
        "UNIQUE INDEX vision_versions_one_active USING btree (user_id) WHERE is_active",
        "UNIQUE INDEX vision_versions_one_draft USING btree (user_id) WHERE (status = 'draft'::text)",
    },
    "assessment_results": {
        OWNER,
        "UNIQUE INDEX assessment_results_one_in_progress USING btree (user_id)"
        " WHERE (status = 'in_progress'::assessment_status)",
    },
    "assessment_responses": set(),
    "assessment_insights": set(),
    # The list and the calendar of a journal go by a person's days.
    "journal_entries": {
        OWNER,
        "INDEX journal_entries_user_id_date USING btree (user_id, date DESC, created_at DESC)",
    },
    "audio_tracks": {
        OWNER,
        "UNIQUE (vision_id, section_key, content_hash, voice_id)",
        "INDEX audio_tracks_ready USING btree (user_id, section_key, content_hash, voice_id)"
        " WHERE (status = 'completed'::audio_generation_status)",
    },
    "vision_board_items": {OWNER},
    "token_usage": {
        OWNER,
        "CHECK ((action_type = ANY (ARRAY['assessment_scoring'::text, 'vision_generation'::text,"
        " 'vision_refinement'::text, 'blueprint_generation'::text, 'chat_conversation'::text,"
        " 'audio_generation'::text, 'image_generation'::text, 'transcription'::text, 'insight_generation'::text,"
        " 'memory'::text, 'embedding'::text, 'journal_reflection'::text])))",
    },
    # Each turn of a talk looks for the latest of a person's.
    "ai_conversations": {
        OWNER,
        "INDEX ai_conversations_user_id_created_at USING btree (user_id, created_at DESC, id DESC)",
        "INDEX ai_conversations_conversation_id USING btree"
        " (user_id, ((context ->> 'conversation_id'::text)), created_at)",
    },
}


@pytest.fixture(scope="module")
async def seed_as_written(postgres: EmbeddedPostgres) -> AsyncIterator[str]:
    """A database made by the seed's own SQL and nothing else."""
    await postgres.clone("seed", template="template1")
    url = postgres.url(database="seed", user="postgres")
    await _value(
        url,
        "create schema auth; create table auth.users (id uuid primary key);"
        " create function auth.uid() returns uuid language sql as 'select null::uuid';" + SEED,
    )
    yield url
    await postgres.drop("seed")


@pytest.mark.parametrize("table", SEED_TABLES)
async def test_every_column_default_check_key_and_index_of_the_seed_stands(
    seed_as_written: str, database_urls: DatabaseUrls, table: str
) -> None:
    seed = (await _catalog(seed_as_written))[table]
    ours = (await _catalog(database_urls.admin))[table]
    assert set(seed) - set(ours) == TAKEN_AWAY[table]
    assert set(ours) - set(seed) == ADDED[table]
    # Ours come after the seed's, in the seed's order.
    columns = [part.split()[1] for part in seed if part.startswith("column")]
    assert [part.split()[1] for part in ours if part.startswith("column")][: len(columns)] == columns


async def test_every_enum_of_the_seed_stands(seed_as_written: str, database_urls: DatabaseUrls) -> None:
    seed, ours = await _catalog(seed_as_written), await _catalog(database_urls.admin)
    assert len(seed["enums"]) == 4
    assert ours["enums"] == seed["enums"]


async def test_every_policy_of_the_seed_stands_under_its_name(
    seed_as_written: str, database_urls: DatabaseUrls
) -> None:
    query = (
        "select array_agg(tablename || ' ' || cmd || ' ' || policyname) from pg_policies where schemaname = 'public'"
    )
    seed = await _value(seed_as_written, query)
    assert len(seed) == 19
    assert set(seed) - set(await _value(database_urls.admin, query)) == set()


async def test_what_the_seed_says_beside_its_columns_is_kept_in_comments(database_urls: DatabaseUrls) -> None:
    comments = await _value(
        database_urls.admin,
        "select jsonb_object_agg(c.relname || coalesce('.' || a.attname, ''), d.description)::text"
        "  from pg_description d join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass"
        "  left join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid and d.objsubid > 0"
        " where c.relnamespace = 'public'::regnamespace",
    )
    for table in SEED_TABLES:
        assert f'"{table}": ' in comments
    for words in ("'never' | 'yearly' | 'quarterly' | 'monthly'", "12 categories × 70 max points", "Meta: Forward"):
        assert words in comments


@pytest.mark.parametrize("query", COMMON_QUERIES.values(), ids=COMMON_QUERIES)
async def test_the_seeds_common_queries_run_as_they_stand(database_urls: DatabaseUrls, query: str) -> None:
    user = await _value(database_urls.admin, "select user_id from viva.arrive(1, 1, 'Ada', 'en', 10)")
    await _value(
        database_urls.admin,
        f"""
        insert into vision_versions (user_id, version_number, status) values ('{user}', 1, 'complete');
        insert into assessment_results (user_id, status, completed_at, green_line_status)
          values ('{user}', 'completed', now(), '{{"money": "below", "fun": "above"}}');
        insert into journal_entries (user_id, content) values ('{user}', 'A day.');
        insert into vision_board_items (user_id, name) values ('{user}', 'A boat');
        """,
    )
    connection = await asyncpg.connect(database_urls.service)
    try:
        async with connection.transaction():
            await connection.execute("set local role authenticated")
            await connection.execute("select set_config('request.jwt.claims', $1, true)", f'{{"sub": "{user}"}}')
            assert len(await connection.fetch(query, user)) == 1
    finally:
        await connection.close()


# --- helpers -----------------------------------------------------------------------------------------------

_USERS_SECURITY = (
    "select jsonb_build_array(relrowsecurity, relforcerowsecurity, relacl,"
    " (select count(*) from pg_policy where polrelid = c.oid))::text from pg_class c where oid = 'auth.users'::regclass"
)


async def _administer(server: servers.Server, *statements: str) -> None:
    for statement in statements:
        await _value(server.url(), statement)


async def _value(url: str, sql: str, *values: object) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await (
            connection.fetchval(sql, *values) if values or sql.startswith("select") else connection.execute(sql)
        )
    finally:
        await connection.close()


async def _record(url: str, sql: str, *values: object) -> dict[str, Any]:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(sql, *values)
        assert row is not None
        return dict(row)
    finally:
        await connection.close()


async def _rows(url: str, table: str) -> list[dict[str, Any]]:
    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(f"select * from {table} order by created_at, id")]
    finally:
        await connection.close()


def _without(row: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: content for name, content in row.items() if name not in names}


async def _make_supabase(server: servers.Server) -> str:
    """A Supabase-like database with the seed's tables; the address of `postgres`, who owns it and is no superuser."""
    await _administer(server, "create database live")
    version = await _value(server.url(), "select current_setting('server_version_num')::integer")
    supabase = (HERE / "supabase.sql").read_text()
    await _value(
        server.url(database="live"),
        supabase.replace("{with_admin}", "with admin option" if version >= 160000 else ""),
    )
    owner = server.url(database="live", user="postgres")
    # As live products have it: every change is stamped, also one by a migration.
    stamp = (
        "create function update_updated_at_column() returns trigger language plpgsql as"
        " $$ begin new.updated_at = now(); return new; end $$;"
        "create trigger update_vision_versions_updated_at before update on vision_versions"
        " for each row execute function update_updated_at_column();"
    )
    await _value(owner, SEED + stamp)
    return owner


async def _use_supabase(owner: str) -> tuple[uuid.UUID, uuid.UUID]:
    """Two people with rows in every table, before VIVA came."""
    ada, ben = uuid.uuid4(), uuid.uuid4()
    await _value(
        owner,
        f"""
        insert into auth.users (id, email, created_at) values
          ('{ada}', 'ada@example.org', '2025-01-01'), ('{ben}', 'ben@example.org', '2025-01-02');
        insert into user_profiles (user_id, first_name, created_at, updated_at) values
          ('{ada}', 'Ada', '2025-01-01', '2025-01-01'), ('{ben}', 'Ben', '2025-01-02', '2025-01-02');
        insert into vision_versions (user_id, title, status, completion_percentage, created_at, updated_at) values
          ('{ada}', 'Ada''s first', 'complete', 100, '2025-01-01', '2025-01-09'),
          ('{ada}', 'Ada''s second', 'complete', 100, '2025-01-02', '2025-01-03'),
          ('{ada}', 'Ada''s draft', 'draft', 50, '2025-01-04', '2025-01-04'),
          ('{ben}', 'Ben''s only', 'complete', 100, '2025-01-05', '2025-01-05');
        insert into assessment_results (user_id, status, total_score) values ('{ada}', 'completed', 8);
        insert into assessment_responses
          (assessment_id, question_id, question_text, category, response_value, response_text, green_line)
          select id, 'fun_1', 'How?', 'fun', 8, 'Well.', 'above' from assessment_results;
        insert into assessment_insights (assessment_id, category, insight_type, title, description)
          select id, 'fun', 'strength', 'Play', 'You play.' from assessment_results;
        insert into journal_entries (user_id, content) values ('{ada}', 'A day.');
        insert into audio_tracks
          (user_id, vision_id, section_key, content_hash, text_content, voice_id, s3_bucket, s3_key, audio_url)
          select user_id, id, 'fun', 'hash', 'text', 'voice', '', '', '' from vision_versions where user_id = '{ada}';
        insert into vision_board_items (user_id, name) values ('{ada}', 'A boat');
        insert into token_usage (user_id, action_type, model_used) values ('{ada}', 'chat_conversation', 'a model');
        insert into ai_conversations (user_id, message, role) values ('{ada}', 'Good morning', 'assistant');
        """,
    )
    return ada, ben


async def _live_through_a_day(url: str) -> None:
    """A person arrives, writes, versions their profile, and goes, all through the service's ordinary login."""
    database = await Database.connect(url, pool_size=1)
    try:
        async with database.as_service().transaction() as transaction:
            before = await transaction.value("select count(*) from public.user_profiles")
            user = await transaction.value("select user_id from viva.arrive(7, 7, 'Ada', 'en', 1000)")
        async with database.as_user(user).transaction() as transaction:
            await transaction.execute("insert into public.journal_entries (content) values ('A day.')")
            await transaction.execute(
                "insert into public.user_profiles (version_number, is_draft, parent_version_id)"
                " select 2, true, id from public.user_profiles where is_active"
            )
            balance = "select vibe_assistant_tokens_remaining from public.user_profiles where is_active"
            assert await transaction.value(balance) == 1000
        async with database.as_service().transaction() as transaction:
            assert await transaction.value("select count(*) from viva.ledger_differences()") == 0
            assert await transaction.value("select viva.delete_user($1)", user) is True
            assert await transaction.value("select count(*) from public.user_profiles") == before
            again = await transaction.value("select user_id from viva.arrive(7, 7, 'Ada', 'en', 1000)")
            assert again != user
    finally:
        await database.close()


async def _catalog(url: str) -> dict[str, list[str]]:
    """Every table of schema public as lines of its columns (in order), constraints and indexes; and the enums."""
    connection = await asyncpg.connect(url)
    try:
        lines = await connection.fetch(
            """
            select c.relname as part, a.attnum::integer as place,
                   format('column %s %s', a.attname, format_type(a.atttypid, a.atttypmod))
                   || case when a.attnotnull then ' not null' else '' end
                   || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') as line
              from pg_class c
              join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
              left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
             where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace
            union all
            select conrelid::regclass::text, 1000, pg_get_constraintdef(oid)
              from pg_constraint
             where connamespace = 'public'::regnamespace and contype in ('p', 'u', 'c', 'f')
            union all
            select i.indrelid::regclass::text, 2000,
                   replace(replace(pg_get_indexdef(i.indexrelid), 'CREATE ', ''), ' ON public.' || c.relname, '')
              from pg_index i join pg_class c on c.oid = i.indrelid
             where c.relnamespace = 'public'::regnamespace
               and not exists (select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u'))
            union all
            select 'enums', 0, t.typname || ': ' || string_agg(e.enumlabel, ', ' order by e.enumsortorder)
              from pg_type t join pg_enum e on e.enumtypid = t.oid
             where t.typnamespace = 'public'::regnamespace group by t.typname
             order by part, place, line
            """
        )
    finally:
        await connection.close()
    catalog: dict[str, list[str]] = {}
    for line in lines:
        catalog.setdefault(line["part"], []).append(line["line"])
    return catalog
