"""Changing a section of the vision by talking: what came and what went is shown, and it is accepted or undone."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from aiogram import F, Router
from aiogram.types import CallbackQuery, Message
from aiogram.utils.formatting import Bold, Text

from bot.ai import tokens
from bot.ai.meter import Action
from bot.config import Settings
from bot.errors import ModelError
from bot.services import chat, shorter
from bot.services import vision as service
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, price_tag, recordings, start, vision_proposals, vision_telling
from handlers.screen import Screen, button, conclude, show
from handlers.vision import ProposalTap, VisionTap, back_to, overview, section_screen, title
from handlers.vision_telling import waiting_for
from handlers.waiting import Waiting
from prompts import replies
from prompts import vision as prompts
from prompts.categories import Section
from prompts.vision import Material, Refined
from storage import conversations, people, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal

WORDS = replies.of("vision")
STEP = "refine"

router = Router(name="vision_refine")


# ---------------------------------------------------------------------------------------- asking


@router.callback_query(VisionTap.filter(F.step == "refine"))
async def on_refine(
    tap: CallbackQuery, callback_data: VisionTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Ask what shall be otherwise in a section."""
    section = service.section(callback_data.key)
    standing = await vision.standing(db)
    if section is None or standing is None or section.key not in standing.written:
        show(work, await overview(db) if section is None else await section_screen(db, section), tap=tap)
        return
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    await people.wait_for(db, waiting_for(section, "refinement"))
    text = standing.sections[section.key].strip()
    parts = [title(section), "\n\n", text, "\n\n", Bold(WORDS("refine_ask")), "\n", WORDS("refine_how")]
    show(work, Screen(text=Text(*parts), rows=[back_to(section)]), tap=tap)


@router.callback_query(ProposalTap.filter(F.step == "more"))
async def on_more(
    tap: CallbackQuery, callback_data: ProposalTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Ask what else shall be otherwise, on top of a change that is not accepted yet."""
    proposal, section = await vision_proposals.theirs(db, callback_data)
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
    elif proposal.purpose != "refinement" or proposal.state != "proposed":
        show(work, await section_screen(db, section), tap=tap)
    else:
        await people.wait_for(db, waiting_for(section, "refinement", on=proposal))
        show(work, Screen(text=Text(Bold(WORDS("refine_more")), "\n", WORDS("refine_how")), rows=[back_to(section)]))


# --------------------------------------------------------------------------- what the person asks for


@router.message(Waiting("vision_refine"), F.text, ~F.text.startswith("/"))
async def on_words(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Change the section as the person says."""
    section = service.section(waiting.get("category"))
    await people.wait_for(db, None)
    if section is None:
        show(work, await overview(db))
        return
    proposal = await _propose(db, section, waiting, vision_telling.cleaned(message.text))
    await vision_telling.take_words(work, db, user, settings, proposal)


@router.message(Waiting("vision_refine"), recordings.ANY)
async def on_recording(message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work) -> None:
    """Keep what the person says, write it down, and change the section as they say."""
    section = service.section(waiting.get("category"))

    async def keep(words: str) -> Proposal:
        assert section is not None
        return await _propose(db, section, waiting, words)

    if await vision_telling.may_listen(message, work, db, user, section=section, keep=keep):
        await people.wait_for(db, None)
        vision_telling.listen(message, work, await keep(vision_telling.cleaned(message.caption)))


async def _propose(db: Transaction, section: Section, waiting: dict[str, Any], words: str) -> Proposal:
    """The change that is asked for: of the text that stands, or of the change that it goes on from."""
    try:
        before = await vision.proposal(db, uuid.UUID(str(waiting.get("on"))))
    except ValueError:
        before = None
    if before is not None and before.section_key == section.key and before.state == "proposed":
        await vision.move(db, before.id, since=["proposed"], to="rejected")
        base = before.text
    else:
        standing = await vision.standing(db)
        base = standing.sections[section.key] if standing is not None else ""
    return await vision.propose(db, section_key=section.key, purpose="refinement", base=base, imagination=words)


# -------------------------------------------------------------------------------------- the job


async def refine(job: Job, doors: Doors) -> None:
    """Change the section in one call, or two where the first takes away what nobody asked to go."""
    awaited = await vision_telling.awaiting(job)
    if awaited is None:
        async with job.finish():
            return
    proposal, section, account = awaited
    if account.consented_at is None or (job.stopped and not job.done(STEP)):
        words = WORDS("stopped" if job.stopped else "withdrawn")
        await vision_telling.give_up(job, proposal, vision_telling.trouble_screen(proposal, section, words))
        return
    if not proposal.base.strip():
        ask = button(WORDS("draft"), VisionTap(step="ask", key=section.key))
        nothing = Screen(text=WORDS("nothing_to_change"), rows=[[ask], back_to(section)])
        await vision_telling.give_up(job, proposal, nothing)
        return
    async with job.transaction() as db:
        material = await service.gather(db, proposal, section)
    await job.show_action("typing")
    refined = await _compose(job, doors, material)
    async with job.finish() as db:
        if await vision.written(db, proposal.id, text=refined.text, said=refined.said):
            await _keep_talk(job, db, proposal, refined, doors.model.models.chat)
            proposal = proposal.model_copy(update={"text": refined.text, "said": refined.said, "state": "proposed"})
            receipt = await price_tag.receipt(db, job)
            shown = await vision_proposals.screen(db, proposal, section, receipt=receipt)
            conclude(job, shown, key=job.payload["key"])
            await vision_telling.wait_again(db, section, proposal, on=proposal)
            await balance.warn_if_low(job, db)


async def _compose(job: Job, doors: Doors, material: Material) -> Refined:
    asked = prompts.refinement(material)
    first = _tidied(await _call(job, doors, material, asked, step=STEP), material)
    found = service.worth_another(first.text, material)
    if not found or (job.stopped and not job.done(f"{STEP}:again")):
        return first
    more = prompts.again(asked, answer=first.model_dump_json(), found=found)
    try:
        second = _tidied(await _call(job, doors, material, more, step=f"{STEP}:again"), material)
    except ModelError:
        return first
    return first if service.better(first.text, second.text, material) == first.text else second


async def _call(job: Job, doors: Doors, material: Material, messages: list[dict[str, str]], *, step: str) -> Refined:
    most, least = service.room(material)
    return await shorter.asked(
        messages,
        lambda messages: job.call(
            step,
            Refined,
            lambda ticket: doors.model.structured(
                ticket,
                action=Action.VISION_REFINEMENT,
                messages=messages,
                shape=Refined,
                most_output=most,
                least_output=least,
            ),
        ),
        # What was left out of the text would seem to be taken out of it.
        whole=("existing", "request"),
    )


def _tidied(refined: Refined, material: Material) -> Refined:
    """The answer within its bounds; an empty text changes nothing."""
    return Refined(said=service.spoken(refined.said), text=service.tidy(refined.text) or material.existing.strip())


async def _keep_talk(job: Job, db: Transaction, proposal: Proposal, refined: Refined, model: str) -> None:
    """Keep what both said as a part of their talk."""
    latest = await conversations.newest(db)
    conversation = chat.conversation_id(latest, now=datetime.now(UTC))
    context = chat.context(conversation=conversation, phase="refinement", category_key=proposal.section_key)
    asked = await conversations.add(
        db,
        role="user",
        message=proposal.imagination,
        context=context | {"tokens": tokens.count(proposal.imagination)},
    )
    if not refined.said:
        return
    usage = await conversations.usage_of(db, work_id=job.head.id, step=STEP, action_type=Action.VISION_REFINEMENT.value)
    more = {
        "answers": str(asked.id),
        "model": model,
        "prompt_version": prompts.PROMPT_VERSION,
        "token_usage_id": str(usage) if usage else None,
        "tokens": tokens.count(refined.said),
    }
    await conversations.add(db, role="assistant", message=refined.said, context=context | more)


JOBS = {"vision.refine": (refine, vision_telling.writing_failed)}
