"""Try every bad input of `tests/bad_inputs.py` and print what each gives, as a Markdown table.

    python benchmarks/bad_inputs.py > docs/results/bad-inputs.md

Exit status 1 where one gives a traceback, more than one line, another status than 2, or leaves something behind.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from datetime import date
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from bad_inputs import CASES, TINY, NotHereError, make_material, run

HEADER = """\
# Bad inputs, and the one line that each gives

`python benchmarks/bad_inputs.py`, {today}, on a CPU. The cases are in `tests/bad_inputs.py` and are a part of the test
suite. Each is a command line, or a Python expression that raises `lonepair.UserError`. Every training has
`{tiny}`
(those of it that the method has) in front of the flags that are shown. Checked for each: the exit status is 2, there is
one line and no traceback, and no file has appeared, changed or gone. Where a training had begun before it went wrong
(marked *), what it said so far precedes the line, and its run's folder stays, without half-written files.

| case | command or call | exit status | the line |
| --- | --- | --- | --- |"""


def short(text: str) -> str:
    """`text` for a cell: no 300-letter words, no bars."""
    for letter in "ao":
        text = text.replace(letter * 300, f"{letter * 3}...{letter * 3}")
    return text.replace("|", "\\|")


def main() -> int:
    """Print the table; 0 where every case is refused as it should be."""
    torch.set_num_threads(1)
    faults, skipped = [], []
    print(HEADER.format(tiny=" ".join(TINY), today=date.today().isoformat()))
    with tempfile.TemporaryDirectory() as temporary:
        material = Path(temporary, "material")
        material.mkdir()
        make_material(material)
        for index, case in enumerate(CASES):
            folder = Path(temporary, str(index))
            shutil.copytree(material, folder)
            try:
                outcome = run(case, folder)
            except NotHereError as why:
                skipped.append(f"{case.name} ({why})")
                continue
            mark = " *" if case.keeps else ""
            line = outcome.lines[-1] if outcome.lines else ""
            print(f"| {case.name}{mark} | `{short(case.call)}` | {outcome.status} | {short(line)} |")
            faults += [f"{case.name}: {fault}" for fault in outcome.faults(case)]
    print(f"\n{len(CASES) - len(skipped)} cases, {len(faults)} of them not refused as they should be.")
    for text in skipped:
        print(f"\nNot tried on this machine: {text}.")
    for text in faults:
        print(text, file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
