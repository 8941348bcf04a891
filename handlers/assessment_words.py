"""Answering a question of the assessment in one's own words: VIVA proposes the nearest option, the person decides."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.ai.meter import Action
from bot.config import Settings
from bot.errors import ModelUnavailable, NoModel, NotUnderstood, OutOfTokens, StorageFull, TooLarge
from bot.services import assessment as rules
from bot.services import recordings as sound
from bot.services import shorter
from bot.services.care import Sign
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import assessment, assessment_result, care, home, recordings, start, trouble
from handlers.screen import Screen, button, replace, show
from handlers.waiting import Waiting
from prompts import assessment as bank
from prompts import replies
from prompts.assessment import Question, scoring
from storage import assessment as assessments
from storage import assessment_words as store
from storage import people
from storage.assessment_words import Told
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("assessment")
HOUSE = replies.of("house")

MOST_OUTPUT = 300
"""Tokens of a proposal at most: a sentence in any language and the signs around it, with room to spare."""

LEAST_OUTPUT = 150
"""Tokens below which a proposal might break off."""

SHOWN_WORDS = 700
"""Characters of the person's words that stand above a proposal: it stays one message, and they know the rest."""

router = Router(name="assessment_words")


class ReadTap(CallbackData, prefix="a_read"):
    """Let VIVA read words that are kept."""

    id: uuid.UUID


class TakeTap(CallbackData, prefix="a_take"):
    """Take the option of this value for words that are kept; `mark` and `again` as in an answer by button."""

    id: uuid.UUID
    value: int
    mark: str
    again: bool


# ----------------------------------------------------------------------------------------- screens


def _opening(told: Told, question: Question) -> list[Any]:
    shown = told.words if len(told.words) <= SHOWN_WORDS else told.words[:SHOWN_WORDS].rstrip() + "…"
    opening: list[Any] = [assessment_result.heading(question.category), "\n\n", Bold(question.text)]
    return [*opening, "\n\n", ExpandableBlockQuote(shown)] if shown else opening


def _take(told: Told, question: Question, sheet: rules.Sheet, *, value: int) -> TakeTap:
    return TakeTap(id=told.id, value=value, mark=rules.mark(question), again=sheet.settled(question))


def _ways_back(attempt: assessments.Attempt, question: Question) -> list[list[InlineKeyboardButton]]:
    this = assessment_result.token(attempt.id)
    return [
        [button(WORDS("words_again"), assessment.OwnTap(attempt=this, question=question.id))],
        [button(WORDS("words_back"), assessment.QuestionTap(attempt=this, question=question.id))],
    ]


def _numbered(question: Question, value: int) -> str:
    return WORDS("option", number=bank.VALUES.index(value) + 1, text=question.option(value).text)


def _numbers(
    told: Told, question: Question, sheet: rules.Sheet, values: Sequence[int]
) -> tuple[list[str], list[InlineKeyboardButton]]:
    """The options of these values as lines, and a button for each."""
    lines = [f"\n{_numbered(question, value)}\n" for value in values]
    taps = [_take(told, question, sheet, value=value) for value in values]
    return lines, [button(str(bank.VALUES.index(tap.value) + 1), tap) for tap in taps]


def _proposal_screen(told: Told, attempt: assessments.Attempt, sheet: rules.Sheet, question: Question) -> Screen:
    """The option that VIVA found nearest, with its reason, and the other four; the person decides."""
    nearest = told.proposed_value
    assert nearest is not None
    lines, others = _numbers(told, question, sheet, [value for value in bank.VALUES if value != nearest])
    reason = ["\n", Italic(told.reason)] if told.reason else []
    return Screen(
        text=Text(
            *_opening(told, question),
            "\n\n",
            WORDS("words_nearest"),
            "\n",
            Bold(_numbered(question, nearest)),
            *reason,
            "\n\n",
            WORDS("words_others"),
            "\n",
            *lines,
        ),
        rows=[
            [button(WORDS("words_yes"), _take(told, question, sheet, value=nearest), style="success")],
            others,
            *_ways_back(attempt, question),
        ],
    )


def _trouble_screen(
    told: Told,
    attempt: assessments.Attempt,
    sheet: rules.Sheet,
    question: Question,
    why: str,
    *more: InlineKeyboardButton,
) -> Screen:
    """Why there is no proposal; the person can choose themselves, with their own words, or have it tried again."""
    parts = [*_opening(told, question), "\n\n", why]
    rows = []
    if told.words:
        lines, numbers = _numbers(told, question, sheet, bank.VALUES)
        parts += ["\n\n", WORDS("words_choose"), "\n", *lines]
        rows.append(numbers)
    again = button(HOUSE("try_again"), ReadTap(id=told.id), style="primary")
    return Screen(text=Text(*parts), rows=[*rows, [again, *more], *_ways_back(attempt, question)])


# ------------------------------------------------------------------------------------------ asking


@router.callback_query(assessment.OwnTap.filter())
async def on_own(
    tap: CallbackQuery,
    callback_data: assessment.OwnTap,
    user: Account,
    db: Transaction,
    work: Work,
    settings: Settings,
) -> None:
    """Take the person's next words as the answer to a question, where they have said yes to AI."""
    found = await assessment.attempt_of(db, callback_data.attempt)
    question = found[1].question(callback_data.question) if found else None
    if found is None or question is None:
        await assessment.stale(tap, user, db, work)
        return
    this = assessment_result.token(found[0].id)
    back = [button(WORDS("words_back"), assessment.QuestionTap(attempt=this, question=question.id))]
    if user.consented_at is None:
        consent = start.consent_screen(settings)
        show(work, Screen(text=Text(WORDS("words_consent"), "\n\n", consent.text), rows=[*consent.rows, back]), tap=tap)
        return
    await people.wait_for(db, _waiting(this, question))
    text = Text(assessment_result.heading(question.category), "\n\n", Bold(question.text), "\n\n", WORDS("words_ask"))
    show(work, Screen(text=text, rows=[back]), tap=tap)


def _waiting(attempt: str, question: Question) -> dict[str, str]:
    return {"kind": "assessment", "attempt": attempt, "question": question.id}


# ---------------------------------------------------------------------------- what the person says


async def _awaited(waiting: dict[str, Any], db: Transaction) -> tuple[assessments.Attempt, rules.Sheet, Question]:
    """The question that the words are for; the waiting is over.

    Where it is asked no more the words are passed on to whoever takes any words, so that they are kept all the same.
    """
    await people.wait_for(db, None)
    found = await assessment.attempt_of(db, str(waiting.get("attempt")))
    question = found[1].question(str(waiting.get("question"))) if found else None
    if found is None or question is None:
        raise SkipHandler
    return *found, question


@router.message(Waiting("assessment"), F.text, ~F.text.startswith("/"))
async def on_words(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person says to the question, and let VIVA read it."""
    attempt, sheet, question = await _awaited(waiting, db)
    words = (message.text or "").replace("\0", "")
    told = await store.tell(db, assessment_id=attempt.id, question_id=question.id, words=words)
    sign = await care.speak_up(work, db, user, words, go_on=ReadTap(id=told.id))
    if user.consented_at is not None and not _is_urgent(sign):
        _begin(work, told)
        return
    await store.move(db, told.id, since=["reading"], to="failed")
    if user.consented_at is None:
        show(work, _trouble_screen(told, attempt, sheet, question, WORDS("words_withdrawn")))


@router.message(Waiting("assessment"), recordings.ANY)
async def on_recording(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person says aloud, write it down, and let VIVA read it."""
    if user.consented_at is None:
        raise SkipHandler  # the yes was taken back meanwhile: the journal keeps the recording, and nobody listens
    caption = (message.caption or "").replace("\0", "")
    if recordings.too_large(message):
        await _too_large(waiting, caption, user, db, work)
        return
    attempt, _, question = await _awaited(waiting, db)
    await care.speak_up(work, db, user, caption)
    told = await store.tell(db, assessment_id=attempt.id, question_id=question.id, words=caption)
    show(work, Screen(text=WORDS("words_listening")), key=_key(work))
    payload = {
        "told": str(told.id),
        "key": _key(work),
        "file": recordings.of(message).file_id,
        "ending": recordings.ending(message),
        "type": recordings.kind(message),
    }
    work.start("assessment.hear", payload, lane="assessment")


async def _too_large(waiting: dict[str, Any], caption: str, user: Account, db: Transaction, work: Work) -> None:
    """Say that Telegram keeps the recording to itself. What was written with it is kept; else VIVA still waits."""
    if not caption:
        show(work, Screen(text=WORDS("words_too_large"), rows=[[home.back()]]))
        return
    attempt, sheet, question = await _awaited(waiting, db)
    await care.speak_up(work, db, user, caption)
    told = await store.tell(db, assessment_id=attempt.id, question_id=question.id, words=caption)
    await store.move(db, told.id, since=["reading"], to="failed")
    show(work, _trouble_screen(told, attempt, sheet, question, WORDS("words_too_large_rest")))


def _is_urgent(sign: Sign | None) -> bool:
    """Whether the help lines stand alone until the person chooses to go on."""
    return sign is not None and sign.level == "immediate"


def _key(work: Work) -> str:
    return f"words:{work.head.id}"


def _begin(work: Work, told: Told) -> None:
    """Say that VIVA reads, or listens first, and start it."""
    job, words = ("assessment.hear", "words_listening") if told.unheard else ("assessment.score", "words_reading")
    show(work, Screen(text=WORDS(words)), key=_key(work))
    work.start(job, {"told": str(told.id), "key": _key(work)}, lane="assessment")


# ---------------------------------------------------------------------------------------- deciding


async def _standing(
    db: Transaction, told_id: uuid.UUID
) -> tuple[Told, assessments.Attempt, rules.Sheet, Question] | None:
    """What was said, with the question it was said to; None when it is gone, or that question is asked no more."""
    told = await store.told(db, told_id)
    attempt = await assessments.in_progress(db) if told is not None else None
    if told is None or attempt is None or attempt.id != told.assessment_id:
        return None
    sheet = assessment.sheet_of(attempt)
    question = sheet.question(told.question_id)
    return None if question is None else (told, attempt, sheet, question)


@router.callback_query(TakeTap.filter())
async def on_take(tap: CallbackQuery, callback_data: TakeTap, user: Account, db: Transaction, work: Work) -> None:
    """Make the words the answer to their question, at the value the person says; only here do they count."""
    await assessment.wait_no_more(user, db)
    standing = await _standing(db, callback_data.id)
    if standing is None or callback_data.value not in bank.VALUES or not standing[0].words:
        await assessment.stale(tap, user, db, work)
        return
    told, attempt, sheet, question = standing
    if callback_data.mark != rules.mark(question):
        # The options have changed since they were shown: the person decides on those that stand now.
        show(work, _choice_screen(told, attempt, sheet, question), tap=tap)
        return
    option = question.option(callback_data.value)
    await assessments.answer(
        db,
        assessment_id=attempt.id,
        question_id=question.id,
        question_text=question.text,
        category=question.category,
        value=option.value,
        text=told.words,
        green_line=option.green_line,
    )
    await store.move(db, told.id, since=["reading", "proposed", "failed"], to="taken")
    sheet = sheet.with_answer(question, option.value)
    show(work, assessment.answered_screen(attempt, sheet, question, again=callback_data.again), tap=tap)


def _choice_screen(told: Told, attempt: assessments.Attempt, sheet: rules.Sheet, question: Question) -> Screen:
    if told.proposed_value is not None:
        return _proposal_screen(told, attempt, sheet, question)
    return _trouble_screen(told, attempt, sheet, question, WORDS("words_failed"))


@router.callback_query(ReadTap.filter())
async def on_read(
    tap: CallbackQuery, callback_data: ReadTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Let VIVA read the words after that could not be done, or had to wait."""
    await assessment.wait_no_more(user, db)
    standing = await _standing(db, callback_data.id)
    if standing is None:
        await assessment.stale(tap, user, db, work)
    elif user.consented_at is None:
        show(work, start.consent_screen(settings))
    elif await store.move(db, callback_data.id, since=["failed"], to="reading"):
        if isinstance(tap.message, Message):
            work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id})
        _begin(work, standing[0])
    elif standing[0].state == "proposed":
        show(work, _proposal_screen(*standing))
    elif standing[0].state == "taken":
        show(work, assessment.question_screen(*standing[1:]))


# -------------------------------------------------------------------------------------------- jobs


async def _read(
    job: Job,
) -> tuple[Account, tuple[Told, assessments.Attempt, rules.Sheet, Question] | None]:
    async with job.transaction() as db:
        account = await people.account(db)
        standing = await _standing(db, uuid.UUID(job.payload["told"]))
    assert account is not None
    return account, standing if standing is not None and standing[0].state == "reading" else None


async def _settled(job: Job) -> None:
    """Nobody waits for it any more: the person has answered otherwise, or finished."""
    async with job.finish():
        replace(job, Screen(text=WORDS("words_settled"), rows=[[home.back()]]), key=job.payload["key"])


async def hear(job: Job, doors: Doors) -> None:
    """Store the recording first; then write down its words, show them, and have them read."""
    account, standing = await _read(job)
    if standing is None:
        await _settled(job)
        return
    told, attempt, sheet, question = standing
    recording, seconds = await sound.keep(
        job, doors, folder="assessments", name=str(told.id), category=question.category, kept=told.unheard
    )
    async with job.transaction() as db:
        await store.keep_recording(db, told.id, recording)
    if account.consented_at is None:
        await _withdrawn(job, told, attempt, sheet, question)
        return
    transcript = await sound.hear(job, doors, recording, seconds=seconds)
    async with job.finish() as db:
        if not transcript.text:
            await store.move(db, told.id, since=["reading"], to="failed")
            await _wait_again(db, attempt, question)
            silent = Screen(text=WORDS("words_silent"), rows=_ways_back(attempt, question)[1:])
            replace(job, silent, key=job.payload["key"])
            return
        words = "\n\n".join(part for part in (told.words, transcript.text) if part)
        recording = recording.model_copy(update={"transcript": transcript.text})
        await store.keep_recording(db, told.id, recording, words=words)
        heard = Text(WORDS("words_heard"), "\n", ExpandableBlockQuote(transcript.text))
        replace(job, Screen(text=heard), key=job.payload["key"])
        sign = await care.speak_up(job, db, account, transcript.text, go_on=ReadTap(id=told.id))
        if _is_urgent(sign):
            await store.move(db, told.id, since=["reading"], to="failed")
            return
        _begin(job, told.model_copy(update={"recordings": [recording]}))


async def _withdrawn(
    job: Job, told: Told, attempt: assessments.Attempt, sheet: rules.Sheet, question: Question
) -> None:
    async with job.finish() as db:
        await store.move(db, told.id, since=["reading"], to="failed")
        screen = _trouble_screen(told, attempt, sheet, question, WORDS("words_withdrawn"))
        replace(job, screen, key=job.payload["key"])


async def score(job: Job, doors: Doors) -> None:
    """Find the option nearest to the words in one call, and show it for the person to decide. Nothing is scored."""
    account, standing = await _read(job)
    if standing is None:
        await _settled(job)
        return
    told, attempt, sheet, question = standing
    if account.consented_at is None:
        await _withdrawn(job, told, attempt, sheet, question)
        return
    await job.show_action("typing")
    nearest = await shorter.asked(
        scoring.messages(question, told.words),
        lambda messages: job.call(
            "score",
            scoring.Nearest,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.ASSESSMENT_SCORING,
                messages=messages,
                shape=scoring.Nearest,
                most_output=MOST_OUTPUT,
                least_output=LEAST_OUTPUT,
            ),
        ),
    )
    reason = rules.one_line(nearest.reason)
    async with job.finish() as db:
        if await store.propose(db, told.id, value=nearest.value, reason=reason):
            told = told.model_copy(update={"proposed_value": nearest.value, "reason": reason, "state": "proposed"})
            screen = _proposal_screen(told, attempt, sheet, question)
        else:
            screen = Screen(text=WORDS("words_settled"), rows=[[home.back()]])
        replace(job, screen, key=job.payload["key"])


async def _wait_again(db: Transaction, attempt: assessments.Attempt, question: Question) -> None:
    """Take the person's next words for this question, unless VIVA waits for something else by now."""
    account = await people.account(db)
    if account is not None and account.waiting_for is None:
        await people.wait_for(db, _waiting(assessment_result.token(attempt.id), question))


async def hear_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the recording could not be kept or heard; the person may also write instead."""
    standing = await _standing(db, uuid.UUID(job.payload["told"]))
    if standing is None:
        replace(job, Screen(text=WORDS("words_settled"), rows=[[home.back()]]), key=job.payload["key"])
        return
    told, attempt, _, question = standing
    await store.move(db, told.id, since=["reading"], to="failed")
    await _wait_again(db, attempt, question)
    if told.recordings:
        known = isinstance(error, OutOfTokens | NoModel | ModelUnavailable)
        why = trouble.why(error, otherwise=WORDS("words_failed")) if known else WORDS("words_not_heard")
        replace(job, _trouble_screen(*standing, why, *trouble.balance_button(error)), key=job.payload["key"])
        return
    if not told.words:
        await store.forget(db, told.id)
    why = "words_lost"
    if isinstance(error, TooLarge | NotUnderstood):
        why = "words_too_large" if isinstance(error, TooLarge) else "words_no_recording"
    said = str(error) if isinstance(error, StorageFull) else WORDS(why)
    replace(job, Screen(text=said, rows=_ways_back(attempt, question)[1:]), key=job.payload["key"])


async def score_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why there is no proposal; the person can choose themselves, or have it tried again."""
    standing = await _standing(db, uuid.UUID(job.payload["told"]))
    if standing is None:
        screen = Screen(text=WORDS("words_settled"), rows=[[home.back()]])
    else:
        await store.move(db, standing[0].id, since=["reading"], to="failed")
        why = trouble.why(error, otherwise=WORDS("words_failed"))
        screen = _trouble_screen(*standing, why, *trouble.balance_button(error))
    replace(job, screen, key=job.payload["key"])


JOBS = {"assessment.hear": (hear, hear_failed), "assessment.score": (score, score_failed)}
