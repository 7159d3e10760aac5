"""Processes that start within a tenth of a second: a server that has loaded torch and the package forks them.

They share nothing with the process that starts them, and check no types. `fresh_python` starts those that must not
have loaded anything.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

# A training loads torch._dynamo.
_LOADED = ["torch._dynamo", "lonepair.api.job", "lonepair.api.batch.pools", "lonepair.render.workers"]

context = multiprocessing.get_context("forkserver" if os.name == "posix" else "spawn")
if os.name == "posix":
    context.set_forkserver_preload(_LOADED)


def start_module(name: str, words: Sequence[str], out: Path, error: Path, *folders: Path) -> BaseProcess:
    """Start `python -m NAME` with the arguments `words` in the current folder.

    Args:
        name: Name of the module.
        words: Arguments.
        out: File for the process's stdout.
        error: File for its stderr.
        folders: Folders to search first for modules.
    """
    process = context.Process(target=_run_module, args=(name, list(words), Path.cwd(), (out, error), folders))
    process.start()
    return process


def _run_module(
    name: str, words: list[str], folder: Path, outputs: tuple[Path, Path], folders: tuple[Path, ...]
) -> None:
    os.chdir(folder)
    _redirect(*outputs)
    sys.path[:0] = map(str, folders)
    sys.argv[1:] = words
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _redirect(out: Path, error: Path) -> None:
    for path, number in ((out, 1), (error, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)


def output_of(code: str) -> str:
    """What `code` prints."""
    with tempfile.TemporaryDirectory() as folder:
        printed = Path(folder) / "printed"
        process = context.Process(target=_run_code, args=(code, printed))
        process.start()
        process.join()
        return printed.read_text()


def _run_code(code: str, printed: Path) -> None:
    _redirect(printed, printed)
    exec(code, {})


class Popen:
    """Stands for `subprocess.Popen`, of commands `python -m NAME ...` whose output goes to a file."""

    def __init__(self, command: Sequence[str], stdout: IO[Any], **_: Any) -> None:
        _, flag, name, *words = command
        assert flag == "-m"
        self._process = start_module(name, words, Path(stdout.name), Path(stdout.name))

    def poll(self) -> int | None:
        """The exit status; None while the process runs."""
        return self._process.exitcode
