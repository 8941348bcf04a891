"""The export: everything of a person, sent to them as an archive, with or without AI and whatever the balance."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any, Final

from aiogram import Router
from aiogram.filters import Command
from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, Message

from bot.media import EXPORTS, key_for
from bot.services import export as service
from bot.services.doors import Doors
from bot.services.work import Job, Work
from handlers import home
from handlers.screen import Screen, button, show
from prompts import replies
from storage import work as store
from storage.database import Transaction

MOST_BYTES: Final = 45_000_000
"""Of one archive; Telegram takes files of up to 50 MB from a bot (Telegram limit)."""

WORDS = replies.of("export")
HOUSE = replies.of("house")
router = Router(name="export")


class ExportTap(CallbackData, prefix="export"):
    """Send me everything of mine."""


@router.message(Command("export"))
async def on_export(message: Message, db: Transaction, work: Work) -> None:
    """Put everything of the person's together, unless that is being done."""
    await _begin(db, work)


@router.callback_query(ExportTap.filter())
async def on_export_tap(tap: CallbackQuery, db: Transaction, work: Work) -> None:
    """The same from the privacy screen, which stays as it is."""
    await _begin(db, work)


async def _begin(db: Transaction, work: Work) -> None:
    # What is on its way is known to the service alone.
    await db.become_service()
    if await store.on_its_way(db, work.chat_id, name="export.pack", sent_as="export:"):
        show(work, Screen(text=WORDS("on_its_way"), rows=[[home.back()]]))
        return
    work.start("export.pack", {}, lane="export")
    show(work, Screen(text=WORDS("begun"), rows=[[home.back()]]))


async def pack(job: Job, doors: Doors) -> None:
    """Write the archive, part by part, into the media store, and send the parts."""

    async def store_parts() -> list[str]:
        await _remove_earlier(job, doors)
        most = min(MOST_BYTES, doors.upload_limit * 9 // 10)
        archive = service.pack(
            user_id=job.user_id, transaction=job.transaction, media=doors.media, home=doors.home, most=most
        )
        keys: list[str] = []
        async with contextlib.aclosing(archive) as parts:
            async for part in parts:
                await job.show_action("upload_document")
                keys.append(key_for(job.user_id, EXPORTS, f"{job.head.id}-{len(keys) + 1}.zip"))
                await doors.media.put(keys[-1], part)
        return keys

    if not await job.still_wanted():
        async with job.finish():
            return
    stored: list[str] = await job.step("stored", store_parts)
    count = len(stored)
    day = f"{datetime.now(UTC):%Y-%m-%d}"
    async with job.finish():
        for number, key in enumerate(stored, start=1):
            name = WORDS("file_one", day=day) if count == 1 else WORDS("file_part", day=day, number=number, count=count)
            payload: dict[str, Any] = {"document": {"media": key, "name": name}}
            if number == count:
                payload["caption"] = WORDS("here") if count == 1 else WORDS("here_parts", count=count)
            job.send("sendDocument", payload, key=f"export:{job.head.id}:{number}")


async def _remove_earlier(job: Job, doors: Doors) -> None:
    """Remove earlier exports, and what an earlier try left; what was sent is in the chat."""
    own = key_for(job.user_id, EXPORTS, "")
    for key in await doors.media.files_of(job.user_id):
        if key.startswith(own):
            await doors.media.delete(key)


async def pack_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that there is no archive yet, with a way to try again."""
    show(job, Screen(text=WORDS("failed"), rows=[[button(HOUSE("try_again"), ExportTap())], [home.back()]]))


JOBS = {"export.pack": (pack, pack_failed)}
