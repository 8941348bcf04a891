"""What VIVA sees in an assessment: read once, written by the service, seen by the person."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction

State = Literal["reading", "read", "failed"]


class Insight(BaseModel):
    """One thing that VIVA sees, with the ids of the questions whose answers it rests on."""

    id: uuid.UUID
    assessment_id: uuid.UUID
    category: str
    insight_type: str
    title: str
    description: str
    confidence_score: Decimal | None
    supporting_responses: list[str]


INSIGHT = """
    select id, assessment_id, category, insight_type, title, description, confidence_score,
           coalesce(supporting_responses, '[]') as supporting_responses
      from assessment_insights"""

_ORDER = """
     order by array_position(array['strength', 'pattern', 'growth_area', 'recommendation'], insight_type),
              created_at, id"""


async def begin(transaction: Transaction, assessment_id: uuid.UUID) -> bool:
    """Whether this completed assessment is now being read: not when it was read, or is being read already."""
    return bool(
        await transaction.execute(
            """
            insert into viva.assessment_readings (assessment_id)
            select id from assessment_results
             where id = $1 and status = 'completed'
               and not exists (select from assessment_insights where assessment_id = $1)
            on conflict (assessment_id) where state <> 'failed' do nothing
            """,
            assessment_id,
        )
    )


async def state(transaction: Transaction, assessment_id: uuid.UUID) -> State | None:
    """How far the reading of an assessment is; None before it was begun."""
    found: State | None = await transaction.value(
        """
        select case when exists (select from assessment_insights where assessment_id = $1) then 'read'
                    else (select state from viva.assessment_readings where assessment_id = $1
                           order by state = 'failed' limit 1) end
        """,
        assessment_id,
    )
    return found


async def fail(transaction: Transaction, assessment_id: uuid.UUID) -> None:
    """Note that an assessment could not be read; it may be tried again."""
    await transaction.execute(
        "update viva.assessment_readings set state = 'failed' where assessment_id = $1 and state = 'reading'",
        assessment_id,
    )


async def write(transaction: Transaction, assessment_id: uuid.UUID, insights: Sequence[Insight]) -> bool:
    """Write the insights of an assessment that is being read (service only); False when that is not so any more."""
    if not await transaction.execute(
        "update viva.assessment_readings set state = 'read' where assessment_id = $1 and state = 'reading'",
        assessment_id,
    ):
        return False
    await transaction.execute(
        """
        insert into assessment_insights (
          id, assessment_id, category, insight_type, title, description, confidence_score, supporting_responses,
          created_at
        )
        select (item ->> 'id')::uuid, $1, (item ->> 'category')::assessment_category, item ->> 'insight_type',
               item ->> 'title', item ->> 'description', (item ->> 'confidence_score')::numeric,
               item -> 'supporting_responses',
               now() + place * interval '1 microsecond'
          from jsonb_array_elements($2::jsonb) with ordinality as items (item, place)
        """,
        assessment_id,
        [insight.model_dump(mode="json") for insight in insights],
    )
    return True


async def of(transaction: Transaction, assessment_id: uuid.UUID) -> list[Insight]:
    """The insights of an assessment: strengths, patterns, growth areas, recommendations."""
    return await transaction.many(Insight, f"{INSIGHT} where assessment_id = $1 {_ORDER}", assessment_id)


async def one(transaction: Transaction, insight_id: uuid.UUID) -> Insight | None:
    """An insight, if it is the person's."""
    return await transaction.one(Insight, f"{INSIGHT} where id = $1", insight_id)
