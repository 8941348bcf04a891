"""The always-on check for danger to self or others, and the calm answer to it.

`sign_in` looks at every message a person types, says or writes under a picture, before and apart from anything
else: no model, no balance, no database, no network. `answer` makes the reply from data. Domain section 3, Care.

Levels. `immediate`: a stated intention, a plan, means at hand, or something happening now. `concern`: everything
else that should not pass unheard.

Decisions.
- Somebody else's suicide in the past ("she took her own life in 2010") is grief, not danger: no sign. A friend
  who talks of it now is a concern, because the lines help those who worry too.
- A plain denial ("I would never kill myself", "I'm not suicidal") is no sign. One that leaves a door open is a
  concern: "not any more", "I won't, but", "I used to want to die".
- One's own past attempt or self-harm, and rape or abuse suffered, is a concern, however long ago. A parent's blows
  placed in childhood are a story of long ago: no sign, unless they "still" happen.
- Figures of speech that hold the same words are taken out first, so that a true sign in the same message still
  counts: "this deadline is killing me and I want to die".
- A sign in a quotation, a song or a story told in the first person counts: a needless kind answer costs less than
  a missed one.

Limits. This is a check of words. It does not understand irony, hints, long stories or pictures; it knows English
well and thirteen other languages only in their plain core phrases; speech heard wrongly can hide a sign. Of hard
English sentences written after the phrases, to test them, a half to two thirds were noticed at first sight, and
one to five in a hundred harmless ones raised an alarm; plain statements are nearly all noticed. It is a
net under the conversation, never a judgement of a person, and no reason for a model's prompt to care less.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from bot.services import time_zone as zones
from prompts import care as words
from prompts.care import Danger, HelpLine, Level


@dataclass(frozen=True, slots=True)
class Sign:
    """What was noticed: whose danger, and how near."""

    danger: Danger
    level: Level


@dataclass(frozen=True, slots=True, kw_only=True)
class CareAnswer:
    """A reply in order of reading: `before`, then `lines`, then `offer` with the button that pauses.

    `country` is the ISO code the lines belong to, None for the worldwide directory alone; `guessed` tells that
    it came from the clock or the language only. `emergency` is the number as people there dial it.
    """

    before: tuple[str, ...]
    lines: tuple[HelpLine, ...]
    offer: str
    pause_button: str
    country: str | None
    emergency: str | None
    guessed: bool


# How far from a concern about oneself a means still belongs to it, in characters.
_NEAR = 120
_MOST_LINES = 2

# Accents over Latin, Greek and Cyrillic letters, Arabic vowel signs and hamza, the Hindi nukta.
_MARKS = re.compile("[\u0300-\u036f\u064b-\u065f\u0670\u0640\u093c]")
_LETTERS = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "đ": "d", "ة": "ه", "ى": "ي", "ँ": "ं"})
_APOSTROPHES = re.compile("['’‘‛ʼʹ´`＇]")
# A line broken in the middle of a sentence, as poems and mail programs do.
_BROKEN_LINE = re.compile(r"(?<=\w)[ \t]*\r?\n[ \t]*(?=[a-z])")
_ENDS = re.compile(r"\s*(?:[.!?;:\n\r。！？]\s*)+")
# Hindi vowel signs are not letters to `re`, so they are named.
_OTHER = re.compile(r"[^\w\s.*\u0900-\u0963]+")
_SPELLED_OUT = re.compile(r"(?<!\w)(?:[a-z][ .\-_*]){3,}[a-z](?!\w)")
_ONE_WORD_SENTENCES = re.compile(r"(?<!\S)(?:\w+ \. ){2,}\w+(?!\S)")
_DRAWN_OUT_VOWEL = re.compile(r"([aeiou])\1{2,}")
_DRAWN_OUT = re.compile(r"([a-z])\1{2,}")
_LOOKALIKES = {"1": "i", "!": "i", "|": "i", "0": "o", "3": "e", "4": "a", "@": "a", "5": "s", "$": "s"}
_LOOKALIKE = re.compile(r"(?<=[a-z])[1!|034@5$](?=[a-z])|(?<!\w)[$@](?=[a-z]{3})")


def _fold(text: str) -> str:
    """Lower case without apostrophes, accents and invisible characters; serves messages and phrases alike."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    visible = "".join(c for c in folded if unicodedata.category(c) != "Cf")
    plain = _MARKS.sub("", _APOSTROPHES.sub("", visible)).translate(_LETTERS)
    return unicodedata.normalize("NFC", plain)


def _plain(text: str) -> str:
    """A message made plain: folded, look-alikes put right, words one space apart, sentences " . " apart."""
    plain = _fold(_BROKEN_LINE.sub(" ", text))
    plain = _LOOKALIKE.sub(lambda found: _LOOKALIKES[found[0]], plain)
    plain = _SPELLED_OUT.sub(lambda found: re.sub(r"[ .\-_*]", "", found[0]), plain)
    plain = _DRAWN_OUT.sub(r"\1\1", _DRAWN_OUT_VOWEL.sub(r"\1", plain))
    plain = re.sub(r"\.{2,}", " ", plain)
    plain = _ENDS.sub(" . ", plain)
    plain = " ".join(_OTHER.sub(" ", plain).split())
    plain = _ONE_WORD_SENTENCES.sub(lambda found: found[0].replace(" . ", " "), plain)
    return " ".join(_SPELLINGS.sub(lambda found: words.SIGNS.spellings[found[0]], plain).replace("*", " ").split())


def _expanded(phrase: str) -> str:
    """A phrase with its `<groups>` put in, folded as messages are."""
    while group := re.search(r"<([a-z_]+)>", phrase):
        phrase = phrase.replace(group[0], words.SIGNS.groups[group[1]])
    return _fold(phrase)


def _compiled(phrases: Iterable[words.Phrases]) -> re.Pattern[str]:
    """One pattern for many phrases; whole words where the language puts spaces between them."""
    parts = []
    for group in phrases:
        either = "|".join(_expanded(phrase) for phrase in group.phrases)
        parts.append(f"(?:{either})" if group.language in words.SIGNS.unspaced else rf"(?<!\w)(?:{either})(?!\w)")
    return re.compile("|".join(parts))


_SPELLINGS = re.compile(r"(?<!\w)(?:" + "|".join(re.escape(wrong) for wrong in words.SIGNS.spellings) + r")(?!\w)")
_SOFTENED = _compiled(words.SIGNS.softened)
_HARMLESS = _compiled(words.SIGNS.harmless)
_MEANS = _compiled(words.SIGNS.means)
# The gravest first. Violence stands before self: "he held a knife to my throat" has the words of both.
_ORDER = (
    Sign("from_others", "immediate"),
    Sign("self", "immediate"),
    Sign("others", "immediate"),
    Sign("self", "concern"),
    Sign("from_others", "concern"),
    Sign("others", "concern"),
)
_SIGNS: tuple[tuple[Sign, re.Pattern[str]], ...] = tuple(
    (sign, _compiled(group for group in words.SIGNS.signs if (group.danger, group.level) == (sign.danger, sign.level)))
    for sign in _ORDER
)


def sign_in(text: str) -> Sign | None:
    """The gravest sign of danger in what a person typed, said or wrote under a picture, or None."""
    plain, open_denials = _SOFTENED.subn(" . ", _plain(text))
    plain = _HARMLESS.sub(" . ", plain)
    for sign, pattern in _SIGNS:
        found = pattern.search(plain)
        if found is None:
            continue
        if sign == Sign("self", "concern"):
            around = plain[max(0, found.start() - _NEAR) : found.end() + _NEAR]
            return Sign("self", "immediate") if _MEANS.search(around) else sign
        return sign
    return Sign("self", "concern") if open_denials else None


def country_code(typed: str | None) -> str | None:
    """The ISO 3166 code of a country as a person would type it ("Deutschland", "Leeds, UK"), if it is known."""
    if not typed:
        return None
    name = _country_name(typed)
    if len(name) == 2 and name.upper() in words.LINES.countries:
        return name.upper()
    return _BY_NAME.get(name) or _BY_NAME.get(_country_name(re.split(r"[,/(\n]", typed)[-1]))


def _country_name(typed: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s\u0900-\u0963]", " ", _fold(typed))).strip().removeprefix("the ")


def _guessed_country(language_code: str | None) -> str | None:
    """A country for a language code that leaves little doubt: "pl", "pt-BR"; never for "en" or "es"."""
    if not language_code:
        return None
    code = language_code.strip().lower().replace("_", "-")
    if code in words.LINES.guessing.not_a_place:
        return None
    language, _, region = code.partition("-")
    if region.upper() in words.LINES.countries:
        return region.upper()
    return _BY_LANGUAGE.get(language)


def _country_by_clock(time_zone: str | None) -> str | None:
    """The one country that goes by a clock the person chose: London's is the United Kingdom's, Brussels' is of two."""
    named = {_BY_NAME.get(_country_name(place)) for place in zones.places(time_zone or "")} - {None}
    return named.pop() if len(named) == 1 else None


_BY_NAME = {_country_name(name): code for code, row in words.LINES.countries.items() for name in row.names}
_BY_LANGUAGE = {language: code for code, row in words.LINES.countries.items() for language in row.languages}


def answer(sign: Sign, *, country: str | None, language_code: str | None, time_zone: str | None = None) -> CareAnswer:
    """The reply to a sign, all from data.

    `country` is the profile's, as typed. Without one the clock the person chose may point to a country, or else the
    language; if neither does, the answer names the worldwide directory. A guess always has the directory beside it.
    """
    known = country_code(country)
    # A country that was given but is not in the data must not be overruled by a guess.
    code = known if known or country else _country_by_clock(time_zone) or _guessed_country(language_code)
    row = words.LINES.countries[code] if code else None
    guessed = code is not None and known is None
    said = words.LINES.words
    if row is None:
        emergency = said.emergency_unknown
    else:
        sentence = said.emergency_guessed if guessed else said.emergency
        emergency = sentence.format(country=row.name, emergency=row.emergency)
    lines = tuple(line for line in row.lines if sign.danger in line.helps)[:_MOST_LINES] if row else ()
    if guessed or not lines:
        lines = (*lines, words.LINES.directory)
    return CareAnswer(
        before=(
            said.opening[sign.danger][sign.level],
            said.now[sign.danger][sign.level],
            emergency,
            said.not_a_crisis_service,
        ),
        lines=lines,
        offer=said.pause,
        pause_button=said.pause_button,
        country=code,
        emergency=row.emergency if row else None,
        guessed=guessed,
    )
