"""A model that can read less than it is given is asked again with half of the material, until it can."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, TypeVar

from bot.ai import tokens
from bot.errors import ContextTooLong
from bot.services import chat

Result = TypeVar("Result")
Messages = Sequence[dict[str, str]]

LEAST: Final = 100
"""Tokens of material below which nothing worth reading would be left."""

_MATERIAL = re.compile(r"(?P<begin><(?P<name>\w+)[^<>]*>)(?P<text>[^<>]+)(?P<end></(?P=name)>)")
"""What stands between tags: what a person wrote is escaped there, and has none of its own."""


async def asked(
    messages: Messages, ask: Callable[[Messages], Awaitable[Result]], *, whole: Collection[str] = ()
) -> Result:
    """What `ask` gives for the messages, or for as much of their material as the model can read.

    What stands between the tags named in `whole` is never cut. Raises ContextTooLong where hardly anything would be
    left.
    """
    while True:
        try:
            return await ask(messages)
        except ContextTooLong:
            shorter = halved(messages, whole=whole)
            if shorter is None:
                raise
            messages = shorter


def halved(messages: Messages, *, whole: Collection[str] = ()) -> list[dict[str, str]] | None:
    """The messages with half of their material, the longest parts cut first; None where that would be too little."""
    sizes = sorted(
        tokens.count(found["text"])
        for message in messages
        if message["role"] == "user"
        for found in _MATERIAL.finditer(message["content"])
        if found["name"] not in whole
    )
    room = sum(sizes) // 2
    if room < LEAST:
        return None
    most = 0
    for place, size in enumerate(sizes):
        most = room // (len(sizes) - place)
        if size > most:
            break
        room -= size

    def cut(found: re.Match[str]) -> str:
        if found["name"] in whole:
            return found[0]
        text = found["text"]
        lines = "\n" if text.startswith("\n") else ""
        return f"{found['begin']}{lines}{chat.clip(text.strip(), most=most)[0]}{lines}{found['end']}"

    return [
        message | {"content": _MATERIAL.sub(cut, message["content"])} if message["role"] == "user" else message
        for message in messages
    ]
