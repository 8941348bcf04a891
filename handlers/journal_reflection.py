"""Looking back on a week of the journal: asked for by a tap, made on Sunday evening, ended by a tap."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

from aiogram import F, Router
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import BlockQuote, Bold, Italic, Text

from bot.ai import tokens
from bot.ai.meter import Action
from bot.config import Settings
from bot.errors import ModelRefused, NotFound, OutOfTokens
from bot.services import care as signs
from bot.services import journal as service
from bot.services import shorter, wallet
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, care, home, price_tag, start, time_zone
from handlers.journal import WORDS, EntryTap, JournalTap, to_list
from handlers.screen import Screen, button, show
from prompts import replies
from prompts.journal import reflection as prompt
from storage import journal, memory, people
from storage import journal_reflections as store
from storage.database import Transaction
from storage.journal import Entry
from storage.journal_reflections import Quote, Reflection
from storage.people import Account

HOUSE = replies.of("house")

MATERIAL = 6_000
"""Tokens of a week's entries that are read: about 4,500 words."""

MOST_OUTPUT = 600
LEAST_OUTPUT = 250
"""Tokens of what is written: 120 words and three quotes, in any language."""

PAST = 6

router = Router(name="journal_reflection")


class WeeklyTap(CallbackData, prefix="weekly"):
    """Look back every week, or no more."""

    on: bool


class WeekTap(CallbackData, prefix="week"):
    """What was written about the week that begins on this Monday; with `again`, write what could not be written."""

    monday: str
    again: bool = False


# ----------------------------------------------------------------------------------------- choosing


async def _screen(db: Transaction) -> Screen:
    """What it is, whether it comes, and what was written so far."""
    on = await store.is_wanted(db)
    past = [
        [button(_week(reflection.week_start), WeekTap(monday=reflection.week_start.isoformat()))]
        for reflection in await store.latest(db, limit=PAST)
    ]
    turn = (
        [button(WORDS("weekly_off"), WeeklyTap(on=False))]
        if on
        else [button(WORDS("weekly_begin"), JournalTap(step="weekly_price"), style="success")]
    )
    text = Text(
        Bold(WORDS("weekly")), "\n\n", WORDS("weekly_what"), "\n\n", WORDS("weekly_is_on" if on else "weekly_is_off")
    )
    return Screen(text=text, rows=[*past, turn, [to_list(), home.back()]])


def _week(monday: date) -> str:
    sunday = monday + timedelta(days=6)
    return f"{monday:%d %b} – {sunday:%d %b %Y}"


@router.callback_query(JournalTap.filter(F.step == "weekly"))
@router.callback_query(home.OpenTap.filter(F.feature == "journal_weekly"))
async def on_weekly(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show what the weekly look back is."""
    await people.wait_for(db, None)
    show(work, await _screen(db), tap=tap)


@router.callback_query(JournalTap.filter(F.step == "weekly_price"))
async def on_price(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Say what it takes, before it is agreed to."""
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    parts = [message["content"] for message in prompt.messages([], first_name="")]
    rules = sum(map(tokens.count, [*parts, json.dumps(prompt.LookBack.model_json_schema())]))
    tag = await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("weekly_price"),
        low=-(-(rules + LEAST_OUTPUT) // 100) * 100,
        high=-(-(rules + MATERIAL + MOST_OUTPUT) // 100) * 100,
        like=(Action.JOURNAL_REFLECTION, "reflection"),
        go_on=WeeklyTap(on=True),
        back=[button(WORDS("weekly_not"), JournalTap(step="weekly")), to_list()],
    )
    show(work, tag, tap=tap)


@router.callback_query(WeeklyTap.filter())
async def on_choice(
    tap: CallbackQuery, callback_data: WeeklyTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Keep the choice. Where the time zone is unknown it matters now."""
    if callback_data.on and user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    await store.want(db, callback_data.on)
    if callback_data.on and await time_zone.ask(work, db, user, back="journal_weekly", tap=tap):
        return
    said = WORDS("weekly_on_now" if callback_data.on else "weekly_off_now")
    if isinstance(tap.message, Message) and not callback_data.on:
        # What was written about the week stays readable; only its buttons go.
        work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id})
        show(work, Screen(text=said, rows=[[button(WORDS("weekly"), JournalTap(step="weekly")), to_list()]]))
        return
    rows = [[button(WORDS("weekly"), JournalTap(step="weekly")), to_list()]]
    show(work, Screen(text=said, rows=rows), tap=tap)


@router.callback_query(WeekTap.filter())
async def on_week(tap: CallbackQuery, callback_data: WeekTap, db: Transaction, work: Work) -> None:
    """Show what was written about a week, or write what could not be written."""
    try:
        monday = date.fromisoformat(callback_data.monday)
    except ValueError:
        raise NotFound(WORDS("no_week")) from None
    kept = await store.of_week(db, monday)
    if kept is not None:
        show(work, _reflection_screen(kept))
        return
    over = monday.weekday() == 0 and monday + timedelta(days=6) <= await people.today(db)
    if not callback_data.again or not over or not await store.may_be_sent(db):
        raise NotFound(WORDS("no_week"))
    payload = {"week": monday.isoformat()}
    work.start("journal.reflect", payload, lane="journal_reflection", key=f"{monday.isoformat()}:{work.head.id}")


def _reflection_screen(reflection: Reflection, receipt: str | None = None) -> Screen:
    parts: list[object] = [Bold(WORDS("week_title", week=_week(reflection.week_start))), "\n\n", reflection.text]
    for quote in reflection.quotes:
        parts += ["\n\n", Italic(f"{quote.date:%A, %d %B}"), "\n", BlockQuote(quote.words)]
    if receipt:
        parts += ["\n\n", receipt]
    opened = {quote.entry_id: button(f"{quote.date:%d %b}", EntryTap(id=quote.entry_id)) for quote in reflection.quotes}
    return Screen(
        text=Text(*parts),
        rows=[*([[*opened.values()]] if opened else []), [button(WORDS("weekly_off"), WeeklyTap(on=False)), to_list()]],
    )


# ------------------------------------------------------------------------------------------- the job


async def reflect(job: Job, doors: Doors) -> None:
    """Look back on a week in one call, made of that week's entries only; nothing is said of an empty week."""
    monday = date.fromisoformat(job.payload["week"])
    async with job.transaction() as db:
        wanted = await store.may_be_sent(db) and await store.of_week(db, monday) is None
        written = [entry for entry in await journal.to_look_back_on(db, monday) if entry.words]
        entries = await memory.without_forgotten(db, written)
        account = await people.account(db)
    if not wanted or not entries or account is None:
        async with job.finish():
            return
    heavy = next((entry.words for entry in written if _is_urgent(entry.words)), None)
    if heavy is not None:
        # Somebody in danger is not handed a summary; they are told who is there for them.
        async with job.finish() as db:
            await store.add(db, week_start=monday, text=WORDS("week_heavy"), quotes=[])
            show(job, Screen(text=WORDS("week_heavy"), rows=[[to_list(), home.back()]]))
            await care.speak_up(job, db, account, heavy)
        return
    draft = await shorter.asked(
        prompt.messages(_material(entries), first_name=account.first_name or ""),
        lambda messages: job.call(
            "reflection",
            prompt.LookBack,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.JOURNAL_REFLECTION,
                messages=messages,
                shape=prompt.LookBack,
                most_output=MOST_OUTPUT,
                least_output=LEAST_OUTPUT,
            ),
        ),
    )
    quotes: list[Quote] = service.true_quotes(draft, entries)[:3]
    if not draft.text.strip():
        raise ModelRefused("The model had no words for this week.")
    async with job.finish() as db:
        if not await store.may_be_sent(db):
            return
        text = service.honest(draft.text.strip(), entries)
        await store.add(db, week_start=monday, text=text, quotes=quotes)
        kept = await store.of_week(db, monday)
        assert kept is not None
        job.unasked = True
        show(job, _reflection_screen(kept, await price_tag.receipt(db, job)))
        await balance.warn_if_low(job, db)


def _material(entries: Sequence[Entry]) -> list[tuple[date, str]]:
    """The entries as they are read: whole, or where the week is long each as far as its share goes."""
    texts = ["\n".join(part for part in (entry.title, entry.words) if part) for entry in entries]
    counts = [tokens.count(text) for text in texts]
    if sum(counts) > MATERIAL:
        share = MATERIAL // len(texts)
        spare = sum(max(0, share - count) for count in counts) // max(1, sum(count > share for count in counts))
        texts = [service.shortened(text, share + spare) for text in texts]
    return [(entry.date, text) for entry, text in zip(entries, texts, strict=True)]


def _is_urgent(words: str) -> bool:
    sign = signs.sign_in(words)
    return sign is not None and sign.level == "immediate"


async def not_reflected(job: Job, db: Transaction, error: Exception) -> None:
    """Say that this week was not looked back on, with a way to try again and one to end it."""
    monday = date.fromisoformat(job.payload["week"])
    if not await store.may_be_sent(db):
        return
    row = [button(HOUSE("try_again"), WeekTap(monday=monday.isoformat(), again=True))]
    if isinstance(error, OutOfTokens):
        needed, left = wallet.tokens(error.available + error.missing), wallet.tokens(error.available)
        words = WORDS("week_no_tokens", week=_week(monday), needed=needed, left=left)
        row.append(button(HOUSE("balance"), home.OpenTap(feature="balance")))
    else:
        words = WORDS("week_failed", week=_week(monday))
    show(job, Screen(text=words, rows=[row, [button(WORDS("weekly_off"), WeeklyTap(on=False)), to_list()]]))


JOBS = {"journal.reflect": (reflect, not_reflected)}
