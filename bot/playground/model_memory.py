"""How the stand-in model remembers: facts by patterns, digests by the longest sentences, answers from what is recalled.

By rule, from the person's own words alone; the patterns know English.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.playground import model_vision

Message = Mapping[str, Any]

PIECE = re.compile(r"^\[(\d+)\] \((\d{4}-\d{2}-\d{2}), \w+\) (.*)$", re.M)
STANDING = re.compile(r"^\[(\d+)\] (.*) \(since \d{4}-\d{2}-\d{2}\)$", re.M)

RELATIONS = (
    r"sister|brother|mother|mum|mom|father|dad|son|daughter|wife|husband|partner|friend|boss|neighbour|neighbor|dog|cat"
)
ENDS = r"(?=[.!?;,\n]| (?:and|but|since|because|now|any ?more|when|where|so)\b|$)"

# (the words, the fact's beginning, the area of life, whether a newer one takes the place of an older one)
PATTERNS: tuple[tuple[str, str, str, bool], ...] = (
    (rf"\bI (?:now )?live in (.{{2,60}}?){ENDS}", "Lives in", "home", True),
    (rf"\bI (?:have )?moved to (.{{2,60}}?){ENDS}", "Lives in", "home", True),
    (rf"\bI (?:now )?work (?:as|at|for) (.{{2,60}}?){ENDS}", "Works as", "business", True),
    (rf"\bI am learning (.{{2,60}}?){ENDS}", "Is learning", "fun", False),
    (rf"\bI (?:really )?love (.{{2,60}}?){ENDS}", "Loves", "fun", False),
    (rf"\bI am allergic to (.{{2,60}}?){ENDS}", "Is allergic to", "health", False),
    (rf"\bmy ({RELATIONS}) is called (.{{2,40}}?){ENDS}", "Has a", "family", True),
    (rf"\bmy ({RELATIONS}) (.{{2,20}}?) is (.{{2,60}}?){ENDS}", "Has a", "family", False),
)

QUESTION = re.compile(
    r"\b(?:what|where|when|who|which|do you (?:remember|know)|did i|have i)\b[^?]*\b(?:i|my|me)\b[^?]*\?", re.I
)
DENIAL = re.compile(r"\bI never (?:told|said)\b", re.I)
SMALL = re.compile(
    r"[a-z]{1,3}|what|when|where|which|remember|know|told|said|tell|about|have|does|last|never|that|this|called|yesterday|anything"
)


def asks_for_facts(system: str) -> bool:
    """Whether a request asks for the facts in what somebody said."""
    return "note the facts in it" in system


def asks_for_digest(system: str) -> bool:
    """Whether a request asks to sum up a stretch of talk."""
    return "You sum up a stretch" in system


def facts(text: str) -> dict[str, list[dict[str, Any]]]:
    """The facts in the pieces of a request, in the shape that was asked for."""
    standing = [(int(number), html.unescape(fact)) for number, fact in STANDING.findall(_part(text, "standing"))]
    found: list[dict[str, Any]] = []
    for number, _, piece in PIECE.findall(_part(text, "said")):
        words = html.unescape(piece)
        for sentence in model_vision.sentences(words):
            if not model_vision.is_order(sentence) and not sentence.rstrip().endswith("?"):
                earlier = [(len(standing) + place, each["text"]) for place, each in enumerate(found, 1)]
                found += _in_sentence(sentence, int(number), [*standing, *earlier])
    return {"facts": found[:12], "again": _again(text, standing)}


def _again(text: str, standing: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    """Sentences that share the names, or most words, of a fact that is noted already."""
    found = []
    for number, _, piece in PIECE.findall(_part(text, "said")):
        for sentence in model_vision.sentences(html.unescape(piece)):
            words = _words(sentence)
            found += [
                {"fact": place, "source": int(number), "quote": sentence.strip()}
                for place, fact in standing
                if len(_words(fact) & words) * 2 > len(_words(fact))
            ]
    return found[:12]


def _words(text: str) -> set[str]:
    return {word[:5] for word in re.findall(r"[a-zà-ÿ]{4,}", text.lower())}


def _in_sentence(sentence: str, source: int, standing: Sequence[tuple[int, str]]) -> list[dict[str, Any]]:
    found = []
    for pattern, beginning, area, only_one in PATTERNS:
        for match in re.finditer(pattern, sentence, re.I):
            rest = " ".join(match.groups())
            if beginning == "Has a":
                start = f"Has a {match[1].lower()}"
                rest = f"called {match[2]}" if only_one else ", ".join(match.groups()[1:])
            else:
                start = beginning
            text = f"{start} {rest}"
            if any(text.lower() == fact.lower() for _, fact in standing):
                replaces: list[int] = []
            else:
                replaces = [place for place, fact in standing if only_one and fact.startswith(start + " ")]
            found.append(
                {
                    "text": text,
                    "quote": match[0],
                    "source": source,
                    "category": area,
                    "since": "",
                    "confidence": 0.9,
                    "replaces": replaces,
                }
            )
    return found


def digest(text: str) -> dict[str, Any]:
    """A few sentences out of what is to be summed up: the weightiest of the person's, in their order."""
    lines = [
        line for line in html.unescape(_part(text, "said")).splitlines() if re.match(r"\S+ (person|journal): ", line)
    ]
    chosen = sorted(sorted(range(len(lines)), key=lambda place: -len(set(lines[place].split())))[:3])
    told = []
    for place in chosen:
        day, _, words = lines[place].partition(" ")
        first = model_vision.sentences(words.partition(": ")[2])[:1]
        told += [f"{day}: {' '.join(first[0].split()[:20])}"] if first else []
    said = " ".join(told) or "Nothing much was said."
    standing = [(int(number), html.unescape(fact)) for number, fact in STANDING.findall(_part(text, "standing"))]
    return {"text": said, "facts": [number for number, fact in standing if _words(fact) & _words(said)]}


def remembered(system: str, words: str) -> list[str]:
    """What the stand-in says of the past: to a question about it, or where a note of the request points to a day."""
    material = [
        *_lines(system, "facts"),
        *_lines(system, "recalled"),
        *_lines(system, "digests"),
    ]
    asked = {word for word in re.findall(r"[a-zà-ÿ]+", words.lower()) if not SMALL.fullmatch(word)}
    if QUESTION.search(words) or DENIAL.search(words):
        most = max((_shared(line, asked) for line in material), default=0)
        best = [line for line in material if _shared(line, asked) == most][:2]
        named = re.search(r"\b(?:yesterday|ago|last)\b", words, re.I)
        if not most and named is not None and _lines(system, "recalled"):
            return [f"I find this: {_lines(system, 'recalled')[0]}."]
        if most:
            return [f"I find this: {'; '.join(best)}."]
        return ["I find nothing about that in what you told me."]
    noted = re.search(r"they spoke of the same on (\d{1,2} \w+ \d{4})", system)
    if noted is not None:
        line = next((line for line in _lines(system, "recalled") if line.startswith(noted[1])), "")
        if line:
            return [f"On {noted[1]} you said something like it: “{' '.join(line.partition(': ')[2].split()[:16])}”."]
    return []


def _shared(line: str, asked: set[str]) -> int:
    words = re.findall(r"[a-zà-ÿ]+", line.lower())
    return sum(any(word[:4] == one[:4] for one in words) for word in asked)


def _lines(system: str, name: str) -> list[str]:
    return [html.unescape(line).strip(" .") for line in _part(system, name).splitlines() if line.strip()]


def _part(text: str, name: str) -> str:
    """The section of a request; the first is the prompt's own, a later one may be forged."""
    found = re.search(rf"<{name}>\n(.*?)\n</{name}>", text, re.S)
    return found[1] if found else ""
