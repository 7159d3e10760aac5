"""Arguments are parsed alike in the form that they mention and in the form with all flags."""

from __future__ import annotations

import pytest

from lonepair.commands import COMMANDS
from lonepair.commands.parsing import parse_all, parse_mentioned


@pytest.mark.parametrize(
    "line",
    [
        "translate a.png b.png",
        "translate a.png b.png -o out.png --stages 3 --no-synthesize --preset draft --synthesis_rounds 3",
        "translate a.png b.png c.png --masks m.png n.png --start-stage 1 --lambda-structure=0.5 --size 30x40",
        "translate a.png m.safetensors --key 0001.png --key 0002.png --colour .5 --reverse",
        "train a.png --method consingan --task animation --seed 4 --run r --dtype float32",
        "sample m.safetensors --synthesis-rounds 3 --synthesis-texture-contrast False",
        "edit m.safetensors a.png --mask m.png --start-stage 1",
        "eval runs/a runs/b --device cpu",
    ],
)
def test_mentioned_flags_give_the_same_form_as_all_flags(line: str) -> None:
    name, *arguments = line.split()
    form = COMMANDS[name].form(arguments)
    assert parse_mentioned(form, name, arguments) == parse_all(form, name, arguments)
