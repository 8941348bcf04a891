"""Text and its entities, checked and read the way Telegram does; offsets count UTF-16 units."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

from bot.playground.chats import Json, bad_request

MOST_ENTITIES = 100
KNOWN_TYPES = frozenset(
    (
        *("mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number"),
        *("bold", "italic", "underline", "strikethrough", "spoiler", "code", "pre"),
        *("blockquote", "expandable_blockquote", "text_link", "text_mention", "custom_emoji", "date_time"),
    )
)
FOUND_IN_TEXT = re.compile(
    r"(?P<url>https?://[^\s<>\"']+[^\s<>\"'.,;:!?)\]])"
    r"|(?P<email>\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?<![\w/@<])(?P<bot_command>/[A-Za-z0-9_]{1,64}(?:@[A-Za-z]\w{2,31})?)(?![\w/])"
    r"|(?<![\w@])(?P<mention>@[A-Za-z]\w{3,31})(?!\w)"
    r"|(?<!\w)(?P<hashtag>#\w*[^\W\d]\w*)"
)
HTML_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
    "tg-emoji": "custom_emoji",
}
TAG = re.compile(r"<(/?)([A-Za-z][\w-]*)((?:\s+[\w-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s\"'>]+))?)*)\s*>")
ATTRIBUTE = re.compile(r"([\w-]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+)))?")
ENTITY = re.compile(r"&(?:lt|gt|amp|quot|#\d+|#x[0-9A-Fa-f]+);")


def length(text: str) -> int:
    """How long the text is for Telegram, in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def read(text: str, *, parse_mode: str | None, entities: Any) -> tuple[str, list[Json]]:
    """The text as it will be shown and its entities, found ones included; raises Refused as Telegram does."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise bad_request("strings must be encoded in UTF-8") from None
    if parse_mode:
        if parse_mode.lower() != "html":
            raise bad_request("unsupported parse_mode")
        text, given = _from_html(text)
    else:
        given = _checked(text, entities)
    text, given = _trimmed(text, given)
    given += _found(text, given)
    given.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return text, given[:MOST_ENTITIES]


def _checked(text: str, entities: Any) -> list[Json]:
    if entities is None:
        return []
    if not isinstance(entities, list):
        raise bad_request("can't parse entities JSON object")
    units = text.encode("utf-16-le", "surrogatepass")
    end_of_text = len(units) // 2
    kept = []
    for entity in entities:
        if not isinstance(entity, dict) or entity.get("type") not in KNOWN_TYPES:
            raise bad_request("can't parse MessageEntity: Unsupported type specified")
        start, size = entity.get("offset"), entity.get("length")
        if not isinstance(start, int) or not isinstance(size, int):
            raise bad_request('can\'t parse MessageEntity: Field "offset" must be of type Number')
        if start < 0 or size < 0 or start + size > end_of_text:
            raise bad_request(
                f"entity beginning at UTF-16 offset {start} ends after the end of the text "
                f"at UTF-16 offset {end_of_text}"
            )
        for place, where in ((start, "begins"), (start + size, "ends")):
            if 0 < place < end_of_text and 0xDC <= units[2 * place + 1] <= 0xDF:
                raise bad_request(f"entity {where} in a middle of a UTF-16 symbol at byte offset {place}")
        if size:
            kept.append({name: value for name, value in entity.items() if value is not None})
    return kept


def _trimmed(text: str, entities: list[Json]) -> tuple[str, list[Json]]:
    bare = text.strip()
    if bare == text:
        return text, entities
    cut, end = length(text) - length(text.lstrip()), length(bare)
    kept = []
    for entity in entities:
        start = max(entity["offset"] - cut, 0)
        stop = min(entity["offset"] + entity["length"] - cut, end)
        if start < stop:
            kept.append({**entity, "offset": start, "length": stop - start})
    return bare, kept


def _found(text: str, given: list[Json]) -> list[Json]:
    taken = [
        (entity["offset"], entity["offset"] + entity["length"])
        for entity in given
        if entity["type"] in ("code", "pre", "text_link", "text_mention", "url", "bot_command", "email")
    ]
    found = []
    for match in FOUND_IN_TEXT.finditer(text):
        start, size = length(text[: match.start()]), length(match[0])
        if all(stop <= start or begin >= start + size for begin, stop in taken):
            found.append({"offset": start, "length": size, "type": match.lastgroup})
    return found


@dataclass
class _Open:
    tag: str
    offset: int
    attributes: dict[str, str] = field(default_factory=dict)


def _from_html(source: str) -> tuple[str, list[Json]]:
    parts: list[str] = []
    size, place = 0, 0
    open_tags: list[_Open] = []
    entities: list[Json] = []

    def refuse(reason: str) -> Exception:
        return bad_request(f"can't parse entities: {reason}")

    def add(text: str) -> None:
        nonlocal size
        parts.append(text)
        size += length(text)

    while place < len(source):
        if source[place] == "<":
            match = TAG.match(source, place)
            at = len(source[:place].encode())
            if match is None:
                word = re.match(r"</?([^\s>]*)", source[place:])
                raise refuse(f'Unsupported start tag "{word[1] if word else ""}" at byte offset {at}')
            place = match.end()
            tag = match[2].lower()
            if match[1]:
                if not open_tags:
                    raise refuse(f"Unexpected end tag at byte offset {at}")
                opened = open_tags.pop()
                if opened.tag != tag:
                    raise refuse(f'Unmatched end tag at byte offset {at}, expected "</{opened.tag}>", found "</{tag}>"')
                if size > opened.offset:
                    _add_html_entity(entities, opened, size, "".join(parts))
            else:
                attributes = {
                    name.lower(): html.unescape(one or two or three)
                    for name, one, two, three in ATTRIBUTE.findall(match[3])
                }
                if tag not in HTML_TAGS or (tag == "span" and attributes.get("class") != "tg-spoiler"):
                    raise refuse(f'Unsupported start tag "{tag}" at byte offset {at}')
                open_tags.append(_Open(tag, size, attributes))
        elif (entity := ENTITY.match(source, place)) is not None:
            add(html.unescape(entity[0]))
            place = entity.end()
        else:
            following = re.compile(r"[^<&]+|&").match(source, place)
            assert following is not None
            add(following[0])
            place = following.end()
    if open_tags:
        raise refuse(f'Can\'t find end tag corresponding to start tag "{open_tags[-1].tag}"')
    return "".join(parts), entities


def _add_html_entity(entities: list[Json], opened: _Open, end: int, text: str) -> None:
    entity: Json = {"type": HTML_TAGS[opened.tag], "offset": opened.offset, "length": end - opened.offset}
    if opened.tag == "a":
        entity["url"] = opened.attributes.get("href") or text.encode("utf-16-le")[2 * opened.offset :].decode(
            "utf-16-le"
        )
        if not re.match(r"(?:https?|tg|mailto|tel):", entity["url"]):
            return
    elif opened.tag == "blockquote" and "expandable" in opened.attributes:
        entity["type"] = "expandable_blockquote"
    elif opened.tag == "tg-emoji":
        entity["custom_emoji_id"] = opened.attributes.get("emoji-id", "")
    elif opened.tag == "code" and opened.attributes.get("class", "").startswith("language-"):
        entity["language"] = opened.attributes["class"].removeprefix("language-")
    elif opened.tag == "pre":
        inner = entities[-1] if entities else {}
        if inner.get("type") == "code" and (inner["offset"], inner["length"]) == (
            entity["offset"],
            entity["length"],
        ):
            entities.pop()
            if "language" in inner:
                entity["language"] = inner["language"]
    entities.append(entity)
