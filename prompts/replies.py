"""What VIVA says outside a model's answers: words as data, one `replies.toml` a feature."""

from __future__ import annotations

import string
import tomllib
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable


class Replies:
    """The replies of one feature; called with a key and the values its words name."""

    def __init__(self, feature: str, words: dict[str, str]) -> None:
        self.feature = feature
        self.words = words

    def __call__(self, key: str, /, **values: object) -> str:
        """The reply under `key` with `values` filled in; KeyError when the key or a value is missing."""
        return string.Formatter().vformat(self.words[key], (), values)


@cache
def of(feature: str) -> Replies:
    """The replies of a feature: `prompts/<feature>/replies.toml`, or `prompts/replies.toml` for "house"."""
    folder: Traversable = resources.files("prompts")
    file = folder / "replies.toml" if feature == "house" else folder / feature / "replies.toml"
    words = {key: value.strip("\n") for key, value in tomllib.loads(file.read_text(encoding="utf-8")).items()}
    return Replies(feature, words)
