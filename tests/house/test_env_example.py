"""`.env.example` and the README name every setting, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from bot.config import Settings

HOME = Path(__file__).parents[2]


def test_env_example_lists_every_setting_and_no_other() -> None:
    text = (HOME / ".env.example").read_text(encoding="utf-8")
    listed = re.findall(r"^([A-Z_]+)=", text, re.MULTILINE)
    assert sorted(listed) == sorted(name.upper() for name in Settings.model_fields)


def test_env_example_as_it_stands_changes_nothing() -> None:
    settings = Settings(_env_file=HOME / ".env.example")  # type: ignore[call-arg]
    plain = Settings(_env_file=None)  # type: ignore[call-arg]
    assert settings == plain


def test_the_readme_names_every_setting() -> None:
    text = (HOME / "README.md").read_text(encoding="utf-8")
    assert [name.upper() for name in Settings.model_fields if f"`{name.upper()}`" not in text] == []
