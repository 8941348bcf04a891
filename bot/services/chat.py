"""The rules of talking with VIVA: which conversation a message belongs to, and what a model is given of it all.

A request begins with what stays the same from turn to turn (persona, profile, assessment, vision, facts, digests), so
that a provider's cache can serve it; then the latest turns; then what belongs to this turn alone (what was recalled,
where the talk stands), and the new message last. What a person wrote is data: outside of the turns it stands between
tags, escaped, so that it cannot close them; turns are messages of their own.
"""

from __future__ import annotations

import html
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from bot.ai import tokens
from bot.services import assessment
from bot.services import profile as profiles
from prompts import chat as prompts
from prompts.categories import SECTIONS, category
from storage.assessment import Result
from storage.conversations import Conversation, Turn
from storage.profile import Profile

SILENCE = timedelta(hours=8)
"""After so much silence a new conversation begins."""

QUOTE_LIMIT = 600
"""Characters kept of a message that is replied to."""

QUOTE_TOKENS = 150
"""Tokens of it that a model is given."""

FACT_LIMIT = 40
"""Tokens of one fact of the profile."""

STORY_LIMIT = 160
"""Tokens of a story of the profile."""

PROFILE_LIMIT = 900
"""Tokens of the profile in all."""

SECTION_LEAST = 15
"""Tokens below which a section of the vision is not worth showing."""

LEFT_OUT = "\n[…]\n"

PER_MESSAGE = tokens.TOKENS_PER_MESSAGE + 1
"""Tokens around the text of a message: OpenAI's framing and the role."""

USUAL_TURN = 60
"""Tokens of a turn on average, at least: so many fewer turns than tokens are worth reading."""

SEAMS = 24
"""Tokens for the empty lines between the parts of the system messages."""

SECTION_FRAME = 12
"""Tokens of the tags of a section, at most."""

BLOCK = 8
"""About so many turns leave the request at once, so that a provider's cache is not lost with each turn."""

Phase = Literal["contrast", "peak", "specific", "refinement", "master_assistant"]
Style = Literal["plain", "bold", "italic"]


# ------------------------------------------------------------------------------------ conversations


def conversation_id(latest: Turn | None, *, now: datetime, opened: Conversation | None = None) -> uuid.UUID:
    """The conversation that words said `now` belong to.

    The one `opened` by hand since the latest turn; else that of the latest turn; a new one after a long silence.
    """
    by_hand = opened.opened_at if opened is not None else None
    since = latest.created_at if latest is not None else None
    if opened is not None and by_hand is not None and now - by_hand < SILENCE and (since is None or since <= by_hand):
        return opened.id
    if latest is not None and now - latest.created_at < SILENCE:
        try:
            return uuid.UUID(str(latest.context["conversation_id"]))
        except (KeyError, ValueError):
            pass
    return uuid.uuid4()


def context(
    *, conversation: uuid.UUID, phase: Phase = "master_assistant", category_key: str | None = None
) -> dict[str, Any]:
    """The keys that every row of `ai_conversations` carries (domain section 3)."""
    return {
        "visionBuildPhase": phase,
        "category": category_key,
        "isInitialGreeting": False,
        "conversation_id": str(conversation),
    }


def in_order(turns: Sequence[Turn]) -> list[Turn]:
    """The turns as one reads a talk: by time, each answer right after what it answers."""
    ids = {str(turn.id) for turn in turns}
    answers: dict[str, list[Turn]] = {}
    rest = []
    for turn in sorted(turns, key=lambda turn: (turn.created_at, turn.id)):
        question = turn.context.get("answers") if turn.role == "assistant" else None
        if isinstance(question, str) and question in ids:
            answers.setdefault(question, []).append(turn)
        else:
            rest.append(turn)
    return [each for turn in rest for each in (turn, *answers.get(str(turn.id), ()))]


# ------------------------------------------------------------------------------- what a model is given


@dataclass(frozen=True, kw_only=True)
class Known:
    """What VIVA knows of a person before the talk; `vision` holds texts by section key."""

    profile: Profile
    language_code: str | None
    result: Result | None
    vision: Mapping[str, str]


class Line(NamedTuple):
    """A line of what is remembered, and its tokens: counted when it was kept."""

    text: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """What VIVA remembers for this turn.

    `facts` and `digests` change seldom; `recalled` and `hints` are of this turn alone. The weightiest stand first in
    `facts` and `recalled`, the latest stands last in `digests`. `guide` says where the conversation stands.
    """

    facts: Sequence[Line] = ()
    digests: Sequence[Line] = ()
    recalled: Sequence[Line] = ()
    hints: Sequence[str] = ()
    guide: str = ""


def words(message: str, replying_to: Mapping[str, Any] | None) -> str:
    """A person's message as the model reads it: with the older message it replies to in front, if it does."""
    if not isinstance(replying_to, Mapping):
        return message
    speaker = "VIVA" if replying_to.get("from") == "viva" else "the person"
    quoted, _ = clip(_escaped(str(replying_to.get("text", ""))), most=QUOTE_TOKENS)
    return f'<replying_to said_by="{speaker}">{quoted}</replying_to>\n\n{message}'


def quote(text: str) -> str:
    """The part of an older message that is kept with the reply to it."""
    return text if len(text) <= QUOTE_LIMIT else text[:QUOTE_LIMIT].rstrip() + " …"


def shown(known: Known, *, earlier: Sequence[Turn], asked: Turn, budget: int, remembered: Remembered) -> list[Turn]:
    """Those of the turns `earlier` for which there is room word for word, however much is recalled beside them.

    All others are in no request unless they are recalled.
    """
    return _fill(known, earlier=earlier, shown=None, asked=asked, budget=budget, remembered=remembered).turns


def pack(
    known: Known,
    *,
    earlier: Sequence[Turn],
    asked: Turn,
    budget: int,
    remembered: Remembered | None = None,
    shown: Sequence[Turn] | None = None,
) -> list[dict[str, str]]:
    """The messages for the answer to `asked`, at most `budget` tokens where the persona alone leaves room.

    What is known takes up to two fifths of the room, and of what is left then: what is remembered a quarter, the new
    message up to half (its middle is left out where it is longer), and the turns `earlier` the rest: the latest ones,
    without a gap. `shown` are those that `shown` chose; no others are given word for word then.
    """
    filled = _fill(
        known,
        earlier=earlier,
        shown=earlier if shown is None else shown,
        asked=asked,
        budget=budget,
        remembered=remembered or Remembered(),
    )
    return [
        {"role": "system", "content": filled.system},
        *filled.talk,
        *([{"role": "system", "content": filled.now}] if filled.now else []),
        {"role": "user", "content": filled.message},
    ]


@dataclass(frozen=True, kw_only=True)
class _Filled:
    """The parts of a request, and the turns whose words are in it, oldest first."""

    system: str
    talk: list[dict[str, str]]
    now: str
    message: str
    turns: list[Turn]


def _fill(
    known: Known,
    *,
    earlier: Sequence[Turn],
    shown: Sequence[Turn] | None,
    asked: Turn,
    budget: int,
    remembered: Remembered,
) -> _Filled:
    """Fill a request; where it is open what is `shown`, as much room is kept as what is recalled may take at most."""
    opening = prompts.persona()
    closing = prompts.gentle() if _is_grave([*earlier, asked], asked) else ""
    room = budget - SEAMS - tokens.TOKENS_TO_PRIME_THE_REPLY - PER_MESSAGE
    room -= tokens.count(opening) + tokens.count(closing)
    sections = _known(known, most=room * 2 // 5)
    room -= tokens.count(sections)
    facts, size = _lines("facts", remembered.facts, most=room // 8)
    room -= size
    digests, size = _lines("digests", remembered.digests[::-1], most=room // 12, backwards=True)
    room -= size
    now, size = _now(remembered, most=room // 8)
    room -= size if shown is not None else room // 8

    message, size = _said(asked, most=max(room // 2, 1))
    room -= size + PER_MESSAGE
    turns: list[Turn] = []
    said: list[str] = []
    most = max(room // 4, 1)
    ordered = in_order(earlier if shown is None else shown)
    for turn in reversed(ordered):
        text, size = _said(turn, most=most)
        room -= size + PER_MESSAGE
        if room < 0:
            break
        turns.append(turn)
        said.append(text)
    kept = _whole_blocks(turns, all_fit=len(turns) == len(ordered) and room > 0)
    while kept and turns[kept - 1].role == "assistant":
        kept -= 1  # an answer whose question is gone would open the talk
    talk = [{"role": turn.role, "content": text} for turn, text in zip(turns[:kept], said, strict=False)]
    system = "\n\n".join(part for part in (opening, sections, facts, digests, closing) if part)
    return _Filled(system=system, talk=talk[::-1], now=now, message=message, turns=turns[:kept][::-1])


def _whole_blocks(turns: Sequence[Turn], *, all_fit: bool) -> int:
    """How many of the turns, latest first, to show: back to a turn where a block begins, if that is not far.

    Where a block begins hangs on the turn's own id, so that the request's beginning stays put while the talk goes on.
    """
    if all_fit:
        return len(turns)
    for place in range(len(turns) - 1, len(turns) * 4 // 5, -1):
        if turns[place].role == "user" and turns[place].id.int % BLOCK == 0:
            return place + 1
    return len(turns)


def _lines(name: str, lines: Sequence[Line], *, most: int, backwards: bool = False) -> tuple[str, int]:
    """A section of as many lines as there is room for, and its tokens at most; nothing where no line fits."""
    told: list[str] = []
    size = SECTION_FRAME
    for line in lines:
        text = _escaped(line.text)
        more = (line.tokens if text == line.text else tokens.count(text)) + 2
        if size + more > most:
            break
        told.append(text)
        size += more
    if not told:
        return "", 0
    return _section(name, told[::-1] if backwards else told), size


def _now(remembered: Remembered, *, most: int) -> tuple[str, int]:
    """What belongs to this turn alone, and its tokens with those of its message; nothing where there is none."""
    parts = []
    size = PER_MESSAGE
    recalled, used = _lines("recalled", remembered.recalled, most=most - size)
    if recalled:
        parts.append(recalled)
        size += used
    for note in (*remembered.hints, remembered.guide):
        if note and (more := tokens.count(note) + 2) + size <= most:
            parts.append(note)
            size += more
    return ("\n\n".join(parts), size) if parts else ("", 0)


def clip(text: str, *, most: int) -> tuple[str, int]:
    """The text in at most `most` tokens, its middle left out and marked where it is longer; and its tokens."""
    encoding = tokens.encoding()
    encoded = encoding.encode(text, disallowed_special=())
    if len(encoded) <= most:
        return text, len(encoded)
    kept = most - tokens.count(LEFT_OUT)
    while kept > 1:
        head, tail = encoded[: kept - kept // 3], encoded[-(kept // 3) :] if kept // 3 else []
        cut = f"{_decoded(head)}{LEFT_OUT}{_decoded(tail)}"
        size = tokens.count(cut)
        if size <= most:
            return cut, size
        kept -= size - most
    return "…", 1


def _decoded(encoded: Sequence[int]) -> str:
    # A cut may go through a letter of several bytes.
    return tokens.encoding().decode_bytes(list(encoded)).decode("utf-8", "ignore")


def _said(turn: Turn, *, most: int) -> tuple[str, int]:
    """A turn as the model reads it, and its tokens; counted once, when it was kept, where it is not too long."""
    replying_to = turn.context.get("replying_to") if turn.role == "user" else None
    text = words(turn.message, replying_to)
    counted = turn.context.get("tokens")
    if isinstance(counted, int) and 0 < counted <= most:
        return text, counted
    size = tokens.count(text)
    if size <= most:
        return text, size
    frame = words("", replying_to)
    room = most - tokens.count(frame) - 2
    if room < most // 2:  # so small that the quotation gives way
        return clip(turn.message, most=most)
    text = frame + clip(turn.message, most=room)[0]
    return text, tokens.count(text)


def _is_grave(turns: Sequence[Turn], asked: Turn) -> bool:
    """Whether this conversation has spoken of danger."""
    here = asked.context.get("conversation_id")
    return any(turn.context.get("care") for turn in turns if turn.context.get("conversation_id") == here)


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)


def _known(known: Known, *, most: int) -> str:
    lines = _profile_lines(known.profile, known.language_code, most=min(PROFILE_LIMIT, most // 3))
    profile = _section("profile", lines)
    standing = _section("assessment", _assessment_lines(known.result))
    fixed = f"{profile}\n\n{standing}"
    vision = _section("vision", _vision_parts(known.vision, most=most - tokens.count(fixed) - 20), between="\n\n")
    return f"{fixed}\n\n{vision}"


def _section(name: str, lines: Sequence[str], *, between: str = "\n") -> str:
    return f"<{name}>\n{between.join(lines) or 'nothing yet'}\n</{name}>"


def _profile_lines(profile: Profile, language_code: str | None, *, most: int) -> list[str]:
    """What is known of the person, the most telling first, as far as the room goes."""
    facts = profiles.known(profile)
    if language_code is not None:
        facts.insert(1, ("language of their app", language_code))
    lines = []
    for name, value in facts:
        # A letter is a token or more in some scripts, so only tokens are a bound.
        line, size = clip(f"{name}: {_escaped(value)}", most=STORY_LIMIT if "in their words" in name else FACT_LIMIT)
        most -= size + 1
        if most < 0:
            break
        lines.append(line)
    return lines


def _assessment_lines(result: Result | None) -> list[str]:
    if result is None:
        return []
    scores = assessment.as_stored(
        total=result.total_score,
        maximum=result.max_possible_score,
        category_scores=result.category_scores,
        green_line_status=result.green_line_status,
        answers=result.answers,
        not_applicable=result.not_applicable,
        facts=assessment.facts(
            has_children=result.has_children,
            relationship_status=result.relationship_status,
            employment_type=result.employment_type,
        ),
    )
    lines = [f"taken on {result.completed_at:%d %B %Y}: {scores.total} of {scores.maximum} points in all"]
    for key, score in scores.categories.items():
        if score.status is not None:
            where = {"above": "above the green line", "transition": "in transition", "below": "below the green line"}
            lines.append(f"{category(key).label}: {score.score} of {score.maximum}, {where[score.status]}")
    return lines


def _vision_parts(vision: Mapping[str, str], *, most: int) -> list[str]:
    """The sections in the order of reading, trimmed to the room they share; what short ones leave goes to long ones."""
    texts = {
        section.key: f"{section.label}:\n{_escaped(vision[section.key].strip())}"
        for section in SECTIONS
        if vision.get(section.key, "").strip()
    }
    if most < SECTION_LEAST * len(texts):
        return ["there is one, left out here for want of room"]
    fitting: dict[str, str] = {}
    for place, key in enumerate(sorted(texts, key=lambda key: len(texts[key]))):
        fitting[key], size = clip(texts[key], most=most // (len(texts) - place) - 1)
        most -= size + 1
    return [fitting[key] for key in texts]


# ------------------------------------------------------------------------------------ what is shown

# Within one line, around words, and never inside one: snake_case and 2 * 3 stay as they are.
_MARKED = re.compile(r"\*\*(?=[^\s*])([^*\n]*[^\s*])\*\*|(?<![\w_])_(?=[^\s_])([^_\n]*[^\s_])_(?![\w_])")


def spans(text: str) -> list[tuple[Style, str]]:
    """A model's text with its **bold** and _italic_ words told apart; any other sign stays as it was written."""
    found: list[tuple[Style, str]] = []
    end = 0
    for mark in _MARKED.finditer(text):
        found += [("plain", text[end : mark.start()]), ("bold", mark[1]) if mark[1] else ("italic", mark[2])]
        end = mark.end()
    return [(style, part) for style, part in [*found, ("plain", text[end:])] if part]


def plain(text: str) -> str:
    """A model's text without the signs that `spans` reads, for where there is no bold and no italic."""
    return "".join(part for _, part in spans(text))
