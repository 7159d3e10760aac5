"""A target at one scale."""

import torch

from lonepair.patches.config import SynthesisConfig
from lonepair.patches.texture import Texture
from tiny_settings import picture


def test_similarity_is_high_where_the_target_has_the_patch_and_low_elsewhere() -> None:
    target = picture(40, 44)
    image = target.clone()
    image[..., 10:24, 10:24] = torch.rand(1, 3, 14, 14, generator=torch.Generator().manual_seed(0)) * 2 - 1
    similarity = Texture(target, SynthesisConfig()).similarity_map(image)
    assert similarity.shape == (1, 1, 40, 44)
    assert 0 <= float(similarity.min()) <= float(similarity.max()) <= 1
    assert float(similarity[..., 15:19, 15:19].mean()) < 0.1
    assert float(similarity[..., 30:, 30:].mean()) > 0.5


def test_larger_similarity_floor_raises_the_similarity() -> None:
    target, image = picture(40, 44), picture(40, 44) + 0.01 * picture(40, 44, seed=3)
    low, high = (
        Texture(target, SynthesisConfig(similarity_floor=floor)).similarity_map(image).mean() for floor in (1e-4, 1.0)
    )
    assert high > low
