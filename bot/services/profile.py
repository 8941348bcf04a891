"""The rules of the profile: who is asked what, how full it is, what differs between versions, what a model may know."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from bot.services import assessment
from bot.services.profile_words import converted
from prompts import assessment as bank
from prompts import replies
from prompts.profile import fact_questions
from prompts.profile.fields import MEDIA, Field, fields, of_topic
from storage import people
from storage import profile as store
from storage.database import Transaction
from storage.journal import Recording
from storage.profile import Profile, Version

WORDS = replies.of("profile")

TOLD_FACT = 200
"""Characters of a fact that a model is told."""

TOLD_STORY = 1200
"""Characters of a story that a model is told."""

TOLD_IN_ALL = 6000
"""Characters that a model is told in all."""


# --------------------------------------------------------------------------------- who is asked what


def holds(field: Field, profile: Profile) -> bool | None:
    """Whether the field's condition holds for the person; None where that is not known, True where it has none."""
    if field.when == "children":
        return profile.has_children
    if field.when == "partnered":
        if profile.relationship_status is None:
            return None
        try:
            return fact_questions()["relationship_status"].value(profile.relationship_status).branch == "relationship"
        except ValueError:
            return None
    return True


def is_filled(field: Field, profile: Profile) -> bool:
    """Whether something is known: no and 0 are; nothing, blank words and an empty list are not."""
    value = getattr(profile, field.column)
    if isinstance(value, str):
        return bool(value.strip())
    return value is not None and value != []


def shown(topic: str, profile: Profile) -> list[Field]:
    """The fields of a topic that a person sees: those that fit them, and any that is filled."""
    return [each for each in of_topic(topic) if holds(each, profile) or is_filled(each, profile)]


def next_open(after: Field, profile: Profile) -> Field | None:
    """The next field of the topic that fits the person and is not filled; None at the end."""
    fitting = [each for each in of_topic(after.topic) if holds(each, profile) or each == after]
    following = fitting[fitting.index(after) + 1 :]
    return next((each for each in following if not is_filled(each, profile)), None)


def completion(profile: Profile) -> int:
    """How full a profile is, 0 to 100: filled of expected fields (domain section 5).

    A partner's fields are expected only when partnered, children's only with children, media never.
    """
    expected = [each for each in fields().fields if each.kind not in MEDIA and holds(each, profile)]
    filled = sum(is_filled(each, profile) for each in expected)
    return (200 * filled + len(expected)) // (2 * len(expected))


def standing(topic: str, profile: Profile) -> tuple[int, int]:
    """How many fields of a topic are filled, of how many that fit."""
    fitting = [each for each in of_topic(topic) if holds(each, profile)]
    return sum(is_filled(each, profile) for each in fitting), len(fitting)


# --------------------------------------------------------------------------------------- in words


def in_words(field: Field, profile: Profile) -> str:
    """What is known under a field, as a person reads it; empty where nothing is."""
    value = getattr(profile, field.column)
    if not is_filled(field, profile):
        return ""
    if field.column == "has_children":
        value = str(value).lower()
    if isinstance(value, bool):
        return WORDS("yes") if value else WORDS("no")
    if field.kind == "photo":
        return WORDS("photo_there")
    if field.kind == "photos":
        return WORDS("photos_one") if len(value) == 1 else WORDS("photos_many", count=len(value))
    if isinstance(value, date):
        return f"{value.day} {value:%B %Y}"
    if isinstance(value, list):
        return ", ".join(value)
    imperial = profile.units == "imperial"
    if field.kind == "height":
        return f"{value // 12} ft {value % 12} in" if imperial else f"{value} cm"
    if field.kind == "weight":
        return f"{value} lb" if imperial else f"{value} kg"
    return next((each.label for each in field.choices if each.value == value), str(value))


def label(field: Field) -> str:
    """The name of a field where it stands apart from its topic."""
    return WORDS("story_of", area=field.label) if field.topic == "areas" else field.label


def differences(before: Profile, now: Profile) -> list[tuple[Field, str, str]]:
    """The fields in which two versions differ, each as (field, before, now) in words; "" is nothing known."""
    return [
        (each, in_words(each, before), in_words(each, now))
        for each in fields().fields
        if getattr(before, each.column) != getattr(now, each.column)
        and (is_filled(each, before) or is_filled(each, now))
    ]


# ------------------------------------------------------------------------------- what a model may know


def known(profile: Profile) -> list[tuple[str, str]]:
    """What a model may know of a person, as (name, value) of one line each, short, the most telling first.

    Names, place, love, family, work, health notes and what they say of their days; never an address, a number to call,
    or a sum of money. What no longer fits the person (the partner of somebody single) is left out. Both parts are the
    person's words: data, to be escaped and delimited.
    """
    lines: dict[str, str] = {}
    for each in fields().fields:
        if each.told is not None and holds(each, profile) is not False and is_filled(each, profile):
            most = TOLD_STORY if each.kind == "story" else TOLD_FACT
            lines[each.told] = _one_line(_as_told(each, profile), most)
    place = [lines.pop(name) for name in ("lives in", "region", "country") if name in lines]
    work = [lines.pop(name) for name in ("work", "occupation", "company") if name in lines]
    children = [
        lines.pop("children", ""),
        lines.pop("number of children", ""),
        ", ".join(f"aged {ages}" for ages in [lines.pop("ages of the children", "")] if ages),
    ]
    first = {
        "first name": lines.pop("first name", ""),
        "lives in": ", ".join(place),
        "relationship": lines.pop("relationship", ""),
        "partner": lines.pop("partner", ""),
        "children": ", ".join(part for part in children if part),
        "work": ", ".join(work),
    }
    told, room = [], TOLD_IN_ALL
    for name, value in (first | lines).items():
        room -= len(name) + len(value) if value else 0
        if value and room >= 0:
            told.append((name, value))
    return told


def _as_told(field: Field, profile: Profile) -> str:
    # The stored value, not the button's words: "married" says more to a model than "Married or partnered".
    value = getattr(profile, field.column)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and field.kind != "story":
        return value.replace("_", " ")
    return in_words(field, profile)


def _one_line(value: str, most: int) -> str:
    line = " ".join(value.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


# ----------------------------------------------------------------------------------------- changes


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A chapter of a running assessment that asks other questions after a fact has changed.

    `aside` answers are kept and count no more; `back` answers of an earlier time count again. `unknown` is where the
    fact is not known any more, so that it is asked for first.
    """

    category: str
    aside: int
    back: int
    unknown: bool


def switches(before: assessment.Sheet, now: assessment.Sheet) -> list[Switch]:
    """What a change of facts does to a running assessment; empty where the same questions are asked."""
    found = []
    for key in bank.BRANCHES:
        old, new = ({question.id for question in sheet.chapters[key]} for sheet in (before, now))
        if old == new or not old:
            continue
        settled = now.answers.keys() | now.not_applicable
        found.append(
            Switch(category=key, aside=len(old & settled), back=len(new & settled), unknown=key in now.unknown)
        )
    return found


async def open_version(db: Transaction, number: int | None = None) -> Version:
    """The version to change: the one named where it may change (in use, or the draft), else the one in use.

    It is kept from other changes until the end of this transaction.
    """
    versions = await store.open_versions(db)
    return next((each for each in versions if each.version_number == number), versions[0])


async def keep(db: Transaction, version: Version, changes: Mapping[str, Any]) -> Version:
    """Keep what was said in a version from `open_version`, with how full it is now; returns it as it stands then.

    What changes in the version in use changes in the draft as well, where the draft still says the same: a new phone
    number is no part of who one wants to become. Height and weight are converted when the units change.
    """
    if "units" in changes:
        measured = {"height": version.height, "weight": version.weight}
        changes = {**converted(changes["units"], since=version.units, **measured), **changes}
    changed = await _change(db, version, changes)
    if version.is_active:
        draft = await store.draft(db)
        if draft is not None:
            same = {name: value for name, value in changes.items() if getattr(draft, name) == getattr(version, name)}
            if same:
                await _change(db, draft, same)
        if changes.get("first_name"):
            await people.call_me(db, str(changes["first_name"]))
    return changed


async def _change(db: Transaction, version: Version, changes: Mapping[str, Any]) -> Version:
    changed = version.model_copy(update=dict(changes))
    changed = changed.model_copy(update={"completion_percentage": completion(changed)})
    await store.change(db, version.id, changes, completion_percentage=changed.completion_percentage)
    return changed


def is_told(story: str | None, words: str) -> bool:
    """Whether these words stand in a story, as paragraphs of their own."""
    return f"\n\n{words.strip()}\n\n" in f"\n\n{story or ''}\n\n"


async def keep_recording(db: Transaction, number: int, recording: Recording) -> Version:
    """Put a recording to a version, or renew the one with the same url: its transcript may have come."""
    version = await open_version(db, number)
    kept = [item for item in version.story_recordings or [] if item.get("url") != recording.url]
    return await keep(db, version, {"story_recordings": [*kept, recording.model_dump(mode="json")]})


def spoken(profile: Profile, field: Field) -> list[Recording]:
    """What was said aloud for a field, oldest first."""
    return [recording for recording in profile.recordings if recording.category == field.category]


def media(profile: Profile) -> list[str]:
    """The addresses of every picture and recording of a version."""
    picture = [profile.profile_picture_url] if profile.profile_picture_url else []
    return [*picture, *(profile.progress_photos or []), *(recording.url for recording in profile.recordings)]


def mark(url: str) -> str:
    """Eight characters that tell a person's recordings and pictures apart in a button."""
    return hashlib.sha256(url.encode()).hexdigest()[:8]
