"""Replies: every key that the code uses is written, and every reply that is written is used."""

from __future__ import annotations

import ast
import re
import string
from pathlib import Path

import pytest

from prompts import replies

HOME = Path(__file__).parents[2]
FEATURES = ["house", *sorted(path.parent.name for path in HOME.glob("prompts/*/replies.toml"))]


def _uses(path: Path) -> set[str]:
    """Patterns of every string, plain or with values in it, that a module holds and that might name a reply."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.add(re.escape(node.value))
        if isinstance(node, ast.JoinedStr):
            parts = [re.escape(str(part.value)) if isinstance(part, ast.Constant) else ".+" for part in node.values]
            if re.search(r"[a-z]{3}", "".join(parts)):
                found.add("".join(parts))
    return found


@pytest.mark.parametrize("feature", FEATURES)
def test_every_reply_that_is_written_is_used(feature: str) -> None:
    folders = ("handlers", "bot/services", "prompts")
    patterns = {use for folder in folders for path in (HOME / folder).rglob("*.py") for use in _uses(path)}
    used = re.compile("|".join(patterns))
    assert [key for key in replies.of(feature).words if not used.fullmatch(key)] == []


def _calls(path: Path) -> list[tuple[str, str, set[str] | None]]:
    """(feature, key, names of values or None where they are spread) of every call with a plain key."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doors = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "replies.of"
        ):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    doors[target.id] = ast.literal_eval(node.value.args[0])
    calls = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in doors and node.args:
            names = None if any(word.arg is None for word in node.keywords) else {str(w.arg) for w in node.keywords}
            for constant in ast.walk(node.args[0]):
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                    in_test = isinstance(node.args[0], ast.IfExp) and constant in ast.walk(node.args[0].test)
                    if not in_test and not isinstance(node.args[0], ast.JoinedStr):
                        calls.append((doors[node.func.id], constant.value, names))
    return calls


def test_every_reply_that_is_used_is_written_and_gets_its_values() -> None:
    wrong = []
    for path in (HOME / "handlers").glob("*.py"):
        for feature, key, names in _calls(path):
            words = replies.of(feature).words
            if key not in words:
                wrong.append(f"{path.name}: {feature} has no {key!r}")
                continue
            wanted = {name for _, name, _, _ in string.Formatter().parse(words[key]) if name}
            if names is not None and not wanted <= names:
                wrong.append(f"{path.name}: {key!r} misses {sorted(wanted - names)}")
    assert wrong == []


@pytest.mark.parametrize("feature", FEATURES)
def test_every_reply_fits_a_message(feature: str) -> None:
    assert [key for key, words in replies.of(feature).words.items() if len(words) > 3500 or not words.strip()] == []
