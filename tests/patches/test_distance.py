"""The loss that compares patch distributions."""

import pytest
import torch
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.distance import PatchDistribution
from tiny_settings import picture


def _grain(h: int, w: int, seed: int) -> Tensor:
    """Noise blurred along the rows: one material, another sample of it for each seed."""
    noise = torch.randn(1, 3, h, w + 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, (1, 7), 1)


def test_loss_ignores_positions_and_tells_materials_apart() -> None:
    target = _grain(64, 64, 0)
    distribution = PatchDistribution(target, 7, 2, 0.5, 0.0, RandomStream(1))
    itself = distribution.loss(target, RandomStream(2))
    same_material = distribution.loss(_grain(64, 64, 1), RandomStream(2))
    other_material = distribution.loss(target.transpose(2, 3).contiguous(), RandomStream(2))
    assert float(itself) < 0.02
    assert float(other_material) > 1.4 * float(same_material)


def test_loss_grows_with_blur_and_with_colors_that_the_target_lacks() -> None:
    target = picture(48, 48) + 0.2 * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    distribution = PatchDistribution(target, 7, 1, 0.5, 0.0, RandomStream(1))
    blurred = resize(resize(target, (24, 24)), (48, 48))
    assert float(distribution.loss(blurred, RandomStream(2))) > 5 * float(distribution.loss(target, RandomStream(2)))
    spot = target.clone()
    spot[..., 20:24, 20:24] = 3.0
    assert float(distribution.loss(spot, RandomStream(2))) > 3 * float(distribution.loss(target, RandomStream(2)))


def test_gradient_reaches_the_corners_of_a_large_image() -> None:
    distribution = PatchDistribution(picture(80, 80), 7, 2, 0.5, 0.5, RandomStream(1))
    image = picture(80, 80, seed=1).requires_grad_()
    distribution.loss(image, RandomStream(3)).backward()
    assert image.grad is not None
    corners = [0, 79]
    assert (image.grad[0, :, corners][:, :, corners] != 0).all()


def test_nearest_term_tells_patches_from_a_shuffle_of_their_pixels() -> None:
    """The same pixels in another order are far; a crop of the target is as near as its mirrored borders allow."""
    target = picture(48, 48)
    with_term, without = (PatchDistribution(target, 7, 1, 0.0, weight, RandomStream(1)) for weight in (1.0, 0.0))
    order = torch.randperm(48 * 48, generator=torch.Generator().manual_seed(0))
    shuffled = target.flatten(2)[..., order].view(1, 3, 48, 48)
    images = {"shuffled": shuffled, "crop": target[..., 3:45, 5:47], "itself": target}
    terms = {
        name: float(with_term.loss(image, RandomStream(2)) - without.loss(image, RandomStream(2)))
        for name, image in images.items()
    }
    assert terms["shuffled"] > 0.5
    assert max(terms["itself"], terms["crop"]) < 0.3 * terms["shuffled"]


def test_reduced_target_still_tells_images_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.arange(2 * 31 * 40.0).view(1, 2, 31, 40)
    monkeypatch.setattr(PatchDistribution, "MAX_TARGET_PATCHES", 27 * 36 - 1)
    monkeypatch.setattr(PatchDistribution, "REDUCED_TARGET_PATCHES", 120)
    distribution = PatchDistribution(image, 5, 2, 0.5, 0.2, RandomStream(1))
    own, other = (float(distribution.loss(each, RandomStream(2))) for each in (image, image.flip(2) * 2))
    assert own < other
