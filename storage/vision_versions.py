"""Versions of the vision: completed, read again, compared and taken up anew."""

from __future__ import annotations

import uuid

from prompts.categories import SECTIONS
from storage import vision
from storage.database import Transaction
from storage.vision import VISION, Vision


async def history(transaction: Transaction) -> list[Vision]:
    """Every version of the person's, newest first."""
    return await transaction.many(Vision, f"select {VISION} from vision_versions order by version_number desc")


async def version(transaction: Transaction, number: int) -> Vision | None:
    """The person's version with this number."""
    return await transaction.one(Vision, f"select {VISION} from vision_versions where version_number = $1", number)


async def parent(transaction: Transaction, of: Vision) -> Vision | None:
    """The version that this one began as a copy of, where it is still there."""
    return await transaction.one(Vision, f"select {VISION} from vision_versions where id = $1", of.parent_id)


async def complete(transaction: Transaction, vision_id: uuid.UUID) -> Vision | None:
    """The draft as the active version, or None where this is no draft with all fourteen sections filled."""
    ready = await transaction.value(
        """
        select id from vision_versions
         where id = $1 and status = 'draft' and completion_percentage = 100 for no key update
        """,
        vision_id,
    )
    if ready is None:
        return None
    await transaction.execute("update vision_versions set is_active = false where is_active")
    return await transaction.one(
        Vision,
        f"""
        update vision_versions set status = 'complete', is_active = true
         where id = $1 and status = 'draft'
        returning {VISION}
        """,
        vision_id,
    )


async def take_up(transaction: Transaction, older: Vision) -> Vision:
    """The draft with the sections of an older version; what stood in a draft before is kept with its section."""
    draft = await vision.open_draft(transaction)
    for section in SECTIONS:
        if draft.sections[section.key] != older.sections[section.key]:
            await vision.write_section(transaction, section_key=section.key, text=older.sections[section.key])
    await transaction.execute("update vision_versions set parent_id = $2 where id = $1", draft.id, older.id)
    taken = await vision.draft(transaction)
    assert taken is not None
    return taken


async def drop_draft(transaction: Transaction, vision_id: uuid.UUID) -> bool:
    """Whether a draft was there and is now gone, with what was proposed for it."""
    return bool(await transaction.execute("delete from vision_versions where id = $1 and status = 'draft'", vision_id))
