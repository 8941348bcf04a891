"""Screen: what a person sees, as a value; and the one way to show it.

Texts go out with entities, never with a parse mode, so nothing a person or a model wrote can break them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiogram.filters.callback_data import CallbackData
from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup, Message, MessageEntity
from aiogram.utils.formatting import Text

from bot.services.work import Work

TEXT_LIMIT = 4096
"""UTF-16 units in a message (Telegram limit)."""

CAPTION_LIMIT = 1024
"""UTF-16 units in a caption (Telegram limit)."""

Rows = Sequence[Sequence[InlineKeyboardButton]]


def button(text: str, tap: CallbackData, *, style: str | None = None) -> InlineKeyboardButton:
    """A button; `style` is "primary", "success" or "danger"."""
    return InlineKeyboardButton(text=text, callback_data=tap.pack(), style=style)


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A text with buttons and, where `picture` names a key of the media store, a picture above them."""

    text: Text | str
    rows: Rows = ()
    picture: str | None = None


def show(
    work: Work, screen: Screen, *, tap: CallbackQuery | None = None, key: str | None = None, quiet: bool = False
) -> None:
    """Show the screen once the work is committed: in place of the tapped screen where that can be, else below.

    `key` names the message, so that a later `replace` can change it; `quiet` comes without a sound.
    """
    tapped = tap.message if tap is not None else None
    parts = split(screen.text, first_limit=CAPTION_LIMIT if screen.picture else TEXT_LIMIT)
    if isinstance(tapped, Message) and tapped.text and screen.picture is None and len(parts) == 1:
        text, entities = parts[0]
        payload = {"text": text, "entities": entities, "reply_markup": _markup(screen.rows)}
        work.send("editMessageText", payload | {"message_id": tapped.message_id})
        return
    if isinstance(tapped, Message) and tapped.reply_markup is not None:
        work.send("editMessageReplyMarkup", {"message_id": tapped.message_id})
    for place, (text, entities) in enumerate(parts):
        last = place == len(parts) - 1
        extras: dict[str, Any] = {"reply_markup": _markup(screen.rows)} if last and screen.rows else {}
        if quiet:
            extras["disable_notification"] = True
        name = key if last else None
        if place == 0 and screen.picture is not None:
            photo = {"photo": {"media": screen.picture, "name": "picture.png"}}
            work.send("sendPhoto", photo | {"caption": text, "caption_entities": entities} | extras, key=name)
        else:
            work.send("sendMessage", {"text": text, "entities": entities} | extras, key=name)


def passing(work: Work, screen: Screen, *, tap: CallbackQuery | None = None) -> str | int:
    """Show the screen, in place of the tapped one where that can be; the key by which it is changed later."""
    if tap is not None and isinstance(tap.message, Message) and tap.message.text:
        show(work, screen, tap=tap)
        return tap.message.message_id
    key = f"passing:{work.head.id}"
    show(work, screen, key=key)
    return key


def shown(tap: CallbackQuery) -> str:
    """What tells a second tap on the same screen from a tap on a screen that was shown anew."""
    if not isinstance(tap.message, Message):
        return tap.id
    return f"{tap.message.message_id}:{tap.message.edit_date or 0}"


def replace(work: Work, screen: Screen, *, key: str | int) -> None:
    """Change the message that was shown under `key` into this screen; sent anew where it cannot be changed.

    A number is Telegram's own id of the message.
    """
    message = key if isinstance(key, int) else {"sent_as": key}
    parts = split(screen.text)
    if len(parts) > 1:
        work.send("deleteMessage", {"message_id": message})
        show(work, screen)
        return
    text, entities = parts[0]
    payload = {"text": text, "entities": entities, "reply_markup": _markup(screen.rows)}
    work.send("editMessageText", payload | {"message_id": message})


def hide(work: Work, *, key: str | int) -> None:
    """Take away the message that was shown under `key`."""
    work.send("deleteMessage", {"message_id": key if isinstance(key, int) else {"sent_as": key}})


def conclude(work: Work, screen: Screen, *, key: str) -> None:
    """Show the screen below, in the place of the passing message that was shown under `key`.

    For what was streamed as a draft: Telegram takes a draft away when a message is sent, not when one is edited.
    """
    work.send("deleteMessage", {"message_id": {"sent_as": key}})
    show(work, screen)


def document(work: Work, screen: Screen, *, media_key: str, file_name: str) -> None:
    """Send a file of the media store below, with the screen's text and buttons."""
    text, entities = split(screen.text, first_limit=CAPTION_LIMIT)[0]
    payload = {"document": {"media": media_key, "name": file_name}, "caption": text, "caption_entities": entities}
    work.send("sendDocument", payload | {"reply_markup": _markup(screen.rows)})


def say(work: Work, text: Text | str) -> None:
    """Say something below, with no buttons."""
    show(work, Screen(text=text))


def react(work: Work, message: Message, emoji: str) -> None:
    """A quiet receipt under the person's own message."""
    work.send(
        "setMessageReaction",
        {"message_id": message.message_id, "reaction": [{"type": "emoji", "emoji": emoji}]},
    )


def _markup(rows: Rows) -> dict[str, Any]:
    return InlineKeyboardMarkup(inline_keyboard=[list(row) for row in rows]).model_dump(mode="json", exclude_none=True)


def split(
    text: Text | str, *, first_limit: int = TEXT_LIMIT, limit: int = TEXT_LIMIT
) -> list[tuple[str, list[dict[str, Any]]]]:
    """The text as messages Telegram takes: (text, entities) each, cut between paragraphs where that can be.

    Lengths and entities are in UTF-16 units; nothing but white space at a cut is left out. At least one part.
    """
    body, entities = text.render() if isinstance(text, Text) else (text, [])
    parts: list[tuple[str, list[dict[str, Any]]]] = []
    start = 0
    while True:
        end, following = _cut(body, start, limit if parts else first_limit)
        piece = body[start:end]
        # Telegram refuses a message of white space alone.
        if piece.strip() or (following >= len(body) and not parts):
            parts.append((piece, _entities_within(entities, body, start, end)))
        if following >= len(body):
            return parts
        start = following


def _cut(body: str, start: int, limit: int) -> tuple[int, int]:
    """Where the part that begins at `start` ends, and where the next begins."""
    end, units = start, 0
    while end < len(body):
        units += 2 if ord(body[end]) > 0xFFFF else 1
        if units > limit:
            break
        end += 1
    if end == len(body):
        return end, end
    for mark, kept in (("\n\n", 0), ("\n", 0), (". ", 1), ("! ", 1), ("? ", 1), ("\u3002", 1), (" ", 0)):
        found = body.rfind(mark, start, end + len(mark) - kept)
        if found > start:
            following = found + kept
            while following < len(body) and body[following].isspace():
                following += 1
            return found + kept, following
    return end, end


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _entities_within(entities: list[MessageEntity], body: str, start: int, end: int) -> list[dict[str, Any]]:
    first, last = _units(body[:start]), _units(body[:end])
    within = []
    for entity in entities:
        begin, stop = max(entity.offset, first), min(entity.offset + entity.length, last)
        if begin < stop:
            clipped = entity.model_copy(update={"offset": begin - first, "length": stop - begin})
            within.append(clipped.model_dump(mode="json", exclude_none=True))
    return within
