"""Three small steps from the stand-in model: each takes up an answer of the person's, or their vision."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence

from bot.playground import model_talk, model_vision
from bot.playground.model_talk import Message

ANSWER = re.compile(r"^Answer \((\w+)\): (.*)$", re.M)
RANK = ("below", "neutral", "above")


def blueprint(messages: Sequence[Message]) -> str:
    """JSON of three small steps, from the material in the first of the person's messages."""
    told = next(model_talk.text_of(message) for message in messages if message["role"] == "user")
    answers = sorted(ANSWER.findall(_part(told, "answers")), key=lambda found: RANK.index(found[0]))
    said = [html.unescape(words) for _, words in answers if not model_vision.is_order(words)]
    vision = [one for one in model_vision.sentences(_part(told, "vision")) if not model_vision.is_order(one)]
    lowest, best = _quoted(said[0] if said else "it"), _quoted(said[-1] if said else "it")
    wanted = _quoted(html.unescape(vision[0])) if vision else best
    earlier = set(_part(told, "earlier").splitlines())
    steps = [
        (
            "Write down what would ease it",
            f"Take ten minutes today and note what would ease {lowest}.",
        ),
        (
            "Do one thing that is there already",
            f"Choose a quiet hour this week for {wanted}, and keep it free.",
        ),
        ("Look back on Sunday evening", f"Each Sunday, note one moment that came near to {best}."),
        ("Take a walk and think it over", f"Walk for a quarter of an hour today and let {lowest} go along with you."),
        ("Begin the smallest part of it", f"Find the smallest part of {wanted} and begin it this week."),
        ("Keep ten minutes each morning", f"Keep ten minutes each morning for what leads towards {best}."),
    ]
    fresh = [step for step in steps if step[0] not in earlier]
    chosen = (fresh + [step for step in steps if step not in fresh])[:3]
    return json.dumps({"steps": [{"title": t, "description": d} for t, d in chosen]}, ensure_ascii=False)


def _part(told: str, name: str) -> str:
    found = re.search(rf"<{name}>\n(.*?)\n</{name}>", told, re.S)
    return found[1] if found else ""


def _quoted(sentence: str) -> str:
    short = " ".join(sentence.split()[:12]).rstrip(",.;: ")
    return f"“{short}”"
