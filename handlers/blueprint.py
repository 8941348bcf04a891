"""Three small steps between today and the vision: found when asked for, reminded of, done, or let go."""

from __future__ import annotations

import uuid

from aiogram import Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.ai.meter import Action
from bot.config import Settings
from bot.errors import NotFound
from bot.services import blueprint as rules
from bot.services import shorter
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import assessment, assessment_result, balance, home, price_tag, start, trouble, vision
from handlers.assessment_result import StepsTap
from handlers.screen import Screen, button, replace, show
from prompts import blueprint as prompts
from prompts import replies
from prompts.blueprint import Blueprint, Material
from prompts.categories import CATEGORIES, category
from storage import assessment as assessments
from storage import blueprint as store
from storage import conversations, people, profile
from storage.blueprint import Step
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("blueprint")
HOUSE = replies.of("house")

router = Router(name="blueprint")


class StepTap(CallbackData, prefix="step"):
    """Open a small step, or say what became of it: done, dropped, open again."""

    to: str
    id: uuid.UUID


class FindTap(CallbackData, prefix="find_steps"):
    """Find steps for a category; `begun` says how often that was begun before, so that a price tag is paid once."""

    category: str
    begun: int


class RemindTap(CallbackData, prefix="remind"):
    """The reminder of a step: set, day, hour, once, on, off; `value` is the day, the hour, or whether once."""

    step: str
    id: uuid.UUID
    value: int = 0


# ------------------------------------------------------------------------------------------ screens


def _steps_screen(key: str, steps: list[Step], *, closing: str = "") -> Screen:
    """The steps of a category: those that are open with a number each, then what was done."""
    parts: list[object] = [assessment_result.heading(key), "\n", Bold(WORDS("what"))]
    standing = [step for step in steps if step.state == "open"]
    for number, step in enumerate(standing, start=1):
        line = WORDS("line_reminded" if step.reminded else "line", number=number, title=step.title)
        parts += ["\n\n", Bold(line), "\n", step.description]
    numbers = [button(str(number), StepTap(to="see", id=step.id)) for number, step in enumerate(standing, start=1)]
    if done := [step for step in steps if step.state == "done"]:
        parts += ["\n\n", Bold(WORDS("done_already")), *("\n" + WORDS("line_done", title=step.title) for step in done)]
    if standing:
        parts += ["\n\n", WORDS("choose")]
    if closing:
        parts += ["\n\n", Italic(closing)]
    return Screen(
        text=Text(*parts),
        rows=[
            *([numbers] if numbers else []),
            [button(WORDS("others"), StepsTap(category=key, step="ask"))],
            _ways(key),
        ],
    )


def _ways(key: str) -> list[InlineKeyboardButton]:
    return [button(WORDS("to_vision"), vision.VisionTap(step="open", key=key)), home.back()]


def _step_screen(step: Step, *, closing: str = "") -> Screen:
    """A step with what can be done with it."""
    parts: list[object] = [assessment_result.heading(step.category), "\n\n", Bold(step.title), "\n", step.description]
    if closing:
        parts += ["\n\n", Italic(closing)]
    if step.state == "open":
        remind = WORDS("remind_change" if step.reminded else "remind")
        rows = [
            [button(remind, RemindTap(step="set", id=step.id))],
            [
                button(WORDS("done"), StepTap(to="done", id=step.id), style="success"),
                button(WORDS("drop"), StepTap(to="dropped", id=step.id)),
            ],
        ]
    else:
        rows = [[button(WORDS("undo"), StepTap(to="open", id=step.id))]]
    back = [button(WORDS("to_steps"), StepsTap(category=step.category)), home.back()]
    return Screen(text=Text(*parts), rows=[*rows, back])


# ------------------------------------------------------------------------------------------- asking


async def _material(db: Transaction, result: assessments.Result, key: str) -> Material:
    said = {answer.question_id: answer for answer in await assessments.answered(db, result.id)}
    counted = [question.id for question in assessment_result.questions_of(result, key) if question.id in said]
    return Material(
        category=category(key).label,
        answers=[(said[each].question_text, said[each].response_text, said[each].green_line) for each in counted],
        vision=(await conversations.vision(db)).get(key, ""),
        person=rules.person(await profile.active(db)),
        earlier=[step.title for step in await store.steps(db, key)],
    )


@router.callback_query(StepsTap.filter())
async def on_steps(
    tap: CallbackQuery, callback_data: StepsTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Show the steps of a category, or say what they take."""
    await _answer(tap, callback_data.category, user, db, work, settings, show_them=callback_data.step == "open")


@router.callback_query(FindTap.filter())
async def on_find(
    tap: CallbackQuery, callback_data: FindTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Begin to look for steps; where that was done since the price tag, show what came of it."""
    await _answer(tap, callback_data.category, user, db, work, settings, show_them=True, yes_to=callback_data.begun)


async def _answer(
    tap: CallbackQuery,
    key: str,
    user: Account,
    db: Transaction,
    work: Work,
    settings: Settings,
    *,
    show_them: bool,
    yes_to: int | None = None,
) -> None:
    await assessment.wait_no_more(user, db)
    if key not in {area.key for area in CATEGORIES}:
        await assessment.stale(tap, user, db, work)
        return
    if await store.is_being_written(db, key):
        show(work, Screen(text=WORDS("still_writing"), rows=[_ways(key)]), tap=tap)
        return
    find = yes_to is not None and yes_to == await store.begun(db, key)
    steps = await store.steps(db, key)
    if steps and show_them and not find:
        show(work, _steps_screen(key, steps), tap=tap)
        return
    result = await assessments.result(db)
    if result is None:
        rows = [[button(WORDS("assessment"), home.OpenTap(feature="assessment"))], _ways(key)]
        show(work, Screen(text=WORDS("no_result"), rows=rows), tap=tap)
    elif result.green_line_status.get(key) not in ("transition", "below"):
        show(work, Screen(text=WORDS("above"), rows=[_ways(key)]), tap=tap)
    elif user.consented_at is None:
        consent = start.consent_screen(settings)
        show(work, Screen(text=consent.text, rows=[*consent.rows, _ways(key)]), tap=tap)
    elif find:
        await _begin(tap, key, db, work)
    else:
        await _ask(tap, await _material(db, result, key), key, user, db, work, settings)


async def _ask(
    tap: CallbackQuery, material: Material, key: str, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    low, high = rules.price(material)
    tag = await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("what"),
        why=WORDS("price_again" if material.earlier else "price"),
        low=low,
        high=high,
        go_on=FindTap(category=key, begun=await store.begun(db, key)),
        back=_ways(key),
    )
    show(work, Screen(text=Text(assessment_result.heading(key), "\n", tag.text), rows=tag.rows), tap=tap)


async def _begin(tap: CallbackQuery, key: str, db: Transaction, work: Work) -> None:
    blueprint_id = await store.begin(db, key)
    if blueprint_id is None:
        return
    name = f"blueprint:{work.head.id}"
    if isinstance(tap.message, Message):
        work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id})
    show(work, Screen(text=WORDS("writing")), key=name)
    work.start("blueprint.write", {"blueprint": str(blueprint_id), "key": name}, lane="blueprint")


@router.callback_query(StepTap.filter())
async def on_step(tap: CallbackQuery, callback_data: StepTap, db: Transaction, work: Work) -> None:
    """Open a step, or note that it is done, let go, or open again."""
    step = await store.step(db, callback_data.id)
    if step is None:
        raise NotFound(WORDS("gone"))
    closing = ""
    for state in store.STEP_STATES:
        if callback_data.to == state:
            await store.move(db, step.id, state)
            closing = WORDS(f"now_{state}")
    step = await store.step(db, callback_data.id)
    assert step is not None
    show(work, _step_screen(step, closing=closing), tap=tap)


# --------------------------------------------------------------------------------------------- job


async def write(job: Job, doors: Doors) -> None:
    """Find three steps in one call, and in one more where something is wrong with them."""
    blueprint_id = uuid.UUID(job.payload["blueprint"])
    async with job.transaction() as db:
        user = await people.account(db)
        begun = await store.blueprint(db, blueprint_id)
        result = await assessments.result(db)
        awaited = user is not None and begun is not None and begun.state == "writing" and result is not None
        material = await _material(db, result, begun.category) if awaited and begun and result else None
    if user is None or begun is None or material is None:
        async with job.finish() as db:
            if begun is not None:
                await _show_standing(job, db, begun.category)
            return
    if user.consented_at is None:
        await _give_up(job, begun, WORDS("withdrawn"))
        return
    await job.show_action("typing")
    request = prompts.messages(material)
    found = await _call(job, doors, "write", request)
    if findings := rules.check(found.steps, material.earlier):
        given = {"role": "assistant", "content": found.model_dump_json()}
        wrong = {"role": "user", "content": prompts.again(findings)}
        found = await _call(job, doors, "write again", [*request, given, wrong])
        if rules.check(found.steps, material.earlier):
            await _give_up(job, begun, WORDS("nothing_held"))
            return
    async with job.finish() as db:
        if await store.write(db, begun.id, rules.to_keep(found.steps)):
            steps = await store.steps(db, begun.category)
            screen = _steps_screen(begun.category, steps, closing=await price_tag.receipt(db, job))
            replace(job, screen, key=job.payload["key"])
            await balance.warn_if_low(job, db)
        else:
            await _show_standing(job, db, begun.category)


async def _show_standing(job: Job, db: Transaction, key: str) -> None:
    """Show the steps that there are where none are awaited any more, in the place of what says so."""
    steps = await store.steps(db, key)
    screen = _steps_screen(key, steps) if steps else _trouble_screen(key, WORDS("failed"))
    replace(job, screen, key=job.payload["key"])


async def _call(job: Job, doors: Doors, step: str, request: list[dict[str, str]]) -> Blueprint:
    return await shorter.asked(
        request,
        lambda messages: job.call(
            step,
            Blueprint,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.BLUEPRINT_GENERATION,
                messages=messages,
                shape=Blueprint,
                most_output=rules.MOST_OUTPUT,
                least_output=rules.LEAST_OUTPUT,
            ),
        ),
    )


async def _give_up(job: Job, begun: store.Blueprint, why: str) -> None:
    async with job.finish() as db:
        await store.fail(db, begun.id)
        replace(job, _trouble_screen(begun.category, why), key=job.payload["key"])


def _trouble_screen(key: str, why: str, *more: InlineKeyboardButton) -> Screen:
    again = button(HOUSE("try_again"), StepsTap(category=key, step="ask"), style="primary")
    return Screen(text=Text(assessment_result.heading(key), "\n\n", why), rows=[[again, *more], _ways(key)])


async def write_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why no steps were found, with a way to try again."""
    begun = await store.blueprint(db, uuid.UUID(job.payload["blueprint"]))
    if begun is None:
        return
    await store.fail(db, begun.id)
    why = trouble.why(error, otherwise=WORDS("failed"))
    replace(job, _trouble_screen(begun.category, why, *trouble.balance_button(error)), key=job.payload["key"])


JOBS = {"blueprint.write": (write, write_failed)}
