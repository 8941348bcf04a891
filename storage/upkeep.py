"""Removing what the engine needs no more. All of it is the service's only."""

from __future__ import annotations

from typing import Literal

from storage.database import Transaction


async def prune_work(transaction: Transaction, *, state: Literal["done", "parked"], days: int, limit: int) -> int:
    """Remove up to `limit` pieces of work that ended so more than `days` days ago; how many were removed."""
    return await transaction.execute(
        f"""
        delete from viva.work where id in (
          select id from viva.work
           where state = '{state}' and finished_at < now() - $1 * interval '1 day'
           order by finished_at limit $2 for update skip locked)
        """,
        days,
        limit,
    )


async def prune_holds(transaction: Transaction, *, days: int, limit: int) -> int:
    """Remove up to `limit` holds that ended more than `days` days ago and whose work is gone; how many were removed.

    What was charged stands in the ledger and in `token_usage`.
    """
    return await transaction.execute(
        """
        delete from viva.holds where id in (
          select h.id from viva.holds h
           where h.state <> 'open' and h.ended_at < now() - $1 * interval '1 day'
             and not exists (select from viva.work w where w.id = h.work_id)
           order by h.ended_at limit $2 for update skip locked)
        """,
        days,
        limit,
    )


async def prune_outbox(
    transaction: Transaction, *, state: Literal["sent", "failed", "unknown"], days: int, limit: int
) -> int:
    """Remove up to `limit` marks of messages that ended so more than `days` days ago; how many were removed."""
    return await transaction.execute(
        f"""
        delete from viva.outbox where id in (
          select id from viva.outbox
           where state = '{state}' and sent_at < now() - $1 * interval '1 day'
           order by sent_at limit $2 for update skip locked)
        """,
        days,
        limit,
    )
