"""Versions of a profile in the database: one in use, one draft, the rest history; whose they are; what they copy."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage import profile
from storage.database import Actor, Conflict, Database
from storage.profile import Profile
from tests.conftest import DatabaseUrls

# Columns of the seed's that are no words of the person's: identity, the meter's, and those that tell versions apart.
NOT_SAID = {
    *("id", "user_id", "created_at", "updated_at", "ai_tags"),
    *("version_number", "is_draft", "is_active", "version_notes", "parent_version_id", "completion_percentage"),
    *("vibe_assistant_tokens_used", "vibe_assistant_tokens_remaining", "vibe_assistant_total_cost"),
    *("token_rollover_cycles", "token_last_drip_date", "auto_topup_enabled", "auto_topup_pack_id", "storage_quota_gb"),
}


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = await Database.connect(database_urls.service, pool_size=2)
    yield database
    await database.close()


async def _arrive(database: Database, telegram_id: int) -> Actor:
    async with database.as_service().transaction() as db:
        user: uuid.UUID = await db.value("select user_id from viva.arrive($1, $1, 'Ada', 'en', 1000)", telegram_id)
    return database.as_user(user)


async def test_what_a_person_says_is_every_column_that_is_theirs(database: Database) -> None:
    async with database.as_service().transaction() as db:
        columns = await db.value(
            "select array_agg(attname::text) from pg_attribute"
            " where attrelid = 'public.user_profiles'::regclass and attnum > 0 and not attisdropped"
        )
    assert set(Profile.model_fields) == set(columns) - NOT_SAID
    assert {name.strip() for name in profile.SAID.split(",")} == set(Profile.model_fields)


async def test_versions_copy_what_was_said_and_history_stays_as_it_was(database: Database) -> None:
    ada = await _arrive(database, 1)
    async with ada.transaction() as db:
        first = await profile.active(db)
        said = {
            "city": "Cork",
            "hobbies": ["sums"],
            "passport": False,
            "height": 172,
            "story_recordings": [{"url": "x"}],
        }
        await profile.change(db, first.id, said, completion_percentage=8)
        await profile.note(db, first.id, "in Cork")
        await profile.begin_draft(db)
        await profile.begin_draft(db)  # once is enough
        draft = await profile.draft(db)
        assert draft is not None and draft.parent_version_id == first.id and draft.version_notes is None
        assert {name: getattr(draft, name) for name in said} == said and draft.completion_percentage == 8
        await profile.change(db, draft.id, {"city": "Lisbon"}, completion_percentage=8)
        await profile.activate_draft(db)
        await profile.change(db, first.id, {"city": "Nowhere"}, completion_percentage=0)  # history does not change
        await profile.go_back(db, first.id)
        newest, second, oldest = await profile.history(db, limit=9)
        assert [each.city for each in (newest, second, oldest)] == ["Cork", "Lisbon", "Cork"]
        assert (newest.is_active, newest.version_number, newest.parent_version_id) == (True, 3, first.id)
        assert await profile.draft(db) is None
    async with database.as_service().transaction() as db:
        assert await db.value("select count(*) from viva.ledger_differences()") == 0


async def test_a_version_is_in_use_or_a_draft_and_never_both_or_two_of_one(database: Database) -> None:
    ada = await _arrive(database, 1)
    for statement in (
        "update user_profiles set is_draft = true",
        "insert into user_profiles (version_number, is_draft, is_active) values (2, true, true)",
        "insert into user_profiles (version_number, is_active) values (2, true)",
        "insert into user_profiles (version_number, is_draft) values (2, true), (3, true)",
    ):
        with pytest.raises((asyncpg.CheckViolationError, Conflict), match=r"draft|active"):
            async with ada.transaction() as db:
                await db.execute(statement)
    async with ada.transaction() as db:
        assert len(await profile.open_versions(db)) == 1


async def test_only_the_persons_own_words_can_be_set_and_only_on_their_own_versions(database: Database) -> None:
    ada, ben = await _arrive(database, 1), await _arrive(database, 2)
    async with ada.transaction() as db:
        hers = await profile.active(db)
    for column in NOT_SAID:
        with pytest.raises(ValueError, match="not the person's"):
            async with ada.transaction() as db:
                await profile.change(db, hers.id, {column: None}, completion_percentage=0)
    async with ben.transaction() as db:
        await profile.change(db, hers.id, {"city": "Bristol"}, completion_percentage=1)
        await profile.note(db, hers.id, "mine")
        await profile.go_back(db, hers.id)
        await profile.activate_draft(db)  # there is none
        assert [(row.city, row.is_active) for row in await profile.history(db, limit=9)] == [(None, True)]
    async with ada.transaction() as db:
        assert await profile.active(db) == hers


async def test_media_are_held_until_no_version_has_them(database: Database) -> None:
    ada = await _arrive(database, 1)
    urls = ["file:///a.jpg", "file:///b.jpg", "file:///c.ogg"]
    media = {
        "profile_picture_url": urls[0],
        "progress_photos": [urls[1], "file:///other.jpg"],
        "story_recordings": [{"url": urls[2], "transcript": "x"}, {"url": "file:///other.ogg"}],
    }
    async with ada.transaction() as db:
        first = await profile.active(db)
        await profile.change(db, first.id, media, completion_percentage=0)
        await profile.begin_draft(db)
        await profile.activate_draft(db)
        newest = await profile.active(db)
        await profile.change(db, newest.id, dict.fromkeys(media), completion_percentage=0)
        for url in urls:
            assert await profile.is_held(db, url)
            await profile.remove_media(db, url)
            assert not await profile.is_held(db, url)
        kept = await profile.version(db, 1)
        assert kept is not None and kept.profile_picture_url is None and kept.progress_photos == ["file:///other.jpg"]
        assert kept.story_recordings == [{"url": "file:///other.ogg"}] and kept.recordings == []
