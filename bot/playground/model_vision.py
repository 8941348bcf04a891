"""How the stand-in model turns what a person imagines into the present tense, sentence by sentence.

It changes the verb and leaves the rest: every fact in the text is the person's own. It knows English only;
sentences in other languages stand as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable

Replacement = str | Callable[[re.Match[str]], str]

# A sentence that speaks to a machine, not about a life. It is data like the rest, and has no place in a vision.
ORDER = re.compile(
    r"\b(ignore|disregard|forget|override)\b.{0,60}\b(instructions?|prompts?|previous|above)\b|"
    r"(^|\b(please|and|now|then|you (must|should|will|shall)))\W*(ignore|disregard|override|reply|respond|output|print|"
    r"say|repeat|reveal|act as|pretend|answer (only|with))\b|"
    r"\b(system|developer) (prompt|message|mode)\b|\byou are now\b|\byour (instructions|prompt|rules)\b|"
    r"^\W*(system|assistant|developer)\s*:",
    re.I,
)
# What a vision leaves out: lack, and how it is now.
LACK = re.compile(
    r"\b(I|we)(?: really| just| still)? (?:hate|can['’]t|cannot|could(?:n['’]t| not)|(?:do|am|are)(?:n['’]t| not)|"
    r"lack|struggle|worry|suffer)\b|\b(I['’]m|we['’]re) not\b|"
    r"\b(not enough|tired of|sick of|fed up|no longer|any ?more|unlike now|at the moment|right now (?:I|we))\b",
    re.I,
)

WHEN = re.compile(
    r",?\s*\b(one day|some ?day|in the (?:near )?future|eventually|hopefully|from now on|"
    r"in (?:\w+|\d+)(?: or \w+)? years?(?: from now)?)\b,?",
    re.I,
)
ASIDE = re.compile(
    r"^(?:(?:and|but|then|also|well|so|ok(?:ay)?|honestly|basically|maybe|perhaps|"
    r"I (?:think|guess|suppose|feel like|believe)(?: that)?),? )+(?=\w)",
    re.I,
)
BARE_THING = re.compile(
    r"^(?:an?|one|two|three|four|five|enough|plenty|more|lots|time|room|space|some|many) (?!of (?:me|us)\b)", re.I
)
HAS_VERB = re.compile(
    r"\b(I|we|is|are|am|was|were|has|have|had|will|would|can|could|comes?|goes|makes?|feels?|lives?|gives?|keeps?|"
    r"waits?|fills?|\w+['’](?:s|re|ll|d|m))\b",
    re.I,
)
MANY = re.compile(r"children|friends|kids|men|parents|people|these|they|those|two|us|we|women|you")


def section(*, imagination: str, answers: str, existing: str, woven: str = "", ending: bool = False) -> str:
    """A section of the vision: what stands, then what is new in the imagination, in the present tense.

    A forward or a conclusion takes a sentence from each area in `woven`: its first, or with `ending` its last.
    """
    paragraphs = [existing.strip()] if existing.strip() else []
    known = {_folded(sentence) for sentence in sentences(existing)}
    for paragraph in re.split(r"\n\s*\n", imagination):
        said = [one for one in sentences(paragraph) if not is_order(one)]
        kept = [one for one in said if not one.endswith("?") and LACK.search(one) is None]
        # Someone who names only what is missing still finds their own words, and nothing put into their mouth.
        lines = [line for line in map(present, kept or said) if line and _folded(line) not in known]
        known.update(map(_folded, lines))
        if lines:
            paragraphs.append(" ".join(lines))
    if woven:
        areas = [
            lines
            for text in re.findall(r"^Text: (.+?)(?=\n\nArea: |\Z)", woven, re.S | re.M)
            if (lines := sentences(text))
        ]
        picked = [lines[-1 if ending else 0] for lines in areas]
        paragraphs.append(" ".join(line for line in picked[:5] if _folded(line) not in known and not is_order(line)))
    return "\n\n".join(filter(None, paragraphs)) or _from_answers(answers)


def sentences(text: str) -> list[str]:
    """The sentences of `text`, each with its closing mark; a new line ends one too."""
    parts = re.split(r"(?<=[.!?…])[\"”’')]*\s+|\n+", text)
    return [part.strip() for part in parts if re.search(r"\w", part)]


def is_order(sentence: str) -> bool:
    """Whether a sentence is addressed to a machine."""
    return ORDER.search(sentence) is not None


def present(sentence: str) -> str:
    """One sentence in the first person and the present tense, with its own words otherwise."""
    text = WHEN.sub(" ", sentence.strip(" -*•\t"))
    text = re.sub(r"\s+", " ", text).strip(" ,")
    text = re.sub(r"\bi\b(?=['’ ])", "I", ASIDE.sub("", text))
    before = text
    for pattern, replacement in CHANGES:
        text = pattern.sub(replacement, text)
    if text != before:
        be = "are" if re.search(r"\bwe\b", text, re.I) and not re.search(r"\bI\b", text) else "am"
        text = re.sub(r"(,|\band|\bor) (?:to )?be\b", rf"\1 {be}", text)
        text = re.sub(rf"(,|\band|\bor) to {NOT_A_VERB}(?=[a-z]+\b)", r"\1 ", text)
    if BARE_THING.match(text) and HAS_VERB.search(text) is None:
        text = f"I have {text[0].lower()}{text[1:]}"
    text = re.sub(r"\s+([,.!?…])", r"\1", text).strip()
    if re.search(r"\w", text) is None:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in '.!?…”"' else ".")


def _from_answers(answers: str) -> str:
    """The person's own glad answers, as they stand, when nothing was imagined."""
    own = [
        found.group()
        for line in sentences(answers)
        if (found := re.search(r"\b(?:I|My|We|Our)\b.*", line)) and LACK.search(line) is None and "?" not in line
    ]
    return " ".join(present(line) for line in own[:4]) or "This part of my life is open, and I give it time."


def _folded(sentence: str) -> str:
    return re.sub(r"\W+", " ", sentence).strip().lower()


# Grammar


def _is_many(word: str) -> bool:
    return MANY.fullmatch(word) is not None or (word.endswith("s") and not word.endswith(("ss", "us", "is")))


def _verb(subject: str, verb: str) -> str:
    """`verb`, given in its plain form, in the present tense for `subject`, of which the last word counts."""
    who, plain = subject.lower().split()[-1], verb.lower()
    many = who in ("i", "we", "you", "they") or _is_many(who)
    if plain == "be":
        return "am" if who == "i" else "are" if many else "is"
    if many:
        return plain
    if plain == "have":
        return "has"
    if re.search(r"(s|x|z|ch|sh|o)$", plain):
        return plain + "es"
    return plain[:-1] + "ies" if re.search(r"[^aeiou]y$", plain) else plain + "s"


def _with_verb(found: re.Match[str]) -> str:
    """The groups subject, adverb and verb, in the present tense: "I always have", but "I am always"."""
    subject, adverb, verb = found.group("subject"), found.group("adverb") or "", found.group("verb")
    subject = {"us": "we", "me": "I"}.get(subject.lower(), subject)
    if adverb == "not" and verb.lower() != "be":
        return f"{subject} {_verb(subject, 'do')} not {verb.lower()}"
    spoken = _verb(subject, verb)
    order = (subject, spoken, adverb) if verb.lower() == "be" else (subject, adverb, spoken)
    return " ".join(filter(None, order))


def _being(found: re.Match[str]) -> str:
    """The groups subject and doing, as what is going on now: "I am waking"."""
    subject, doing = found.group("subject"), found.group("doing")
    return f"{subject} {_verb(subject, 'be')} {'' if doing.lower() == 'being' else doing}".rstrip()


def _there(found: re.Match[str]) -> str:
    return f"{found.group('subject')} {_verb(found.group('thing'), 'be')} {found.group('thing')}"


def _open(found: re.Match[str]) -> str:
    return f"I {_verb('I', found.group('verb'))}"


def _doing(found: re.Match[str]) -> str:
    doing = found.group("doing").lower()
    return "I am" if doing == "being" else f"I am {doing}"


NOT_A_VERB = r"(?!(?:the|a|an|my|our|your|his|her|their|this|that|these|those|work|school|bed|church)\b)"
VERB = rf"{NOT_A_VERB}(?P<verb>[a-z]+)\b"
ADVERB = r"(?:(?P<adverb>really|also|just|always|still|truly|often|simply|even|never|finally|only|all|not) )?"
SELF = r"\b(?P<subject>I|we)"
DREAMING = r"(?: (?:am|are)|['’](?:m|re))?(?: often| always)? (?:dream(?:ing)?|fantasi[sz]e) (?:of|about)"
SEEING = r"(?: often| always)?(?: can)? (?:imagine|picture|see|envision|visuali[sz]e)(?: myself| ourselves| us)?"
MANNER = r"(?:(?:really|also|just|always|still|truly|so|only|both|do|have always) )*"
WANTING = (
    rf"(?: {MANNER}(?:want(?:ed)?|wish|hope|long|plan|intend|aim)|"
    rf"(?: would|['’]d) {MANNER}(?:like|love|prefer)|"
    rf"(?: am| are|['’]m|['’]re) {MANNER}(?:hoping|planning|longing))"
)
OTHERS = (
    r"(?P<subject>(?:my|our|the|his|her|their|this|that|these|those|all|every|each) (?:[\w’'-]+ ){0,2}?[\w’'-]+|"
    r"everyone|everybody|everything|people|life|it|us|me)"
)

OTHERS = (
    r"(?P<subject>(?:my|our|the|his|her|their|this|that|these|those|all|every|each) (?:[\w’'-]+ ){0,2}?[\w’'-]+|"
    r"everyone|everybody|everything|people|life|it|us|me)"
)

# Each with what it is for; applied from the top, so that the longer form comes before the shorter.
CHANGES: list[tuple[re.Pattern[str], Replacement]] = [
    (re.compile(pattern, re.I), replacement)
    for pattern, replacement in (
        # I dream of living -> I am living
        (rf"{SELF}{DREAMING} (?P<doing>\w+ing)\b", _being),
        # I see myself waking -> I am waking
        (rf"{SELF}{SEEING} (?P<doing>(?!morning|evening|everything|something)\w+ing)\b", _being),
        # I dream of a garden -> I have a garden
        (rf"{SELF}{DREAMING} (?=\w)", r"\g<subject> have "),
        # I wish I had a garden -> I have a garden
        (r"\b(?:I|we) wish(?: that)? (I|we) had\b", r"\1 have"),
        # I hope that my body is strong -> my body is strong
        (r"\b(?:I|we) (?:imagine|picture|dream|hope|wish)(?: that)? (?=(?:I|we|my|our|there|it)\b)", ""),
        # I imagine a garden -> I see a garden
        (rf"{SELF} (?:imagine|picture|envision|visuali[sz]e) (?=\w)", r"\g<subject> see "),
        # My dream is to sing -> I sing
        (rf"\b(?:my|our) (?:biggest )?(?:dream|wish|hope|goal) is to {VERB}", _open),
        (r"\b(?:my|our) (?:biggest )?(?:dream|wish|hope|goal) is (?=\w)", "I have "),
        # I'd love to be free -> I am free
        (rf"{SELF}{WANTING} to {ADVERB}{VERB}", _with_verb),
        # I want my children to laugh -> my children laugh
        (rf"\b(?:I|we){WANTING}(?: for)? {OTHERS} to {ADVERB}{VERB}", _with_verb),
        # I want a garden -> I have a garden
        (rf"{SELF}{WANTING}(?: for)? (?!(?:to|that|what|you)\b)(?=\w)", r"\g<subject> have "),
        # I'm going to swim -> I swim
        (rf"\b(?P<subject>I|we|they|he|she|it)(?: (?:am|are|is)|['’](?:m|re|s)) going to {ADVERB}{VERB}", _with_verb),
        # There will be music -> there is music
        (rf"\b(?P<subject>there)(?: will| would|['’]ll|['’]d) {ADVERB}be (?P<thing>\w+)", _there),
        # I'd wake early -> I wake early
        (
            rf"\b(?P<subject>I|we|you|they|he|she|it)['’](?:ll|d) {ADVERB}(?!(?:been|had|gone|done|better)\b){VERB}",
            _with_verb,
        ),
        # My home will be full -> my home is full
        (rf"\b(?P<subject>[\w’'-]+) (?:will|shall|would) {ADVERB}{VERB}", _with_verb),
        (r"\bI (?:was|were) able\b", "I am able"),
        (r"\b(I|we) could\b", r"\1 can"),
        # To be free -> I am free; living by the sea -> I am living by the sea
        (rf"^To {VERB}", _open),
        (
            r"^(?P<doing>(?!morning|evening|everything|nothing|something|anything|spring|during)[a-z]{2,}ing)\b"
            r"(?!.*\b(?:is|are|will|would|makes?|feels?|brings?)\b)",
            _doing,
        ),
    )
]
