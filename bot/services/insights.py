"""The rules of the insights: what a model is given, and what of its answer holds.

The checks need no model. An insight holds only where the answers it names are there and bear it; what does not hold
is never shown.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from bot.ai import tokens
from prompts import insights as prompts
from prompts.categories import CATEGORIES
from prompts.insights import Answer, Area, Seen
from storage.insights import Insight

LONGEST_TITLE = 80
LONGEST_DESCRIPTION = 600
MOST_ANSWERS = 8
"""Answers that one insight may rest on."""

TOKENS_EACH = 170
"""Output tokens of an insight, with room for any script."""

_QUOTED = re.compile(r"“([^”]+)”|\"([^\"]+)\"|„([^“”]+)[“”]|«([^»]+)»")
_NUMBER = re.compile(r"\d+")
_CLINICAL = re.compile(
    r"\b(?:diagnos\w*|disorders?|depress(?:ion|ed|ive)|anxiety disorder|trauma\w*|narcissis\w*|bipolar|adhd|ptsd|"
    r"burn-?out|patholog\w*|symptoms?|medication|therap(?:y|ist|ies))\b",
    re.I,
)


def room(areas: Sequence[Area]) -> tuple[int, int]:
    """The most and the least output tokens for the insights into these answers."""
    wanted = least(areas)
    return TOKENS_EACH * max(wanted, min(prompts.MOST, _count(areas))) + 100, TOKENS_EACH * wanted + 100


def price(areas: Sequence[Area]) -> tuple[int, int]:
    """How many tokens it takes to read these answers: once, and at most, when the model is asked once again."""
    given = tokens.count_messages(prompts.messages(areas))
    most, few = room(areas)
    return given + few // 2, 2 * given + 3 * most


def least(areas: Sequence[Area]) -> int:
    """How many insights there should be: six, or one for each answer where there are fewer answers."""
    return min(prompts.LEAST, _count(areas))


def _count(areas: Sequence[Area]) -> int:
    return sum(len(area.answers) for area in areas)


def check(seen: Sequence[Seen], areas: Sequence[Area]) -> tuple[list[Seen], list[str]]:
    """The insights that hold, at most twelve, and what is wrong with the others and the whole, in words for a model."""
    answers = {answer.id: answer for area in areas for answer in area.answers}
    categories = {answer.id: area.key for area in areas for answer in area.answers}
    kept: list[Seen] = []
    findings: list[str] = []
    for number, insight in enumerate(seen, start=1):
        wrong = list(_faults(insight, answers, categories))
        if any(_same(insight, other) for other in kept):
            wrong.append("it says again what an earlier one says")
        if wrong:
            findings.append(f"insight {number}: {'; '.join(wrong)}")
        elif len(kept) < prompts.MOST:
            kept.append(insight)
    if len(seen) > prompts.MOST:
        findings.append(f"there are {len(seen)} insights; give {prompts.MOST} at most")
    if len(kept) < least(areas):
        findings.append(f"only {len(kept)} insights hold; give at least {least(areas)}")
    return kept, findings


def joined(first: Sequence[Seen], second: Sequence[Seen]) -> list[Seen]:
    """The insights of both answers that hold, the second answer's first, each said once and twelve at most."""
    together = list(second)
    together += [insight for insight in first if not any(_same(insight, other) for other in together)]
    return together[: prompts.MOST]


def to_keep(kept: Sequence[Seen], assessment_id: uuid.UUID) -> list[Insight]:
    """The insights as they are stored, in the order they are shown."""
    return [
        Insight(
            id=uuid.uuid4(),
            assessment_id=assessment_id,
            category=insight.category,
            insight_type=insight.type,
            title=_plain(insight.title),
            description=_plain(insight.description),
            confidence_score=Decimal(str(round(insight.confidence, 2))),
            supporting_responses=list(dict.fromkeys(insight.rests_on)),
        )
        for insight in sorted(kept, key=lambda insight: prompts.TYPES.index(insight.type))
    ]


def _faults(insight: Seen, answers: Mapping[str, Answer], categories: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with an insight, in words for a model."""
    if insight.type not in prompts.TYPES:
        yield f"there is no such type; the types are {', '.join(prompts.TYPES)}"
    if insight.category not in {category.key for category in CATEGORIES}:
        yield "there is no such category"
    if not (math.isfinite(insight.confidence) and 0 <= insight.confidence <= 1):
        yield "the confidence is not between 0 and 1"
    title, description = _plain(insight.title), _plain(insight.description)
    if not title or len(title) > LONGEST_TITLE:
        yield f"the title is empty or longer than {LONGEST_TITLE} characters"
    if not description or len(description) > LONGEST_DESCRIPTION:
        yield f"the description is empty or longer than {LONGEST_DESCRIPTION} characters"
    ids = list(dict.fromkeys(insight.rests_on))
    unknown = [question_id for question_id in ids if question_id not in answers]
    if not ids:
        yield "it rests on no answer"
    elif unknown:
        yield (
            f"it rests on {len(unknown)} id that was not given"
            if len(unknown) == 1
            else (f"it rests on {len(unknown)} ids that were not given")
        )
    elif len(ids) > MOST_ANSWERS:
        yield f"it rests on more than {MOST_ANSWERS} answers"
    else:
        yield from _unborne(insight, [answers[question_id] for question_id in ids], {categories[each] for each in ids})


def _unborne(insight: Seen, answers: Sequence[Answer], categories: set[str]) -> Iterator[str]:
    """Where the answers that an insight names do not bear it."""
    if insight.category not in categories:
        yield "none of its answers is of its category"
    standings = {answer.standing for answer in answers}
    if insight.type == "strength" and "above" not in standings:
        yield "it is called a strength, and none of its answers stands above"
    if insight.type == "growth_area" and standings == {"above"}:
        yield "it is called a growth area, and all of its answers stand above"
    text = f"{insight.title}\n{insight.description}"
    given = "\n".join(f"{answer.question}\n{answer.answer}" for answer in answers)
    for groups in _QUOTED.findall(text):
        quote = next(group for group in groups if group)
        if _folded(quote) not in _folded(given):
            yield "it quotes words that none of its answers holds"
            break
    if not set(_NUMBER.findall(text)) <= set(_NUMBER.findall(given)):
        yield "it has a number that none of its answers holds"
    said = {word.casefold() for word in _CLINICAL.findall(given)}
    if any(word.casefold() not in said for word in _CLINICAL.findall(text)):
        yield "it speaks of illness or treatment, which none of its answers does"


def _same(one: Seen, other: Seen) -> bool:
    return _folded(one.title) == _folded(other.title) or _folded(one.description) == _folded(other.description)


def _plain(text: str) -> str:
    """A model's text as it is kept: one paragraph, without the signs of a formatting that is not rendered."""
    return " ".join(text.replace("\0", "").replace("**", "").split())


def _folded(text: str) -> str:
    """The words of a text alone, for comparing."""
    return " ".join(re.findall(r"\w+", text.casefold()))
