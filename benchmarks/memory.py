"""Memory with a real model: the cases of tests/memory/set.toml, and which of its answers are what they must be.

    OPENAI_API_KEY=... .venv/bin/python -m benchmarks.memory

OPENAI_BASE_URL, VIVA_CHAT_MODEL and VIVA_EMBEDDING_MODEL count as well. Every call is charged by the provider.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys

from benchmarks.world import say, temporary_folder
from bot.config import Settings
from bot.playground.postgres import EmbeddedPostgres
from storage import migrate
from tests.conversations.test_memory_set import CASES, live
from tests.world import open_world


async def main() -> int:
    """Print a line a case; 1 when an answer was not what it must be, 2 without a key."""
    if not os.environ.get("OPENAI_API_KEY"):
        say("OPENAI_API_KEY is not set: with the stand-in, the tests say as much.")
        return 2
    real = Settings()
    changes = {
        "openai_api_key": real.openai_api_key,
        "openai_base_url": real.openai_base_url,
        "viva_chat_model": real.viva_chat_model,
        "viva_embedding_model": real.viva_embedding_model,
        "viva_prices_file": real.viva_prices_file,
    }
    right = 0
    with temporary_folder() as folder:
        postgres = EmbeddedPostgres(folder / "home")
        await postgres.start()
        try:
            await migrate.migrate(postgres.admin_url)
            async with open_world(folder, postgres.url(), **changes) as viva:
                for case in CASES:
                    person = await viva.onboarded("Mira")
                    await live(viva, person, case)
                    await person.send("/memory")
                    await person.tap("Look through")
                    await person.tap_data("open:talk")
                    await person.tap("Begin a new talk")
                    await person.send(case["question"])
                    told = person.screen.text
                    wrong = [words for words in case["answer"] if not re.search(words, told, re.I)]
                    wrong += [words for words in case.get("not_answer", ()) if re.search(words, told, re.I)]
                    right += not wrong
                    say(f"{'right' if not wrong else 'WRONG'}  {case['kind']}: {case['name']}")
                    if wrong:
                        say(f"       {' '.join(told.split())}")
        finally:
            await postgres.erase()
    say(f"\n{right} of {len(CASES)} with {real.viva_chat_model}")
    return 0 if right == len(CASES) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
