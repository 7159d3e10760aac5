"""Run options: ranges and messages."""

from __future__ import annotations

import math

import pytest

from lonepair.errors import UserError
from lonepair.train.options import Options


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("threads", -1),
        ("max_minutes", -0.5),
        ("max_minutes", math.nan),
        ("checkpoint_minutes", -1.0),
        ("preview_minutes", -1.0),
    ],
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"^{field} is {value}: choose 0"):
        Options(**{field: value})


def test_all_wrong_options_are_in_one_message() -> None:
    with pytest.raises(UserError, match=r"seed is -1: .*; threads is -2: "):
        Options(seed=-1, threads=-2)
