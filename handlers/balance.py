"""/balance: what is left, what was used, and by what."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.services import wallet
from bot.services.work import Work
from handlers import home
from handlers.screen import Screen, show
from prompts import replies
from storage import meter
from storage.database import Transaction

WORDS = replies.of("house")
LATEST = 5

router = Router(name="balance")


async def screen(db: Transaction) -> Screen:
    """The balance of the person who is acting, with what it went to."""
    purse = await meter.wallet(db)
    used = await meter.used_by_action(db)
    latest = await meter.latest_usage(db, limit=LATEST)
    assert purse is not None
    parts: list[object] = [
        Bold(WORDS("balance_title")),
        "\n\n",
        Bold(WORDS("balance_left", left=wallet.tokens(purse.balance))),
    ]
    if purse.held:
        parts += ["\n", WORDS("balance_held", held=wallet.tokens(purse.held))]
    if not used:
        parts += ["\n\n", WORDS("balance_nothing_used")]
    else:
        parts += ["\n", WORDS("balance_used", used=wallet.tokens(purse.used), cost=wallet.money(purse.cost_cents))]
        parts += ["\n\n", Bold(WORDS("balance_by"))]
        for kind in used:
            calls = WORDS("calls_one") if kind.calls == 1 else WORDS("calls_many", calls=kind.calls)
            what = WORDS(f"action_{kind.action_type}")
            parts += ["\n", WORDS("balance_line", what=what, tokens=wallet.tokens(kind.tokens), calls=calls)]
        parts += ["\n\n", Bold(WORDS("balance_latest"))]
        for call in latest:
            values = {
                "when": f"{call.created_at:%d %b %H:%M} UTC",
                "what": WORDS(f"action_{call.action_type}"),
                "model": call.model_used,
            }
            if call.tokens_used == 0:
                parts += ["\n", WORDS("balance_call_failed", **values)]
            else:
                cost = wallet.money(call.cost_estimate)
                parts += ["\n", WORDS("balance_call", tokens=wallet.tokens(call.tokens_used), cost=cost, **values)]
    return Screen(text=Text(*parts), rows=[[home.back()]])


@router.message(Command("balance"))
async def on_balance(message: Message, db: Transaction, work: Work) -> None:
    """Show the balance."""
    show(work, await screen(db))


@router.callback_query(home.OpenTap.filter(F.feature == "balance"))
async def on_balance_tap(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show the balance in place."""
    show(work, await screen(db), tap=tap)
