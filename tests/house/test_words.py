"""Replies: every key that the code uses is written, and every reply that is written is used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from prompts import replies

HOME = Path(__file__).parents[2]
FEATURES = ["house", *sorted(path.parent.name for path in HOME.glob("prompts/*/replies.toml"))]
CALLED = {"WORDS": None, "HOUSE": "house"}


def _uses(path: Path) -> list[tuple[str, str]]:
    """(feature, key or key prefix with *) of every use of replies in a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    doors: dict[str, str] = {}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Call)
            and ast.unparse(node.value.func) == "replies.of"
        ):
            feature = ast.literal_eval(node.value.args[0])
            doors |= {target.id: feature for target in node.targets if isinstance(target, ast.Name)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and doors:
            found += [(feature, node.value) for feature in doors.values()]
        if isinstance(node, ast.JoinedStr) and doors:
            beginning = node.values[0]
            if isinstance(beginning, ast.Constant):
                found += [(feature, f"{beginning.value}*") for feature in doors.values()]
    return found


ALL_USES = {use for folder in ("handlers", "bot") for path in (HOME / folder).rglob("*.py") for use in _uses(path)}


@pytest.mark.parametrize("feature", FEATURES)
def test_every_reply_that_is_written_is_used(feature: str) -> None:
    used = {key for name, key in ALL_USES if name == feature}
    prefixes = tuple(key[:-1] for key in used if key.endswith("*"))
    idle = [key for key in replies.of(feature).words if key not in used and not key.startswith(prefixes or ("\0",))]
    assert idle == []


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
    import string

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
