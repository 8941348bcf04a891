"""Pinning to the board: words, photos and albums; and other words or another photo for what hangs there."""

from __future__ import annotations

import uuid
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.config import Settings
from bot.services import board as rules
from bot.services.work import Work
from handlers import care
from handlers.board import ItemTap, PinTap, back, item_screen, picture_key, theirs
from handlers.screen import Screen, button, react, show
from handlers.waiting import SameAlbum, Waiting
from prompts import replies
from storage import board, people
from storage.board import Item
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("board")

router = Router(name="board_pin")


# ------------------------------------------------------------------------------------- pinning


@router.callback_query(PinTap.filter(F.step == "add"))
async def on_add(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Take the next words or photo as an item."""
    await people.wait_for(db, {"kind": "board"})
    show(work, Screen(text=WORDS("add_prompt"), rows=[back()]), tap=tap)


@router.message(Waiting("board"), F.text, ~F.text.startswith("/"))
async def on_words(message: Message, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Pin the words."""
    words = (message.text or "").replace("\0", "")
    name, description = rules.parted(words)
    item = await board.add(db, name=name, description=description)
    await people.wait_for(db, None)
    await care.speak_up(work, db, user, words)
    show(work, await item_screen(db, item, user, settings, note=WORDS("pinned")))


@router.message(Waiting("board"), F.photo | F.document)
@router.message(Waiting("board_words"), SameAlbum(), F.photo | F.document)
@router.message(Waiting("board_album"), SameAlbum(), F.photo | F.document)
async def on_photo(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Pin the photo with its caption; without one, ask for a few words: of an album, for one after another."""
    words = (message.caption or "").replace("\0", "").strip()
    name, description = rules.parted(words) if words else (WORDS("unnamed"), None)
    item = await board.add(db, name=name, description=description)
    unnamed = [*_noted(waiting), *([] if words else [str(item.id)])]
    await people.wait_for(db, (_more_of(message.media_group_id) | _words_for(unnamed)) or None)
    await care.speak_up(work, db, user, words)
    fetch(work, message, item, new=True, named=bool(words))


def _more_of(album: str | None) -> dict[str, Any]:
    return {} if album is None else {"kind": "board_album", "album": album}


def _words_for(unnamed: list[str]) -> dict[str, Any]:
    return {"kind": "board_words", "item": unnamed[0], "then": unnamed[1:]} if unnamed else {}


async def _awaited(db: Transaction, waiting: dict[str, Any]) -> list[Item]:
    """What waits for words and still hangs there, the one that is asked about first."""
    items = [await board.item(db, uuid.UUID(one)) for one in _noted(waiting)]
    return [item for item in items if item is not None]


def _noted(waiting: dict[str, Any]) -> list[str]:
    return [waiting["item"], *waiting.get("then", [])] if waiting.get("kind") == "board_words" else []


async def is_asked_about(db: Transaction, item: Item) -> bool:
    """Whether the person's next words are for this item."""
    account = await people.account(db)
    awaited = await _awaited(db, (account and account.waiting_for) or {})
    return bool(awaited) and awaited[0].id == item.id


async def ask_no_more(db: Transaction) -> None:
    """Wait for no words where everything that waited for some is gone; what is yet to come of its album is taken in."""
    account = await people.account(db)
    waiting = (account and account.waiting_for) or {}
    if _noted(waiting) and not await _awaited(db, waiting):
        await people.wait_no_more(db, waiting, then=_more_of(waiting.get("album")) or None)


def question(item: Item, *, again: str | None = None) -> Screen:
    """What shall stand under the picture that has just come, or under this one that came before?"""
    leave = button(WORDS("leave_it"), ItemTap(step="open", id=item.id))
    return Screen(text=WORDS("photo_next" if again else "photo_only"), rows=[[leave], back()], picture=again)


def fetch(work: Work, message: Message, item: Item, *, new: bool, named: bool = True) -> None:
    """Start putting the message's picture to the item; a new item without words goes where that fails."""
    react(work, message, "👀")
    show(work, Screen(text=WORDS("keeping")), key=f"board:{work.head.id}")
    file = message.photo[-1] if message.photo else message.document
    assert file is not None
    payload = {
        "item": str(item.id),
        "file": file.file_id,
        "key": f"board:{work.head.id}",
        "new": new,
        "named": named,
    }
    work.start("board.photo", payload, lane="board")


@router.message(Waiting("board"), ~F.text, ~(F.voice | F.audio | F.video | F.video_note))
async def on_no_item(message: Message, work: Work) -> None:
    """Ask again: a sticker cannot be pinned. A recording goes on to the journal."""
    show(work, Screen(text=WORDS("add_again"), rows=[back()]))


# ----------------------------------------------------------------------------------- changing


@router.callback_query(ItemTap.filter(F.step.in_({"words", "photo", "tell"})))
async def on_ask(tap: CallbackQuery, callback_data: ItemTap, db: Transaction, work: Work) -> None:
    """Take the next words or photo for this item."""
    item = await theirs(db, callback_data.id)
    kind, prompt = {
        "words": ("board_words", "reword_prompt"),
        "photo": ("board_photo", "photo_prompt"),
        "tell": ("board_story", "tell_prompt"),
    }[callback_data.step]
    await people.wait_for(db, {"kind": kind, "item": str(item.id)})
    rows = [[button(WORDS("leave_it"), ItemTap(step="open", id=item.id))], back()]
    if kind == "board_story":
        rows[0] = [button(WORDS("tell_later"), ItemTap(step="open", id=item.id))]
    show(work, Screen(text=Text(Bold(item.name), "\n\n", WORDS(prompt)), rows=rows), tap=tap)


@router.message(Waiting("board_words"), F.text, ~F.text.startswith("/"))
async def on_reworded(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Put these words to the item."""
    words = (message.text or "").replace("\0", "")
    await care.speak_up(work, db, user, words)
    name, description = rules.parted(words)
    awaited = await _awaited(db, waiting)
    item, rest = awaited[0] if awaited else None, awaited[1:]
    await people.wait_for(db, _words_for([str(one.id) for one in rest]) or None)
    if item is None:
        # What was to be named is gone; the words hang there by themselves.
        item = await board.add(db, name=name, description=description)
    await board.reword(db, item.id, name=name, description=description)
    item = await theirs(db, item.id)
    show(work, await item_screen(db, item, user, settings, note=WORDS("reworded")))
    if rest and (picture := picture_key(rest[0], user, settings)) is not None:
        show(work, question(rest[0], again=picture))


@router.message(Waiting("board_photo"), F.photo | F.document)
async def on_new_photo(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Put this photo to the item."""
    await people.wait_for(db, None)
    item = await board.item(db, uuid.UUID(waiting["item"]))
    if item is None:
        raise SkipHandler  # the journal keeps it
    caption = (message.caption or "").replace("\0", "").strip()
    if caption:
        await care.speak_up(work, db, user, caption)
        await board.reword(
            db, item.id, name=item.name, description="\n\n".join(filter(None, [item.description, caption]))
        )
    fetch(work, message, item, new=False)
