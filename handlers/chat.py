"""Talking with VIVA: any words that nobody else waits for are kept at once and answered in order."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.ai import tokens
from bot.ai.meter import Action
from bot.ai.model import Reply
from bot.config import Settings
from bot.errors import ContextTooLong, NotFound, NotNow
from bot.services import chat, recall
from bot.services import conversations as threads
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, care, conversations, home, memory_reading, start, trouble
from handlers.screen import Rows, Screen, button, show
from prompts import chat as prompts
from prompts import replies
from prompts.categories import CATEGORIES
from storage import assessment, people, profile
from storage import conversations as store
from storage import memory as memories
from storage.conversations import Conversation, Turn
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("chat")
HOUSE = replies.of("house")

MOST_OUTPUT = 700
"""Tokens of an answer at most: 150 words in any language, with room to spare."""

LEAST_OUTPUT = 120
"""Tokens below which an answer would not be worth beginning."""

LEAST_CONTEXT = 1_000
"""Tokens of context below which an answer would know nothing of the person."""

STEP = "answer"

STYLES: dict[chat.Style, type[Text]] = {"plain": Text, "bold": Bold, "italic": Italic}

router = Router(name="chat")
router.include_router(care.router)


class AnswerTap(CallbackData, prefix="chat"):
    """Answer a message that is kept; `attempt` makes one tap start one answer, and is another on each button."""

    message: uuid.UUID
    attempt: int


# ------------------------------------------------------------------------------------- listening


@router.message(F.text, ~F.text.startswith("/"))
async def on_words(message: Message, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Keep the words; look after the person first where they speak of danger; then let VIVA answer."""
    asked = await _keep(message, db)
    go_on = AnswerTap(message=asked.id, attempt=0)
    sign = await care.speak_up(work, db, user, asked.message, go_on=go_on, go_on_label=WORDS("talk_anyway"))
    if sign is not None:
        await store.mark(db, asked.id, {"care": {"danger": sign.danger, "level": sign.level}})
        if sign.level == "immediate":
            return
    if user.consented_at is None:
        show(work, Screen(text=WORDS("kept"), rows=[[_answer_it(asked.id, attempt=0)]]))
        show(work, start.consent_screen(settings))
        return
    _start(work, asked.id, attempt=0)


async def _keep(message: Message, db: Transaction) -> Turn:
    """The words as they are now kept, in the conversation they belong to."""
    text = message.text or ""
    opened = await store.opened(db)
    thread = chat.conversation_id(await store.newest(db), now=datetime.now(UTC), opened=opened)
    talk = await store.note_turn(db, thread, title=threads.title(text))
    context = chat.context(conversation=talk.id, phase=talk.phase, category_key=talk.category)
    context["telegram_message_id"] = message.message_id
    replying_to = _replied_to(message)
    if replying_to is not None:
        context["replying_to"] = replying_to
    context["tokens"] = tokens.count(chat.words(text, replying_to))
    kept = await store.add(db, role="user", message=text, context=context)
    if talk.category is not None:
        said = await store.said_in_phase(db, talk.id, talk.phase)
        if (following := threads.moves_to(talk, said=said)) is not None:
            await store.move(db, talk.id, to=following)
    return kept


def _replied_to(message: Message) -> dict[str, str] | None:
    """The older message that this one replies to, or the part of it that the person marked."""
    replied = message.reply_to_message
    text = (message.quote.text if message.quote else None) or (replied and (replied.text or replied.caption))
    if not text:
        return None
    by_viva = replied is not None and replied.from_user is not None and replied.from_user.is_bot
    return {"from": "viva" if by_viva else "person", "text": chat.quote(text)}


@router.callback_query(AnswerTap.filter())
async def on_answer(
    tap: CallbackQuery, callback_data: AnswerTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Let VIVA answer a message that is kept, once."""
    asked = await store.turn(db, callback_data.message)
    if asked is None or asked.role != "user":
        raise NotFound(WORDS("gone"))
    if await store.is_answered(db, asked):
        raise NotNow(WORDS("answered"))
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    if tap.message is not None:
        work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id})
    _start(work, asked.id, attempt=callback_data.attempt)


@router.edited_message(F.text)
async def on_edited(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Take new words for a message that is not answered yet; say kindly what becomes of any other change."""
    asked = await store.turn_of_message(db, message.message_id)
    text = message.text or ""
    if asked is None:
        show(work, Screen(text=HOUSE("edited"), rows=[[home.back()]]))
    elif await store.is_answered(db, asked):
        show(work, Screen(text=WORDS("edited_late"), rows=[[home.back()]]))
    else:
        size = tokens.count(chat.words(text, asked.context.get("replying_to")))
        await store.reword(db, asked.id, message=text, more={"tokens": size})
        await care.speak_up(
            work,
            db,
            user,
            text,
            go_on=AnswerTap(message=asked.id, attempt=work.head.id),
            go_on_label=WORDS("talk_anyway"),
        )
        show(work, Screen(text=WORDS("edited_taken")))


def _start(work: Work, message_id: uuid.UUID, *, attempt: int) -> None:
    payload = {"message": str(message_id), "attempt": attempt}
    work.start("chat.answer", payload, lane="talk", key=f"{message_id}:{attempt}")


def _answer_it(message_id: uuid.UUID, *, attempt: int) -> InlineKeyboardButton:
    return button(WORDS("answer_it"), AnswerTap(message=message_id, attempt=attempt))


# ------------------------------------------------------------------------------------- answering


async def answer(job: Job, doors: Doors) -> None:
    """Answer one kept message: streamed as it is written, kept with the commit that sends it."""
    async with job.transaction() as db:
        account = await people.account(db)
        asked = await store.turn(db, uuid.UUID(job.payload["message"]))
        if account is not None and asked is not None and not await store.is_answered(db, asked):
            known = await _known(db, account)
            talk = await _talk_of(db, asked)
            earlier = await store.before(
                db,
                asked,
                limit=doors.context_tokens // chat.USUAL_TURN,
                conversation=talk.id if talk is not None and talk.opened_at is not None else None,
            )
            earlier = await _without_forgotten(db, earlier)
        else:
            asked = None
    if asked is None or account is None:
        async with job.finish():
            return
    if not job.done(STEP):
        if job.stopped or account.consented_at is None:
            async with job.finish():
                _not_begun(job, WORDS("stopped_early" if job.stopped else "withdrawn"))
            return
        await job.show_draft("")  # Telegram shows that VIVA is thinking, with a Stop button, before the first word
    vector = await memory_reading.vector_of(job, doors, asked.message)
    budget = doors.context_tokens
    async with job.transaction() as db:
        now = datetime.now(account.zone)
        standing = await recall.standing(db, zone=now.tzinfo, guide=_guide(asked))
    shown = chat.shown(known, earlier=earlier, asked=asked, budget=budget, remembered=standing.remembered)
    async with job.transaction() as db:
        recollection = await recall.recollect(
            db,
            asked=asked,
            known=standing,
            shown=shown,
            now=now,
            vector=vector,
            vectors_of=doors.model.models.embedding or "",
        )
    remembered = recollection.remembered
    while True:
        try:
            messages = chat.pack(known, earlier=earlier, asked=asked, budget=budget, remembered=remembered, shown=shown)
            reply = await _ask(job, doors, messages)
            break
        except ContextTooLong:
            # The model can read less than the settings say; what is nearest stays.
            budget //= 2
            if budget < LEAST_CONTEXT:
                raise
    async with job.finish() as db:
        if not await store.still_stands(db, asked, thread=talk.id if talk is not None else None):
            return  # the person has deleted this talk
        usage = await store.usage_of(db, work_id=job.head.id, step=STEP)
        context = _context_of_answer(asked, reply, usage)
        await store.add(db, role="assistant", message=reply.text, context=context)
        rows = conversations.opening_rows(recollection.worth_opening, zone=now.tzinfo)
        if talk is not None:
            rows += await conversations.draft_rows(db, talk.id)
        show(job, _reply_screen(reply, rows))
        await balance.warn_if_low(job, db)
        await memory_reading.read_if_due(job, db)


async def _ask(job: Job, doors: Doors, messages: list[dict[str, str]]) -> Reply:
    return await job.call(
        STEP,
        Reply,
        lambda ticket: doors.model.chat(
            ticket,
            action=Action.CHAT_CONVERSATION,
            messages=messages,
            most_output=MOST_OUTPUT,
            least_output=LEAST_OUTPUT,
            on_text=lambda text: _show_so_far(job, text),
            stop=job.stop,
        ),
    )


async def _known(db: Transaction, account: Account) -> chat.Known:
    return chat.Known(
        profile=await profile.active(db),
        language_code=account.language_code,
        result=await assessment.result(db),
        vision=await store.vision(db),
    )


async def _talk_of(db: Transaction, asked: Turn) -> Conversation | None:
    """The thread that a turn belongs to; None for a turn of another program."""
    try:
        return await store.conversation(db, uuid.UUID(str(asked.context["conversation_id"])))
    except (KeyError, ValueError):
        return None


async def _without_forgotten(db: Transaction, turns: list[Turn]) -> list[Turn]:
    """The turns without the words that VIVA was asked to forget."""
    cleared = await memories.forgotten_in(db, {turn.id: turn.message for turn in turns})
    return [
        turn.model_copy(update={"message": cleared[turn.id], "context": turn.context | {"tokens": None}})
        if turn.id in cleared
        else turn
        for turn in turns
    ]


def _guide(asked: Turn) -> str:
    """Where the talk about an area of life stands, for the model; "" in a talk about anything."""
    area = next((each.label for each in CATEGORIES if each.key == asked.context.get("category")), "")
    return prompts.guide(str(asked.context.get("visionBuildPhase")), area)


async def _show_so_far(job: Job, text: str) -> None:
    if shown := chat.plain(text).strip():
        await job.show_draft(shown)


def _context_of_answer(asked: Turn, reply: Reply, usage: uuid.UUID | None) -> dict[str, Any]:
    kept = ("visionBuildPhase", "category", "isInitialGreeting", "conversation_id")
    context = {key: asked.context[key] for key in kept if key in asked.context}
    return context | {
        "answers": str(asked.id),
        "model": reply.model,
        "prompt_version": prompts.PROMPT_VERSION,
        "token_usage_id": str(usage) if usage else None,
        "ended": reply.ended,
        "stopped": reply.ended == "stopped",
        "tokens": tokens.count(reply.text),
    }


def _reply_screen(reply: Reply, rows: Rows) -> Screen:
    parts: list[Text] = [STYLES[style](part) for style, part in chat.spans(reply.text)]
    if reply.ended == "stopped":
        parts.append(Text("\n\n", Italic(WORDS("stopped_note"))))
    elif reply.ended == "cut":
        parts.append(Text("\n\n", Italic(WORDS("cut_note"))))
    return Screen(text=Text(*parts), rows=rows)


def _not_begun(job: Job, text: str) -> None:
    """Say why there is no answer, with a way to have one."""
    again = _answer_it(uuid.UUID(job.payload["message"]), attempt=_next_attempt(job))
    show(job, Screen(text=text, rows=[[again], [home.back()]]))


def _next_attempt(job: Job) -> int:
    return int(job.payload["attempt"]) + 1


async def answer_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why there is no answer; the message is kept, and a tap tries again."""
    if await store.turn(db, uuid.UUID(job.payload["message"])) is None:
        return  # the person has deleted this talk
    if job.stopped:
        _not_begun(job, WORDS("stopped_early"))
        return
    text = trouble.why(error, otherwise=WORDS("failed"))
    below = [*trouble.balance_button(error), home.back()]
    again = AnswerTap(message=uuid.UUID(job.payload["message"]), attempt=_next_attempt(job))
    show(job, Screen(text=text, rows=[[button(HOUSE("try_again"), again)], below]))


JOBS = {"chat.answer": (answer, answer_failed)}
