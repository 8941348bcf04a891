"""Help names each command once."""

from __future__ import annotations

from handlers import help
from prompts import replies


def test_help_names_each_command_once_and_none_that_is_not_there() -> None:
    lines = str(replies.of("house")("help_text")).splitlines()
    named = [line.split()[0].removeprefix("/") for line in lines if line.startswith("/")]
    assert sorted(named) == sorted(set(help.COMMANDS) - {"start", "help"})
