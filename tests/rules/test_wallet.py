"""Figures a person reads about their balance."""

from __future__ import annotations

import pytest

from bot.services import wallet


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(6_156, 17_612, ("6,100", "18,000")), (7, 95, ("7", "95")), (986, 99_900, ("980", "100,000"))],
)
def test_a_range_is_said_in_two_figures_and_never_narrower_than_it_is(low: int, high: int, said: object) -> None:
    assert wallet.about(low, high) == said
