"""The person's profile: the active version of `user_profiles`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from storage.database import Transaction


class Profile(BaseModel):
    """What VIVA knows of a person. None is unknown, never a default."""

    first_name: str | None
    has_children: bool | None
    relationship_status: str | None
    employment_type: str | None
    partner_name: str | None
    city: str | None
    country: str | None
    occupation: str | None


async def active(transaction: Transaction) -> Profile:
    """The profile of the person who is acting."""
    profile = await transaction.one(
        Profile,
        """
        select first_name, has_children, relationship_status, employment_type, partner_name, city, country, occupation
          from user_profiles where is_active
        """,
    )
    assert profile is not None
    return profile


async def call_me(transaction: Transaction, first_name: str) -> None:
    """What the person wants to be called."""
    await transaction.execute("update user_profiles set first_name = $1 where is_active", first_name)


async def set_fact(
    transaction: Transaction,
    fact: Literal["has_children", "relationship_status", "employment_type"],
    value: str,
) -> None:
    """Note a fact on which questions branch; `value` as stored, "true" or "false" for has_children."""
    if fact == "has_children":
        await transaction.execute("update user_profiles set has_children = $1 where is_active", value == "true")
    elif fact == "relationship_status":
        await transaction.execute("update user_profiles set relationship_status = $1 where is_active", value)
    else:
        await transaction.execute("update user_profiles set employment_type = $1 where is_active", value)
