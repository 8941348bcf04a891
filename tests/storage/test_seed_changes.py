"""What the database itself promises about people, profiles, visions, assessments and tracks."""

from __future__ import annotations

import asyncio
import contextvars
import uuid
from collections.abc import AsyncIterator

import asyncpg
import pytest

from storage.database import Actor, Conflict, Database, Transaction
from tests.conftest import DatabaseUrls

SECTIONS = [
    "forward",
    "fun",
    "travel",
    "home",
    "family",
    "romance",
    "health",
    "money",
    "business",
    "social",
    "possessions",
    "giving",
    "spirituality",
    "conclusion",
]

ANSWER = (
    "insert into public.assessment_responses"
    " (assessment_id, question_id, question_text, category, response_value, response_text, green_line)"
    " values ($1, $2, 'How?', 'fun', 8, 'Well.', 'above')"
)


@pytest.fixture
async def database(database_urls: DatabaseUrls) -> AsyncIterator[Database]:
    database = await Database.connect(database_urls.service, pool_size=6)
    yield database
    await database.close()


@pytest.fixture
async def ada(database: Database) -> Actor:
    return database.as_user(await _arrive(database))


async def _arrive(database: Database, *, telegram_id: int = 1, chat_id: int = 1, name: str = "Ada") -> uuid.UUID:
    async with database.as_service().transaction() as transaction:
        user = await transaction.value(
            "select user_id from viva.arrive($1, $2, $3, 'en', 1000)", telegram_id, chat_id, name
        )
    assert isinstance(user, uuid.UUID)
    return user


# --- people ------------------------------------------------------------------------------------------------


async def test_updates_arriving_at_once_make_one_person(database: Database) -> None:
    users = await asyncio.gather(*(_arrive(database) for _ in range(6)))
    assert len(set(users)) == 1
    async with database.as_service().transaction() as transaction:
        assert await transaction.value("select count(*) from viva.telegram_accounts") == 1
        assert await transaction.value("select count(*) from public.user_profiles where is_active") == 1
        assert await transaction.value("select sum(amount) from viva.ledger") == 1000


async def test_a_new_person_has_an_active_profile_and_the_granted_balance_to_the_token(
    database: Database, ada: Actor
) -> None:
    async with ada.transaction() as transaction:
        profile = await transaction.value(
            "select array[first_name, version_number::text, is_active::text, vibe_assistant_tokens_remaining::text]"
            " from public.user_profiles"
        )
    assert profile == ["Ada", "1", "true", "1000"]


async def test_someone_who_writes_again_is_the_same_person_and_has_unblocked_us(database: Database, ada: Actor) -> None:
    async with ada.transaction() as transaction:
        await transaction.execute("update viva.telegram_accounts set first_name = 'Lady', blocked_at = now()")
    await _arrive(database, chat_id=5, name="Ada Byron")
    async with ada.transaction() as transaction:
        assert await transaction.value("select first_name from viva.telegram_accounts") == "Lady"
        assert await transaction.value("select blocked_at is null and chat_id = 5 from viva.telegram_accounts")


# --- profiles ----------------------------------------------------------------------------------------------


async def test_a_profile_has_versions_one_active_one_draft(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        await transaction.execute("insert into public.user_profiles (version_number, is_draft) values (2, true)")
        await transaction.execute("insert into public.user_profiles (version_number) values (3)")
    for version, kind, rule in (
        (4, "is_active", "user_profiles_one_active"),
        (4, "is_draft", "user_profiles_one_draft"),
        (3, "passport", "user_profiles_version_unique"),
    ):
        with pytest.raises(Conflict, match=rule):
            async with ada.transaction() as transaction:
                await transaction.execute(
                    f"insert into public.user_profiles (version_number, {kind}) values ($1, true)", version
                )


async def test_what_nobody_said_about_children_is_unknown(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        unknown = "select has_children is null and number_of_children is null from public.user_profiles"
        assert await transaction.value(unknown) is True


# --- visions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "percentage"),
    [
        ({}, 0),
        ({"fun": " \n\t "}, 0),
        ({"fun": "We dance."}, 7),
        (dict.fromkeys(SECTIONS[:3], "x"), 21),
        (dict.fromkeys(SECTIONS[:7], "x"), 50),
        (dict.fromkeys(SECTIONS[:13], "x"), 93),
        (dict.fromkeys(SECTIONS, "x"), 100),
    ],
)
async def test_completion_is_the_share_of_sections_that_say_something(
    ada: Actor, texts: dict[str, str], percentage: int
) -> None:
    async with ada.transaction() as transaction:
        await transaction.execute("insert into public.vision_versions (completion_percentage) values (99)")
        for section, text in texts.items():
            await transaction.execute(f"update public.vision_versions set {section} = $1", text)
        await transaction.execute("update public.vision_versions set completion_percentage = 98")
        assert await transaction.value("select completion_percentage from public.vision_versions") == percentage


async def test_a_person_has_one_draft_vision_and_one_number_a_version(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        await _complete(transaction, version=1)
        await transaction.execute("insert into public.vision_versions (version_number) values (2)")
    with pytest.raises(Conflict, match="vision_versions_one_draft"):
        async with ada.transaction() as transaction:
            await transaction.execute("insert into public.vision_versions (version_number) values (3)")
    with pytest.raises(Conflict, match="vision_versions_version_unique"):
        async with ada.transaction() as transaction:
            await _complete(transaction, version=1)


async def test_a_person_has_one_active_vision_and_never_a_draft(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        await _complete(transaction, version=1, active=True)
    with pytest.raises(Conflict, match="vision_versions_one_active"):
        async with ada.transaction() as transaction:
            await _complete(transaction, version=2, active=True)
    with pytest.raises(asyncpg.CheckViolationError, match="vision_versions_active_is_complete"):
        async with ada.transaction() as transaction:
            await transaction.execute("update public.vision_versions set is_active = false")
            await transaction.execute("insert into public.vision_versions (version_number, is_active) values (2, true)")


@pytest.mark.parametrize(
    "change", [*(f"{section} = 'other'" for section in SECTIONS), "title = 'other'", "status = 'draft'"]
)
async def test_a_completed_vision_does_not_change_not_even_for_the_service(
    database: Database, ada: Actor, change: str
) -> None:
    async with ada.transaction() as transaction:
        await _complete(transaction, version=1)
    for actor in (ada, database.as_service()):
        with pytest.raises(asyncpg.RestrictViolationError, match="a completed vision does not change"):
            async with actor.transaction() as transaction:
                await transaction.execute(f"update public.vision_versions set {change}")


async def test_the_seeds_newest_vision_is_always_the_active_one(ada: Actor) -> None:
    newest = "SELECT version_number FROM vision_versions WHERE status = 'complete' ORDER BY updated_at DESC LIMIT 1"
    activate = (
        "update public.vision_versions set is_active = (version_number = $1) where is_active or version_number = $1"
    )
    async with ada.transaction() as transaction:
        await _complete(transaction, version=1, active=True)
    async with ada.transaction() as transaction:
        await transaction.execute("update public.vision_versions set is_active = false")
        await _complete(transaction, version=2, active=True)
    async with ada.transaction() as transaction:
        await transaction.execute(
            "update public.vision_versions set last_audio_generated_at = now() where version_number = 1"
        )
        assert await transaction.value(newest) == 2
        await transaction.execute("update public.vision_versions set is_active = false where version_number = 2")
        await transaction.execute(activate, 1)
        assert await transaction.value(newest) == 1


async def _complete(transaction: Transaction, *, version: int, active: bool = False) -> None:
    await transaction.execute(
        "insert into public.vision_versions (version_number, status, is_active, fun)"
        " values ($1, 'complete', $2, 'We dance.')",
        version,
        active,
    )


# --- assessment --------------------------------------------------------------------------------------------


async def test_a_person_has_one_assessment_in_progress(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        await _assessment(transaction)
    with pytest.raises(Conflict, match="assessment_results_one_in_progress"):
        async with ada.transaction() as transaction:
            await _assessment(transaction)


@pytest.mark.parametrize(
    "change",
    [
        "update public.assessment_results set total_score = 0",
        "update public.assessment_results set category_scores = '{}'",
        "update public.assessment_results set status = 'in_progress'",
        "update public.assessment_responses set response_value = 2",
        "delete from public.assessment_responses",
        "insert into public.assessment_responses"
        " (assessment_id, question_id, question_text, category, response_value, response_text, green_line)"
        " select id, 'fun_2', 'How?', 'fun', 8, 'Well.', 'above' from public.assessment_results",
        "insert into viva.assessment_not_applicable (assessment_id, question_id)"
        " select id, 'fun_3' from public.assessment_results",
        "delete from viva.assessment_not_applicable",
    ],
)
async def test_a_completed_assessment_does_not_change_not_even_for_the_service(
    database: Database, ada: Actor, change: str
) -> None:
    await _completed_assessment(ada)
    for actor in (ada, database.as_service()):
        with pytest.raises(asyncpg.RestrictViolationError, match="a completed assessment do"):
            async with actor.transaction() as transaction:
                await transaction.execute(change)


async def test_a_completed_assessment_takes_notes_and_goes_whole(ada: Actor) -> None:
    await _completed_assessment(ada)
    async with ada.transaction() as transaction:
        await transaction.execute("update public.assessment_results set notes = 'A good year.'")
        await transaction.execute("delete from public.assessment_results")
        assert await transaction.value("select count(*) from public.assessment_responses") == 0
        assert await transaction.value("select count(*) from viva.assessment_not_applicable") == 0


async def test_a_completed_assessment_outlives_its_profile_version(ada: Actor) -> None:
    await _completed_assessment(ada)
    async with ada.transaction() as transaction:
        await transaction.execute("delete from public.user_profiles")
        assert await transaction.value("select count(*) from public.assessment_results") == 1


async def test_an_answer_that_meets_the_completion_on_its_way_is_refused(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        assessment = await _assessment(transaction)

    async def answer() -> None:
        async with ada.transaction() as transaction:
            await transaction.execute(ANSWER, assessment, "fun_1")

    async with ada.transaction() as transaction:
        await transaction.execute("update public.assessment_results set status = 'completed'")
        answering = asyncio.create_task(answer(), context=contextvars.Context())
        # The answer can only wait now; give it the time to reach the database.
        await asyncio.sleep(0.1)
    with pytest.raises(asyncpg.RestrictViolationError):
        await answering


async def _assessment(transaction: Transaction) -> uuid.UUID:
    assessment = await transaction.value(
        "insert into public.assessment_results (status, profile_version_id)"
        " select 'in_progress', id from public.user_profiles returning id"
    )
    assert isinstance(assessment, uuid.UUID)
    return assessment


async def _completed_assessment(actor: Actor) -> None:
    async with actor.transaction() as transaction:
        assessment = await _assessment(transaction)
        await transaction.execute(ANSWER, assessment, "fun_1")
        await transaction.execute(
            "insert into viva.assessment_not_applicable (assessment_id, question_id) values ($1, 'fun_7')", assessment
        )
        await transaction.execute(
            "update public.assessment_results set status = 'completed', total_score = 8, completed_at = now(),"
            """ category_scores = '{"fun": 8}'"""
        )


# --- tracks, meter, time -----------------------------------------------------------------------------------


async def test_a_text_is_spoken_once_a_voice(ada: Actor) -> None:
    track = (
        "insert into public.audio_tracks"
        " (vision_id, section_key, content_hash, text_content, voice_id, s3_bucket, s3_key, audio_url)"
        " select id, 'fun', 'hash', 'We dance.', $1, '', '', '' from public.vision_versions"
    )
    async with ada.transaction() as transaction:
        await transaction.execute("insert into public.vision_versions default values")
        await transaction.execute(track, "alloy")
        await transaction.execute(track, "coral")
    with pytest.raises(Conflict, match="audio_tracks_text_and_voice_unique"):
        async with ada.transaction() as transaction:
            await transaction.execute(track, "coral")


async def test_every_kind_of_model_call_has_a_name_in_the_meter_and_no_other(database: Database) -> None:
    user = await _arrive(database)
    usage = "insert into public.token_usage (user_id, action_type, model_used) values ($1, $2, 'a model')"
    async with database.as_service().transaction() as transaction:
        for action in (
            "assessment_scoring",
            "vision_generation",
            "vision_refinement",
            "blueprint_generation",
            "chat_conversation",
            "audio_generation",
            "image_generation",
            "transcription",
            "insight_generation",
            "memory",
            "embedding",
            "journal_reflection",
        ):
            await transaction.execute(usage, user, action)
    with pytest.raises(asyncpg.CheckViolationError, match="token_usage_action_type_check"):
        async with database.as_service().transaction() as transaction:
            await transaction.execute(usage, user, "daydreaming")


async def test_updated_at_moves_with_a_change_and_only_then(ada: Actor) -> None:
    async with ada.transaction() as transaction:
        await transaction.execute("insert into public.journal_entries (content) values ('A day.')")
    moved = "select updated_at > created_at from public.journal_entries"
    async with ada.transaction() as transaction:
        await transaction.execute("update public.journal_entries set content = 'A day.'")
        assert await transaction.value(moved) is False
        await transaction.execute("update public.journal_entries set content = 'A long day.'")
        assert await transaction.value(moved) is True
