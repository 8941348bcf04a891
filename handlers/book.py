"""The life vision as a book: a PDF, set in a job and sent as a document. It needs no model and costs nothing."""

from __future__ import annotations

import asyncio
import uuid

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Text

from bot.errors import NotFound, VivaError
from bot.media import key_for
from bot.services import book as service
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home
from handlers.screen import Screen, button, document, hide, passing, replace, show, shown
from prompts import replies
from storage import editions, people, profile
from storage.database import Transaction
from storage.editions import Edition

WORDS = replies.of("book")

router = Router(name="book")


class BookTap(CallbackData, prefix="book"):
    """Make a book of this vision."""

    id: uuid.UUID


def _back() -> list[InlineKeyboardButton]:
    return [button(WORDS("vision"), home.OpenTap(feature="vision")), home.back()]


@router.message(Command("book"))
async def on_book(message: Message, db: Transaction, work: Work) -> None:
    """Make the book, or ask of which version."""
    await people.wait_for(db, None)
    await _begin(db, work, tap=None)


@router.callback_query(home.OpenTap.filter(F.feature == "book"))
async def on_open(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Make the book, or ask of which version."""
    await people.wait_for(db, None)
    await _begin(db, work, tap=tap)


@router.callback_query(BookTap.filter())
async def on_choice(tap: CallbackQuery, callback_data: BookTap, db: Transaction, work: Work) -> None:
    """Make the book of this version."""
    edition = await editions.edition(db, callback_data.id)
    if edition is None or not edition.sections:
        raise NotFound(WORDS("gone"))
    _print(work, edition, tap=tap)


async def _begin(db: Transaction, work: Work, *, tap: CallbackQuery | None) -> None:
    found = await editions.editions(db)
    if not found:
        show(work, Screen(text=Text(Bold(WORDS("heading")), "\n\n", WORDS("nothing")), rows=[_back()]), tap=tap)
    elif len(found) == 1:
        _print(work, found[0], tap=tap)
    else:
        rows = [[button(WORDS(edition.status), BookTap(id=edition.id))] for edition in found]
        show(work, Screen(text=Text(Bold(WORDS("heading")), "\n\n", WORDS("which")), rows=[*rows, _back()]), tap=tap)


def _print(work: Work, edition: Edition, *, tap: CallbackQuery | None) -> None:
    key = passing(work, Screen(text=WORDS("setting")), tap=tap)
    once = f"{work.chat_id}:{shown(tap)}" if tap is not None else None
    work.start("book.print", {"edition": str(edition.id), "key": key}, lane="book", key=once)


async def print_book(job: Job, doors: Doors) -> None:
    """Set the pages, keep them, and send them as a document."""
    async with job.transaction() as db:
        edition = await editions.edition(db, uuid.UUID(job.payload["edition"]))
        name = (await profile.active(db)).first_name
        account = await people.account(db)
    if edition is None or not edition.sections or account is None:
        raise NotFound(WORDS("gone"))
    book = service.Book(
        title=edition.title.strip() or WORDS("title"),
        name=name,
        on=edition.updated_at.astimezone(account.zone).date(),
        sections=edition.sections,
        contents=WORDS("contents"),
    )
    media_key = key_for(job.user_id, "books", f"{edition.id}.pdf")

    async def set_pages() -> str:
        await doors.media.put(media_key, await asyncio.to_thread(service.pages, book))
        return media_key

    await job.step("printed", set_pages)
    words = WORDS("done")
    if scripts := service.missing_scripts(edition.sections | {"title": book.title, "name": name or ""}):
        words += "\n\n" + WORDS("missing", scripts=", ".join(scripts))
    async with job.finish():
        hide(job, key=job.payload["key"])
        file_name = service.file_name(book.title, name)
        document(job, Screen(text=words, rows=[_back()]), media_key=media_key, file_name=file_name)


async def not_printed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that there is no book, and why where that can be explained."""
    words = str(error) if isinstance(error, VivaError) else WORDS("failed")
    again = button(WORDS("again"), home.OpenTap(feature="book"), style="primary")
    replace(job, Screen(text=words, rows=[[again], _back()]), key=job.payload["key"])


JOBS = {"book.print": (print_book, not_printed)}
