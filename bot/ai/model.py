"""The only door to a model: chat and structured answers over the `openai` client; sound, pictures, embeddings beside.

Works with any OpenAI-compatible server. What a person wrote reaches a model as data inside messages; this module
adds nothing to it. No call is made inside a database transaction.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

import openai
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel, SecretStr, ValidationError

from bot.ai import tokens
from bot.ai.embeddings import Embeddings
from bot.ai.meter import Action, Ticket
from bot.ai.pictures import Pictures
from bot.ai.provider import FAULTS, describe, priced, translate, whole
from bot.ai.sound import Sound
from bot.ai.stream import Stream
from bot.errors import ModelRefused, ModelUnavailable
from storage import database

CUT = ("length", "content_filter")
"""How a provider says that an answer is not whole: by the cap, or by its own censor."""

Result = TypeVar("Result")
Shape = TypeVar("Shape", bound=BaseModel)

O200K = ("gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4")
"""How the names of the models begin whose vocabulary is the one that ships with VIVA."""

Message = Mapping[str, str]
"""A chat message: {"role": "system" | "user" | "assistant", "content": text}."""


class Reply(BaseModel):
    """What a chat call gave: the text, and whether the person stopped it or the output cap cut it."""

    text: str
    model: str
    ended: Literal["complete", "stopped", "cut"]
    input_tokens: int
    output_tokens: int


class Model(Sound, Pictures, Embeddings):
    """A provider's models behind the meter."""

    async def chat(
        self,
        ticket: Ticket,
        *,
        action: Action,
        messages: Sequence[Message],
        most_output: int,
        least_output: int,
        on_text: Callable[[str], Awaitable[None]],
        stop: asyncio.Event,
    ) -> Reply:
        """One streamed answer, charged and recorded.

        `on_text` is given the whole text so far as it grows. `stop` ends the stream early: input and what came until
        then are charged, and ModelRefused is raised where no word had come. The output cap sent is what the hold
        covers, between `least_output` and `most_output` tokens.
        Raises OutOfTokens before any call; NoModel, ModelUnavailable or ModelRefused after the hold was given back.
        """
        database.forbid_inside_transaction("a model call")
        if stop.is_set():
            raise ModelRefused("This was stopped before it began.")
        price = priced(self._prices.for_text, self.models.chat)
        prompt_tokens = self._count(messages)
        hold = await self._meter.hold(
            ticket,
            action=action,
            model=self.models.chat,
            most=prompt_tokens + most_output,
            least=prompt_tokens + least_output,
        )
        started = time.monotonic()
        stream = Stream()
        problem: Exception | None = None
        try:
            await self._read(stream, messages=messages, cap=hold.granted - prompt_tokens, on_text=on_text, stop=stop)
        except FAULTS as error:
            problem = error
        text = whole(stream.text)
        if problem is not None and not text.strip():
            await self._meter.fail(hold, error=describe(problem))
            raise translate(problem) from None
        input_tokens, output_tokens, metadata = stream.used(counted_input=tokens.count_messages(messages))
        metadata |= {
            "step": ticket.step,
            "finish": stream.finish,
            "milliseconds": int((time.monotonic() - started) * 1000),
            "price_since": price.since.isoformat(),
        }
        cost = price.cents(
            input_tokens=input_tokens,
            cached_tokens=metadata["cached_tokens"],
            output_tokens=output_tokens,
        )
        if not text.strip():
            await self._meter.fail(
                hold,
                error=f"empty answer ({stream.finish})",
                tokens=input_tokens + output_tokens,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_cents=cost,
                metadata=metadata,
            )
            raise ModelRefused("The model had no words for this.")
        reply = Reply(
            text=text.strip(),
            model=self.models.chat,
            ended="stopped" if stream.stopped else "cut" if problem or stream.finish in CUT else "complete",
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )
        await self._meter.settle(
            ticket,
            hold,
            reply,
            tokens=input_tokens + output_tokens,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost_cents=cost,
            metadata=metadata,
            error=None if problem is None else describe(problem),
        )
        return reply

    async def _read(
        self,
        stream: Stream,
        *,
        messages: Sequence[Message],
        cap: int,
        on_text: Callable[[str], Awaitable[None]],
        stop: asyncio.Event,
    ) -> None:
        stopping = asyncio.ensure_future(stop.wait())
        try:
            chunks = await _unless(
                stopping,
                self._client.chat.completions.create(
                    model=self.models.chat,
                    messages=cast("list[ChatCompletionMessageParam]", [dict(message) for message in messages]),
                    max_completion_tokens=cap,
                    stream=True,
                    stream_options={"include_usage": True},
                ),
            )
            if chunks is None:
                stream.stopped = True
                return
            async with chunks:
                await stream.read(aiter(chunks), on_text=on_text, stopping=stopping)
        finally:
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)

    async def structured(
        self,
        ticket: Ticket,
        *,
        action: Action,
        messages: Sequence[Message],
        shape: type[Shape],
        most_output: int,
        least_output: int,
    ) -> Shape:
        """One answer as JSON in `shape`, whose objects must be closed (`extra="forbid"`) and whose fields required.

        An answer that is not in the shape is charged, and asked for once more with what is wrong with it, under a hold
        of its own; ModelRefused where the second is not either. Raises what `chat` raises otherwise.
        """
        database.forbid_inside_transaction("a model call")
        try:
            return await self._structured(ticket, action, messages, shape, most_output, least_output)
        except _Misshapen as error:
            again = [*messages, {"role": "assistant", "content": error.text}, {"role": "user", "content": error.faults}]
        try:
            return await self._structured(ticket, action, again, shape, most_output, least_output)
        except _Misshapen:
            raise ModelRefused("The model's answer was not in the shape that was asked for.") from None

    async def _structured(
        self,
        ticket: Ticket,
        action: Action,
        messages: Sequence[Message],
        shape: type[Shape],
        most_output: int,
        least_output: int,
    ) -> Shape:
        price = priced(self._prices.for_text, self.models.chat)
        form = {"name": shape.__name__, "strict": True, "schema": shape.model_json_schema()}
        # The provider puts the schema into the prompt, and counts it.
        prompt = [*messages, {"role": "system", "content": json.dumps(form)}]
        prompt_tokens = self._count(prompt)
        hold = await self._meter.hold(
            ticket,
            action=action,
            model=self.models.chat,
            most=prompt_tokens + most_output,
            least=prompt_tokens + least_output,
        )
        started = time.monotonic()
        try:
            answer: object = await self._client.chat.completions.create(
                model=self.models.chat,
                messages=cast("list[ChatCompletionMessageParam]", [dict(message) for message in messages]),
                max_completion_tokens=hold.granted - prompt_tokens,
                response_format=cast("Any", {"type": "json_schema", "json_schema": form}),
            )
        except FAULTS as error:
            await self._meter.fail(hold, error=describe(error))
            raise translate(error) from None
        if not isinstance(answer, ChatCompletion) or not isinstance(answer.choices, list) or not answer.choices:
            await self._meter.fail(hold, error="not a chat answer")
            raise ModelRefused("The model's answer was not an answer to a chat.")
        stream = Stream()
        stream.take_whole(answer)
        text = whole(stream.text).strip()
        input_tokens, output_tokens, metadata = stream.used(counted_input=tokens.count_messages(prompt))
        metadata |= {
            "step": ticket.step,
            "finish": stream.finish,
            "milliseconds": int((time.monotonic() - started) * 1000),
            "price_since": price.since.isoformat(),
        }
        cost = price.cents(
            input_tokens=input_tokens, cached_tokens=metadata["cached_tokens"], output_tokens=output_tokens
        )
        result: Shape | None = None
        problem, faults = f"empty answer ({stream.finish})", ""
        try:
            result = shape.model_validate_json(text) if text else None
        except ValidationError as wrong:
            problem, faults = f"not in the shape asked for ({stream.finish})", _faults(wrong)
        if result is None:
            await self._meter.fail(
                hold,
                error=problem,
                tokens=input_tokens + output_tokens,
                input_tokens=input_tokens,
                output_tokens=output_tokens,
                cost_cents=cost,
                metadata=metadata,
            )
            if not text:
                raise ModelRefused("The model had no words for this.")
            raise _Misshapen(text, faults)
        await self._meter.settle(
            ticket,
            hold,
            result,
            tokens=input_tokens + output_tokens,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            cost_cents=cost,
            metadata=metadata,
        )
        return result

    def _count(self, messages: Sequence[Message]) -> int:
        # For a model of another vocabulary a byte is the upper bound of a token.
        if self.models.chat.startswith(O200K):
            return tokens.count_messages(messages)
        return 3 + sum(3 + len(message["role"]) + len(message["content"].encode()) for message in messages)


class _Misshapen(Exception):
    """An answer that is not in the shape asked for: its text, and what to tell the model about it."""

    def __init__(self, text: str, faults: str) -> None:
        super().__init__("misshapen")
        self.text = text
        self.faults = faults


def _faults(error: ValidationError) -> str:
    """What is wrong with an answer, in words for the model; nothing of the answer itself."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"- {'.'.join(map(str, fault['loc'])) or 'the whole'}: {fault['msg']}" for fault in found[:10]]
    return "\n".join(("This answer cannot be used:", *lines, "Answer once more, with JSON alone that fits the schema."))


async def _unless(stopping: asyncio.Future[Any], coming: Awaitable[Result]) -> Result | None:
    """What comes, or None where `stopping` is done first; what was coming is then cancelled, and waited for."""
    task = asyncio.ensure_future(coming)
    try:
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def reach(api_key: SecretStr | None, base_url: str | None) -> None:
    """Ask the provider for its list of models, which costs nothing; raises a ModelError when it does not answer."""
    key = api_key.get_secret_value() if api_key is not None else "none"
    async with openai.AsyncOpenAI(api_key=key, base_url=base_url, max_retries=0, timeout=15) as client:
        try:
            await client.models.list()
        except openai.AuthenticationError:
            raise ModelRefused("OPENAI_API_KEY is not accepted") from None
        except FAULTS as error:
            raise ModelUnavailable(f"the model's server does not answer ({describe(error)})") from None
