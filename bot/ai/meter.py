"""The one path of every call to a model: hold, call, settle. Design section 5.

Nothing is sent to a provider without a committed hold; each hold ends exactly once, in the same transaction that
keeps what the call produced, so that neither can be had without the other.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from bot.errors import OutOfTokens
from storage import meter as store
from storage.database import Database, Fenced, Transaction


class Action(StrEnum):
    """What a call is for: `token_usage.action_type`. The seed's seven and ours."""

    ASSESSMENT_SCORING = "assessment_scoring"
    VISION_GENERATION = "vision_generation"
    VISION_REFINEMENT = "vision_refinement"
    BLUEPRINT_GENERATION = "blueprint_generation"
    CHAT_CONVERSATION = "chat_conversation"
    AUDIO_GENERATION = "audio_generation"
    IMAGE_GENERATION = "image_generation"
    TRANSCRIPTION = "transcription"
    INSIGHT_GENERATION = "insight_generation"
    MEMORY = "memory"
    EMBEDDING = "embedding"
    JOURNAL_REFLECTION = "journal_reflection"


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """On whose account, for which step of which work.

    `still_ours` raises Fenced in the transaction of the hold when another process has taken the work over; `record`
    keeps the result in the settling transaction, and raises Fenced likewise.
    """

    user_id: uuid.UUID
    work_id: int
    step: str
    still_ours: Callable[[Transaction], Awaitable[None]]
    record: Callable[[Transaction, BaseModel], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Hold:
    """An open hold: `granted` tokens are set aside for the call."""

    id: uuid.UUID
    granted: int


class Meter:
    """Holds and settlements on the service's account of each person's balance."""

    def __init__(self, database: Database) -> None:
        self._service = database.as_service()

    async def hold(self, ticket: Ticket, *, action: Action, model: str, most: int, least: int) -> Hold:
        """Between `least` and `most` tokens set aside; raises OutOfTokens or Fenced before any call is made."""
        hold_id = uuid.uuid4()
        async with self._service.transaction() as transaction:
            answer = await store.hold(
                transaction,
                hold_id=hold_id,
                user_id=ticket.user_id,
                work_id=ticket.work_id,
                step=ticket.step,
                action_type=action,
                model=model,
                most=most,
                least=least,
            )
            await ticket.still_ours(transaction)
        if answer.granted == 0:
            raise OutOfTokens(
                f"This needs about {least:,} tokens and you have {answer.free:,} free.",
                missing=max(0, least - answer.free),
                available=answer.free,
            )
        return Hold(id=hold_id, granted=answer.granted)

    async def settle(
        self,
        ticket: Ticket,
        hold: Hold,
        result: BaseModel,
        *,
        tokens: int,
        input_tokens: int,
        output_tokens: int,
        cost_cents: Decimal,
        metadata: dict[str, Any],
        error: str | None = None,
    ) -> None:
        """Charge what was used and keep the result, in one transaction.

        Raises Fenced if the work is not ours any more: the result is then nobody's, but what it used is still charged.
        """
        try:
            async with self._service.transaction() as transaction:
                await store.settle(
                    transaction,
                    hold_id=hold.id,
                    tokens=tokens,
                    input_tokens=input_tokens,
                    output_tokens=output_tokens,
                    cost_cents=cost_cents,
                    success=error is None,
                    error=error,
                    metadata=metadata,
                )
                await ticket.record(transaction, result)
        except Fenced:
            await self.fail(
                hold,
                error="the work was taken over meanwhile",
                tokens=tokens,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_cents=cost_cents,
                metadata=metadata,
            )
            raise

    async def fail(
        self,
        hold: Hold,
        *,
        error: str,
        tokens: int = 0,
        input_tokens: int = 0,
        output_tokens: int = 0,
        cost_cents: Decimal = Decimal(0),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """End the hold of a call that gave nothing usable; with no tokens, nothing is charged."""
        async with self._service.transaction() as transaction:
            await store.settle(
                transaction,
                hold_id=hold.id,
                tokens=tokens,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_cents=cost_cents,
                success=False,
                error=error,
                metadata=metadata or {"usage_from": "none"},
            )
