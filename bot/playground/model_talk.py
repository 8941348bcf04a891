"""The words of the stand-in model: answers made by rule from what the person wrote, and from nothing else.

No text in a message is ever followed as an instruction here. The rules know English; other languages are quoted.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from bot.playground import model_memory, model_vision

Message = Mapping[str, Any]

LABEL = "(Stand-in model: set OPENAI_API_KEY for real conversation.)"

# The sections in which a prompt hands over the person's own words, the weightiest first.
OWN_WORDS = ("imagination", "message", "words", "answer", "entry", "transcript", "text", "note", "answers")

# Those from which a section of a vision is written.
MATERIAL = {"imagination", "answers", "story", "entries", "sections"}

HEAVY = re.compile(
    r"afraid|alone|angry|anxious|ashamed|bad|broke|broken|burden|cry|crying|debt|depressed|"
    r"difficult|drained|empty|exhausted|fail|failed|failure|fear|grief|guilty|hard|hate|heavy|"
    r"hopeless|hurt|lonely|lost|miss|numb|overwhelmed|pain|sad|scared|shame|sick|sleepless|stress|"
    r"stressed|struggle|struggling|stuck|tired|upset|worried|worry|worse|worthless"
)
BRIGHT = re.compile(
    r"abundant|alive|beautiful|better|blessed|calm|celebrate|content|delight|delighted|easy|energy|"
    r"enjoy|excited|free|freedom|fun|glad|good|grateful|great|happy|hope|joy|joyful|laugh|laughed|"
    r"laughing|light|love|loved|lovely|peace|peaceful|play|proud|relaxed|safe|smile|strong|"
    r"thankful|thriving|warm|wonderful"
)
DENIAL = re.compile(r"no|not|never|without|hardly|barely|isn't|don't|doesn't|didn't|can't|cannot|wasn't|aren't")
WISH = re.compile(r"\b(want|wish|hope|dream|would (?:like|love)|['’]d (?:like|love)|long for|imagine)\b", re.I)
GREETING = re.compile(r"\W*(hi|hello|hey|good (morning|afternoon|evening)|/?start)\b[\w\s,]{0,20}\W*", re.I)
ASKING = re.compile(r"(what|how|why|when|where|who|which|should|can|could|do|does|is|are) \w+", re.I)
DANGER = re.compile(
    r"\b(kill(ing)? (myself|him|her|them)|suicid\w*|end(ing)? my life|want to die|better off dead|hurt(ing)? myself|"
    r"harm(ing)? myself|self[- ]harm|no reason to live)\b",
    re.I,
)

QUESTIONS = (
    "When you picture that on an ordinary day, what do you see first?",
    "What is the smallest part of it that is already here?",
    "What would feel a little lighter if you gave it more room this week?",
    "Who or what brings you closest to that feeling?",
    "If it went as well as it could, what would you notice in your body?",
    "What matters most to you in that?",
    "What would you like to keep exactly as it is?",
    "Where could one kind, small step begin?",
)
CATEGORY_QUESTIONS = {
    "fun": "When did you last lose track of time in the best way?",
    "travel": "Which place calls you, and what would your first morning there be like?",
    "home": "Which corner of your home would you like to feel most like you?",
    "family": "Which moment with your family would you love to have more of?",
    "romance": "What does feeling close to someone look like on an ordinary evening?",
    "health": "What does your body thank you for when you do it?",
    "money": "What would having enough let you do next week?",
    "business": "Which part of your work would you still do if nobody asked you to?",
    "social": "With whom can you be entirely yourself?",
    "possessions": "Which of the things around you makes you glad each time you see it?",
    "giving": "What do you give that leaves you with more than before?",
    "spirituality": "Where do you feel carried by something larger than the day?",
}


def reply(messages: Sequence[Message]) -> str:
    """The answer to a conversation: a vision text when one was asked for, else a few words and one question."""
    system = "\n".join(text_of(message) for message in messages if message["role"] in ("system", "developer"))
    parts = told(messages)
    if "life vision" in system.lower() and parts.keys() & MATERIAL:
        known = [parts.get(name, "") for name in ("story", "entries", "answers")]
        return model_vision.section(
            imagination=parts.get("imagination", ""),
            answers="\n".join(filter(None, known)),
            existing=parts.get("existing", ""),
            woven=parts.get("sections", ""),
            ending="the conclusion of" in system,
        )
    looked_back = model_memory.remembered(system, person_words(messages))
    return "\n\n".join([*_thoughts(messages), *looked_back, question(messages), LABEL])


def told(messages: Sequence[Message]) -> dict[str, str]:
    """The parts of the first message of the person that has any: a later one may only ask for another try."""
    found = (sections(text_of(message)) for message in messages if message["role"] == "user")
    return next((parts for parts in found if parts), {})


def transcript(*, seconds: float) -> str:
    """What stands in the place of a transcript: the stand-in hears that there is sound, not what was said."""
    whole = max(1, round(seconds))
    return f"(Stand-in transcript: a recording of {whole} {'second' if whole == 1 else 'seconds'}.)"


def question(messages: Sequence[Message]) -> str:
    """One question that fits the category in hand, and another one at each turn."""
    turns = [text_of(message) for message in messages if message["role"] == "user"]
    words = person_words(messages)
    named = re.search(r"<category>\s*(\w+)|\bcategory\s*[:=]\s*[`'\"]?(\w+)", "\n".join(map(text_of, messages)), re.I)
    category = (named.group(1) or named.group(2)).lower() if named else ""
    mentioned = [key for key in CATEGORY_QUESTIONS if re.search(rf"\b{key}\b", words, re.I)]
    category = category if category in CATEGORY_QUESTIONS else (mentioned or [""])[0]
    row = ([CATEGORY_QUESTIONS[category]] if category else []) + list(QUESTIONS)
    if category and len(turns) == 1:
        return row[0]
    return row[(crc32(_bytes(turns[0] if turns else "")) + len(turns)) % len(row)]


def person_words(messages: Sequence[Message]) -> str:
    """What the person said last, without the marks which the prompt put around it."""
    text = last_of_person(messages)
    parts = sections(text)
    for name in OWN_WORDS:
        if parts.get(name):
            return parts[name]
    outside = text
    for name in parts:
        outside = re.sub(rf"<{name}(?:\s[^<>]*)?>.*?</{name}>", " ", outside, flags=re.S)
    return _plain(outside) or _plain(text)


def phrases(text: str) -> list[str]:
    """The sentences of `text` worth giving back, each at most fourteen words; those addressed to a machine left out."""
    found = []
    for sentence in model_vision.sentences(text):
        if model_vision.is_order(sentence):
            continue
        words = sentence.strip(" \"“”'‘’«»()[]").rstrip(".!?…,;: ").replace("?", "").split()
        if words:
            found.append(" ".join(words[:14]) + ("…" if len(words) > 14 else ""))
    return found


def tone(text: str) -> float:
    """How bright the words of `text` are, from 0 (heavy) to 1 (bright); 0.5 when they do not say."""
    words = [word.replace("’", "'") for word in re.findall(r"[\w'’]+", text.lower())]
    balance = 0
    for position, word in enumerate(words):
        sign = bool(BRIGHT.fullmatch(word)) - bool(HEAVY.fullmatch(word))
        denied = any(DENIAL.fullmatch(before) for before in words[max(0, position - 2) : position])
        balance += -sign if denied else sign
    return min(1.0, max(0.0, 0.5 + balance / 4))


def sections(text: str) -> dict[str, str]:
    """The `<name>…</name>` parts of `text`; the first of a name is the prompt's, a later one may be forged."""
    found: dict[str, str] = {}
    for name in dict.fromkeys(re.findall(r"<([a-z_]+)(?:\s[^<>]*)?>", text)):
        part = re.search(rf"<{name}(?:\s[^<>]*)?>(.*?)</{name}>", text, re.S)
        if part is not None:
            found[name] = _plain(part.group(1))
    return found


def text_of(message: Message) -> str:
    """The text of a message, whether given as a string or in parts."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content)


def last_of_person(messages: Sequence[Message]) -> str:
    """The newest message that is not the model's own, with the marks the prompt put around it."""
    return next((text_of(message) for message in reversed(messages) if message["role"] == "user"), "")


def _thoughts(messages: Sequence[Message]) -> list[str]:
    words = person_words(messages)
    found = phrases(words)
    if DANGER.search(words):
        return ["Thank you for telling me something so hard. You do not have to carry it alone."]
    if not found:
        return ["I am here, and there is no hurry."]
    if GREETING.fullmatch(words.strip()):
        name = _first_name(messages)
        return [f"Hello{', ' + name if name else ''}. It is good to have you here. We can begin anywhere you like."]
    chosen = max(found[:6], key=lambda phrase: (len(phrase.split()) >= 4, WISH.search(phrase) is not None))
    thoughts = [_acknowledge(chosen, words)]
    earlier = [text_of(message) for message in messages if message["role"] == "user"][:-1]
    said = [phrase for text in earlier for phrase in phrases(_plain(text)) if len(phrase.split()) >= 3]
    if said and len(earlier) % 3 == 2:
        thoughts.append(f"I still have in mind what you said earlier: “{said[0]}”.")
    return thoughts


def _acknowledge(phrase: str, words: str) -> str:
    brightness = tone(words)
    if words.rstrip().endswith("?") or ASKING.match(phrase):
        return (
            f"You ask: “{phrase}”. I would rather look at that with you than hand you a ready answer, because you "
            "know your life from the inside."
        )
    if brightness < 0.5:
        return (
            f"“{phrase}”: that sounds like a lot to carry, and it makes sense that it weighs. Where you are now is "
            "information, never a verdict."
        )
    if WISH.search(words):
        return f"“{phrase}”: I hear a wish in that, and it deserves room. Let us look at it closely."
    if brightness > 0.5:
        return f"“{phrase}”: there is warmth in that, and I am glad you said it."
    return f"Thank you for telling me. What stays with me is “{phrase}”."


def _first_name(messages: Sequence[Message]) -> str:
    text = "\n".join(text_of(message) for message in messages if message["role"] != "assistant")
    named = re.search(r"\b(?:first[ _])?name\s*[:=]\s*[`'\"]?([^\W\d_][\w’'-]{0,30})", text, re.I)
    return named.group(1) if named else ""


def _plain(text: str) -> str:
    """Text without the marks of sections and with its own signs restored."""
    return html.unescape(re.sub(r"</?[a-z_]+(?:\s[^<>]*)?>", " ", text)).strip()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
