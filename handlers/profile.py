"""You: everything a person has told of themselves, card by card, to fill, change or clear as they like."""

from __future__ import annotations

from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.services import assessment as rules
from bot.services import care as signs
from bot.services import profile as service
from bot.services import profile_words
from bot.services.care import Sign
from bot.services.profile_words import Odd, Value
from bot.services.work import Work
from handlers import assessment, care, home
from handlers.screen import Screen, button, show
from handlers.waiting import Waiting
from prompts import replies
from prompts.categories import category
from prompts.profile import fields
from prompts.profile.fields import MEDIA, Field, Topic
from storage import assessment as assessments
from storage import people
from storage import profile as store
from storage.database import Transaction
from storage.people import Account
from storage.profile import Version

WORDS = replies.of("profile")

IN_A_ROW = 2
WIDE = 19
"""Characters from which a button has a row of its own, so that nothing is cut off on a phone."""

LONGEST_LINE = 80
"""Characters of a value on a card."""

SHOWN = 1500
"""Characters of a story that stand above its buttons: the end, where the next words are added."""

FREE = 300
"""Characters from which a field is for one's own words: they are kept whatever they say, and talked about nowhere."""

NEWEST = 999
"""The place of the newest photo, however many there are."""

router = Router(name="profile")


class CardTap(CallbackData, prefix="p_card"):
    """Open a topic of a version, or, without one, the overview."""

    version: int
    topic: str = ""


class FieldTap(CallbackData, prefix="p_ask"):
    """Ask for a field; `walk` is whether the next open one follows."""

    version: int
    column: str
    walk: bool


class SetTap(CallbackData, prefix="p_set"):
    """Keep a value that has a button."""

    version: int
    column: str
    walk: bool
    value: str


class ClearTap(CallbackData, prefix="p_clear"):
    """Clear a field; a story only when `sure`."""

    version: int
    column: str
    walk: bool
    sure: bool = False


class AnewTap(CallbackData, prefix="p_anew"):
    """Let the next words take the place of a story."""

    version: int
    column: str


class WholeTap(CallbackData, prefix="p_whole"):
    """Read a story from its beginning."""

    version: int
    column: str


class RecordingTap(CallbackData, prefix="p_rec"):
    """What was said aloud for a field: list, play, write, remove, sure; `mark` tells which recording."""

    version: int
    column: str
    step: str
    mark: str = ""


class PhotoTap(CallbackData, prefix="p_photo"):
    """Show a photo by its place, or, with its mark, remove it: show, remove, sure."""

    version: int
    column: str
    step: str
    place: int = 0
    mark: str = ""


class VersionTap(CallbackData, prefix="p_ver"):
    """A step with a version: list, open, start, use ...; `other` is the version it is compared with, or in use."""

    step: str
    number: int = 0
    other: int = 0


# ----------------------------------------------------------------------------------------- screens


def heading(version: Version) -> str:
    """Which version this is."""
    kind = "version_active" if version.is_active else "version_draft" if version.is_draft else "version_past"
    return f"{WORDS(kind, number=version.version_number)}, {WORDS('full', percentage=service.completion(version))}"


def overview(version: Version, *, other: Version | None, opening: str | None = None) -> Screen:
    """The topics and how full each is; `other` is the draft beside the version in use, or the other way round."""
    lines = []
    for topic in fields.fields().topics:
        filled, fitting = service.standing(topic.key, version)
        lines.append(WORDS("topic_line", icon=topic.icon, label=topic.label, filled=filled, fitting=fitting))
    parts: list[Any] = [Bold(WORDS("title")), "\n", heading(version), "\n\n"]
    if opening:
        parts += [opening, "\n\n"]
    parts += [WORDS("draft_hint" if version.is_draft else "overview"), "\n\n", "\n".join(lines)]
    number = version.version_number
    topics = [
        button(f"{topic.icon} {topic.label}", CardTap(version=number, topic=topic.key))
        for topic in fields.fields().topics
    ]
    rows = in_rows(topics)
    if version.is_draft:
        rows.insert(0, [button(WORDS("put_to_use"), VersionTap(step="use", number=number), style="success")])
    if other is not None:
        label = WORDS("see_draft" if other.is_draft else "see_active")
        rows.append([button(label, CardTap(version=other.version_number))])
    return Screen(text=Text(*parts), rows=[*rows, [button(WORDS("versions"), VersionTap(step="list")), home.back()]])


def in_rows(buttons: list[InlineKeyboardButton]) -> list[list[InlineKeyboardButton]]:
    """Two buttons a row, one where its words are wide."""
    rows: list[list[InlineKeyboardButton]] = []
    for each in buttons:
        narrow = len(each.text) <= WIDE
        if rows and narrow and len(rows[-1]) < IN_A_ROW and all(len(beside.text) <= WIDE for beside in rows[-1]):
            rows[-1].append(each)
        else:
            rows.append([each])
    return rows


def card(version: Version, topic: Topic, *, opening: Text | str | None = None) -> Screen:
    """A topic: what is known under each of its fields, with a button for each."""
    number = version.version_number
    shown = service.shown(topic.key, version)
    lines = [_line(each, version) for each in shown]
    parts: list[Any] = [Bold(f"{topic.icon} {topic.label}"), "\n"]
    if version.is_draft:
        parts += [Italic(WORDS("version_draft", number=number)), "\n"]
    parts += ["\n", opening, "\n"] if opening else []
    parts += ["\n", "\n".join(lines)]
    rows = in_rows([_field_button(version, each) for each in shown])
    open_fields = [each for each in shown if service.holds(each, version) and not service.is_filled(each, version)]
    if open_fields and topic.key != "photos":
        words = WORDS("go_through" if len(open_fields) == len(shown) else "go_on")
        walk = FieldTap(version=number, column=open_fields[0].column, walk=True)
        rows.insert(0, [button(words, walk, style="success")])
    return Screen(text=Text(*parts), rows=[*rows, [button(WORDS("back"), CardTap(version=number)), home.back()]])


def _field_button(version: Version, field: Field) -> InlineKeyboardButton:
    number, column = version.version_number, field.column
    if not service.is_filled(field, version):
        return button(field.label, FieldTap(version=number, column=column, walk=False))
    label = WORDS("filled", label=field.label)
    if field.kind in MEDIA:
        return button(label, PhotoTap(version=number, column=column, step="show", place=NEWEST))
    return button(label, FieldTap(version=number, column=column, walk=False))


def _line(field: Field, version: Version) -> str:
    value = " ".join(service.in_words(field, version).split())
    if len(value) > LONGEST_LINE:
        value = value[:LONGEST_LINE].rstrip() + "…"
    return WORDS("card_line", label=field.label, value=value or WORDS("card_empty"))


def field_screen(
    version: Version, field: Field, *, walk: bool, opening: Text | str | None = None, anew: bool = False
) -> Screen:
    """A field: the question, what is known, and every way to answer it."""
    number, column = version.version_number, field.column
    value = service.in_words(field, version)
    rows = in_rows(_choices(version, field, walk=walk))
    parts: list[Any] = [opening, "\n\n"] if opening else []
    parts.append(Bold(field.asked))
    if value:
        quoted = field.kind == "story"
        if len(value) > SHOWN:
            value = f"… {value[-SHOWN:].lstrip()}"
            rows.append([button(WORDS("read_whole"), WholeTap(version=number, column=column))])
        parts += [
            "\n\n",
            Italic(WORDS("now")),
            "\n" if quoted else " ",
            ExpandableBlockQuote(value) if quoted else value,
        ]
    hint = _hint(field, anew=anew and bool(value))
    if field.told is not None and field.longest >= FREE and field.kind == "words":
        hint = f"{hint} {WORDS('told_hint')}"
    parts += ["\n\n", Italic(hint)]
    if field.kind == "yes_no":
        rows.append([button(WORDS("rather_not"), ClearTap(version=number, column=column, walk=walk))])
    elif value and field.kind not in MEDIA:
        clear = button(WORDS("clear"), ClearTap(version=number, column=column, walk=walk))
        write_anew = [button(WORDS("write_anew"), AnewTap(version=number, column=column))]
        rows.append([*(write_anew if field.kind == "story" and not anew else []), clear])
    if spoken := service.spoken(version, field):
        rows.append(
            [button(WORDS("recordings", count=len(spoken)), RecordingTap(version=number, column=column, step="list"))]
        )
    if field.kind in MEDIA and value:
        rows.append([button(WORDS("photo_show"), PhotoTap(version=number, column=column, step="show", place=NEWEST))])
    ways = [button(WORDS("back"), CardTap(version=number, topic=field.topic))]
    if walk:
        following = service.next_open(field, version)
        onward = FieldTap(version=number, column=following.column, walk=True) if following else None
        words = WORDS("next" if value else "skip")
        ways.append(button(words, onward or CardTap(version=number, topic=field.topic)))
    return Screen(text=Text(*parts), rows=[*rows, ways])


def _hint(field: Field, *, anew: bool) -> str:
    if field.kind == "story":
        return WORDS("story_anew" if anew else "story_say")
    if field.kind in MEDIA:
        return WORDS("photo_add")
    if field.kind in ("choice", "fact", "yes_no"):
        return WORDS("tap_one")
    if field.kind in ("date", "height", "weight"):
        return f"{WORDS('say_or_type')} {WORDS(f'example_{field.kind}')}"
    return WORDS("tap_or_type" if field.choices else "say_or_type")


def _choices(version: Version, field: Field, *, walk: bool) -> list[InlineKeyboardButton]:
    stands = getattr(version, field.column)
    if field.kind == "yes_no":
        values = [("yes", WORDS("yes"), stands is True), ("no", WORDS("no"), stands is False)]
    else:
        stored = str(stands).lower() if isinstance(stands, bool) else stands
        values = [(each.value, each.label, each.value == stored) for each in field.choices]
    return [
        button(
            WORDS("filled", label=label) if ticked else label,
            SetTap(version=version.version_number, column=field.column, walk=walk, value=value),
        )
        for value, label, ticked in values
    ]


# ------------------------------------------------------------------------------------------ coming in


async def named(db: Transaction, number: int) -> Version:
    """The version that a button names, where it may still change; else the one in use."""
    version = await store.version(db, number)
    return version if version is not None and (version.is_draft or version.is_active) else await store.active(db)


async def overview_of(db: Transaction, version: Version, *, opening: str | None = None) -> Screen:
    """The overview of a version, with the way to the draft or back."""
    other = await store.active(db) if version.is_draft else await store.draft(db)
    return overview(version, other=other, opening=opening)


async def _in_use(db: Transaction) -> Version:
    """The version in use, its percentage set right where something else has changed the row."""
    version = await store.active(db)
    if version.completion_percentage != service.completion(version):
        version = await service.keep(db, await service.open_version(db), {})
    return version


@router.message(Command("profile", "you"))
async def on_profile(message: Message, db: Transaction, work: Work) -> None:
    """Show who the person is."""
    await people.wait_for(db, None)
    show(work, await overview_of(db, await _in_use(db)))


@router.callback_query(home.OpenTap.filter(F.feature == "profile"))
async def on_open(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show who the person is, in place."""
    await people.wait_for(db, None)
    show(work, await overview_of(db, await _in_use(db)), tap=tap)


@router.callback_query(CardTap.filter())
async def on_card(tap: CallbackQuery, callback_data: CardTap, db: Transaction, work: Work) -> None:
    """Show a card, or the overview of the version."""
    await people.wait_for(db, None)
    version, topic = await named(db, callback_data.version), fields.topic(callback_data.topic)
    show(work, await overview_of(db, version) if topic is None else card(version, topic), tap=tap)


async def ask(
    db: Transaction,
    work: Work,
    version: Version,
    field: Field,
    *,
    walk: bool,
    tap: CallbackQuery | None = None,
    opening: Text | str | None = None,
    anew: bool = False,
) -> None:
    """Ask for a field, and take the person's next words for it."""
    await people.wait_for(
        db,
        {
            "kind": "profile",
            "version": version.version_number,
            "field": field.column,
            "walk": walk,
            "anew": anew,
        },
    )
    show(work, field_screen(version, field, walk=walk, opening=opening, anew=anew), tap=tap)


async def stale(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """A button that fits nothing any more leads to where things stand."""
    await people.wait_for(db, None)
    show(work, await overview_of(db, await store.active(db), opening=WORDS("gone")), tap=tap)


@router.callback_query(FieldTap.filter())
async def on_field(tap: CallbackQuery, callback_data: FieldTap, db: Transaction, work: Work) -> None:
    """Ask for a field."""
    field = fields.field(callback_data.column)
    if field is None:
        await stale(tap, db, work)
        return
    await ask(db, work, await named(db, callback_data.version), field, walk=callback_data.walk, tap=tap)


@router.callback_query(WholeTap.filter())
async def on_whole(tap: CallbackQuery, callback_data: WholeTap, db: Transaction, work: Work) -> None:
    """Show a story from its beginning."""
    field = fields.field(callback_data.column)
    if field is None or field.kind != "story":
        await stale(tap, db, work)
        return
    version = await named(db, callback_data.version)
    back = FieldTap(version=version.version_number, column=field.column, walk=False)
    text = Text(Bold(field.asked), "\n\n", service.in_words(field, version) or WORDS("card_empty"))
    show(work, Screen(text=text, rows=[[button(WORDS("back"), back)]]), tap=tap)


@router.callback_query(AnewTap.filter())
async def on_anew(tap: CallbackQuery, callback_data: AnewTap, db: Transaction, work: Work) -> None:
    """Take the person's next words in place of a story."""
    field = fields.field(callback_data.column)
    if field is None or field.kind != "story":
        await stale(tap, db, work)
        return
    await ask(db, work, await named(db, callback_data.version), field, walk=False, tap=tap, anew=True)


# --------------------------------------------------------------------------------------- answering


@router.callback_query(SetTap.filter())
async def on_set(tap: CallbackQuery, callback_data: SetTap, db: Transaction, work: Work) -> None:
    """Keep a value that was tapped, and go on."""
    field = fields.field(callback_data.column)
    try:
        value = profile_words.chosen(field, callback_data.value) if field is not None else None
    except Odd:
        value = None
    if field is None or value is None:
        await stale(tap, db, work)
        return
    version = await service.open_version(db, callback_data.version)
    await keep(db, work, version, field, value, walk=callback_data.walk, tap=tap)


@router.callback_query(ClearTap.filter())
async def on_clear(tap: CallbackQuery, callback_data: ClearTap, db: Transaction, work: Work) -> None:
    """Clear a field; a story is asked about once more."""
    field = fields.field(callback_data.column)
    if field is None or field.kind in MEDIA:
        await stale(tap, db, work)
        return
    version = await service.open_version(db, callback_data.version)
    if field.kind == "story" and not callback_data.sure and service.is_filled(field, version):
        await people.wait_for(db, None)
        yes = ClearTap(version=version.version_number, column=field.column, walk=False, sure=True)
        no = FieldTap(version=version.version_number, column=field.column, walk=False)
        rows = [[button(WORDS("clear_story_yes"), yes, style="danger")], [button(WORDS("clear_story_no"), no)]]
        show(work, Screen(text=Text(Bold(service.label(field)), "\n\n", WORDS("clear_story")), rows=rows), tap=tap)
        return
    await keep(db, work, version, field, None, walk=callback_data.walk, tap=tap)


async def keep(
    db: Transaction,
    work: Work,
    version: Version,
    field: Field,
    value: Value,
    *,
    walk: bool,
    tap: CallbackQuery | None = None,
) -> None:
    """Keep a value in a version that is held open, say what follows, and go on: the next open field, or the card."""
    before = await sheet(db)
    version = await service.keep(db, version, {field.column: value})
    said = WORDS("cleared" if value is None else "kept")
    opening = Text(said, *branch_words(before, await sheet(db)))
    following = service.next_open(field, version) if walk else None
    if field.kind == "story" and value is not None:
        following = field  # as many messages as they like
    if following is not None:
        await ask(db, work, version, following, walk=walk, tap=tap, opening=opening)
        return
    await people.wait_for(db, None)
    topic = fields.topic(field.topic)
    assert topic is not None
    if walk:
        opening = Text(opening, " ", WORDS("topic_done"))
    show(work, card(version, topic, opening=opening), tap=tap)


async def sheet(db: Transaction) -> rules.Sheet | None:
    """The running assessment as it stands, if there is one."""
    attempt = await assessments.in_progress(db)
    return None if attempt is None else assessment.sheet_of(attempt)


def branch_words(before: rules.Sheet | None, now: rules.Sheet | None) -> list[Any]:
    """What a change of facts does to a running assessment, in words; empty where it does nothing."""
    if before is None or now is None:
        return []
    lines = []
    for switch in service.switches(before, now):
        area = category(switch.category)
        words = [WORDS("branch_unknown" if switch.unknown else "branch_line", icon=area.icon, label=area.label)]
        if switch.aside:
            words.append(WORDS("branch_aside_one" if switch.aside == 1 else "branch_aside_many", count=switch.aside))
        if switch.back:
            words.append(WORDS("branch_back_one" if switch.back == 1 else "branch_back_many", count=switch.back))
        lines.append(" ".join(words))
    return ["\n\n", Bold(WORDS("branch_title")), *(f"\n{line}" for line in lines)] if lines else []


@router.message(Waiting("profile"), F.text, ~F.text.startswith("/"))
async def on_words(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what was typed under the field that was asked for."""
    field, words = fields.field(waiting.get("field")), message.text or ""
    if field is None or field.kind in MEDIA or _is_for_talk(field, words):
        # Somebody who confides in VIVA in place of an answer is heard; the field can wait.
        await people.wait_for(db, None)
        raise SkipHandler
    version = await service.open_version(db, waiting.get("version"))
    walk, anew = bool(waiting.get("walk")), bool(waiting.get("anew"))
    back = FieldTap(version=version.version_number, column=field.column, walk=walk)
    urgent = is_urgent(await care.speak_up(work, db, user, words, go_on=back))
    try:
        value = read(field, words, version, anew=anew)
    except Odd as odd:
        if not urgent:
            opening = WORDS(f"odd_{odd.key}", **odd.values)
            await ask(db, work, version, field, walk=walk, opening=opening, anew=anew)
        return
    if urgent:
        await service.keep(db, version, {field.column: value})
        await people.wait_for(db, None)
        return
    await keep(db, work, version, field, value, walk=walk)


def read(field: Field, words: str, version: Version, *, anew: bool) -> Value:
    """What the words come to in this field: read, and for a story added to what stands there; raises Odd."""
    standing = getattr(version, field.column)
    if field.kind == "story" and standing and not anew:
        words = f"{standing}\n\n{words.strip()}"
    return profile_words.read(field, words, units=version.units)


def _is_for_talk(field: Field, words: str) -> bool:
    if field.kind == "story" or field.longest >= FREE:
        return False
    return len(words) > max(FREE, field.longest) or signs.sign_in(words) is not None


def is_urgent(sign: Sign | None) -> bool:
    """Whether the help lines stand alone until the person chooses to go on."""
    return sign is not None and sign.level == "immediate"
