"""Shapes in signatures are enforced under the test run, and only there (see `addopts` in pyproject.toml).

With a package alone, jaxtyping's pytest flag silently checks nothing; this test is what notices. It calls functions
that no other test calls hundreds of times: of those later calls only a part is checked (`typecheck`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
import torch
from jaxtyping import Float, TypeCheckError
from torch import Tensor

from lonepair.metrics import psnr
from lonepair.metrics.seam import seam_error
from typecheck import ALL_CHECKED, ONE_CHECKED_IN, checked


def test_a_wrong_number_of_axes_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        seam_error(torch.zeros(3, 8, 8), "x")


def test_a_wrong_type_of_numbers_is_refused() -> None:
    with pytest.raises(TypeCheckError):
        seam_error(torch.zeros(1, 3, 8, 8, dtype=torch.int64), "x")


def test_axes_of_one_name_must_agree() -> None:
    with pytest.raises(TypeCheckError):
        psnr(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 9))


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


def test_a_function_that_is_called_often_is_still_checked_in_part() -> None:
    @checked
    def size(image: Float[Tensor, "b c h w"]) -> int:
        return image.ndim

    for _ in range(ALL_CHECKED):
        assert size(torch.zeros(1, 3, 4, 4)) == 4
    refused = 0
    for _ in range(2 * ONE_CHECKED_IN):
        try:
            size(torch.zeros(3, 4, 4))
        except TypeCheckError:
            refused += 1
    assert refused == 2
