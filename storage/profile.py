"""The person's profile: versions in `user_profiles`. One is in use, one may be a draft, the others are history."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, ValidationError, field_validator

from storage.database import Transaction
from storage.journal import Recording


class Profile(BaseModel):
    """What a person has said of themselves. None is unknown, never a default.

    `height` and `weight` are in centimetres and kilograms, or in inches and pounds where `units` is "imperial".
    """

    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    profile_picture_url: str | None
    date_of_birth: date | None
    gender: str | None
    ethnicity: str | None
    relationship_status: str | None
    relationship_length: str | None
    partner_name: str | None
    has_children: bool | None
    number_of_children: int | None
    children_ages: list[str] | None
    city: str | None
    state: str | None
    postal_code: str | None
    country: str | None
    living_situation: str | None
    time_at_location: str | None
    employment_type: str | None
    occupation: str | None
    company: str | None
    time_in_role: str | None
    currency: str | None
    household_income: str | None
    savings_retirement: str | None
    assets_equity: str | None
    consumer_debt: str | None
    current_story: str | None
    desired_story: str | None
    health_vitality_story: str | None
    romance_partnership_story: str | None
    family_parenting_story: str | None
    social_friends_story: str | None
    career_work_story: str | None
    money_wealth_story: str | None
    fun_recreation_story: str | None
    travel_adventure_story: str | None
    home_environment_story: str | None
    possessions_lifestyle_story: str | None
    spirituality_growth_story: str | None
    giving_legacy_story: str | None
    hobbies: list[str] | None
    leisure_time_weekly: str | None
    travel_frequency: str | None
    passport: bool | None
    countries_visited: int | None
    close_friends_count: str | None
    social_preference: str | None
    lifestyle_category: str | None
    primary_vehicle: str | None
    spiritual_practice: str | None
    meditation_frequency: str | None
    personal_growth_focus: bool | None
    volunteer_status: str | None
    charitable_giving: str | None
    legacy_mindset: bool | None
    units: str | None
    height: int | None
    weight: int | None
    exercise_frequency: str | None
    health_conditions: str | None
    medications: str | None
    education_level: str | None
    progress_photos: list[str] | None
    story_recordings: list[dict[str, Any]] | None

    @field_validator("story_recordings", mode="before")
    @classmethod
    def _as_a_list(cls, value: object) -> object:
        return [value] if isinstance(value, dict) else value

    @property
    def recordings(self) -> list[Recording]:
        """The recordings that are in the seed's shape; another program may have kept others, which stay as they are."""
        found = []
        for item in self.story_recordings or []:
            try:
                found.append(Recording.model_validate(item))
            except ValidationError:
                continue
        return found


NOBODY = Profile.model_validate(dict.fromkeys(Profile.model_fields))
"""A profile in which nothing is known."""


class Version(Profile):
    """A version of the profile. `version_number` names it among the person's own; history has neither flag."""

    id: uuid.UUID
    version_number: int
    is_draft: bool
    is_active: bool
    version_notes: str | None
    parent_version_id: uuid.UUID | None
    completion_percentage: int
    created_at: datetime


SAID = """
    first_name, last_name, email, phone, profile_picture_url, date_of_birth, gender, ethnicity,
    relationship_status, relationship_length, partner_name, has_children, number_of_children, children_ages,
    city, state, postal_code, country, living_situation, time_at_location,
    employment_type, occupation, company, time_in_role, currency, household_income, savings_retirement,
    assets_equity, consumer_debt,
    current_story, desired_story, health_vitality_story, romance_partnership_story, family_parenting_story,
    social_friends_story, career_work_story, money_wealth_story, fun_recreation_story, travel_adventure_story,
    home_environment_story, possessions_lifestyle_story, spirituality_growth_story, giving_legacy_story,
    hobbies, leisure_time_weekly, travel_frequency, passport, countries_visited, close_friends_count,
    social_preference, lifestyle_category, primary_vehicle, spiritual_practice, meditation_frequency,
    personal_growth_focus, volunteer_status, charitable_giving, legacy_mindset,
    units, height, weight, exercise_frequency, health_conditions, medications, education_level,
    progress_photos, story_recordings"""
"""What the person has said: the columns that a new version takes over. The meter's are never among them."""

COLUMNS = f"""{SAID},
    id, coalesce(version_number, 0) as version_number, coalesce(is_draft, false) as is_draft,
    coalesce(is_active, false) as is_active, version_notes, parent_version_id,
    coalesce(completion_percentage, 0) as completion_percentage,
    coalesce(created_at, updated_at, now()) as created_at"""


async def active(transaction: Transaction) -> Version:
    """The version that is in use, of the person who is acting."""
    version = await transaction.one(Version, f"select {COLUMNS} from user_profiles where is_active")
    assert version is not None
    return version


async def draft(transaction: Transaction) -> Version | None:
    """The version that is being written and not yet in use, if there is one."""
    return await transaction.one(Version, f"select {COLUMNS} from user_profiles where is_draft")


async def version(transaction: Transaction, number: int) -> Version | None:
    """The version with this number, if the person has one."""
    return await transaction.one(Version, f"select {COLUMNS} from user_profiles where version_number = $1", number)


async def number_of(transaction: Transaction, version_id: uuid.UUID) -> int | None:
    """The number of the version with this id, if the person has it."""
    number: int | None = await transaction.value("select version_number from user_profiles where id = $1", version_id)
    return number


async def history(transaction: Transaction, *, limit: int, skip: int = 0) -> list[Version]:
    """The versions that are or were in use, newest first."""
    return await transaction.many(
        Version,
        f"""
        select {COLUMNS} from user_profiles
         where is_draft is not true order by version_number desc limit $1 offset $2
        """,
        limit,
        skip,
    )


async def open_versions(transaction: Transaction) -> list[Version]:
    """The versions that may change, in use first, kept from other changes until the end of this transaction."""
    return await transaction.many(
        Version,
        f"""
        select {COLUMNS} from user_profiles
         where is_active or is_draft order by is_active desc nulls last for update
        """,
    )


async def change(
    transaction: Transaction, version_id: uuid.UUID, changes: Mapping[str, Any], *, completion_percentage: int
) -> None:
    """Keep what was said, by column. History does not change."""
    if not changes.keys() <= Profile.model_fields.keys():
        raise ValueError("a column of the profile that is not the person's")
    settings = "".join(f"{column} = ${place}, " for place, column in enumerate(changes, start=3))
    await transaction.execute(
        f"""
        update user_profiles set {settings} completion_percentage = $2
         where id = $1 and (is_active or is_draft)
        """,
        version_id,
        completion_percentage,
        *changes.values(),
    )


async def note(transaction: Transaction, version_id: uuid.UUID, version_notes: str | None) -> None:
    """Keep what the person notes about a version."""
    await transaction.execute("update user_profiles set version_notes = $2 where id = $1", version_id, version_notes)


async def begin_draft(transaction: Transaction) -> None:
    """Start a version from the one in use; nothing happens where a draft stands already."""
    await transaction.execute(
        f"""
        insert into user_profiles (
          {SAID},
          completion_percentage, ai_tags, parent_version_id, is_draft, is_active, version_number
        )
        select {SAID},
               completion_percentage, ai_tags, id, true, false,
               (select max(version_number) + 1 from user_profiles)
          from user_profiles where is_active
        on conflict (user_id) where is_draft do nothing
        """
    )


async def drop_draft(transaction: Transaction) -> None:
    """Put the draft away for good."""
    await transaction.execute("delete from user_profiles where is_draft")


async def activate_draft(transaction: Transaction) -> None:
    """Put the draft to use, if there is one; the version that was in use becomes history."""
    draft = await transaction.value("select id from user_profiles where is_draft")
    if draft is not None:
        await _use(transaction, draft)


async def go_back(transaction: Transaction, version_id: uuid.UUID) -> None:
    """Put a new version to use that says what this one of the person's says, with it as parent."""
    copy = await transaction.value(
        f"""
        insert into user_profiles (
          {SAID},
          completion_percentage, ai_tags, parent_version_id, is_draft, is_active, version_number
        )
        select {SAID},
               completion_percentage, ai_tags, id, false, false,
               (select max(version_number) + 1 from user_profiles)
          from user_profiles where id = $1
        returning id
        """,
        version_id,
    )
    if copy is not None:
        await _use(transaction, copy)


async def _use(transaction: Transaction, version_id: uuid.UUID) -> None:
    await transaction.execute("update user_profiles set is_active = false where is_active")
    await transaction.execute("update user_profiles set is_active = true, is_draft = false where id = $1", version_id)


# ------------------------------------------------------------------------------------------ media


async def is_held(transaction: Transaction, url: str) -> bool:
    """Whether any version, history too, still has this picture or recording."""
    return bool(
        await transaction.value(
            """
            select exists (
              select from user_profiles
               where profile_picture_url = $1 or $1 = any (progress_photos)
                  or story_recordings @> jsonb_build_array(jsonb_build_object('url', $1::text)))
            """,
            url,
        )
    )


async def remove_media(transaction: Transaction, url: str) -> None:
    """Take a picture or a recording out of every version, history too: what is removed is gone."""
    await transaction.execute(
        """
        update user_profiles
           set profile_picture_url = nullif(profile_picture_url, $1),
               progress_photos = array_remove(progress_photos, $1),
               story_recordings = (select jsonb_agg(item order by place)
                                     from jsonb_array_elements(story_recordings) with ordinality as r (item, place)
                                    where item ->> 'url' <> $1)
         where profile_picture_url = $1 or $1 = any (progress_photos)
            or story_recordings @> jsonb_build_array(jsonb_build_object('url', $1::text))
        """,
        url,
    )
