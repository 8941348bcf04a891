"""Threads of talk: begin one, one about an area of life, open an old one, name it, take it along as a document."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.config import Settings
from bot.errors import NotFound
from bot.media import key_for
from bot.services import chat
from bot.services import conversations as service
from bot.services import vision as visions
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import care, home, start
from handlers.journal import EntryTap
from handlers.screen import Screen, button, show
from handlers.vision import VisionTap
from handlers.waiting import MOST_IN_A_NAME, Waiting
from prompts import replies
from prompts.categories import CATEGORIES, Category
from storage import conversations, memory, people, vision
from storage import work as store
from storage.conversations import Conversation, Turn
from storage.database import Transaction
from storage.people import Account
from storage.recall import Passage

WORDS = replies.of("conversations")
HOUSE = replies.of("house")
VISION = replies.of("vision")
PAGE = 6
SHOWN_TURNS = 6
SHOWN_CHARACTERS = 280
MOST_EXPORTED = 20_000
"""Turns of one thread in a document."""

router = Router(name="conversations")


class TalkTap(CallbackData, prefix="talk"):
    """A step without a thread: new, areas, list (with its page)."""

    step: str
    page: int = 0


class AreaTap(CallbackData, prefix="area"):
    """Begin a talk about an area of life."""

    key: str


class ThreadTap(CallbackData, prefix="thread"):
    """A step with a thread: open, go, name, export, draft, delete, sure."""

    step: str
    id: uuid.UUID


class TurnTap(CallbackData, prefix="turn"):
    """Open something that was said."""

    id: uuid.UUID


# ----------------------------------------------------------------------------------------- screens


def talk_screen() -> Screen:
    """The talk: any words are welcome, in the open thread or in another."""
    return Screen(
        text=HOUSE("talk_hint"),
        rows=[
            [button(WORDS("new"), TalkTap(step="new")), button(WORDS("earlier"), TalkTap(step="list"))],
            [button(WORDS("areas"), TalkTap(step="areas"))],
            [home.back()],
        ],
    )


async def list_screen(db: Transaction, user: Account, *, page: int = 0) -> Screen:
    """A page of threads, the latest first."""
    found = await conversations.latest(db, limit=PAGE + 1, skip=PAGE * page)
    zone = user.zone
    rows = [
        [button(f"{thread.last_turn_at.astimezone(zone):%d %b}  {thread.title}", ThreadTap(step="open", id=thread.id))]
        for thread in found[:PAGE]
    ]
    turns = []
    if page > 0:
        turns.append(button(WORDS("newer"), TalkTap(step="list", page=page - 1)))
    if len(found) > PAGE:
        turns.append(button(WORDS("older"), TalkTap(step="list", page=page + 1)))
    text = Text(Bold(WORDS("title")), "\n\n", WORDS("choose" if found else "empty"))
    last = [button(WORDS("new"), TalkTap(step="new"), style="success"), home.back()]
    return Screen(text=text, rows=[*rows, *([turns] if turns else []), last])


async def thread_screen(db: Transaction, user: Account, thread: Conversation) -> Screen:
    """The end of a thread, and what can be done with it."""
    zone = user.zone
    turns = chat.in_order(await conversations.turns_of(db, thread.id, limit=SHOWN_TURNS))
    parts: list[Any] = [Bold(thread.title or WORDS("untitled")), "\n"]
    first, last = _day(thread.created_at, zone), _day(thread.last_turn_at, zone)
    parts.append(Italic(first if first == last else WORDS("when", first=first, last=last)))
    for turn in turns:
        speaker = WORDS("viva") if turn.role == "assistant" else WORDS("you")
        parts += ["\n\n", Bold(speaker), "  ", _short(chat.plain(turn.message))]
    rows = [
        [button(WORDS("go_on"), ThreadTap(step="go", id=thread.id), style="success")],
        [
            button(WORDS("rename"), ThreadTap(step="name", id=thread.id)),
            button(WORDS("export"), ThreadTap(step="export", id=thread.id)),
        ],
        *await draft_rows(db, thread.id),
        [button(WORDS("delete"), ThreadTap(step="delete", id=thread.id), style="danger")],
    ]
    return Screen(text=Text(*parts), rows=[*rows, _back()])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN_CHARACTERS else line[:SHOWN_CHARACTERS].rstrip() + " …"


def _day(moment: Any, zone: tzinfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"


def _back() -> list[InlineKeyboardButton]:
    return [button(WORDS("talks"), TalkTap(step="list")), home.back()]


def _category(key: str | None) -> Category | None:
    return next((category for category in CATEGORIES if category.key == key), None)


async def draft_rows(db: Transaction, thread_id: uuid.UUID) -> list[list[InlineKeyboardButton]]:
    """The button under a talk about an area of life from which its section can be drafted now."""
    thread = await conversations.conversation(db, thread_id)
    category = _category(thread.category) if thread is not None else None
    if thread is None or category is None:
        return []
    said = await conversations.said_in_phase(db, thread.id, thread.phase)
    if not service.ready_to_draft(thread, said=said):
        return []
    label = WORDS("draft", area=f"{category.icon} {category.short}")
    return [[button(label, ThreadTap(step="draft", id=thread.id), style="success")]]


def opening_rows(found: Sequence[Passage], *, zone: tzinfo | None) -> list[list[InlineKeyboardButton]]:
    """Buttons that open what VIVA may look back to, each with its day."""
    taps: list[InlineKeyboardButton] = []
    for passage in found:
        tap: CallbackData = EntryTap(id=passage.source_id)
        if passage.source_kind == "turn":
            tap = TurnTap(id=passage.source_id)
        local = passage.said_at.astimezone(zone)
        taps.append(button(WORDS("open_day", day=f"{local.day} {local:%b %Y}"), tap))
    return [taps] if taps else []


# ------------------------------------------------------------------------------------ looking around


@router.callback_query(home.OpenTap.filter(F.feature == "talk"))
async def on_talk(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Say that any words are welcome; without the yes to AI, ask for it."""
    await people.wait_for(db, None)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    show(work, talk_screen(), tap=tap)


@router.message(Command("talks"))
async def on_talks(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Show the threads."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, user))


@router.callback_query(TalkTap.filter(F.step == "list"))
async def on_page(tap: CallbackQuery, callback_data: TalkTap, user: Account, db: Transaction, work: Work) -> None:
    """Show a page of threads in place."""
    await people.wait_for(db, None)
    show(work, await list_screen(db, user, page=min(max(0, callback_data.page), 10_000)), tap=tap)


@router.callback_query(TalkTap.filter(F.step == "areas"))
async def on_areas(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show the areas of life one can talk about."""
    await people.wait_for(db, None)
    buttons = [button(f"{each.icon} {each.short}", AreaTap(key=each.key)) for each in CATEGORIES]
    rows = [buttons[place : place + 3] for place in range(0, len(buttons), 3)]
    show(work, Screen(text=WORDS("which_area"), rows=[*rows, _back()]), tap=tap)


@router.callback_query(TurnTap.filter())
async def on_turn(tap: CallbackQuery, callback_data: TurnTap, user: Account, db: Transaction, work: Work) -> None:
    """Show what was said once, with its day, below what stands."""
    said = await conversations.turn(db, callback_data.id)
    if said is None:
        raise NotFound(WORDS("gone"))
    parts = [Bold(_day(said.created_at, user.zone)), "\n\n", ExpandableBlockQuote(said.message)]
    thread = await _thread_of(db, said)
    rows = [[button(WORDS("to_thread"), ThreadTap(step="open", id=thread.id))]] if thread is not None else []
    show(work, Screen(text=Text(*parts), rows=[*rows, _back()]))


async def _thread_of(db: Transaction, said: Turn) -> Conversation | None:
    try:
        return await conversations.conversation(db, uuid.UUID(str(said.context["conversation_id"])))
    except (KeyError, ValueError):
        return None


# --------------------------------------------------------------------------------------- beginning


@router.callback_query(TalkTap.filter(F.step == "new"))
async def on_new(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Begin a thread of its own: the next words are its first."""
    await people.wait_for(db, None)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    await conversations.begin(db, phase="master_assistant", category=None)
    show(work, Screen(text=WORDS("begun"), rows=[_back()]), tap=tap)


@router.callback_query(AreaTap.filter())
async def on_area(
    tap: CallbackQuery, callback_data: AreaTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Begin a thread about an area of life; where its section is written already, about that."""
    await people.wait_for(db, None)
    category = _category(callback_data.key)
    if category is None:
        raise NotFound(WORDS("gone"))
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    written = (await conversations.vision(db)).get(category.key, "").strip()
    await conversations.begin(db, phase="refinement" if written else "contrast", category=category.key)
    first = WORDS("first_refinement" if written else "first_contrast", area=category.label)
    parts: list[Any] = [Bold(f"{category.icon} {category.label}"), "\n\n"]
    if written:
        parts += [ExpandableBlockQuote(written), "\n\n"]
    show(work, Screen(text=Text(*parts, first), rows=[_back()]), tap=tap)


# ------------------------------------------------------------------------------------ with a thread


async def _theirs(db: Transaction, tapped: ThreadTap) -> Conversation:
    thread = await conversations.conversation(db, tapped.id)
    if thread is None:
        raise NotFound(WORDS("gone"))
    return thread


@router.callback_query(ThreadTap.filter(F.step == "go"))
async def on_go(
    tap: CallbackQuery, callback_data: ThreadTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Go on in this thread with the next words."""
    thread = await _theirs(db, callback_data)
    await people.wait_for(db, None)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    await conversations.open_again(db, thread.id)
    show(work, Screen(text=WORDS("opened", title=thread.title), rows=[_back()]), tap=tap)


@router.callback_query(ThreadTap.filter(F.step == "name"))
async def on_name(tap: CallbackQuery, callback_data: ThreadTap, db: Transaction, work: Work) -> None:
    """Ask for another title."""
    thread = await _theirs(db, callback_data)
    await people.wait_for(db, {"kind": "title", "thread": str(thread.id)})
    leave = button(WORDS("leave_title"), ThreadTap(step="open", id=thread.id))
    show(work, Screen(text=WORDS("ask_title", title=thread.title), rows=[[leave], _back()]), tap=tap)


@router.message(Waiting("title"), F.text, ~F.text.startswith("/"))
async def on_title(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Give the thread its new title; what cannot be one goes to whoever takes any words."""
    await people.wait_for(db, None)
    words = " ".join((message.text or "").replace("\0", "").split())
    thread = await conversations.conversation(db, uuid.UUID(waiting["thread"]))
    if thread is None or len(words) > MOST_IN_A_NAME:
        raise SkipHandler
    await care.speak_up(work, db, user, words)
    await conversations.rename(db, thread.id, words[: service.MOST_TITLE] or thread.title)
    renamed = await conversations.conversation(db, thread.id)
    assert renamed is not None
    show(work, await thread_screen(db, user, renamed))


@router.callback_query(ThreadTap.filter(F.step == "export"))
async def on_export(tap: CallbackQuery, callback_data: ThreadTap, db: Transaction, work: Work) -> None:
    """Have the thread written into a document."""
    thread = await _theirs(db, callback_data)
    work.start("conversations.export", {"thread": str(thread.id)}, lane="export")


@router.callback_query(ThreadTap.filter(F.step == "draft"))
async def on_draft(
    tap: CallbackQuery, callback_data: ThreadTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Hand what was said to the vision, which writes the section from it."""
    thread = await _theirs(db, callback_data)
    section = visions.section(thread.category)
    if section is None:
        raise NotFound(WORDS("gone"))
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    turns = await conversations.turns_of(db, thread.id, limit=200)
    cleared = await memory.forgotten_in(db, {turn.id: turn.message for turn in turns})
    words = service.imagination(
        [turn.model_copy(update={"message": cleared.get(turn.id, turn.message)}) for turn in turns]
    )
    newest = (await vision.newest(db)).get(section.key)
    waits = newest is not None and newest.imagination == words and newest.state in ("drafting", "proposed")
    if waits or not words.strip():
        to_section = button(WORDS("to_section"), VisionTap(step="open", key=section.key))
        show(work, Screen(text=WORDS("drafted_already" if waits else "nothing_to_draft"), rows=[[to_section], _back()]))
        return
    await people.wait_for(db, None)
    proposal = await vision.propose(db, section_key=section.key, imagination=words)
    key = f"vision:{work.head.id}"
    show(work, Screen(text=VISION("writing")), key=key)
    work.start("vision.draft", {"proposal": str(proposal.id), "key": key}, lane="vision")


@router.callback_query(ThreadTap.filter(F.step == "delete"))
async def on_delete(tap: CallbackQuery, callback_data: ThreadTap, db: Transaction, work: Work) -> None:
    """Ask whether the thread shall really go."""
    thread = await _theirs(db, callback_data)
    await people.wait_for(db, None)
    rows = [
        [button(WORDS("delete_yes"), ThreadTap(step="sure", id=thread.id), style="danger")],
        [button(WORDS("delete_no"), ThreadTap(step="open", id=thread.id))],
    ]
    show(work, Screen(text=WORDS("delete_ask", title=thread.title), rows=rows), tap=tap)


@router.callback_query(ThreadTap.filter(F.step == "sure"))
async def on_sure(tap: CallbackQuery, callback_data: ThreadTap, user: Account, db: Transaction, work: Work) -> None:
    """Remove the thread with what was said in it; where it was open, the next words begin another.

    An answer that is being written for it stops, and is not kept.
    """
    thread = await _theirs(db, callback_data)
    await people.wait_for(db, None)
    current = chat.conversation_id(
        await conversations.newest(db), now=datetime.now(UTC), opened=await conversations.opened(db)
    )
    asked = await conversations.delete(db, thread.id)
    if current == thread.id:
        await conversations.begin(db, phase="master_assistant", category=None)
    screen = await list_screen(db, user)
    show(work, Screen(text=Text(WORDS("deleted"), "\n\n", screen.text), rows=screen.rows), tap=tap)
    await db.become_service()
    await store.request_cancel(db, work.chat_id, names=["chat.answer"], messages=asked)


@router.callback_query(ThreadTap.filter())
async def on_thread(tap: CallbackQuery, callback_data: ThreadTap, user: Account, db: Transaction, work: Work) -> None:
    """Open a thread."""
    await people.wait_for(db, None)
    show(work, await thread_screen(db, user, await _theirs(db, callback_data)), tap=tap)


# -------------------------------------------------------------------------------------------- jobs


async def export(job: Job, doors: Doors) -> None:
    """Write the thread as Markdown and send it as a document."""
    async with job.transaction() as db:
        account = await people.account(db)
        thread = await conversations.conversation(db, uuid.UUID(job.payload["thread"]))
        turns = await conversations.turns_of(db, thread.id, limit=MOST_EXPORTED) if thread is not None else []
    if account is None or thread is None:
        async with job.finish():
            return
    text = service.document(thread, turns, person=account.first_name or WORDS("you"), zone=account.zone)
    key = key_for(job.user_id, "exports", f"{thread.id}.md")

    async def store() -> str:
        await doors.media.put(key, text.encode())
        return key

    stored: str = await job.step("stored", store)
    async with job.finish():
        document = {"media": stored, "name": WORDS("file_name", day=f"{thread.created_at:%Y-%m-%d}")}
        job.send("sendDocument", {"document": document, "caption": WORDS("exported")})


async def export_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that there is no document yet, with a way to try again."""
    again = button(HOUSE("try_again"), ThreadTap(step="export", id=uuid.UUID(job.payload["thread"])))
    show(job, Screen(text=WORDS("not_exported"), rows=[[again], _back()]))


JOBS = {"conversations.export": (export, export_failed)}
