"""What the stand-in model refuses: requests are held against the SDK's own types, in OpenAI's words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, get_type_hints

from openai.types import embedding_create_params, image_generate_params
from openai.types.audio import speech_create_params, transcription_create_params
from openai.types.chat import completion_create_params
from pydantic import TypeAdapter, ValidationError

CONTEXT_TOKENS = 128_000
EMBEDDING_TOKENS = 8_192
SPEECH_CHARACTERS = 4_096
AUDIO_BYTES = 25 * 1024 * 1024
AUDIO_FORMATS = ("flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm")
VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer",
    "verse",
)  # fmt: skip

MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@+-]{0,127}")
REASONING_MODEL = re.compile(r"(o\d|gpt-5)(-(mini|nano|pro|preview))?(-\d{4}-\d{2}-\d{2})?")

# Parts of the original which the stand-in does not have. It says so instead of quietly ignoring them.
NOT_IN_THE_STAND_IN = {
    "chat/completions": (
        "audio", "function_call", "functions", "logprobs", "prediction", "tools", "top_logprobs",
        "web_search_options",
    ),
    "audio/transcriptions": ("chunking_strategy", "include", "known_speaker_names", "stream"),
    "audio/speech": (),
    "images/generations": ("frame_count", "partial_images", "stream", "svg"),
    "embeddings": (),
}  # fmt: skip

RANGES: dict[str, dict[str, tuple[float, float]]] = {
    "chat/completions": {
        "temperature": (0, 2),
        "top_p": (0, 1),
        "frequency_penalty": (-2, 2),
        "presence_penalty": (-2, 2),
        "max_tokens": (1, 10_000_000),
        "max_completion_tokens": (1, 10_000_000),
        "n": (1, 1),
    },
    "audio/transcriptions": {"temperature": (0, 1)},
    "audio/speech": {"speed": (0.25, 4)},
    "images/generations": {"n": (1, 10), "output_compression": (0, 100)},
    "embeddings": {"dimensions": (1, 3_072)},
}


class Refusal(Exception):
    """An answer other than 200, with the fields of OpenAI's error body."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.param = param
        self.code = code
        self.retry_after = retry_after

    def body(self) -> dict[str, Any]:
        """The JSON body OpenAI sends with this error."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def check(endpoint: str, body: Mapping[str, Any]) -> None:
    """Return when `body` is a request the original would accept at `endpoint`; Refusal otherwise."""
    _check_model(endpoint, body)
    params = _params(endpoint, streaming=body.get("stream") is True)
    for key in body:
        if key not in params:
            raise Refusal(f"Unrecognized request argument supplied: {key}", param=key)
    for key in NOT_IN_THE_STAND_IN[endpoint]:
        if body.get(key):
            raise Refusal(f"The stand-in model does not support '{key}'.", param=key, code="unsupported_parameter")
    for key, adapter in params.items():
        if key in body:
            _check_type(adapter, key, body[key])
    for key in _required(endpoint):
        if key not in body:
            raise Refusal(f"Missing required parameter: '{key}'.", param=key, code="missing_required_parameter")
    for key, (low, high) in RANGES[endpoint].items():
        value = body.get(key)
        if isinstance(value, int | float) and not low <= value <= high:
            raise Refusal(
                f"Invalid '{key}': expected a value between {low} and {high}, but got {value} instead.",
                param=key,
                code="integer_out_of_range" if isinstance(value, int) else "decimal_out_of_range",
            )
    MORE_CHECKS[endpoint](body)


def model_kind(model: str) -> str | None:
    """The endpoint a well-known OpenAI model belongs to, or None for a name this list does not know."""
    if model.startswith("whisper") or "transcribe" in model:
        return "audio/transcriptions"
    if re.match(r"tts-|gpt-.*-tts", model):
        return "audio/speech"
    if model.startswith("text-embedding-"):
        return "embeddings"
    if re.match(r"gpt-image-|chatgpt-image-|dall-e-", model):
        return "images/generations"
    if re.match(r"gpt-\d|chatgpt-|o\d", model):
        return "chat/completions"
    return None


def context_too_long(tokens: int) -> Refusal:
    """The refusal of a conversation of `tokens` tokens, more than the model can read."""
    return Refusal(
        f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, your messages resulted in "
        f"{tokens} tokens. Please reduce the length of the messages.",
        param="messages",
        code="context_length_exceeded",
    )


def _check_model(endpoint: str, body: Mapping[str, Any]) -> None:
    model = body.get("model")
    if model is None or model == "":
        raise Refusal("you must provide a model parameter")
    if not isinstance(model, str):
        raise Refusal("Invalid type for 'model': expected a string.", param="model", code="invalid_type")
    if MODEL_ID.fullmatch(model) is None:
        raise Refusal("invalid model ID", param="model")
    kind = model_kind(model)
    if kind not in (None, endpoint):
        raise Refusal(
            f"This is not a model of the v1/{endpoint} endpoint. Did you mean to use v1/{kind}?",
            status=404,
            param="model",
            code="model_not_found",
        )


def _required(endpoint: str) -> Iterable[str]:
    return {
        "chat/completions": ("messages",),
        "audio/transcriptions": ("file",),
        "audio/speech": ("input", "voice"),
        "images/generations": ("prompt",),
        "embeddings": ("input",),
    }[endpoint]


@cache
def _params(endpoint: str, *, streaming: bool) -> dict[str, TypeAdapter[Any]]:
    """One validator for each argument of `endpoint`, from the SDK's own TypedDict."""
    params: Any = {
        "chat/completions": (
            completion_create_params.CompletionCreateParamsStreaming
            if streaming
            else completion_create_params.CompletionCreateParamsNonStreaming
        ),
        "audio/transcriptions": transcription_create_params.TranscriptionCreateParamsNonStreaming,
        "audio/speech": speech_create_params.SpeechCreateParams,
        "images/generations": image_generate_params.ImageGenerateParamsNonStreaming,
        "embeddings": embedding_create_params.EmbeddingCreateParams,
    }[endpoint]
    hints = get_type_hints(params)
    if endpoint == "audio/transcriptions":
        hints["file"] = Any  # the SDK's type is what may be given to the SDK; on the wire it is a form part
    if endpoint == "embeddings":
        # The SDK's two kinds of Iterable look alike until they are read, so the first would always win.
        hints["input"] = str | list[str] | list[int] | list[list[int]]
    return {key: TypeAdapter(hint) for key, hint in hints.items()}


def _check_type(adapter: TypeAdapter[Any], key: str, value: object) -> None:
    try:
        _read_out(adapter.validate_python(value, strict=True))
    except ValidationError as error:
        raise _type_refusal(key, error) from None


def _type_refusal(key: str, error: ValidationError) -> Refusal:
    """The fault of the union member that was meant: the one whose fixed words, such as a role, all fit."""
    members: dict[str, list[tuple[str, str, str]]] = {}
    for fault in error.errors(include_url=False, include_input=False, include_context=False):
        names = [str(step) for step in fault["loc"] if str(step)[:1].isupper()]
        members.setdefault("/".join(names), []).append((fault["type"], _path(key, fault["loc"]), fault["msg"]))
    meant = [faults for faults in members.values() if not any(kind == "literal_error" for kind, *_ in faults)]
    if meant:
        kind, path, message = min(meant, key=len)[0]
        if kind == "missing":
            return Refusal(f"Missing required parameter: '{path}'.", param=path, code="missing_required_parameter")
        return Refusal(f"Invalid type for '{path}': {message}.", param=path, code="invalid_type")
    literals = [fault for faults in members.values() for fault in faults if fault[0] == "literal_error"]
    path = min((path for _, path, _ in literals), key=len)
    expected = [message for _, place, message in literals if place == path]
    return Refusal(f"Invalid value for '{path}': {'; '.join(expected)}.", param=path, code="invalid_value")


def _path(key: str, location: Sequence[int | str]) -> str:
    steps = [
        f"[{step}]" if isinstance(step, int) else f".{step}"
        for step in location
        if isinstance(step, int) or (re.fullmatch(r"[a-z]+(_[a-z]+)*", step) and step not in TYPE_NAMES)
    ]
    return key + "".join(steps)


# The names of types which pydantic puts into the path of an error inside a union.
TYPE_NAMES = frozenset({"str", "int", "float", "bool", "none", "dict", "list", "lax-or-strict"})


def _read_out(value: Any) -> None:
    """Pydantic checks the items of an `Iterable` only as they are read, so they are read here."""
    if isinstance(value, Mapping):
        for item in value.values():
            _read_out(item)
    elif isinstance(value, list | tuple) or hasattr(value, "__next__"):
        for item in value:
            _read_out(item)


def _check_chat(body: Mapping[str, Any]) -> None:
    messages = body["messages"]
    if not messages:
        raise Refusal(
            "Invalid 'messages': empty array. Expected an array with minimum length 1.",
            param="messages",
            code="empty_array",
        )
    for position, message in enumerate(messages):
        content = message.get("content")
        if content is None and message["role"] != "assistant":
            raise Refusal(
                f"Invalid value for 'content': expected a string, got null at messages[{position}].",
                param=f"messages[{position}].content",
            )
        for part in content if isinstance(content, list) else ():
            if part["type"] != "text":
                raise Refusal(
                    "The stand-in model reads text only.",
                    param=f"messages[{position}].content",
                    code="unsupported_parameter",
                )
    if body.get("stream_options") is not None and body.get("stream") is not True:
        raise Refusal(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options"
        )
    if body.get("max_tokens") is not None and body.get("max_completion_tokens") is not None:
        raise Refusal(
            "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            code="invalid_parameter_combination",
        )
    if REASONING_MODEL.fullmatch(body["model"]) is not None:
        _check_reasoning(body)
    stop = body.get("stop")
    if isinstance(stop, list) and len(stop) > 4:
        raise Refusal(
            "Invalid 'stop': array too long. Expected at most 4 items.",
            param="stop",
            code="array_above_max_length",
        )
    _check_response_format(body)


def _check_reasoning(body: Mapping[str, Any]) -> None:
    if body.get("max_tokens") is not None:
        raise Refusal(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if body.get("temperature") not in (None, 1):
        raise Refusal(
            f"Unsupported value: 'temperature' does not support {body['temperature']} with this model. "
            "Only the default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        )


def _check_response_format(body: Mapping[str, Any]) -> None:
    form = body.get("response_format") or {"type": "text"}
    if form["type"] == "json_object" and "json" not in json.dumps(body["messages"]).lower():
        raise Refusal(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            param="messages",
        )
    if form["type"] == "json_schema":
        wanted = form["json_schema"]
        name = wanted["name"]
        if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) is None:
            raise Refusal(
                "Invalid 'response_format.json_schema.name': string does not match pattern. "
                "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
                param="response_format.json_schema.name",
                code="invalid_value",
            )
        if wanted.get("strict"):
            schema = wanted.get("schema") or {}
            if schema.get("type") != "object":
                raise _schema_refusal(name, (), "schema must be a JSON Schema of 'type: \"object\"'")
            _check_strict_schema(name, schema, ())


def _check_strict_schema(name: str, schema: object, path: tuple[str, ...]) -> None:
    """A strict schema closes every object and requires every property (OpenAI, Structured Outputs)."""
    if isinstance(schema, list):
        for position, item in enumerate(schema):
            _check_strict_schema(name, item, (*path, str(position)))
    if not isinstance(schema, Mapping):
        return
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False:
            raise _schema_refusal(name, path, "'additionalProperties' is required to be supplied and to be false")
        missing = [key for key in properties if key not in schema.get("required", ())]
        if missing:
            raise _schema_refusal(
                name,
                path,
                "'required' is required to be supplied and to be an array including every key in properties. "
                f"Missing '{missing[0]}'",
            )
    for key in ("properties", "$defs", "definitions"):
        for child, item in schema.get(key, {}).items():
            _check_strict_schema(name, item, (*path, key, child))
    for key in ("items", "anyOf", "allOf", "oneOf", "prefixItems"):
        if key in schema:
            _check_strict_schema(name, schema[key], (*path, key))


def _schema_refusal(name: str, path: tuple[str, ...], fault: str) -> Refusal:
    return Refusal(f"Invalid schema for response_format '{name}': In context={path}, {fault}.", param="response_format")


def _check_transcription(body: Mapping[str, Any]) -> None:
    wanted = body.get("response_format", "json")
    if "transcribe" in body["model"] and wanted not in ("json", "text"):
        raise Refusal(
            f"response_format '{wanted}' is not compatible with model '{body['model']}'. Use 'json' or 'text' instead.",
            param="response_format",
            code="unsupported_value",
        )
    if wanted not in ("json", "text", "verbose_json"):
        raise Refusal(
            "The stand-in model answers json, text and verbose_json.",
            param="response_format",
            code="unsupported_value",
        )


def _check_speech(body: Mapping[str, Any]) -> None:
    if not body["input"].strip():
        raise Refusal("Input text is empty.", param="input", code="string_too_short")
    if len(body["input"]) > SPEECH_CHARACTERS:
        raise Refusal(
            f"String should have at most {SPEECH_CHARACTERS} characters.",
            param="input",
            code="string_above_max_length",
        )
    if model_kind(body["model"]) is not None and body["voice"] not in VOICES:
        raise Refusal(f"Input should be one of {', '.join(VOICES)}.", param="voice", code="invalid_value")
    if body.get("stream_format") == "sse":
        raise Refusal("The stand-in model does not support 'sse'.", param="stream_format", code="unsupported_value")


def _check_image(body: Mapping[str, Any]) -> None:
    if not body["prompt"].strip():
        raise Refusal("Invalid 'prompt': it is empty.", param="prompt", code="invalid_value")
    if len(body["prompt"]) > 32_000:
        raise Refusal(
            "Invalid 'prompt': string too long. Expected at most 32000 characters.",
            param="prompt",
            code="string_above_max_length",
        )
    size = body.get("size") or "auto"
    if size != "auto":
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", size)
        if match is None or not all(64 <= int(side) <= 3_840 for side in match.groups()):
            raise Refusal(f"Invalid value for 'size': '{size}'.", param="size", code="invalid_value")
    if body["model"].startswith("gpt-image-"):
        if body.get("response_format") is not None:
            raise Refusal("Unknown parameter: 'response_format'.", param="response_format", code="unknown_parameter")
    elif body.get("response_format") != "b64_json":
        raise Refusal(
            "The stand-in model answers with response_format 'b64_json' only.",
            param="response_format",
            code="unsupported_value",
        )
    if body.get("output_format") in ("gif", "svg"):
        raise Refusal("The stand-in model draws png, jpeg and webp.", param="output_format", code="unsupported_value")


def _check_embedding(body: Mapping[str, Any]) -> None:
    given = body["input"]
    if len(given) == 0 or any(item in ("", []) for item in given):
        raise Refusal("'$.input' is invalid. It must not be empty.", param="input")
    if isinstance(given, list) and len(given) > 2_048:
        raise Refusal("'$.input' is invalid. An array may hold 2048 items at most.", param="input")
    if body.get("dimensions") is not None and body["model"].startswith("text-embedding-ada"):
        raise Refusal("This model does not support specifying dimensions.", param="dimensions")


MORE_CHECKS = {
    "chat/completions": _check_chat,
    "audio/transcriptions": _check_transcription,
    "audio/speech": _check_speech,
    "images/generations": _check_image,
    "embeddings": _check_embedding,
}
