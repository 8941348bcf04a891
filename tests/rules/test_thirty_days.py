"""Thirty days of use: what the picture takes, how days fall into kinds, and how long a balance lasts."""

from __future__ import annotations

import io
from datetime import date

import pytest
from PIL import Image

from bot.ai.meter import Action
from bot.services import usage
from bot.services.pictures import thirty_days
from prompts import replies
from storage.usage import DayUse

TODAY = date(2026, 11, 23)


def _kind(*days: int) -> thirty_days.Kind:
    return thirty_days.Kind(label="Talking with you", days=[0] * (30 - len(days)) + list(days))


@pytest.mark.parametrize("tokens", [1, 7, 1_443, 432_778, 1_000_000_000])
def test_any_amount_is_drawn_at_phone_size(tokens: int) -> None:
    picture = thirty_days.draw(title="Your last thirty days", last_day=TODAY, kinds=[_kind(tokens)])
    with Image.open(io.BytesIO(picture)) as image:
        assert image.width == 1080 and image.height < 1350
    assert len(picture) < 1_000_000


@pytest.mark.parametrize(
    "kinds",
    [[], [_kind(1)] * 6, [thirty_days.Kind(label="x", days=[1] * 29)], [_kind(-1, 5)], [_kind(0)]],
    ids=["no kind", "six kinds", "29 days", "below zero", "nothing used"],
)
def test_what_cannot_be_drawn_truthfully_is_refused(kinds: list[thirty_days.Kind]) -> None:
    with pytest.raises(ValueError):
        thirty_days.draw(title="Your last thirty days", last_day=TODAY, kinds=kinds)


def test_days_fall_into_kinds_and_those_outside_are_left_out() -> None:
    rows = [
        DayUse(day=date(2026, 10, 25), action_type="chat_conversation", tokens=5),
        DayUse(day=date(2026, 10, 24), action_type="chat_conversation", tokens=100),
        DayUse(day=TODAY, action_type="memory", tokens=2),
        DayUse(day=TODAY, action_type="chat_conversation", tokens=1),
        DayUse(day=TODAY, action_type="something_new", tokens=9),
    ]
    kinds = usage.by_kind(rows, last_day=TODAY)
    assert list(kinds) == ["talk", "rest"]
    assert kinds["talk"] == [5] + [0] * 28 + [3]
    assert kinds["rest"][-1] == 9


def test_every_kind_of_call_has_a_name_and_every_kind_of_picture_a_label() -> None:
    house, words = replies.of("house"), replies.of("usage")
    assert [action for action in Action if f"action_{action}" not in house.words] == []
    assert [kind for kind in (*usage.KINDS, "rest") if f"kind_{kind}" not in words.words] == []
    known = {action for actions in usage.KINDS.values() for action in actions}
    assert known <= {str(action) for action in Action}


@pytest.mark.parametrize(
    ("tokens", "used", "days", "left"), [(150_000, 50_000, 10, 30), (0, 5, 1, 0), (1_000, 0, 30, None)]
)
def test_how_long_it_lasts_is_told_only_where_something_was_used(
    tokens: int, used: int, days: int, left: int | None
) -> None:
    assert usage.days_left(tokens=tokens, used=used, days=days) == left
