"""Shapes in signatures are enforced under the test run, and only there (see `addopts` in pyproject.toml).

With a package alone, jaxtyping's pytest flag silently checks nothing; this test is what notices.
"""

import pytest
import torch
from jaxtyping import TypeCheckError

from lonepair.losses import mean_squared_error
from lonepair.ops.resize import resize


def test_a_wrong_number_of_axes_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        resize(torch.zeros(3, 8, 8), (4, 4))


def test_a_wrong_type_of_numbers_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        resize(torch.zeros(1, 3, 8, 8, dtype=torch.int64), (4, 4))


def test_axes_of_one_name_must_agree() -> None:
    with pytest.raises(TypeCheckError):
        mean_squared_error(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))
