"""The life vision: fourteen sections, drafted one by one from what the person says, and kept when it is theirs."""

from __future__ import annotations

import uuid
from typing import Any

from aiogram import F, Router
from aiogram.dispatcher.event.bases import SkipHandler
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Text

from bot.ai.meter import Action
from bot.ai.model import Reply
from bot.config import Settings
from bot.errors import ModelRefused, ModelUnavailable, NoModel, NotFound, NotUnderstood, OutOfTokens, TooLarge
from bot.services import recordings as sound
from bot.services import vision as service
from bot.services.care import Sign
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import balance, care, home, recordings, start
from handlers.screen import Screen, button, conclude, replace, show
from handlers.waiting import Waiting
from prompts import replies
from prompts import vision as prompts
from prompts.categories import SECTIONS, Section
from prompts.vision import Material
from storage import people, profile, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal

WORDS = replies.of("vision")
HOUSE = replies.of("house")
IN_A_ROW = 2
"""Section buttons side by side: with their mark they fit a phone's width."""

router = Router(name="vision")


class VisionTap(CallbackData, prefix="vision"):
    """A step with a section: open, ask, answers; without one, the overview."""

    step: str
    key: str = ""


class ProposalTap(CallbackData, prefix="draft"):
    """A step with a proposal: keep, replace, restore, again, aside, show, retry."""

    step: str
    id: uuid.UUID


# ----------------------------------------------------------------------------------------- screens


async def overview(db: Transaction) -> Screen:
    """The fourteen sections and how each stands, with a button for each of the twelve areas."""
    draft = await vision.draft(db)
    written = {key for key, text in draft.sections.items() if text.strip()} if draft is not None else set()
    marks = {
        key: WORDS(mark) for key, proposal in (await vision.newest(db)).items() if (mark := _mark(proposal)) is not None
    }
    lines: list[Any] = []
    for section in SECTIONS:
        line = f"{section.icon} {section.label}"
        if section.key in written:
            line += " ✓"
        if section.key in marks:
            lines += ["\n", line, Italic(f"  {marks[section.key]}")]
        elif section.key in service.LATER and section.key not in written:
            lines += ["\n", Italic(f"{line}  {WORDS('later')}")]
        else:
            lines += ["\n", line]
    progress = WORDS("progress", count=len(written), percentage=draft.completion_percentage if draft else 0)
    buttons = [
        button(service.short(section) + (" ✓" if section.key in written else ""), _open(section))
        for section in service.DRAFTED
    ]
    rows = [buttons[place : place + IN_A_ROW] for place in range(0, len(buttons), IN_A_ROW)]
    return Screen(
        text=Text(Bold(WORDS("title")), "\n", progress, "\n", *lines, "\n\n", WORDS("choose")),
        rows=[*rows, [button(WORDS("book"), home.OpenTap(feature="book"))], [home.back()]],
    )


def _mark(proposal: Proposal) -> str | None:
    if proposal.state == "failed":
        return "told_mark" if _has_words(proposal) else None
    return {"drafting": "writing_mark", "proposed": "waiting_mark"}.get(proposal.state)


def _has_words(proposal: Proposal) -> bool:
    return bool(proposal.imagination or proposal.unheard)


async def section_screen(db: Transaction, section: Section) -> Screen:
    """What stands in a section, and what can be done next."""
    draft = await vision.draft(db)
    text = draft.sections[section.key].strip() if draft is not None else ""
    newest = (await vision.newest(db)).get(section.key)
    parts: list[Any] = [_title(section), "\n\n", text or WORDS("empty")]
    rows = [[button(WORDS("draft_again" if text else "draft"), VisionTap(step="ask", key=section.key))]]
    if newest is not None and newest.state == "drafting":
        parts += ["\n\n", Italic(WORDS("being_written"))]
    elif newest is not None and newest.state == "proposed":
        parts += ["\n\n", Italic(WORDS("waits"))]
        rows.insert(0, [button(WORDS("read"), ProposalTap(step="show", id=newest.id), style="success")])
    elif newest is not None and newest.state == "failed" and _has_words(newest):
        parts += ["\n\n", Italic(WORDS("told"))]
        rows.insert(0, [button(WORDS("go_on"), ProposalTap(step="retry", id=newest.id), style="success")])
    return Screen(text=Text(*parts), rows=[*rows, _back()])


def _title(section: Section) -> Bold:
    return Bold(f"{section.icon} {section.label}")


def _open(section: Section) -> VisionTap:
    return VisionTap(step="open", key=section.key)


def _back() -> list[InlineKeyboardButton]:
    return [button(WORDS("vision"), VisionTap(step="all")), home.back()]


def _proposal_screen(proposal: Proposal, material: Material) -> Screen:
    """A proposal with what there is to say about it, for the person to decide."""
    standing = material.existing.strip()
    replaces = bool(standing) and standing != proposal.text
    notes = [WORDS("broke_off")] if proposal.cut else []
    notes += _notes(proposal, material)
    notes += [WORDS("will_replace")] if replaces else []
    parts: list[Any] = [_title(material.section), "\n\n", proposal.text]
    for note in notes:
        parts += ["\n\n", Italic(note)]
    keep = ProposalTap(step="replace" if replaces else "keep", id=proposal.id)
    return Screen(
        text=Text(*parts),
        rows=[
            [button(WORDS("keep_replacing" if replaces else "keep"), keep, style="success")],
            [
                button(WORDS("again"), ProposalTap(step="again", id=proposal.id)),
                button(WORDS("put_aside"), ProposalTap(step="aside", id=proposal.id)),
            ],
        ],
    )


def _notes(proposal: Proposal, material: Material) -> list[str]:
    """At most two gentle notes on what the checks found."""
    found = service.findings(proposal.text, material, whole=not proposal.cut)
    return [
        WORDS(f"note_{finding.kind}", **({"words": service.quoted(finding.words)} if finding.words else {}))
        for finding in found[:2]
    ]


# -------------------------------------------------------------------------------- looking and asking


@router.message(Command("vision"))
async def on_vision(message: Message, db: Transaction, work: Work) -> None:
    """Show the vision."""
    await people.wait_for(db, None)
    show(work, await overview(db))


@router.callback_query(home.OpenTap.filter(F.feature == "vision"))
@router.callback_query(VisionTap.filter(F.step == "all"))
async def on_overview(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Show the vision in place."""
    await people.wait_for(db, None)
    show(work, await overview(db), tap=tap)


@router.callback_query(VisionTap.filter())
async def on_section(
    tap: CallbackQuery, callback_data: VisionTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Open a section, ask what it looks like when it is just right, or write it from answers alone."""
    section = service.section(callback_data.key)
    if section is None:
        await people.wait_for(db, None)
        show(work, await overview(db), tap=tap)
    elif callback_data.step == "ask":
        await _ask(tap, section, user, db, work, settings)
    elif callback_data.step == "answers":
        await _from_answers(tap, section, user, db, work, settings)
    else:
        await people.wait_for(db, None)
        show(work, await section_screen(db, section), tap=tap)


async def _ask(
    tap: CallbackQuery, section: Section, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    await people.wait_for(db, _waiting(section))
    draft = await vision.draft(db)
    answers = await _answers(db, section)
    parts: list[Any] = [_title(section), "\n\n", Bold(WORDS("ask")), "\n\n", WORDS("ask_how")]
    rows = []
    if draft is not None and draft.sections[section.key].strip():
        parts += ["\n\n", WORDS("ask_existing")]
    if answers:
        parts += ["\n\n", WORDS("ask_answers")]
        rows.append([button(WORDS("from_answers"), VisionTap(step="answers", key=section.key))])
    show(work, Screen(text=Text(*parts), rows=[*rows, _back()]), tap=tap)


async def _answers(db: Transaction, section: Section) -> list[vision.Answer]:
    return service.fitting(section.key, await vision.answers(db, section.key), await profile.active(db))


def _waiting(section: Section) -> dict[str, str]:
    return {"kind": "vision", "category": section.key}


async def _from_answers(
    tap: CallbackQuery, section: Section, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    # What VIVA waits for is used up by the first tap, so that a second one starts nothing.
    if user.waiting_for != _waiting(section) or not await _answers(db, section):
        newest = (await vision.newest(db)).get(section.key)
        if newest is None or newest.state != "drafting":
            show(work, await section_screen(db, section), tap=tap)
        return
    await people.wait_for(db, None)
    show(work, Screen(text=Text(_title(section), "\n\n", WORDS("from_answers"))), tap=tap)
    _begin(work, await vision.propose(db, section_key=section.key, imagination=""))


# ---------------------------------------------------------------------------- what the person tells


@router.message(Waiting("vision"), F.text, ~F.text.startswith("/"))
async def on_words(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Write the section from the person's words."""
    section = await _awaited(waiting, db, work)
    if section is None:
        return
    words = (message.text or "").replace("\0", "")
    proposal = await vision.propose(db, section_key=section.key, imagination=words)
    sign = await care.speak_up(work, db, user, words, go_on=ProposalTap(step="retry", id=proposal.id))
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
    elif not _is_urgent(sign):
        _begin(work, proposal)
        return
    await vision.move(db, proposal.id, since=["drafting"], to="failed")


@router.message(Waiting("vision"), recordings.ANY)
async def on_recording(
    message: Message, waiting: dict[str, Any], user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Keep what the person says, write it down, and write the section from it."""
    caption = (message.caption or "").replace("\0", "")
    if user.consented_at is None:
        raise SkipHandler  # the yes was taken back meanwhile: the journal keeps the recording, and nobody listens
    if recordings.too_large(message):
        await _too_large(service.section(waiting.get("category")), caption, user, db, work)
        return
    section = await _awaited(waiting, db, work)
    if section is None:
        return
    await care.speak_up(work, db, user, caption)
    proposal = await vision.propose(db, section_key=section.key, imagination=caption)
    show(work, Screen(text=WORDS("listening")), key=_key(work))
    payload = {
        "proposal": str(proposal.id),
        "key": _key(work),
        "file": recordings.of(message).file_id,
        "ending": recordings.ending(message),
        "type": recordings.kind(message),
    }
    work.start("vision.hear", payload, lane="vision")


async def _too_large(section: Section | None, caption: str, user: Account, db: Transaction, work: Work) -> None:
    """Say that Telegram keeps the recording to itself. What was written with it is kept; VIVA still waits for more."""
    await care.speak_up(work, db, user, caption)
    if section is None or not caption:
        show(work, Screen(text=WORDS("too_large"), rows=[_back()]))
        return
    proposal = await vision.propose(db, section_key=section.key, imagination=caption, state="failed")
    again = button(WORDS("go_on"), ProposalTap(step="retry", id=proposal.id))
    show(work, Screen(text=Text(_title(section), "\n\n", WORDS("too_large_rest")), rows=[[again], _back()]))


async def _awaited(waiting: dict[str, Any], db: Transaction, work: Work) -> Section | None:
    """The section that the words are for; the waiting is over."""
    await people.wait_for(db, None)
    section = service.section(waiting.get("category"))
    if section is None:
        show(work, await overview(db))
    return section


def _is_urgent(sign: Sign | None) -> bool:
    """Whether the help lines stand alone until the person chooses to go on."""
    return sign is not None and sign.level == "immediate"


def _key(work: Work) -> str:
    return f"vision:{work.head.id}"


def _begin(work: Work, proposal: Proposal) -> None:
    """Say that VIVA writes, or listens first, and start it."""
    job, words = ("vision.hear", "listening") if proposal.unheard else ("vision.draft", "writing")
    show(work, Screen(text=WORDS(words)), key=_key(work))
    work.start(job, {"proposal": str(proposal.id), "key": _key(work)}, lane="vision")


# -------------------------------------------------------------------------------------- deciding


async def _theirs(db: Transaction, tapped: ProposalTap) -> tuple[Proposal, Section]:
    """The person's proposal with its section; raises NotFound."""
    proposal = await vision.proposal(db, tapped.id)
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        raise NotFound(WORDS("gone"))
    return proposal, section


@router.callback_query(ProposalTap.filter(F.step.in_({"keep", "replace"})))
async def on_keep(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Put the text into the vision; where another stands, only after that was said."""
    proposal, section = await _theirs(db, callback_data)
    if proposal.state == "kept":
        return
    if proposal.state not in ("proposed", "rejected") or not proposal.text:
        show(work, await section_screen(db, section), tap=tap)
        return
    draft = await vision.draft(db)
    standing = draft.sections[section.key].strip() if draft is not None else ""
    if standing and standing != proposal.text and callback_data.step == "keep":
        show(
            work,
            Screen(
                text=Text(_title(section), "\n\n", WORDS("replace_question"), "\n\n", ExpandableBlockQuote(standing)),
                rows=[
                    [button(WORDS("replace_yes"), ProposalTap(step="replace", id=proposal.id))],
                    [button(WORDS("leave"), _open(section))],
                ],
            ),
        )
        return
    await _put(tap, proposal, section, db, work)


@router.callback_query(ProposalTap.filter(F.step == "restore"))
async def on_restore(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Put a text that stood in the vision before back into it."""
    proposal, section = await _theirs(db, callback_data)
    draft = await vision.draft(db)
    if draft is not None and draft.sections[section.key] == proposal.text:
        return
    if proposal.state != "kept":
        show(work, await section_screen(db, section), tap=tap)
        return
    await _put(tap, proposal, section, db, work)


async def _put(tap: CallbackQuery, proposal: Proposal, section: Section, db: Transaction, work: Work) -> None:
    await vision.move(db, proposal.id, since=["proposed", "rejected"], to="kept")
    written = await vision.write_section(db, section_key=section.key, text=proposal.text)
    kept = WORDS("kept", count=written.sections, percentage=written.completion_percentage)
    rows = []
    if written.replaced is not None:
        kept += " " + WORDS("replaced")
        rows.append([button(WORDS("bring_back"), ProposalTap(step="restore", id=written.replaced))])
    text = Text(_title(section), "\n\n", proposal.text, "\n\n", Italic(kept))
    show(work, Screen(text=text, rows=[*rows, _back()]), tap=tap)


@router.callback_query(ProposalTap.filter(F.step == "again"))
async def on_again(
    tap: CallbackQuery, callback_data: ProposalTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Write the section once more from the same words; the text that was not wanted can still be kept instead."""
    proposal, section = await _theirs(db, callback_data)
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    if not await vision.move(db, proposal.id, since=["proposed"], to="rejected"):
        newest = (await vision.newest(db)).get(section.key)
        if newest is None or newest.state != "drafting":
            show(work, await section_screen(db, section))
        return
    _leave(work, tap, [button(WORDS("keep_instead"), ProposalTap(step="keep", id=proposal.id))])
    another = await vision.propose(
        db, section_key=section.key, imagination=proposal.imagination, recordings=proposal.recordings
    )
    _begin(work, another)


@router.callback_query(ProposalTap.filter(F.step == "aside"))
async def on_aside(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Put the text aside; the vision stays as it was."""
    proposal, section = await _theirs(db, callback_data)
    await vision.move(db, proposal.id, since=["proposed"], to="rejected")
    if proposal.state not in ("proposed", "rejected"):
        show(work, await section_screen(db, section), tap=tap)
        return
    again = button(WORDS("draft_again"), VisionTap(step="ask", key=section.key))
    show(work, Screen(text=Text(_title(section), "\n\n", WORDS("aside")), rows=[[again], _back()]), tap=tap)


@router.callback_query(ProposalTap.filter(F.step == "retry"))
async def on_retry(
    tap: CallbackQuery, callback_data: ProposalTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Write from what the person told before, after that could not be done."""
    proposal, section = await _theirs(db, callback_data)
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
    elif await vision.move(db, proposal.id, since=["failed"], to="drafting"):
        await people.wait_for(db, None)
        _leave(work, tap)
        _begin(work, proposal)
    elif proposal.state != "drafting":
        show(work, await section_screen(db, section))


@router.callback_query(ProposalTap.filter())
async def on_show(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Show a proposal that waits for the person's word."""
    proposal, section = await _theirs(db, callback_data)
    if proposal.state == "proposed":
        show(work, _proposal_screen(proposal, await _material(db, proposal, section)), tap=tap)
    else:
        show(work, await section_screen(db, section), tap=tap)


def _leave(work: Work, tap: CallbackQuery, *rows: list[InlineKeyboardButton]) -> None:
    """Leave the tapped message standing as it is, with these buttons in place of its own."""
    if isinstance(tap.message, Message):
        markup = InlineKeyboardMarkup(inline_keyboard=list(rows)).model_dump(mode="json", exclude_none=True)
        work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id, "reply_markup": markup})


# ------------------------------------------------------------------------------------------- jobs


async def _material(db: Transaction, proposal: Proposal, section: Section) -> Material:
    draft = await vision.draft(db)
    return service.material(
        section,
        imagination=proposal.imagination,
        answers=await vision.answers(db, section.key),
        existing=draft.sections[section.key] if draft is not None else "",
        previous=await vision.earlier(db, proposal),
        profile=await profile.active(db),
    )


async def _awaiting(job: Job) -> tuple[Proposal, Section, Account, Material] | None:
    """What the job is for, or None when nobody waits for it any more."""
    async with job.transaction() as db:
        account = await people.account(db)
        proposal = await vision.proposal(db, uuid.UUID(job.payload["proposal"]))
        section = service.section(proposal.section_key) if proposal is not None else None
        if account is None or proposal is None or section is None or proposal.state != "drafting":
            return None
        return proposal, section, account, await _material(db, proposal, section)


async def hear(job: Job, doors: Doors) -> None:
    """Store the recording first; then write down its words, show them, and write the section from them."""
    awaiting = await _awaiting(job)
    if awaiting is None:
        async with job.finish():
            return
    proposal, section, account, _ = awaiting
    recording, seconds = await sound.keep(
        job, doors, folder="vision", name=str(proposal.id), category="vision", kept=proposal.unheard
    )
    async with job.transaction() as db:
        await vision.keep_recording(db, proposal.id, recording)
    if account.consented_at is None:
        await _give_up(job, proposal, _trouble_screen(proposal, section, WORDS("withdrawn")))
        return
    transcript = await sound.hear(job, doors, recording, seconds=seconds)
    async with job.finish() as db:
        if not transcript.text:
            await vision.move(db, proposal.id, since=["drafting"], to="failed")
            await _wait_again(db, section)
            replace(job, Screen(text=WORDS("silent"), rows=[_back()]), key=job.payload["key"])
            return
        words = "\n\n".join(part for part in (proposal.imagination, transcript.text) if part)
        recording = recording.model_copy(update={"transcript": transcript.text})
        await vision.keep_recording(db, proposal.id, recording, imagination=words)
        heard = Text(WORDS("heard"), "\n", ExpandableBlockQuote(transcript.text))
        replace(job, Screen(text=heard), key=job.payload["key"])
        retry = ProposalTap(step="retry", id=proposal.id)
        sign = await care.speak_up(job, db, account, transcript.text, go_on=retry)
        if job.stopped or _is_urgent(sign):
            await vision.move(db, proposal.id, since=["drafting"], to="failed")
            if sign is None:
                show(job, _trouble_screen(proposal, section, WORDS("stopped")))
            return
        _begin(job, proposal.model_copy(update={"recordings": [recording]}))


async def draft(job: Job, doors: Doors) -> None:
    """Write the section in one streamed call and show it for the person to decide."""
    awaiting = await _awaiting(job)
    if awaiting is None:
        async with job.finish():
            return
    proposal, section, account, material = awaiting
    if account.consented_at is None:
        await _give_up(job, proposal, _trouble_screen(proposal, section, WORDS("withdrawn")))
        return
    if not material.imagination.strip() and not material.answers:
        ask = button(WORDS("draft"), VisionTap(step="ask", key=section.key))
        await _give_up(job, proposal, Screen(text=WORDS("nothing_told"), rows=[[ask], _back()]))
        return
    if job.stopped and not job.done("draft"):
        await _give_up(job, proposal, _trouble_screen(proposal, section, WORDS("stopped")))
        return
    await job.show_action("typing")
    most, least = service.room(material)
    try:
        reply = await job.call(
            "draft",
            Reply,
            lambda ticket: doors.model.chat(
                ticket,
                action=Action.VISION_GENERATION,
                messages=prompts.messages(material),
                most_output=most,
                least_output=least,
                on_text=job.show_draft,
                stop=job.stop,
            ),
        )
    except ModelRefused:
        # A stream that is stopped before its first word ends as an empty answer.
        if not job.stopped:
            raise
        await _give_up(job, proposal, _trouble_screen(proposal, section, WORDS("stopped")))
        return
    text, cut = service.tidy(reply.text), reply.ended != "complete"
    async with job.finish() as db:
        if await vision.written(db, proposal.id, text=text, cut=cut):
            proposal = proposal.model_copy(update={"text": text, "cut": cut, "state": "proposed"})
            conclude(job, _proposal_screen(proposal, material), key=job.payload["key"])
            await balance.warn_if_low(job, db)


async def _give_up(job: Job, proposal: Proposal, screen: Screen) -> None:
    """End without a text; what the person told stays."""
    async with job.finish() as db:
        await vision.move(db, proposal.id, since=["drafting"], to="failed")
        conclude(job, screen, key=job.payload["key"])


def _trouble_screen(proposal: Proposal, section: Section, words: str, *more: InlineKeyboardButton) -> Screen:
    again = button(HOUSE("try_again"), ProposalTap(step="retry", id=proposal.id), style="primary")
    return Screen(text=Text(_title(section), "\n\n", words), rows=[[again, *more], _back()])


async def hear_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the recording could not be kept or heard; the person may also write instead."""
    proposal = await vision.proposal(db, uuid.UUID(job.payload["proposal"]))
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        return
    await vision.move(db, proposal.id, since=["drafting"], to="failed")
    await _wait_again(db, section)
    if proposal.recordings:
        words = WORDS("not_heard") if _is_vague(error) else _why(error)
        replace(job, _trouble_screen(proposal, section, words, *_balance(error)), key=job.payload["key"])
        return
    if not proposal.imagination:
        await vision.forget(db, proposal.id)
    words = "file_lost"
    if isinstance(error, TooLarge | NotUnderstood):
        words = "too_large" if isinstance(error, TooLarge) else "not_a_recording"
    replace(job, Screen(text=WORDS(words), rows=[_back()]), key=job.payload["key"])


async def draft_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the section could not be written, with a way to try again from the same words."""
    proposal = await vision.proposal(db, uuid.UUID(job.payload["proposal"]))
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        return
    await vision.move(db, proposal.id, since=["drafting"], to="failed")
    conclude(job, _trouble_screen(proposal, section, _why(error), *_balance(error)), key=job.payload["key"])


async def _wait_again(db: Transaction, section: Section) -> None:
    """Take the person's next words for this section, unless VIVA waits for something else by now."""
    account = await people.account(db)
    if account is not None and account.waiting_for is None:
        await people.wait_for(db, _waiting(section))


def _is_vague(error: Exception) -> bool:
    return not isinstance(error, OutOfTokens | NoModel | ModelUnavailable)


def _why(error: Exception) -> str:
    if isinstance(error, OutOfTokens):
        needed = error.missing + error.available
        return HOUSE("out_of_tokens", needed=f"{needed:,}", left=f"{error.available:,}")
    if isinstance(error, NoModel):
        return HOUSE("model_missing")
    if isinstance(error, ModelUnavailable):
        return HOUSE("model_busy")
    return HOUSE("model_refused") if isinstance(error, ModelRefused) else WORDS("failed")


def _balance(error: Exception) -> list[InlineKeyboardButton]:
    if not isinstance(error, OutOfTokens):
        return []
    return [button(WORDS("balance"), home.OpenTap(feature="balance"))]


JOBS = {"vision.hear": (hear, hear_failed), "vision.draft": (draft, draft_failed)}
