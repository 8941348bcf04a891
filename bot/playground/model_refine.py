"""How the stand-in model changes a section of a vision as somebody asks, by rule and in English only.

It adds, takes out, loosens and shortens; what it does not understand it leaves alone, and asks.
"""

from __future__ import annotations

import json
import re

from bot.playground import model_vision

ADD = re.compile(r"\b(?:add|put in|include|mention)\s+(?:that\s+|in\s+)?(?P<thing>[^.!?]+)", re.I)
REMOVE = re.compile(
    r"\b(?:remove|drop|delete|take out|leave out|without)\s+(?:the\s+|my\s+|a\s+)?(?P<thing>[^.!?,]+)", re.I
)
LOOSER = [
    (re.compile(pattern), loose)
    for pattern, loose in (
        (r"\bI am\b", "I’m"),
        (r"\b([Ww])e are\b", r"\1e’re"),
        (r"\b([Ii])t is\b", r"\1t’s"),
        (r"\b([Tt])here is\b", r"\1here’s"),
        (r"\bdo not\b", "don’t"),
    )
]


def refined(*, existing: str, request: str) -> str:
    """The answer to a request, as JSON with what is said beside the changed text."""
    asked = " ".join(one for one in model_vision.sentences(request) if not model_vision.is_order(one))
    text, done = _changed(existing, asked)
    heard = f"I hear: “{asked.rstrip('.!?')}”. " if asked else ""
    ask = "" if done else " What would you like to be otherwise?"
    return json.dumps({"said": f"{heard}{done or 'I have left the text as it is.'}{ask}", "text": text})


def _changed(existing: str, asked: str) -> tuple[str, str]:
    text, done = existing, ""
    if found := REMOVE.search(asked):
        word = re.findall(r"\w+", found.group("thing"))[-1]
        paragraphs = [
            [one for one in model_vision.sentences(paragraph) if not re.search(rf"\b{word}", one, re.I)]
            for paragraph in existing.split("\n\n")
        ]
        left = "\n\n".join(" ".join(lines) for lines in paragraphs if lines)
        if left and left != existing:
            text, done = left, f"I have taken out what speaks of the {word}."
    if found := ADD.search(REMOVE.sub("", asked)):
        thing = re.sub(r"\b(?:please|too|as well)\b|\band\s*$", "", found.group("thing").strip()).strip()
        added = model_vision.present(thing if model_vision.HAS_VERB.search(thing) else f"{thing} is part of this")
        text = f"{text} {added}".strip()
        done = f"{done} I have added one sentence at the end; all else stands as it was.".strip()
    if done:
        return text, done
    if re.search(r"\bless formal|looser|warmer|simpler\b", asked, re.I):
        loose = existing
        for pattern, replacement in LOOSER:
            loose = pattern.sub(replacement, loose)
        return loose, "It reads a little looser now." if loose != existing else ""
    if re.search(r"\bshorter\b", asked, re.I) and len(lines := model_vision.sentences(existing)) > 1:
        return " ".join(lines[:-1]), "I have left out the last sentence."
    return existing, ""
