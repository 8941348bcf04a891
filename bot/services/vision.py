"""The rules of the life vision: what a section is written from, how long it may be, and what to look at in it.

The checks need no model. They find what the prompt forbids (domain section 3) by its form, so they can err; what
they find is shown as a gentle note and stops nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.ai import tokens
from bot.services import assessment
from bot.services import profile as profiles
from prompts import assessment as bank
from prompts.assessment import BranchUnknown
from prompts.categories import SECTIONS, Section, category
from prompts.profile import Fact
from prompts.vision import Material
from storage.profile import Profile
from storage.vision import Answer

LATER = ("forward", "conclusion")
"""Sections woven from the other twelve, once those stand (domain section 4)."""

DRAFTED = tuple(section for section in SECTIONS if section.key not in LATER)
"""The sections that are drafted from what a person says, in the order of reading."""


def section(key: object) -> Section | None:
    """The section that is drafted under this key, or None for any other key."""
    return next((section for section in DRAFTED if section.key == key), None)


# ---------------------------------------------------------------------------------------- material


def material(
    section: Section,
    *,
    imagination: str,
    answers: Sequence[Answer],
    existing: str,
    previous: str,
    profile: Profile,
) -> Material:
    """What a section is written from."""
    return Material(
        section=section,
        imagination=imagination,
        answers=[(answer.question_text, answer.response_text) for answer in fitting(section.key, answers, profile)],
        existing=existing,
        previous=previous,
        person=[f"{name}: {value}" for name, value in profiles.known(profile, category_key=section.key)],
    )


def fitting(category_key: str, answers: Sequence[Answer], profile: Profile) -> list[Answer]:
    """The answers to questions that fit the person now; all of them where it is not known which fit.

    A changed fact keeps the old answers but takes them out (domain section 2).
    """
    facts: Mapping[Fact, str | None] = assessment.facts(
        has_children=profile.has_children,
        relationship_status=profile.relationship_status,
        employment_type=profile.employment_type,
    )
    try:
        asked = {question.id for question in bank.questions_for(category_key, facts)}
    except BranchUnknown:
        return list(answers)
    return [answer for answer in answers if answer.question_id in asked]


def room(material: Material) -> tuple[int, int]:
    """The most and the least output tokens for a section: in keeping with what was told, and what stands besides."""
    told = tokens.count(material.imagination)
    standing = math.ceil(1.3 * tokens.count(material.existing)) if material.existing.strip() else 0
    most = max(300, min(math.ceil(2.5 * told) + 200, max(1200, math.ceil(1.3 * told))))
    return most + standing, 150 + standing


def tidy(text: str) -> str:
    """A model's text without what it was asked to leave out: a heading, and quotation marks around the whole."""
    lines = text.strip().split("\n")
    heading = lines[0].strip().lstrip("#").strip(" *_:")
    labels = {label.casefold() for section in SECTIONS for label in (section.label, section.key)}
    if len(lines) > 1 and (lines[0].startswith("#") or heading.casefold() in labels):
        lines = lines[1:]
    body = "\n".join(lines).strip()
    for opening, closing in (('"', '"'), ("“", "”"), ("«", "»"), ("„", "“")):
        inside = body[1:-1]
        if len(body) > 2 and body[0] == opening and body[-1] == closing and not {opening, closing} & set(inside):
            body = inside.strip()
    return body


# ------------------------------------------------------------------------------------------ checks


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to look at in a text. `words` are those it is about, as they stand there.

    added: a name, place or number that was not given; turn: a turn that looks ahead or compares; person: not the
    first person; past: not the present; long, short: the length is far from what was told.
    """

    kind: Literal["added", "turn", "person", "past", "long", "short"]
    words: tuple[str, ...] = ()


def findings(text: str, material: Material, *, whole: bool = True) -> list[Finding]:
    """What to look at in a section's text, the weightiest first; `whole` is False for a text that broke off."""
    english = is_english(text)
    found = []
    if added := _added(text, material, english=english):
        found.append(Finding(kind="added", words=added))
    if english:
        if turns := _turns(text):
            found.append(Finding(kind="turn", words=turns))
        found += _grammar(text)
    return [*found, *_length(text, material, whole=whole)]


WORD = re.compile(r"[^\W\d_]+(?:[’'\-][^\W\d_]+)*")
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_OF_ENGLISH = re.compile(r"the|and|my|I|our|with|this|that|are|they|from|when|have|each|every|to")
_NUMBER_WORDS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "fifteen": "15",
    "twenty": "20",
    "thirty": "30",
    "forty": "40",
    "fifty": "50",
    "hundred": "100",
    "thousand": "1000",
    "million": "1000000",
}


def is_english(text: str) -> bool:
    """Whether the small words of a text are those of English; "I" counts as a capital only."""
    words = WORD.findall(text)
    small = [word for word in words if _OF_ENGLISH.fullmatch(word) or _OF_ENGLISH.fullmatch(word.lower())]
    return len(small) * 12 >= len(words) > 0


def _added(text: str, material: Material, *, english: bool) -> tuple[str, ...]:
    """Names, places and numbers that stand in the text but in nothing that was given."""
    given = "\n".join(_given(material))
    known = {form for word in WORD.findall(given) for form in _forms(word)}
    numbers = {_digits(number) for number in NUMBER.findall(given)}
    numbers |= {_NUMBER_WORDS[word] for word in known if word in _NUMBER_WORDS}
    names = [word for word in _names(text, english=english) if not _forms(word) & known]
    counted = [number for number in NUMBER.findall(text) if _digits(number) not in numbers]
    if english:
        words = [word for word in WORD.findall(text) if word.lower() in _NUMBER_WORDS]
        counted += [word for word in words if _NUMBER_WORDS[word.lower()] not in numbers]
    return tuple(dict.fromkeys([*names, *counted]))


def _given(material: Material) -> Iterator[str]:
    yield material.imagination
    yield material.existing
    yield material.section.label
    yield from material.person
    for asked, answer in material.answers:
        yield asked
        yield answer


def _names(text: str, *, english: bool) -> list[str]:
    """Words with a capital inside a sentence; none for a language that gives every noun one."""
    inside = [found.group() for found in WORD.finditer(text) if not _begins_sentence(text, found.start())]
    names = [word for word in inside if word[0].isupper() and re.split("[’']", word)[0] != "I"]
    if not english and len(names) * 8 > len(inside):
        return []
    return names


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"“”„‘’'«»()[]–—-*")
    return not before or before[-1] in ".!?…:\n。！？"


def _forms(word: str) -> set[str]:
    """The forms under which a word counts as the same: without a possessive or plural s, whole and in its parts."""
    folded = word.casefold().replace("’", "'")
    forms = set()
    for part in {folded, *folded.split("-")}:
        plain = part.removesuffix("'s").removesuffix("'")
        forms |= {plain, plain.removesuffix("s") if len(plain) > 3 else plain}
    return forms


def _digits(number: str) -> str:
    return number.replace(",", "").replace(".", "").replace(":", "")


_TURNS = [
    re.compile(pattern, re.I)
    for pattern in (
        r"(?<!\bfree )(?<!\bgood )(?<!\bmy )(?<!\bown )\bwill\b(?!-)",
        r"\b\w+[’']ll\b",
        r"\bwant(?:s|ed)? to\b",
        r"\bwish(?:es)? (?:to|that|for|I|we|my|our)\b",
        r"\bhop(?:e|es|ing) (?:to|that|for|I|we|my|our)\b",
        r"\bshould\b",
        r"\b(?:am|is|are|[’'](?:m|re|s)) going to (?!(?:the|a|an|my|our|bed|sleep|church|school|work)\b)\w+",
        r"\b(?:one|some) day\b|\bsomeday\b",
        r"\bno longer\b|\bany ?more\b",
        r"\b(?:I|we|it|they) used to\b",
        r"\bmore than\b(?! enough)",
        r"\b(?:better|less|fewer) than\b",
    )
]


def _turns(text: str) -> tuple[str, ...]:
    """Turns that put off, miss or compare."""
    # A capital inside a sentence is a name: Will, Hope.
    found = [match for pattern in _TURNS for match in pattern.finditer(text)]
    found = [m for m in found if m.group() not in ("Will", "Hope") or _begins_sentence(text, m.start())]
    return tuple(dict.fromkeys(match.group().lower() for match in sorted(found, key=lambda match: match.start())))


def _grammar(text: str) -> Iterator[Finding]:
    first = _count(r"\b(?:I|me|my|mine|we|us|our|ours)\b", text)
    if first == 0 or _count(r"\b(?:you|your|yours)\b", text) > first:
        yield Finding(kind="person")
    if _count(r"\b(?:was|were|had|did|felt|went)\b", text) > _count(r"\b(?:am|is|are|have|has|do|feel|go)\b", text):
        yield Finding(kind="past")


def _count(pattern: str, text: str) -> int:
    return len(re.findall(pattern, text, re.I))


def _length(text: str, material: Material, *, whole: bool) -> Iterator[Finding]:
    """Characters against what was told: from two fifths of it to its double; from answers alone, up to 1,000."""
    standing, told = len(material.existing.strip()), len(material.imagination.strip())
    most = 2 * told + 200 if told else 1000
    if len(text) > most + 1.3 * standing:
        yield Finding(kind="long")
    elif whole and len(text) < 0.4 * told + 0.6 * standing:
        yield Finding(kind="short")


def quoted(words: Iterable[str], *, most: int = 4) -> str:
    """Words in quotation marks for a sentence: “a”, “b” and “c”."""
    marked = [f"“{word}”" for word in list(words)[:most]]
    return marked[0] if len(marked) == 1 else f"{', '.join(marked[:-1])} and {marked[-1]}"


def short(section: Section) -> str:
    """A drafted section's name for a button, with its icon."""
    return f"{section.icon} {category(section.key).short}"
