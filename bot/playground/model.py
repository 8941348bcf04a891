"""A stand-in for OpenAI on this machine: used by the playground when there is no key, and by every test."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiohttp import hdrs, web

from bot.ai import tokens
from bot.playground import model_answers, model_blueprint, model_checks, model_insights, model_media, model_talk
from bot.playground.model_checks import Refusal

logger = logging.getLogger(__name__)

CHAT = "chat/completions"
TRANSCRIPTION = "audio/transcriptions"
SPEECH = "audio/speech"
IMAGE = "images/generations"
EMBEDDING = "embeddings"

# What `GET /v1/models` lists; a request may name any other model too, as local servers allow.
MODELS = (
    "gpt-4.1-mini",
    "gpt-4o-mini-transcribe",
    "gpt-4o-mini-tts",
    "gpt-image-1-mini",
    "text-embedding-3-small",
    "whisper-1",
)

REQUEST_BYTES = 64 * 1024 * 1024
BINARY_CHUNK = 8 * 1024

DEFAULT_ERRORS = {
    400: ("The request was refused.", "invalid_request_error", None),
    401: ("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"),
    403: ("You are not allowed to do this.", "invalid_request_error", None),
    404: (
        "The model does not exist or you do not have access to it.",
        "invalid_request_error",
        "model_not_found",
    ),
    429: ("Rate limit reached. Please try again later.", "requests", "rate_limit_exceeded"),
    500: ("The server had an error while processing your request.", "server_error", None),
    503: ("The engine is currently overloaded. Please try again later.", "server_error", None),
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Upload(NamedTuple):
    """A file as it came with a multipart request."""

    filename: str
    content_type: str
    data: bytes


class Request(NamedTuple):
    """One call as it arrived: the path below `/v1/`, and its fields (None when they were not JSON)."""

    path: str
    body: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Script:
    """How one call is to be answered; what is left at None goes the ordinary way."""

    text: str | None = None
    status: int | None = None
    message: str | None = None
    code: str | None = None
    retry_after: float | None = None
    delay: float | None = None
    cut_after: int | None = None
    omit_usage: bool = False
    usage: Mapping[str, Any] | None = None
    malformed: bool = False
    finish_reason: str | None = None
    refusal: bool = False
    fault: Mapping[str, Any] | None = None


class ModelServer:
    """An OpenAI-compatible server on 127.0.0.1 whose answers are a function of the request alone.

    `requests` holds every call that arrived; `abandoned` counts calls whose client left before the end.
    """

    def __init__(self, *, pace: float = 0.025) -> None:
        """`pace`: seconds between two chunks of a streamed chat answer."""
        self.pace = pace
        self.requests: list[Request] = []
        self.abandoned = 0
        self._scripts: defaultdict[str, deque[Script]] = defaultdict(deque)
        self._gate = asyncio.Event()
        self._gate.set()
        self._held = asyncio.Event()
        self._left = asyncio.Event()
        self._hold_after = 0
        self._answers = 0
        self._runner: web.AppRunner | None = None
        self._port: int | None = None

    @property
    def url(self) -> str:
        """The base URL to give to the client, such as `http://127.0.0.1:40001/v1`; RuntimeError before `start`."""
        if self._port is None:
            raise RuntimeError("The stand-in model has not been started.")
        return f"http://127.0.0.1:{self._port}/v1"

    async def start(self, *, port: int = 0) -> None:
        """Serve on 127.0.0.1 at `port`, or at a free one when it is 0; OSError when the port is taken."""
        application = web.Application(middlewares=[self._answer_errors], client_max_size=REQUEST_BYTES)
        application.add_routes(
            [
                web.get("/v1/models", self._models),
                web.get("/v1/models/{model:.+}", self._model),
                web.post(f"/v1/{CHAT}", self._chat),
                web.post(f"/v1/{TRANSCRIPTION}", self._transcription),
                web.post(f"/v1/{SPEECH}", self._speech),
                web.post(f"/v1/{IMAGE}", self._image),
                web.post(f"/v1/{EMBEDDING}", self._embedding),
            ]
        )
        # Unpacking the vocabulary takes a moment, which the first person should not have to wait for.
        await asyncio.to_thread(tokens.encoding)
        runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", port)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Let go of every held call and close the port; a second stop does nothing."""
        self.release()
        runner, self._runner, self._port = self._runner, None, None
        if runner is not None:
            await runner.cleanup()

    def script(self, endpoint: str, *, times: int = 1, **behaviour: Any) -> None:
        """Queue a behaviour for the next `times` accepted calls of `endpoint`, such as `chat/completions`.

        `behaviour` takes the fields of `Script`: `text` the answer's words or the transcript; `status`,
        `message`, `code` and `retry_after` (seconds) an error; `delay` the seconds before each chunk;
        `cut_after` the number of chunks after which the connection breaks; `omit_usage`; `usage` in place of
        the counted one; `malformed` JSON; `finish_reason`; `refusal`, by which the words come in the field for
        that; `fault` the error that a stream holds in place of an answer. Calls which are refused leave the queue
        alone.
        """
        if endpoint not in model_checks.MORE_CHECKS:
            raise ValueError(f"There is no endpoint {endpoint!r}.")
        self._scripts[endpoint].extend([Script(**behaviour)] * times)

    def hold(self, *, after: int = 1) -> None:
        """From now on, stop each streamed answer after `after` chunks, and each other answer before its start."""
        self._hold_after = after
        self._held.clear()
        self._gate.clear()

    async def held(self) -> None:
        """Return when a call is standing still since the last `hold`."""
        await self._held.wait()

    async def left(self) -> None:
        """Return when a client has left before the end of its answer."""
        await self._left.wait()

    def release(self) -> None:
        """Let every held call go on."""
        self._gate.set()

    # Endpoints

    async def _models(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"object": "list", "data": [_model_card(model) for model in MODELS]})

    async def _model(self, request: web.Request) -> web.StreamResponse:
        model = request.match_info["model"]
        if model not in MODELS:
            raise Refusal(f"The model '{model}' does not exist", status=404, param="model", code="model_not_found")
        return web.json_response(_model_card(model))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await self._json_body(request, CHAT)
        model_checks.check(CHAT, body)
        messages = body["messages"]
        prompt_tokens = await asyncio.to_thread(_prompt_tokens, body)
        if prompt_tokens > model_checks.CONTEXT_TOKENS:
            raise model_checks.context_too_long(prompt_tokens)
        script = self._next_script(CHAT)

        form = body.get("response_format") or {"type": "text"}
        if script.text is not None:
            text = script.text
        elif form["type"] == "text":
            text = model_talk.reply(messages)
        else:
            schema = form.get("json_schema", {})
            if schema.get("name") == "Insights":
                text = model_insights.insights(messages)
            elif schema.get("name") == "Blueprint":
                text = model_blueprint.blueprint(messages)
            else:
                text = model_answers.answer(schema.get("schema", {}), messages)
        text, finish_reason, completion_tokens = _limited(
            text, limit=body.get("max_completion_tokens") or body.get("max_tokens"), stop=body.get("stop")
        )
        usage = script.usage or {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens + completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        }
        answer = _ChatAnswer(
            id=f"chatcmpl-standin-{self._next_number():06d}",
            created=int(time.time()),
            model=body["model"],
            finish_reason=script.finish_reason or finish_reason,
            text=text,
            usage=None if script.omit_usage else usage,
            refused=script.refusal,
        )
        if body.get("stream") is not True:
            return await self._send_json(request, script, answer.whole())
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        return await self._send_stream(
            request,
            script,
            content_type="text/event-stream",
            pace=self.pace,
            opening=[answer.opening(with_usage=with_usage)],
            chunks=answer.pieces(with_usage=with_usage),
            closing=answer.closing(with_usage=with_usage),
        )

    async def _transcription(self, request: web.Request) -> web.StreamResponse:
        body = await self._form_body(request, TRANSCRIPTION)
        model_checks.check(TRANSCRIPTION, body)
        upload = body["file"]
        if not isinstance(upload, Upload):
            raise Refusal("Invalid type for 'file': expected a file.", param="file", code="invalid_type")
        seconds = await asyncio.to_thread(_recording_seconds, upload)
        script = self._next_script(TRANSCRIPTION)

        text = script.text if script.text is not None else model_talk.transcript(seconds=seconds)
        usage: Mapping[str, Any]
        if "whisper" in body["model"]:
            usage = {"type": "duration", "seconds": math.ceil(seconds)}
        else:
            # Ten audio tokens a second is what the gpt-4o transcription models charge.
            audio, prompt, output = math.ceil(seconds * 10), tokens.count(body.get("prompt", "")), tokens.count(text)
            usage = {
                "type": "tokens",
                "input_tokens": audio + prompt,
                "input_token_details": {"audio_tokens": audio, "text_tokens": prompt},
                "output_tokens": output,
                "total_tokens": audio + prompt + output,
            }
        wanted = body.get("response_format", "json")
        if wanted == "text":
            return await self._send_text(request, script, text + "\n")
        answer: dict[str, Any] = {"text": text}
        if wanted == "verbose_json":
            answer |= {
                "task": "transcribe",
                "language": body.get("language", "english"),
                "duration": round(seconds, 2),
                "segments": [],
            }
        if not script.omit_usage:
            answer["usage"] = script.usage or usage
        return await self._send_json(request, script, answer)

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        body = await self._json_body(request, SPEECH)
        model_checks.check(SPEECH, body)
        script = self._next_script(SPEECH)
        form = body.get("response_format", "mp3")
        sound = await asyncio.to_thread(model_media.speech, body["input"], form=form, speed=body.get("speed", 1.0))
        return await self._send_stream(
            request,
            script,
            content_type=model_media.SOUND_TYPES[form],
            pace=0,
            opening=[],
            chunks=[sound[start : start + BINARY_CHUNK] for start in range(0, len(sound), BINARY_CHUNK)],
            closing=[],
        )

    async def _image(self, request: web.Request) -> web.StreamResponse:
        body = await self._json_body(request, IMAGE)
        model_checks.check(IMAGE, body)
        script = self._next_script(IMAGE)
        size = body.get("size") or "auto"
        width, height = (1024, 1024) if size == "auto" else (int(side) for side in size.split("x"))
        form = body.get("output_format") or "png"
        count = body.get("n") or 1
        pictures = [
            await asyncio.to_thread(
                model_media.picture, body["prompt"], number=number, width=width, height=height, form=form
            )
            for number in range(count)
        ]
        answer: dict[str, Any] = {
            "created": int(time.time()),
            "data": [{"b64_json": model_media.as_base64(picture)} for picture in pictures],
        }
        if body["model"].startswith("gpt-image-"):
            quality = body.get("quality") or "auto"
            answer |= {
                "background": "opaque",
                "output_format": form,
                "size": f"{width}x{height}",
                "quality": "medium" if quality == "auto" else quality,
            }
            if not script.omit_usage:
                text = tokens.count(body["prompt"])
                drawn = count * model_media.picture_tokens(width=width, height=height, quality=quality)
                answer["usage"] = script.usage or {
                    "input_tokens": text,
                    "input_tokens_details": {"text_tokens": text, "image_tokens": 0},
                    "output_tokens": drawn,
                    "total_tokens": text + drawn,
                }
        return await self._send_json(request, script, answer)

    async def _embedding(self, request: web.Request) -> web.StreamResponse:
        body = await self._json_body(request, EMBEDDING)
        model_checks.check(EMBEDDING, body)
        texts, counts = await asyncio.to_thread(_embedding_texts, body["input"])
        if max(counts) > model_checks.EMBEDDING_TOKENS:
            raise Refusal(
                f"This model's maximum context length is {model_checks.EMBEDDING_TOKENS} tokens, however you "
                f"requested {max(counts)} tokens. Please reduce your prompt.",
                code="context_length_exceeded",
            )
        script = self._next_script(EMBEDDING)
        dimensions = body.get("dimensions") or (3072 if body["model"] == "text-embedding-3-large" else 1536)
        packed = body.get("encoding_format") == "base64"
        vectors = [model_answers.embedding(text, dimensions=dimensions) for text in texts]
        answer = {
            "object": "list",
            "model": body["model"],
            "data": [
                {
                    "object": "embedding",
                    "index": position,
                    "embedding": model_answers.packed(vector) if packed else vector,
                }
                for position, vector in enumerate(vectors)
            ],
        }
        if not script.omit_usage:
            answer["usage"] = script.usage or {"prompt_tokens": sum(counts), "total_tokens": sum(counts)}
        return await self._send_json(request, script, answer)

    # Coming in

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            _check_key(request)
            return await handler(request)
        except Refusal as refusal:
            return self._refused(refusal)
        except web.HTTPRequestEntityTooLarge:
            return self._refused(Refusal("The request is too large.", status=413))
        except web.HTTPException as error:
            return self._refused(Refusal(f"Invalid URL ({request.method} {request.path})", status=error.status))
        except asyncio.CancelledError:
            self.abandoned += 1
            self._left.set()
            raise
        except Exception as error:
            # The words of the request may stand in the traceback, so only the kind of fault is told.
            logger.error("The stand-in model failed: %s", type(error).__name__)
            return self._refused(Refusal(DEFAULT_ERRORS[500][0], status=500, kind="server_error"))

    def _refused(self, refusal: Refusal) -> web.Response:
        headers = {"x-request-id": f"req_standin_{self._next_number():06d}"}
        if refusal.retry_after is not None:
            headers["retry-after"] = f"{refusal.retry_after:g}"
        return web.json_response(refusal.body(), status=refusal.status, headers=headers)

    async def _json_body(self, request: web.Request, endpoint: str) -> dict[str, Any]:
        try:
            body = json.loads(await request.read())
        except ValueError:
            body = None
        self.requests.append(Request(endpoint, body if isinstance(body, dict) else None))
        if not isinstance(body, dict):
            raise Refusal(
                "We could not parse the JSON body of your request. The API expects a JSON object as the body."
            )
        return body

    async def _form_body(self, request: web.Request, endpoint: str) -> dict[str, Any]:
        if request.content_type != "multipart/form-data":
            self.requests.append(Request(endpoint, None))
            raise Refusal("Unsupported content type. This API expects multipart/form-data.")
        body: dict[str, Any] = {}
        for name, value in (await request.post()).items():
            key = name.removesuffix("[]")
            if isinstance(value, web.FileField):
                with value.file as file:
                    body[key] = Upload(value.filename, value.content_type, file.read())
            elif name.endswith("[]"):
                body.setdefault(key, []).append(value)
            elif key == "temperature" and re.fullmatch(r"\d+(\.\d+)?", str(value)):
                body[key] = float(str(value))
            elif key == "stream":
                body[key] = value == "true"
            else:
                body[key] = value
        self.requests.append(Request(endpoint, body))
        return body

    # Going out

    def _next_script(self, endpoint: str) -> Script:
        """The behaviour queued for this call, or the ordinary one; Refusal when an error was queued."""
        queue = self._scripts[endpoint]
        script = queue.popleft() if queue else Script()
        if script.status is not None:
            message, kind, code = DEFAULT_ERRORS.get(script.status, DEFAULT_ERRORS[400])
            raise Refusal(
                script.message or message,
                status=script.status,
                kind=script.code if script.code == "insufficient_quota" else kind,
                code=script.code or code,
                retry_after=script.retry_after,
            )
        return script

    def _next_number(self) -> int:
        self._answers += 1
        return self._answers

    async def _pass_gate(self, *, chunks: int) -> None:
        if not self._gate.is_set() and chunks >= self._hold_after:
            self._held.set()
            await self._gate.wait()

    async def _send_json(self, request: web.Request, script: Script, answer: Mapping[str, Any]) -> web.StreamResponse:
        text = json.dumps(answer)
        return await self._send_text(
            request, script, text[: len(text) // 2] if script.malformed else text, "application/json"
        )

    async def _send_text(
        self, request: web.Request, script: Script, text: str, content_type: str = "text/plain"
    ) -> web.StreamResponse:
        await self._pass_gate(chunks=self._hold_after)
        if script.delay:
            await asyncio.sleep(script.delay)
        if script.cut_after is not None:
            _cut(request)
        return web.Response(
            text=text, content_type=content_type, headers={"x-request-id": f"req_standin_{self._answers:06d}"}
        )

    async def _send_stream(
        self,
        request: web.Request,
        script: Script,
        *,
        content_type: str,
        pace: float,
        opening: Sequence[bytes],
        chunks: Sequence[bytes],
        closing: Sequence[bytes],
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: content_type,
                hdrs.CACHE_CONTROL: "no-cache",
                "x-request-id": f"req_standin_{self._answers:06d}",
            }
        )
        await response.prepare(request)
        if script.fault is not None:
            await response.write(_event({"error": script.fault}))
            return response
        for chunk in opening:
            await response.write(chunk)
        delay = pace if script.delay is None else script.delay
        for sent, chunk in enumerate(chunks):
            await self._pass_gate(chunks=sent)
            if sent == script.cut_after:
                _cut(request)
                return response
            if delay:
                await asyncio.sleep(delay)
            await response.write(chunk[: len(chunk) // 2] + b"\n\n" if script.malformed else chunk)
        await self._pass_gate(chunks=len(chunks))
        if script.cut_after is not None:
            _cut(request)
            return response
        for chunk in closing:
            await response.write(chunk)
        await response.write_eof()
        return response


@dataclass(frozen=True, kw_only=True)
class _ChatAnswer:
    """One chat completion, to be sent whole or in pieces."""

    id: str
    created: int
    model: str
    text: str
    finish_reason: str
    usage: Mapping[str, Any] | None
    refused: bool = False

    def whole(self) -> dict[str, Any]:
        said = {"content": None, "refusal": self.text} if self.refused else {"content": self.text, "refusal": None}
        message: dict[str, Any] = {"role": "assistant", **said, "annotations": []}
        answer = self._frame("chat.completion") | {
            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}]
        }
        return answer if self.usage is None else answer | {"usage": self.usage}

    def opening(self, *, with_usage: bool) -> bytes:
        return self._chunk({"role": "assistant", "content": "", "refusal": None}, with_usage=with_usage)

    def pieces(self, *, with_usage: bool) -> list[bytes]:
        """One event for each word with the white space after it."""
        words = re.findall(r"\s*\S+\s*|\s+", self.text)
        field = "refusal" if self.refused else "content"
        return [self._chunk({field: word}, with_usage=with_usage) for word in words]

    def closing(self, *, with_usage: bool) -> list[bytes]:
        events = [self._chunk({}, with_usage=with_usage, finish_reason=self.finish_reason)]
        if with_usage and self.usage is not None:
            events.append(_event(self._frame("chat.completion.chunk") | {"choices": [], "usage": self.usage}))
        return [*events, b"data: [DONE]\n\n"]

    def _chunk(self, delta: Mapping[str, Any], *, with_usage: bool, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        chunk = self._frame("chat.completion.chunk") | {"choices": [choice]}
        return _event(chunk | {"usage": None} if with_usage else chunk)

    def _frame(self, kind: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_standin",
        }


def _event(data: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _model_card(model: str) -> dict[str, Any]:
    return {"id": model, "object": "model", "created": 0, "owned_by": "stand-in"}


def _check_key(request: web.Request) -> None:
    scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Refusal(
            "You didn't provide an API key. You need to provide your API key in an Authorization header using "
            "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
            status=401,
        )


def _cut(request: web.Request) -> None:
    """Close the connection under the answer, as a fallen network would."""
    if request.transport is not None:
        request.transport.close()


def _prompt_tokens(body: Mapping[str, Any]) -> int:
    form = body.get("response_format") or {}
    schema = json.dumps(form["json_schema"]) if form.get("type") == "json_schema" else ""
    return tokens.count_messages(body["messages"]) + tokens.count(schema)


def _limited(text: str, *, limit: int | None, stop: str | Sequence[str] | None) -> tuple[str, str, int]:
    """The text up to its stop words and `limit` tokens, its finish reason, and its length in tokens."""
    for word in [stop] if isinstance(stop, str) else stop or []:
        text = text.split(word, 1)[0] if word else text
    encoding = tokens.encoding()
    encoded = encoding.encode(text, disallowed_special=())
    if limit is None or len(encoded) <= limit:
        return text, "stop", len(encoded)
    return encoding.decode_bytes(encoded[:limit]).decode("utf-8", "ignore"), "length", limit


def _recording_seconds(upload: Upload) -> float:
    """The length of a recording; Refusal for what the original would not take for one."""
    extension = upload.filename.rpartition(".")[2].lower()
    if extension not in model_checks.AUDIO_FORMATS:
        raise Refusal(f"Unrecognized file format. Supported formats: {list(model_checks.AUDIO_FORMATS)}", param="file")
    if len(upload.data) > model_checks.AUDIO_BYTES:
        raise Refusal(
            f"Maximum content size limit ({model_checks.AUDIO_BYTES}) exceeded ({len(upload.data)} bytes read)",
            status=413,
        )
    try:
        seconds = model_media.seconds(upload.data)
    except ValueError:
        raise Refusal("Audio file might be corrupted or unsupported", param="file", code="invalid_value") from None
    if seconds < 0.1:
        raise Refusal(
            "Audio file is too short. Minimum audio length is 0.1 seconds.",
            param="file",
            code="audio_too_short",
        )
    return seconds


def _embedding_texts(given: str | Sequence[Any]) -> tuple[list[str], list[int]]:
    """The texts to embed and their lengths in tokens, from any of the four shapes OpenAI takes."""
    if isinstance(given, str) or isinstance(given[0], int):
        given = [given]
    encoding = tokens.encoding()
    texts = [item if isinstance(item, str) else encoding.decode(item) for item in given]
    counts = [tokens.count(item) if isinstance(item, str) else len(item) for item in given]
    return texts, counts
