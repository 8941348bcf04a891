"""The rules of threads: their titles, how one about an area of life moves on, and how one reads as a document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo
from typing import Literal

from bot.services import chat
from storage.conversations import Conversation, Turn

TITLE_CHARACTERS = 48
MOST_TITLE = 80
"""Characters of a title that a person gives."""

TURNS: dict[str, int] = {"contrast": 2, "peak": 2}
"""Turns of the person's in a phase before the next one begins."""

LEAST_TO_DRAFT = 2
"""Turns in the last phase from which the section may be drafted."""

NEXT: dict[str, Literal["peak", "specific"]] = {"contrast": "peak", "peak": "specific"}


def title(words: str) -> str:
    """The first words of a talk, as its title."""
    line = " ".join(words.split())
    if len(line) <= TITLE_CHARACTERS:
        return line or "…"
    cut = line[:TITLE_CHARACTERS].rsplit(" ", 1)[0].rstrip(" ,.;:!?–-") or line[:TITLE_CHARACTERS]
    return cut + " …"


def moves_to(conversation: Conversation, *, said: int) -> Literal["peak", "specific"] | None:
    """The phase in which a talk about an area of life goes on after so many turns in this one; None: in the same."""
    if conversation.category is None or said < TURNS.get(conversation.phase, said + 1):
        return None
    return NEXT.get(conversation.phase)


def ready_to_draft(conversation: Conversation, *, said: int) -> bool:
    """Whether enough was said for a section of the vision."""
    if conversation.category is None:
        return False
    return conversation.phase == "refinement" or (conversation.phase == "specific" and said >= LEAST_TO_DRAFT)


def imagination(turns: Sequence[Turn]) -> str:
    """What the person said of the life they want: not what they told in contrast, which they do not want."""
    return "\n\n".join(
        turn.message for turn in turns if turn.role == "user" and turn.context.get("visionBuildPhase") != "contrast"
    )


def document(conversation: Conversation, turns: Sequence[Turn], *, person: str, zone: tzinfo) -> str:
    """A thread as Markdown, oldest turn first; signs of Markdown in what was said stay as they are."""
    lines = [f"# {conversation.title}", ""]
    day = None
    for turn in chat.in_order(turns):
        local = turn.created_at.astimezone(zone)
        if local.date() != day:
            day = local.date()
            lines += [f"## {local.day} {local:%B %Y}", ""]
        speaker = "VIVA" if turn.role == "assistant" else person
        lines += [f"**{speaker}**, {local:%H:%M}", "", turn.message.strip(), ""]
    return "\n".join(lines)
