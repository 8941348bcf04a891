"""How VIVA asks a model for a section of a life vision."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from prompts.categories import Section

PROMPT_VERSION = 1
"""Raised when the wording of the prompt changes."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a section is written from; everything in it but `section` was told by the person, or written for them.

    `answers` are questions with their answers; `existing` is the section as it stands, `previous` the text that was
    not wanted; `person` holds facts such as "first name: Ada".
    """

    section: Section
    imagination: str = ""
    answers: Sequence[tuple[str, str]] = ()
    existing: str = ""
    previous: str = ""
    person: Sequence[str] = ()


def messages(material: Material) -> list[dict[str, str]]:
    """The request for a section: the rules first, then the material between tags that it cannot close."""
    answers = "\n\n".join(f"Question: {asked}\nAnswer: {answer}" for asked, answer in material.answers)
    parts = {
        "person": "\n".join(material.person),
        "category": material.section.label,
        "answers": answers,
        "existing": material.existing,
        "previous": material.previous,
        "imagination": material.imagination,
    }
    told = "\n\n".join(f"<{name}>\n{_escaped(text)}\n</{name}>" for name, text in parts.items() if text.strip())
    return [{"role": "system", "content": _rules()}, {"role": "user", "content": told}]


def _escaped(text: str) -> str:
    return html.escape(text.strip(), quote=False)


@cache
def _rules() -> str:
    return resources.files("prompts.vision").joinpath("section.md").read_text(encoding="utf-8").strip()
