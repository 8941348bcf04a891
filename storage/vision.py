"""The life vision: the draft with its fourteen sections, and what VIVA proposed for them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from prompts.categories import SECTIONS
from storage.database import Transaction
from storage.journal import Recording

State = Literal["drafting", "proposed", "kept", "rejected", "failed"]


class Vision(BaseModel):
    """A vision; `sections` holds the text of all fourteen by key, empty where nothing is written."""

    id: uuid.UUID
    version_number: int
    completion_percentage: int
    sections: dict[str, str]


class Proposal(BaseModel):
    """What VIVA wrote, or shall write, for a section from `imagination`; without one, from answers alone.

    `recordings` are what the person said aloud; one without a transcript is not heard yet.
    """

    id: uuid.UUID
    vision_id: uuid.UUID
    section_key: str
    imagination: str
    text: str
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


class Answer(BaseModel):
    """An answer of an assessment, in the words it was asked and answered with."""

    question_id: str
    question_text: str
    response_text: str


VISION = """
    id, version_number, completion_percentage, jsonb_build_object(
      'forward', coalesce(forward, ''), 'fun', coalesce(fun, ''), 'travel', coalesce(travel, ''),
      'home', coalesce(home, ''), 'family', coalesce(family, ''), 'romance', coalesce(romance, ''),
      'health', coalesce(health, ''), 'money', coalesce(money, ''), 'business', coalesce(business, ''),
      'social', coalesce(social, ''), 'possessions', coalesce(possessions, ''), 'giving', coalesce(giving, ''),
      'spirituality', coalesce(spirituality, ''), 'conclusion', coalesce(conclusion, '')
    ) as sections"""
PROPOSAL = "id, vision_id, section_key, imagination, text, state, cut, recordings"

_WRITE = {
    section.key: f"""
        update vision_versions set {section.key} = $2 where id = $1 and status = 'draft'
        returning completion_percentage"""
    for section in SECTIONS
}
"""A statement for each section there is: a column's name never comes from outside."""


# --------------------------------------------------------------------------------------- the draft


async def draft(transaction: Transaction) -> Vision | None:
    """The vision the person is working on."""
    return await transaction.one(Vision, f"select {VISION} from vision_versions where status = 'draft'")


async def open_draft(transaction: Transaction) -> Vision:
    """The vision the person is working on; begun where there is none, with the next version number."""
    await transaction.execute(
        """
        insert into vision_versions (title, version_number, status)
        select '', coalesce(max(version_number), 0) + 1, 'draft' from vision_versions
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
    standing = vision.sections[section_key]
    replaced = None
    if standing.strip() and standing != text:
        replaced = await _set_aside(transaction, vision.id, section_key, standing)
    percentage = await transaction.value(statement, vision.id, text)
    filled = {key for key, standing in vision.sections.items() if standing.strip()} | {section_key}
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
    recordings: Sequence[Recording] = (),
    state: State = "drafting",
) -> Proposal:
    """A new proposal for a section of the draft, with no text yet."""
    vision = await open_draft(transaction)
    proposal = await transaction.one(
        Proposal,
        f"""
        insert into viva.vision_proposals (vision_id, section_key, imagination, recordings, state)
        values ($1, $2, $3, $4::jsonb, $5)
        returning {PROPOSAL}
        """,
        vision.id,
        section_key,
        imagination,
        _as_json(recordings),
        state,
    )
    assert proposal is not None
    return proposal


async def proposal(transaction: Transaction, proposal_id: uuid.UUID) -> Proposal | None:
    """The proposal, if it is the person's."""
    return await transaction.one(Proposal, f"select {PROPOSAL} from viva.vision_proposals where id = $1", proposal_id)


async def newest(transaction: Transaction) -> dict[str, Proposal]:
    """The newest proposal of each section of the draft that has one, by section key."""
    found = await transaction.many(
        Proposal,
        f"""
        select distinct on (section_key) {PROPOSAL}
          from viva.vision_proposals
         where vision_id = (select id from vision_versions where status = 'draft')
         order by section_key, created_at desc, id
        """,
    )
    return {proposal.section_key: proposal for proposal in found}


async def earlier(transaction: Transaction, proposal: Proposal) -> str:
    """The text that VIVA last wrote from the same words and that the person did not want; "" where there is none."""
    text = await transaction.value(
        """
        select text from viva.vision_proposals
         where vision_id = $1 and section_key = $2 and imagination = $3 and id <> $4
           and state = 'rejected' and text <> ''
         order by updated_at desc, id limit 1
        """,
        proposal.vision_id,
        proposal.section_key,
        proposal.imagination,
        proposal.id,
    )
    return text or ""


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


async def written(transaction: Transaction, proposal_id: uuid.UUID, *, text: str, cut: bool) -> bool:
    """Put VIVA's text to its proposal, which is then for the person to decide on; False when it is not awaited."""
    return bool(
        await transaction.execute(
            """
            update viva.vision_proposals set text = $2, cut = $3, state = 'proposed'
             where id = $1 and state = 'drafting'
            """,
            proposal_id,
            text,
            cut,
        )
    )


async def keep_recording(
    transaction: Transaction, proposal_id: uuid.UUID, recording: Recording, *, imagination: str | None = None
) -> None:
    """Put what the person said to the proposal, or renew it once it is heard; with `imagination`, those words too."""
    await transaction.execute(
        """
        update viva.vision_proposals
           set recordings = $2::jsonb, imagination = coalesce($3, imagination)
         where id = $1
        """,
        proposal_id,
        _as_json([recording]),
        imagination,
    )


async def forget(transaction: Transaction, proposal_id: uuid.UUID) -> None:
    """Remove a proposal for which nothing could be kept."""
    await transaction.execute("delete from viva.vision_proposals where id = $1", proposal_id)


def _as_json(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    return [recording.model_dump(mode="json") for recording in recordings]


# ---------------------------------------------------------------------------------------- material


async def answers(transaction: Transaction, category: str) -> list[Answer]:
    """The person's answers about a category, from their newest assessment that has any."""
    return await transaction.many(
        Answer,
        """
        select question_id, question_text, response_text
          from assessment_responses
         where category = $1::assessment_category
           and assessment_id = (
             select a.id from assessment_results a
              where a.status in ('in_progress', 'completed')
                and exists (select from assessment_responses r
                             where r.assessment_id = a.id and r.category = $1::assessment_category)
              order by a.created_at desc, a.id limit 1)
         order by question_id
        """,
        category,
    )
