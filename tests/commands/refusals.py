"""Bad inputs and how a command refuses them: one line, exit status 2, no file changed.

`test_bad_inputs.py` and `benchmarks/bad_inputs.py` run the cases of `bad_input_cases.py`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

import lonepair as lp
from command_line import tiny_flags, write_clip
from lonepair.commands.main import main
from lonepair.commands.train import method_for_inputs
from lonepair.media.stills.image import write_image
from lonepair.methods import DEFAULT, names
from tiny_models import untrained
from tiny_settings import picture


@dataclass(frozen=True)
class Case:
    """A bad input. It runs in a folder that holds the files of `make_material`."""

    name: str
    call: str
    """A command line that starts with "lonepair", or a Python expression."""
    expected: str
    """Part of the expected line."""
    prepare: Callable[[], object] = lambda: None
    """Makes the bad files in the current folder."""
    environment: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
    """The machine on which it runs."""
    may_change: str = ""
    """Start of the paths that may change because a training began; messages may precede the line then."""


@dataclass
class Outcome:
    """The result of a case."""

    status: int | str
    """Exit status; of a Python expression, the name of the error, or "accepted"."""
    lines: list[str]
    changed: list[str] = field(default_factory=list)
    """Files that appeared, changed or disappeared."""

    def faults(self, case: Case) -> list[str]:
        """What is wrong with how the case was refused; empty if nothing is."""
        faults = []
        if self.status not in (2, "UserError"):
            faults.append(f"status is {self.status}")
        if not self.lines or case.expected not in self.lines[-1]:
            faults.append(f"does not say {case.expected!r}")
        if len(self.lines) > 1 and not case.may_change:
            faults.append(f"{len(self.lines)} lines")
        if any("Traceback" in line for line in self.lines):
            faults.append("a traceback")
        if self.changed:
            faults.append(f"left behind: {', '.join(self.changed)}")
        return faults


def make_material(folder: Path) -> None:
    """Write a source, a target, a clip, a trained run, its model, and untrained models of one image of two methods."""
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
        write_image("a.png", picture(24, 20, seed=1))
        write_image("b.png", picture(20, 26, seed=2))
        write_clip("clip.mp4", [Fraction(index, 25) for index in range(3)])
        assert main(["train", *tiny_flags(), "a.png", "b.png"]) == 0
        shutil.copy("runs/a-to-b/model.safetensors", "model.safetensors")
        for method, name in (("singan", "one"), ("consingan", "other")):
            untrained(method, Path(f"{name}.safetensors"))


def run(case: Case, folder: Path) -> Outcome:
    """Run `case` in `folder`, which holds the material.

    Raises:
        CannotMakeCaseError: on a machine that cannot imitate the case's.
    """
    messages = io.StringIO()
    with contextlib.chdir(folder):
        case.prepare()
        with case.environment():
            before = _checksums()
            with contextlib.redirect_stderr(messages), contextlib.redirect_stdout(messages):
                status = _attempt(case.call, messages)
            changed = _changes(before, _checksums(), case.may_change)
    lines = [line for line in messages.getvalue().replace("\r", "\n").split("\n") if line.strip()]
    return Outcome(status, lines, changed)


def _attempt(call: str, messages: io.StringIO) -> int | str:
    """Run a command line or a Python expression; returns its status and writes an error's text."""
    words = shlex.split(call)
    if words[0] == "lonepair":
        return main(_with_tiny_flags(words[1:]))
    variables = {"lp": lp, "np": np, "torch": torch, "nan": math.nan}
    variables["model"] = lambda: lp.load("model.safetensors", "cpu")
    variables["one"] = lambda: lp.load("one.safetensors", "cpu")
    variables["tiny"] = {"stages": 2, "min_side": 14, "max_side": 20, "width": 8, "steps": 3, "finest_steps": 3}
    try:
        eval(call, variables)
    except lp.UserError as error:
        messages.write(str(error))
    except Exception as error:
        messages.write(f"Traceback: {type(error).__name__}: {error}")
        return type(error).__name__
    else:
        return "accepted"
    return "UserError"


def _with_tiny_flags(words: list[str]) -> list[str]:
    """`words` with tiny settings if they train, so that a case that is accepted by mistake ends soon."""
    has_model = words[0] == "translate" and any(word.endswith(".safetensors") for word in words)
    if words[0] not in ("translate", "train", "generate") or has_model:
        return words
    default = DEFAULT if words[0] == "translate" else method_for_inputs(words[1:])
    method = words[words.index("--method") + 1] if "--method" in words[:-1] else default
    return [words[0], *tiny_flags(method if method in names() else DEFAULT), *words[1:]]


def _checksums() -> dict[str, str]:
    """Path -> SHA-256 of every file in the current folder and below; of a folder, "folder"."""
    paths = sorted(Path().rglob("*"))
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder" for p in paths}


def _changes(before: dict[str, str], after: dict[str, str], may_change: str) -> list[str]:
    """Paths that differ, without those that may change; temporary files may never remain."""
    different = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    faulty = [path for path in different if not may_change or not path.startswith(may_change)]
    return faulty + [path for path in different if path not in faulty and Path(path).name.startswith(".lonepair-")]
