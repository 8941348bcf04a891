"""What VIVA waits for: the person's next words belong to the feature that asked for them."""

from __future__ import annotations

from typing import Any

from aiogram.filters import BaseFilter
from aiogram.types import Message, TelegramObject

from storage.people import Account

MOST_IN_A_NAME = 160
"""Characters that may be meant as a title; whoever writes more is confiding something, and is heard."""


class Waiting(BaseFilter):
    """Lets an update through when VIVA waits for words of this kind; the handler gets `waiting`, what was noted."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def __call__(self, event: TelegramObject, user: Account | None = None) -> bool | dict[str, Any]:
        """Whether the person's next words are for this feature."""
        if user is None or user.waiting_for is None or user.waiting_for.get("kind") != self._kind:
            return False
        return {"waiting": user.waiting_for}


class SameAlbum(BaseFilter):
    """Lets a message through that is of the album which VIVA is taking in."""

    async def __call__(self, message: Message, user: Account | None = None) -> bool:
        """Whether what was noted in `waiting` names this message's album."""
        album = message.media_group_id
        return album is not None and ((user and user.waiting_for) or {}).get("album") == album
