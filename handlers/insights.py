"""What VIVA sees in an assessment: asked for with a price tag, read once, each insight with the answers behind it."""

from __future__ import annotations

import uuid

from aiogram import Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, Italic, Text

from bot.ai.meter import Action
from bot.config import Settings
from bot.errors import ModelError, NotFound
from bot.services import insights as rules
from bot.services import shorter
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import assessment, assessment_history, assessment_result, balance, home, price_tag, start, trouble
from handlers.assessment_result import InsightsTap
from handlers.screen import Screen, button, replace, show
from prompts import insights as prompts
from prompts import replies
from prompts.categories import CATEGORIES, category
from prompts.insights import Answer, Area, Insights
from storage import assessment as assessments
from storage import insights as store
from storage import people
from storage.database import Transaction
from storage.insights import Insight
from storage.people import Account

WORDS = replies.of("insights")
HOUSE = replies.of("house")
NUMBERS_IN_A_ROW = 6
SURE, FAIRLY = 0.75, 0.5
"""From which confidence on an insight is called sure, and fairly so."""

router = Router(name="insights")


class InsightTap(CallbackData, prefix="insight"):
    """Open an insight, or the answers behind it."""

    step: str
    id: uuid.UUID


# ------------------------------------------------------------------------------------------ screens


def _to_result(result: assessments.Result) -> list[InlineKeyboardButton]:
    tap = assessment_result.PastTap(assessment=result.id.hex)
    return [button(assessment_result.WORDS("to_result"), tap), home.back()]


def _list_screen(result: assessments.Result, found: list[Insight], user: Account, *, closing: str = "") -> Screen:
    """The insights by type, each with its number, and a button for each number."""
    parts: list[object] = [Bold(WORDS("title", date=assessment_result.date_of(result, user)))]
    for kind in prompts.TYPES:
        numbered = [(number, each) for number, each in enumerate(found, start=1) if each.insight_type == kind]
        if numbered:
            parts += ["\n\n", Bold(WORDS(kind))]
            for number, each in numbered:
                icon = category(each.category).icon
                parts += ["\n", WORDS("line", number=number, icon=icon, title=each.title)]
    parts += ["\n\n", WORDS("choose")]
    if closing:
        parts += ["\n\n", Italic(closing)]
    numbers = [button(str(number), InsightTap(step="open", id=each.id)) for number, each in enumerate(found, start=1)]
    return Screen(
        text=Text(*parts),
        rows=[
            *(numbers[place : place + NUMBERS_IN_A_ROW] for place in range(0, len(numbers), NUMBERS_IN_A_ROW)),
            _to_result(result),
        ],
    )


def _insight_screen(insight: Insight, all_of_them: list[Insight]) -> Screen:
    """One insight, how sure it is, and the way to the answers behind it."""
    confidence = float(insight.confidence_score or 0)
    sure = "sure" if confidence >= SURE else "fairly" if confidence >= FAIRLY else "faintly"
    kind = f"one_{insight.insight_type}"
    place = next(place for place, each in enumerate(all_of_them) if each.id == insight.id)
    ways = []
    for step, label in ((-1, WORDS("before")), (1, WORDS("after"))):
        if 0 <= place + step < len(all_of_them):
            ways.append(button(label, InsightTap(step="open", id=all_of_them[place + step].id)))
    behind = button(WORDS("behind"), InsightTap(step="answers", id=insight.id), style="primary")
    return Screen(
        text=Text(
            assessment_result.heading(insight.category),
            *(("\n", Italic(WORDS(kind))) if kind in WORDS.words else ()),
            "\n\n",
            Bold(insight.title),
            "\n",
            insight.description,
            "\n\n",
            Italic(WORDS(sure)),
        ),
        rows=[
            *([[behind]] if insight.supporting_responses else []),
            *([ways] if ways else []),
            [button(WORDS("all"), InsightsTap(assessment=insight.assessment_id.hex)), home.back()],
        ],
    )


def _behind_screen(insight: Insight, answers: list[assessments.Answered]) -> Screen:
    """The answers that an insight rests on, in the words they were asked and given in."""
    said = {answer.question_id: answer for answer in answers}
    parts: list[object] = [Bold(WORDS("behind_title", title=insight.title))]
    for question_id in insight.supporting_responses:
        if question_id in said:
            parts += ["\n\n", Bold(said[question_id].question_text), "\n"]
            parts.append(assessment_result.shortened(said[question_id].response_text))
    back = button(WORDS("back"), InsightTap(step="open", id=insight.id))
    everything = button(WORDS("all"), InsightsTap(assessment=insight.assessment_id.hex))
    return Screen(text=Text(*parts), rows=[[back, everything], [home.back()]])


# ------------------------------------------------------------------------------------------- asking


async def _areas(db: Transaction, result: assessments.Result) -> list[Area]:
    """The answers that counted in a result, by category, as a model is given them."""
    said = {answer.question_id: answer for answer in await assessments.answered(db, result.id)}
    scores = assessment_result.scores_of(result)
    areas = []
    for each in CATEGORIES:
        answers = [
            Answer(
                id=question.id,
                question=said[question.id].question_text,
                answer=said[question.id].response_text,
                standing=said[question.id].green_line,
            )
            for question in assessment_result.questions_of(result, each.key)
            if question.id in said
        ]
        status = scores.categories[each.key].status
        if answers and status is not None:
            felt = result.self_ratings.get(each.key)
            areas.append(Area(key=each.key, standing=status, felt=felt, answers=answers))
    return areas


@router.callback_query(InsightsTap.filter())
async def on_insights(
    tap: CallbackQuery, callback_data: InsightsTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Show the insights, or say what they take; after the yes to that, begin to read."""
    await assessment.wait_no_more(user, db)
    result = await assessment_history.named(db, callback_data.assessment)
    if result is None:
        await assessment.stale(tap, user, db, work)
        return
    state = await store.state(db, result.id)
    if state == "read":
        show(work, _list_screen(result, await store.of(db, result.id), user), tap=tap)
    elif state == "reading":
        show(work, Screen(text=WORDS("still_reading"), rows=[_to_result(result)]), tap=tap)
    elif user.consented_at is None:
        consent = start.consent_screen(settings)
        show(work, Screen(text=consent.text, rows=[*consent.rows, _to_result(result)]), tap=tap)
    elif callback_data.step == "read" and await store.begin(db, result.id):
        key = f"insights:{work.head.id}"
        if tap.message is not None:
            work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id})
        show(work, Screen(text=WORDS("reading")), key=key)
        work.start("insights.read", {"assessment": str(result.id), "key": key}, lane="insights")
    else:
        await _ask(tap, result, user, db, work, settings)


async def _ask(
    tap: CallbackQuery, result: assessments.Result, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    areas = await _areas(db, result)
    if not areas:
        show(work, Screen(text=WORDS("few"), rows=[_to_result(result)]), tap=tap)
        return
    low, high = rules.price(areas)
    tag = await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("what"),
        why=WORDS("price"),
        low=low,
        high=high,
        like=(Action.INSIGHT_GENERATION, "read"),
        go_on=InsightsTap(assessment=result.id.hex, step="read"),
        back=_to_result(result),
    )
    show(work, tag, tap=tap)


@router.callback_query(InsightTap.filter())
async def on_insight(tap: CallbackQuery, callback_data: InsightTap, db: Transaction, work: Work) -> None:
    """Open an insight, or the answers it rests on."""
    insight = await store.one(db, callback_data.id)
    if insight is None:
        raise NotFound(WORDS("gone"))
    if callback_data.step == "answers":
        show(work, _behind_screen(insight, await assessments.answered(db, insight.assessment_id)), tap=tap)
    else:
        show(work, _insight_screen(insight, await store.of(db, insight.assessment_id)), tap=tap)


# --------------------------------------------------------------------------------------------- job


async def read(job: Job, doors: Doors) -> None:
    """Read the answers in one call, and in one more where something did not hold; write what holds."""
    async with job.transaction() as db:
        user = await people.account(db)
        result = await assessments.result(db, uuid.UUID(job.payload["assessment"]))
        areas = await _areas(db, result) if result is not None else []
    if user is None or result is None:
        async with job.finish():
            return
    if user.consented_at is None:
        await _give_up(job, result, WORDS("withdrawn"))
        return
    await job.show_action("typing")
    request = prompts.messages(areas)
    first = await _call(job, doors, "read", request, areas)
    kept, findings = rules.check(first.insights, areas)
    if findings:
        given = {"role": "assistant", "content": first.model_dump_json()}
        wrong = {"role": "user", "content": prompts.again(findings)}
        try:
            second = await _call(job, doors, "read again", [*request, given, wrong], areas)
        except ModelError as error:
            if job.waits_for(error) or not kept:
                raise
        else:
            kept = rules.joined(kept, rules.check(second.insights, areas)[0])
    if not kept:
        await _give_up(job, result, WORDS("nothing_held"))
        return
    found = rules.to_keep(kept, result.id)
    async with job.finish() as db:
        screen = _list_screen(result, found, user, closing=await price_tag.receipt(db, job))
        replace(job, screen, key=job.payload["key"])
        await balance.warn_if_low(job, db)
        # Insights are the service's to write: nobody else puts words into VIVA's mouth.
        await db.become_service()
        if not await store.write(db, result.id, found):
            # It was read otherwise, or given up, meanwhile: what stands is shown.
            job.forget_what_was_prepared()
            standing = await store.of(db, result.id)
            shown = _list_screen(result, standing, user) if standing else _trouble_screen(result, WORDS("failed"))
            replace(job, shown, key=job.payload["key"])


async def _call(job: Job, doors: Doors, step: str, request: list[dict[str, str]], areas: list[Area]) -> Insights:
    most, least = rules.room(areas)
    return await shorter.asked(
        request,
        lambda messages: job.call(
            step,
            Insights,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.INSIGHT_GENERATION,
                messages=messages,
                shape=Insights,
                most_output=most,
                least_output=least,
            ),
        ),
    )


async def _give_up(job: Job, result: assessments.Result, why: str) -> None:
    async with job.finish() as db:
        await store.fail(db, result.id)
        replace(job, _trouble_screen(result, why), key=job.payload["key"])


def _trouble_screen(result: assessments.Result, why: str, *more: InlineKeyboardButton) -> Screen:
    again = button(HOUSE("try_again"), InsightsTap(assessment=result.id.hex), style="primary")
    return Screen(text=why, rows=[[again, *more], _to_result(result)])


async def read_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the answers could not be read, with a way to try again."""
    result = await assessments.result(db, uuid.UUID(job.payload["assessment"]))
    if result is None:
        return
    await store.fail(db, result.id)
    why = trouble.why(error, otherwise=WORDS("failed"))
    replace(job, _trouble_screen(result, why, *trouble.balance_button(error)), key=job.payload["key"])


JOBS = {"insights.read": (read, read_failed)}
