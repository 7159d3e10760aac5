"""Uses that generate a part of an OpenEXR image: the rest keeps its values above 1."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair as lp
from lonepair.media.stills.image import decode_image, write_image
from lonepair.render.highlights import completed_gain
from tiny_models import OTHER, model_of
from tiny_settings import picture

pytest.importorskip("OpenEXR")
HOLE = (slice(10, 16), slice(12, 18))


def gains() -> Tensor:
    """1 in the left half of an image, 4 in the right one."""
    gain = torch.ones(1, 1, *OTHER)
    gain[..., OTHER[1] // 2 :] = 4
    return gain


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An EXR file."""
    write_image(tmp_path / "image.exr", picture(*OTHER, seed=5), gain=gains())
    return tmp_path / "image.exr"


@pytest.mark.parametrize(
    ("method", "use", "settings"),
    [
        ("lonepair-single", "inpaint", {"dilate": 0}),
        ("singan", "edit", {"dilate": 0, "feather": 0.0}),
        ("singan", "harmonize", {"dilate": 0, "feather": 0.0}),
    ],
)
def test_pixels_that_stay_keep_their_values_above_1(
    tmp_path: Path, image: Path, method: str, use: str, settings: dict[str, Any]
) -> None:
    mask = -torch.ones(1, 1, *OTHER)
    mask[(..., *HOLE)] = 1
    getattr(model_of(method), use)(image, mask, **settings).save(tmp_path / "result.exr")
    before, after = decode_image(image), decode_image(tmp_path / "result.exr")
    stays = torch.ones(OTHER, dtype=torch.bool)
    stays[HOLE] = False
    assert before.gain is not None
    assert after.gain is not None
    assert torch.equal(after.image[..., stays], before.image[..., stays])
    assert torch.equal(after.gain[..., stays], before.gain[..., stays])
    assert before.gain[..., stays].max() > 3


def test_new_area_beside_a_bright_one_continues_its_gain_where_it_is_bright() -> None:
    image = torch.ones(1, 3, OTHER[0], OTHER[1] + 8)
    image[:, :, OTHER[0] // 2 :] = -0.5
    known = torch.zeros(image.shape[-2:], dtype=torch.bool)
    known[:, : OTHER[1]] = True
    gain = completed_gain(gains(), (0, 8, 0, 0), known, image)
    assert gain is not None
    assert torch.equal(gain[..., : OTHER[1]], gains())
    new = gain[..., OTHER[1] :]
    assert new[..., : OTHER[0] // 2, 0].min() > 3.5
    assert 1 < new[..., : OTHER[0] // 2, -1].min() < 4
    assert new[..., OTHER[0] // 2 :, :].max() == 1


@pytest.mark.parametrize(("name", "messages"), [("large.png", 1), ("large.exr", 0)])
def test_file_that_holds_no_values_above_1_says_so(
    tmp_path: Path, image: Path, caplog: pytest.LogCaptureFixture, name: str, messages: int
) -> None:
    with caplog.at_level(logging.WARNING, "lonepair"):
        result = model_of("lonepair-single").outpaint(image, left=4)
        assert isinstance(result, lp.Picture)
        result.save(tmp_path / name)
    assert [record.getMessage() for record in caplog.records].count(
        f"{tmp_path / name}: values above 1 are lost; write an .exr file to retain them"
    ) == messages
