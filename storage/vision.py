"""The life vision: the versions with their fourteen sections, and what VIVA proposed for a section of the draft."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from prompts.categories import SECTIONS
from storage.database import Transaction
from storage.journal import Recording

State = Literal["drafting", "proposed", "kept", "rejected", "failed"]
Purpose = Literal["draft", "refinement", "edit"]


class Vision(BaseModel):
    """A version; `sections` holds the text of all fourteen by key, empty where nothing is written.

    `parent_id` is the version that it began as a copy of. `updated_at` of a complete one is when it was completed.
    """

    id: uuid.UUID
    version_number: int
    status: Literal["draft", "complete"]
    is_active: bool
    parent_id: uuid.UUID | None
    completion_percentage: int
    updated_at: datetime
    sections: dict[str, str]

    @property
    def written(self) -> set[str]:
        """The keys of the sections that hold a text."""
        return {key for key, text in self.sections.items() if text.strip()}


class Proposal(BaseModel):
    """What VIVA wrote, or shall write, for a section from `imagination`; without one, from what else is known.

    A refinement changes `base` as `imagination` asks, and VIVA `said` something beside it. An edit gathers what the
    person sends in `text`. `recordings` are what the person said aloud; one without a transcript is not heard yet.
    """

    id: uuid.UUID
    vision_id: uuid.UUID
    section_key: str
    purpose: Purpose
    imagination: str
    base: str
    text: str
    said: str
    state: State
    cut: bool
    recordings: list[Recording]

    @property
    def unheard(self) -> Recording | None:
        """The recording that is kept but not written down yet."""
        return next((recording for recording in self.recordings if not recording.transcript), None)


class Written(BaseModel):
    """How the draft stands after a section was written, and the proposal with the text that stood there before.

    `sections` is how many of the fourteen hold a text; the percentage is as the database counts it.
    """

    sections: int
    completion_percentage: int
    replaced: uuid.UUID | None


VISION = """
    id, version_number, status, is_active, parent_id, completion_percentage, updated_at, jsonb_build_object(
      'forward', coalesce(forward, ''), 'fun', coalesce(fun, ''), 'travel', coalesce(travel, ''),
      'home', coalesce(home, ''), 'family', coalesce(family, ''), 'romance', coalesce(romance, ''),
      'health', coalesce(health, ''), 'money', coalesce(money, ''), 'business', coalesce(business, ''),
      'social', coalesce(social, ''), 'possessions', coalesce(possessions, ''), 'giving', coalesce(giving, ''),
      'spirituality', coalesce(spirituality, ''), 'conclusion', coalesce(conclusion, '')
    ) as sections"""
PROPOSAL = "id, vision_id, section_key, purpose, imagination, base, text, said, state, cut, recordings"

_WRITE = {
    section.key: f"""
        update vision_versions set {section.key} = $2 where id = $1 and status = 'draft'
        returning completion_percentage"""
    for section in SECTIONS
}
"""A statement for each section there is: a column's name never comes from outside."""


# --------------------------------------------------------------------------------------- the draft


async def draft(transaction: Transaction) -> Vision | None:
    """The version the person is working on."""
    return await transaction.one(Vision, f"select {VISION} from vision_versions where status = 'draft'")


async def standing(transaction: Transaction) -> Vision | None:
    """The version that the person sees: the draft, or where there is none the one they live by."""
    return await transaction.one(
        Vision,
        f"select {VISION} from vision_versions where status = 'draft' or is_active order by is_active limit 1",
    )


async def open_draft(transaction: Transaction) -> Vision:
    """The version the person is working on; begun where there is none, as a copy of the active one if there is one."""
    await transaction.execute(
        """
        insert into vision_versions
          (title, version_number, status, parent_id, forward, fun, travel, home, family, romance, health, money,
           business, social, possessions, giving, spirituality, conclusion)
        select coalesce(active.title, ''), numbers.next, 'draft', active.id, coalesce(active.forward, ''),
               coalesce(active.fun, ''), coalesce(active.travel, ''), coalesce(active.home, ''),
               coalesce(active.family, ''), coalesce(active.romance, ''), coalesce(active.health, ''),
               coalesce(active.money, ''), coalesce(active.business, ''), coalesce(active.social, ''),
               coalesce(active.possessions, ''), coalesce(active.giving, ''), coalesce(active.spirituality, ''),
               coalesce(active.conclusion, '')
          from (select coalesce(max(version_number), 0) + 1 as next from vision_versions) numbers
          left join vision_versions active on active.is_active
        on conflict (user_id) where status = 'draft' do nothing
        """
    )
    found = await draft(transaction)
    assert found is not None
    return found


async def write_section(transaction: Transaction, *, section_key: str, text: str) -> Written:
    """Put the text into its section of the draft. Raises KeyError for an unknown section.

    What stood there stays, as a kept proposal.
    """
    statement = _WRITE[section_key]
    vision = await open_draft(transaction)
    standing_text = vision.sections[section_key]
    replaced = None
    if standing_text.strip() and standing_text != text:
        replaced = await _set_aside(transaction, vision.id, section_key, standing_text)
    percentage = await transaction.value(statement, vision.id, text)
    filled = vision.written - {section_key} | ({section_key} if text.strip() else set())
    return Written(sections=len(filled), completion_percentage=percentage, replaced=replaced)


async def _set_aside(transaction: Transaction, vision_id: uuid.UUID, section_key: str, text: str) -> uuid.UUID:
    """The kept proposal with this text; made where the text came from elsewhere."""
    found = await transaction.value(
        """
        select id from viva.vision_proposals
         where vision_id = $1 and section_key = $2 and text = $3 and state = 'kept'
         order by created_at desc, id limit 1
        """,
        vision_id,
        section_key,
        text,
    ) or await transaction.value(
        """
        insert into viva.vision_proposals (vision_id, section_key, text, state)
        values ($1, $2, $3, 'kept')
        returning id
        """,
        vision_id,
        section_key,
        text,
    )
    assert isinstance(found, uuid.UUID)
    return found


# --------------------------------------------------------------------------------------- proposals


async def propose(
    transaction: Transaction,
    *,
    section_key: str,
    imagination: str,
    purpose: Purpose = "draft",
    base: str = "",
    recordings: Sequence[Recording] = (),
    state: State = "drafting",
) -> Proposal:
    """A new proposal for a section of the draft, with no text yet."""
    vision = await open_draft(transaction)
    proposal = await transaction.one(
        Proposal,
        f"""
        insert into viva.vision_proposals (vision_id, section_key, purpose, imagination, base, recordings, state)
        values ($1, $2, $3, $4, $5, $6::jsonb, $7)
        returning {PROPOSAL}
        """,
        vision.id,
        section_key,
        purpose,
        imagination,
        base,
        _as_json(recordings),
        state,
    )
    assert proposal is not None
    return proposal


async def proposal(transaction: Transaction, proposal_id: uuid.UUID) -> Proposal | None:
    """The proposal, if it is the person's."""
    return await transaction.one(Proposal, f"select {PROPOSAL} from viva.vision_proposals where id = $1", proposal_id)


async def newest(transaction: Transaction) -> dict[str, Proposal]:
    """The newest proposal of VIVA's for each section of the draft that has one, by section key."""
    found = await transaction.many(
        Proposal,
        f"""
        select distinct on (section_key) {PROPOSAL}
          from viva.vision_proposals
         where vision_id = (select id from vision_versions where status = 'draft') and purpose <> 'edit'
         order by section_key, created_at desc, id
        """,
    )
    return {proposal.section_key: proposal for proposal in found}


async def waiting(transaction: Transaction) -> list[Proposal]:
    """What stands proposed for the draft and is not decided on, one a section, in the order of reading."""
    by_key = await newest(transaction)
    return [by_key[s.key] for s in SECTIONS if s.key in by_key and by_key[s.key].state == "proposed"]


async def earlier(transaction: Transaction, proposal: Proposal) -> str:
    """The text that VIVA last wrote from the same words and that the person did not want; "" where there is none."""
    text = await transaction.value(
        """
        select text from viva.vision_proposals
         where vision_id = $1 and section_key = $2 and imagination = $3 and id <> $4 and purpose = $5
           and state = 'rejected' and text <> ''
         order by updated_at desc, id limit 1
        """,
        proposal.vision_id,
        proposal.section_key,
        proposal.imagination,
        proposal.id,
        proposal.purpose,
    )
    return text or ""


async def requests(transaction: Transaction, proposal: Proposal, *, limit: int) -> list[str]:
    """The latest changes that the person asked for in the same section before this one, oldest first."""
    found = await transaction.value(
        """
        select array_agg(imagination order by created_at)
          from (select imagination, created_at from viva.vision_proposals
                 where vision_id = $1 and section_key = $2 and purpose = 'refinement' and id <> $3
                   and state in ('proposed', 'kept', 'rejected') and imagination not in ('', $4)
                 order by created_at desc limit $5) latest
        """,
        proposal.vision_id,
        proposal.section_key,
        proposal.id,
        proposal.imagination,
        limit,
    )
    return found or []


async def move(transaction: Transaction, proposal_id: uuid.UUID, *, since: Sequence[State], to: State) -> bool:
    """Whether the proposal stood in one of the states `since`; it then stands in `to`."""
    return bool(
        await transaction.execute(
            "update viva.vision_proposals set state = $2 where id = $1 and state = any ($3)",
            proposal_id,
            to,
            list(since),
        )
    )


async def written(
    transaction: Transaction, proposal_id: uuid.UUID, *, text: str, cut: bool = False, said: str = ""
) -> bool:
    """Put VIVA's text to its proposal, which is then for the person to decide on; False when it is not awaited."""
    return bool(
        await transaction.execute(
            """
            update viva.vision_proposals set text = $2, cut = $3, said = $4, state = 'proposed'
             where id = $1 and state = 'drafting'
            """,
            proposal_id,
            text,
            cut,
            said,
        )
    )


async def keep_recording(
    transaction: Transaction, proposal_id: uuid.UUID, recording: Recording, *, imagination: str | None = None
) -> None:
    """Put what the person said to the proposal, or renew it once it is heard; with `imagination`, those words too."""
    await transaction.execute(
        """
        update viva.vision_proposals
           set recordings = coalesce((select jsonb_agg(item order by place)
                                        from jsonb_array_elements(recordings) with ordinality as r (item, place)
                                       where item ->> 'url' <> $3), '[]') || $2::jsonb,
               imagination = coalesce($4, imagination)
         where id = $1
        """,
        proposal_id,
        _as_json([recording]),
        recording.url,
        imagination,
    )


# ----------------------------------------------------------------------------------------- by hand


async def edit(transaction: Transaction, section_key: str) -> Proposal | None:
    """What the person has begun to change by hand in a section of the draft, or of the vision they live by."""
    return await transaction.one(
        Proposal,
        f"""
        select {PROPOSAL} from viva.vision_proposals
         where vision_id in (select id from vision_versions where status = 'draft' or is_active)
           and section_key = $1 and purpose = 'edit' and state in ('drafting', 'failed')
         order by created_at desc, id limit 1
        """,
        section_key,
    )


async def put_text(transaction: Transaction, proposal_id: uuid.UUID, text: str) -> None:
    """Keep what the person has sent so far."""
    await transaction.execute("update viva.vision_proposals set text = $2 where id = $1", proposal_id, text)


async def forget(transaction: Transaction, proposal_id: uuid.UUID) -> None:
    """Remove a proposal for which nothing could be kept."""
    await transaction.execute("delete from viva.vision_proposals where id = $1", proposal_id)


def _as_json(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    return [recording.model_dump(mode="json") for recording in recordings]
