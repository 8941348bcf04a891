"""What answers add up to: reproducible from the stored rows, whatever their order, and exact at the edges."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from bot.services import assessment as rules
from bot.services.assessment import CategoryScore, Scores, Sheet, Status
from prompts import assessment as bank
from prompts.assessment import BRANCHES, VALUES
from prompts.categories import CATEGORIES
from prompts.profile import FACTS, Fact, fact_questions

KEYS = [category.key for category in CATEGORIES]
ALL_IDS = [question.id for question in bank.bank().question]
KNOWN: dict[Fact, str | None] = {
    "has_children": "true",
    "relationship_status": "single",
    "employment_type": "employee",
}

answers_to_anything = some.dictionaries(some.sampled_from(ALL_IDS), some.sampled_from(VALUES))
any_facts = some.fixed_dictionaries(
    {fact: some.sampled_from([None, *(value.value for value in fact_questions()[fact].values)]) for fact in FACTS}
)
known_facts = some.fixed_dictionaries(
    {fact: some.sampled_from([value.value for value in fact_questions()[fact].values]) for fact in FACTS}
)


def one_category(values: list[int], *, not_applicable: int = 0, unanswered: int = 0) -> CategoryScore:
    """Money with these answers, then so many that do not apply, then so many unanswered."""
    ids = [f"money_{number}" for number in range(1, len(values) + not_applicable + unanswered + 1)]
    answers = dict(zip(ids, values, strict=False))
    apart = set(ids[len(values) : len(values) + not_applicable])
    return rules.score({"money": ids}, answers, apart).categories["money"]


def adding_up_to(total: int) -> list[int]:
    """Seven answers with this sum."""
    values = [2] * 7
    for place in range(7):
        values[place] += min(8, total - sum(values))
    assert sum(values) == total
    return values


@pytest.mark.parametrize(
    ("total", "status"), [(70, "above"), (56, "above"), (54, "transition"), (42, "transition"), (40, "below")]
)
def test_seven_answers_stand_as_the_seed_says(total: int, status: Status) -> None:
    scored = one_category(adding_up_to(total))
    assert (scored.score, scored.maximum, scored.status) == (total, 70, status)


@pytest.mark.parametrize(
    ("score", "status"), [(56, "above"), (55, "transition"), (42, "transition"), (41, "below"), (0, "below")]
)
def test_the_edges_are_unrounded(score: int, status: Status) -> None:
    assert rules.status_of(score, 70) == status


def test_what_rounds_to_eighty_is_not_above() -> None:
    assert rules.percentage(797, 1000) == 80
    assert rules.status_of(797, 1000) == "transition"
    assert rules.status_of(599, 1000) == "below"


@given(some.integers(0, 84), some.data())
def test_a_percentage_is_rounded_with_a_half_going_up(answered: int, data: some.DataObject) -> None:
    maximum = answered * 10
    score = data.draw(some.integers(0, maximum))
    found = rules.percentage(score, maximum)
    if maximum == 0:
        assert found is None
        return
    assert found is not None and 0 <= found <= 100
    distance = Fraction(100 * score, maximum) - found
    assert Fraction(-1, 2) <= distance < Fraction(1, 2)


@given(answers_to_anything, some.sets(some.sampled_from(ALL_IDS)), any_facts, some.randoms())
def test_a_score_does_not_depend_on_any_order(
    answers: dict[str, int], apart: set[str], facts: dict[Fact, str | None], chance: random.Random
) -> None:
    sheet = Sheet.of(facts=facts, answers=answers, not_applicable=apart)
    asked = {key: [question.id for question in questions] for key, questions in sheet.chapters.items()}
    shuffled = {key: chance.sample(ids, len(ids)) for key, ids in chance.sample(list(asked.items()), len(asked))}
    mixed = dict(chance.sample(list(answers.items()), len(answers)))
    assert rules.score(shuffled, mixed, apart) == rules.score(asked, answers, apart) == sheet.scores
    assert list(rules.score(shuffled, mixed, apart).categories) == KEYS


@given(answers_to_anything, some.sets(some.sampled_from(ALL_IDS)), any_facts)
def test_only_what_is_asked_now_and_applies_counts(
    answers: dict[str, int], apart: set[str], facts: dict[Fact, str | None]
) -> None:
    sheet = Sheet.of(facts=facts, answers=answers, not_applicable=apart)
    asked = {question.id for questions in sheet.chapters.values() for question in questions}
    counted = {key: value for key, value in answers.items() if key in asked and key not in apart}
    assert sheet.scores.total == sum(counted.values())
    assert sheet.scores.maximum == 10 * len(counted)
    assert sheet.scores.complete == (not sheet.unknown and asked <= answers.keys() | apart)
    for key, scored in sheet.scores.categories.items():
        assert scored.complete == sheet.complete(key)
        assert (scored.status is not None) == (scored.complete and scored.maximum > 0)
        assert scored.score <= scored.maximum


@given(some.lists(some.sampled_from(VALUES), min_size=0, max_size=7))
def test_what_does_not_apply_leaves_the_maximum(values: list[int]) -> None:
    scored = one_category(values, not_applicable=7 - len(values))
    assert scored.complete
    assert (scored.score, scored.maximum) == (sum(values), 10 * len(values))
    assert scored.status == rules.status_of(sum(values), 10 * len(values))
    assert (scored.status is None) == (not values)


@given(some.lists(some.sampled_from(VALUES), min_size=0, max_size=6))
def test_an_unfinished_category_has_no_status_yet(values: list[int]) -> None:
    scored = one_category(values, unanswered=7 - len(values))
    assert not scored.complete and scored.status is None
    assert scored.maximum == 10 * len(values)


def test_an_assessment_of_which_nothing_applies_has_no_score_and_no_status() -> None:
    asked = {question.id for key in KEYS for question in bank.questions_for(key, KNOWN)}
    scores = Sheet.of(facts=KNOWN, answers={}, not_applicable=asked).scores
    assert scores.complete
    assert (scores.total, scores.maximum, scores.percentage) == (0, 0, None)
    assert {scored.status for scored in scores.categories.values()} == {None}
    assert rules.strongest_and_weakest(scores) == ([], [])


@given(known_facts, some.data())
@settings(max_examples=50)
def test_a_completed_assessment_is_reproduced_from_its_stored_rows(
    facts: dict[Fact, str | None], data: some.DataObject
) -> None:
    said = {key: data.draw(some.sampled_from((0, *VALUES))) for key in ALL_IDS}
    answers = {key: value for key, value in said.items() if value}
    apart = {key for key, value in said.items() if not value}
    scores = Sheet.of(facts=facts, answers=answers, not_applicable=apart).scores
    assert scores.complete
    stored = rules.as_stored(
        total=scores.total,
        maximum=scores.maximum,
        category_scores={key: each.score for key, each in scores.categories.items() if each.status},
        green_line_status={key: each.status for key, each in scores.categories.items() if each.status},
        answers=answers,
        not_applicable=apart,
        facts=facts,
    )
    assert stored == scores
    counted = rules.counted(
        category_scores={key: each.score for key, each in scores.categories.items() if each.status},
        green_line_status={key: each.status for key, each in scores.categories.items() if each.status},
        answers=answers,
        not_applicable=apart,
        facts=facts,
    )
    assert rules.score(counted, answers, apart) == scores, "the rows alone give every score"


def test_a_completed_assessment_keeps_the_branch_it_was_asked_after_the_fact_changes() -> None:
    answers = {question.id: 8 for key in KEYS for question in bank.questions_for(key, KNOWN)}
    answers |= {f"family_non_parents_{number}": 2 for number in range(1, 8)}
    del answers["family_parents_7"]
    scores = Sheet.of(facts=KNOWN, answers=answers, not_applicable={"family_parents_7"}).scores
    assert (scores.categories["family"].score, scores.categories["family"].maximum) == (48, 60)
    stored = rules.as_stored(
        total=scores.total,
        maximum=scores.maximum,
        category_scores={key: each.score for key, each in scores.categories.items()},
        green_line_status={key: str(each.status) for key, each in scores.categories.items()},
        answers=answers,
        not_applicable={"family_parents_7"},
        facts={**KNOWN, "has_children": "false"},
    )
    assert stored == scores


def test_a_result_of_another_program_is_read_with_the_seeds_full_maximum() -> None:
    stored = rules.as_stored(
        total=100,
        maximum=840,
        category_scores={"money": 56, "health": 44},
        green_line_status={"money": "above", "health": "transition"},
        answers={},
        not_applicable=set(),
        facts=dict.fromkeys(FACTS),
    )
    assert stored.categories["money"] == CategoryScore(score=56, maximum=70, status="above", complete=True)
    assert stored.categories["health"].percentage == 63
    assert stored.categories["fun"].status is None and stored.categories["fun"].ratio is None


def scores_of(ratios: dict[str, int]) -> Scores:
    """Scores with these points of 70; categories left out do not apply."""
    categories = {
        key: CategoryScore(
            score=ratios.get(key, 0),
            maximum=70 if key in ratios else 0,
            status=rules.status_of(ratios[key], 70) if key in ratios else None,
            complete=True,
        )
        for key in KEYS
    }
    return Scores(total=0, maximum=0, percentage=None, categories=categories)


@given(some.dictionaries(some.sampled_from(KEYS), some.integers(14, 70)))
def test_strongest_and_weakest_never_overlap_and_are_ranked(points: dict[str, int]) -> None:
    strongest, weakest = rules.strongest_and_weakest(scores_of(points))
    assert not set(strongest) & set(weakest)
    assert len(strongest) <= 3 and len(weakest) <= 3
    if len(set(points.values())) < 2:
        assert strongest == weakest == []
        return
    assert strongest and weakest
    if len(points) >= 6:
        assert len(strongest) == len(weakest) == 3
    assert [points[key] for key in strongest] == sorted(points.values(), reverse=True)[: len(strongest)]
    assert [points[key] for key in weakest] == sorted(points.values())[: len(weakest)]


@given(answers_to_anything, some.sets(some.sampled_from(ALL_IDS)), any_facts, some.sampled_from([None, *ALL_IDS]))
def test_there_is_always_a_way_on_until_everything_is_settled(
    answers: dict[str, int], apart: set[str], facts: dict[Fact, str | None], last: str | None
) -> None:
    sheet = Sheet.of(facts=facts, answers=answers, not_applicable=apart - answers.keys())
    place = sheet.place(last)
    if place is None:
        assert sheet.scores.complete
        return
    assert not sheet.complete(place)
    question = sheet.first_open(place)
    if question is None:
        assert place in sheet.unknown
        return
    assert not sheet.settled(question)
    assert sheet.with_answer(question, 6).settled(question)
    assert sheet.with_not_applicable(question).settled(question)
    assert sheet.with_answer(question, 6).scores.total == sheet.scores.total + 6


def test_answering_and_not_applying_take_each_others_place() -> None:
    question = bank.question("fun_1")
    sheet = Sheet.of(facts=KNOWN, answers={}, not_applicable=set())
    sheet = sheet.with_answer(question, 8)
    assert (sheet.answers, sheet.not_applicable) == ({"fun_1": 8}, set())
    sheet = sheet.with_not_applicable(question)
    assert (sheet.answers, sheet.not_applicable) == ({}, {"fun_1"})
    sheet = sheet.with_answer(question, 2)
    assert (sheet.answers, sheet.not_applicable) == ({"fun_1": 2}, set())


@pytest.mark.parametrize("category", list(BRANCHES))
def test_a_changed_fact_keeps_old_answers_out_of_the_score(category: str) -> None:
    fact = BRANCHES[category][0]
    ids = [question.id for question in bank.questions_for(category, KNOWN)]
    answers = dict.fromkeys(ids, 10)
    assert Sheet.of(facts=KNOWN, answers=answers, not_applicable=set()).scores.total == 70
    branch, _ = bank.branch_of(category, KNOWN)
    other = next(value.value for value in fact_questions()[fact].values if value.branch != branch)
    changed = Sheet.of(facts={**KNOWN, fact: other}, answers=answers, not_applicable=set())
    assert changed.scores.total == 0
    assert changed.set_aside(category) and not changed.begun(category)
    again = Sheet.of(facts=KNOWN, answers=answers, not_applicable=set())
    assert again.scores.total == 70 and not again.set_aside(category)


def test_words_have_a_mark_that_changes_with_them() -> None:
    marks = [rules.mark(question) for question in bank.bank().question]
    assert len(set(marks)) == len(marks) and {len(mark) for mark in marks} == {6}
    question = bank.question("fun_1")
    assert rules.mark(question) == rules.mark(question.model_copy())
    assert rules.mark(question) != rules.mark(question.model_copy(update={"text": question.text + " "}))


def test_facts_are_read_without_defaults() -> None:
    unknown = rules.facts(has_children=None, relationship_status=None, employment_type=None)
    assert set(unknown.values()) == {None}
    known = rules.facts(has_children=False, relationship_status="widowed", employment_type="retired")
    assert known == {"has_children": "false", "relationship_status": "widowed", "employment_type": "retired"}


@pytest.mark.parametrize(
    ("rating", "measured", "gap"),
    [(7, 70, "alike"), (7, 60, "alike"), (7, 80, "alike"), (7, 59, "higher"), (7, 81, "lower"), (1, 20, "alike")],
)
def test_felt_and_measured_are_alike_within_a_step_of_ten(rating: int, measured: int, gap: str) -> None:
    assert rules.gap(rating, measured) == gap
