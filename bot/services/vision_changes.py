"""What came and what went between two texts, by sentences and then by words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from prompts.categories import SECTIONS, Section

MOST_PARTS = 80
"""Changes shown word by word: Telegram takes 100 entities a message, and the screen has some of its own."""

MOST_COMPARED = 1_500_000
"""Words of a changed stretch before times those after, beyond which it is shown whole: comparing it takes seconds, and
two texts with so little in common are not read word by word either."""


class Part(NamedTuple):
    """A stretch of text that stayed, came or went."""

    kind: Literal["stayed", "came", "went"]
    text: str


def difference(before: str, after: str) -> list[Part]:
    """The two texts as one, in parts; word by word, or by sentences where words would be too many pieces."""
    before, after = before.strip(), after.strip()
    by_words = _joined(_by_words(_sentences(before), _sentences(after)))
    if sum(part.kind != "stayed" for part in by_words) <= MOST_PARTS:
        return by_words
    return _joined(_parts(_sentences(before), _sentences(after)))


def went(before: str, after: str) -> tuple[str, ...]:
    """The stretches of words that stood before and stand no more."""
    parts = difference(before, after)
    return tuple(phrase for part in parts if part.kind == "went" and (phrase := part.text.strip(" \n.,;:!?…")))


def refined(sections: Mapping[str, str], parent: Mapping[str, str]) -> list[Section]:
    """The sections that differ from the parent's after trimming, in the order of reading."""
    return [section for section in SECTIONS if sections[section.key].strip() != parent[section.key].strip()]


def _sentences(text: str) -> list[str]:
    """The sentences with the white space after them; joined they give the text."""
    return re.findall(r".*?(?:[.!?…。！？]+[\"”’»)]*\s+|\n+|[。！？]|$)", text, re.S)[:-1]


def _words(text: str) -> list[str]:
    """Words, white space and marks, each by itself; in scripts without spaces each sign."""
    return re.findall(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[^\W_]+(?:['’][^\W_]+)*|.", text)


def _by_words(before: Sequence[str], after: Sequence[str]) -> Iterator[Part]:
    for old, new in _blocks(before, after):
        went, came = _words("".join(old)), _words("".join(new))
        if old == new:
            yield Part("stayed", "".join(old))
        elif len(went) * len(came) <= MOST_COMPARED:
            yield from _parts(went, came)
        else:
            yield Part("went", "".join(old))
            yield Part("came", "".join(new))


def _parts(before: Sequence[str], after: Sequence[str]) -> Iterator[Part]:
    for old, new in _blocks(before, after):
        if old == new:
            yield Part("stayed", "".join(old))
            continue
        if old:
            yield Part("went", "".join(old))
        if new:
            yield Part("came", "".join(new))


def _blocks(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for _, start, end, from_, to in matcher.get_opcodes():
        yield before[start:end], after[from_:to]


def _joined(parts: Iterator[Part]) -> list[Part]:
    """Neighbours of one kind as one, and changes that only white space parts as one change."""
    pieces = [part for part in parts if part.text]
    joined: list[Part] = []
    went_text = came_text = ""

    def close() -> None:
        nonlocal went_text, came_text
        if went_text:
            joined.append(Part("went", went_text))
        if came_text:
            joined.append(Part("came", came_text))
        went_text = came_text = ""

    for place, part in enumerate(pieces):
        space = part.kind == "stayed" and not part.text.strip()
        if space and went_text and came_text and place + 1 < len(pieces) and pieces[place + 1].kind != "stayed":
            went_text, came_text = went_text + part.text, came_text + part.text
        elif part.kind == "stayed":
            close()
            if joined and joined[-1].kind == "stayed":
                joined[-1] = Part("stayed", joined[-1].text + part.text)
            else:
                joined.append(part)
        elif part.kind == "went":
            went_text += part.text
        else:
            came_text += part.text
    close()
    return joined
