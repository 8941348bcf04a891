"""The life assessment: 84 questions by button on one message, twelve chapters of seven, and the result."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot import media
from bot.services import assessment as rules
from bot.services import pictures
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home, vision
from handlers.screen import Screen, button, show
from prompts import assessment as bank
from prompts import replies
from prompts.assessment import Question
from prompts.categories import CATEGORIES, category
from prompts.profile import FACTS, Fact, fact_questions
from storage import assessment as store
from storage import people, profile
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("assessment")
AREAS_IN_A_ROW = 2

router = Router(name="assessment")


class BeginTap(CallbackData, prefix="a_begin"):
    """Begin an assessment, the first or another."""


class GoTap(CallbackData, prefix="a_go"):
    """Go somewhere in the assessment `attempt`: on (after chapter `after`), chapters, pause, facts, finish."""

    attempt: str
    to: str
    after: str = ""


class ChapterTap(CallbackData, prefix="a_chapter"):
    """Open a chapter."""

    attempt: str
    category: str


class QuestionTap(CallbackData, prefix="a_ask"):
    """Show a question."""

    attempt: str
    question: str


class AnswerTap(CallbackData, prefix="a_answer"):
    """An answer: its value, or 0 for "does not apply to me".

    `mark` tells the words that were answered. `again` says that the question was shown settled: the person is looking
    through their answers, and the next question follows. Otherwise what is open follows, so that a late tap leads on.
    """

    attempt: str
    question: str
    value: int
    mark: str
    again: bool


class OwnTap(CallbackData, prefix="a_own"):
    """Answer a question in one's own words."""

    attempt: str
    question: str


class FactTap(CallbackData, prefix="a_fact"):
    """Ask for a fact on which questions branch, or, with a value, keep it and go on to the `chapter` that waits."""

    attempt: str
    fact: str
    value: str = ""
    chapter: bool = False


class RateTap(CallbackData, prefix="a_rate"):
    """How a category feels before its questions: 1 to 10, or 0 to go on without saying."""

    attempt: str
    category: str
    rating: int


class ResultTap(CallbackData, prefix="a_result"):
    """Show the newest result."""


class PastTap(CallbackData, prefix="a_past"):
    """Open an earlier result by its id, or, without one, the list of all."""

    assessment: str


class PictureTap(CallbackData, prefix="a_picture"):
    """Send the picture of a result; `shown` is the work that showed this button, which sends it once."""

    assessment: str
    shown: int


NOT_APPLICABLE = 0
MOST_LISTED = 24
RATINGS = range(1, 11)
RATINGS_IN_A_ROW = 5


def token(assessment_id: uuid.UUID) -> str:
    """The short name of an assessment in callback data; it only has to tell apart those of one person."""
    return assessment_id.hex[:8]


def _facts(row: store.Attempt | store.Result) -> dict[Fact, str | None]:
    return rules.facts(
        has_children=row.has_children,
        relationship_status=row.relationship_status,
        employment_type=row.employment_type,
    )


def sheet_of(attempt: store.Attempt) -> rules.Sheet:
    """The sheet of an assessment in progress."""
    return rules.Sheet.of(facts=_facts(attempt), answers=attempt.answers, not_applicable=attempt.not_applicable)


# Screens


def start_screen() -> Screen:
    """What the assessment is, before it begins."""
    return Screen(
        text=Text(Bold(WORDS("start_title")), "\n\n", WORDS("start")),
        rows=[[button(WORDS("begin"), BeginTap(), style="success")], [home.back()]],
    )


def heading(key: str) -> Text:
    """The name of a category, as it stands above its questions."""
    area = category(key)
    return Bold(f"{area.icon} {area.label}")


def question_screen(attempt: store.Attempt, sheet: rules.Sheet, question: Question) -> Screen:
    """A question with its five answers as sentences; values and colours are not shown, as they would prime."""
    this = token(attempt.id)
    again = sheet.settled(question)
    given = sheet.answers.get(question.id)
    dots = " ".join(
        WORDS("dot_here" if each == question else "dot_settled" if sheet.settled(each) else "dot_open")
        for each in sheet.chapters[question.category]
    )
    parts: list[object] = [heading(question.category), "\n", dots, "\n\n"]
    if sheet.set_aside(question.category) and not sheet.begun(question.category):
        parts += [Italic(WORDS("set_aside")), "\n\n"]
    parts += [Bold(question.text), "\n"]
    numbers = []
    for number, value in enumerate(bank.VALUES, start=1):
        ticked = value == given
        option = question.option(value).text
        parts += ["\n", WORDS("option_ticked" if ticked else "option", number=number, text=option), "\n"]
        label = WORDS("ticked", label=number) if ticked else str(number)
        numbers.append(button(label, _answer(this, question, value=value, again=again)))
    apart = WORDS("not_applicable")
    if question.id in sheet.not_applicable:
        apart = WORDS("ticked", label=apart)
    before = sheet.neighbour(question, step=-1)
    back = QuestionTap(attempt=this, question=before.id) if before else GoTap(attempt=this, to="chapters")
    ways = [button(WORDS("back"), back), button(WORDS("pause"), GoTap(attempt=this, to="pause"))]
    if again:
        after = sheet.neighbour(question, step=1) or sheet.first_open(question.category)
        on = QuestionTap(attempt=this, question=after.id) if after else None
        ways.append(button(WORDS("next"), on or GoTap(attempt=this, to="on", after=question.category)))
    return Screen(
        text=Text(*parts),
        rows=[
            numbers,
            [button(WORDS("own_words"), OwnTap(attempt=this, question=question.id))],
            [button(apart, _answer(this, question, value=NOT_APPLICABLE, again=again))],
            ways,
        ],
    )


def _answer(attempt: str, question: Question, *, value: int, again: bool) -> AnswerTap:
    return AnswerTap(attempt=attempt, question=question.id, value=value, mark=rules.mark(question), again=again)


def rating_screen(attempt: store.Attempt, key: str) -> Screen:
    """How a category feels to the person before its questions; it can be skipped."""
    this = token(attempt.id)
    numbers = [button(str(rating), RateTap(attempt=this, category=key, rating=rating)) for rating in RATINGS]
    return Screen(
        text=Text(heading(key), "\n\n", Bold(WORDS("rate")), "\n\n", WORDS("rate_how")),
        rows=[
            *(numbers[start : start + RATINGS_IN_A_ROW] for start in range(0, len(numbers), RATINGS_IN_A_ROW)),
            [button(WORDS("rate_skip"), RateTap(attempt=this, category=key, rating=0))],
            [
                button(WORDS("back"), GoTap(attempt=this, to="chapters")),
                button(WORDS("pause"), GoTap(attempt=this, to="pause")),
            ],
        ],
    )


def fact_screen(attempt: store.Attempt, fact: Fact, *, chapter: str | None = None) -> Screen:
    """The question about a fact: only its values can be tapped, as unknown must never become a default."""
    this = token(attempt.id)
    asked = fact_questions()[fact]
    known = _facts(attempt)[fact]
    rows = [
        [
            button(
                WORDS("ticked", label=value.label) if value.value == known else value.label,
                FactTap(attempt=this, fact=fact, value=value.value, chapter=chapter is not None),
            )
        ]
        for value in asked.values
    ]
    back = GoTap(attempt=this, to="chapters" if chapter else "facts")
    opening = [heading(chapter), "\n\n"] if chapter else []
    return Screen(
        text=Text(*opening, Bold(asked.question), "\n\n", WORDS("fact_why")),
        rows=[*rows, [button(WORDS("back"), back), button(WORDS("pause"), GoTap(attempt=this, to="pause"))]],
    )


def facts_screen(attempt: store.Attempt, sheet: rules.Sheet) -> Screen:
    """The three facts on which questions branch, as they are known, each with a way to change it."""
    this = token(attempt.id)
    known = _facts(attempt)
    lines = []
    for fact in FACTS:
        labels = {value.value: value.label for value in fact_questions()[fact].values}
        value = labels.get(known[fact] or "", WORDS("fact_unknown"))
        lines.append(WORDS("fact_line", name=WORDS(f"fact_{fact}"), value=value))
    parts: list[object] = [Bold(WORDS("facts_title")), "\n\n", WORDS("facts_text"), "\n\n", "\n".join(lines)]
    if any(sheet.set_aside(key) and not sheet.complete(key) for key in bank.BRANCHES):
        parts += ["\n\n", Italic(WORDS("set_aside"))]
    return Screen(
        text=Text(*parts),
        rows=[
            *([button(WORDS(f"change_{fact}"), FactTap(attempt=this, fact=fact))] for fact in FACTS),
            [button(WORDS("back"), GoTap(attempt=this, to="chapters"))],
        ],
    )


def standing_screen(attempt: store.Attempt, sheet: rules.Sheet, key: str) -> Screen:
    """A completed chapter: where it stands, with one calm sentence."""
    this = token(attempt.id)
    scored = sheet.scores.categories[key]
    dots = " ".join([WORDS("dot_settled")] * len(sheet.chapters[key]))
    parts: list[object] = [heading(key), "\n", dots, "\n\n"]
    if scored.status is None:
        parts.append(WORDS("standing_apart"))
    else:
        words = WORDS("standing", status=_capital(WORDS(scored.status)), percentage=scored.percentage)
        # Four sentences a standing, in turn, so that twelve chapters do not say the same.
        turn = [area.key for area in CATEGORIES].index(key) % 4 + 1
        parts += [Bold(words), "\n\n", WORDS(f"sentence_{scored.status}_{turn}")]
        if key in attempt.self_ratings:
            rating, measured = attempt.self_ratings[key], scored.percentage or 0
            parts += ["\n\n", WORDS(f"felt_{rules.gap(rating, measured)}", rating=rating)]
    last = sheet.chapters[key][-1]
    return Screen(
        text=Text(*parts),
        rows=[
            [button(WORDS("continue"), GoTap(attempt=this, to="on", after=key), style="success")],
            [
                button(WORDS("back"), QuestionTap(attempt=this, question=last.id)),
                button(WORDS("pause"), GoTap(attempt=this, to="pause")),
            ],
        ],
    )


def answered_screen(attempt: store.Attempt, sheet: rules.Sheet, question: Question, *, again: bool) -> Screen:
    """What follows an answer: the next question after a look `again`, else the next open one, else the standing."""
    following = sheet.neighbour(question, step=1) if again else None
    following = following or sheet.first_open(question.category, after=question)
    if following is None:
        return standing_screen(attempt, sheet, question.category)
    return question_screen(attempt, sheet, following)


def chapters_screen(attempt: store.Attempt, sheet: rules.Sheet, *, opening: str | None = None) -> Screen:
    """The review: twelve chapters with their state, a way into each, and the result once every question is settled."""
    this = token(attempt.id)
    scores = sheet.scores
    lines = []
    for area in CATEGORIES:
        scored = scores.categories[area.key]
        if scored.complete:
            state = WORDS(scored.status or "state_apart")
        else:
            state = WORDS("state_begun" if sheet.begun(area.key) else "state_new")
        lines.append(WORDS("chapter_line", icon=area.icon, label=area.label, state=state))
    if scores.complete:
        on = button(WORDS("see_result"), GoTap(attempt=this, to="finish"), style="success")
    else:
        on = button(WORDS("continue"), GoTap(attempt=this, to="on"), style="success")
    opening = opening or WORDS("hub_complete" if scores.complete else "hub_going")
    ways = [button(f"{area.icon} {area.short}", ChapterTap(attempt=this, category=area.key)) for area in CATEGORIES]
    return Screen(
        text=Text(Bold(WORDS("title")), "\n\n", opening, "\n\n", "\n".join(lines)),
        rows=[
            [on],
            *(ways[start : start + AREAS_IN_A_ROW] for start in range(0, len(ways), AREAS_IN_A_ROW)),
            [button(WORDS("facts"), GoTap(attempt=this, to="facts"))],
            *([[button(WORDS("last_result"), ResultTap())]] if attempt.has_result else []),
            [home.back()],
        ],
    )


def pause_screen(attempt: store.Attempt) -> Screen:
    """A pause, with the way back."""
    this = token(attempt.id)
    return Screen(
        text=Text(Bold(WORDS("paused_title")), "\n\n", WORDS("paused")),
        rows=[
            [button(WORDS("continue"), GoTap(attempt=this, to="on"), style="success")],
            [button(WORDS("chapters"), GoTap(attempt=this, to="chapters")), home.back()],
        ],
    )


def chapter_screen(attempt: store.Attempt, sheet: rules.Sheet, key: str) -> Screen:
    """Where a chapter goes on: the fact it needs, how it feels, its first open question, or the first to look at."""
    if key in sheet.unknown:
        return fact_screen(attempt, sheet.unknown[key], chapter=key)
    if key not in attempt.self_ratings and not sheet.begun(key):
        return rating_screen(attempt, key)
    return question_screen(attempt, sheet, sheet.first_open(key) or sheet.chapters[key][0])


def onward_screen(attempt: store.Attempt, sheet: rules.Sheet, key: str | None) -> Screen:
    """The chapter to go on with, or the review when all are complete."""
    return chapters_screen(attempt, sheet) if key is None else chapter_screen(attempt, sheet, key)


# The result


def _scores(result: store.Result) -> rules.Scores:
    return rules.as_stored(
        total=result.total_score,
        maximum=result.max_possible_score,
        category_scores=result.category_scores,
        green_line_status=result.green_line_status,
        answers=result.answers,
        not_applicable=result.not_applicable,
        facts=_facts(result),
    )


def _day(moment: datetime, user: Account) -> date:
    """The person's own day, where their time zone is known."""
    return moment.astimezone(ZoneInfo(user.time_zone) if user.time_zone else UTC).date()


def _date(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def caption(result: store.Result, user: Account) -> Text:
    """What stands under the picture, saying in words what it shows."""
    scores = _scores(result)
    day = _date(_day(result.completed_at, user))
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
    scores = _scores(result)
    parts: list[object] = [Bold(WORDS("result_title", date=_date(_day(result.completed_at, user)))), "\n"]
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
            title = WORDS("result_group", status=_capital(WORDS(status or "state_apart")))
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
    earlier = _scores(before)
    parts: list[object] = ["\n\n", Bold(WORDS("moved", date=_date(_day(before.completed_at, user))))]
    moves = rules.moves(earlier, scores)
    if not moves:
        return [*parts, "\n", WORDS("moved_nothing")]
    if scores.percentage is not None and earlier.percentage not in (None, scores.percentage):
        parts.append("\n" + _move(WORDS("moved_overall"), earlier.percentage or 0, scores.percentage))
    for key, (old, new) in moves.items():
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


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def _result_rows(result: store.Result, *, earlier: bool) -> list[list[InlineKeyboardButton]]:
    _, weakest = rules.strongest_and_weakest(_scores(result))
    if weakest:
        area = category(weakest[0])
        draft = button(WORDS("draft_vision", area=area.short), vision.VisionTap(step="open", key=area.key))
    else:
        draft = button(WORDS("draft_any_vision"), home.OpenTap(feature="vision"))
    return [
        [draft],
        [button(WORDS("take_again"), BeginTap())],
        *([[button(WORDS("past"), PastTap(assessment=""))]] if earlier else []),
        [home.back()],
    ]


def result_screen(
    result: store.Result, before: store.Result | None, user: Account, work: Work, *, opening: str | None = None
) -> Screen:
    """The newest result opened again, with a way to see its picture and, where there are any, the earlier ones."""
    picture = PictureTap(assessment=token(result.id), shown=work.head.id)
    text = result_text(result, before, user)
    return Screen(
        text=Text(opening, "\n\n", text) if opening else text,
        rows=[[button(WORDS("show_picture"), picture)], *_result_rows(result, earlier=before is not None)],
    )


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


def _start_picture(work: Work, result_id: uuid.UUID, *, key: str) -> None:
    work.start("assessment.picture", {"assessment": str(result_id)}, lane="assessment", key=key)


# Coming in


async def wait_no_more(user: Account, db: Transaction) -> None:
    """End what VIVA waits for, where it waits: the person has gone on to something else."""
    if user.waiting_for is not None:
        await people.wait_for(db, None)


async def current_screen(user: Account, db: Transaction, work: Work, *, opening: str | None = None) -> Screen:
    """Where things stand: the assessment in progress, else the newest result, else the start."""
    attempt = await store.in_progress(db)
    if attempt is not None:
        return chapters_screen(attempt, sheet_of(attempt), opening=opening)
    result = await store.result(db)
    if result is None:
        return start_screen()
    return result_screen(result, await store.before(db, result), user, work, opening=opening)


@router.message(Command("assessment"))
async def on_assessment(message: Message, user: Account, db: Transaction, work: Work) -> None:
    """Start, go on, or see the newest result."""
    await wait_no_more(user, db)
    show(work, await current_screen(user, db, work))


@router.callback_query(home.OpenTap.filter(F.feature == "assessment"))
async def on_open(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Start, go on, or see the newest result, in place."""
    await wait_no_more(user, db)
    show(work, await current_screen(user, db, work), tap=tap)


@router.callback_query(BeginTap.filter())
async def on_begin(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Begin with the first question; where an assessment is in progress, it stays and goes on."""
    await wait_no_more(user, db)
    begun = await store.begin(db, assessment_version=bank.bank().assessment_version)
    attempt = await store.in_progress(db)
    assert attempt is not None
    sheet = sheet_of(attempt)
    screen = onward_screen(attempt, sheet, sheet.open_chapter()) if begun else chapters_screen(attempt, sheet)
    show(work, screen, tap=tap)


async def attempt_of(db: Transaction, named: str) -> tuple[store.Attempt, rules.Sheet] | None:
    """The assessment in progress with its sheet, when it is the one a button names."""
    attempt = await store.in_progress(db)
    if attempt is None or token(attempt.id) != named:
        return None
    return attempt, sheet_of(attempt)


async def stale(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """A button that fits no more changes nothing, and leads to where things stand."""
    show(work, await current_screen(user, db, work, opening=WORDS("stale")), tap=tap)


@router.callback_query(AnswerTap.filter())
async def on_answer(tap: CallbackQuery, callback_data: AnswerTap, user: Account, db: Transaction, work: Work) -> None:
    """Keep an answer and go on. It counts for the question it was given to, however late it comes."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    question = found[1].question(callback_data.question) if found else None
    if found is None or question is None or callback_data.value not in (*bank.VALUES, NOT_APPLICABLE):
        await stale(tap, user, db, work)
        return
    attempt, sheet = found
    if callback_data.mark != rules.mark(question):
        # The words have changed since they were shown: what was answered is not what is asked now.
        show(work, question_screen(attempt, sheet, question), tap=tap)
        return
    if callback_data.value == NOT_APPLICABLE:
        await store.mark_not_applicable(db, assessment_id=attempt.id, question_id=question.id)
        sheet = sheet.with_not_applicable(question)
    else:
        option = question.option(callback_data.value)
        await store.answer(
            db,
            assessment_id=attempt.id,
            question_id=question.id,
            question_text=question.text,
            category=question.category,
            value=option.value,
            text=option.text,
            green_line=option.green_line,
        )
        sheet = sheet.with_answer(question, option.value)
    show(work, answered_screen(attempt, sheet, question, again=callback_data.again), tap=tap)


@router.callback_query(QuestionTap.filter())
async def on_question(
    tap: CallbackQuery, callback_data: QuestionTap, user: Account, db: Transaction, work: Work
) -> None:
    """Show a question, the answer to it ticked."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    question = found[1].question(callback_data.question) if found else None
    if found is None or question is None:
        await stale(tap, user, db, work)
        return
    show(work, question_screen(*found, question), tap=tap)


@router.callback_query(ChapterTap.filter())
async def on_chapter(tap: CallbackQuery, callback_data: ChapterTap, user: Account, db: Transaction, work: Work) -> None:
    """Open a chapter where it goes on."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    if found is None or callback_data.category not in found[1].chapters:
        await stale(tap, user, db, work)
        return
    show(work, chapter_screen(*found, callback_data.category), tap=tap)


@router.callback_query(RateTap.filter())
async def on_rate(tap: CallbackQuery, callback_data: RateTap, user: Account, db: Transaction, work: Work) -> None:
    """Keep how a category feels, as long as its questions have not begun, and go on to them."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    key = callback_data.category
    if found is None or not found[1].chapters.get(key) or callback_data.rating not in (0, *RATINGS):
        await stale(tap, user, db, work)
        return
    attempt, sheet = found
    if callback_data.rating and not sheet.begun(key):
        await store.rate(db, assessment_id=attempt.id, category=key, rating=callback_data.rating)
    show(work, question_screen(attempt, sheet, sheet.first_open(key) or sheet.chapters[key][0]), tap=tap)


@router.callback_query(FactTap.filter())
async def on_fact(tap: CallbackQuery, callback_data: FactTap, user: Account, db: Transaction, work: Work) -> None:
    """Ask for a fact, or keep it and go on with the chapter that waits for it."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    fact = next((each for each in FACTS if each == callback_data.fact), None)
    if found is None or fact is None:
        await stale(tap, user, db, work)
        return
    attempt, _ = found
    if not callback_data.value:
        show(work, fact_screen(attempt, fact), tap=tap)
        return
    if callback_data.value not in {value.value for value in fact_questions()[fact].values}:
        await stale(tap, user, db, work)
        return
    await profile.set_fact(db, fact, callback_data.value)
    changed = await store.in_progress(db)
    assert changed is not None
    sheet = sheet_of(changed)
    chapter = next(key for key, (decides, _) in bank.BRANCHES.items() if decides == fact)
    show(
        work,
        chapter_screen(changed, sheet, chapter) if callback_data.chapter else facts_screen(changed, sheet),
        tap=tap,
    )


@router.callback_query(GoTap.filter(F.to == "on"))
async def on_go_on(tap: CallbackQuery, callback_data: GoTap, user: Account, db: Transaction, work: Work) -> None:
    """Go on with the next open chapter, or where the person left."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    if found is None:
        await stale(tap, user, db, work)
        return
    attempt, sheet = found
    if callback_data.after in sheet.chapters:
        chapter = sheet.open_chapter(after=callback_data.after)
    else:
        chapter = sheet.place(attempt.last_question)
    show(work, onward_screen(attempt, sheet, chapter), tap=tap)


@router.callback_query(GoTap.filter(F.to.in_({"chapters", "pause", "facts"})))
async def on_go(tap: CallbackQuery, callback_data: GoTap, user: Account, db: Transaction, work: Work) -> None:
    """Show the review, a pause, or the facts that questions depend on."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    if found is None:
        await stale(tap, user, db, work)
    elif callback_data.to == "pause":
        show(work, pause_screen(found[0]), tap=tap)
    elif callback_data.to == "facts":
        show(work, facts_screen(*found), tap=tap)
    else:
        show(work, chapters_screen(*found), tap=tap)


@router.callback_query(GoTap.filter(F.to == "finish"))
async def on_finish(tap: CallbackQuery, callback_data: GoTap, user: Account, db: Transaction, work: Work) -> None:
    """Complete the assessment with its scores, once every asked question is settled, and have its picture drawn."""
    await wait_no_more(user, db)
    found = await attempt_of(db, callback_data.attempt)
    if found is None:
        newest = await store.result(db)
        if newest is not None and token(newest.id) == callback_data.attempt:
            # The second tap of a double one.
            show(work, Screen(text=WORDS("finishing"), rows=[[home.back()]]), tap=tap)
        else:
            await stale(tap, user, db, work)
        return
    attempt, sheet = found
    scores = sheet.scores
    if not scores.complete:
        show(work, chapters_screen(attempt, sheet, opening=WORDS("hub_not_yet")), tap=tap)
        return
    scored = {key: each for key, each in scores.categories.items() if each.status is not None}
    await store.complete(
        db,
        assessment_id=attempt.id,
        total_score=scores.total,
        max_possible_score=scores.maximum,
        overall_percentage=scores.percentage or 0,
        category_scores={key: each.score for key, each in scored.items()},
        green_line_status={key: str(each.status) for key, each in scored.items()},
    )
    _start_picture(work, attempt.id, key=str(attempt.id))
    show(work, Screen(text=WORDS("finishing"), rows=[[home.back()]]), tap=tap)


@router.callback_query(ResultTap.filter())
async def on_result(tap: CallbackQuery, user: Account, db: Transaction, work: Work) -> None:
    """Show the newest result."""
    await wait_no_more(user, db)
    result = await store.result(db)
    if result is None:
        await stale(tap, user, db, work)
        return
    show(work, result_screen(result, await store.before(db, result), user, work), tap=tap)


@router.callback_query(PastTap.filter())
async def on_past(tap: CallbackQuery, callback_data: PastTap, user: Account, db: Transaction, work: Work) -> None:
    """List the results by their dates, or show one of them as it was then."""
    await wait_no_more(user, db)
    if not callback_data.assessment:
        show(work, past_screen(await store.completed(db, limit=MOST_LISTED), user), tap=tap)
        return
    try:
        named = uuid.UUID(callback_data.assessment)
    except ValueError:
        named = None
    result = await store.result(db, named) if named is not None else None
    if result is None:
        await stale(tap, user, db, work)
        return
    text = result_text(result, await store.before(db, result), user)
    rows = [[button(WORDS("past"), PastTap(assessment=""))], [home.back()]]
    show(work, Screen(text=text, rows=rows), tap=tap)


@router.callback_query(PictureTap.filter())
async def on_picture(tap: CallbackQuery, callback_data: PictureTap, user: Account, db: Transaction, work: Work) -> None:
    """Send the picture of the newest result again."""
    result = await store.result(db)
    if result is None or token(result.id) != callback_data.assessment:
        await stale(tap, user, db, work)
        return
    _start_picture(work, result.id, key=f"{result.id}:{callback_data.shown}")
    show(work, Screen(text=WORDS("picture_coming"), rows=[[home.back()]]), tap=tap)


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
    key = media.key_for(job.user_id, "assessments", f"{result.id}.png")

    async def draw() -> str:
        await doors.media.put(key, await asyncio.to_thread(_wheel, result, user))
        return key

    stored: str = await job.step("picture", draw)
    async with job.finish():
        show(job, Screen(text=caption(result, user), picture=stored))
        _show_result(job, result, before, user)


async def picture_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Send the result in words alone."""
    result = await _named_result(job, db)
    user = await people.account(db)
    if result is not None and user is not None:
        show(job, Screen(text=WORDS("result_without_picture")))
        _show_result(job, result, await store.before(db, result), user)


JOBS = {"assessment.picture": (picture, picture_failed)}


async def _named_result(job: Job, db: Transaction) -> store.Result | None:
    return await store.result(db, uuid.UUID(job.payload["assessment"]))


def _show_result(work: Work, result: store.Result, before: store.Result | None, user: Account) -> None:
    # The buttons are a message of their own: what they lead to takes its place, and the result stays in the chat.
    show(work, Screen(text=result_text(result, before, user)))
    show(work, Screen(text=WORDS("result_next"), rows=_result_rows(result, earlier=before is not None)))


def _wheel(result: store.Result, user: Account) -> bytes:
    scores = _scores(result)
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
