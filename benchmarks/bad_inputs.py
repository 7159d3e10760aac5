"""Runs every case of `tests/commands/bad_input_cases.py` and prints the messages as a Markdown table.

    python benchmarks/bad_inputs.py > docs/results/bad-inputs.md

The exit status is 1 if a case gives a traceback, several lines or a status other than 2, or changes a file.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

import torch

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("tests", "tests/commands"))
from bad_input_cases import CASES
from limited_machines import CannotMakeCaseError
from refusals import make_material, run

from command_line import TINY_FLAGS

HEADER = """\
# Bad inputs and their messages

`python benchmarks/bad_inputs.py`, {today}, on a CPU. The cases are in `tests/commands/bad_input_cases.py`; the test
suite runs them, too. Each case is a command line, or a Python expression that raises `lonepair.UserError`. Every
training has these flags, if its method has them, before those that the table shows:

`{tiny}`

Each case is checked for an exit status of 2, a message of one line without a traceback, and no file that appeared,
changed or disappeared. A case marked * begins a training and then fails: messages of the training precede the line, and
the run's folder remains, without partly written files.

| case | command or call | exit status | message |
| --- | --- | --- | --- |"""


def to_cell(text: str) -> str:
    """`text` as a cell of the table: words of 300 letters are shortened, bars are escaped."""
    for letter in "ao":
        text = text.replace(letter * 300, f"{letter * 3}...{letter * 3}")
    return text.replace("|", "\\|")


def main() -> int:
    """Print the table; returns 0 if no case has a fault."""
    torch.set_num_threads(1)
    faults, skipped = [], []
    print(HEADER.format(tiny=" ".join(TINY_FLAGS), today=date.today().isoformat()))
    with tempfile.TemporaryDirectory() as temporary:
        material = Path(temporary, "material")
        material.mkdir()
        make_material(material)
        for index, case in enumerate(CASES):
            folder = Path(temporary, str(index))
            shutil.copytree(material, folder)
            try:
                outcome = run(case, folder)
            except CannotMakeCaseError as reason:
                skipped.append(f"{case.name} ({reason})")
                continue
            mark = " *" if case.may_change else ""
            line = outcome.lines[-1] if outcome.lines else ""
            print(f"| {case.name}{mark} | `{to_cell(case.call)}` | {outcome.status} | {to_cell(line)} |")
            faults += [f"{case.name}: {fault}" for fault in outcome.faults(case)]
    print(f"\n{len(CASES) - len(skipped)} cases, {len(faults)} faults.")
    for text in skipped:
        print(f"\nNot run on this machine: {text}.")
    for text in faults:
        print(text, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
