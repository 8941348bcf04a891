"""The result of an assessment: its picture, the whole of it in words, what moved, and what to do with it."""

from __future__ import annotations

import asyncio
import functools
import uuid
from datetime import date, datetime

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton
from aiogram.utils.formatting import Bold, Italic, Text

from bot import media
from bot.services import assessment as rules
from bot.services import pictures
from bot.services.doors import Doors
from bot.services.pictures import moves
from bot.services.work import Job, Work
from handlers import home, vision
from handlers.screen import Screen, button, show
from prompts import assessment as bank
from prompts import replies
from prompts.assessment import Question
from prompts.categories import CATEGORIES, category
from prompts.profile import Fact
from storage import assessment as store
from storage import people
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("assessment")
INSIGHTS = replies.of("insights")
BLUEPRINT = replies.of("blueprint")


class BeginTap(CallbackData, prefix="a_begin"):
    """Begin an assessment, the first or another."""


class ResultTap(CallbackData, prefix="a_result"):
    """Show the newest result."""


class PastTap(CallbackData, prefix="a_past"):
    """Open an earlier result by its id, or, without one, the list of all."""

    assessment: str


class PictureTap(CallbackData, prefix="a_picture"):
    """Send the pictures of a result by its id; `shown` is the work that showed this button, which sends them once."""

    assessment: str
    shown: int


class AreaTap(CallbackData, prefix="a_area"):
    """Look at a category of a result by its id, with every answer, or, without one, at the list of the twelve."""

    assessment: str
    category: str = ""


class InsightsTap(CallbackData, prefix="insights"):
    """Show what VIVA sees in a result by its id, or ask for it; `read` begins to read."""

    assessment: str
    step: str = "open"


class StepsTap(CallbackData, prefix="steps"):
    """Show the small steps of a category; `ask` says what finding new ones takes."""

    category: str
    step: str = "open"


SHOWN_ANSWER = 300
"""Characters of an answer in a list of answers; one's own words may be longer, and are kept whole."""


def token(assessment_id: uuid.UUID) -> str:
    """The short name of an assessment in callback data; it only has to tell apart those of one person."""
    return assessment_id.hex[:8]


def facts_of(row: store.Attempt | store.Result) -> dict[Fact, str | None]:
    """The facts on which the questions of an assessment branch."""
    return rules.facts(
        has_children=row.has_children,
        relationship_status=row.relationship_status,
        employment_type=row.employment_type,
    )


def heading(key: str) -> Text:
    """The name of a category, as it stands above its questions."""
    area = category(key)
    return Bold(f"{area.icon} {area.label}")


def scores_of(result: store.Result) -> rules.Scores:
    """The scores of a completed assessment, as they were stored."""
    return rules.as_stored(
        total=result.total_score,
        maximum=result.max_possible_score,
        category_scores=result.category_scores,
        green_line_status=result.green_line_status,
        answers=result.answers,
        not_applicable=result.not_applicable,
        facts=facts_of(result),
    )


def _day(moment: datetime, user: Account) -> date:
    """The person's own day, where their time zone is known."""
    return moment.astimezone(user.zone).date()


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def date_of(result: store.Result, user: Account) -> str:
    """The day a result was completed on, in words."""
    return _date(_day(result.completed_at, user))


def caption(result: store.Result, user: Account) -> Text:
    """What stands under the picture, saying in words what it shows."""
    scores = scores_of(result)
    day = date_of(result, user)
    opening = WORDS("caption_named", name=user.first_name, date=day) if user.first_name else WORDS("caption", date=day)
    if scores.percentage is None:
        return Text(Bold(opening), "\n", WORDS("caption_nothing"))
    numbers = WORDS("numbers").split()
    standings = [scored.status for scored in scores.categories.values()]
    counts = [
        WORDS(f"count_{status}", number=numbers[standings.count(status)])
        for status in rules.STATUSES
        if status in standings
    ]
    if apart := standings.count(None):
        counts.append(WORDS("count_apart" if apart == 1 else "count_apart_many", number=numbers[apart]))
    words = WORDS("caption_overall", percentage=scores.percentage, counts=", ".join(counts))
    return Text(Bold(opening), "\n", words)


def result_text(result: store.Result, before: store.Result | None, user: Account) -> Text:
    """The whole result in words: overall, strongest and weakest, all twelve by where they stand, and what moved."""
    scores = scores_of(result)
    parts: list[object] = [Bold(WORDS("result_title", date=date_of(result, user))), "\n"]
    if scores.percentage is None:
        return Text(*parts, WORDS("result_nothing"))
    parts.append(WORDS("result_overall", percentage=scores.percentage, score=scores.total, maximum=scores.maximum))
    strongest, weakest = rules.strongest_and_weakest(scores)
    if not strongest:
        parts += ["\n\n", WORDS("result_level")]
    for title, keys in (("result_strongest", strongest), ("result_weakest", weakest)):
        if keys:
            parts += ["\n\n", Bold(WORDS(title)), *(_result_line(key, scores) for key in keys)]
    for status in (*rules.STATUSES, None):
        keys = [key for key, scored in scores.categories.items() if scored.status == status]
        if keys:
            title = WORDS("result_group", status=capital(WORDS(status or "state_apart")))
            parts += ["\n\n", Bold(title), *(_result_line(key, scores) for key in keys)]
    parts += [*_gaps(result, scores), *_moves(scores, before, user)]
    return Text(*parts, "\n\n", Italic(WORDS("result_close")))


def _gaps(result: store.Result, scores: rules.Scores) -> list[object]:
    """What was felt beside what was measured, for the categories that the person rated; it is not part of the score."""
    lines: dict[rules.Gap, list[str]] = {}
    for key, scored in scores.categories.items():
        if key in result.self_ratings and scored.percentage is not None:
            area, rating = category(key), result.self_ratings[key]
            line = WORDS(
                "gap_line", icon=area.icon, label=area.label, rating=rating, measured=f"{scored.percentage / 10:.1f}"
            )
            lines.setdefault(rules.gap(rating, scored.percentage), []).append(f"\n{line}")
    parts: list[object] = []
    for gap in rules.GAPS:
        if gap in lines:
            parts += ["\n\n", Bold(WORDS(f"gap_{gap}")), *lines[gap]]
    return parts


def _moves(scores: rules.Scores, before: store.Result | None, user: Account) -> list[object]:
    """What moved since the result before, as a list in words; nothing for a first result."""
    if before is None:
        return []
    earlier = scores_of(before)
    parts: list[object] = ["\n\n", Bold(WORDS("moved", date=date_of(before, user)))]
    moved = rules.moves(earlier, scores)
    if not moved:
        return [*parts, "\n", WORDS("moved_nothing")]
    if scores.percentage is not None and earlier.percentage not in (None, scores.percentage):
        parts.append("\n" + _move(WORDS("moved_overall"), earlier.percentage or 0, scores.percentage))
    for key, (old, new) in moved.items():
        area = category(key)
        parts.append("\n" + _move(f"{area.icon} {area.label}", old, new))
    return parts


def _move(name: str, old: int, new: int) -> str:
    return WORDS("moved_up" if new > old else "moved_down", name=name, before=old, now=new)


def _result_line(key: str, scores: rules.Scores) -> str:
    area, scored = category(key), scores.categories[key]
    if scored.status is None:
        return "\n" + WORDS("result_line_apart", icon=area.icon, label=area.label)
    return "\n" + WORDS("result_line", icon=area.icon, label=area.label, percentage=scored.percentage)


def capital(words: str) -> str:
    """The words as they begin a line."""
    return words[0].upper() + words[1:]


def result_rows(result: store.Result, *, earlier: bool, newest: bool = True) -> list[list[InlineKeyboardButton]]:
    """What can be done with a result; `earlier` is whether there is one before it."""
    scores = scores_of(result)
    _, weakest = rules.strongest_and_weakest(scores)
    if weakest:
        area = category(weakest[0])
        draft = button(WORDS("draft_vision", area=area.short), vision.VisionTap(step="open", key=area.key))
    else:
        draft = button(WORDS("draft_any_vision"), home.OpenTap(feature="vision"))
    return [
        *(
            [
                [button(INSIGHTS("open"), InsightsTap(assessment=result.id.hex))],
                [button(WORDS("areas"), AreaTap(assessment=result.id.hex))],
            ]
            if scores.maximum
            else []
        ),
        *([[draft], [button(WORDS("take_again"), BeginTap())]] if newest else []),
        *([[button(WORDS("past"), PastTap(assessment=""))]] if earlier or not newest else []),
        [home.back()],
    ]


def result_screen(
    result: store.Result,
    before: store.Result | None,
    user: Account,
    work: Work,
    *,
    newest: bool = True,
    opening: str | None = None,
) -> Screen:
    """A result opened again, with a way to see its pictures and, where there are any, the other ones."""
    picture = PictureTap(assessment=result.id.hex, shown=work.head.id)
    text = result_text(result, before, user)
    return Screen(
        text=Text(opening, "\n\n", text) if opening else text,
        rows=[
            [button(WORDS("show_picture"), picture)],
            *result_rows(result, earlier=before is not None, newest=newest),
        ],
    )


def areas_screen(result: store.Result, user: Account) -> Screen:
    """The twelve areas of a result as a list in words, with a way into each."""
    scores = scores_of(result)
    lines = [_result_line(key, scores) for key in scores.categories]
    ways = [
        button(f"{area.icon} {area.short}", AreaTap(assessment=result.id.hex, category=area.key)) for area in CATEGORIES
    ]
    return Screen(
        text=Text(
            Bold(WORDS("areas_title", date=date_of(result, user))),
            "\n\n",
            WORDS("areas_text"),
            "\n",
            *lines,
        ),
        rows=[*(ways[start : start + 2] for start in range(0, len(ways), 2)), _to_result(result)],
    )


def _to_result(result: store.Result) -> list[InlineKeyboardButton]:
    return [button(WORDS("to_result"), PastTap(assessment=result.id.hex)), home.back()]


def area_screen(
    result: store.Result,
    before: store.Result | None,
    answers: list[store.Answered],
    key: str,
    user: Account,
    *,
    newest: bool,
) -> Screen:
    """One category of a result: where it stands, felt and measured, what moved, and every answer that counted.

    In the newest result, one that is not above the green line leads to small steps.
    """
    scores = scores_of(result)
    scored = scores.categories[key]
    parts: list[object] = [heading(key), "\n"]
    if scored.status is None:
        parts.append(WORDS("area_apart"))
    else:
        status = capital(WORDS(scored.status))
        percentage = scored.percentage or 0
        parts.append(
            WORDS("area_score", status=status, percentage=percentage, score=scored.score, maximum=scored.maximum)
        )
        if key in result.self_ratings:
            rating = result.self_ratings[key]
            parts += ["\n", WORDS(f"felt_{rules.gap(rating, percentage)}", rating=rating)]
        if before is not None and key in (moved := rules.moves(scores_of(before), scores)):
            old, new = moved[key]
            day = date_of(before, user)
            parts += ["\n", WORDS("area_up" if new > old else "area_down", before=old, now=new, date=day)]
    said = {answer.question_id: answer for answer in answers}
    for question in questions_of(result, key):
        asked = said[question.id].question_text if question.id in said else question.text
        answer = said[question.id].response_text if question.id in said else WORDS("area_not_applicable")
        parts += ["\n\n", Bold(asked), "\n", shortened(answer)]
    keys = [area.key for area in CATEGORIES]
    place = keys.index(key)
    ways = []
    for step, label in ((-1, "area_before"), (1, "area_after")):
        if 0 <= place + step < len(keys):
            other = category(keys[place + step])
            tap = AreaTap(assessment=result.id.hex, category=other.key)
            ways.append(button(WORDS(label, area=f"{other.icon} {other.short}"), tap))
    area = category(key)
    steps = newest and scored.status in ("transition", "below")
    return Screen(
        text=Text(*parts),
        rows=[
            *([[button(BLUEPRINT("open"), StepsTap(category=key))]] if steps else []),
            [button(WORDS("draft_vision", area=area.short), vision.VisionTap(step="open", key=key))],
            ways,
            [button(WORDS("areas"), AreaTap(assessment=result.id.hex))],
            _to_result(result),
        ],
    )


def shortened(answer: str) -> str:
    """An answer as it stands in a list of answers."""
    return answer if len(answer) <= SHOWN_ANSWER else answer[:SHOWN_ANSWER].rstrip() + "…"


def questions_of(result: store.Result, key: str) -> list[Question]:
    """The questions of a category that counted in a result, in their order and in words that fit the person."""
    facts = facts_of(result)
    try:
        _, variant = bank.branch_of(key, facts)
    except bank.BranchUnknown:
        variant = None
    counted = rules.counted(
        category_scores=result.category_scores,
        green_line_status=result.green_line_status,
        answers=result.answers,
        not_applicable=result.not_applicable,
        facts=facts,
    )
    return [bank.question(question_id).worded_for(variant) for question_id in counted[key]]


def past_screen(past: list[store.Past], user: Account) -> Screen:
    """The dates of the completed assessments, newest first, each leading to its result."""
    rows = []
    for each in past:
        day, percentage = (
            _date(_day(each.completed_at, user)),
            rules.percentage(each.total_score, each.max_possible_score),
        )
        label = day if percentage is None else WORDS("past_line", date=day, percentage=percentage)
        rows.append([button(label, PastTap(assessment=each.id.hex))])
    return Screen(
        text=Text(Bold(WORDS("past")), "\n\n", WORDS("past_text")),
        rows=[*rows, [button(WORDS("back"), home.OpenTap(feature="assessment")), home.back()]],
    )


def start_picture(work: Work, result_id: uuid.UUID, *, key: str) -> None:
    """Have the picture of a result drawn and sent; once under one `key`."""
    work.start("assessment.picture", {"assessment": str(result_id)}, lane="assessment", key=key)


# The job


async def picture(job: Job, doors: Doors) -> None:
    """Draw the result, keep the picture, and send it with the result in words."""
    async with job.transaction() as db:
        result = await _named_result(job, db)
        before = await store.before(db, result) if result is not None else None
        user = await people.account(db)
    if result is None or user is None:
        async with job.finish():
            return
    shown = await job.step("pictures", functools.partial(_draw, job, doors, result, before, user))
    async with job.finish():
        show(job, Screen(text=caption(result, user), picture=shown["wheel"]))
        show(job, Screen(text=result_text(result, before, user)))
        if before is not None:
            day = date_of(before, user)
            show(job, Screen(text=WORDS("moved_picture", date=day), picture=shown["moves"]))
        _show_next(job, result, before)


async def _draw(
    job: Job, doors: Doors, result: store.Result, before: store.Result | None, user: Account
) -> dict[str, str]:
    """The names under which the pictures of a result are stored: the wheel, and what moved since the result before."""
    drawn = {"wheel": await asyncio.to_thread(_wheel, result, user)}
    if before is not None:
        drawn["moves"] = await asyncio.to_thread(_moves_picture, result, before, user)
    stored = {}
    for name, picture in drawn.items():
        ending = "" if name == "wheel" else f"-{name}"
        stored[name] = media.key_for(job.user_id, "assessments", f"{result.id}{ending}.png")
        await doors.media.put(stored[name], picture)
    return stored


async def picture_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Send the result in words alone."""
    result = await _named_result(job, db)
    user = await people.account(db)
    if result is not None and user is not None:
        before = await store.before(db, result)
        show(job, Screen(text=WORDS("result_without_picture")))
        show(job, Screen(text=result_text(result, before, user)))
        _show_next(job, result, before)


JOBS = {"assessment.picture": (picture, picture_failed)}


async def _named_result(job: Job, db: Transaction) -> store.Result | None:
    return await store.result(db, uuid.UUID(job.payload["assessment"]))


def _show_next(work: Work, result: store.Result, before: store.Result | None) -> None:
    # The buttons are a message of their own: what they lead to takes its place, and the result stays in the chat.
    show(work, Screen(text=WORDS("result_next"), rows=result_rows(result, earlier=before is not None)))


def _wheel(result: store.Result, user: Account) -> bytes:
    scores = scores_of(result)
    return pictures.assessment_wheel(
        first_name=user.first_name or "",
        percentage=scores.percentage,
        finished_on=_day(result.completed_at, user),
        categories=[
            pictures.CategoryStanding(
                key=area.key,
                label=area.label,
                ratio=scores.categories[area.key].ratio,
                status=scores.categories[area.key].status,
            )
            for area in CATEGORIES
        ],
    )


def _moves_picture(result: store.Result, before: store.Result, user: Account) -> bytes:
    earlier, now = scores_of(before), scores_of(result)
    return moves.draw(
        earlier=_day(before.completed_at, user),
        later=_day(result.completed_at, user),
        areas=[
            moves.Move(
                key=area.key,
                label=area.label,
                before=earlier.categories[area.key].percentage,
                now=now.categories[area.key].percentage,
                status=now.categories[area.key].status,
            )
            for area in CATEGORIES
        ],
    )
