"""What of a model's notes is kept: its numbers mean what they meant when it was asked."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

from bot.services import memory
from prompts.memory import Found, FoundAgain, FoundFact
from storage.memory import Fact, Source

SAID_AT = datetime(2026, 11, 1, 9, tzinfo=UTC)
TODAY = date(2026, 11, 2)


def fact(text: str) -> Fact:
    return Fact(
        id=uuid.uuid4(),
        text=text,
        category=None,
        valid_from=date(2026, 1, 1),
        valid_to=None,
        confidence=0.9,
        source_kind="turn",
        source_id=uuid.uuid4(),
        quote=text,
        said_at=datetime(2026, 1, 1, tzinfo=UTC),
        said_again=[],
        replaced_by=None,
        tokens=4,
    )


def source(text: str) -> Source:
    return Source(id=uuid.uuid4(), kind="turn", text=text, said_at=SAID_AT)


def note(text: str, quote: str, *, place: int, replaces: list[int] | None = None) -> FoundFact:
    return FoundFact(
        text=text, quote=quote, source=place, category="", since="", confidence=0.9, replaces=replaces or []
    )


def test_a_number_never_means_another_fact_or_piece_because_one_is_gone_since() -> None:
    cork, tea = fact("Lives in Cork"), fact("Drinks tea")
    moved = source("We moved to Lisbon in May.")
    found = Found(
        facts=[
            note("Lives in Lisbon", "moved to Lisbon", place=2, replaces=[2]),
            note("Lives in Rome", "moved to Lisbon", place=1),
        ],
        again=[],
    )
    standing = memory.in_order([cork, tea], [uuid.uuid4(), cork.id, tea.id])
    sources = memory.in_order([moved], [uuid.uuid4(), moved.id])
    new, again = memory.checked(found, sources=sources, standing=standing, known=[], today=TODAY)
    assert [(one.text, one.replaces) for one in new] == [("Lives in Lisbon", [cork.id])] and again == []


def test_where_a_fact_is_said_again_counts_only_in_words_that_stand_there() -> None:
    edith = fact("Has a sister called Edith")
    visit = source("The nurse of the family came for tea. She is called Edith, my sister.")
    found = Found(
        facts=[note("Has a sister who came for tea", "came for tea", place=1)],
        again=[
            FoundAgain(fact=1, source=1, quote="The nurse of the family"),
            FoundAgain(fact=2, source=1, quote="She is called Edith"),
            FoundAgain(fact=1, source=1, quote="My sister never came"),
            FoundAgain(fact=3, source=1, quote="came for tea"),
            FoundAgain(fact=1, source=2, quote="came for tea"),
        ],
    )
    new, again = memory.checked(found, sources=[visit], standing=[edith], known=[], today=TODAY)
    assert len(new) == 1
    assert [(known, said.quote) for known, said in again] == [
        (edith.id, "The nurse of the family"),
        (0, "She is called Edith"),
    ]
