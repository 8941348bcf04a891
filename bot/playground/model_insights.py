"""What the stand-in model sees in an assessment: its insights rest on the answers it is given, and quote them."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bot.playground import model_talk, model_vision
from bot.playground.model_talk import Message

AREA = re.compile(r'<category key="(\w+)" standing="(\w+)"(?: felt="(\d+) of 10")?>\n(.*?)\n</category>', re.S)
ANSWER = re.compile(r'<answer id="(\w+)" standing="(\w+)">\nQuestion: (.*?)\nAnswer: (.*?)\n</answer>', re.S)
RANK = ("below", "neutral", "above")


@dataclass(frozen=True, kw_only=True)
class _Answer:
    id: str
    category: str
    standing: str
    words: str

    @property
    def quoted(self) -> str:
        """Its first words in quotation marks."""
        words = self.words.split()
        short = " ".join(words[:9]).rstrip(",.;: ")
        return f"“{short}”"


def insights(messages: Sequence[Message]) -> str:
    """JSON of up to eight insights into the answers in the first of the person's messages."""
    told = next(model_talk.text_of(message) for message in messages if message["role"] == "user")
    areas = [(key, standing, _answers(key, body)) for key, standing, _, body in AREA.findall(told)]
    ranked = sorted(
        (area for area in areas if area[2]),
        key=lambda area: -sum(RANK.index(answer.standing) for answer in area[2]) / len(area[2]),
    )
    found: list[dict[str, Any]] = []
    for key, _, answers in ranked[:3]:
        high = [answer for answer in answers if answer.standing == "above"][:3]
        if high:
            text = f"You say {high[0].quoted}. That is something to lean on, and it is yours already."
            found.append(_insight("strength", key, "There is good ground here", text, high, 0.8))
    for key, _, answers in reversed(ranked[-3:]):
        low = [answer for answer in answers if answer.standing != "above"][:3]
        if low:
            text = f"You say {low[0].quoted}. It asks for some care, and it is no verdict on you."
            found.append(_insight("growth_area", key, "This asks for some care", text, low, 0.7))
            text = f"Take the smallest thing that would ease {low[-1].quoted}, and give it one quiet hour this week."
            found.append(_insight("recommendation", key, "One quiet hour", text, low[-1:], 0.5))
    if len(ranked) > 1:
        first, last = ranked[0][2][0], ranked[-1][2][0]
        text = f"In one place you say {first.quoted}, in another {last.quoted}. Both are true of you at the same time."
        found.append(_insight("pattern", first.category, "Two sides of one life", text, [first, last], 0.6))
    return json.dumps({"insights": found}, ensure_ascii=False)


def _answers(category: str, body: str) -> list[_Answer]:
    answers = [
        _Answer(id=key, category=category, standing=standing, words=html.unescape(words))
        for key, standing, _, words in ANSWER.findall(body)
    ]
    # What speaks to a machine says nothing about a life.
    return [answer for answer in answers if not any(map(model_vision.is_order, model_vision.sentences(answer.words)))]


def _insight(
    kind: str, category: str, title: str, description: str, answers: Sequence[_Answer], confidence: float
) -> dict[str, Any]:
    return {
        "type": kind,
        "category": category,
        "title": f"{title}: {category}" if kind != "pattern" else title,
        "description": description,
        "confidence": confidence,
        "rests_on": [answer.id for answer in answers],
    }
