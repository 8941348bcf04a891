"""What a person reads about their balance: figures in words."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal


def tokens(count: int) -> str:
    """A number of tokens as people read it: 12,345."""
    return f"{count:,}"


def about(low: int, high: int) -> tuple[str, str]:
    """A range of tokens in two figures each, and no narrower than it is: 6,156 to 17,612 is 6,100 to 18,000."""
    below, above = 10 ** max(len(str(low)) - 2, 0), 10 ** max(len(str(high)) - 2, 0)
    return tokens(low // below * below), tokens(-(-high // above) * above)


def money(cents: Decimal) -> str:
    """US cents as dollars, with as many places as it takes to show that something was paid."""
    dollars = cents / 100
    if dollars == 0:
        return "$0.00"
    places = Decimal("0.01") if dollars >= 1 else Decimal("0.0001")
    rounded = dollars.quantize(places, ROUND_HALF_UP)
    return "under $0.0001" if rounded == 0 else f"${rounded}"
