"""Memory over many sessions, by a small set of our own (tests/memory/set.toml): what is before the model."""

from __future__ import annotations

import re
import tomllib
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.conversations.test_reminders import daytime
from tests.world import Someone, Viva

CASES = tomllib.loads((Path(__file__).parents[1] / "memory" / "set.toml").read_text(encoding="utf-8"))["case"]


async def live(viva: Viva, person: Someone, case: dict[str, Any]) -> None:
    """Let the person have said and written what the case says, each in a session of its own."""
    async with viva.database.as_user(await person.user_id()).transaction() as db:
        now = datetime.now(ZoneInfo(await db.value("select time_zone from viva.telegram_accounts")))
        for said in case.get("said", ()):
            await db.execute(
                "insert into ai_conversations (role, message, context, created_at) values ('user', $1, $2::jsonb, $3)",
                said["words"],
                {"conversation_id": str(uuid.uuid4())},
                now - timedelta(days=said["ago"]),
            )
        for wrote in case.get("wrote", ()):
            moment = now - timedelta(days=wrote["ago"])
            await db.execute(
                "insert into journal_entries (content, date, created_at) values ($1, $2, $3)",
                wrote["words"],
                moment.date(),
                moment,
            )


async def test_what_was_said_in_other_sessions_is_before_the_model_and_nothing_else(viva: Viva) -> None:
    wrong: list[tuple[str, str, str]] = []
    for case in CASES:
        # Where it is about noon, yesterday stays yesterday.
        person = await viva.onboarded("Mira", time_zone=daytime())
        await live(viva, person, case)
        await person.send("/memory")
        await person.tap("Look through")
        await person.tap_data("open:talk")
        await person.tap("Begin a new talk")
        await person.send(case["question"])
        request = viva.model.requests[-1].body
        assert request is not None
        before = "\n".join(message["content"] for message in request["messages"][:-1])
        known = before.partition("</vision>")[2]
        facts = known.partition("<facts>")[2].partition("</facts>")[0]
        said = person.screen.text
        wrong += [
            (case["name"], "not before the model", words) for words in case.get("recalled", ()) if words not in known
        ]
        wrong += [(case["name"], "before the model", words) for words in case.get("not_recalled", ()) if words in known]
        wrong += [(case["name"], "still a fact", words) for words in case.get("not_in_facts", ()) if words in facts]
        wrong += [(case["name"], said, words) for words in case["answer"] if not re.search(words, said, re.I)]
        wrong += [(case["name"], said, words) for words in case.get("not_answer", ()) if re.search(words, said, re.I)]
    assert wrong == []
