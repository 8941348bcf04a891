"""The media store's books: what lies there for whom, and how full a person's room is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pydantic import BaseModel

from storage.database import Transaction


class Room(BaseModel):
    """How much of their room a person uses, in bytes."""

    used: int
    quota: int


class Full(BaseModel):
    """A person whose room has passed `percent` since they were last told; 0 is back below 80."""

    user_id: uuid.UUID
    chat_id: int
    percent: int
    used: int
    quota: int


async def reserve(
    transaction: Transaction, *, user_id: uuid.UUID, media_key: str, size: int, always: bool
) -> bool | None:
    """Whether there is room for the file, which is then in the books; None where the person is no more.

    `always` counts it and never refuses.
    """
    return await transaction.value(  # type: ignore[no-any-return]
        "select viva.reserve_media($1, $2, $3, $4)", user_id, media_key, size, always
    )


async def stored(transaction: Transaction, media_key: str) -> None:
    """The file is there."""
    await transaction.execute("update viva.media_objects set stored_at = now() where media_key = $1", media_key)


async def forget(transaction: Transaction, media_keys: Sequence[str]) -> None:
    """These files are no more."""
    await transaction.execute("delete from viva.media_objects where media_key = any ($1)", list(media_keys))


async def room(transaction: Transaction, user_id: uuid.UUID) -> Room:
    """How full the person's room is."""
    found = await transaction.one(
        Room,
        """
        select coalesce((select sum(bytes) from viva.media_objects where user_id = $1), 0)::bigint as used,
               coalesce((select storage_quota_gb from user_profiles where user_id = $1 and is_active), 5)::bigint
                 * 1073741824 as quota
        """,
        user_id,
    )
    assert found is not None
    return found


async def to_tell(transaction: Transaction, *, limit: int) -> list[Full]:
    """Up to `limit` people whose room has passed a mark since they were last told; they now count as told."""
    return await transaction.many(
        Full, "select user_id, chat_id, percent, used, quota from viva.media_to_tell($1)", limit
    )


async def unstored(transaction: Transaction, *, limit: int) -> list[str]:
    """Keys that were to be written more than a day ago, of which nobody knows whether they were."""
    found = await transaction.value(
        """
        select coalesce(array_agg(media_key), '{}') from (
          select media_key from viva.media_objects
           where stored_at is null and created_at < now() - interval '1 day' order by created_at limit $1
        ) waiting
        """,
        limit,
    )
    return list(found)


async def unknown(transaction: Transaction, files: Sequence[tuple[str, uuid.UUID, int]]) -> list[str]:
    """Which of these files (key, person, bytes) are nobody's. Those of people who are here are put into the books."""
    found = await transaction.value(
        """
        with files as (
          select * from unnest($1::text[], $2::uuid[], $3::bigint[]) as file (media_key, user_id, bytes)
        ), kept as (
          insert into viva.media_objects (media_key, user_id, bytes, stored_at)
          select f.media_key, f.user_id, f.bytes, now()
            from files f
           where exists (select from user_profiles p where p.user_id = f.user_id)
          on conflict (media_key) do nothing
        )
        select coalesce(array_agg(f.media_key), '{}') from files f
         where not exists (select from user_profiles p where p.user_id = f.user_id)
        """,
        [key for key, _, _ in files],
        [user_id for _, user_id, _ in files],
        [size for _, _, size in files],
    )
    return list(found)
