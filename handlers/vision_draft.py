"""Drafting a section of the vision from what the person says, or from what else is known of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.ai.meter import Action
from bot.ai.model import Reply
from bot.config import Settings
from bot.errors import ModelError, ModelRefused
from bot.services import shorter
from bot.services import vision as service
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, price_tag, recordings, start, vision_proposals, vision_telling
from handlers.screen import Screen, button, conclude, show
from handlers.vision import VisionTap, back, overview, section_screen, title
from handlers.vision_telling import waiting_for
from handlers.waiting import Waiting
from prompts import replies
from prompts import vision as prompts
from prompts.categories import Section
from prompts.vision import WOVEN, Material
from storage import people, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal

WORDS = replies.of("vision")

router = Router(name="vision_draft")


# ------------------------------------------------------------------------------------------ asking


@router.callback_query(VisionTap.filter(F.step.in_({"ask", "answers"})))
async def on_ask(
    tap: CallbackQuery, callback_data: VisionTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Ask what a section looks like when it is just right, or write it from what is known already."""
    section = service.section(callback_data.key)
    if section is None:
        await people.wait_for(db, None)
        show(work, await overview(db), tap=tap)
    elif user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
    elif callback_data.step == "ask":
        await _ask(tap, section, db, work)
    else:
        await _from_known(tap, section, user, db, work)


async def _ask(tap: CallbackQuery, section: Section, db: Transaction, work: Work) -> None:
    await people.wait_for(db, waiting_for(section))
    standing = await vision.standing(db)
    texts = standing.sections if standing is not None else {}
    known = await service.known(db, section, texts=texts)
    if section.key in WOVEN:
        question, how, alone = WORDS("ask_woven"), WORDS(f"ask_{section.key}", count=len(known.woven)), "weave_alone"
    else:
        question, how, alone = WORDS("ask"), WORDS("ask_how"), "from_known"
    parts: list[Any] = [title(section), "\n\n", Bold(question), "\n\n", how]
    rows = []
    if texts.get(section.key, "").strip():
        parts += ["\n\n", WORDS("ask_existing")]
    if known.told:
        if section.key not in WOVEN:
            parts += ["\n\n", WORDS("ask_known", what=sources(known))]
        rows.append([button(WORDS(alone), VisionTap(step="answers", key=section.key))])
    show(work, Screen(text=Text(*parts), rows=[*rows, back()]), tap=tap)


def sources(known: Material) -> str:
    """From what a section can be written without more words, in words."""
    named = [
        WORDS(f"source_{source}") for source in ("imagination", "answers", "story", "entries") if getattr(known, source)
    ]
    return named[0] if len(named) == 1 else WORDS("source_and", first=", ".join(named[:-1]), last=named[-1])


async def _from_known(tap: CallbackQuery, section: Section, user: Account, db: Transaction, work: Work) -> None:
    standing = await vision.standing(db)
    known = await service.known(db, section, texts=standing.sections if standing is not None else {})
    # What VIVA waits for is used up by the first tap, so that a second one starts nothing.
    if user.waiting_for != waiting_for(section) or not known.told:
        newest = (await vision.newest(db)).get(section.key)
        if newest is None or newest.state != "drafting":
            show(work, await section_screen(db, section), tap=tap)
        return
    await people.wait_for(db, None)
    said = WORDS("weave_alone" if section.key in WOVEN else "from_known")
    show(work, Screen(text=Text(title(section), "\n\n", said)), tap=tap)
    vision_proposals.begin(work, await vision.propose(db, section_key=section.key, imagination=""))


# ---------------------------------------------------------------------------- what the person tells


@router.message(Waiting("vision"), F.text, ~F.text.startswith("/"))
async def on_words(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Write the section from the person's words."""
    section = await _awaited(waiting, db, work)
    if section is not None:
        words = vision_telling.cleaned(message.text)
        proposal = await vision.propose(db, section_key=section.key, imagination=words)
        await vision_telling.take_words(work, db, user, settings, proposal)


@router.message(Waiting("vision"), recordings.ANY)
async def on_recording(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person says, write it down, and write the section from it."""
    section = service.section(waiting.get("category"))

    async def keep(words: str) -> Proposal:
        assert section is not None
        return await vision.propose(db, section_key=section.key, imagination=words)

    if await vision_telling.may_listen(message, work, db, user, section=section, keep=keep):
        await people.wait_for(db, None)
        vision_telling.listen(message, work, await keep(vision_telling.cleaned(message.caption)))


async def _awaited(waiting: dict[str, Any], db: Transaction, work: Work) -> Section | None:
    """The section that the words are for; the waiting is over."""
    await people.wait_for(db, None)
    section = service.section(waiting.get("category"))
    if section is None:
        show(work, await overview(db))
    return section


# --------------------------------------------------------------------------------------- the job


async def draft(job: Job, doors: Doors) -> None:
    """Write the section in one streamed call, or two where the first breaks a rule, for the person to decide on."""
    awaited = await vision_telling.awaiting(job)
    if awaited is None:
        async with job.finish():
            return
    proposal, section, account = awaited
    if account.consented_at is None:
        trouble = vision_telling.trouble_screen(proposal, section, WORDS("withdrawn"))
        await vision_telling.give_up(job, proposal, trouble)
        return
    async with job.transaction() as db:
        material = await service.gather(db, proposal, section)
    if not material.told:
        ask = button(WORDS("draft"), VisionTap(step="ask", key=section.key))
        await vision_telling.give_up(job, proposal, Screen(text=WORDS("nothing_told"), rows=[[ask], back()]))
        return
    stopped = vision_telling.trouble_screen(proposal, section, WORDS("stopped"))
    if job.stopped and not job.done("draft"):
        await vision_telling.give_up(job, proposal, stopped)
        return
    await job.show_action("typing")
    try:
        text, cut = await compose(job, doors, material, step="draft", on_text=job.show_draft)
    except ModelRefused:
        # A stream that is stopped before its first word ends as an empty answer.
        if not job.stopped:
            raise
        await vision_telling.give_up(job, proposal, stopped)
        return
    async with job.finish() as db:
        if await vision.written(db, proposal.id, text=text, cut=cut):
            proposal = proposal.model_copy(update={"text": text, "cut": cut, "state": "proposed"})
            receipt = await price_tag.receipt(db, job)
            shown = await vision_proposals.screen(db, proposal, section, receipt=receipt)
            conclude(job, shown, key=job.payload["key"])
            await balance.warn_if_low(job, db)


async def compose(
    job: Job, doors: Doors, material: Material, *, step: str, on_text: Callable[[str], Awaitable[None]]
) -> tuple[str, bool]:
    """A section's text, and whether it broke off.

    Where a check finds that the first text breaks a rule, it is written once more with what was found, and the better
    of the two is taken; should that not be possible, the first stands.
    """
    asked = prompts.messages(material)
    first = await _call(job, doors, material, asked, step=step, on_text=on_text)
    text = service.tidy(first.text)
    if first.ended != "complete":
        return text, True
    found = service.worth_another(text, material)
    if not found or (job.stopped and not job.done(f"{step}:again")):
        return text, False
    more = prompts.again(asked, answer=text, found=found)
    try:
        second = await _call(job, doors, material, more, step=f"{step}:again", on_text=on_text)
    except ModelError:
        return text, False
    if second.ended != "complete":
        return text, False
    return service.better(text, service.tidy(second.text), material), False


async def _call(
    job: Job,
    doors: Doors,
    material: Material,
    messages: Sequence[dict[str, str]],
    *,
    step: str,
    on_text: Callable[[str], Awaitable[None]],
) -> Reply:
    most, least = service.room(material)
    return await shorter.asked(
        messages,
        lambda messages: job.call(
            step,
            Reply,
            lambda ticket: doors.model.chat(
                ticket,
                action=Action.VISION_GENERATION,
                messages=messages,
                most_output=most,
                least_output=least,
                on_text=on_text,
                stop=job.stop,
            ),
        ),
    )


JOBS = {"vision.draft": (draft, vision_telling.writing_failed)}
