"""How VIVA asks a model for a section of a life vision, and for a change of one."""

from __future__ import annotations

import html
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydantic import BaseModel, ConfigDict

from prompts.categories import Section

PROMPT_VERSION = 2
"""Raised when the wording of a prompt changes."""

WOVEN = ("forward", "conclusion")
"""Sections woven from the other twelve, once those stand (domain section 4)."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a section is written from; everything in it but `section` was told by the person, or written for them.

    `answers` are questions with their answers; `story` is the profile's of the area; `entries` are days with what the
    journal says of them; `woven` are areas with their texts; `existing` is the section as it stands, `previous` the
    text that was not wanted; `person` holds facts such as "first name: Ada"; `requests` are changes that the person
    asked for, the newest last.
    """

    section: Section
    imagination: str = ""
    answers: Sequence[tuple[str, str]] = ()
    story: str = ""
    entries: Sequence[tuple[str, str]] = ()
    woven: Sequence[tuple[str, str]] = ()
    existing: str = ""
    previous: str = ""
    person: Sequence[str] = ()
    requests: Sequence[str] = ()

    @property
    def told(self) -> bool:
        """Whether there is anything to write from."""
        return bool(self.imagination.strip() or self.answers or self.story.strip() or self.entries or self.woven)


class Refined(BaseModel):
    """A changed section, and what VIVA says beside it."""

    model_config = ConfigDict(extra="forbid")

    said: str
    text: str


def messages(material: Material) -> list[dict[str, str]]:
    """The request for a section: the rules first, then the material between tags that it cannot close."""
    parts = {
        "person": "\n".join(material.person),
        "category": material.section.label,
        "story": material.story,
        "entries": _pairs(material.entries, "Day", "Entry"),
        "answers": _pairs(material.answers, "Question", "Answer"),
        "sections": _pairs(material.woven, "Area", "Text"),
        "existing": material.existing,
        "previous": material.previous,
        "imagination": material.imagination,
    }
    rules = material.section.key if material.section.key in WOVEN else "section"
    return [{"role": "system", "content": _rules(rules)}, {"role": "user", "content": _tagged(parts)}]


def refinement(material: Material) -> list[dict[str, str]]:
    """The request for a change of what stands in a section; answered as `Refined`."""
    parts = {
        "person": "\n".join(material.person),
        "category": material.section.label,
        "existing": material.existing,
        "previous": material.previous,
        "earlier": "\n\n".join(material.requests[:-1]),
        "request": material.requests[-1],
    }
    return [{"role": "system", "content": _rules("refine")}, {"role": "user", "content": _tagged(parts)}]


def again(asked: Sequence[dict[str, str]], *, answer: str, found: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """The same request once more, with what a check found in the answer: kinds and the words they are about."""
    words = _again()
    lines = [words[kind].format(words=_escaped(about)) for kind, about in found]
    return [
        *asked,
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "\n".join([words["before"], *(f"- {line}" for line in lines), words["after"]])},
    ]


def _pairs(pairs: Sequence[tuple[str, str]], first: str, second: str) -> str:
    return "\n\n".join(f"{first}: {one}\n{second}: {other}" for one, other in pairs)


def _tagged(parts: dict[str, str]) -> str:
    return "\n\n".join(f"<{name}>\n{_escaped(text)}\n</{name}>" for name, text in parts.items() if text.strip())


def _escaped(text: str) -> str:
    return html.escape(text.strip(), quote=False)


@cache
def _rules(name: str) -> str:
    return resources.files("prompts").joinpath("vision", f"{name}.md").read_text(encoding="utf-8").strip()


@cache
def _again() -> dict[str, str]:
    return tomllib.loads(resources.files("prompts").joinpath("vision", "again.toml").read_text(encoding="utf-8"))
