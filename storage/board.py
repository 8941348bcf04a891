"""The vision board: `vision_board_items`, what VIVA offered for it, and how things came true."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, field_validator

from prompts.categories import category as known
from prompts.categories import named
from storage import journal
from storage.database import Transaction

Status = Literal["active", "actualized", "inactive"]
IdeaState = Literal["offered", "pinned", "passed"]


class Item(BaseModel):
    """Something on the board. `categories` are keys of the registry; `actualized_at` is when it first came true."""

    id: uuid.UUID
    name: str
    description: str | None
    image_url: str | None
    categories: list[str]
    status: Status
    actualized_at: datetime | None
    created_at: datetime

    @field_validator("categories")
    @classmethod
    def _keys(cls, names: list[str]) -> list[str]:
        return named(names)


class Idea(BaseModel):
    """Something that VIVA offered to pin."""

    id: uuid.UUID
    category: str
    name: str
    description: str
    state: IdeaState


ITEM = "id, name, description, image_url, coalesce(categories, '{}') as categories, status, actualized_at, created_at"
IDEA = "id, category, name, description, state"


async def add(
    transaction: Transaction, *, name: str, description: str | None = None, categories: Sequence[str] = ()
) -> Item:
    """A new item on the board."""
    item = await transaction.one(
        Item,
        f"""
        insert into vision_board_items (name, description, categories)
        values ($1, $2, $3)
        returning {ITEM}
        """,
        name,
        description,
        list(categories),
    )
    assert item is not None
    return item


async def item(transaction: Transaction, item_id: uuid.UUID) -> Item | None:
    """The item, if it is the person's."""
    return await transaction.one(Item, f"select {ITEM} from vision_board_items where id = $1", item_id)


async def items(
    transaction: Transaction,
    *,
    statuses: Sequence[Status],
    category: str | None = None,
    limit: int,
    skip: int = 0,
) -> list[Item]:
    """Items in these statuses, of one area or of all, newest first."""
    return await transaction.many(
        Item,
        f"""
        select {ITEM} from vision_board_items
         where status = any ($1) and ($2::text[] is null or categories && $2)
         order by created_at desc, id limit $3 offset $4
        """,
        list(statuses),
        _names(category) if category else None,
        limit,
        skip,
    )


def _names(category: str) -> list[str]:
    """What a row may call the category: the seed says labels."""
    return [category, known(category).label]


class Count(BaseModel):
    """How many items stand in a status."""

    status: Status
    count: int


async def counts(transaction: Transaction) -> dict[Status, int]:
    """How many items stand in each status (the seed's query "Count Vision Board Items by Status")."""
    found = await transaction.many(Count, "select status, count(*) as count from vision_board_items group by status")
    return {one.status: one.count for one in found}


class Area(BaseModel):
    """How many items an area has, whatever their status."""

    category: str
    count: int


async def areas(transaction: Transaction) -> dict[str, int]:
    """How many items each area has that has any; those that rest are left out."""
    found = await transaction.many(
        Area,
        """
        select category, count(*) as count
          from vision_board_items, unnest(categories) as category
         where status <> 'inactive' group by category
        """,
    )
    counted: dict[str, int] = {}
    for one in found:
        for key in named([one.category]):
            counted[key] = counted.get(key, 0) + one.count
    return counted


async def reword(transaction: Transaction, item_id: uuid.UUID, *, name: str, description: str | None) -> None:
    """Other words for an item."""
    await transaction.execute(
        "update vision_board_items set name = $2, description = $3 where id = $1", item_id, name, description
    )


async def set_categories(transaction: Transaction, item_id: uuid.UUID, categories: Sequence[str]) -> None:
    """The areas that an item belongs to."""
    await transaction.execute("update vision_board_items set categories = $2 where id = $1", item_id, list(categories))


async def set_image(transaction: Transaction, item_id: uuid.UUID, url: str | None) -> bool:
    """Put a picture to an item, or take it away; False when the item is gone."""
    return bool(await transaction.execute("update vision_board_items set image_url = $2 where id = $1", item_id, url))


async def move(transaction: Transaction, item_id: uuid.UUID, *, since: Sequence[Status], to: Status) -> bool:
    """Whether the item stood in one of the statuses `since`; it then stands in `to`."""
    return bool(
        await transaction.execute(
            "update vision_board_items set status = $2 where id = $1 and status = any ($3)", item_id, to, list(since)
        )
    )


async def delete(transaction: Transaction, item_id: uuid.UUID) -> None:
    """Remove an item; its story stays in the journal."""
    await transaction.execute("delete from vision_board_items where id = $1", item_id)


# ------------------------------------------------------------------------------------------- ideas


async def offer(transaction: Transaction, *, category: str, name: str, description: str) -> Idea:
    """An idea for the person to pin or to pass."""
    idea = await transaction.one(
        Idea,
        f"""
        insert into viva.board_ideas (category, name, description)
        values ($1, $2, $3)
        returning {IDEA}
        """,
        category,
        name,
        description,
    )
    assert idea is not None
    return idea


async def idea(transaction: Transaction, idea_id: uuid.UUID) -> Idea | None:
    """The idea, if it is the person's."""
    return await transaction.one(Idea, f"select {IDEA} from viva.board_ideas where id = $1", idea_id)


async def offered(transaction: Transaction, category: str) -> list[Idea]:
    """The ideas for an area that wait for the person's word, oldest first."""
    return await transaction.many(
        Idea,
        f"select {IDEA} from viva.board_ideas where category = $1 and state = 'offered' order by created_at, id",
        category,
    )


async def names(transaction: Transaction, category: str) -> list[str]:
    """The names of everything that is on the board for an area or was offered for it before, newest first."""
    return list(
        await transaction.value(
            """
            select coalesce(array_agg(name order by created_at desc), '{}') from (
              select name, created_at from vision_board_items where categories && $2
               union all
              select name, created_at from viva.board_ideas where category = $1
               order by created_at desc limit 60) as known
            """,
            category,
            _names(category),
        )
    )


async def decide(transaction: Transaction, idea_id: uuid.UUID, *, to: IdeaState) -> bool:
    """Whether the idea still waited for the person's word; it then stands in `to`."""
    return bool(
        await transaction.execute(
            "update viva.board_ideas set state = $2 where id = $1 and state = 'offered'", idea_id, to
        )
    )


# ----------------------------------------------------------------------------------------- stories


async def tell(transaction: Transaction, item: Item, entry_id: uuid.UUID, *, title: str) -> None:
    """Note the journal entry that tells how an item came true; the newest one is shown with it."""
    await transaction.execute(
        "update journal_entries set title = $2, categories = $3 where id = $1", entry_id, title, item.categories
    )
    await transaction.execute("insert into viva.board_stories (item_id, entry_id) values ($1, $2)", item.id, entry_id)


async def story(transaction: Transaction, item_id: uuid.UUID) -> journal.Entry | None:
    """The journal entry that tells, in the person's words, how an item came true: the newest one."""
    return await transaction.one(
        journal.Entry,
        f"""
        select {journal.COLUMNS} from journal_entries
         where id = (select entry_id from viva.board_stories
                      where item_id = $1 order by created_at desc, id limit 1)
        """,
        item_id,
    )
