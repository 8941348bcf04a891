"""Folders for what jobs write and do not keep. What a process that was killed left behind in one is swept."""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 24 * 3600
"""For so long a folder may still be somebody's who is at work."""


def place(home: Path) -> Path:
    """Where the folders lie below VIVA_HOME."""
    return home / "scratch"


@contextlib.contextmanager
def folder(home: Path) -> Iterator[Path]:
    """A new folder that its owner alone can read, gone at the end of the block."""
    place(home).mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=place(home), ignore_cleanup_errors=True) as name:
        yield Path(name)


def sweep(home: Path) -> None:
    """Remove the folders that nobody has written into for a day."""
    removed = 0
    with contextlib.suppress(OSError):
        for left in place(home).iterdir():
            if left.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
                removed += 1
    if removed:
        log.warning("folders that were left behind were removed", extra={"folders": removed})
