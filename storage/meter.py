"""Holds, settlements, grants and the person's view of them. The rules are the SQL functions of 0007_meter."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from storage.database import Transaction


class Granted(BaseModel):
    """The answer to a request for a hold: `granted` tokens (0 = refused) of `free` ones."""

    granted: int
    free: int


async def hold(
    transaction: Transaction,
    *,
    hold_id: uuid.UUID,
    user_id: uuid.UUID,
    work_id: int | None,
    step: str,
    action_type: str,
    model: str,
    most: int,
    least: int,
) -> Granted:
    """Hold up to `most` and at least `least` tokens before a call (service only)."""
    answer = await transaction.one(
        Granted,
        "select granted, free from viva.hold($1, $2, $3, $4, $5, $6, $7, $8)",
        hold_id,
        user_id,
        work_id,
        step,
        action_type,
        model,
        most,
        least,
    )
    assert answer is not None
    return answer


async def settle(
    transaction: Transaction,
    *,
    hold_id: uuid.UUID,
    tokens: int,
    input_tokens: int,
    output_tokens: int,
    cost_cents: Decimal,
    success: bool,
    error: str | None,
    metadata: dict[str, Any],
) -> uuid.UUID | None:
    """End a hold and write its `token_usage` row, whose id is returned; ending it twice changes nothing."""
    return await transaction.value(  # type: ignore[no-any-return]
        "select viva.settle($1, $2, $3, $4, $5, $6, $7, $8::jsonb)",
        hold_id,
        tokens,
        input_tokens,
        output_tokens,
        cost_cents,
        success,
        error,
        metadata,
    )


async def release(transaction: Transaction, *, work_id: int) -> None:
    """Give back what an earlier try of this work still holds: its process died in the middle (service only)."""
    await transaction.execute(
        "select viva.release_open_holds($1, $2)", work_id, "interrupted before an answer was stored"
    )


async def grant(
    transaction: Transaction, *, user_id: uuid.UUID, amount: int, kind: str, reference: str, note: str | None
) -> None:
    """Add tokens, once per reference (service only)."""
    await transaction.execute("select viva.grant_tokens($1, $2, $3, $4, $5)", user_id, amount, kind, reference, note)


class Wallet(BaseModel):
    """What the person has left: `balance` settled, `held` of it promised to calls under way. In tokens."""

    balance: int
    held: int
    used: int
    cost_cents: Decimal


async def wallet(transaction: Transaction) -> Wallet | None:
    """The wallet of the person who is acting."""
    return await transaction.one(Wallet, "select balance, held, used, cost_cents from viva.wallets")


class UsedBy(BaseModel):
    """What one kind of call used in all."""

    action_type: str
    calls: int
    tokens: int
    cost_cents: Decimal


async def used_by_action(transaction: Transaction) -> list[UsedBy]:
    """The person's usage by kind of call, most tokens first."""
    return await transaction.many(
        UsedBy,
        """
        select action_type, count(*) as calls, sum(tokens_used) as tokens, sum(cost_estimate) as cost_cents
          from token_usage group by action_type order by tokens desc, action_type
        """,
    )


class Usage(BaseModel):
    """One call: what for, by which model, how many tokens, at what cost in US cents."""

    action_type: str
    model_used: str
    tokens_used: int
    input_tokens: int
    output_tokens: int
    cost_estimate: Decimal
    success: bool
    created_at: datetime


async def latest_usage(transaction: Transaction, *, limit: int) -> list[Usage]:
    """The person's latest calls, newest first."""
    return await transaction.many(
        Usage,
        """
        select action_type, model_used, tokens_used, input_tokens, output_tokens, cost_estimate, success, created_at
          from token_usage order by created_at desc, id limit $1
        """,
        limit,
    )


class Difference(BaseModel):
    """A place where what is stored is not what must be true."""

    user_id: uuid.UUID
    rule: str
    expected: Decimal | None
    found: Decimal | None


async def people_after(transaction: Transaction, user_id: uuid.UUID, *, limit: int) -> list[uuid.UUID]:
    """Up to `limit` people with a wallet, in order, whose ids come after this one (service only)."""
    found = await transaction.value(
        """
        select coalesce(array_agg(user_id order by user_id), '{}')
          from (select user_id from viva.wallets where user_id > $1 order by user_id limit $2) batch
        """,
        user_id,
        limit,
    )
    return list(found)


async def differences(transaction: Transaction, people: Sequence[uuid.UUID]) -> list[Difference]:
    """Every difference in the ledger of these people (service only); empty when it is exact."""
    return await transaction.many(
        Difference, "select user_id, rule, expected, found from viva.ledger_differences($1::uuid[])", list(people)
    )
