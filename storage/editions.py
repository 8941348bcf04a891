"""Editions: the visions that can be read as a book and listened to, which are the draft and the active one."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction


class Edition(BaseModel):
    """A vision to read; `sections` holds the texts of those that are written, by key."""

    id: uuid.UUID
    title: str
    status: Literal["draft", "complete"]
    updated_at: datetime
    sections: dict[str, str]


_EDITION = """
    select id, coalesce(title, '') as title, status, updated_at, (
             select coalesce(jsonb_object_agg(key, text), '{}'::jsonb)
               from (values
                 ('forward', forward), ('fun', fun), ('travel', travel), ('home', home), ('family', family),
                 ('romance', romance), ('health', health), ('money', money), ('business', business),
                 ('social', social), ('possessions', possessions), ('giving', giving),
                 ('spirituality', spirituality), ('conclusion', conclusion)
               ) as section (key, text)
              where btrim(text, E' \\n\\r\\t') <> ''
           ) as sections
      from vision_versions"""


async def editions(transaction: Transaction) -> list[Edition]:
    """The draft and the active vision, where anything is written in them; of two alike the active one."""
    found = await transaction.many(
        Edition, f"{_EDITION} where status = 'draft' or is_active order by status = 'draft' desc"
    )
    written = [edition for edition in found if edition.sections]
    if len(written) == 2 and written[0].sections == written[1].sections:
        return written[1:]
    return written


async def edition(transaction: Transaction, edition_id: uuid.UUID) -> Edition | None:
    """The vision, of any version, if it is the person's."""
    return await transaction.one(Edition, f"{_EDITION} where id = $1", edition_id)
