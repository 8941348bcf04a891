"""What is a person's, in every table there is: the manifest of an export, and the rows it names.

A table that is not named here fails a test, so that nothing new is forgotten.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from storage.database import Transaction

BATCH: Final = 200
"""Rows in hand at once."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of which a person gets every row of theirs, in this order, with all columns but those of `without`."""

    name: str
    order: str
    without: tuple[str, ...] = ()


EXPORTED: Final = (
    Table(name="viva.telegram_accounts", order="created_at"),
    Table(name="public.user_profiles", order="version_number, created_at"),
    Table(name="public.vision_versions", order="version_number, created_at"),
    Table(name="viva.vision_proposals", order="created_at, id"),
    Table(name="public.audio_tracks", order="created_at, id"),
    Table(name="viva.narrators", order="provider"),
    Table(name="public.assessment_results", order="created_at, id"),
    Table(name="public.assessment_responses", order="answered_at, id"),
    Table(name="viva.assessment_not_applicable", order="marked_at, question_id"),
    Table(name="viva.assessment_words", order="created_at, id"),
    Table(name="viva.assessment_self_ratings", order="rated_at, category"),
    Table(name="viva.assessment_readings", order="created_at, id"),
    Table(name="public.assessment_insights", order="created_at, id"),
    Table(name="viva.blueprints", order="created_at, id"),
    Table(name="viva.blueprint_steps", order="created_at, blueprint_id, position, id"),
    Table(name="viva.reminders", order="created_at, id"),
    Table(name="public.journal_entries", order="date, created_at, id"),
    Table(name="viva.journal_albums", order="created_at, media_group_id"),
    Table(name="viva.journal_reflections", order="week_start"),
    Table(name="public.vision_board_items", order="created_at, id"),
    Table(name="viva.board_ideas", order="created_at, id"),
    Table(name="viva.board_stories", order="created_at, id"),
    Table(name="viva.conversations", order="created_at, id"),
    Table(name="public.ai_conversations", order="created_at, id"),
    Table(name="viva.memory_state", order="user_id"),
    Table(name="viva.memory_facts", order="said_at, id"),
    Table(name="viva.memory_digests", order="covers_from, kind"),
    Table(name="viva.memory_forgotten", order="forgotten_at, hash"),
    # How passages are found again says nothing beside their text.
    Table(name="viva.memory_passages", order="said_at, id", without=("search", "embedding")),
    Table(name="viva.wallets", order="created_at"),
    Table(name="viva.ledger", order="id"),
    Table(name="viva.grants", order="id"),
    Table(name="viva.holds", order="created_at, id"),
    Table(name="public.token_usage", order="created_at, id"),
    Table(name="viva.orders", order="created_at, id"),
    Table(name="viva.payments", order="created_at, id"),
    Table(name="viva.topups", order="created_at, order_id"),
    Table(name="viva.media_objects", order="created_at, media_key"),
    Table(name="viva.media_notes", order="updated_at"),
)

LEFT_OUT: Final[Mapping[str, str]] = {
    "viva.journal_words": "An index made from the words of journal_entries, for searching them.",
    "viva.starting_grants": "A mark that starting tokens were given, which names nobody and cannot be read back.",
    "viva.work": "Messages and tasks on their way; what they lead to is in the other tables, and they go after days.",
    "viva.work_steps": "How far a task has come; goes with the task.",
    "viva.outbox": "Messages on their way to the chat, where the person has them.",
    "viva.outbox_chats": "When the next message may be sent to a chat.",
    "viva.lanes": "In which order tasks are done.",
    "viva.gates": "How fast messages may be sent.",
    "viva.processes": "The running programs; nobody's.",
    "viva.leaders": "Which of the running programs does what; nobody's.",
    "viva.migrations": "The state of the database; nobody's.",
}
"""Tables of which nothing is exported, and why; the reasons are told in the export."""


class Line(BaseModel):
    """A row as one line of JSON."""

    line: str


async def rows(transaction: Transaction, table: Table) -> AsyncIterator[list[str]]:
    """All rows of the table that the person of the transaction sees, as lines of JSON, a batch at a time.

    Once in a transaction.
    """
    left = "".join(f" - '{column}'" for column in table.without)
    await transaction.execute(
        f"""
        declare export_rows no scroll cursor for
        select (to_jsonb(kept){left})::text as line from {table.name} kept order by {table.order}
        """
    )
    while batch := await transaction.many(Line, f"fetch {BATCH} from export_rows"):
        yield [each.line for each in batch]
