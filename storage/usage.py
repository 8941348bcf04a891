"""What the person's calls used: one by one, and by day."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from pydantic import BaseModel

from storage.database import Transaction


class Call(BaseModel):
    """One call: what for, by which model, tokens in and out and charged, cost in US cents."""

    action_type: str
    model_used: str
    tokens_used: int
    input_tokens: int
    output_tokens: int
    cost_estimate: Decimal
    success: bool
    created_at: datetime


async def count(transaction: Transaction) -> int:
    """How many calls were made for the person who is acting."""
    return int(await transaction.value("select count(*) from token_usage"))


async def calls(transaction: Transaction, *, skip: int, limit: int) -> list[Call]:
    """The person's calls, newest first."""
    return await transaction.many(
        Call,
        """
        select action_type, model_used, tokens_used, coalesce(input_tokens, 0) as input_tokens,
               coalesce(output_tokens, 0) as output_tokens, cost_estimate, success, created_at
          from token_usage order by created_at desc, id offset $1 limit $2
        """,
        skip,
        limit,
    )


class DayUse(BaseModel):
    """The tokens one kind of call used on one day."""

    day: date
    action_type: str
    tokens: int


async def by_day(transaction: Transaction, *, since: date, time_zone: str) -> list[DayUse]:
    """The person's use from the day `since` on, by day (of an IANA time zone) and kind; unused days are left out."""
    return await transaction.many(
        DayUse,
        """
        select (created_at at time zone $2)::date as day, action_type, sum(tokens_used) as tokens
          from token_usage
         where created_at >= $1::date::timestamp at time zone $2 and tokens_used > 0
         group by 1, 2 order by 1, 2
        """,
        since,
        time_zone,
    )


class Spent(BaseModel):
    """What several calls took in all; cost in US cents."""

    tokens: int
    cost_cents: Decimal


async def of_work(transaction: Transaction, work_id: int) -> Spent:
    """What the calls of this piece of work took so far, failed ones that were charged included."""
    spent = await transaction.one(
        Spent,
        """
        select coalesce(sum(u.tokens_used), 0) as tokens, coalesce(sum(u.cost_estimate), 0) as cost_cents
          from viva.holds h join token_usage u on u.id = h.usage_id
         where h.work_id = $1
        """,
        work_id,
    )
    assert spent is not None
    return spent


class Past(BaseModel):
    """What the latest pieces of work of a kind took: `low` to `high` tokens, the odd one at either end left out."""

    times: int
    low: int
    high: int


async def past(transaction: Transaction, action_type: str, *, step: str) -> Past | None:
    """What the person's latest ten pieces of work took that made calls of this kind in a step whose name begins so.

    None where there were fewer than two.
    """
    return await transaction.one(
        Past,
        """
        select count(*) as times,
               percentile_disc(0.1) within group (order by tokens) as low,
               percentile_disc(0.9) within group (order by tokens) as high
          from (select sum(u.tokens_used) as tokens
                  from viva.holds h join token_usage u on u.id = h.usage_id
                 where h.action_type = $1 and h.work_id is not null
                 group by h.work_id
                having bool_or(u.success) and bool_or(starts_with(h.step, $2))
                 order by max(u.created_at) desc limit 10) as latest
        having count(*) >= 2
        """,
        action_type,
        step,
    )
