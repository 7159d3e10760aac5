"""Random warps of an image: identity at strength 0, size, range, dependence on the seed, and the order of heights."""

from __future__ import annotations

import pytest
import torch

from lonepair.ops.deform import random_warp
from lonepair.ops.noise import RandomStream
from tiny_settings import picture


def test_a_warp_of_strength_0_is_the_image_and_its_mirror_image_beside_it() -> None:
    image = picture(12, 20)
    assert torch.allclose(random_warp(image, (12, 20), 0.0, RandomStream(0)), image, atol=1e-5)
    wide = random_warp(image, (12, 60), 0.0, RandomStream(0))
    assert torch.allclose(wide[..., 20:40], image, atol=1e-5)
    assert torch.allclose(wide[..., 1:20], image.flip(3)[..., :-1], atol=1e-5)
    tall = random_warp(image, (24, 20), 0.0, RandomStream(0))
    assert torch.allclose(tall[..., [0, -1], :], image[..., [0, -1], :], atol=1e-5)


@pytest.mark.parametrize("size", [(12, 20), (9, 50), (40, 8)])
def test_warps_keep_the_range_and_depend_on_the_seed_only(size: tuple[int, int]) -> None:
    image = picture(12, 20, 4)
    first, again, other = (random_warp(image, size, 0.3, RandomStream(seed)) for seed in (1, 1, 2))
    assert first.shape == (1, 4, *size)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert image.min() - 1e-5 <= first.min()
    assert first.max() <= image.max() + 1e-5


def test_a_warp_moves_content_along_rows_more_than_across_them() -> None:
    rows = torch.linspace(-1, 1, 40)[:, None].expand(1, 1, 40, 40)
    columns = rows.mT.contiguous()
    changes = [
        sum(float((random_warp(image, (40, 40), 0.1, RandomStream(s)) - image).abs().mean()) for s in range(8))
        for image in (rows.contiguous(), columns)
    ]
    assert 0 < changes[0] < 0.6 * changes[1]
