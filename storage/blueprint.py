"""Blueprints: three small steps for a category, and what became of each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction

State = Literal["writing", "written", "failed"]
StepState = Literal["open", "done", "dropped"]
STEP_STATES: tuple[StepState, ...] = ("open", "done", "dropped")


class Blueprint(BaseModel):
    """Three small steps for a category, or the place where they will stand."""

    id: uuid.UUID
    category: str
    state: State


class Step(BaseModel):
    """A small step, and whether a reminder of it is on."""

    id: uuid.UUID
    category: str
    title: str
    description: str
    state: StepState
    reminded: bool


STEP = """
    select s.id, b.category, s.title, s.description, s.state,
           exists (select from viva.reminders r where r.step_id = s.id and r.state = 'on') as reminded
      from viva.blueprint_steps s
      join viva.blueprints b on b.id = s.blueprint_id"""


async def begin(transaction: Transaction, category: str) -> uuid.UUID | None:
    """The id of a blueprint that is now to be written; None where one is being written already."""
    begun: uuid.UUID | None = await transaction.value(
        """
        insert into viva.blueprints (category) values ($1::assessment_category)
        on conflict (user_id, category) where state = 'writing' do nothing
        returning id
        """,
        category,
    )
    return begun


async def begun(transaction: Transaction, category: str) -> int:
    """How often steps for the category were begun to be written."""
    return int(
        await transaction.value(
            "select count(*) from viva.blueprints where category = $1::assessment_category", category
        )
    )


async def blueprint(transaction: Transaction, blueprint_id: uuid.UUID) -> Blueprint | None:
    """The blueprint, if it is the person's."""
    return await transaction.one(
        Blueprint, "select id, category, state from viva.blueprints where id = $1", blueprint_id
    )


async def is_being_written(transaction: Transaction, category: str) -> bool:
    """Whether steps for the category are being written."""
    return bool(
        await transaction.value(
            """
            select exists (
              select from viva.blueprints where category = $1::assessment_category and state = 'writing')
            """,
            category,
        )
    )


async def fail(transaction: Transaction, blueprint_id: uuid.UUID) -> None:
    """Note that a blueprint could not be written."""
    await transaction.execute(
        "update viva.blueprints set state = 'failed' where id = $1 and state = 'writing'", blueprint_id
    )


async def write(transaction: Transaction, blueprint_id: uuid.UUID, steps: Sequence[tuple[str, str]]) -> bool:
    """Write the steps, (title, description) each; False when they are not awaited any more.

    Earlier steps of the category that were still open and without a reminder are dropped: these take their place.
    """
    category = await transaction.value(
        "update viva.blueprints set state = 'written' where id = $1 and state = 'writing' returning category",
        blueprint_id,
    )
    if category is None:
        return False
    await transaction.execute(
        """
        update viva.blueprint_steps as s set state = 'dropped'
          from viva.blueprints b
         where b.id = s.blueprint_id and b.category = $1::assessment_category and s.state = 'open'
           and not exists (select from viva.reminders r where r.step_id = s.id and r.state = 'on')
        """,
        category,
    )
    await transaction.execute(
        """
        insert into viva.blueprint_steps (blueprint_id, position, title, description)
        select $1, place, title, description
          from unnest($2::text[], $3::text[]) with ordinality as steps (title, description, place)
        """,
        blueprint_id,
        [title for title, _ in steps],
        [description for _, description in steps],
    )
    return True


async def steps(transaction: Transaction, category: str) -> list[Step]:
    """The steps of a category that were not dropped: those that are open first, then those done, the newest first."""
    return await transaction.many(
        Step,
        f"""
        {STEP}
         where b.category = $1::assessment_category and s.state <> 'dropped'
         order by s.state = 'done', b.created_at desc, s.position
         limit 12
        """,
        category,
    )


async def step(transaction: Transaction, step_id: uuid.UUID) -> Step | None:
    """The step, if it is the person's."""
    return await transaction.one(Step, f"{STEP} where s.id = $1", step_id)


async def move(transaction: Transaction, step_id: uuid.UUID, to: StepState) -> None:
    """Note what became of a step; one that is not open any more is not reminded of."""
    await transaction.execute("update viva.blueprint_steps set state = $2 where id = $1", step_id, to)
    if to != "open":
        await transaction.execute(
            "update viva.reminders set state = 'off', next_at = null where step_id = $1 and state <> 'off'", step_id
        )
