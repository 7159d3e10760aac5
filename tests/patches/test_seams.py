"""Seams between styles: shares sum to 1, far pixels keep their mask's style, and a seam runs where images agree."""

from __future__ import annotations

import torch
from torch import Tensor

from lonepair.patches.seams import SeamFinder, blend_styles, mask_shares

H, W = 24, 60


def halves(edge: int = 30) -> Tensor:
    """Masks of two styles, the left one up to column `edge`."""
    left = torch.zeros(1, 1, H, W)
    left[..., :edge] = 1
    return torch.cat([left, 1 - left], 1)


def test_masks_that_overlap_are_normalized() -> None:
    masks = torch.tensor([1.0, 0.5])[None, :, None, None].expand(1, 2, H, W)
    shares = mask_shares(masks)
    assert torch.allclose(shares.sum(1), torch.ones(1, H, W))
    assert torch.allclose(shares[:, 0], torch.full((1, H, W), 2 / 3), atol=1e-3)


def test_the_nearest_mask_extends_into_pixels_of_no_mask() -> None:
    masks = torch.zeros(1, 2, H, W)
    masks[:, 0, :, :20], masks[:, 1, :, 40:] = 1, 1
    shares = mask_shares(masks)
    assert float(shares[0, 0, :, 25].min()) > 0.9
    assert float(shares[0, 1, :, 35].min()) > 0.9


def test_a_seam_runs_where_the_images_agree() -> None:
    # The two styles differ everywhere but in column 28, near the mask's edge at 30.
    one, other = -torch.ones(1, 3, H, W), torch.ones(1, 3, H, W)
    one[..., 28], other[..., 28] = 0, 0
    finder = SeamFinder(halves())
    blend = finder.mix([one, other])[0]
    assert float(blend[..., :26].max()) < -0.9
    assert float(blend[..., 31:].min()) > 0.9


def test_a_seam_stays_at_the_mask_where_it_may_not_move() -> None:
    one, other = -torch.ones(1, 3, H, W), torch.ones(1, 3, H, W)
    one[..., 26:29], other[..., 26:29] = 0, 0
    shares = SeamFinder(halves(), moves_seams=False)
    shares.mix([one, other])
    assert torch.equal(shares.shares((H, W))[:, 0] > 0.5, halves()[:, 0] > 0.5)


def test_far_from_seams_each_style_is_alone_at_every_scale() -> None:
    finder, generator = SeamFinder(halves()), torch.Generator().manual_seed(0)
    for size in ((12, 30), (H, W)):
        images = [torch.rand(1, 3, *size, generator=generator) * 2 - 1 for _ in range(2)]
        blend = finder.mix(images)[0]
        far = size[1] // 6
        assert torch.allclose(blend[..., :far], images[0][..., :far], atol=1e-5)
        assert torch.allclose(blend[..., -far:], images[1][..., -far:], atol=1e-5)


def test_grey_and_color_styles_share_a_blend() -> None:
    blends = SeamFinder(halves()).mix([torch.zeros(1, 1, H, W), torch.ones(1, 3, H, W)])
    assert [blend.shape[1] for blend in blends] == [1, 3]


def test_flat_areas_are_blended_more_widely_than_textured_ones() -> None:
    shares, texture = halves(), torch.ones(1, 3, H, W)
    texture[..., ::2] = -1
    flat = blend_styles([torch.zeros(1, 3, H, W), torch.ones(1, 3, H, W)], shares)
    assert float(flat[..., 29].mean()) > 0.2
    fine = blend_styles([texture, torch.ones(1, 3, H, W)], shares)
    assert float((fine[..., 28:30] - texture[..., 28:30]).abs().max()) < 0.1
