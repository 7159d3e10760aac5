"""The mask of a translation: where it is black, the source stays; grey blends; a clip has one mask for each frame."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.source import open_source
from lonepair.ops.color import match_channels
from lonepair.render.frame_masks import FrameMasks
from tiny_models import SIZE, methods_that, model_of
from tiny_settings import picture

WHITE, BLACK = torch.ones(1, 1, *SIZE), -torch.ones(1, 1, *SIZE)


def left_half(value: float = 1.0) -> Tensor:
    """A mask of `value` on the left and black on the right, in [-1, 1]."""
    mask = -torch.ones(1, 1, *SIZE)
    mask[..., : SIZE[1] // 2] = value
    return mask


@methods_that("translate")
def test_black_keeps_the_source_and_white_the_translation(name: str) -> None:
    model, source, half = model_of(name), picture(*SIZE, seed=3), SIZE[1] // 2
    whole, masked = model.translate(source).image, model.translate(source, mask=left_half()).image
    assert torch.equal(masked[..., half:], source[..., half:])
    assert torch.allclose(masked[..., :half], whole[..., :half], atol=1e-6)


def test_grey_is_a_weight() -> None:
    model, source = model_of("lonepair"), picture(*SIZE, seed=3)
    output = model.translate(source, mask=0 * WHITE).image
    assert torch.allclose(output, (source + model.translate(source).image) / 2, atol=1e-6)


@pytest.mark.parametrize(("model_channels", "source_channels"), [(1, 3), (1, 4), (3, 1), (3, 4)])
def test_the_source_keeps_its_own_channels_outside_the_mask(model_channels: int, source_channels: int) -> None:
    source, half = picture(*SIZE, source_channels, seed=3), SIZE[1] // 2
    output = model_of("lonepair", model_channels).translate(source, mask=left_half()).image
    wide = match_channels(source, max(model_channels, source_channels))
    assert torch.equal(output[..., half:], wide[..., half:])


def test_opaque_parts_of_a_transparent_mask_are_marked() -> None:
    black_with_alpha = torch.cat([BLACK.expand(1, 3, -1, -1), left_half()], 1)
    model, source = model_of("lonepair"), picture(*SIZE, seed=3)
    outputs = [model.translate(source, mask=mask).image for mask in (black_with_alpha, left_half())]
    assert torch.equal(*outputs)


def test_a_mask_of_another_size_is_resized_to_the_output() -> None:
    source = picture(*SIZE, seed=3)
    output = model_of("lonepair").translate(source, mask=torch.ones(1, 1, 7, 9), size=(30, 25)).image
    assert torch.allclose(output, model_of("lonepair").translate(source, size=(30, 25)).image, atol=1e-5)


def test_each_frame_of_a_clip_has_its_mask() -> None:
    clip = torch.cat([picture(*SIZE, seed=seed) for seed in (3, 4, 5)])
    masks = torch.cat([BLACK, WHITE, BLACK])
    frames = [frame.image for frame in model_of("lonepair").translate(clip, mask=masks).frames()]
    assert [torch.equal(frame[0], source) for frame, source in zip(frames, clip, strict=True)] == [True, False, True]
    alone = model_of("lonepair").translate(clip, mask=masks).frame(2).image
    assert torch.equal(alone, frames[2])


def test_one_image_masks_all_frames() -> None:
    clip = torch.cat([picture(*SIZE, seed=seed) for seed in (3, 4)])
    frames = [frame.image for frame in model_of("lonepair").translate(clip, mask=left_half()).frames()]
    half = SIZE[1] // 2
    assert all(
        torch.equal(frame[0, ..., half:], source[..., half:]) for frame, source in zip(frames, clip, strict=True)
    )


@pytest.mark.parametrize(
    ("mask", "frames", "message"),
    [
        (BLACK, 1, "marks no pixel: make what is translated white or opaque"),
        (torch.cat([WHITE, WHITE]), 1, "give an image as mask"),
        (torch.cat([WHITE, WHITE]), 3, "with 2 frames, the Tensor has 3: give one mask for each frame"),
        ("no-such-file.png", 1, "no-such-file.png: no such file"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_in_one_line(mask: Any, frames: int, message: str) -> None:
    source = open_source(torch.cat([picture(*SIZE, seed=seed) for seed in range(frames)]))
    with pytest.raises(UserError, match=message) as error:
        FrameMasks.of(mask, source)
    assert "\n" not in str(error.value)
