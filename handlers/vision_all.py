"""Drafting all that is missing in the vision: one long job, seen while it goes on, stopped and resumed at will."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiogram import F, Router
from aiogram.types import CallbackQuery, InlineKeyboardButton
from aiogram.utils.formatting import Bold, Italic, Text

from bot.config import Settings
from bot.errors import ModelRefused, ModelUnavailable, NoModel, OutOfTokens, ProviderClosed
from bot.services import vision as service
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, home, price_tag, start, trouble, vision_draft, vision_proposals
from handlers.screen import Screen, button, conclude, replace, show
from handlers.vision import ProposalTap, VisionTap, back, has_words, overview
from prompts import replies
from prompts.categories import SECTIONS, Section
from prompts.vision import WOVEN, Material
from storage import people, vision
from storage import work as store
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal

WORDS = replies.of("vision")
HOUSE = replies.of("house")

JOB = "vision.all"
GIVE_UP_ROW = 2
"""Sections in a row for which the model does not answer: then it will not answer for the next either."""

router = Router(name="vision_all")


# ---------------------------------------------------------------------------------------- the plan


@dataclass(kw_only=True)
class Plan:
    """What of the vision is missing: `ready` can be written now, `unknown` has nothing to write from.

    `unheard` waits for a recording to be heard; `begun` is being written or waits for the person's word.
    """

    ready: list[tuple[Section, Material, Proposal | None]] = field(default_factory=list)
    unknown: list[Section] = field(default_factory=list)
    unheard: list[Section] = field(default_factory=list)
    begun: list[Section] = field(default_factory=list)
    later: list[Section] = field(default_factory=list)

    @property
    def untold(self) -> list[Section]:
        """Areas for which the person has said nothing yet of what they want, in the order of reading."""
        keys = {section.key for section in self.unknown}
        keys |= {section.key for section, material, _ in self.ready if not material.imagination.strip()}
        return [section for section in service.TWELVE if section.key in keys]


async def plan(db: Transaction) -> Plan:
    """What is missing, and what can be written of it."""
    standing = await vision.standing(db)
    texts = standing.sections if standing is not None else {}
    newest = await vision.newest(db)
    found = Plan()
    for section in SECTIONS:
        proposal = newest.get(section.key)
        if texts.get(section.key, "").strip():
            continue
        if proposal is not None and proposal.state in ("drafting", "proposed"):
            found.begun.append(section)
        elif section.key in WOVEN and not all(texts.get(area.key, "").strip() for area in service.TWELVE):
            found.later.append(section)
        elif proposal is not None and proposal.state == "failed" and proposal.unheard:
            found.unheard.append(section)
        else:
            told = proposal if proposal is not None and proposal.state == "failed" else None
            material = await service.known(db, section, imagination=told.imagination if told else "", texts=texts)
            if material.told:
                found.ready.append((section, material, told))
            else:
                found.unknown.append(section)
    return found


@router.callback_query(VisionTap.filter(F.step == "missing"))
async def on_missing(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Show what is missing, from what it would be written, and what that takes."""
    await people.wait_for(db, None)
    show(work, await missing_screen(db, user, settings), tap=tap)


async def missing_screen(db: Transaction, user: Account, settings: Settings) -> Screen:
    """What is missing, with a price tag where any of it can be written."""
    if user.consented_at is None:
        return start.consent_screen(settings)
    missing = await plan(db)
    parts = _plan_lines(missing)
    tell = [button(WORDS("tell_first"), VisionTap(step="tell"))] if missing.untold else []
    if not missing.ready:
        parts += ["\n\n", WORDS("missing_nothing" if missing.unknown else "missing_wait")]
        assess = [button(HOUSE("assessment"), home.OpenTap(feature="assessment"))] if missing.unknown else []
        return Screen(text=Text(*parts), rows=[row for row in (tell, assess, back()) if row])
    low, high = service.estimate([material for _, material, _ in missing.ready])
    tag = await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("missing_price_one" if len(missing.ready) == 1 else "missing_price", count=len(missing.ready)),
        low=low,
        high=high,
        go_on=VisionTap(step="missing_go"),
        back=back(),
    )
    rows = [*tag.rows[:-1], *([tell] if tell else []), *tag.rows[-1:]]
    return Screen(text=Text(*parts, "\n\n", tag.text), rows=rows)


def _plan_lines(missing: Plan) -> list[Any]:
    parts: list[Any] = [Bold(WORDS("missing_title"))]
    for section, material, _ in missing.ready:
        what = WORDS("source_woven") if material.woven else vision_draft.sources(material)
        parts += [f"\n{section.icon} {section.label}  ", Italic(what)]
    for sections, words in (
        (missing.unknown, "missing_unknown"),
        (missing.unheard, "missing_unheard"),
        (missing.begun, "missing_begun"),
        (missing.later, "missing_later"),
    ):
        for section in sections:
            parts += [f"\n{section.icon} {section.label}  ", Italic(WORDS(words))]
    return parts


@router.callback_query(VisionTap.filter(F.step == "missing_go"))
async def on_go(tap: CallbackQuery, user: Account, db: Transaction, work: Work, settings: Settings) -> None:
    """Begin with everything that can be written; a second tap finds nothing left to begin."""
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    missing = await plan(db)
    if not missing.ready:
        if not missing.begun:
            show(work, await overview(db), tap=tap)
        return
    proposals = []
    for section, _, told in missing.ready:
        if told is not None and await vision.move(db, told.id, since=["failed"], to="drafting"):
            proposals.append(told.model_copy(update={"state": "drafting"}))
        else:
            proposals.append(await vision.propose(db, section_key=section.key, imagination=""))
    vision_proposals.leave(work, tap)
    key = f"{JOB}:{work.head.id}"
    show(work, _progress_screen(proposals, now=None), key=key)
    work.start(JOB, {"proposals": [str(proposal.id) for proposal in proposals], "key": key}, lane="vision_all")


@router.callback_query(VisionTap.filter(F.step == "missing_stop"))
async def on_stop(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Ask the job to stop; what is written by then stays, and the job says so."""
    otherwise = await overview(db)
    await db.become_service()
    asked = await store.request_cancel(db, work.chat_id, names=(JOB,))
    show(work, Screen(text=WORDS("all_stopping")) if asked else otherwise, tap=tap)


# ----------------------------------------------------------------------------------------- the job


async def draft_all(job: Job, doors: Doors) -> None:
    """Write one section after the other; each is kept as it is done, and fails alone."""
    unanswered: ModelUnavailable | None = None
    in_a_row, why = 0, ""
    more: list[InlineKeyboardButton] = []
    for proposal_id in job.payload["proposals"]:
        async with job.transaction() as db:
            account = await people.account(db)
            proposal = await vision.proposal(db, uuid.UUID(proposal_id))
            section = service.section(proposal.section_key) if proposal is not None else None
            if proposal is None or section is None or proposal.state != "drafting":
                continue
            material = await service.gather(db, proposal, section)
        if job.stopped or account is None or account.consented_at is None:
            why = WORDS("all_stopped" if job.stopped else "withdrawn")
            break
        await _show_progress(job, now=section)
        try:
            text, cut = await vision_draft.compose(job, doors, material, step=section.key, on_text=_quietly)
        except (OutOfTokens, NoModel) as error:
            why, more = trouble.why(error, otherwise=WORDS("failed")), trouble.balance_button(error)
            break
        except ProviderClosed:
            # The next section would meet the same; those who run VIVA hear of it.
            raise
        except ModelUnavailable as error:
            unanswered, in_a_row = error, in_a_row + 1
            if in_a_row == GIVE_UP_ROW:
                break
            continue
        except ModelRefused:
            # A stream that is stopped before its first word ends as an empty answer; the loop ends then.
            if not job.stopped:
                async with job.transaction() as db:
                    await vision.move(db, proposal.id, since=["drafting"], to="failed")
            continue
        in_a_row = 0
        async with job.transaction() as db:
            await vision.written(db, proposal.id, text=text, cut=cut)
    if unanswered is not None and not job.stopped and not why:
        if not job.last_try:
            # What is done is kept; the next try begins with what is missing.
            await _show_progress(job, now=None, note=WORDS("all_waiting"))
            raise unanswered
        why = trouble.why(unanswered, otherwise=WORDS("failed"))
    if job.stopped:
        why = WORDS("all_stopped")
    async with job.finish() as db:
        await _end(job, db, why, again=unanswered is not None, more=more)


async def _quietly(text: str) -> None:
    """The growing text is not shown: the message with the sections says how far it is."""


async def _end(job: Job, db: Transaction, why: str, *, again: bool, more: Sequence[InlineKeyboardButton] = ()) -> None:
    """Say what was written and what was not, with a way on for each."""
    proposals = await _of(job, db)
    for proposal in proposals:
        if proposal.state != "drafting":
            continue
        # What the person told is kept with its section; where nothing was told, "draft all" finds it once more.
        if has_words(proposal) or again:
            await vision.move(db, proposal.id, since=["drafting"], to="failed")
        else:
            await vision.forget(db, proposal.id)
    done = [proposal for proposal in proposals if proposal.state == "proposed"]
    failed = [p for p in proposals if p.state == "failed" or (p.state == "drafting" and again)]
    parts: list[Any] = [Bold(WORDS("all_done", count=len(done)) if done else WORDS("all_none"))]
    parts += [f"\n✓ {_name(proposal)}" for proposal in done]
    parts += [f"\n✕ {_name(proposal)}" for proposal in failed]
    if why:
        parts += ["\n\n", why]
    elif failed:
        parts += ["\n\n", WORDS("all_failed")]
    if done:
        parts += ["\n\n", WORDS("all_read")]
    parts += ["\n\n", Italic(await price_tag.receipt(db, job))]
    rows = []
    if done:
        # Both buttons are about all that waits, also from before.
        count = len(await vision.waiting(db))
        rows.append(
            [
                button(WORDS("read_waiting", count=count), VisionTap(step="waiting"), style="success"),
                button(WORDS("keep_all", count=count), VisionTap(step="keep_all")),
            ]
        )
    rows += [[button(WORDS("try_section", section=_name(p)), ProposalTap(step="retry", id=p.id))] for p in failed]
    if len(done) + len(failed) < len(proposals):
        rows.append([button(WORDS("draft_missing"), VisionTap(step="missing"))])
    if more:
        rows.append(list(more))
    conclude(job, Screen(text=Text(*parts), rows=[*rows, back()]), key=job.payload["key"])
    await balance.warn_if_low(job, db)


async def _of(job: Job, db: Transaction) -> list[Proposal]:
    found = [await vision.proposal(db, uuid.UUID(proposal_id)) for proposal_id in job.payload["proposals"]]
    return [proposal for proposal in found if proposal is not None]


async def _show_progress(job: Job, *, now: Section | None, note: str = "") -> None:
    async with job.transaction() as db:
        proposals = await _of(job, db)
    replace(job, _progress_screen(proposals, now=now, note=note), key=job.payload["key"])
    await job.tell()


def _progress_screen(proposals: Sequence[Proposal], *, now: Section | None, note: str = "") -> Screen:
    """How far the job is: which sections are done, which one is being written, which could not be."""
    done = sum(proposal.state in ("proposed", "kept", "rejected") for proposal in proposals)
    parts: list[Any] = [Bold(WORDS("all_progress", done=done, count=len(proposals)))]
    for proposal in proposals:
        if now is not None and proposal.section_key == now.key:
            parts += ["\n", Bold(f"✎ {_name(proposal)}")]
        elif proposal.state == "drafting":
            parts.append(f"\n·  {_name(proposal)}")
        else:
            parts.append(f"\n{'✕' if proposal.state == 'failed' else '✓'} {_name(proposal)}")
    parts += ["\n\n", note or WORDS("all_how")]
    return Screen(text=Text(*parts), rows=[[button(WORDS("all_stop"), VisionTap(step="missing_stop"), style="danger")]])


def _name(proposal: Proposal) -> str:
    section = service.section(proposal.section_key)
    return service.short(section) if section is not None else ""


async def draft_all_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say what was written until something went wrong; every section that is missing can be tried again alone."""
    await _end(job, db, trouble.why(error, otherwise=WORDS("failed")), again=True)


JOBS = {JOB: (draft_all, draft_all_failed)}
