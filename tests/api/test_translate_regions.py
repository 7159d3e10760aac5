"""Several styles in one picture: each in its region, the source elsewhere, and clear refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair as lp
from tiny_models import SIZE, model_of
from tiny_settings import picture

H, W = SIZE


def stripe(first: int, last: int) -> Tensor:
    """A mask that is white in columns `first` to `last`."""
    mask = -torch.ones(1, 1, H, W)
    mask[..., first:last] = 1
    return mask


def models() -> list[Any]:
    return [model_of("lonepair"), model_of("lonepair")]


def test_what_is_in_no_mask_keeps_the_source() -> None:
    source = picture(*SIZE, seed=3)
    masks = [stripe(0, 8), stripe(8, 14)]
    output = lp.translate_regions(source, models(), masks, reverse=[False, True]).image
    assert torch.equal(output[..., 14:], source[..., 14:])
    assert not torch.allclose(output[..., :14], source[..., :14], atol=0.1)


def test_a_style_whose_mask_is_everywhere_is_alone() -> None:
    source = picture(*SIZE, seed=3)
    whole = [stripe(0, W), 0.999 * -torch.ones(1, 1, H, W)]
    output = lp.translate_regions(source, models(), whole, texture_size=1.0, reverse=[False, True]).image
    assert torch.allclose(output, model_of("lonepair").translate(source, texture_size=1.0).image, atol=0.02)


def test_two_styles_differ_from_both_near_the_seam_only() -> None:
    source = picture(48, 96, seed=3)
    left = -torch.ones(1, 1, 48, 96)
    left[..., :48] = 1
    both = lp.translate_regions(source, models(), [left, -left], reverse=[False, True]).image
    again = lp.translate_regions(source, models(), [left, -left], reverse=[False, True]).image
    assert torch.equal(both, again)
    assert both.shape == source.shape


def test_preview_of_regions_is_smaller() -> None:
    translation = lp.translate_regions(picture(48, 96, seed=3), models(), [stripe(0, 8), stripe(8, W)])
    preview = translation.preview(48)
    assert preview.image.shape[-2:] == preview.size == (24, 48)


def test_a_clip_takes_regions_frame_by_frame() -> None:
    clip = torch.cat([picture(*SIZE, seed=seed) for seed in (3, 4)])
    masks = [torch.cat([stripe(0, 8), stripe(4, 12)]), stripe(12, 14)]
    translation = lp.translate_regions(clip, models(), masks, reverse=[False, True])
    frames = [frame.image for frame in translation.frames()]
    assert torch.equal(frames[1][0, ..., :4], clip[1, ..., :4])
    assert not torch.equal(frames[0][0, ..., :4], clip[0, ..., :4])


def test_methods_without_patch_synthesis_are_blended() -> None:
    source = picture(*SIZE, seed=3)
    pair = [model_of("lonepair"), model_of("representative")]
    output = lp.translate_regions(source, pair, [stripe(0, 10), stripe(10, W)]).image
    assert output.shape == source.shape


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"masks": [stripe(0, 8)]}, "`masks` has 1 masks for 2 styles: give one for each, in the same order"),
        ({"masks": [stripe(0, 8), stripe(0, 0)]}, r"mask 2 of `masks` is the Tensor, which marks no pixel"),
        ({"masks": [stripe(0, 8)] * 2, "reverse": [True]}, "reverse has 1 values, there are 2 models"),
        ({"masks": [stripe(0, 8)] * 2, "structure": 2.0}, "structure is 2.0: choose 0 to 1"),
        ({"masks": [stripe(0, 8)] * 2, "mask": stripe(0, 8)}, "`masks` has one for each model"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(lp.UserError, match=message):
        lp.translate_regions(picture(*SIZE), models(), **arguments)
