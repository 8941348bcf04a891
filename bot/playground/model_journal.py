"""The stand-in model on a journal: a title and areas for an entry, and a week looked back on, by rule alone."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping
from typing import Any

from bot.playground import model_vision

SIGNS = {
    "fun": r"play\w*|laugh\w*|game|danc\w+|music|film|hobby|garden|paint\w*|sang|sing\w*",
    "health": r"sleep|slept|run|ran|swim|swam|walk\w*|doctor|ill|sick|tired|body|yoga|food|soup",
    "travel": r"travel\w*|trip|train|flight|journey|sea|mountain\w*|holiday|heron",
    "romance": r"husband|wife|partner|love|kiss\w*|date|girlfriend|boyfriend",
    "family": r"father|mother|dad|mum|mom|sister|brother|son|daughter|child\w*|kids|parents|family",
    "social": r"friend\w*|neighbou?r|party|guest\w*|visit\w*",
    "home": r"house|home|kitchen|room|flat|roof|window",
    "business": r"work|boss|job|meeting|office|colleague\w*|project|client\w*",
    "money": r"money|rent|pay|paid|debt|bank|salary|bill\w*",
    "possessions": r"bought|bicycle|bike|car|things|shoes|book\w*",
    "giving": r"help\w*|gave|gift|volunteer\w*",
    "spirituality": r"pray\w*|meditat\w*|god|church|silence|meaning|grateful|soul",
}


def suggestion(told: str) -> dict[str, Any]:
    """A title of the entry's own first words, and the areas whose signs are in it."""
    entry = _between(told, "entry")
    sentences = _sentences(entry)
    words = (sentences[0] if sentences else "A day").split()
    title = " ".join(words[:6]).rstrip(",;:.!?")
    areas = [key for key, signs in SIGNS.items() if re.search(rf"\b({signs})\b", entry, re.I)]
    return {"title": title, "categories": areas[:2]}


def reflection(told: str) -> dict[str, Any]:
    """A few sentences on the days of a week, with one sentence of each quoted."""
    days = re.findall(r'<day number="(\d+)" date="([^"]+)">\n(.*?)\n</day>', told, re.S)
    quotes = []
    for number, _, text in days:
        sentences = [sentence for sentence in _sentences(html.unescape(text)) if len(sentence.split()) <= 25]
        if sentences:
            quotes.append({"entry": int(number), "words": max(sentences, key=len)})
    count = len(days)
    opening = (
        "You wrote on one day this week." if count == 1 else f"You came back to your journal {count} times this week."
    )
    question = "What of it would you like to take along into the next one?"
    label = "(Stand-in model: set OPENAI_API_KEY for a real look back.)"
    return {"text": f"{opening}\n\nI leave your own words to speak for it. {question}\n\n{label}", "quotes": quotes[:3]}


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in model_vision.sentences(text) if not model_vision.is_order(sentence)]


def _between(told: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", told, re.S)
    return html.unescape(found.group(1)).strip() if found else ""


ANSWERS: Mapping[str, Callable[[str], dict[str, Any]]] = {"Suggestion": suggestion, "LookBack": reflection}
"""By the title of the schema that is asked for."""
