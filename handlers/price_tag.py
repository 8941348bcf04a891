"""Price tags before dear actions, and receipts after them."""

from __future__ import annotations

from collections.abc import Sequence

from aiogram.filters.callback_data import CallbackData
from aiogram.types import InlineKeyboardButton
from aiogram.utils.formatting import Bold, Text

from bot.ai.meter import Action
from bot.config import Settings
from bot.services import wallet
from bot.services.work import Work
from handlers import balance, packs
from handlers.screen import Screen, button
from prompts import replies
from storage import meter, usage
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("usage")


async def screen(
    db: Transaction,
    user: Account,
    settings: Settings,
    *,
    what: str,
    low: int,
    high: int,
    go_on: CallbackData,
    back: Sequence[InlineKeyboardButton],
    like: tuple[Action, str] | None = None,
    why: str | None = None,
) -> Screen:
    """What an action takes, from `low` to `high` tokens, and what the person has; `go_on` is the tap that begins it.

    `like` is the kind of its calls and how the name of their step begins: then what it really took the person the last
    times is said as well. `why` says what comes of it. Where not even `low` is there, it says what is missing and when
    more comes, and there is no way to begin.
    """
    purse = await meter.wallet(db)
    assert purse is not None
    free = purse.balance - purse.held
    if low == high:
        takes = WORDS("price_exact", high=wallet.tokens(high))
    else:
        least, most = wallet.about(low, high)
        takes = WORDS("price_range", low=least, high=most)
    parts: list[object] = [Bold(what), "\n\n", *([why, "\n\n"] if why is not None else []), takes]
    past = await usage.past(db, like[0], step=like[1]) if like is not None and low != high else None
    if past is not None:
        key = "price_past" if past.low != past.high else "price_past_exact"
        figures = {"low": wallet.tokens(past.low), "high": wallet.tokens(past.high)}
        parts += ["\n", WORDS(key, times=past.times, **figures)]
    parts += ["\n", WORDS("price_have", have=wallet.tokens(free))]
    if free < low:
        parts += ["\n\n", WORDS("price_short", missing=wallet.tokens(low - free))]
        parts += await balance.outlook(db, user, settings, free=free)
        return Screen(text=Text(*parts), rows=[[packs.buy_button()], list(back)])
    if free < high:
        parts += ["\n\n", WORDS("price_may_not_do")]
    return Screen(text=Text(*parts), rows=[[button(WORDS("price_go_on"), go_on, style="success")], list(back)])


async def receipt(db: Transaction, work: Work) -> str:
    """What the calls of this work took in all, and what is left: a line for the screen that ends a dear action."""
    spent = await usage.of_work(db, work.head.id)
    purse = await meter.wallet(db)
    assert purse is not None
    left = wallet.tokens(purse.balance - purse.held)
    if spent.tokens == 0:
        return WORDS("receipt_nothing", left=left)
    return WORDS("receipt", tokens=wallet.tokens(spent.tokens), cost=wallet.money(spent.cost_cents), left=left)
