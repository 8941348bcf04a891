"""What VIVA wrote for a section of the vision: read, and kept or not; it is in the vision only when it is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aiogram import F, Router
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message
from aiogram.utils.formatting import Bold, ExpandableBlockQuote, Italic, Strikethrough, Text

from bot.config import Settings
from bot.errors import NotFound
from bot.services import vision as service
from bot.services import vision_changes, vision_checks
from bot.services.work import Work
from handlers import start
from handlers.screen import Screen, button, show
from handlers.vision import ProposalTap, VisionTap, back, open_tap, overview, section_screen, title
from prompts import replies
from prompts.categories import SECTIONS, Section
from prompts.vision import Material
from storage import people, vision
from storage.database import Transaction
from storage.people import Account
from storage.vision import Proposal, Written

WORDS = replies.of("vision")

router = Router(name="vision_proposals")


# ----------------------------------------------------------------------------------------- screens


async def screen(
    db: Transaction, proposal: Proposal, section: Section, *, before: str = "", receipt: str = ""
) -> Screen:
    """A proposal with what there is to say about it, for the person to decide.

    `before` is said above it, and below it what it took, where it was written just now.
    """
    material = await service.gather(db, proposal, section)
    draft = await vision.draft(db)
    standing = draft.sections[section.key].strip() if draft is not None else ""
    others = [other for other in await vision.waiting(db) if other.section_key != section.key]
    body = _refined(proposal, standing) if proposal.purpose == "refinement" else [proposal.text]
    replaces = bool(standing) and standing != proposal.text
    notes = [WORDS("broke_off")] if proposal.cut else []
    notes += _notes(proposal, material)
    if replaces and proposal.purpose == "draft":
        notes.append(WORDS("will_replace"))
    notes += [receipt] if receipt else []
    parts: list[Any] = [Italic(before), "\n\n"] if before else []
    parts += [title(section), "\n\n", *body]
    for note in notes:
        parts += ["\n\n", Italic(note)]
    return Screen(text=Text(*parts), rows=[*_choices(proposal, replaces=replaces), *_others(section, others)])


def _refined(proposal: Proposal, standing: str) -> list[Any]:
    """What VIVA says to a change, and the section with what came in bold and what went struck through."""
    parts = difference(standing, proposal.text)
    unchanged = [Text("\n\n", Italic(WORDS("unchanged")))] if standing == proposal.text.strip() else []
    return [*([proposal.said, "\n\n"] if proposal.said else []), *parts, *unchanged]


def difference(before: str, after: str) -> list[Any]:
    """The two texts as one: in bold what came, struck through what went, with a space where the two would touch."""
    styles = {"stayed": Text, "came": Bold, "went": Strikethrough}
    shown: list[Any] = []
    parts = vision_changes.difference(before, after)
    for place, part in enumerate(parts):
        shown.append(styles[part.kind](part.text))
        touched = part.kind == "went" and place + 1 < len(parts) and parts[place + 1].kind == "came"
        if touched and not part.text[-1].isspace() and not parts[place + 1].text[0].isspace():
            shown.append(" ")
    return shown


def _choices(proposal: Proposal, *, replaces: bool) -> list[list[InlineKeyboardButton]]:
    if proposal.purpose == "refinement":
        # What goes and what comes was shown word by word.
        return [
            [button(WORDS("accept"), ProposalTap(step="replace", id=proposal.id), style="success")],
            [
                button(WORDS("say_more"), ProposalTap(step="more", id=proposal.id)),
                button(WORDS("undo"), ProposalTap(step="aside", id=proposal.id)),
            ],
        ]
    keep = ProposalTap(step="replace" if replaces else "keep", id=proposal.id)
    return [
        [button(WORDS("keep_replacing" if replaces else "keep"), keep, style="success")],
        [
            button(WORDS("again"), ProposalTap(step="again", id=proposal.id)),
            button(WORDS("put_aside"), ProposalTap(step="aside", id=proposal.id)),
        ],
    ]


def _others(section: Section, others: Sequence[Proposal]) -> list[list[InlineKeyboardButton]]:
    """The way to what else waits for the person's word."""
    if not others:
        return []
    return [
        [
            button(WORDS("next", count=len(others)), VisionTap(step="next", key=section.key)),
            button(WORDS("keep_all", count=len(others) + 1), VisionTap(step="keep_all")),
        ]
    ]


def _notes(proposal: Proposal, material: Material) -> list[str]:
    """At most two gentle notes on what the checks found."""
    found = vision_checks.findings(proposal.text, material, whole=not proposal.cut)
    return [
        WORDS(f"note_{finding.kind}", **({"words": vision_checks.quoted(finding.words)} if finding.words else {}))
        for finding in found[:2]
    ]


def leave(work: Work, tap: CallbackQuery, *rows: list[InlineKeyboardButton]) -> None:
    """Leave the tapped message standing as it is, with these buttons in place of its own."""
    if isinstance(tap.message, Message):
        markup = InlineKeyboardMarkup(inline_keyboard=list(rows)).model_dump(mode="json", exclude_none=True)
        work.send("editMessageReplyMarkup", {"message_id": tap.message.message_id, "reply_markup": markup})


def begin(work: Work, proposal: Proposal) -> None:
    """Say that VIVA writes, or listens first, and start it."""
    if proposal.unheard:
        job, words = "vision.hear", "listening"
    elif proposal.purpose == "refinement":
        job, words = "vision.refine", "refining"
    else:
        job, words = "vision.draft", "writing"
    show(work, Screen(text=WORDS(words)), key=key(work))
    work.start(job, {"proposal": str(proposal.id), "key": key(work)}, lane="vision")


def key(work: Work) -> str:
    """The name of the message in which this work says what it is doing."""
    return f"vision:{work.head.id}"


# ---------------------------------------------------------------------------------- one after the other


@router.callback_query(VisionTap.filter(F.step.in_({"waiting", "next"})))
async def on_next(tap: CallbackQuery, callback_data: VisionTap, db: Transaction, work: Work) -> None:
    """Show the next text that waits for the person's word, in the order of reading and then from the start again."""
    waiting = await vision.waiting(db)
    keys = [proposal.section_key for proposal in waiting]
    order = [section.key for section in SECTIONS]
    here = order.index(callback_data.key) if callback_data.key in order else -1
    later = [place for place, key in enumerate(keys) if order.index(key) > here]
    await _show_or_overview(tap, waiting[later[0] if later else 0] if waiting else None, db, work)


async def _show_or_overview(
    tap: CallbackQuery, proposal: Proposal | None, db: Transaction, work: Work, *, before: str = ""
) -> None:
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        show(work, await overview(db), tap=tap)
        return
    show(work, await screen(db, proposal, section, before=before), tap=tap)


@router.callback_query(VisionTap.filter(F.step == "keep_all"))
async def on_keep_all(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """Keep every text that waits where nothing stands yet; nothing that stands is replaced."""
    draft = await vision.draft(db)
    kept, left = [], []
    for proposal in await vision.waiting(db):
        section = service.section(proposal.section_key)
        if draft is None or section is None:
            continue
        if draft.sections[section.key].strip() or not await vision.move(db, proposal.id, since=["proposed"], to="kept"):
            left.append(section)
            continue
        await vision.write_section(db, section_key=section.key, text=proposal.text)
        kept.append(section)
    now = await vision.draft(db)
    parts: list[Any] = [Bold(WORDS("kept_all", count=len(kept)))]
    parts += [f"\n{section.icon} {section.label}" for section in kept]
    if now is not None:
        parts += ["\n\n", WORDS("progress", count=len(now.written), percentage=now.completion_percentage)]
    rows = []
    if left:
        parts += ["\n\n", WORDS("kept_all_left")]
        rows.append([button(WORDS("read_waiting", count=len(left)), VisionTap(step="waiting"), style="success")])
    show(work, Screen(text=Text(*parts), rows=[*rows, back()]), tap=tap)


# -------------------------------------------------------------------------------------- deciding


async def theirs(db: Transaction, tapped: ProposalTap) -> tuple[Proposal, Section]:
    """The person's proposal with its section; raises NotFound."""
    proposal = await vision.proposal(db, tapped.id)
    section = service.section(proposal.section_key) if proposal is not None else None
    if proposal is None or section is None:
        raise NotFound(WORDS("gone"))
    return proposal, section


@router.callback_query(ProposalTap.filter(F.step.in_({"keep", "replace"})))
async def on_keep(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Put the text into the vision; where another stands, only after that was said."""
    proposal, section = await theirs(db, callback_data)
    if proposal.state == "kept":
        return
    if proposal.state not in ("proposed", "rejected") or not proposal.text:
        show(work, await section_screen(db, section), tap=tap)
        return
    now = await vision.standing(db)
    standing = now.sections[section.key].strip() if now is not None else ""
    if standing and standing != proposal.text and callback_data.step == "keep":
        show(
            work,
            Screen(
                text=Text(title(section), "\n\n", WORDS("replace_question"), "\n\n", ExpandableBlockQuote(standing)),
                rows=[
                    [button(WORDS("replace_yes"), ProposalTap(step="replace", id=proposal.id))],
                    [button(WORDS("leave"), open_tap(section))],
                ],
            ),
        )
        return
    if proposal.purpose == "refinement":
        await people.wait_for(db, None)
    written = await _put(proposal, section, db)
    waiting = await vision.waiting(db)
    if written.replaced is None and waiting:
        kept = WORDS("kept_next", section=section.label, count=written.sections)
        await _show_or_overview(tap, _after(section, waiting), db, work, before=kept)
        return
    show(work, kept_screen(section, proposal.text, written, waiting=len(waiting)), tap=tap)


def _after(section: Section, waiting: Sequence[Proposal]) -> Proposal:
    order = [each.key for each in SECTIONS]
    here = order.index(section.key)
    return next((each for each in waiting if order.index(each.section_key) > here), waiting[0])


@router.callback_query(ProposalTap.filter(F.step == "restore"))
async def on_restore(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Put a text that stood in the vision before back into it."""
    proposal, section = await theirs(db, callback_data)
    draft = await vision.draft(db)
    if draft is not None and draft.sections[section.key] == proposal.text:
        return
    if proposal.state != "kept" or draft is None or draft.id != proposal.vision_id:
        show(work, await section_screen(db, section), tap=tap)
        return
    written = await _put(proposal, section, db)
    show(work, kept_screen(section, proposal.text, written), tap=tap)


async def _put(proposal: Proposal, section: Section, db: Transaction) -> Written:
    await vision.move(db, proposal.id, since=["proposed", "rejected"], to="kept")
    return await vision.write_section(db, section_key=section.key, text=proposal.text)


def kept_screen(section: Section, text: str, written: Written, *, waiting: int = 0) -> Screen:
    """What stands in a section now, with a way back to what stood there before."""
    kept = WORDS("kept", count=written.sections, percentage=written.completion_percentage)
    rows = []
    if waiting:
        rows.append([button(WORDS("next", count=waiting), VisionTap(step="next", key=section.key), style="success")])
    if written.replaced is not None:
        kept += " " + WORDS("replaced")
        rows.append([button(WORDS("bring_back"), ProposalTap(step="restore", id=written.replaced))])
    last = [button(service.short(section), open_tap(section)), *back()]
    return Screen(text=Text(title(section), "\n\n", text, "\n\n", Italic(kept)), rows=[*rows, last])


@router.callback_query(ProposalTap.filter(F.step == "again"))
async def on_again(
    tap: CallbackQuery, callback_data: ProposalTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Write the section once more from the same words; the text that was not wanted can still be kept instead."""
    proposal, section = await theirs(db, callback_data)
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
        return
    if not await vision.move(db, proposal.id, since=["proposed"], to="rejected"):
        newest = (await vision.newest(db)).get(section.key)
        if newest is None or newest.state != "drafting":
            show(work, await section_screen(db, section))
        return
    leave(work, tap, [button(WORDS("keep_instead"), ProposalTap(step="keep", id=proposal.id))])
    another = await vision.propose(
        db,
        section_key=section.key,
        purpose=proposal.purpose,
        base=proposal.base,
        imagination=proposal.imagination,
        recordings=proposal.recordings,
    )
    begin(work, another)


@router.callback_query(ProposalTap.filter(F.step == "aside"))
async def on_aside(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Put the text aside; the vision stays as it was."""
    proposal, section = await theirs(db, callback_data)
    if proposal.purpose == "refinement":
        await people.wait_for(db, None)
    await vision.move(db, proposal.id, since=["proposed"], to="rejected")
    if proposal.state not in ("proposed", "rejected") or proposal.purpose == "refinement":
        show(work, await section_screen(db, section), tap=tap)
        return
    waiting = await vision.waiting(db)
    rows = []
    if waiting:
        next_tap = VisionTap(step="next", key=section.key)
        rows.append([button(WORDS("next", count=len(waiting)), next_tap, style="success")])
    rows.append([button(WORDS("draft_again"), VisionTap(step="ask", key=section.key))])
    show(work, Screen(text=Text(title(section), "\n\n", WORDS("aside")), rows=[*rows, back()]), tap=tap)


@router.callback_query(ProposalTap.filter(F.step == "retry"))
async def on_retry(
    tap: CallbackQuery, callback_data: ProposalTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Write from what the person told before, after that could not be done."""
    proposal, section = await theirs(db, callback_data)
    if user.consented_at is None:
        show(work, start.consent_screen(settings))
    elif await vision.move(db, proposal.id, since=["failed"], to="drafting"):
        await people.wait_for(db, None)
        leave(work, tap)
        begin(work, proposal)
    elif proposal.state != "drafting":
        show(work, await section_screen(db, section))


@router.callback_query(ProposalTap.filter())
async def on_show(tap: CallbackQuery, callback_data: ProposalTap, db: Transaction, work: Work) -> None:
    """Show a proposal that waits for the person's word."""
    proposal, section = await theirs(db, callback_data)
    if proposal.state == "proposed":
        show(work, await screen(db, proposal, section), tap=tap)
    else:
        show(work, await section_screen(db, section), tap=tap)
