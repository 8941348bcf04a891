"""Logs say what failed and where, by ids: never a person's words, a token or a key."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import json
import logging
import sys
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

import handlers
from bot import logs
from bot.errors import ModelRefused
from bot.playground.house import TOKEN
from bot.services.doors import Doors
from bot.services.work import Job
from storage.database import DatabaseUnavailable, Transaction
from tests.conftest import DatabaseUrls
from tests.engine.crew import break_connections
from tests.world import Viva

KEY = "sk-proj-a-key-of-great-worth"
WORDS = "marmalade"


@pytest.fixture
async def written(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[io.StringIO]:
    """Everything that a process would write to standard error at LOG_LEVEL=DEBUG."""
    # What an earlier test has left, a connection that it broke, say, is warned of when it is collected: not in here.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()
    root = logging.getLogger()
    before = {name: logger.level for name, logger in logging.Logger.manager.loggerDict.items() if _is_logger(logger)}
    kept, level = root.handlers[:], root.level
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        monkeypatch.setattr(warnings, "showwarning", lambda message, *_: stream.write(f"{message}\n"))
        logs.set_up("DEBUG")
        yield stream
    root.handlers[:] = kept
    root.setLevel(level)
    for name, logger in logging.Logger.manager.loggerDict.items():
        if _is_logger(logger):
            logger.setLevel(before.get(name, logging.NOTSET))  # type: ignore[union-attr]


def _is_logger(logger: Any) -> bool:
    return isinstance(logger, logging.Logger)


async def _fails(job: Job, doors: Doors) -> None:
    async with job.transaction() as transaction:
        await transaction.execute("insert into journal_entries (content, nothing) values ($1, 1)", WORDS)


async def _fails_too(job: Job, transaction: Transaction, error: Exception) -> None:
    raise ValueError(f"{WORDS} {error}")


async def test_a_talk_in_which_everything_fails_leaves_no_words_token_or_key_in_the_logs(
    viva: Viva, written: io.StringIO, database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handlers, "JOBS", {**handlers.JOBS, "journal.photo": (_fails, _fails_too)})
    await viva.restart(openai_api_key=SecretStr(KEY))
    hurrying = asyncio.create_task(hurry(viva))
    ada = await viva.onboarded(f"Ada {WORDS}")

    # The model refuses, quoting what it was given; breaks off; and answers with what is no JSON.
    viva.model.script("chat/completions", status=400, message=f"I will not speak of {WORDS} to {KEY}")
    await ada.send(f"Tell me of {WORDS}.")
    viva.model.script("chat/completions", text=f"Of {WORDS} I could say so much, for hours and hours.", cut_after=3)
    await ada.send(f"And of more {WORDS}?")
    viva.model.script("chat/completions", malformed=True)
    viva.model.script("audio/transcriptions", malformed=True)
    await ada.send(f"And yet more {WORDS}?")

    # Telegram refuses, breaks off, gives no file; and brings what nobody can read.
    viva.telegram.fail_next("sendMessage", 400, f"Bad Request: can't parse {WORDS}", times=2)
    await ada.send(f"Good {WORDS}.")
    viva.telegram.cut_next("sendMessage", done_first=True)
    viva.telegram.cut_next("sendMessageDraft", done_first=False)
    viva.telegram.cut_next("answerCallbackQuery", done_first=False)
    await ada.send(f"Better {WORDS}.")
    viva.telegram.cut_next("getUpdates", done_first=False)
    await ada.send(f"The best {WORDS}.")
    monkeypatch.setattr(viva.telegram.chats, "file_at", lambda path: None)
    await ada.send_voice()
    viva.telegram.chats.add_update("message", {"text": WORDS, "chat": {"id": ada.id, "type": "private"}})
    viva.telegram.chats.settings["allowed_updates"] = []
    viva.telegram.chats.add_update("message", {"text": WORDS, "date": WORDS, "from": WORDS})

    # A fault of our own, with words in its error; and connections that break.
    await ada.send_photo(caption=f"A jar of {WORDS}")
    await break_connections(database_urls)
    with contextlib.suppress(Exception):
        await viva.database._pool.expire_connections()
    await ada.send(f"Is there {WORDS} left?")
    hurrying.cancel()
    await asyncio.gather(hurrying, return_exceptions=True)
    await viva.stop()

    said = written.getvalue()
    assert WORDS not in said and WORDS.title() not in said
    assert TOKEN not in said and TOKEN.partition(":")[2] not in said
    assert KEY not in said
    lines = [json.loads(line) for line in said.splitlines()]
    messages = {line["message"] for line in lines}
    assert {"work failed", "work parked", "Telegram refused a message", "job gave up"} <= messages
    # And yet they say where to look.
    where = [line["where"] for line in lines if line["message"] == "work failed"]
    assert any("test_logs.py" in place and "_fails" in place for place in where)
    assert all(set(line) >= {"at", "level", "log", "message"} for line in lines)


async def hurry(viva: Viva) -> None:
    """Make the tries that wait for later now, until cancelled."""
    while True:
        with contextlib.suppress(DatabaseUnavailable):
            await viva.service_rows("update viva.work set due_at = now() where state = 'waiting' and due_at > now()")
            await viva.service_rows("update viva.lanes set due_at = now() where claimed_by is null and due_at > now()")
        await asyncio.sleep(0.02)


def test_what_looks_like_a_token_or_a_key_is_blotted_out_wherever_it_stands(written: io.StringIO) -> None:
    log = logging.getLogger("bot.anything")
    log.warning("https://api.telegram.org/bot%s/getMe", TOKEN, extra={"key": KEY, "name_of_it": {"deep": [TOKEN]}})
    said = written.getvalue()
    assert "[secret]" in said and TOKEN not in said and KEY not in said


def test_an_exception_is_named_and_not_quoted(written: io.StringIO) -> None:
    try:
        raise ModelRefused(WORDS)
    except ModelRefused:
        logging.getLogger("bot.anything").exception("it failed", extra={"work": 7})
    line = json.loads(written.getvalue())
    assert (line["error"], line["work"], line["level"]) == ("ModelRefused", 7, "error")
    assert WORDS not in written.getvalue()


async def test_a_task_that_nobody_waited_for_is_not_quoted(written: io.StringIO) -> None:
    asyncio.get_running_loop().call_exception_handler(
        {
            "message": "Task exception was never retrieved",
            "exception": ValueError(WORDS),
            "future": repr(ValueError(WORDS)),
        }
    )
    assert json.loads(written.getvalue())["message"] == "Task exception was never retrieved"
    assert WORDS not in written.getvalue()


@pytest.mark.parametrize("library", ["aiogram.event", "httpx2", "openai", "asyncpg", "aiohttp.access"])
def test_what_libraries_tell_below_a_warning_is_not_written(written: io.StringIO, library: str) -> None:
    logging.getLogger(library).info("Update with %s", WORDS)
    logging.getLogger(library).debug("Request with %s", WORDS)
    assert written.getvalue() == ""
