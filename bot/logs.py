"""Logs as JSON lines with ids only: never a person's words, never a token or a key."""

from __future__ import annotations

import json
import logging
import re
import sys
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

_TOKEN = re.compile(r"\d{5,}:[\w-]{20,}|sk-[\w-]{8,}")
_WARNINGS = logging.getLogger("bot.warnings")
_OURS = set(logging.makeLogRecord({}).__dict__) | {"message", "taskName"}


class Lines(logging.Formatter):
    """One JSON object a line; anything that looks like a bot token or a key is blotted out."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line, with the fields given as `extra`."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
        }
        if record.name == "asyncio":
            # Its first line says what happened; the others quote tasks and errors, and so may quote content.
            line["message"] = str(line["message"]).partition("\n")[0]
        line |= {key: value for key, value in record.__dict__.items() if key not in _OURS}
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = record.exc_info[0].__name__
        return without_secrets(json.dumps(line, ensure_ascii=False, default=str))


def without_secrets(text: str) -> str:
    """The text with everything that looks like a bot token or a key blotted out."""
    return _TOKEN.sub("[secret]", text)


def set_up(level: str) -> None:
    """Send VIVA's own logs to standard error; libraries only from warnings up, since theirs may quote content."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("bot", "handlers", "storage", "prompts", "__main__"):
        logging.getLogger(name).setLevel(level)
    # aiogram's dispatcher prints whole updates in its warnings.
    logging.getLogger("aiogram").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    warnings.showwarning = _warned


def _warned(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Log a warning of Python's by its kind and place: its text may quote a value that it is about."""
    _WARNINGS.warning("a warning", extra={"category": category.__name__, "where": f"{Path(filename).name}:{lineno}"})
