"""The vision board: what a person wants to see, pinned by words or photo, until it comes true."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot import media
from bot.config import Settings
from bot.errors import NotFound
from bot.services.work import Work
from handlers import care, home, journal_keep, recordings, usage
from handlers.journal import EntryTap
from handlers.screen import Screen, button, show
from handlers.waiting import Waiting
from prompts import replies
from prompts.categories import CATEGORIES, category
from storage import board, journal, people
from storage.board import Item, Status
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("board")
PAGE = 6
LABEL = 30
STATUSES: tuple[Status, ...] = ("active", "actualized", "inactive")
MARKS = {"active": "", "actualized": "✓ ", "inactive": "· "}

router = Router(name="board")


class BoardTap(CallbackData, prefix="board"):
    """A page of the board in one status, of one area or ("") of all."""

    status: str = "active"
    area: str = ""
    page: int = 0


class PinTap(CallbackData, prefix="pin"):
    """Begin something: add, areas (choose one to see)."""

    step: str


class ItemTap(CallbackData, prefix="item"):
    """A step with an item: open, true, rest, back, areas, words, photo, bare, tell, remove, gone."""

    step: str
    id: uuid.UUID


class CollageTap(CallbackData, prefix="collage"):
    """Show the board, or one area of it, as one picture; `shown` is the work that showed the button: once for each."""

    area: str
    shown: int


class PaintTap(CallbackData, prefix="paint"):
    """Have an item painted: ask (say what it takes), yes."""

    step: str
    id: uuid.UUID


class IdeasTap(CallbackData, prefix="ideas"):
    """Ideas: choose (an area), open, ask (say what they take), yes, pass."""

    step: str
    area: str = ""


class IdeaTap(CallbackData, prefix="idea"):
    """Pin this idea."""

    id: uuid.UUID


class AreaTap(CallbackData, prefix="itemarea"):
    """Put an item to an area, or take it out."""

    id: uuid.UUID
    area: str


# ----------------------------------------------------------------------------------------- screens


async def overview(db: Transaction, work: Work, *, status: Status = "active", area: str = "", page: int = 0) -> Screen:
    """A page of the board, newest first, with how many stand in each status."""
    found = await board.items(db, statuses=[status], category=area or None, limit=PAGE + 1, skip=PAGE * page)
    counts = await board.counts(db)
    parts: list[Any] = [Bold(WORDS("title"))]
    if area:
        parts += ["\n", Italic(category(area).label)]
    parts += ["\n\n", WORDS("how")]
    if counts:
        parts += ["\n\n", WORDS("counts", **{one: counts.get(one, 0) for one in STATUSES})]
    if not found:
        parts += ["\n\n", WORDS("nothing_here" if counts else "empty")]
    rows = [[button(MARKS[item.status] + _label(item), ItemTap(step="open", id=item.id))] for item in found[:PAGE]]
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), BoardTap(status=status, area=area, page=page - 1)))
    if len(found) > PAGE:
        turns.append(button(WORDS("older"), BoardTap(status=status, area=area, page=page + 1)))
    if turns:
        rows.append(turns)
    others = [one for one in STATUSES if one != status and (counts.get(one) or one == "active")]
    if others and (counts or status != "active"):
        rows.append([button(WORDS(f"see_{one}"), BoardTap(status=one, area=area)) for one in others])
    if counts.get("active") or counts.get("actualized"):
        areas = button(WORDS("see_all_areas"), BoardTap(status=status)) if area else None
        picture = button(WORDS("see_picture"), CollageTap(area=area, shown=work.head.id))
        rows.append([picture, areas or button(WORDS("by_area"), PinTap(step="areas"))])
    rows.append(
        [
            button(WORDS("add"), PinTap(step="add"), style="success"),
            button(WORDS("ideas"), IdeasTap(step="choose", area=area)),
        ]
    )
    return Screen(text=Text(*parts), rows=[*rows, [home.back()]])


def _label(item: Item) -> str:
    name = " ".join(item.name.split())
    return name if len(name) <= LABEL else name[: LABEL - 1].rstrip() + "…"


def back() -> list[InlineKeyboardButton]:
    """The way back to the board, and home."""
    return [button(WORDS("board"), BoardTap()), home.back()]


def picture_key(item: Item, user: Account, settings: Settings) -> str | None:
    """Where the item's picture lies in the media store; None where there is none of the person's own."""
    if item.image_url is None:
        return None
    try:
        return media.key_in(settings.media_location, item.image_url, owner=user.user_id)
    except NotFound:
        return None


async def item_screen(
    db: Transaction, item: Item, user: Account, settings: Settings, *, note: str | None = None
) -> Screen:
    """An item with its picture, its words, and what can be done with it."""
    picture = picture_key(item, user, settings)
    told: list[list[InlineKeyboardButton]] = []
    parts: list[Any] = [Bold(item.name)]
    if item.description:
        parts += ["\n\n", item.description]
    if item.categories:
        parts += ["\n\n", Italic(", ".join(_areas(item)))]
    if item.status == "actualized" and item.actualized_at is not None:
        parts += ["\n", Italic(WORDS("came_true_on", date=_date(item.actualized_at, user)))]
        story = await board.story(db, item.id)
        if story is not None and story.words:
            parts += ["\n\n", Bold(WORDS("story_head")), "\n", ExpandableBlockQuote(story.words)]
        if story is not None:
            told = [[button(WORDS("story_open"), EntryTap(id=story.id))]]
    if note:
        parts += ["\n\n", Italic(note)]

    def step(label: str, name: str, style: Any = None) -> InlineKeyboardButton:
        return button(WORDS(label), ItemTap(step=name, id=item.id), style=style)

    if item.status == "active":
        first = [step("came_true", "true", "success"), step("rest", "rest")]
    elif item.status == "actualized":
        first = [step("tell", "tell"), step("bring_back", "back")]
    else:
        first = [step("bring_back", "back", "success")]
    if picture is None:
        pictures = [step("photo", "photo"), button(WORDS("paint"), PaintTap(step="ask", id=item.id))]
    else:
        pictures = [step("photo", "photo"), step("take_photo_away", "bare")]
    rows = [
        *told,
        first,
        pictures,
        [step("reword", "words"), step("set_areas", "areas")],
        [step("remove", "remove")],
        back(),
    ]
    return Screen(text=Text(*parts), rows=rows, picture=picture)


def _areas(item: Item) -> list[str]:
    known = {area.key: area.label for area in CATEGORIES}
    return [known[key] for key in item.categories if key in known]


def _date(moment: datetime, user: Account) -> str:
    return usage.day(moment, user)


# ------------------------------------------------------------------------------------- looking


@router.message(Command("board"))
async def on_board(message: Message, db: Transaction, work: Work) -> None:
    """Show the board."""
    await people.wait_for(db, None)
    show(work, await overview(db, work))


@router.callback_query(home.OpenTap.filter(F.feature == "board"))
async def on_open(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show the board in place."""
    await people.wait_for(db, None)
    show(work, await overview(db, work), tap=tap)


@router.callback_query(BoardTap.filter())
async def on_page(tap: CallbackQuery, callback_data: BoardTap, db: Transaction, work: Work) -> None:
    """Show another page, status or area."""
    await people.wait_for(db, None)
    status: Status = next((one for one in STATUSES if one == callback_data.status), "active")
    area = callback_data.area if any(callback_data.area == one.key for one in CATEGORIES) else ""
    page = min(max(0, callback_data.page), 10_000)
    show(work, await overview(db, work, status=status, area=area, page=page), tap=tap)


@router.callback_query(PinTap.filter(F.step == "areas"))
async def on_areas(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Choose an area to see."""
    await people.wait_for(db, None)
    found = await board.areas(db)
    buttons = [
        button(WORDS("of_area", area=f"{area.icon} {area.short}", count=found[area.key]), BoardTap(area=area.key))
        for area in CATEGORIES
        if area.key in found
    ]
    rows = [buttons[place : place + 2] for place in range(0, len(buttons), 2)]
    show(work, Screen(text=WORDS("choose_area" if rows else "nothing_here"), rows=[*rows, back()]), tap=tap)


@router.callback_query(ItemTap.filter(F.step == "open"))
async def on_item(
    tap: CallbackQuery, callback_data: ItemTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Open an item."""
    await people.wait_for(db, None)
    show(work, await item_screen(db, await theirs(db, callback_data.id), user, settings), tap=tap)


async def theirs(db: Transaction, item_id: uuid.UUID) -> Item:
    """The person's item; raises NotFound."""
    item = await board.item(db, item_id)
    if item is None:
        raise NotFound(WORDS("gone"))
    return item


# ------------------------------------------------------------------------------------- telling


@router.message(Waiting("board_story"), F.text, ~F.text.startswith("/"))
async def on_story(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Keep how it came, as an entry of the journal that the item leads to."""
    words = (message.text or "").replace("\0", "")
    await people.wait_for(db, None)
    entry = await journal.add(db, content=words)
    await care.speak_up(work, db, user, words)
    item = await board.item(db, uuid.UUID(waiting["item"]))
    if item is None:
        show(work, Screen(text=WORDS("told"), rows=[back()]))
        return
    await board.tell(db, item, entry.id, title=WORDS("story_title", name=item.name))
    show(work, await item_screen(db, item, user, settings, note=WORDS("told")))


@router.message(Waiting("board_story"), recordings.ANY)
async def on_story_told(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep how it came, as the person tells it: the recording is an entry of the journal, and its words the story."""
    item = await board.item(db, uuid.UUID(waiting["item"]))
    entry_id = await journal_keep.take_recording(message, user, db, work)
    if item is not None and entry_id is not None:
        await board.tell(db, item, entry_id, title=WORDS("story_title", name=item.name))
        to_item = button(WORDS("to_item"), ItemTap(step="open", id=item.id))
        show(work, Screen(text=WORDS("told_aloud"), rows=[[to_item], back()]))


@router.callback_query(ItemTap.filter(F.step == "areas"))
async def on_item_areas(tap: CallbackQuery, callback_data: ItemTap, db: Transaction, work: Work) -> None:
    """Show the twelve areas, those of the item marked."""
    show(work, _areas_screen(await theirs(db, callback_data.id)), tap=tap)


@router.callback_query(AreaTap.filter())
async def on_area(tap: CallbackQuery, callback_data: AreaTap, db: Transaction, work: Work) -> None:
    """Put the item to the area, or take it out."""
    item = await theirs(db, callback_data.id)
    if any(area.key == callback_data.area for area in CATEGORIES):
        chosen = set(item.categories) ^ {callback_data.area}
        ordered = [area.key for area in CATEGORIES if area.key in chosen]
        await board.set_categories(db, item.id, ordered)
        item = item.model_copy(update={"categories": ordered})
    show(work, _areas_screen(item), tap=tap)


def _areas_screen(item: Item) -> Screen:
    buttons = [
        button(
            f"{area.icon} {area.short}{' ✓' if area.key in item.categories else ''}",
            AreaTap(id=item.id, area=area.key),
        )
        for area in CATEGORIES
    ]
    rows = [buttons[place : place + 2] for place in range(0, len(buttons), 2)]
    done = button(WORDS("areas_done"), ItemTap(step="open", id=item.id), style="success")
    return Screen(text=Text(Bold(item.name), "\n\n", WORDS("areas_of")), rows=[*rows, [done], back()])


# ------------------------------------------------------------------------------------ its life


@router.callback_query(ItemTap.filter(F.step == "true"))
async def on_came_true(
    tap: CallbackQuery, callback_data: ItemTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Mark that it came true, and celebrate it a little."""
    item = await theirs(db, callback_data.id)
    if not await board.move(db, item.id, since=["active", "inactive"], to="actualized"):
        show(work, await item_screen(db, item, user, settings), tap=tap)
        return
    rows = [
        [
            button(WORDS("tell"), ItemTap(step="tell", id=item.id), style="success"),
            button(WORDS("tell_later"), ItemTap(step="open", id=item.id)),
        ],
        back(),
    ]
    words = WORDS("came_true_words", name=item.name)
    show(work, Screen(text=Text("🌟 ", words), rows=rows), tap=tap)


@router.callback_query(ItemTap.filter(F.step.in_({"rest", "back"})))
async def on_rest(
    tap: CallbackQuery, callback_data: ItemTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Let it rest, or bring it back; the day on which it first came true stays."""
    item = await theirs(db, callback_data.id)
    if callback_data.step == "rest":
        moved = await board.move(db, item.id, since=["active"], to="inactive")
    else:
        moved = await board.move(db, item.id, since=["inactive", "actualized"], to="active")
    note = WORDS("rested" if callback_data.step == "rest" else "back_again") if moved else None
    show(work, await item_screen(db, await theirs(db, item.id), user, settings, note=note), tap=tap)


@router.callback_query(ItemTap.filter(F.step == "bare"))
async def on_bare(
    tap: CallbackQuery, callback_data: ItemTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Take the picture down; the words stay."""
    item = await theirs(db, callback_data.id)
    await board.set_image(db, item.id, None)
    _throw_away(work, item, user, settings)
    bare = item.model_copy(update={"image_url": None})
    show(work, await item_screen(db, bare, user, settings, note=WORDS("photo_taken_away")), tap=tap)


def _throw_away(work: Work, item: Item, user: Account, settings: Settings) -> None:
    if (key := picture_key(item, user, settings)) is not None:
        work.start("board.tidy", {"media": key}, lane="board")


@router.callback_query(ItemTap.filter(F.step == "remove"))
async def on_remove(tap: CallbackQuery, callback_data: ItemTap, db: Transaction, work: Work) -> None:
    """Ask before an item goes."""
    item = await theirs(db, callback_data.id)
    rows = [
        [
            button(WORDS("remove_yes"), ItemTap(step="gone", id=item.id), style="danger"),
            button(WORDS("keep_it"), ItemTap(step="open", id=item.id)),
        ]
    ]
    show(work, Screen(text=WORDS("remove_question", name=item.name), rows=rows), tap=tap)


@router.callback_query(ItemTap.filter(F.step == "gone"))
async def on_gone(
    tap: CallbackQuery, callback_data: ItemTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Remove the item and its picture; how it came stays in the journal."""
    item = await board.item(db, callback_data.id)
    if item is not None:
        await board.delete(db, item.id)
        _throw_away(work, item, user, settings)
    show(work, Screen(text=WORDS("removed"), rows=[back()]), tap=tap)


@router.callback_query(ItemTap.filter())
async def on_odd_step(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """A step that nobody offers leads to the board."""
    show(work, await overview(db, work), tap=tap)
