"""Versions of the profile: a draft that waits, the one in use, and history; compare any two, and go back to any."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.services import profile as service
from bot.services.work import Work
from handlers import care, home, profile
from handlers.profile import WORDS, CardTap, VersionTap
from handlers.screen import Screen, button, show
from handlers.waiting import Waiting
from storage import people
from storage import profile as store
from storage.database import Transaction
from storage.people import Account
from storage.profile import Profile, Version

PAGE = 8
LONGEST_NOTE = 300
LONGEST_VALUE = 120
"""Characters of a value in a comparison."""

router = Router(name="profile_versions")


# ----------------------------------------------------------------------------------------- screens


def _label(version: Version) -> str:
    kind = "version_line_active" if version.is_active else "version_line_draft" if version.is_draft else "version_line"
    percentage = service.completion(version)
    return WORDS(kind, number=version.version_number, when=_day(version), percentage=percentage)


def _day(version: Version) -> str:
    return f"{version.created_at.day} {version.created_at:%B %Y}"


async def list_screen(db: Transaction, *, page: int = 0, opening: str | None = None) -> Screen:
    """The versions, newest first, the draft before them all."""
    draft = await store.draft(db)
    past = await store.history(db, limit=PAGE + 1, skip=PAGE * page)
    listed = ([draft] if draft is not None and page == 0 else []) + past[:PAGE]
    rows = [[button(_label(each), VersionTap(step="open", number=each.version_number))] for each in listed]
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), VersionTap(step="list", number=page - 1)))
    if len(past) > PAGE:
        turns.append(button(WORDS("older"), VersionTap(step="list", number=page + 1)))
    if turns:
        rows.append(turns)
    if draft is None:
        rows.insert(0, [button(WORDS("start_version"), VersionTap(step="start"), style="success")])
    parts: list[Any] = [opening, "\n\n"] if opening else []
    return Screen(
        text=Text(*parts, Bold(WORDS("versions_title")), "\n\n", WORDS("versions_text")),
        rows=[*rows, [button(WORDS("back"), home.OpenTap(feature="profile")), home.back()]],
    )


async def version_screen(db: Transaction, version: Version, *, opening: Text | str | None = None) -> Screen:
    """A version: where it comes from, what was noted, and what can be done with it."""
    number, active = version.version_number, await store.active(db)
    parts: list[Any] = [opening, "\n\n"] if opening else []
    parts += [Bold(profile.heading(version)), "\n\n", WORDS("version_made", date=_day(version))]
    if version.parent_version_id is not None:
        parent = await store.number_of(db, version.parent_version_id)
        parts += [" ", WORDS("version_from", number=parent)] if parent is not None else []
    if version.version_notes:
        parts += ["\n\n", Italic(WORDS("version_note", note=version.version_notes))]
    rows: list[list[InlineKeyboardButton]] = []
    if version.is_draft:
        rows.append([button(WORDS("put_to_use"), VersionTap(step="use", number=number), style="success")])
    if version.is_draft or version.is_active:
        rows.append([button(WORDS("open_version"), CardTap(version=number))])
    else:
        rows.append([button(WORDS("read_version"), VersionTap(step="read", number=number))])
        rows.append([button(WORDS("go_back"), VersionTap(step="back", number=number, other=active.version_number))])
    if await store.history(db, limit=1, skip=1) or version.is_draft:
        rows.append([button(WORDS("compare"), VersionTap(step="compare", number=number))])
    note = WORDS("change_note" if version.version_notes else "add_note")
    rows.append([button(note, VersionTap(step="note", number=number))])
    if version.is_draft:
        rows.append([button(WORDS("drop_draft"), VersionTap(step="drop", number=number))])
    return Screen(text=Text(*parts), rows=[*rows, [button(WORDS("back"), VersionTap(step="list")), home.back()]])


def comparison(before: Profile, now: Profile) -> list[Any]:
    """What differs between two versions, field by field, in words."""
    lines = []
    for field, old, new in service.differences(before, now):
        label = service.label(field)
        if field.kind == "story":
            kind = "compare_story" if old and new else "compare_story_new" if new else "compare_story_gone"
            lines.append(WORDS(kind, label=label, before=len(old.split()), now=len(new.split())))
        elif old == new:
            lines.append(WORDS("compare_photo", label=label))
        else:
            lines.append(WORDS("compare_line", label=label, before=_clip(old), now=_clip(new)))
    if not lines:
        return [WORDS("compare_same")]
    filled = WORDS("compare_full", before=service.completion(before), now=service.completion(now))
    return ["\n".join(f"• {line}" for line in lines), "\n\n", Italic(filled)]


def _clip(value: str) -> str:
    line = " ".join(value.split())
    return (line if len(line) <= LONGEST_VALUE else line[:LONGEST_VALUE].rstrip() + "…") or WORDS("nothing")


def _known(version: Version) -> list[Any]:
    """Everything that a version says, as read in history."""
    parts: list[Any] = []
    for field, _, value in service.differences(store.NOBODY, version):
        parts += ["\n\n", Bold(service.label(field)), "\n", value]
    return parts or ["\n\n", WORDS("nothing")]


# ------------------------------------------------------------------------------------------ tapping


async def _of(db: Transaction, callback_data: VersionTap) -> Version | None:
    return await store.version(db, callback_data.number)


@router.callback_query(VersionTap.filter(F.step == "list"))
async def on_list(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Show a page of the versions."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, page=min(max(0, callback_data.number), 1000)), tap=tap)


@router.callback_query(VersionTap.filter(F.step == "start"))
async def on_start(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Start a new version from the one in use; where one is begun already, go on with it."""
    await people.wait_for(db, None)
    begun = await store.draft(db)
    await store.begin_draft(db)
    draft = await store.draft(db)
    assert draft is not None
    opening = None if begun is None else WORDS("draft_exists")
    show(work, await profile.overview_of(db, draft, opening=opening), tap=tap)


@router.callback_query(VersionTap.filter(F.step.in_({"open", "read", "compare", "show"})))
async def on_open(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Open a version, read it, choose what to compare it with, or compare it."""
    await people.wait_for(db, None)
    version = await _of(db, callback_data)
    if version is None:
        show(work, await list_screen(db, opening=WORDS("gone")), tap=tap)
        return
    number = version.version_number
    back = [button(WORDS("back"), VersionTap(step="open", number=number)), home.back()]
    if callback_data.step == "open":
        show(work, await version_screen(db, version), tap=tap)
    elif callback_data.step == "read":
        show(work, Screen(text=Text(Bold(profile.heading(version)), *_known(version)), rows=[back]), tap=tap)
    elif callback_data.step == "compare":
        draft = await store.draft(db)
        others = ([draft] if draft is not None else []) + await store.history(db, limit=PAGE + 1)
        rows = [
            [button(_label(each), VersionTap(step="show", number=number, other=each.version_number))]
            for each in others
            if each.version_number != number
        ]
        show(work, Screen(text=WORDS("compare_with", number=number), rows=[*rows, back]), tap=tap)
    else:
        other = await store.version(db, callback_data.other)
        if other is None:
            show(work, await list_screen(db, opening=WORDS("gone")), tap=tap)
            return
        before, now = sorted((version, other), key=lambda each: each.version_number)
        title = WORDS("compared", before=before.version_number, now=now.version_number)
        show(work, Screen(text=Text(Bold(title), "\n\n", *comparison(before, now)), rows=[back]), tap=tap)


# ----------------------------------------------------------------------------------- putting to use


@router.callback_query(VersionTap.filter(F.step.in_({"use", "use_now"})))
async def on_use(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Show what changes when the draft is put to use, and put it to use once the person says so."""
    await people.wait_for(db, None)
    versions = await store.open_versions(db)
    draft = next((each for each in versions if each.is_draft), None)
    if draft is None or draft.version_number != callback_data.number:
        show(work, await list_screen(db, opening=WORDS("gone")), tap=tap)
        return
    if callback_data.step == "use":
        yes = button(WORDS("activate_yes"), VersionTap(step="use_now", number=callback_data.number), style="success")
        back = button(WORDS("back"), CardTap(version=draft.version_number))
        changes = [Bold(WORDS("activate_sure")), "\n\n", *comparison(versions[0], draft)]
        same = not service.differences(versions[0], draft)
        show(work, Screen(text=WORDS("activate_same") if same else Text(*changes), rows=[[yes], [back]]), tap=tap)
        return
    before = await profile.sheet(db)
    await store.activate_draft(db)
    opening = WORDS("activated", number=draft.version_number)
    await _now_in_use(tap, db, work, opening=Text(opening, *profile.branch_words(before, await profile.sheet(db))))


@router.callback_query(VersionTap.filter(F.step.in_({"back", "back_now"})))
async def on_back(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Show what changes when an earlier version comes back, and bring it back once the person says so.

    It comes back as a new version, and only in place of the one that was in use when the button was shown: the second
    tap of a double one makes no further version.
    """
    await people.wait_for(db, None)
    versions = await store.open_versions(db)
    active, past = versions[0], await _of(db, callback_data)
    is_past = past is not None and not past.is_active and not past.is_draft
    if past is None or not is_past or active.version_number != callback_data.other:
        show(work, await list_screen(db, opening=WORDS("gone")), tap=tap)
        return
    number = past.version_number
    if callback_data.step == "back":
        now = VersionTap(step="back_now", number=number, other=active.version_number)
        back = button(WORDS("back"), VersionTap(step="open", number=number))
        text = Text(Bold(WORDS("back_sure", number=number)), "\n\n", *comparison(active, past))
        show(work, Screen(text=text, rows=[[button(WORDS("back_yes"), now, style="success")], [back]]), tap=tap)
        return
    before = await profile.sheet(db)
    await store.go_back(db, past.id)
    active = await store.active(db)
    opening = WORDS("gone_back", from_number=number, number=active.version_number)
    await _now_in_use(tap, db, work, opening=Text(opening, *profile.branch_words(before, await profile.sheet(db))))


async def _now_in_use(tap: CallbackQuery, db: Transaction, work: Work, *, opening: Text) -> None:
    """Show the version that is in use now, called by its own name and with its own percentage."""
    active = await service.open_version(db)
    active = await service.keep(db, active, {"first_name": active.first_name})
    show(work, await version_screen(db, active, opening=opening), tap=tap)


@router.callback_query(VersionTap.filter(F.step.in_({"drop", "drop_now"})))
async def on_drop(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Put the draft away, once the person is sure."""
    await people.wait_for(db, None)
    draft = await store.draft(db)
    if draft is None or draft.version_number != callback_data.number:
        show(work, await list_screen(db, opening=WORDS("gone")), tap=tap)
        return
    if callback_data.step == "drop":
        yes = button(WORDS("drop_yes"), VersionTap(step="drop_now", number=draft.version_number), style="danger")
        no = button(WORDS("drop_no"), VersionTap(step="open", number=draft.version_number))
        show(work, Screen(text=WORDS("drop_sure"), rows=[[yes], [no]]), tap=tap)
        return
    await store.drop_draft(db)
    work.start("profile.tidy", {"urls": service.media(draft)}, lane="profile")
    show(work, await list_screen(db, opening=WORDS("dropped")), tap=tap)


# --------------------------------------------------------------------------------------------- notes


@router.callback_query(VersionTap.filter(F.step == "note"))
async def on_note(tap: CallbackQuery, callback_data: VersionTap, db: Transaction, work: Work) -> None:
    """Take the person's next words as the note of a version."""
    version = await _of(db, callback_data)
    if version is None:
        show(work, await list_screen(db, opening=WORDS("gone")), tap=tap)
        return
    await people.wait_for(db, {"kind": "profile_note", "version": version.version_number})
    back = button(WORDS("back"), VersionTap(step="open", number=version.version_number))
    show(work, Screen(text=WORDS("note_ask"), rows=[[back]]), tap=tap)


@router.message(Waiting("profile_note"), F.text, ~F.text.startswith("/"))
async def on_note_words(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep the note; where its version is gone the words go to whoever takes any."""
    words = (message.text or "").replace("\0", "").strip()
    version = await store.version(db, int(waiting["version"]))
    if version is None:
        await people.wait_for(db, None)
        raise SkipHandler
    opened = VersionTap(step="open", number=version.version_number)
    sign = await care.speak_up(work, db, user, words, go_on=opened)
    if len(words) > LONGEST_NOTE:
        back = button(WORDS("back"), opened)
        show(work, Screen(text=WORDS("note_long", most=LONGEST_NOTE), rows=[[back]]))
        return
    await people.wait_for(db, None)
    await store.note(db, version.id, words or None)
    if not profile.is_urgent(sign):
        noted = version.model_copy(update={"version_notes": words})
        show(work, await version_screen(db, noted, opening=WORDS("note_kept")))
