"""How many tokens a text is worth to the model, counted on this machine with no network."""

from __future__ import annotations

import base64
import hashlib
import lzma
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any

import tiktoken

RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
SPECIAL_TOKENS = {"<|endoftext|>": 199999, "<|endofprompt|>": 200018}

# The splitting pattern of o200k_base, as in tiktoken_ext/openai_public.py. It is copied because the
# function that holds it there downloads the ranks.
PATTERN = "|".join(
    [
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?""",
        r"""\p{N}{1,3}""",
        r""" ?[^\s\p{L}\p{N}]+[\r\n/]*""",
        r"""\s*[\r\n]+""",
        r"""\s+(?!\S)""",
        r"""\s+""",
    ]
)

TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_TO_PRIME_THE_REPLY = 3


@cache
def encoding() -> tiktoken.Encoding:
    """The o200k_base encoding, unpacked once per process; RuntimeError when its file is damaged."""
    packed = resources.files("bot.ai").joinpath("data", "o200k_base.tiktoken.xz").read_bytes()
    unpacked = lzma.decompress(packed)
    if hashlib.sha256(unpacked).hexdigest() != RANKS_SHA256:
        raise RuntimeError("The vocabulary file bot/ai/data/o200k_base.tiktoken.xz is damaged. Install VIVA again.")
    ranks: dict[bytes, int] = {}
    for line in unpacked.splitlines():
        token, rank = line.split()
        ranks[base64.b64decode(token)] = int(rank)
    return tiktoken.Encoding(name="o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens=SPECIAL_TOKENS)


def count(text: str) -> int:
    """Tokens in `text`; what looks like a special token is counted as the plain text it is."""
    return len(encoding().encode(text, disallowed_special=()))


def count_messages(messages: Sequence[Mapping[str, Any]]) -> int:
    """An upper bound, in tokens, of a chat request: texts, roles, names and OpenAI's framing."""
    return TOKENS_TO_PRIME_THE_REPLY + sum(_count_message(message) for message in messages)


def _count_message(message: Mapping[str, Any]) -> int:
    total = TOKENS_PER_MESSAGE
    for key, value in message.items():
        if isinstance(value, str):
            total += count(value)
            if key == "name":
                total += TOKENS_PER_NAME
        elif key == "content" and value is not None:
            total += sum(count(str(part["text"])) for part in value if part.get("type") == "text")
    return total
