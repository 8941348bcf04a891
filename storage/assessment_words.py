"""Answers in a person's own words: what they said to a question, until they have said which option it comes to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction
from storage.journal import Recording

State = Literal["reading", "proposed", "taken", "failed"]


class Told(BaseModel):
    """What a person said to a question; with `proposed_value`, the option that VIVA found nearest, and its `reason`.

    `recordings` are what the person said aloud; one without a transcript is not heard yet.
    """

    id: uuid.UUID
    assessment_id: uuid.UUID
    question_id: str
    words: str
    recordings: list[Recording]
    proposed_value: int | None
    reason: str
    state: State

    @property
    def unheard(self) -> Recording | None:
        """The recording that is kept but not written down yet."""
        return next((recording for recording in self.recordings if not recording.transcript), None)


COLUMNS = "id, assessment_id, question_id, words, recordings, proposed_value, reason, state"


async def tell(transaction: Transaction, *, assessment_id: uuid.UUID, question_id: str, words: str) -> Told:
    """Keep what the person said to a question."""
    told = await transaction.one(
        Told,
        f"""
        insert into viva.assessment_words (assessment_id, question_id, words)
        values ($1, $2, $3)
        returning {COLUMNS}
        """,
        assessment_id,
        question_id,
        words,
    )
    assert told is not None
    return told


async def told(transaction: Transaction, told_id: uuid.UUID) -> Told | None:
    """What was said, if it is the person's."""
    return await transaction.one(Told, f"select {COLUMNS} from viva.assessment_words where id = $1", told_id)


async def move(transaction: Transaction, told_id: uuid.UUID, *, since: Sequence[State], to: State) -> bool:
    """Whether it stood in one of the states `since`; it then stands in `to`."""
    return bool(
        await transaction.execute(
            "update viva.assessment_words set state = $2 where id = $1 and state = any ($3)",
            told_id,
            to,
            list(since),
        )
    )


async def propose(transaction: Transaction, told_id: uuid.UUID, *, value: int, reason: str) -> bool:
    """Put VIVA's proposal to the words, for the person to decide on; False when it is not awaited any more."""
    return bool(
        await transaction.execute(
            """
            update viva.assessment_words set proposed_value = $2, reason = $3, state = 'proposed'
             where id = $1 and state = 'reading'
            """,
            told_id,
            value,
            reason,
        )
    )


async def keep_recording(
    transaction: Transaction, told_id: uuid.UUID, recording: Recording, *, words: str | None = None
) -> None:
    """Keep what the person said aloud, or renew it once it is heard; with `words`, those too."""
    await transaction.execute(
        "update viva.assessment_words set recordings = $2::jsonb, words = coalesce($3, words) where id = $1",
        told_id,
        [recording.model_dump(mode="json")],
        words,
    )


async def forget(transaction: Transaction, told_id: uuid.UUID) -> None:
    """Remove what nothing could be kept of."""
    await transaction.execute("delete from viva.assessment_words where id = $1", told_id)
