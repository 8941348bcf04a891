"""The `viva` command, as somebody who runs VIVA meets it: real processes, real exit codes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from bot.playground.house import TOKEN
from bot.playground.postgres import EmbeddedPostgres
from bot.playground.telegram import TelegramServer

HOME = Path(__file__).parents[2]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[Path]:
    """A home of this test's own, with what the embedded Postgres keeps elsewhere for it removed at the end."""
    yield tmp_path
    await EmbeddedPostgres(tmp_path / "viva").erase()


async def _viva(home: Path, *words: str, **settings: str) -> asyncio.subprocess.Process:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        *words,
        cwd=home,
        env=kept | {"PYTHONPATH": str(HOME), "VIVA_HOME": str(home / "viva"), "HOME": str(home)} | settings,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def _said(home: Path, *words: str, **settings: str) -> tuple[int | None, str, str]:
    process = await _viva(home, *words, **settings)
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_doctor_knocks_at_every_door_and_finds_a_fresh_house_well(home: Path) -> None:
    code, out, err = await _said(home, "doctor")
    assert code == 0, out + err
    for door in ("database", "ledger", "media store", "Telegram", "model"):
        assert re.search(rf"^  ok +{door}: ", out, re.MULTILINE), out


async def test_the_doctor_names_a_model_without_a_price(home: Path) -> None:
    code, out, _ = await _said(home, "doctor", VIVA_CHAT_MODEL="nobody-knows-it")
    assert code == 1
    assert "no price for VIVA_CHAT_MODEL=nobody-knows-it" in out and "VIVA_PRICES_FILE" in out


async def test_the_ledger_of_a_fresh_house_is_exact(home: Path) -> None:
    assert (await _said(home, "ledger", "check"))[:2] == (0, "The ledger is exact.\n")


async def test_migrate_brings_the_database_up_to_date_as_often_as_one_likes(home: Path) -> None:
    for _ in range(2):
        assert (await _said(home, "migrate"))[:2] == (0, "The database is up to date.\n")


async def test_with_nothing_set_the_playground_prints_an_address_and_stops_cleanly(home: Path) -> None:
    process = await _viva(home, PLAYGROUND_PORT="0")
    assert process.stdout is not None and process.stderr is not None
    address = None
    while address is None:
        line = await process.stdout.readline()
        assert line, (await process.stderr.read()).decode()
        address = re.search(rb"http://127\.0\.0\.1:\d+/\?key=\S+", line)
    async with aiohttp.ClientSession() as browser, browser.get(address[0].decode()) as page:
        assert page.status == 200
        assert "VIVA" in await page.text()
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert process.returncode == 0


async def test_a_second_viva_on_the_same_data_says_so_in_a_sentence(home: Path) -> None:
    process = await _viva(home, PLAYGROUND_PORT="0")
    assert process.stdout is not None
    while b"http://" not in await process.stdout.readline():
        pass
    code, _, err = await _said(home, "ledger", "check")
    process.send_signal(signal.SIGTERM)
    await process.communicate()
    assert code == 2
    assert "VIVA_HOME" in err and "Traceback" not in err


async def test_the_payments_of_a_fresh_house_are_all_in_the_books(home: Path, tmp_path: Path) -> None:
    telegram = TelegramServer(tmp_path / "telegram", token=TOKEN)
    await telegram.start()
    try:
        door = {"TELEGRAM_BOT_TOKEN": TOKEN, "TELEGRAM_API_URL": telegram.url}
        assert (await _said(home, "payments", "check", **door))[:2] == (0, "Every payment is in the books.\n")
        person = next(iter(telegram.chats.people))
        telegram.chats.now = lambda: 1_700_000_000.0
        charge_id = telegram.chats.add_payment(person, stars=250, payload="lost")
        code, out, _ = await _said(home, "payments", "check", **door)
        assert (code, out) == (1, f"{charge_id}  Telegram: paid 250, VIVA: unknown\n")
        assert (await _said(home, "payments", "check", **door | {"TELEGRAM_BOT_TOKEN": "1:wrong"}))[0] == 2
    finally:
        await telegram.stop()
    assert (await _said(home, "payments", "check"))[0] == 2
