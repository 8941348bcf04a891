"""Pictures of the vision board: photos that are put up, pictures that are painted, and the board as one."""

from __future__ import annotations

import asyncio
import io
import uuid
from datetime import UTC, datetime

from aiogram import F, Router
from aiogram.types import CallbackQuery
from aiogram.utils.formatting import Bold, Text
from PIL import Image, ImageOps, UnidentifiedImageError

from bot.ai.pictures import Painted
from bot.config import Settings
from bot.errors import NoModel, NotFound, NotUnderstood, StorageFull, TooLarge
from bot.media import key_for
from bot.services import board as rules
from bot.services import recordings as sound
from bot.services.doors import Doors, Worth
from bot.services.pictures import board as drawing
from bot.services.work import Job, Work
from handlers import balance, home, price_tag, start, trouble
from handlers.board import CollageTap, ItemTap, PaintTap, back, item_screen, picture_key, theirs
from handlers.board_pin import ask_no_more, is_asked_about, question
from handlers.screen import Screen, button, replace, show
from prompts import board as prompts
from prompts import replies
from prompts.categories import CATEGORIES, category
from storage import board, people
from storage.board import Item
from storage.database import Fenced, Transaction
from storage.people import Account

WORDS = replies.of("board")
LONGEST = 2048
"""Pixels of the longer side of a photo that is kept."""

router = Router(name="board_picture")


# ------------------------------------------------------------------------------- a photo is put up


async def keep_photo(job: Job, doors: Doors) -> None:
    """Fetch the photo, keep it upright and of a sensible size, and hang it; the one that hung there goes."""
    item_id = uuid.UUID(job.payload["item"])
    key = key_for(job.user_id, "board", f"{item_id}-{job.head.id}.jpg")

    async def store() -> str:
        content = await doors.sent_files.fetch(job.payload["file"])
        await doors.media.put(key, await asyncio.to_thread(_upright, content))
        return key

    try:
        await job.step("stored", store)
        hung = await _hang(job, doors, item_id, key)
    except Fenced:
        await sound.tidy(job, doors, key)
        raise
    if not hung:
        await doors.media.delete(key)


async def _hang(job: Job, doors: Doors, item_id: uuid.UUID, key: str) -> bool:
    """Put the stored picture to its item and show it; False where the item is gone."""
    async with job.finish() as db:
        item = await board.item(db, item_id)
        if item is None:
            replace(job, Screen(text=WORDS("gone"), rows=[back()]), key=job.payload["key"])
            return False
        if item.image_url is not None:
            job.start("board.tidy", {"url": item.image_url}, lane="board")
        await board.set_image(db, item.id, doors.media.url_of(key))
        hung = item.model_copy(update={"image_url": doors.media.url_of(key)})
        asked = not job.payload["named"] and await is_asked_about(db, item)
        job.send("deleteMessage", {"message_id": {"sent_as": job.payload["key"]}})
        show(job, await _shown(db, hung, key, note=None if asked else WORDS("pinned_photo")))
        if asked:
            show(job, question(hung))
        return True


async def _shown(db: Transaction, item: Item, key: str, *, note: str | None) -> Screen:
    """The item as its picture with a few ways on."""
    parts: list[object] = [Bold(item.name)]
    if note:
        parts += ["\n\n", note]
    rows = [
        [button(WORDS("set_areas"), ItemTap(step="areas", id=item.id)), button(WORDS("reword"), _words(item))],
        back(),
    ]
    return Screen(text=Text(*parts), rows=rows, picture=key)


def _words(item: Item) -> ItemTap:
    return ItemTap(step="words", id=item.id)


def _upright(content: bytes) -> bytes:
    """A JPEG of the picture, upright, LONGEST at most, without anything that the camera noted beside it."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            photo = ImageOps.exif_transpose(opened).convert("RGB")
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError):
        raise NotUnderstood(WORDS("not_a_photo")) from None
    photo.thumbnail((LONGEST, LONGEST))
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


async def photo_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why the photo does not hang there; the words do, and what has no words goes."""
    item = await board.item(db, uuid.UUID(job.payload["item"]))
    nameless = bool(job.payload["new"]) and not job.payload["named"]
    if item is not None and nameless and item.name == WORDS("unnamed"):
        await board.delete(db, item.id)
        await ask_no_more(db)
    words = "photo_lost_alone" if nameless else "photo_lost"
    if isinstance(error, TooLarge | NotUnderstood):
        words = "too_large" if isinstance(error, TooLarge) else "not_a_photo"
    said = str(error) if isinstance(error, StorageFull) else WORDS(words)
    replace(job, Screen(text=said, rows=[back()]), key=job.payload["key"])


async def tidy(job: Job, doors: Doors) -> None:
    """Remove a picture that hangs nowhere any more."""
    key = job.payload.get("media") or doors.media.key_of(job.payload["url"], owner=job.user_id)
    await doors.media.delete(key)
    async with job.finish():
        return


async def not_tidied(job: Job, db: Transaction, error: Exception) -> None:
    """Leave it: everything of a person's goes with them at the latest."""


# ---------------------------------------------------------------------------- a picture is painted


@router.callback_query(PaintTap.filter(F.step == "ask"))
async def on_ask(
    tap: CallbackQuery,
    callback_data: PaintTap,
    user: Account,
    db: Transaction,
    work: Work,
    settings: Settings,
    worth: Worth,
) -> None:
    """Say what a picture takes before it is painted."""
    item = await theirs(db, callback_data.id)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    try:
        tokens = worth.picture_tokens()
    except NoModel as error:
        words = trouble.why(error, otherwise=WORDS("paint_failed"))
        show(work, await item_screen(db, item, user, settings, note=words), tap=tap)
        return
    tag = await price_tag.screen(
        db,
        user,
        settings,
        what=WORDS("paint_title", name=item.name),
        low=tokens,
        high=tokens,
        go_on=PaintTap(step="yes", id=item.id),
        back=[button(WORDS("leave_it"), ItemTap(step="open", id=item.id)), home.back()],
    )
    show(work, tag, tap=tap)


@router.callback_query(PaintTap.filter())
async def on_paint(
    tap: CallbackQuery, callback_data: PaintTap, user: Account, db: Transaction, work: Work, settings: Settings
) -> None:
    """Have the item painted; once for each price tag, and while there is no picture."""
    item = await theirs(db, callback_data.id)
    if user.consented_at is None:
        show(work, start.consent_screen(settings), tap=tap)
        return
    if picture_key(item, user, settings) is not None:
        show(work, await item_screen(db, item, user, settings, note=WORDS("painted_already")), tap=tap)
        return
    show(work, Screen(text=WORDS("painting")), tap=tap)
    tagged = tap.message.message_id if tap.message is not None else 0
    work.start("board.paint", {"item": str(item.id), "message": tagged}, lane="board", key=f"{item.id}:{tagged}")


async def paint(job: Job, doors: Doors) -> None:
    """Paint the item, keep the picture, and hang it."""
    item_id = uuid.UUID(job.payload["item"])
    async with job.transaction() as db:
        item = await board.item(db, item_id)
        account = await people.account(db)
    if item is None or account is None or account.consented_at is None:
        words = WORDS("gone" if item is None else "withdrawn")
        async with job.finish():
            _say_instead(job, Screen(text=words, rows=[back()]))
        return
    if item.image_url is not None and not job.done("paint"):
        # A picture came while this waited: out of another price tag, or a photo of the person's.
        async with job.finish():
            open_it = button(WORDS("keep_it"), ItemTap(step="open", id=item.id))
            _say_instead(job, Screen(text=WORDS("painted_already"), rows=[[open_it], back()]))
        return
    key = key_for(job.user_id, "board", f"{item_id}-{job.head.id}.jpg")

    async def keep(content: bytes) -> str:
        await doors.media.put(key, await asyncio.to_thread(_upright, content))
        return key

    await job.show_action("upload_photo")
    try:
        await job.call(
            "paint",
            Painted,
            lambda ticket: doors.model.paint(ticket, prompt=prompts.picture(item.name, item.description), keep=keep),
        )
        async with job.finish() as db:
            if not await board.set_image(db, item.id, doors.media.url_of(key)):
                job.start("board.tidy", {"media": key}, lane="board")
                _say_instead(job, Screen(text=WORDS("gone"), rows=[back()]))
                return
            receipt = await price_tag.receipt(db, job)
            job.send("deleteMessage", {"message_id": job.payload["message"]})
            show(job, await _shown(db, item, key, note=f"{WORDS('painted')} {receipt}"))
            await balance.warn_if_low(job, db)
    except Fenced:
        await sound.tidy(job, doors, key)
        raise


async def paint_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say why there is no picture; nothing of the item changes."""
    words = trouble.why(error, otherwise=WORDS("paint_failed"))
    again = button(WORDS("paint"), PaintTap(step="ask", id=uuid.UUID(job.payload["item"])))
    _say_instead(job, Screen(text=words, rows=[[again, *trouble.balance_button(error)], back()]))


def _say_instead(job: Job, screen: Screen) -> None:
    """Show this below, in the place of what said that it is being painted."""
    job.send("deleteMessage", {"message_id": job.payload["message"]})
    show(job, screen)


# ------------------------------------------------------------------------------ the board as one


@router.callback_query(CollageTap.filter())
async def on_collage(tap: CallbackQuery, callback_data: CollageTap, work: Work) -> None:
    """Send the board as one picture, below."""
    area = callback_data.area if any(callback_data.area == one.key for one in CATEGORIES) else ""
    show(work, Screen(text=WORDS("picture_coming"), rows=[back()]), tap=tap)
    work.start("board.collage", {"area": area}, lane="board", key=f"{area}:{callback_data.shown}")


async def collage(job: Job, doors: Doors) -> None:
    """Draw the board with what hangs there and what came true, and send it."""
    area = job.payload["area"]
    async with job.transaction() as db:
        account = await people.account(db)
        items = await board.items(
            db, statuses=["active", "actualized"], category=area or None, limit=rules.MOST_TILES + 1000
        )
    assert account is not None
    if not items:
        async with job.finish():
            show(job, Screen(text=WORDS("picture_nothing"), rows=[back()]))
        return
    shown = items[: rules.MOST_TILES]
    today = datetime.now(UTC).astimezone(account.zone).date()
    key = key_for(job.user_id, "collages", f"{area or 'all'}.png")

    async def draw() -> str:
        pins = [
            drawing.Pin(
                name=item.name,
                description=item.description or "",
                category=next(iter(item.categories), None),
                image=await _content(doors, item, job.user_id),
                actualized=item.status == "actualized",
            )
            for item in shown
        ]
        title = category(area).label if area else (account.first_name or "")
        drawn = await asyncio.to_thread(drawing.collage, pins, title=title, day=today, home=doors.home)
        await doors.media.put(key, drawn)
        return key

    stored: str = await job.step("collage", draw)
    async with job.finish():
        date = f"{today.day} {today:%B %Y}"
        if area:
            caption = WORDS("picture_caption_area", area=category(area).label, date=date)
        else:
            caption = WORDS("picture_caption", date=date)
        if len(items) > len(shown):
            more = len(items) - len(shown)
            caption += "\n\n" + WORDS("picture_more_one" if more == 1 else "picture_more", count=more)
        show(job, Screen(text=caption, rows=[back()], picture=stored))


async def _content(doors: Doors, item: Item, owner: uuid.UUID) -> bytes | None:
    """The item's picture; None where there is none, or none that can be had."""
    if item.image_url is None:
        return None
    try:
        return await doors.media.get(doors.media.key_of(item.image_url, owner=owner))
    except NotFound:
        return None


async def collage_failed(job: Job, db: Transaction, error: Exception) -> None:
    """Say that there is no picture."""
    show(job, Screen(text=WORDS("picture_failed"), rows=[back()]))


JOBS = {
    "board.photo": (keep_photo, photo_failed),
    "board.tidy": (tidy, not_tidied),
    "board.paint": (paint, paint_failed),
    "board.collage": (collage, collage_failed),
}
