"""What the person tells for a section, typed or spoken: kept first, looked at with care, then worked with."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.types import InlineKeyboardButton, Message
from aiogram.utils.formatting import ExpandableBlockQuote, Italic, Text

from bot.config import Settings
from bot.errors import ModelUnavailable, NoModel, NotUnderstood, OutOfTokens, StorageFull, TooLarge
from bot.services import recordings as sound
from bot.services import vision as service
from bot.services.care import Sign
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import care, recordings, start, trouble
from handlers.screen import Screen, button, conclude, replace, show
from handlers.vision import ProposalTap, VisionTap, back, back_to, title
from handlers.vision_proposals import begin, key
from prompts import replies
from prompts.categories import Section
from storage import people, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal, Purpose

WORDS = replies.of("vision")
HOUSE = replies.of("house")

WAITING: dict[Purpose, str] = {"draft": "vision", "refinement": "vision_refine", "edit": "vision_edit"}
"""What VIVA waits for, by what the words will be for."""


def waiting_for(section: Section, purpose: Purpose = "draft", *, on: Proposal | None = None) -> dict[str, str]:
    """What VIVA notes when the next words are for a section; `on` is the change that they go on from."""
    noted = {"kind": WAITING[purpose], "category": section.key}
    return noted if on is None else noted | {"on": str(on.id)}


def cleaned(text: str | None) -> str:
    """What was typed, without what a database cannot hold."""
    return (text or "").replace("\0", "")


async def take_words(work: Work, db: Transaction, user: Account, settings: Settings, proposal: Proposal) -> None:
    """Begin with what the person typed, which is kept in the proposal, unless it has to wait for them."""
    words = proposal.imagination
    sign = await care.speak_up(work, db, user, words, go_on=ProposalTap(step="retry", id=proposal.id))
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
    elif not _is_urgent(sign):
        begin(work, proposal)
        return
    await vision.move(db, proposal.id, since=["drafting"], to="failed")


async def may_listen(
    message: Message,
    work: Work,
    db: Transaction,
    user: Account,
    *,
    section: Section | None,
    keep: Callable[[str], Awaitable[Proposal]],
) -> bool:
    """Whether a recording can be listened to; said where it cannot, and what was written with it is kept.

    Without the yes to AI, which may have been taken back meanwhile, the journal keeps it, and nobody listens.
    """
    if user.consented_at is None:
        raise SkipHandler
    caption = cleaned(message.caption)
    await care.speak_up(work, db, user, caption)
    if not recordings.too_large(message):
        return section is not None
    if section is None or not caption:
        show(work, Screen(text=WORDS("too_large"), rows=[back()]))
        return False
    proposal = await keep(caption)
    await vision.move(db, proposal.id, since=["drafting"], to="failed")
    again = button(WORDS("go_on"), ProposalTap(step="retry", id=proposal.id))
    show(work, Screen(text=Text(title(section), "\n\n", WORDS("too_large_rest")), rows=[[again], back()]))
    return False


def listen(message: Message, work: Work, proposal: Proposal, *, keep_only: bool = False) -> None:
    """Say that VIVA listens, and start it; with `keep_only` nothing is written from the words yet."""
    show(work, Screen(text=WORDS("listening")), key=key(work))
    payload = {
        "proposal": str(proposal.id),
        "key": key(work),
        "file": recordings.of(message).file_id,
        "ending": recordings.ending(message),
        "type": recordings.kind(message),
        "keep_only": keep_only,
    }
    work.start("vision.hear", payload, lane="vision")


def _is_urgent(sign: Sign | None) -> bool:
    """Whether the help lines stand alone until the person chooses to go on."""
    return sign is not None and sign.level == "immediate"


# ------------------------------------------------------------------------------------------- jobs


async def awaiting(job: Job) -> tuple[Proposal, Section, Account] | None:
    """What the job is for, or None when nobody waits for it any more."""
    async with job.transaction() as db:
        account = await people.account(db)
        proposal = await vision.proposal(db, uuid.UUID(job.payload["proposal"]))
        section = service.section(proposal.section_key) if proposal is not None else None
        if account is None or proposal is None or section is None or proposal.state != "drafting":
            return None
        return proposal, section, account


async def hear(job: Job, doors: Doors) -> None:
    """Store the recording first; then write down its words, show them, and work with them."""
    awaited = await awaiting(job)
    if awaited is None:
        async with job.finish():
            return
    proposal, section, account = awaited
    kept = None if "file" in job.payload else proposal.unheard
    name = f"{proposal.id}-{job.head.id}"
    recording, seconds = await sound.keep(job, doors, folder="vision", name=name, category="vision", kept=kept)
    async with job.transaction() as db:
        await vision.keep_recording(db, proposal.id, recording)
    if account.consented_at is None:
        await give_up(job, proposal, trouble_screen(proposal, section, WORDS("withdrawn")))
        return
    transcript = await sound.hear(job, doors, recording, seconds=seconds)
    async with job.finish() as db:
        if not transcript.text:
            await vision.move(db, proposal.id, since=["drafting"], to="failed")
            await wait_again(db, section, proposal)
            replace(job, Screen(text=WORDS("silent"), rows=[back()]), key=job.payload["key"])
            return
        recording = recording.model_copy(update={"transcript": transcript.text})
        heard = Text(WORDS("heard"), "\n", ExpandableBlockQuote(transcript.text))
        replace(job, Screen(text=heard), key=job.payload["key"])
        if proposal.purpose == "edit":
            await vision.keep_recording(db, proposal.id, recording)
            await _append(job, db, account, proposal, section, transcript.text)
            return
        words = "\n\n".join(part for part in (proposal.imagination, transcript.text) if part)
        await vision.keep_recording(db, proposal.id, recording, imagination=words)
        retry = ProposalTap(step="retry", id=proposal.id)
        sign = await care.speak_up(job, db, account, transcript.text, go_on=retry)
        keep_only = job.payload.get("keep_only", False)
        if job.stopped or keep_only or _is_urgent(sign):
            await vision.move(db, proposal.id, since=["drafting"], to="failed")
            if sign is None and not keep_only:
                show(job, trouble_screen(proposal, section, WORDS("stopped")))
            return
        begin(job, proposal.model_copy(update={"recordings": [recording]}))


async def _append(
    job: Job, db: Transaction, account: Account, proposal: Proposal, section: Section, words: str
) -> None:
    """Put what was dictated to the end of the text that the person is writing by hand."""
    await care.speak_up(job, db, account, words)
    now = await vision.proposal(db, proposal.id)
    draft = await vision.draft(db)
    standing = draft.sections[section.key] if draft is not None else ""
    text = service.joined((now.text if now is not None else "") or standing, words)
    await vision.put_text(db, proposal.id, text)
    await wait_again(db, section, proposal)
    show(job, gathered_screen(section, text))


def gathered_screen(section: Section, text: str) -> Screen:
    """What the person has sent so far of a section that they write by hand, and how to go on."""
    done = button(WORDS("edit_done"), VisionTap(step="edit_done", key=section.key), style="success")
    drop = button(WORDS("edit_drop"), VisionTap(step="edit_drop", key=section.key))
    parts = [title(section), "  ", WORDS("edit_so_far", words=len(text.split())), "\n\n", text, "\n\n"]
    return Screen(text=Text(*parts, Italic(WORDS("edit_more"))), rows=[[done], [drop], back_to(section)])


async def hear_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the recording could not be kept or heard; the person may also write instead."""
    proposal = await vision.proposal(db, uuid.UUID(job.payload["proposal"]))
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        return
    await vision.move(db, proposal.id, since=["drafting"], to="failed")
    await wait_again(db, section, proposal)
    if proposal.unheard is not None:
        words = WORDS("not_heard") if _is_vague(error) else trouble.why(error, otherwise=WORDS("failed"))
        replace(job, trouble_screen(proposal, section, words, *trouble.balance_button(error)), key=job.payload["key"])
        return
    if not proposal.imagination and not proposal.text:
        await vision.forget(db, proposal.id)
    words = "file_lost"
    if isinstance(error, TooLarge | NotUnderstood):
        words = "too_large" if isinstance(error, TooLarge) else "not_a_recording"
    said = str(error) if isinstance(error, StorageFull) else WORDS(words)
    replace(job, Screen(text=said, rows=[back()]), key=job.payload["key"])


async def wait_again(db: Transaction, section: Section, proposal: Proposal, *, on: Proposal | None = None) -> None:
    """Take the person's next words for this section, unless VIVA waits for something else by now."""
    account = await people.account(db)
    if account is not None and account.waiting_for is None:
        await people.wait_for(db, waiting_for(section, proposal.purpose, on=on))


async def give_up(job: Job, proposal: Proposal, screen: Screen) -> None:
    """End without a text; what the person told stays."""
    async with job.finish() as db:
        await vision.move(db, proposal.id, since=["drafting"], to="failed")
        conclude(job, screen, key=job.payload["key"])


async def writing_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why a text could not be written, with a way to try again from the same words."""
    proposal = await vision.proposal(db, uuid.UUID(job.payload["proposal"]))
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        return
    await vision.move(db, proposal.id, since=["drafting"], to="failed")
    conclude(
        job,
        trouble_screen(
            proposal, section, trouble.why(error, otherwise=WORDS("failed")), *trouble.balance_button(error)
        ),
        key=job.payload["key"],
    )


def trouble_screen(proposal: Proposal, section: Section, words: str, *more: InlineKeyboardButton) -> Screen:
    """Why there is no text, with a way to try again."""
    again = button(HOUSE("try_again"), ProposalTap(step="retry", id=proposal.id), style="primary")
    return Screen(text=Text(title(section), "\n\n", words), rows=[[again, *more], back()])


def _is_vague(error: Exception) -> bool:
    return not isinstance(error, OutOfTokens | NoModel | ModelUnavailable)


JOBS = {"vision.hear": (hear, hear_failed)}
