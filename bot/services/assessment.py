"""The rules of the assessment: which questions are asked, what comes next, and what the answers add up to.

Everything here is a pure function of stored rows, so every score can be reproduced from them (domain section 2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Literal

from prompts import assessment as bank
from prompts.assessment import BranchUnknown, Question
from prompts.categories import CATEGORIES
from prompts.profile import Fact

Status = Literal["above", "transition", "below"]
STATUSES: tuple[Status, ...] = ("above", "transition", "below")

Gap = Literal["higher", "lower", "alike"]
GAPS: tuple[Gap, ...] = ("higher", "lower", "alike")
NEAR = 10
"""Percentage points between felt and measured up to which they are called alike: one step of ten."""

BEST_VALUE = max(bank.VALUES)
LONGEST_REASON = 300
FULL_CATEGORY = bank.QUESTIONS_PER_CATEGORY * BEST_VALUE


@dataclass(frozen=True, kw_only=True)
class CategoryScore:
    """A category: the sum of its answers, and the most they could have been (answered questions x 10).

    `status` is None until every asked question is answered or does not apply, and where none applies.
    """

    score: int
    maximum: int
    status: Status | None
    complete: bool

    @property
    def ratio(self) -> float | None:
        """The share of the maximum, 0..1; None where nothing was answered."""
        return self.score / self.maximum if self.maximum else None

    @property
    def percentage(self) -> int | None:
        """The share of the maximum, 0..100, rounded."""
        return percentage(self.score, self.maximum)


@dataclass(frozen=True, kw_only=True)
class Scores:
    """What an assessment adds up to; the categories by key, in display order."""

    total: int
    maximum: int
    percentage: int | None
    categories: dict[str, CategoryScore]

    @property
    def complete(self) -> bool:
        """Whether every asked question is answered or does not apply."""
        return all(category.complete for category in self.categories.values())


def percentage(score: int, maximum: int) -> int | None:
    """`score` of `maximum` in percent, a half rounded up; None of nothing."""
    return (200 * score + maximum) // (2 * maximum) if maximum else None


def status_of(score: int, maximum: int) -> Status | None:
    """Where a complete category stands, by the unrounded ratio: from 0.80 above, from 0.60 transition, else below."""
    if maximum == 0:
        return None
    if 10 * score >= 8 * maximum:
        return "above"
    return "transition" if 10 * score >= 6 * maximum else "below"


def score(asked: Mapping[str, Sequence[str]], answers: Mapping[str, int], not_applicable: Set[str]) -> Scores:
    """What the answers to the questions `asked` (ids by category) add up to.

    Answers to other questions are left out, and so is what does not apply. A category of which nothing is asked yet
    (its branch is unknown) is not complete.
    """
    categories = {}
    for category in CATEGORIES:
        ids = asked.get(category.key, ())
        values = [answers[key] for key in ids if key in answers and key not in not_applicable]
        total, maximum = sum(values), BEST_VALUE * len(values)
        complete = bool(ids) and all(key in answers or key in not_applicable for key in ids)
        categories[category.key] = CategoryScore(
            score=total, maximum=maximum, status=status_of(total, maximum) if complete else None, complete=complete
        )
    total = sum(category.score for category in categories.values())
    maximum = sum(category.maximum for category in categories.values())
    return Scores(total=total, maximum=maximum, percentage=percentage(total, maximum), categories=categories)


def strongest_and_weakest(scores: Scores, *, count: int = 3) -> tuple[list[str], list[str]]:
    """The keys of the strongest categories, best first, and of the weakest, lowest first; none is in both.

    Categories without a status are left out; where all stand level, both are empty. Ties keep the display order.
    """
    ratios = {key: category.ratio or 0.0 for key, category in scores.categories.items() if category.status}
    if len(set(ratios.values())) < 2:
        return [], []
    falling = sorted(ratios, key=lambda key: -ratios[key])
    rising = sorted(ratios, key=lambda key: ratios[key])
    weakest = rising[: min(count, len(ratios) // 2)]
    strongest = [key for key in falling if key not in weakest][:count]
    return strongest, weakest


def gap(rating: int, measured: int) -> Gap:
    """How a self-rating (1 to 10) stands to what was measured (percent): felt higher, felt lower, or alike."""
    difference = 10 * rating - measured
    if abs(difference) <= NEAR:
        return "alike"
    return "higher" if difference > 0 else "lower"


def moves(before: Scores, now: Scores) -> dict[str, tuple[int, int]]:
    """What moved between two results: (percent before, percent now) by category, where both have one and differ."""
    found = {}
    for key, scored in now.categories.items():
        earlier, later = before.categories[key].percentage, scored.percentage
        if earlier is not None and later is not None and earlier != later:
            found[key] = (earlier, later)
    return found


def facts(
    *, has_children: bool | None, relationship_status: str | None, employment_type: str | None
) -> dict[Fact, str | None]:
    """The facts on which questions branch, as the question bank reads them."""
    children = None if has_children is None else str(has_children).lower()
    return {
        "has_children": children,
        "relationship_status": relationship_status,
        "employment_type": employment_type,
    }


def mark(question: Question) -> str:
    """Six characters that change with the words of a question: an answer counts for the words it was given to."""
    words = "\n".join((question.text, *question.options))
    return hashlib.sha256(words.encode()).hexdigest()[:6]


def one_line(text: str) -> str:
    """A model's sentence as it is kept and shown: one line of at most 300 characters."""
    line = " ".join(text.replace("\0", "").split())
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1].rstrip() + "…"


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """An assessment in progress: the questions that fit the person now, and what was said to them.

    `chapters` are the questions by category; a chapter of which the branch is unknown has none, and the fact it waits
    for is in `unknown`.
    """

    chapters: Mapping[str, tuple[Question, ...]]
    unknown: Mapping[str, Fact]
    answers: Mapping[str, int]
    not_applicable: Set[str]

    @classmethod
    def of(cls, *, facts: Mapping[Fact, str | None], answers: Mapping[str, int], not_applicable: Set[str]) -> Sheet:
        """The sheet for a person of whom these facts are known."""
        chapters: dict[str, tuple[Question, ...]] = {}
        unknown: dict[str, Fact] = {}
        for category in CATEGORIES:
            try:
                chapters[category.key] = bank.questions_for(category.key, facts)
            except BranchUnknown as error:
                chapters[category.key] = ()
                unknown[category.key] = error.fact
        return cls(chapters=chapters, unknown=unknown, answers=answers, not_applicable=not_applicable)

    def with_answer(self, question: Question, value: int) -> Sheet:
        """The sheet once this was answered."""
        return replace(
            self, answers={**self.answers, question.id: value}, not_applicable=self.not_applicable - {question.id}
        )

    def with_not_applicable(self, question: Question) -> Sheet:
        """The sheet once the person said that this does not apply to them."""
        answers = {key: value for key, value in self.answers.items() if key != question.id}
        return replace(self, answers=answers, not_applicable=self.not_applicable | {question.id})

    @property
    def scores(self) -> Scores:
        """What the answers to the questions asked now add up to."""
        asked = {key: [question.id for question in questions] for key, questions in self.chapters.items()}
        return score(asked, self.answers, self.not_applicable)

    def question(self, question_id: str) -> Question | None:
        """The question in the person's words; None when it is unknown or not asked of them now."""
        asked = (question for questions in self.chapters.values() for question in questions)
        return next((question for question in asked if question.id == question_id), None)

    def settled(self, question: Question) -> bool:
        """Whether the question is answered or does not apply."""
        return question.id in self.answers or question.id in self.not_applicable

    def first_open(self, category: str, *, after: Question | None = None) -> Question | None:
        """The next open question of a chapter, from `after` on and round to the start; None when all are settled."""
        questions = self.chapters[category]
        start = questions.index(after) + 1 if after is not None else 0
        return next((each for each in questions[start:] + questions[:start] if not self.settled(each)), None)

    def neighbour(self, question: Question, *, step: Literal[-1, 1]) -> Question | None:
        """The question before or after in the same chapter."""
        questions = self.chapters[question.category]
        place = questions.index(question) + step
        return questions[place] if 0 <= place < len(questions) else None

    def complete(self, category: str) -> bool:
        """Whether every question of the chapter is settled."""
        return category not in self.unknown and self.first_open(category) is None

    def begun(self, category: str) -> bool:
        """Whether a question of the chapter is settled."""
        return any(self.settled(question) for question in self.chapters[category])

    def open_chapter(self, *, after: str | None = None) -> str | None:
        """The next chapter that is not complete, looking on from `after` and round to the start; None when all are."""
        keys = list(self.chapters)
        start = keys.index(after) + 1 if after is not None else 0
        return next((key for key in keys[start:] + keys[:start] if not self.complete(key)), None)

    def place(self, last_question: str | None) -> str | None:
        """The chapter to go on with, after `last_question` was the last to be settled; None when all are complete."""
        try:
            latest = bank.question(last_question).category if last_question is not None else None
        except ValueError:
            latest = None
        return latest if latest is not None and not self.complete(latest) else self.open_chapter(after=latest)

    def set_aside(self, category: str) -> bool:
        """Whether answers of the chapter are kept that do not count, because another branch fits now."""
        asked = {question.id for question in self.chapters[category]}
        others = (question.id for question in bank.bank().question if question.category == category)
        return bool(asked) and any(key in self.answers and key not in asked for key in others)


def as_stored(
    *,
    total: int,
    maximum: int,
    category_scores: Mapping[str, int],
    green_line_status: Mapping[str, str],
    answers: Mapping[str, int],
    not_applicable: Set[str],
    facts: Mapping[Fact, str | None],
) -> Scores:
    """The scores of a completed assessment, as they were stored when it was completed.

    The seed has no column for the maximum of a category: it is reproduced from the answers. Of a category that
    branches, that branch counted whose answers give what is stored; the one that `facts` name is tried first.
    A result without its answers (of another program) had the seed's full maximum.
    """
    asked = counted(
        category_scores=category_scores,
        green_line_status=green_line_status,
        answers=answers,
        not_applicable=not_applicable,
        facts=facts,
    )
    reproduced = score(asked, answers, not_applicable).categories
    categories = {}
    for key in reproduced:
        status = next((each for each in STATUSES if each == green_line_status.get(key)), None)
        unknown = 0 if status is None else FULL_CATEGORY
        categories[key] = CategoryScore(
            score=category_scores.get(key, 0),
            maximum=reproduced[key].maximum if asked[key] else unknown,
            status=status,
            complete=True,
        )
    return Scores(total=total, maximum=maximum, percentage=percentage(total, maximum), categories=categories)


def counted(
    *,
    category_scores: Mapping[str, int],
    green_line_status: Mapping[str, str],
    answers: Mapping[str, int],
    not_applicable: Set[str],
    facts: Mapping[Fact, str | None],
) -> dict[str, list[str]]:
    """The ids of the questions that a completed assessment counted, by category; none where no branch gives that."""
    found: dict[str, list[str]] = {}
    for category in CATEGORIES:
        stored = category_scores.get(category.key, 0), green_line_status.get(category.key)
        found[category.key] = []
        for branch in _branches(category.key, facts):
            reproduced = score({category.key: branch}, answers, not_applicable).categories[category.key]
            if reproduced.complete and (reproduced.score, reproduced.status) == stored:
                found[category.key] = branch
                break
    return found


def _branches(category: str, facts: Mapping[Fact, str | None]) -> list[list[str]]:
    """The question ids of every branch of a category, the fitting one first."""
    try:
        fitting, _ = bank.branch_of(category, facts)
    except BranchUnknown:
        fitting = ""
    branches: dict[str, list[str]] = {}
    for question in bank.bank().question:
        if question.category == category:
            branches.setdefault(question.branch, []).append(question.id)
    return sorted(branches.values(), key=lambda ids: ids != branches.get(fitting))
