"""Real processes of VIVA, forked from one that has imported everything: a start costs little, and a kill is real."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path

import bot.__main__
import bot.app
import bot.playground.house
from bot.ai import tokens

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
tokens.encoding()


def serve(environment: Mapping[str, str], folder: Path) -> None:
    """Be `viva serve` with this environment; what is logged goes into the folder's `log`."""
    os.chdir(folder)
    log = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["viva", "serve"]
    bot.__main__.main()


def start(environment: Mapping[str, str], folder: Path) -> BaseProcess:
    """A new process of VIVA."""
    process = CONTEXT.Process(target=serve, args=(dict(environment), folder), daemon=True)
    process.start()
    return process
