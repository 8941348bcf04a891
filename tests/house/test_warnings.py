"""Python's own warnings go the way of the logs."""

from __future__ import annotations

import json
import subprocess
import sys

WORDS = "marmalade"
PROGRAM = f"""
import warnings
from bot import logs
logs.set_up("INFO")
warnings.warn("expected a number, got {WORDS}", stacklevel=1)
"""


def test_a_warning_is_named_and_not_quoted() -> None:
    said = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stderr
    line = json.loads(said)
    assert (line["level"], line["category"], line["where"]) == ("warning", "UserWarning", "<string>:5")
    assert WORDS not in said
