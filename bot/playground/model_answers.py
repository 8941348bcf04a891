"""Answers of the stand-in model which a program reads: JSON that satisfies a schema, and embedding vectors."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from bot.playground import model_board, model_journal, model_memory, model_refine, model_talk
from bot.playground.model_checks import Refusal
from bot.playground.model_talk import Message

Schema = Mapping[str, Any]

DEEPEST = 8  # levels of a schema that refers to itself
SMALL_WORDS = re.compile(
    r"a|am|an|and|are|as|at|be|but|by|do|for|from|had|has|have|i|in|is|it|me|my|not|of|on|or|our|so|that|the|their|"
    r"there|this|to|was|we|were|will|with|would|you|your"
)


def answer(schema: Schema, messages: Sequence[Message]) -> str:
    """JSON that satisfies `schema`, filled from the person's own words; Refusal when the schema cannot be met."""
    if schema.get("title") == "Ideas":
        return model_board.ideas("\n".join(map(model_talk.text_of, messages)))
    if own := model_journal.ANSWERS.get(schema.get("title", "")):
        return json.dumps(own(model_talk.last_of_person(messages)))
    if schema.get("title") == "Refined":
        told = model_talk.told(messages)
        return model_refine.refined(existing=told["existing"], request=told["request"])
    system = "\n".join(model_talk.text_of(message) for message in messages if message["role"] == "system")
    if model_memory.asks_for_facts(system):
        return json.dumps(model_memory.facts(model_talk.text_of(messages[1])))
    if model_memory.asks_for_digest(system):
        return json.dumps(model_memory.digest(model_talk.text_of(messages[1])))
    words = model_talk.person_words(messages)
    filler = _Filler(schema, messages, words)
    return json.dumps(filler.value(schema or {"type": "object"}, name="answer", index=0, depth=0))


def embedding(text: str, *, dimensions: int) -> list[float]:
    """A unit vector of `dimensions` numbers; texts that share words lie close to each other."""
    vector = [0.0] * dimensions
    words = re.findall(r"\w+", text.lower()) or [text]
    for word in words:
        weight = 0.2 if SMALL_WORDS.fullmatch(word) else 1.0
        digest = blake2b(_stem(word).encode("utf-8", "replace"), digest_size=24).digest()
        for (place,) in struct.iter_unpack("<I", digest):
            vector[(place >> 1) % dimensions] += weight if place & 1 else -weight
    length = math.sqrt(sum(number * number for number in vector))
    if not length:
        vector[0] = length = 1.0
    return [number / length for number in vector]


def packed(vector: Sequence[float]) -> str:
    """A vector as the SDK asks for it: 32-bit floats, little-endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")


def _stem(word: str) -> str:
    for ending in ("ing", "ed", "ly", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word.removesuffix(ending).rstrip("e")
    return word.rstrip("e") if len(word) > 3 else word


class _Filler:
    """One answer in the making: the schema, the conversation and what the person said."""

    def __init__(self, schema: Schema, messages: Sequence[Message], words: str) -> None:
        self.root = schema
        self.messages = messages
        self.words = words
        self.phrases = model_talk.phrases(words) or ["something that matters to me"]
        self.tone = model_talk.tone(words)

    def value(self, schema: Schema, *, name: str, index: int, depth: int) -> Any:
        """A value for one field; `index` counts the items of an array, so that they differ."""
        schema = self._resolved(schema, depth=depth)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._choice(schema["enum"], name=name, index=index)
        kind = _kind(schema)
        if kind == "object":
            return self._object(schema, index=index, depth=depth)
        if kind == "array":
            return self._array(schema, name=name, depth=depth)
        if kind in ("integer", "number"):
            return self._number(schema, name=name, whole=kind == "integer")
        if kind == "boolean":
            return bool(re.search(r"danger|risk|crisis|harm|urgent|unsafe", name)) and self._in_danger()
        return self._string(schema, name=name, index=index) if kind == "string" else None

    def _resolved(self, schema: Schema, *, depth: int) -> Schema:
        """The schema itself, behind its references and the alternative that is taken."""
        if depth > 4 * DEEPEST:
            raise _unmet("it refers to itself without an end")
        if "$ref" in schema:
            target: Any = self.root
            for step in schema["$ref"].removeprefix("#").strip("/").split("/"):
                if step:
                    target = target.get(step.replace("~1", "/").replace("~0", "~"), {})
            rest = {key: value for key, value in schema.items() if key != "$ref"}
            return self._resolved({**target, **rest}, depth=depth + 1)
        if "allOf" in schema:
            merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
            for part in schema["allOf"]:
                merged = {**self._resolved(part, depth=depth + 1), **merged}
            return merged
        for key in ("anyOf", "oneOf"):
            if key in schema:
                empty = {"type": "null"}
                options = [option for option in schema[key] if option != empty]
                if not options or (depth > DEEPEST and empty in schema[key]):
                    return empty
                return self._resolved(options[0], depth=depth + 1)
        return schema

    def _object(self, schema: Schema, *, index: int, depth: int) -> dict[str, Any]:
        properties: Mapping[str, Schema] = schema.get("properties", {})
        wanted = schema.get("required", ()) if depth > DEEPEST else properties
        answer = {key: self.value(properties.get(key, {}), name=key, index=index, depth=depth + 1) for key in wanted}
        more = schema.get("additionalProperties")
        for number in range(len(answer), schema.get("minProperties", 0)):
            item = more if isinstance(more, Mapping) else {}
            answer[f"key_{number + 1}"] = self.value(item, name="", index=number, depth=depth + 1)
        return answer

    def _array(self, schema: Schema, *, name: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        fixed = schema.get("prefixItems", ())
        most = schema.get("maxItems", max(least, len(fixed), 3))
        ids = self._ids() if re.search(r"ids?$|_ids?_|respons|source", name) else []
        usual = len(ids) if ids else 1
        count = min(most, max(least, len(fixed), 0 if depth > DEEPEST else usual))
        items: list[Any] = []
        # Some tries are left over for arrays whose items must all differ.
        for number in range(count + 20):
            if len(items) >= count:
                break
            item_schema = fixed[number] if number < len(fixed) else schema.get("items", {})
            item = self.value(item_schema, name=name.removesuffix("s"), index=number, depth=depth + 1)
            if schema.get("uniqueItems") and item in items:
                continue
            items.append(item)
        if len(items) < least:
            raise _unmet(f"'{name}' wants {least} different items")
        return items

    def _choice(self, options: Sequence[Any], *, name: str, index: int) -> Any:
        if all(isinstance(option, int | float) for option in options):
            return _nearest(sorted(options), self.tone)
        by_tone = [level for level in ("below", "neutral", "transition", "above") if level in options]
        if len(by_tone) > 1:
            return _nearest(by_tone, self.tone)
        if self._in_danger():
            for option in options:
                if re.search(r"danger|crisis|urgent|immediate|high|harm", str(option)):
                    return option
        said = [option for option in options if _mentions(self.words, str(option))]
        return said[index % len(said)] if said else options[index % len(options)]

    def _number(self, schema: Schema, *, name: str, whole: bool) -> int | float:
        step = schema.get("multipleOf", 1 if whole else None)
        low, high = schema.get("minimum"), schema.get("maximum")
        nudge = step or 1e-6
        if "exclusiveMinimum" in schema:
            low = max(schema["exclusiveMinimum"] + nudge, -math.inf if low is None else low)
        if "exclusiveMaximum" in schema:
            high = min(schema["exclusiveMaximum"] - nudge, math.inf if high is None else high)
        if low is None:
            low = min(0 if re.search(r"confiden|probab|share|ratio", name) else 1, 1 if high is None else high)
        if high is None:
            high = max(low, 1 if re.search(r"confiden|probab|share|ratio", name) else 10)
        bright = 1 - self.tone if re.search(r"index|position|option|choice|rank", name) else self.tone
        number = low + (0.5 if "confiden" in name else bright) * (high - low)
        if step:
            number = min(math.floor(high / step), max(math.ceil(low / step), round(number / step))) * step
        if not low <= number <= high:
            raise _unmet(f"'{name}' has no number between {low} and {high}")
        return int(number) if whole else round(float(number), 6)

    def _string(self, schema: Schema, *, name: str, index: int) -> str:
        text = self._words_for(schema.get("format") or name.lower(), index=index)
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if len(text) < least:
            text += " " + " ".join(self.phrases)
            text = (text * math.ceil(least / len(text)))[: max(least, len(text))]
        if most is not None and len(text) > most:
            text = text[:most].rstrip() if least <= len(text[:most].rstrip()) else text[:most]
        pattern = schema.get("pattern")
        if pattern is None:
            return text
        tries: list[str] = [
            text,
            *self._ids(),
            *re.findall(r"\S+", self.words),
            "2025-01-01",
            "en",
            "a",
            "A",
            "1",
            "ab12",
        ]
        for candidate in tries:
            if re.search(pattern, candidate) and least <= len(candidate) <= (most or math.inf):
                return candidate
        raise _unmet(f"'{name}' wants the pattern {pattern}")

    def _words_for(self, name: str, *, index: int) -> str:
        phrase = self.phrases[index % len(self.phrases)]
        formats = {
            "date": "2025-01-01",
            "date-time": "2025-01-01T08:00:00Z",
            "time": "08:00:00Z",
            "uuid": "00000000-0000-4000-8000-000000000000",
            "email": "someone@example.org",
            "uri": "https://example.org/",
        }
        if name in formats:
            return formats[name]
        if re.search(r"title|name|label|heading|caption", name):
            short = " ".join(phrase.rstrip("…").split()[:6])
            return short[0].upper() + short[1:]
        if re.search(r"reason|why|because|rationale|evidence|explan", name):
            return f"You said: “{phrase}”."
        if re.search(r"language|locale", name):
            return "en"
        if re.search(r"question", name):
            return model_talk.question(self.messages)
        if re.search(r"reply|message|answer", name):
            return model_talk.reply(self.messages)
        ids = self._ids()
        if ids and re.search(r"(^|_)id$|respons|source", name):
            return str(ids[index % len(ids)])
        return phrase

    def _ids(self) -> list[str]:
        """The ids of assessment questions, such as `money_3`, which stand in the conversation."""
        text = "\n".join(model_talk.text_of(message) for message in self.messages)
        return list(dict.fromkeys(re.findall(r"\b[a-z]+(?:_[a-z]+)*_[1-7]\b", text)))

    def _in_danger(self) -> bool:
        return model_talk.DANGER.search(self.words) is not None


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if isinstance(kind, str):
        return kind
    for key, meant in (("properties", "object"), ("items", "array"), ("prefixItems", "array"), ("minimum", "number")):
        if key in schema:
            return meant
    return "string"


def _nearest(row: Sequence[Any], share: float) -> Any:
    """The item that stands at `share` (0 to 1) of a rising row."""
    return row[round(share * (len(row) - 1))]


def _mentions(text: str, option: str) -> bool:
    return re.search(rf"\b{re.escape(option.replace('_', ' '))}\b", text, re.I) is not None


def _unmet(fault: str) -> Refusal:
    return Refusal(f"The stand-in model cannot meet this schema: {fault}.", param="response_format")
