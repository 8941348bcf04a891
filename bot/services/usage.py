"""What a person's use looks like from afar: how long it will last, and thirty days by kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from bot.services.pictures import thirty_days
from storage.usage import DayUse

KINDS = {
    "talk": ("chat_conversation", "memory", "embedding"),
    "vision": ("vision_generation", "vision_refinement", "blueprint_generation", "audio_generation"),
    "listening": ("transcription",),
    "looking": ("journal_reflection", "insight_generation", "assessment_scoring"),
}
"""Kinds that a picture can tell apart, with the calls in each; any other call is of the kind "rest"."""


def days_left(*, tokens: int, used: int, days: int) -> int | None:
    """For how many days `tokens` last when `used` went in `days`; None when none went."""
    return None if used <= 0 else round(tokens * days / used)


def first_day(last_day: date) -> date:
    """The first of the thirty days that end with `last_day`."""
    return last_day - timedelta(days=thirty_days.DAYS - 1)


def by_kind(rows: Sequence[DayUse], *, last_day: date) -> dict[str, list[int]]:
    """The tokens of each kind on each of the thirty days that end with `last_day`; unused kinds are left out."""
    start = first_day(last_day)
    kinds = {kind: [0] * thirty_days.DAYS for kind in (*KINDS, "rest")}
    for row in rows:
        kind = next((kind for kind, actions in KINDS.items() if row.action_type in actions), "rest")
        place = (row.day - start).days
        if 0 <= place < thirty_days.DAYS:
            kinds[kind][place] += row.tokens
    return {kind: days for kind, days in kinds.items() if any(days)}
