"""Checks of a vision's text that need no model.

They find what the prompts forbid (domain section 3) by its form, so they can err. What they find is told to the model
once; what is still there afterwards is shown as a gentle note and stops nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.services import vision_changes
from prompts.vision import Material
from prompts.vision.languages import Language, languages


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Something to look at in a text. `words` are those it is about, as they stand there.

    added: a name, place or number that was not given; lost: words that stood there and that nobody asked to go; turn:
    a turn that looks ahead or compares; person: not the first person; past: not the present; long, short: the length
    is far from what was told.
    """

    kind: Literal["added", "lost", "turn", "person", "past", "long", "short"]
    words: tuple[str, ...] = ()

    @property
    def serious(self) -> bool:
        """Whether it is worth another call: the length alone is not."""
        return self.kind not in ("long", "short")


def findings(text: str, material: Material, *, whole: bool = True) -> list[Finding]:
    """What to look at in a section's text, the weightiest first; `whole` is False for a text that broke off."""
    language = language_of(text)
    found = []
    if added := _added(text, material, language):
        found.append(Finding(kind="added", words=added))
    if whole and (lost := _lost(text, material)):
        found.append(Finding(kind="lost", words=lost))
    if language is not None:
        if turns := _turns(text, language):
            found.append(Finding(kind="turn", words=turns))
        found += _grammar(text, language)
    return [*found, *_length(text, material, whole=whole)]


def weight(found: Sequence[Finding]) -> int:
    """How much there is to look at: the serious findings and the words they are about."""
    return sum(1 + len(finding.words) for finding in found if finding.serious)


WORD = re.compile(r"[^\W\d_]+(?:[’'\-][^\W\d_]+)*")
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")


def language_of(text: str) -> Language | None:
    """The language whose small words a text has most of; None where it has too few of any that is known."""
    words = WORD.findall(text)
    share = {language.name: sum(map(language.counts_as_small, words)) for language in languages()}
    best = max(languages(), key=lambda language: share[language.name])
    return best if share[best.name] * 12 >= len(words) > 0 else None


# ---------------------------------------------------------------------------- what nobody has given


def _added(text: str, material: Material, language: Language | None) -> tuple[str, ...]:
    """Names, places and numbers that stand in the text but in nothing that was given."""
    number_words = language.numbers if language is not None else {}
    given = "\n".join(_given(material))
    known = {form for word in WORD.findall(given) for form in _forms(word)}
    numbers = {_digits(number) for number in NUMBER.findall(given)}
    for told_in in languages():
        numbers |= {told_in.numbers[word] for word in known if word in told_in.numbers}
    names = [word for word in _names(text, language) if not _forms(word) & known]
    counted = [number for number in NUMBER.findall(text) if _digits(number) not in numbers]
    words = [word for word in WORD.findall(text) if word.lower() in number_words]
    counted += [word for word in words if number_words[word.lower()] not in numbers]
    return tuple(dict.fromkeys([*names, *counted]))


def _given(material: Material) -> Iterator[str]:
    yield material.imagination
    yield material.existing
    yield material.story
    yield material.section.label
    yield from material.person
    yield from material.requests
    for pair in (*material.answers, *material.entries, *material.woven):
        yield from pair


def _names(text: str, language: Language | None) -> list[str]:
    """Words with a capital inside a sentence; none for a language that gives every noun one."""
    inside = [found.group() for found in WORD.finditer(text) if not _begins_sentence(text, found.start())]
    names = [word for word in inside if word[0].isupper() and re.split("[’']", word)[0] != "I"]
    english = language is not None and language.name == "english"
    if not english and len(names) * 8 > len(inside):
        return []
    return names


def _begins_sentence(text: str, start: int) -> bool:
    before = text[:start].rstrip(" \t\"“”„‘’'«»()[]–—-*¿¡")
    return not before or before[-1] in ".!?…:\n。！？"


def _forms(word: str) -> set[str]:
    """The forms under which a word counts as the same: without a possessive or plural s, whole and in its parts."""
    folded = word.casefold().replace("’", "'")
    forms = set()
    for part in {folded, *folded.split("-"), *folded.split("'")}:
        plain = part.removesuffix("'s").removesuffix("'")
        forms |= {plain, plain.removesuffix("s") if len(plain) > 3 else plain}
        if re.search(r"[а-яё]", plain):
            # A Russian name changes its ending with its part in the sentence.
            forms.add(plain.rstrip("аеёийоуыьэюя") if len(plain) > 3 else plain)
    return forms


def _digits(number: str) -> str:
    return number.replace(",", "").replace(".", "").replace(":", "")


# ------------------------------------------------------------------------------- what stood and went

LEAST_LOST = 3
"""Words that may go at the joints where something is added."""


def asks_for_change(request: str) -> bool:
    """Whether a request asks for something to go or to be put otherwise, or is in words that we cannot judge."""
    language = language_of(request)
    # A request is often too short to know its language by: then each language may claim it.
    judged = languages() if language is None else (language,)
    words = re.findall(r"[\w'’]+", request.casefold())
    folded = f" {' '.join(words)} ".replace("’", "'")
    if any(f" {word} " in folded for known in judged for word in known.changing):
        return True
    return language is None and not folded.isascii()


def _lost(text: str, material: Material) -> tuple[str, ...]:
    """What stood in the section and is not in the text, though the person only asked for more."""
    asked = material.requests[-1] if material.requests else material.imagination
    if not material.existing.strip() or asks_for_change(asked):
        return ()
    gone = vision_changes.went(material.existing, text)
    words = sum(len(WORD.findall(phrase)) for phrase in gone)
    most = max(LEAST_LOST, len(WORD.findall(material.existing)) // 20)
    return tuple(map(_beginning, gone)) if words > most else ()


def _beginning(phrase: str) -> str:
    words = phrase.split()
    return " ".join(words) if len(words) <= 8 else f"{' '.join(words[:8])} …"


# ---------------------------------------------------------------------------------- how it is spoken


def _turns(text: str, language: Language) -> tuple[str, ...]:
    """Turns that put off, miss or compare."""
    found = [match for pattern in language.turns for match in pattern.finditer(text)]
    found = [m for m in found if m.group() not in language.names or _begins_sentence(text, m.start())]
    return tuple(dict.fromkeys(match.group().lower() for match in sorted(found, key=lambda match: match.start())))


def _grammar(text: str, language: Language) -> Iterator[Finding]:
    words = [word.lower() for word in re.findall(r"\w+", text)]
    first = _count(words, language.first)
    if (first == 0 and not language.drops) or _count(words, language.second) > first:
        yield Finding(kind="person")
    past = _count(words, language.past)
    if past > max(1, _count(words, language.present)):
        yield Finding(kind="past")


def _count(words: Sequence[str], of: Sequence[str]) -> int:
    known = {word.lower() for word in of}
    return sum(word in known for word in words)


def _length(text: str, material: Material, *, whole: bool) -> Iterator[Finding]:
    """Characters against what was told: from two fifths of it to its double; from other material, up to 1,000."""
    standing, told = len(material.existing.strip()), len(material.imagination.strip())
    if material.requests:
        most, least = standing + 4 * len(material.requests[-1]) + 400, 0.0
    elif material.woven:
        most, least = max(WOVEN_MOST, 2 * told) + standing, 0.0
    else:
        most, least = (2 * told + 200 if told else 1000) + round(1.3 * standing), 0.4 * told + 0.6 * standing
    if len(text) > most:
        yield Finding(kind="long")
    elif whole and len(text) < least:
        yield Finding(kind="short")


WOVEN_MOST = 1800
"""Characters of a forward or a conclusion, which are read in a breath or two."""


def quoted(words: Iterable[str], *, most: int = 4) -> str:
    """Words in quotation marks for a sentence: “a”, “b” and “c”."""
    marked = [f"“{word}”" for word in list(words)[:most]]
    return marked[0] if len(marked) == 1 else f"{', '.join(marked[:-1])} and {marked[-1]}"
