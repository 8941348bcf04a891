"""The life assessment as a person meets it: by button, on one message, in their own time, and for good."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

from bot.services import assessment as rules
from handlers import assessment, assessment_result
from prompts import assessment as bank
from prompts.categories import CATEGORIES
from prompts.profile import FACTS, Fact, fact_questions
from tests.world import Screen, Someone, Viva, comes_true

APART = "Does not apply to me"
FACTS_OF_ADA: dict[Fact, str | None] = {
    "has_children": "true",
    "relationship_status": "single",
    "employment_type": "employee",
}


def asked(facts: dict[Fact, str | None] = FACTS_OF_ADA) -> list[bank.Question]:
    """The 84 questions for these facts, in order."""
    return [question for area in CATEGORIES for question in bank.questions_for(area.key, facts)]


def shown(screen: Screen, facts: dict[Fact, str | None] = FACTS_OF_ADA) -> bank.Question:
    """The question on the screen."""
    found = [question for question in asked(facts) if question.text in screen.text]
    assert len(found) == 1, screen.text
    return found[0]


def is_question(screen: Screen) -> bool:
    """Whether the screen asks one of the 84."""
    return any(APART in label for label in screen.buttons)


async def begin(person: Someone) -> Screen:
    """Begin, and see the first question."""
    await person.send("/assessment")
    await person.tap("Begin")
    return await person.tap("Skip")


async def unrated(person: Someone) -> Screen:
    """Go past the question how the chapter feels."""
    return await person.tap("Skip")


async def go_on(person: Someone, choose: Callable[[int], str] = lambda number: "2", *, until: int = 84) -> Screen:
    """Answer until so many questions were tapped, or the result can be seen; `choose` gives the button by number."""
    number = 0
    screen = person.screen
    while "See my result" not in screen.buttons:
        if is_question(screen):
            if number == until:
                return screen
            screen = await person.tap(choose(number))
            number += 1
        else:
            screen = await person.tap("Skip" if "Skip" in screen.buttons else "Continue")
    return screen


async def put_in(viva: Viva, person: Someone, *, leave: int = 0, value: int = 8, without: tuple[str, ...] = ()) -> None:
    """Answer all questions but the last few and those named behind the scenes: for tests of what comes after."""
    async with viva.database.as_user(await person.user_id()).transaction() as db:
        attempt = await db.value("select id from assessment_results where status = 'in_progress'")
        for question in asked()[: 84 - leave]:
            if question.id in without:
                continue
            option = question.option(value)
            await db.execute(
                """
                insert into assessment_responses (assessment_id, question_id, question_text, category,
                                                  response_value, response_text, green_line)
                values ($1, $2, $3, $4::assessment_category, $5, $6, $7)
                """,
                attempt,
                question.id,
                question.text,
                question.category,
                option.value,
                option.text,
                option.green_line,
            )


async def answers(viva: Viva, person: Someone) -> dict[str, int]:
    """The person's answers to the assessment in progress, by question."""
    rows = await viva.rows(
        person,
        """
        select question_id, response_value from assessment_responses
         where assessment_id = (select id from assessment_results where status = 'in_progress')
        """,
    )
    return {row["question_id"]: row["response_value"] for row in rows}


async def everything(viva: Viva, person: Someone) -> list[Any]:
    """Every row of the person's assessments."""
    return [
        await viva.rows(person, "select * from assessment_results order by id"),
        await viva.rows(person, "select * from assessment_responses order by id"),
        await viva.rows(person, "select * from viva.assessment_not_applicable order by assessment_id, question_id"),
        await viva.rows(person, "select has_children, relationship_status, employment_type from user_profiles"),
    ]


async def attempt_token(viva: Viva, person: Someone) -> str:
    """How buttons name the assessment in progress."""
    rows = await viva.rows(person, "select id from assessment_results where status = 'in_progress'")
    return assessment_result.token(rows[0]["id"])


def answer_data(attempt: str, question: str, value: int, *, again: bool = False) -> str:
    """The callback data of an answer, as a button carries it."""
    mark = rules.mark(bank.question(question))
    return assessment.AnswerTap(attempt=attempt, question=question, value=value, mark=mark, again=again).pack()


async def test_84_questions_by_button_give_a_result_a_picture_and_exact_rows(viva: Viva) -> None:
    ada = await viva.person("Ada")
    await ada.send("/start")
    await ada.tap("Not now, without AI")
    await ada.tap("Ada")
    await ada.tap("Life assessment")
    await ada.tap("Begin")
    first_message = ada.screen.message["message_id"]
    facts = {"has_children": "No, I do not", "relationship_status": "Married", "employment_type": "Retired"}
    said: dict[str, int] = {}
    apart: list[str] = []
    chapters: list[str] = []
    known: dict[Fact, str | None] = {
        "has_children": "false",
        "relationship_status": "married",
        "employment_type": "retired",
    }
    screen = ada.screen
    while "See my result" not in screen.buttons:
        assert ada.screen.message["message_id"] == first_message
        if is_question(screen):
            question = shown(screen, known)
            assert [f"{place}" for place in range(1, 6)] == screen.rows[0]
            assert all(option in screen.text for option in question.options)
            if question.id in ("fun_7", "money_2"):
                apart.append(question.id)
                screen = await ada.tap(APART)
            else:
                place = len(said) * 7 % 5
                said[question.id] = bank.VALUES[place]
                screen = await ada.tap(f"{place + 1}")
        elif "Skip" in screen.buttons:
            screen = await ada.tap("Skip")
        elif "Continue" in screen.buttons:
            chapters.append(screen.text)
            screen = await ada.tap("Continue")
        else:
            fact = next(fact for fact in FACTS if fact_questions()[fact].question in screen.text)
            screen = await ada.tap(facts[fact])
    assert (len(said), len(apart), len(chapters)) == (82, 2, 12)
    for area, text in zip(CATEGORIES, chapters, strict=True):
        assert f"{area.icon} {area.label}" in text and "%" in text

    await ada.tap("See my result")
    result = (await viva.rows(ada, "select * from assessment_results"))[0]
    scores = rules.score(
        {area.key: [q.id for q in bank.questions_for(area.key, known)] for area in CATEGORIES}, said, {*apart}
    )
    assert result["status"] == "completed" and result["completed_at"] >= result["started_at"]
    assert result["total_score"] == scores.total == sum(said.values())
    assert result["max_possible_score"] == 820
    assert result["overall_percentage"] == scores.percentage == round(100 * scores.total / 820)
    assert result["category_scores"] == {key: each.score for key, each in scores.categories.items()}
    assert result["green_line_status"] == {key: each.status for key, each in scores.categories.items()}
    assert result["assessment_version"] == bank.bank().assessment_version
    profile = await viva.rows(ada, "select id, has_children, relationship_status, employment_type from user_profiles")
    assert result["profile_version_id"] == profile[0].pop("id")
    assert profile == [{"has_children": False, "relationship_status": "married", "employment_type": "retired"}]

    responses = await viva.rows(ada, "select * from assessment_responses")
    assert {row["question_id"]: row["response_value"] for row in responses} == said
    in_their_words = {question.id: question for question in asked(known)}
    for row in responses:
        question = in_their_words[row["question_id"]]
        option = question.option(row["response_value"])
        assert (row["question_text"], row["category"]) == (question.text, question.category)
        assert (row["response_text"], row["green_line"]) == (option.text, option.green_line)
        assert row["response_emoji"] is None
    marked = await viva.rows(ada, "select question_id from viva.assessment_not_applicable")
    assert sorted(row["question_id"] for row in marked) == sorted(apart)

    photo, in_words, next_steps = ada.screens[-3:]
    assert photo.photo and photo.text.startswith("Ada, your twelve areas") and f"{scores.percentage}%" in photo.text
    assert len(photo.text) <= 1024
    image = Image.open(viva.telegram.chats.blob(viva.telegram.chats.file(photo.photo[-1]["file_id"])))
    assert image.format == "JPEG" or image.format == "PNG"
    assert image.height > image.width > 500
    groups = in_words.text.lower().split("\n\n")
    for area in CATEGORIES:
        scored = scores.categories[area.key]
        group = next(group for group in groups if group.startswith(assessment.WORDS(str(scored.status))))
        assert f"{area.icon} {area.label}, {scored.percentage}%".lower() in group.splitlines()
    _, weakest = rules.strongest_and_weakest(scores)
    short = next(area.short for area in CATEGORIES if area.key == weakest[0])
    assert next_steps.buttons == [
        "What I see in your answers",
        "Area by area",
        f"Draft a vision: {short}",
        "Take it again",
        "Main menu",
    ]

    assert viva.model.requests == []
    assert await viva.rows(ada, "select id from token_usage") == []
    assert (await viva.rows(ada, "select consented_at from viva.telegram_accounts"))[0]["consented_at"] is None


async def test_it_works_with_no_tokens_left(viva: Viva) -> None:
    await viva.restart(viva_starting_tokens=0)
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada, leave=1)
    screen = await ada.send("/assessment")
    await ada.tap("Continue")
    screen = await go_on(ada)
    await ada.tap("See my result")
    screen = ada.screens[-3]
    assert screen.photo
    assert viva.model.requests == [] and await viva.rows(ada, "select id from token_usage") == []


async def test_neither_values_nor_colours_are_shown_with_the_answers(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await begin(ada)
    rest = screen.text
    for sentence in (shown(screen).text, *shown(screen).options):
        rest = rest.replace(sentence, "")
    assert "10" not in rest and "%" not in rest
    assert not any(word in rest.lower() for word in ("above", "below", "neutral", "green", "/84", "/7"))
    assert not any(sign in screen.text for sign in "🟢🟡🔴🟠")


async def test_one_goes_on_where_one_left_after_the_process_was_killed(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    screen = await go_on(ada, until=10)
    before = shown(screen)
    said = await answers(viva, ada)
    assert len(said) == 10
    await viva.restart(kill=True)
    screen = await ada.tap("3")
    assert shown(screen) == asked()[11]
    await viva.restart()
    await ada.send("/assessment")
    assert "Your place is kept" in ada.screen.text
    screen = await ada.tap("Continue")
    assert shown(screen) == asked()[11]
    assert await answers(viva, ada) == said | {before.id: 6}


async def test_a_double_tap_counts_once(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await begin(ada)
    message, data = screen.message["message_id"], screen.data("2")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, message, data)
    await viva.quiet()
    rows = await viva.rows(ada, "select question_id, response_value, answered_at, updated_at from assessment_responses")
    assert [(row["question_id"], row["response_value"]) for row in rows] == [("fun_1", 8)]
    assert shown(ada.screen).id == "fun_2"
    assert ada.screen.message["message_id"] == message


async def test_a_late_tap_answers_its_own_question_and_never_the_one_now_shown(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await begin(ada)
    late_same, late_other = screen.data("2"), screen.data("5")
    await ada.tap("2")
    await ada.tap("1")
    assert shown(ada.screen).id == "fun_3"
    screen = await ada.tap_data(late_same)
    assert await answers(viva, ada) == {"fun_1": 8, "fun_2": 10}
    assert shown(screen).id == "fun_3"
    screen = await ada.tap_data(late_other)
    assert await answers(viva, ada) == {"fun_1": 2, "fun_2": 10}
    assert shown(screen).id == "fun_3"


async def test_a_double_tap_on_the_last_question_still_shows_how_the_chapter_stands(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    screen = await go_on(ada, until=6)
    message, data = screen.message["message_id"], screen.data("1")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, message, data)
    await viva.quiet()
    assert "Above the green line, 83%" in ada.screen.text
    assert len(await answers(viva, ada)) == 7


@pytest.mark.parametrize(
    ("place", "words"), [("1", "Above the green line, 100%"), ("3", "In transition, 60%"), ("5", "Below for now, 20%")]
)
async def test_a_completed_chapter_shows_its_standing(viva: Viva, place: str, words: str) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    for _ in range(7):
        screen = await ada.tap(place)
    assert words in screen.text and "Fun / Recreation" in screen.text
    assert screen.rows == [["Continue"], ["Back", "Pause"]]
    await ada.tap("Continue")
    screen = await unrated(ada)
    assert shown(screen).id == "health_1"


async def test_forged_and_foreign_taps_do_no_harm(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    eve = await viva.onboarded("Eve")
    await begin(ada)
    await ada.tap("4")
    await begin(eve)
    of_ada, of_eve = await attempt_token(viva, ada), await attempt_token(viva, eve)
    before = await everything(viva, ada), await everything(viva, eve)
    good = answer_data(of_eve, "fun_1", 10)
    pack = assessment.AnswerTap(attempt=of_eve, question="fun_1", value=7, mark="000000", again=False).pack
    forged = [
        answer_data(of_ada, "fun_1", 10),
        answer_data(of_ada, "fun_2", 0),
        answer_data("00000000", "fun_1", 10),
        answer_data(of_eve, "family_non_parents_1", 10),
        answer_data(of_eve, "business_owner_3", 10),
        good.replace(":10:", ":7:"),
        good.replace(":10:", ":12:"),
        good.replace(":10:", ":-2:"),
        good.replace(":10:", ":ten:"),
        good.replace("fun_1", "fun_8"),
        good.replace("fun_1", "life_1"),
        good.replace("fun_1", ""),
        pack(),
        answer_data(of_eve, "fun_1", 10).rpartition(":")[0],
        assessment.GoTap(attempt=of_ada, to="finish").pack(),
        assessment.GoTap(attempt=of_eve, to="finish").pack(),
        assessment.GoTap(attempt=of_eve, to="nowhere").pack(),
        assessment.GoTap(attempt=of_eve, to="on", after="nowhere").pack(),
        assessment.ChapterTap(attempt=of_eve, category="nowhere").pack(),
        assessment.QuestionTap(attempt=of_eve, question="nothing").pack(),
        assessment.QuestionTap(attempt=of_ada, question="fun_1").pack(),
        assessment.FactTap(attempt=of_eve, fact="has_children", value="perhaps").pack(),
        assessment.FactTap(attempt=of_eve, fact="city", value="true").pack(),
        assessment.FactTap(attempt=of_ada, fact="has_children", value="false").pack(),
        assessment_result.PictureTap(assessment=of_ada, shown=1).pack(),
        assessment_result.ResultTap().pack(),
    ]
    for data in forged:
        count = len(eve.screens)
        screen = await eve.tap_data(data)
        assert screen.buttons, f"{data} led to a dead end"
        assert len(eve.screens) <= count + 2
    assert (await everything(viva, ada), await everything(viva, eve)) == before
    screen = await eve.tap_data(good)
    assert await answers(viva, eve) == {"fun_1": 10}


async def test_words_that_have_changed_since_are_asked_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await begin(ada)
    old = assessment.AnswerTap.unpack(screen.data("2")).model_copy(update={"mark": "aaaaaa"})
    screen = await ada.tap_data(old.pack())
    assert shown(screen).id == "fun_1" and await answers(viva, ada) == {}


async def test_back_shows_what_was_answered_with_a_tick(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await ada.tap("2")
    await ada.tap(APART)
    screen = await ada.tap("Back")
    assert shown(screen).id == "fun_2"
    assert f"✓ {APART}" in screen.buttons and screen.rows[0] == ["1", "2", "3", "4", "5"]
    screen = await ada.tap("Back")
    assert shown(screen).id == "fun_1"
    assert screen.rows[0] == ["1", "✓ 2", "3", "4", "5"]
    assert f"✓  {shown(screen).options[1]}" in screen.text
    screen = await ada.tap("4")
    assert shown(screen).id == "fun_2"
    screen = await ada.tap("Next")
    assert shown(screen).id == "fun_3" and not any("✓" in label for label in screen.buttons)
    assert await answers(viva, ada) == {"fun_1": 4}
    await ada.tap("Back")
    await ada.tap("Back")
    screen = await ada.tap("Back")
    assert "Fun / Recreation: begun" in screen.text and "Health / Vitality: not begun" in screen.text


async def test_a_pause_keeps_the_place(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await go_on(ada, until=9)
    screen = await ada.tap("Pause")
    assert "/assessment" in screen.text
    await ada.tap("Main menu")
    await ada.tap("Life assessment")
    screen = await ada.tap("Continue")
    assert shown(screen) == asked()[9]
    await ada.tap("Pause")
    await ada.tap("All chapters")
    await ada.tap("Money")
    await unrated(ada)
    await ada.tap("1")
    await ada.tap("Pause")
    screen = await ada.tap("Continue")
    assert shown(screen).id == "money_2"


async def test_what_does_not_apply_is_no_answer_and_leaves_the_maximum(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await ada.tap("1")
    await ada.tap("Back")
    await ada.tap(APART)
    assert await answers(viva, ada) == {}
    marked = await viva.rows(ada, "select question_id from viva.assessment_not_applicable")
    assert marked == [{"question_id": "fun_1"}]
    await ada.tap("Back")
    await ada.tap("3")
    assert await answers(viva, ada) == {"fun_1": 6}
    assert await viva.rows(ada, "select question_id from viva.assessment_not_applicable") == []
    await ada.tap("Back")
    await ada.tap(APART)
    screen = await go_on(ada, lambda number: "1", until=6)
    screen = ada.screen
    while is_question(screen):
        screen = await ada.tap("1")
    await ada.send("/assessment")
    assert "Fun / Recreation: above the green line" in ada.screen.text


async def test_a_chapter_of_which_nothing_applies_stays_out_of_the_result(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada, leave=7)
    await ada.send("/assessment")
    await ada.tap("Continue")
    await unrated(ada)
    for _ in range(7):
        screen = await ada.tap(APART)
    assert "stays out of your result" in screen.text
    screen = await ada.tap("Continue")
    assert "Spirituality / Growth: does not apply" in screen.text
    await ada.tap("See my result")
    result = (await viva.rows(ada, "select * from assessment_results"))[0]
    assert (result["total_score"], result["max_possible_score"], result["overall_percentage"]) == (616, 770, 80)
    assert "spirituality" not in result["category_scores"] | result["green_line_status"]
    photo, in_words, _ = ada.screens[-3:]
    assert photo.photo and "eleven above the green line, one that does not apply" in photo.text
    assert in_words.text.split("\n\n")[-2].startswith("Does not apply:") and "Spirituality" in in_words.text
    assert "All areas stand level" in in_words.text


async def test_an_assessment_of_which_nothing_applies_has_no_score(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        await db.execute(
            """
            insert into viva.assessment_not_applicable (assessment_id, question_id)
            select id, unnest($1::text[]) from assessment_results
            """,
            [question.id for question in asked()],
        )
    await ada.send("/assessment")
    await ada.tap("See my result")
    result = (await viva.rows(ada, "select * from assessment_results"))[0]
    assert (result["status"], result["total_score"], result["max_possible_score"]) == ("completed", 0, 0)
    assert result["category_scores"] == {} and result["green_line_status"] == {}
    photo, in_words, next_steps = ada.screens[-3:]
    assert photo.photo and "no overall score" in photo.text and "no score this time" in in_words.text
    assert "Take it again" in next_steps.buttons


async def test_an_unknown_fact_is_asked_for_in_the_chapter_that_needs_it(viva: Viva) -> None:
    ada = await viva.onboarded(has_children=None, relationship_status="something else", employment_type=None)
    await begin(ada)
    await ada.tap("Pause")
    await ada.tap("All chapters")
    for chapter, fact, label, question in (
        ("Family", "has_children", "Yes, I do", "family_parents_1"),
        ("Romance", "relationship_status", "It is complicated", "romance_single_1"),
        ("Work", "employment_type", "Between jobs", "business_employee_1"),
    ):
        screen = await ada.tap(chapter)
        values = fact_questions()[fact].values  # type: ignore[index]
        assert screen.buttons == [*(value.label for value in values), "Back", "Pause"]
        await ada.tap("Pause")
        await ada.tap("All chapters")
        await ada.tap(chapter)
        await ada.tap(label)
        screen = await unrated(ada)
        expected = bank.question(question)
        assert expected.worded_for("unemployed").text in screen.text
        await ada.tap("Back")
    assert (await everything(viva, ada))[3] == [
        {"has_children": True, "relationship_status": "complicated", "employment_type": "unemployed"}
    ]


async def test_a_changed_fact_asks_other_questions_and_keeps_the_old_answers_out_of_the_score(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    await ada.send("/assessment")
    screen = await ada.tap("My situation has changed")
    assert "Children: Yes, I do" in screen.text and "Work: I work for someone" in screen.text
    screen = await ada.tap("Change children")
    assert "✓ Yes, I do" in screen.buttons
    screen = await ada.tap("No, I do not")
    assert "Children: No, I do not" in screen.text and "is kept" in screen.text
    screen = await ada.tap("Back")
    assert "Family / Parenting: not begun" in screen.text and "See my result" not in screen.buttons
    await ada.tap("Continue")
    screen = await unrated(ada)
    changed: dict[Fact, str | None] = {**FACTS_OF_ADA, "has_children": "false"}
    assert shown(screen, changed).id == "family_non_parents_1" and "does not count" in screen.text
    for _ in range(7):
        screen = await ada.tap("5")
        assert "does not count" not in screen.text
    await ada.tap("Continue")
    await ada.tap("See my result")
    result = (await viva.rows(ada, "select * from assessment_results"))[0]
    assert result["category_scores"]["family"] == 14 and result["green_line_status"]["family"] == "below"
    assert (result["total_score"], result["max_possible_score"]) == (77 * 8 + 14, 840)
    kept = await viva.rows(ada, "select count(*) from assessment_responses where question_id like 'family_parents_%'")
    assert kept == [{"count": 7}]

    # The result stays what it was, also when the fact changes once more.
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        await db.execute("update user_profiles set has_children = true where is_active")
    await ada.send("/assessment")
    assert "Below for now:\n🫶 Family / Parenting, 20%" in ada.screen.text


async def test_a_fact_changed_back_counts_the_old_answers_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    await ada.send("/assessment")
    await ada.tap("My situation has changed")
    for label in ("I run a business", "I work for someone"):
        await ada.tap("Change work")
        await ada.tap(label)
    screen = await ada.tap("Back")
    assert "See my result" in screen.buttons


async def test_completion_is_refused_while_a_question_is_open(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada, leave=1)
    finish = assessment.GoTap(attempt=await attempt_token(viva, ada), to="finish").pack()
    screen = await ada.tap_data(finish)
    assert "still open" in screen.text and "See my result" not in screen.buttons
    assert await viva.rows(ada, "select status, completed_at from assessment_results") == [
        {"status": "in_progress", "completed_at": None}
    ]
    await ada.tap("Continue")
    await ada.tap("1")
    await ada.tap_data(finish)
    assert (await viva.rows(ada, "select status from assessment_results"))[0]["status"] == "completed"


async def test_a_completed_assessment_never_changes(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    token = await attempt_token(viva, ada)
    await ada.send("/assessment")
    message = ada.screen.message["message_id"]
    finish = ada.screen.data("See my result")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, message, finish)
    await viva.quiet()
    assert len([screen for screen in ada.screens if screen.photo]) == 1
    before = await everything(viva, ada)
    for data in (
        answer_data(token, "fun_1", 2),
        answer_data(token, "fun_1", 0),
        assessment.QuestionTap(attempt=token, question="fun_1").pack(),
        assessment.FactTap(attempt=token, fact="has_children", value="false").pack(),
        finish,
    ):
        screen = await ada.tap_data(data, message_id=message)
        assert screen.buttons
    assert await everything(viva, ada) == before
    assert len([screen for screen in ada.screens if screen.photo]) == 1


async def test_taking_it_again_keeps_the_old_result(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    await ada.send("/assessment")
    await ada.tap("See my result")
    await ada.tap("Take it again")
    screen = await unrated(ada)
    assert shown(screen).id == "fun_1" and not any("✓" in label for label in screen.buttons)
    await put_in(viva, ada, value=4)
    screen = await ada.send("/assessment") or screen
    assert "My last result" in screen.buttons
    screen = await ada.tap("My last result")
    assert "Overall 80%" in screen.text
    await ada.tap("Take it again")
    await ada.tap("See my result")
    results = await viva.rows(
        ada, "select status, total_score, overall_percentage from assessment_results order by completed_at"
    )
    assert results == [
        {"status": "completed", "total_score": 672, "overall_percentage": 80},
        {"status": "completed", "total_score": 336, "overall_percentage": 40},
    ]
    assert (await viva.rows(ada, "select count(*) from assessment_responses")) == [{"count": 168}]
    await ada.send("/assessment")
    assert "Overall 40%" in ada.screen.text


async def test_beginning_twice_begins_one(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/assessment")
    message, data = ada.screen.message["message_id"], ada.screen.data("Begin")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, message, data)
    await viva.quiet()
    assert await viva.rows(ada, "select status from assessment_results") == [{"status": "in_progress"}]
    assert "Continue" in ada.screen.buttons


async def test_the_picture_can_be_seen_again(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    await ada.send("/assessment")
    await ada.tap("See my result")
    await ada.send("/assessment")
    message, data = ada.screen.message["message_id"], ada.screen.data("Show the picture")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, message, data)
    await viva.quiet()
    assert len([screen for screen in ada.screens if screen.photo]) == 2


async def test_a_kill_while_the_picture_is_drawn_neither_loses_nor_doubles_the_result(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    await ada.send("/assessment")
    await viva.telegram.tap_data(ada.account, ada.screen.message["message_id"], ada.screen.data("See my result"))
    completed = "select from assessment_results where status = 'completed'"
    await comes_true(lambda: viva.service_rows(completed), completed)
    await viva.restart(kill=True)
    await viva.quiet()
    assert len([screen for screen in ada.screens if screen.photo]) == 1
    assert len([text for text in ada.messages if text.startswith("Your result of")]) == 1


async def test_without_a_picture_the_result_still_comes_in_words(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada, value=6)
    folder = viva.settings.viva_home.parent / "media" / "users"
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_bytes(b"a file where the folder should be")
    await ada.send("/assessment")
    await ada.tap("See my result", wait=False)
    failed_once = "select from viva.work where name = 'assessment.picture' and attempts > 0"
    await comes_true(lambda: viva.service_rows(failed_once), failed_once)
    # The tries in between would only take time.
    async with viva.database.as_service().transaction() as db:
        await db.execute(
            """
            update viva.work set attempts = 4, due_at = now() where name = 'assessment.picture' and state = 'waiting'
            """
        )
        await db.execute("update viva.lanes set due_at = now() where lane like 'assessment:%' and claimed_by is null")
    await viva.quiet()
    failed, in_words, next_steps = ada.screens[-3:]
    assert "would not come" in failed.text and not any(screen.photo for screen in ada.screens)
    assert "Overall 60%" in in_words.text and "Take it again" in next_steps.buttons


async def test_another_person_sees_nothing_of_it(viva: Viva) -> None:
    ada = await viva.onboarded("Ada")
    eve = await viva.onboarded("Eve")
    await begin(ada)
    await put_in(viva, ada)
    screen = await eve.send("/assessment")
    assert screen is not None and "Begin" in screen.buttons
    assert (await everything(viva, eve))[:3] == [[], [], []]


async def test_a_chapter_may_be_rated_first_and_the_gap_is_told_in_words_but_never_scored(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/assessment")
    screen = await ada.tap("Begin")
    assert "from 1 to 10" in screen.text and "Fun / Recreation" in screen.text
    assert screen.rows == [["1", "2", "3", "4", "5"], ["6", "7", "8", "9", "10"], ["Skip"], ["Back", "Pause"]]
    screen = await ada.tap("9")
    assert shown(screen).id == "fun_1"
    for _ in range(7):
        screen = await ada.tap("4")
    assert "Below for now, 40%" in screen.text
    assert "it felt like 9 of 10 to you, which is more than your answers say" in screen.text
    await ada.tap("Continue")
    await ada.tap("2")
    for _ in range(7):
        screen = await ada.tap("4")
    assert "it felt like 2 of 10 to you, and your answers say more" in screen.text
    await ada.tap("Continue")
    await ada.tap("5")
    for _ in range(7):
        screen = await ada.tap("4")
    assert "it felt like 5 of 10 to you, much as your answers say" in screen.text
    await ada.tap("Continue")
    await go_on(ada, lambda number: "4")
    await ada.tap("See my result")
    (result,) = await viva.rows(
        ada, "select id, total_score, max_possible_score, category_scores from assessment_results"
    )
    assert (result["total_score"], result["max_possible_score"]) == (336, 840)
    assert set(result["category_scores"].values()) == {28}
    ratings = await viva.rows(ada, "select category, rating from viva.assessment_self_ratings order by category")
    keys = [area.key for area in CATEGORIES][:3]
    assert {row["category"]: row["rating"] for row in ratings} == dict(zip(keys, (9, 2, 5), strict=True))
    in_words = ada.screens[-2].text
    assert "You felt better here than your answers say:\n🎈 Fun / Recreation: felt 9, answered 4.0" in in_words
    assert "Your answers say better than you felt:\n🌿 Health / Vitality: felt 2, answered 4.0" in in_words
    assert "You felt it as your answers say:\n" in in_words and in_words.count("answered") == 3
    await ada.send("/assessment")
    assert "felt 9, answered 4.0" in ada.screen.text


async def test_a_rating_can_be_skipped_and_is_not_asked_again_once_the_chapter_has_begun(viva: Viva) -> None:
    ada = await viva.onboarded()
    screen = await begin(ada)
    assert shown(screen).id == "fun_1"
    await ada.tap("2")
    await ada.tap("Pause")
    screen = await ada.tap("Continue")
    assert shown(screen).id == "fun_2"
    assert await viva.rows(ada, "select * from viva.assessment_self_ratings") == []
    for _ in range(6):
        screen = await ada.tap("2")
    assert "Above the green line, 80%" in ada.screen.text and "it felt like" not in ada.screen.text


async def test_a_second_tap_on_a_rating_and_one_after_the_questions_began_do_no_harm(viva: Viva) -> None:
    ada = await viva.onboarded()
    await ada.send("/assessment")
    screen = await ada.tap("Begin")
    message, data = screen.message["message_id"], screen.data("3")
    for _ in range(2):
        await viva.telegram.tap_data(ada.account, message, data)
    await viva.quiet()
    assert shown(ada.screen).id == "fun_1"
    await ada.tap("2")
    screen = await ada.tap_data(data.removesuffix(":3") + ":9")
    assert shown(screen).id == "fun_2"
    ratings = await viva.rows(ada, "select category, rating from viva.assessment_self_ratings")
    assert ratings == [{"category": "fun", "rating": 3}]
    eve = await viva.onboarded("Eve")
    await begin(eve)
    of_ada, of_eve = await attempt_token(viva, ada), await attempt_token(viva, eve)
    for forged in (
        data,
        assessment.RateTap(attempt=of_eve, category="fun", rating=11).pack(),
        assessment.RateTap(attempt=of_eve, category="fun", rating=-1).pack(),
        assessment.RateTap(attempt=of_eve, category="nowhere", rating=3).pack(),
        assessment.RateTap(attempt=of_ada, category="health", rating=3).pack(),
    ):
        assert (await eve.tap_data(forged)).buttons
    assert await viva.rows(eve, "select * from viva.assessment_self_ratings") == []
    assert await viva.rows(ada, "select category, rating from viva.assessment_self_ratings") == ratings


async def test_a_rating_of_a_completed_assessment_never_changes(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await put_in(viva, ada)
    rate = assessment.RateTap(attempt=await attempt_token(viva, ada), category="fun", rating=3).pack()
    await ada.send("/assessment")
    await ada.tap("See my result")
    assert (await ada.tap_data(rate)).buttons
    assert await viva.rows(ada, "select * from viva.assessment_self_ratings") == []


async def done(viva: Viva, person: Someone, *, value: int, other: dict[str, int] | None = None) -> Screen:
    """Answer what was begun with one value throughout, but for `other` by question, and see the result in words."""
    await put_in(viva, person, value=value)
    attempt = await attempt_token(viva, person)
    for question, differs in (other or {}).items():
        await person.tap_data(answer_data(attempt, question, differs))
    await person.send("/assessment")
    await person.tap("See my result")
    return next(screen for screen in reversed(person.screens) if screen.text.startswith("Your result of"))


async def test_a_result_tells_what_moved_since_the_last_one_in_words(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    first = await done(viva, ada, value=6)
    assert "moved" not in first.text and "Earlier results" not in ada.screen.buttons
    await ada.tap("Take it again")
    second = await done(viva, ada, value=6, other={"fun_1": 10, "fun_2": 10, "money_1": 2})
    part = next(part for part in second.text.split("\n\n") if part.startswith("What moved since"))
    assert part.splitlines()[1:] == [
        "🎈 Fun / Recreation: up from 60% to 71%",
        "🪙 Money / Abundance: down from 60% to 54%",
    ]
    await ada.tap("Take it again")
    third = await done(viva, ada, value=6, other={"fun_1": 10, "fun_2": 10, "money_1": 2})
    assert "Every area stands as it did." in third.text


async def test_what_moved_comes_as_a_picture_too_and_an_area_shows_every_answer(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await ada.tap("Pause")
    attempt = await attempt_token(viva, ada)
    await ada.tap_data(assessment.RateTap(attempt=attempt, category="money", rating=9).pack())
    await done(viva, ada, value=6)
    assert len([screen for screen in ada.screens if screen.photo]) == 1
    await ada.tap("Take it again")
    own = "Honestly, it goes up and down. " * 20
    async with viva.database.as_user(await ada.user_id()).transaction() as db:
        await db.execute(
            """
            insert into assessment_responses (assessment_id, question_id, question_text, category, response_value,
                                              response_text, green_line)
            select id, 'money_1', 'How is it?', 'money', 4, $1, 'below' from assessment_results
             where status = 'in_progress'
            """,
            own,
        )
    attempt = await attempt_token(viva, ada)
    await ada.tap_data(answer_data(attempt, "money_2", 0))
    await put_in(viva, ada, value=6, without=("money_1", "money_2"))
    await ada.send("/assessment")
    await ada.tap("See my result")
    wheel, words, moved, next_steps = ada.screens[-4:]
    assert wheel.photo and words.text.startswith("Your result of")
    assert moved.photo and moved.text.startswith("What moved since") and "this time" in moved.text
    assert "🪙 Money / Abundance: down from 60% to 57%" in words.text
    image = Image.open(viva.telegram.chats.blob(viva.telegram.chats.file(moved.photo[-1]["file_id"])))
    assert image.height > image.width > 500

    message = next_steps.message["message_id"]
    screen = await ada.tap("Area by area")
    assert screen.message["message_id"] == message
    assert "\n🪙 Money / Abundance, 57%" in screen.text and len(screen.buttons) == 14
    screen = await ada.tap("Money")
    assert "Below for now, 57%: 34 of 60 points" in screen.text and "Down from 60% to 57% since" in screen.text
    for question in bank.questions_for("money", FACTS_OF_ADA):
        answer = {"money_1": own[:300].rstrip(), "money_2": "Does not apply to me."}.get(
            question.id, question.option(6).text
        )
        assert f"{'How is it?' if question.id == 'money_1' else question.text}\n{answer}" in screen.text
    assert "Social" not in screen.text
    screen = await ada.tap("Work")
    assert "Business / Career" in screen.text and "How do you go about it" not in screen.text
    await ada.tap("Area by area")
    screen = await ada.tap("The result")
    assert "Show the picture" in screen.buttons
    await ada.tap("Show the picture")
    assert len([screen for screen in ada.screens if screen.photo]) == 5


async def test_earlier_results_can_be_opened_as_they_were(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    await done(viva, ada, value=4)
    await ada.tap("Take it again")
    await done(viva, ada, value=8)
    before = await everything(viva, ada)
    screen = await ada.tap("Earlier results")
    assert [label.rpartition(", ")[2] for label in screen.buttons[:2]] == ["80%", "40%"]
    earlier = screen.data(", 40%")
    screen = await ada.tap(", 40%")
    assert "Overall 40%" in screen.text and "moved" not in screen.text
    screen = await ada.tap("Earlier results")
    screen = await ada.tap(", 80%")
    assert "Overall 80%" in screen.text and "Overall: up from 40% to 80%" in screen.text
    await ada.tap("Earlier results")
    screen = await ada.tap("Back")
    assert "Overall 80%" in screen.text and "Earlier results" in screen.buttons
    await ada.tap("Earlier results")
    screen = await ada.tap(", 40%")
    assert "Take it again" not in screen.buttons
    await ada.tap("Area by area")
    screen = await ada.tap("Fun")
    assert "Below for now, 40%: 28 of 70 points" in screen.text
    assert "Show the picture" in (await ada.tap("The result")).buttons

    eve = await viva.onboarded("Eve")
    await eve.send("/assessment")
    for data in (earlier, earlier[:-4], "a_past:nothing", f"a_past:{'0' * 32}"):
        screen = await eve.tap_data(data)
        assert "Begin" in screen.buttons and "40%" not in screen.text
    screen = await eve.tap_data("a_past:")
    assert screen.buttons == ["Back", "Main menu"]
    assert await everything(viva, ada) == before
    assert await viva.service_rows("select * from viva.work where state = 'parked'") == []


async def test_the_result_before_is_the_newest_one_before_it(viva: Viva) -> None:
    ada = await viva.onboarded()
    await begin(ada)
    for value in (2, 6, 10):
        shown_then = await done(viva, ada, value=value)
        await ada.tap("Take it again")
    assert "Overall: up from 60% to 100%" in shown_then.text
    screen = await ada.tap("Back")
    screen = await ada.tap("My last result")
    assert "Overall: up from 60% to 100%" in screen.text


def test_every_button_of_every_question_fits_telegrams_64_bytes() -> None:
    for question in bank.bank().question:
        for value in (*bank.VALUES, 0):
            assert len(answer_data("01234567", question.id, value, again=True).encode()) <= 64
        assert len(assessment.QuestionTap(attempt="01234567", question=question.id).pack().encode()) <= 64
    for fact in FACTS:
        for known in fact_questions()[fact].values:
            tap = assessment.FactTap(attempt="01234567", fact=fact, value=known.value, chapter=True)
            assert len(tap.pack().encode()) <= 64
            assert len(known.label) <= 28
    for area in CATEGORIES:
        assert len(assessment.GoTap(attempt="01234567", to="on", after=area.key).pack().encode()) <= 64
        assert len(assessment.RateTap(attempt="01234567", category=area.key, rating=10).pack().encode()) <= 64
        assert len(assessment.WORDS("draft_vision", area=area.short)) <= 28
