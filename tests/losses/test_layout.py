"""Layout losses: rarity of a known image, and invariance of the self-similarity to colors."""

import pytest
import torch

from lonepair.losses import correlation, rarity, self_similarity
from tiny_settings import picture


def test_rarity_is_the_mean_distance_to_all_pixels() -> None:
    image = torch.full((1, 3, 8, 8), -0.5)
    image[..., 2:4, 3:6] = 0.5
    for either in (image, -image):
        values = rarity(either, either).view(8, 8)
        # 6 of 64 pixels are in the object, and the two colors have the distance 3^0.5.
        assert values[2, 3].item() == pytest.approx(3**0.5 * 58 / 64, abs=1e-5)
        assert values[0, 0].item() == pytest.approx(3**0.5 * 6 / 64, abs=1e-5)


def test_rarity_is_relative_to_the_reference() -> None:
    image = torch.full((1, 3, 8, 8), -0.5)
    image[..., 2:4, 3:6] = 0.5
    # The background of the negative has the color of the image's object.
    assert torch.allclose(rarity(-image, image), 3**0.5 - rarity(image, image), atol=1e-5)


def test_self_similarity_does_not_depend_on_colors() -> None:
    image = picture(9, 12)
    table = self_similarity(image)
    assert table.shape == (108, 108)
    assert float(correlation(table, self_similarity(0.4 - image[:, [1, 2, 0]]))) == pytest.approx(1, abs=1e-4)


def test_correlation_with_a_constant_is_zero() -> None:
    table = self_similarity(picture(9, 12))
    assert float(correlation(table, self_similarity(torch.zeros(1, 3, 9, 12)))) == pytest.approx(0, abs=1e-3)


def test_layout_loss_has_a_finite_gradient_where_colors_are_equal() -> None:
    flat = torch.zeros(1, 3, 9, 12, requires_grad=True)
    correlation(self_similarity(picture(9, 12)), self_similarity(flat)).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()
