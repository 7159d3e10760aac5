"""Shapes in signatures are enforced under the test run, and only there (see `addopts` in pyproject.toml).

With a package alone, jaxtyping's pytest flag silently checks nothing; this test is what notices.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from lonepair.losses import mean_squared_error
from lonepair.ops.resize import resize
from typecheck import checked


def test_a_wrong_number_of_axes_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        resize(torch.zeros(3, 8, 8), (4, 4))


def test_a_wrong_type_of_numbers_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        resize(torch.zeros(1, 3, 8, 8, dtype=torch.int64), (4, 4))


def test_axes_of_one_name_must_agree() -> None:
    with pytest.raises(TypeCheckError):
        mean_squared_error(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))


@checked
def crop(
    image: Float[Tensor, "b c h w"], first: int = 0, *skipped: int, retain: bool = True
) -> Float[Tensor, "b c h w"]:
    return image[:, :, first:] if retain else image[0]


@checked
@dataclass
class Settings:
    rate: float
    names: list[str] = field(default_factory=list)


IMAGE = torch.zeros(1, 3, 8, 8)


def test_axes_of_the_result_must_agree_with_those_of_the_arguments() -> None:
    assert crop(IMAGE, 0, 1, retain=True).shape == (1, 3, 8, 8)
    with pytest.raises(TypeCheckError, match="return"):
        crop(IMAGE, 1)
    with pytest.raises(TypeCheckError, match="return"):
        crop(IMAGE, retain=False)


def test_arguments_of_every_kind_are_checked() -> None:
    for arguments, named in (((IMAGE, "1"), {}), ((IMAGE, 0, "1"), {}), ((IMAGE[0],), {}), ((IMAGE,), {"retain": 1})):
        with pytest.raises(TypeCheckError, match="parameter"):
            crop(*arguments, **named)


def test_fields_of_dataclasses_are_checked() -> None:
    assert Settings(1, ["a"]) == Settings(1.0, names=["a"])
    for arguments in (("1",), (1.0, [2])):
        with pytest.raises(TypeCheckError, match="parameter"):
            Settings(*arguments)


def test_sizes_that_arguments_give_are_checked() -> None:
    @checked
    def first_rows(image: Tensor, count: int) -> Float[Tensor, "b c {count} w"]:
        return image[:, :, : min(count, 4)]

    assert first_rows(IMAGE, 3).shape == (1, 3, 3, 8)
    with pytest.raises(TypeCheckError, match="return"):
        first_rows(IMAGE, 5)
