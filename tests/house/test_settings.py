"""Settings: a wrong one is said in one sentence that names the variable, and never quotes a secret."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from bot.config import Settings, read_settings
from bot.errors import SettingsError

HOUSE = Path(__file__).parents[2]
TOKEN = "123456789:AAE-thirty-five-characters-of-secret"

WRONG = {
    "TELEGRAM_BOT_TOKEN": ["abc", "123456789", "abc:AAE-thirty-five-characters", "123456789:short"],
    "TELEGRAM_API_URL": ["nonsense", "ftp://telegram.example", "https://"],
    "TELEGRAM_WEBHOOK_SECRET": ["two words", "ключ", "x" * 257],
    "TELEGRAM_CHAT_RATE": ["0", "-1", "fast", "nan"],
    "TELEGRAM_RATE": ["0", "100000"],
    "WEBHOOK_PORT": ["0", "70000", "https"],
    "PLAYGROUND_PORT": ["-1", "70000"],
    "OPENAI_BASE_URL": ["nonsense", "localhost:8080"],
    "VIVA_CONTEXT_TOKENS": ["5", "1000000"],
    "VIVA_STARTING_TOKENS": ["-1", "many", "1.5"],
    "VIVA_ADMIN_IDS": ["me", "1;2"],
    "DATABASE_POOL_SIZE": ["1", "1000"],
    "DATABASE_URL": [
        "nonsense",
        "mysql://viva:hidden@host/viva",
        "postgresql://viva:hid#den@host/viva",
        "postgresql://viva:hid/den@host/viva",
        "postgresql://viva:hidden@host:port/viva",
    ],
    "LOG_LEVEL": ["loud", "debug"],
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting comes from whoever runs the tests."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_setting_is_said_in_one_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as raised:
        read_settings()
    said = str(raised.value)
    assert said.startswith(f"{name} ") and said.endswith(".") and "\n" not in said
    assert "hid" not in said and "den@" not in said and "secret" not in said


def test_a_webhook_needs_its_secret_and_https(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_WEBHOOK_URL", "https://viva.example")
    with pytest.raises(SettingsError, match="TELEGRAM_WEBHOOK_SECRET must be set together with TELEGRAM_WEBHOOK_URL"):
        read_settings()
    monkeypatch.setenv("TELEGRAM_WEBHOOK_SECRET", "a-secret")
    assert read_settings().telegram_webhook_url == "https://viva.example"
    for wrong in ("http://viva.example", "viva.example", "http://127.0.0.1.example"):
        monkeypatch.setenv("TELEGRAM_WEBHOOK_URL", wrong)
        with pytest.raises(SettingsError, match="TELEGRAM_WEBHOOK_URL must begin with https://"):
            read_settings()
    # A Bot API server on this machine may knock without TLS.
    monkeypatch.setenv("TELEGRAM_WEBHOOK_URL", "http://127.0.0.1:8443")
    assert read_settings().telegram_webhook_url == "http://127.0.0.1:8443"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://viva:secret@host:5432/viva",
        "postgres://viva@host/viva?sslmode=require",
        "postgresql://viva@/viva?host=/run/postgresql",
        "postgresql:///viva?host=/run/postgresql",
        "postgresql://viva:s%23cret@one:5432,two:5433/viva",
        "postgresql://viva@[::1]:5432/viva",
    ],
)
def test_the_ways_to_write_the_address_of_a_database_are_taken(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert read_settings().database_url == url


def test_what_is_empty_keeps_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.setenv(name.upper(), "")
    assert read_settings() == Settings(_env_file=None)  # type: ignore[call-arg]


def test_no_secret_shows_when_settings_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEGRAM_BOT_TOKEN", TOKEN)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-great-worth")
    monkeypatch.setenv("TELEGRAM_WEBHOOK_SECRET", "between-the-two")
    shown = repr(read_settings())
    assert TOKEN not in shown and "sk-of-great-worth" not in shown and "between-the-two" not in shown


@pytest.mark.parametrize(
    "wrong",
    [
        {"TELEGRAM_BOT_TOKEN": "abc"},
        {"DATABASE_URL": "postgresql://viva:hid#den@host/viva", "TELEGRAM_BOT_TOKEN": TOKEN},
        {"DATABASE_URL": "postgresql://viva:hidden@127.0.0.1:1/viva", "TELEGRAM_BOT_TOKEN": TOKEN},
        {"VIVA_HOME": "/dev/null/home"},
    ],
)
async def test_the_command_ends_with_2_and_one_sentence(tmp_path: Path, wrong: dict[str, str]) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot",
        cwd=tmp_path,
        env=kept | {"PYTHONPATH": str(HOUSE), "HOME": str(tmp_path), "LOG_LEVEL": "ERROR"} | wrong,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert (process.returncode, out) == (2, b"")
    said = err.decode().splitlines()
    assert len(said) == 1 and said[0].startswith(next(iter(wrong)))
    assert "hid" not in said[0]
