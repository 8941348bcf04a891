"""The life assessment: 84 questions by button on one message, twelve chapters of seven, and the result."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Italic, Text

from bot.services import assessment as rules
from bot.services import profile
from bot.services.work import Work
from handlers import assessment_result, home
from handlers.screen import Screen, button, show
from prompts import assessment as bank
from prompts import replies
from prompts.assessment import Question
from prompts.categories import CATEGORIES
from prompts.profile import FACTS, Fact, fact_questions
from storage import assessment as store
from storage import people
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("assessment")
AREAS_IN_A_ROW = 2

router = Router(name="assessment")


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


NOT_APPLICABLE = 0
MOST_LISTED = 24
RATINGS = range(1, 11)
RATINGS_IN_A_ROW = 5


def sheet_of(attempt: store.Attempt) -> rules.Sheet:
    """The sheet of an assessment in progress."""
    return rules.Sheet.of(
        facts=assessment_result.facts_of(attempt), answers=attempt.answers, not_applicable=attempt.not_applicable
    )


# Screens


def start_screen() -> Screen:
    """What the assessment is, before it begins."""
    return Screen(
        text=Text(Bold(WORDS("start_title")), "\n\n", WORDS("start")),
        rows=[[button(WORDS("begin"), assessment_result.BeginTap(), style="success")], [home.back()]],
    )


def question_screen(attempt: store.Attempt, sheet: rules.Sheet, question: Question) -> Screen:
    """A question with its five answers as sentences; values and colours are not shown, as they would prime."""
    this = assessment_result.token(attempt.id)
    again = sheet.settled(question)
    given = sheet.answers.get(question.id)
    dots = " ".join(
        WORDS("dot_here" if each == question else "dot_settled" if sheet.settled(each) else "dot_open")
        for each in sheet.chapters[question.category]
    )
    parts: list[object] = [assessment_result.heading(question.category), "\n", dots, "\n\n"]
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
    this = assessment_result.token(attempt.id)
    numbers = [button(str(rating), RateTap(attempt=this, category=key, rating=rating)) for rating in RATINGS]
    return Screen(
        text=Text(assessment_result.heading(key), "\n\n", Bold(WORDS("rate")), "\n\n", WORDS("rate_how")),
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
    this = assessment_result.token(attempt.id)
    asked = fact_questions()[fact]
    known = assessment_result.facts_of(attempt)[fact]
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
    opening = [assessment_result.heading(chapter), "\n\n"] if chapter else []
    return Screen(
        text=Text(*opening, Bold(asked.question), "\n\n", WORDS("fact_why")),
        rows=[*rows, [button(WORDS("back"), back), button(WORDS("pause"), GoTap(attempt=this, to="pause"))]],
    )


def facts_screen(attempt: store.Attempt, sheet: rules.Sheet) -> Screen:
    """The three facts on which questions branch, as they are known, each with a way to change it."""
    this = assessment_result.token(attempt.id)
    known = assessment_result.facts_of(attempt)
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
    this = assessment_result.token(attempt.id)
    scored = sheet.scores.categories[key]
    dots = " ".join([WORDS("dot_settled")] * len(sheet.chapters[key]))
    parts: list[object] = [assessment_result.heading(key), "\n", dots, "\n\n"]
    if scored.status is None:
        parts.append(WORDS("standing_apart"))
    else:
        words = WORDS("standing", status=assessment_result.capital(WORDS(scored.status)), percentage=scored.percentage)
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
    this = assessment_result.token(attempt.id)
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
            *([[button(WORDS("last_result"), assessment_result.ResultTap())]] if attempt.has_result else []),
            [home.back()],
        ],
    )


def pause_screen(attempt: store.Attempt) -> Screen:
    """A pause, with the way back."""
    this = assessment_result.token(attempt.id)
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
    return assessment_result.result_screen(result, await store.before(db, result), user, work, opening=opening)


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


@router.callback_query(assessment_result.BeginTap.filter())
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
    if attempt is None or assessment_result.token(attempt.id) != named:
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
    value = callback_data.value == "true" if fact == "has_children" else callback_data.value
    await profile.keep(db, await profile.open_version(db), {fact: value})
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
        if newest is not None and assessment_result.token(newest.id) == callback_data.attempt:
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
    assessment_result.start_picture(work, attempt.id, key=str(attempt.id))
    show(work, Screen(text=WORDS("finishing"), rows=[[home.back()]]), tap=tap)
