"""The rules of the small steps: what they are made from, and what of a model's answer can be given to a person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from bot.ai import tokens
from prompts import blueprint as prompts
from prompts.blueprint import Material, SmallStep
from storage.profile import Profile

LONGEST_TITLE = 70
LONGEST_DESCRIPTION = 350
FACT_LIMIT = 200
"""Characters of one fact of the profile."""

MOST_OUTPUT, LEAST_OUTPUT = 700, 350
"""Output tokens for three steps, with room for any script."""


def person(profile: Profile) -> list[str]:
    """The facts that help to choose steps that fit somebody's days; none says who they are."""
    children = None if profile.has_children is None else "yes" if profile.has_children else "no"
    facts = {
        "relationship": profile.relationship_status,
        "children": children,
        "work": ", ".join(part for part in (profile.employment_type, profile.occupation) if part),
    }
    known = {name: " ".join(value.replace("_", " ").split()) for name, value in facts.items() if value}
    return [f"{name}: {value[:FACT_LIMIT]}" for name, value in known.items()]


def price(material: Material) -> tuple[int, int]:
    """How many tokens three steps take: in one call, and at most, when the model is asked once again."""
    given = tokens.count_messages(prompts.messages(material))
    return given + LEAST_OUTPUT // 2, 2 * given + 3 * MOST_OUTPUT


def check(steps: Sequence[SmallStep], earlier: Sequence[str]) -> list[str]:
    """What is wrong with three steps, in words for a model; nothing where they can be given to the person."""
    findings = []
    if len(steps) != prompts.STEPS:
        findings.append(f"there are {len(steps)} steps; give {prompts.STEPS}")
    seen = {_folded(title) for title in earlier}
    for number, step in enumerate(steps, start=1):
        findings += [f"step {number}: {fault}" for fault in _faults(step)]
        if _folded(step.title) in seen:
            findings.append(f"step {number}: it was given before")
        seen.add(_folded(step.title))
    return findings


def to_keep(steps: Sequence[SmallStep]) -> list[tuple[str, str]]:
    """The steps as they are stored: (title, description) each."""
    return [(plain(step.title).rstrip("."), plain(step.description)) for step in steps]


def _faults(step: SmallStep) -> Iterator[str]:
    title, description = plain(step.title), plain(step.description)
    if not title or len(title) > LONGEST_TITLE:
        yield f"the title is empty or longer than {LONGEST_TITLE} characters"
    if not description or len(description) > LONGEST_DESCRIPTION:
        yield f"the description is empty or longer than {LONGEST_DESCRIPTION} characters"
    if re.search(r"https?://|www\.|@\w", f"{title} {description}"):
        yield "it holds an address, which nobody gave"


def plain(text: str) -> str:
    """A model's text as it is kept: one paragraph, without the signs of a formatting that is not rendered."""
    return " ".join(text.replace("\0", "").replace("**", "").split())


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
