"""Every kind of call the meter knows is one that a person can bring about: none is there for a test alone."""

from __future__ import annotations

import ast
from pathlib import Path

from bot.ai.meter import Action

HOME = Path(__file__).parents[2]
DOORS = {
    "transcribe": Action.TRANSCRIPTION,
    "speak": Action.AUDIO_GENERATION,
    "paint": Action.IMAGE_GENERATION,
    "embed": Action.EMBEDDING,
}
"""The model's doors that know by themselves what a call through them is for."""


def _reached() -> dict[str, set[str]]:
    """Where each kind of call is made, by the modules of handlers and services that make it."""
    found: dict[str, set[str]] = {}
    for folder in ("handlers", "bot/services"):
        for path in (HOME / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if not isinstance(node, ast.Attribute):
                    continue
                owner = ast.unparse(node.value)
                if owner == "Action":
                    found.setdefault(Action[node.attr], set()).add(path.stem)
                elif node.attr in DOORS and owner.endswith("model"):
                    found.setdefault(DOORS[node.attr], set()).add(path.stem)
    return found


def test_every_kind_of_call_is_made_somewhere_in_what_people_can_do() -> None:
    assert sorted(set(Action) - set(_reached())) == []
