"""The time zone: asked by buttons at the first moment it matters, and changed from help whenever one likes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, Message

from bot.errors import NotFound
from bot.services import time_zone as service
from bot.services.work import Work
from handlers import care, home
from handlers.screen import Screen, button, show
from handlers.waiting import Waiting
from prompts import replies
from prompts import time_zone as words
from storage import journal, people
from storage.database import Transaction
from storage.people import Account, Zone

WORDS = replies.of("time_zone")
PLACE_WORDS = 6
"""So many words may name a place; whoever writes more is confiding something, and is heard."""

router = Router(name="time_zone")


class ZoneTap(CallbackData, prefix="zone"):
    """Take this time zone; `back` is the feature (of `home.OpenTap`) that goes on afterwards."""

    name: str
    back: str


class ZonesTap(CallbackData, prefix="zones"):
    """Look for one: "ask" (from the start), "regions", "type", or the key of a region."""

    step: str
    back: str


async def ask(
    work: Work,
    db: Transaction,
    user: Account,
    *,
    back: str,
    why: str = WORDS("ask"),
    tap: CallbackQuery | None = None,
) -> bool:
    """Ask where the person is, unless it is known; whether it was asked.

    Whatever is chosen, or "not now", the person goes on to `home.OpenTap(feature=back)`, which any feature can answer.
    """
    if user.time_zone is not None:
        return False
    show(work, await _question(db, user, back=back, why=why), tap=tap)
    return True


def change(back: str = "help") -> InlineKeyboardButton:
    """The button to change the time zone."""
    return button(WORDS("change"), ZonesTap(step="ask", back=back))


# ----------------------------------------------------------------------------------------- screens


async def _question(db: Transaction, user: Account, *, back: str, why: str) -> Screen:
    known = await people.zones(db)
    rows = _clocks(service.guesses(user.language_code), known, back=back)
    return Screen(
        text=why,
        rows=[
            *rows,
            [
                button(WORDS("elsewhere"), ZonesTap(step="regions", back=back)),
                button(WORDS("type_it"), ZonesTap(step="type", back=back)),
            ],
            [button(WORDS("not_now"), home.OpenTap(feature=back))],
        ],
    )


def _clocks(names: Sequence[str], known: Sequence[Zone], *, back: str) -> list[list[InlineKeyboardButton]]:
    """A button for each zone, two in a row, each with the time there."""
    now, by_name = datetime.now(UTC), {zone.name: zone for zone in known}
    buttons = [
        button(f"{service.place(name)}  {service.clock(by_name[name], now)}", ZoneTap(name=name, back=back))
        for name in names
        if name in by_name
    ]
    return [buttons[i : i + 2] for i in range(0, len(buttons), 2)]


def _ways(back: str) -> list[InlineKeyboardButton]:
    return [
        button(WORDS("regions"), ZonesTap(step="regions", back=back)),
        button(WORDS("type_it"), ZonesTap(step="type", back=back)),
    ]


# ---------------------------------------------------------------------------------------- handlers


@router.callback_query(ZonesTap.filter(F.step == "ask"))
async def on_ask(tap: CallbackQuery, callback_data: ZonesTap, user: Account, db: Transaction, work: Work) -> None:
    """Ask, or ask again."""
    await people.wait_for(db, None)
    why = WORDS("ask")
    if user.time_zone is not None:
        zone = next((zone for zone in await people.zones(db) if zone.name == user.time_zone), None)
        if zone is not None:
            clock = service.clock(zone, datetime.now(UTC))
            why = WORDS("standing", place=service.place(zone.name), clock=clock) + "\n\n" + why
    show(work, await _question(db, user, back=callback_data.back, why=why), tap=tap)


@router.callback_query(ZonesTap.filter(F.step == "regions"))
async def on_regions(tap: CallbackQuery, callback_data: ZonesTap, db: Transaction, work: Work) -> None:
    """Show the parts of the world."""
    await people.wait_for(db, None)
    back = callback_data.back
    regions = [button(region.label, ZonesTap(step=region.key, back=back)) for region in words.zones().regions]
    rows = [regions[i : i + 2] for i in range(0, len(regions), 2)]
    last = [
        button(WORDS("back"), ZonesTap(step="ask", back=back)),
        button(WORDS("type_it"), ZonesTap(step="type", back=back)),
    ]
    show(work, Screen(text=WORDS("choose_region"), rows=[*rows, last]), tap=tap)


@router.callback_query(ZonesTap.filter(F.step == "type"))
async def on_type(tap: CallbackQuery, callback_data: ZonesTap, db: Transaction, work: Work) -> None:
    """Take the next words as a place or a time."""
    await people.wait_for(db, {"kind": "time_zone", "back": callback_data.back})
    rows = [[button(WORDS("back"), ZonesTap(step="ask", back=callback_data.back))]]
    show(work, Screen(text=WORDS("ask_type"), rows=rows), tap=tap)


@router.callback_query(ZonesTap.filter())
async def on_region(tap: CallbackQuery, callback_data: ZonesTap, db: Transaction, work: Work) -> None:
    """Show the clocks of a region."""
    region = next((region for region in words.zones().regions if region.key == callback_data.step), None)
    if region is None:
        raise NotFound(WORDS("gone"))
    await people.wait_for(db, None)
    rows = _clocks(tuple(region.zones), await people.zones(db), back=callback_data.back)
    show(work, Screen(text=WORDS("choose_city"), rows=[*rows, _ways(callback_data.back)]), tap=tap)


@router.message(Waiting("time_zone"), F.text, ~F.text.startswith("/"))
async def on_place(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Offer the zones that a place or a time may mean; the person picks."""
    typed, back = message.text or "", str(waiting["back"])
    if len(typed.split()) > PLACE_WORDS:
        await people.wait_for(db, None)
        raise SkipHandler
    await care.speak_up(work, db, user, typed)
    known = await people.zones(db)
    found = service.find(typed, known, now=datetime.now(UTC))
    rows = _clocks(found, known, back=back)
    if not rows:
        show(work, Screen(text=WORDS("not_found"), rows=[_ways(back)]))
        return
    show(work, Screen(text=WORDS("found_one" if len(found) == 1 else "found"), rows=[*rows, _ways(back)]))


@router.callback_query(ZoneTap.filter())
async def on_zone(tap: CallbackQuery, callback_data: ZoneTap, user: Account, db: Transaction, work: Work) -> None:
    """Keep the time zone; entries that were dated without one get their own day."""
    zone = next((zone for zone in await people.zones(db) if zone.name == callback_data.name), None)
    if zone is None:
        raise NotFound(WORDS("gone"))
    await people.wait_for(db, None)
    await people.live_in(db, zone.name)
    if user.time_zone is None:
        await journal.date_again(db)
    back = callback_data.back
    said = WORDS("set", place=service.place(zone.name), clock=service.clock(zone, datetime.now(UTC)))
    rows = [
        [button(WORDS("go_on"), home.OpenTap(feature=back), style="success")],
        [button(WORDS("another"), ZonesTap(step="ask", back=back))],
    ]
    show(work, Screen(text=said, rows=rows), tap=tap)
