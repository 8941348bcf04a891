"""A streamed answer as it comes, and what it used: the provider's word where it can be true, else our own count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from bot.ai import tokens
from bot.ai.provider import FAULTS, figure, whole

DRAIN_SECONDS = 1.0
"""How long after Stop the stream is read on for the provider's figures, which come at its end."""


class Stream:
    """What has come of an answer so far. A provider of any shape is read: what is not understood is left out."""

    def __init__(self) -> None:
        self.text = ""
        self.finish: str | None = None
        self.stopped = False
        self.usage: object = None

    def take(self, chunk: Any) -> bool:
        """Add a chunk; True when the text grew. The usage comes in a last chunk without choices."""
        usage = getattr(chunk, "usage", None)
        if usage is not None:
            self.usage = usage
        if self.stopped:
            return False
        grew = False
        choices = getattr(chunk, "choices", None)
        for choice in choices if isinstance(choices, list) else []:
            content = getattr(getattr(choice, "delta", None), "content", None)
            if isinstance(content, str) and content:
                self.text += content
                grew = True
            finish = getattr(choice, "finish_reason", None)
            if isinstance(finish, str):
                self.finish = finish
        return grew

    def take_whole(self, answer: Any) -> None:
        """Take an answer that came in one piece."""
        self.usage = getattr(answer, "usage", None)
        choice = answer.choices[0]
        content = getattr(getattr(choice, "message", None), "content", None)
        self.text = content if isinstance(content, str) else ""
        finish = getattr(choice, "finish_reason", None)
        self.finish = finish if isinstance(finish, str) else None

    async def read(
        self,
        chunks: AsyncIterator[Any],
        *,
        on_text: Callable[[str], Awaitable[None]],
        stopping: asyncio.Future[Any],
    ) -> None:
        """Take what comes, to the end or until `stopping` is done; then, for a moment, only the figures are waited for.

        What comes after Stop is neither shown nor charged.
        """
        until: float | None = None
        while True:
            coming = asyncio.ensure_future(anext(chunks, None))
            try:
                if until is None:
                    await asyncio.wait({coming, stopping}, return_when=asyncio.FIRST_COMPLETED)
                    if stopping.done():
                        # An answer that had ended is whole: only its figures are still to come.
                        self.stopped = not self.finish
                        until = time.monotonic() + DRAIN_SECONDS
                if until is not None and not coming.done():
                    await asyncio.wait({coming}, timeout=max(0.0, until - time.monotonic()))
                if not coming.done():
                    return
                chunk = coming.result()
            except FAULTS:
                if until is not None:
                    return
                raise
            finally:
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            if chunk is None:
                return
            if self.take(chunk):
                await on_text(whole(self.text))
            if until is not None and (self.usage is not None or time.monotonic() > until):
                return

    def used(self, *, counted_input: int) -> tuple[int, int, dict[str, Any]]:
        """Input and output tokens, and metadata that says what the figures rest on; `counted_input` is our own count.

        Zero is the provider's word as any other; but it cannot be true of a question that was asked or of words that
        came.
        """
        counted_output = tokens.count(whole(self.text))
        input_tokens = figure(self.usage, "prompt_tokens")
        output_tokens = figure(self.usage, "completion_tokens")
        if not input_tokens or output_tokens is None or (output_tokens == 0 and counted_output):
            unknown = {"usage_from": "local_count", "cached_tokens": 0, "reasoning_tokens": 0}
            return counted_input, counted_output, unknown
        cached = figure(getattr(self.usage, "prompt_tokens_details", None), "cached_tokens") or 0
        reasoning = figure(getattr(self.usage, "completion_tokens_details", None), "reasoning_tokens") or 0
        metadata: dict[str, Any] = {"usage_from": "provider", "cached_tokens": min(cached, input_tokens)}
        if self.stopped:
            # Thinking comes before words, so where words came all of it is theirs.
            before = counted_output + (reasoning if counted_output else 0)
            metadata |= {"usage_from": "drained", "after_stop": max(0, output_tokens - before)}
            output_tokens = min(output_tokens, before)
        return input_tokens, output_tokens, metadata | {"reasoning_tokens": min(reasoning, output_tokens)}
