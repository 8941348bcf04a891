"""What VIVA does with what people keep: putting entries into words."""

from __future__ import annotations


def headline(content: str, *, limit: int = 28) -> str:
    """The beginning of an entry's words, for a button."""
    words = " ".join(content.split())
    return words if len(words) <= limit else words[: limit - 1].rstrip() + "…"
