"""/balance: what is left and for how long, when more comes, what was used, and by what."""

from __future__ import annotations

from datetime import UTC, datetime

from aiogram import F, Router
from aiogram.filters import Command
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.config import Settings
from bot.services import usage as rules
from bot.services import wallet
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home, packs, usage
from handlers.screen import Screen, button, show
from prompts import replies
from storage import grants, meter
from storage.database import Transaction
from storage.people import Account

WORDS = replies.of("house")
USAGE = replies.of("usage")
LATEST = 3
LONG = 365
"""Days beyond which nobody can say how long tokens last."""

router = Router(name="balance")


async def outlook(db: Transaction, user: Account, settings: Settings, *, free: int) -> list[object]:
    """What comes, what ends, and how long it lasts, a line each."""
    coming = await grants.outlook(db)
    ending = await grants.ending(db)
    assert coming is not None
    lines = []
    if settings.viva_drip_tokens:
        amount = wallet.tokens(settings.viva_drip_tokens)
        if coming.drip_at > datetime.now(UTC):
            lines.append(USAGE("drip_next", amount=amount, date=usage.day(coming.drip_at, user)))
        else:
            lines.append(USAGE("drip_soon", amount=amount))
    if ending is not None:
        date = usage.day(ending.expires_at, user)
        lines.append(USAGE("ending", tokens=wallet.tokens(ending.tokens), date=date))
    days = rules.days_left(tokens=free, used=coming.used, days=coming.days)
    if days is not None and days > LONG:
        lines.append(USAGE("lasts_long"))
    elif days is not None:
        lines.append(USAGE("lasts_day") if days <= 1 else USAGE("lasts_days", days=days))
    return ["\n\n", "\n".join(lines)] if lines else []


async def screen(db: Transaction, user: Account, settings: Settings) -> Screen:
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
        parts += await outlook(db, user, settings, free=purse.balance - purse.held)
        parts += ["\n\n", WORDS("balance_nothing_used")]
    else:
        parts += ["\n", WORDS("balance_used", used=wallet.tokens(purse.used), cost=wallet.money(purse.cost_cents))]
        parts += await outlook(db, user, settings, free=purse.balance - purse.held)
        parts += ["\n\n", Bold(WORDS("balance_by"))]
        for kind in used:
            calls = WORDS("calls_one") if kind.calls == 1 else WORDS("calls_many", calls=kind.calls)
            what = WORDS(f"action_{kind.action_type}")
            parts += ["\n", WORDS("balance_line", what=what, tokens=wallet.tokens(kind.tokens), calls=calls)]
        parts += ["\n\n", Bold(WORDS("balance_latest"))]
        for call in latest:
            local = call.created_at.astimezone(user.zone)
            values = {
                "when": f"{local.day} {local:%b %H:%M}" + ("" if user.time_zone else " UTC"),
                "what": WORDS(f"action_{call.action_type}"),
                "model": call.model_used,
            }
            if call.tokens_used == 0:
                parts += ["\n", WORDS("balance_call_failed", **values)]
            else:
                cost = wallet.money(call.cost_estimate)
                parts += ["\n", WORDS("balance_call", tokens=wallet.tokens(call.tokens_used), cost=cost, **values)]
    return Screen(text=Text(*parts), rows=[[usage.open_button()], [packs.buy_button()], [home.back()]])


@router.message(Command("balance"))
async def on_balance(message: Message, user: Account, db: Transaction, settings: Settings, work: Work) -> None:
    """Show the balance."""
    show(work, await screen(db, user, settings))


@router.callback_query(home.OpenTap.filter(F.feature == "balance"))
async def on_balance_tap(tap: CallbackQuery, user: Account, db: Transaction, settings: Settings, work: Work) -> None:
    """Show the balance in place."""
    show(work, await screen(db, user, settings), tap=tap)


async def warn_if_low(work: Work, db: Transaction) -> None:
    """Say, after what was just shown, that few tokens are left: at 20 % and at 5 % of what there was, once each.

    For the last transaction of a job that called a model.
    """
    percent = await grants.low(db)
    if percent is not None:
        purse = await meter.wallet(db)
        assert purse is not None
        level = "low_0" if purse.balance == 0 else "low_20" if percent > 5 else "low_5"
        words = USAGE(level, left=wallet.tokens(purse.balance))
        show(work, Screen(text=words, rows=[[button(WORDS("balance"), home.OpenTap(feature="balance"))]]))


async def changed(job: Job, doors: Doors) -> None:
    """Say quietly that somebody else changed the balance: an admin, or the month for who had few tokens left."""
    async with job.finish() as db:
        purse = await meter.wallet(db)
        if purse is not None:
            tokens, left = wallet.tokens(job.payload["tokens"]), wallet.tokens(purse.balance)
            words = USAGE(f"balance_{job.payload['what']}", tokens=tokens, left=left)
            rows = [[button(WORDS("balance"), home.OpenTap(feature="balance"))]]
            show(job, Screen(text=words, rows=rows), quiet=True)


async def changed_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Leave it: the balance itself tells."""


JOBS = {"balance.changed": (changed, changed_failed)}
