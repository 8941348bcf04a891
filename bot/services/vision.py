"""The rules of the life vision: what a section is written from, how long it may be, and what it may cost."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from bot.ai import tokens
from bot.services import assessment
from bot.services import profile as profiles
from bot.services.vision_checks import findings, quoted, weight
from prompts import assessment as bank
from prompts import vision as prompts
from prompts.assessment import BranchUnknown
from prompts.categories import SECTIONS, Section, category
from prompts.profile import Fact
from prompts.vision import Material
from storage import profile as store
from storage import vision, vision_material
from storage.database import Transaction
from storage.profile import Profile
from storage.vision import Proposal
from storage.vision_material import Answer

TWELVE = tuple(section for section in SECTIONS if section.key not in prompts.WOVEN)
"""The sections that are written from what a person says, in the order of reading."""

STORY_LIMIT = 4000
"""Characters of a profile's story that a section is written from."""

ENTRIES = 5
"""Journal entries that a section is written from: the newest of its area."""

ENTRY_LIMIT = 700
"""Characters of one of them."""

EARLIER_REQUESTS = 4

SAID_LIMIT = 200
"""Words that VIVA says beside a changed text (domain section 3)."""


def section(key: object) -> Section | None:
    """The section under this key, or None for any other key."""
    return next((section for section in SECTIONS if section.key == key), None)


def short(section: Section) -> str:
    """A section's name for a button, with its icon."""
    name = section.label if section.key in prompts.WOVEN else category(section.key).short
    return f"{section.icon} {name}"


# ---------------------------------------------------------------------------------------- material


async def gather(db: Transaction, proposal: Proposal, section: Section) -> Material:
    """Everything that is known to write the proposal from, or to change its base as asked."""
    draft = await vision.draft(db)
    texts = draft.sections if draft is not None else {}
    if proposal.purpose == "refinement":
        earlier = await vision.requests(db, proposal, limit=EARLIER_REQUESTS)
        return Material(
            section=section,
            requests=[*earlier, proposal.imagination],
            existing=proposal.base,
            previous=await vision.earlier(db, proposal),
            person=_person(await store.active(db)),
        )
    return await known(
        db,
        section,
        imagination=proposal.imagination,
        existing=texts.get(section.key, ""),
        previous=await vision.earlier(db, proposal),
        texts=texts,
    )


async def known(
    db: Transaction,
    section: Section,
    *,
    imagination: str = "",
    existing: str = "",
    previous: str = "",
    texts: Mapping[str, str],
) -> Material:
    """What a section can be written from, beside what the person says for it; `texts` is the vision as it stands."""
    profile = await store.active(db)
    woven = section.key in prompts.WOVEN
    return material(
        section,
        imagination=imagination,
        existing=existing,
        previous=previous,
        profile=profile,
        answers=[] if woven else await vision_material.answers(db, section.key),
        passages=[] if woven else await vision_material.passages(db, section.key, limit=ENTRIES),
        texts=texts if woven else {},
    )


def material(
    section: Section,
    *,
    imagination: str,
    existing: str,
    previous: str,
    profile: Profile,
    answers: Sequence[Answer] = (),
    passages: Sequence[vision_material.Passage] = (),
    texts: Mapping[str, str] | None = None,
) -> Material:
    """What a section is written from."""
    texts = texts or {}
    story = "" if section.key in prompts.WOVEN else getattr(profile, category(section.key).story_column) or ""
    return Material(
        section=section,
        imagination=imagination,
        answers=[(answer.question_text, answer.response_text) for answer in fitting(section.key, answers, profile)],
        story=_clipped(story, STORY_LIMIT),
        entries=[(f"{passage.date:%d %B %Y}", _clipped(passage.text, ENTRY_LIMIT)) for passage in passages],
        woven=[(area.label, texts[area.key].strip()) for area in TWELVE if texts.get(area.key, "").strip()],
        existing=existing,
        previous=previous,
        person=_person(profile),
    )


def _clipped(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else text[:most].rsplit(None, 1)[0] + " …"


def fitting(category_key: str, answers: Sequence[Answer], profile: Profile) -> list[Answer]:
    """The answers to questions that fit the person now; all of them where it is not known which fit.

    A changed fact keeps the old answers but takes them out (domain section 2).
    """
    if not answers:
        return []
    facts: Mapping[Fact, str | None] = assessment.facts(
        has_children=profile.has_children,
        relationship_status=profile.relationship_status,
        employment_type=profile.employment_type,
    )
    try:
        asked = {question.id for question in bank.questions_for(category_key, facts)}
    except BranchUnknown:
        return list(answers)
    return [answer for answer in answers if answer.question_id in asked]


def _person(profile: Profile) -> list[str]:
    return [f"{name}: {value}" for name, value in profiles.known(profile)]


# ---------------------------------------------------------------------------------- length and cost


def room(material: Material) -> tuple[int, int]:
    """The most and the least output tokens for a section: in keeping with what was told, and what stands besides."""
    told = tokens.count(material.imagination or material.story)
    standing = math.ceil(1.3 * tokens.count(material.existing)) if material.existing.strip() else 0
    if material.requests:
        # The whole text once more, what is new in it, the words beside it, and what JSON adds.
        return standing + 2 * tokens.count(material.requests[-1]) + 600, standing + 150
    least = 500 if material.woven else 300
    most = max(least, min(math.ceil(2.5 * told) + 200, max(1200, math.ceil(1.3 * told))))
    return most + standing, 150 + standing


def estimate(materials: Sequence[Material]) -> tuple[int, int]:
    """About how many tokens sections take, each written once and each written twice."""
    prompt = sum(tokens.count_messages(prompts.messages(material)) for material in materials)
    output = sum(room(material)[0] for material in materials)
    return prompt + output // 2, 2 * (prompt + output)


# ------------------------------------------------------------------------------------ what came back


def tidy(text: str) -> str:
    """A model's text without what it was asked to leave out: a heading, and quotation marks around the whole."""
    lines = text.strip().split("\n")
    heading = lines[0].strip().lstrip("#").strip(" *_:")
    labels = {label.casefold() for section in SECTIONS for label in (section.label, section.key)}
    if len(lines) > 1 and (lines[0].startswith("#") or heading.casefold() in labels):
        lines = lines[1:]
    body = "\n".join(lines).strip()
    for opening, closing in (('"', '"'), ("“", "”"), ("«", "»"), ("„", "“")):
        inside = body[1:-1]
        if len(body) > 2 and body[0] == opening and body[-1] == closing and not {opening, closing} & set(inside):
            body = inside.strip()
    return body


def spoken(said: str) -> str:
    """What VIVA says beside a changed text, in 200 words at most, ending with a sentence."""
    words = list(re.finditer(r"\S+", said))
    if len(words) <= SAID_LIMIT:
        return said.strip()
    cut = said[: words[SAID_LIMIT - 1].end()]
    end = max(cut.rfind(mark) for mark in ".!?…。")
    return cut[: end + 1] if end > 0 else f"{cut} …"


def better(first: str, second: str, material: Material) -> str:
    """The text with less to look at; the second where both are alike."""
    return min(second, first, key=lambda text: weight(findings(text, material)))


def worth_another(text: str, material: Material) -> list[tuple[str, str]]:
    """What a check found that is worth one more call: kinds, and the words they are about."""
    return [
        (finding.kind, quoted(finding.words) if finding.words else "")
        for finding in findings(text, material)
        if finding.serious
    ]


def joined(gathered: str, more: str) -> str:
    """What the person sent so far and what they send now; a text that a messenger cut is one again."""
    gathered, more = gathered.rstrip(), more.strip()
    if not gathered:
        return more
    whole = gathered[-1] in '.!?…:;"”»)。！？' or len(gathered) < 500
    return f"{gathered}\n\n{more}" if whole else f"{gathered} {more}"
