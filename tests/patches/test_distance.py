import pytest
import torch
from torch import Tensor

from conftest import picture
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize
from lonepair.patches.distance import PatchDistribution, _known, _packed, _some
from lonepair.patches.search import patches_of


def _grain(h: int, w: int, seed: int) -> Tensor:
    """Noise drawn out along the rows: a material, another piece of it for each seed."""
    noise = torch.randn(1, 3, h, w + 6, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.avg_pool2d(noise, (1, 7), 1)


def test_patches_are_like_a_targets_wherever_they_stand() -> None:
    target = _grain(64, 64, 0)
    look = PatchDistribution(target, 7, 2, 0.5, 0.0, RandomStream(1))
    same, piece = look.loss(target, RandomStream(2)), look.loss(_grain(64, 64, 1), RandomStream(2))
    other = look.loss(target.transpose(2, 3).contiguous(), RandomStream(2))
    assert float(same) < 0.02
    assert float(other) > 1.4 * float(piece)


def test_patches_see_blur_and_colours_that_the_target_lacks() -> None:
    target = picture(48, 48) + 0.2 * torch.randn(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    look = PatchDistribution(target, 7, 1, 0.5, 0.0, RandomStream(1))
    blurred = resize(resize(target, (24, 24)), (48, 48))
    assert float(look.loss(blurred, RandomStream(2))) > 5 * float(look.loss(target, RandomStream(2)))
    spot = target.clone()
    spot[..., 20:24, 20:24] = 3.0
    assert float(look.loss(spot, RandomStream(2))) > 3 * float(look.loss(target, RandomStream(2)))


def test_of_many_patches_some_are_taken_and_the_gradient_reaches_borders() -> None:
    target = picture(80, 80)
    look = PatchDistribution(target, 7, 2, 0.5, 0.5, RandomStream(1))
    image = picture(80, 80, seed=1).requires_grad_()
    look.loss(image, RandomStream(3)).backward()
    assert image.grad is not None
    grid = [0, 79]
    assert (image.grad[0, :, grid][:, :, grid] != 0).all()
    rng = RandomStream(4).host_distinct(100, 1000)
    assert len(set(rng.tolist())) == 100
    assert 0 <= int(rng.min()) <= int(rng.max()) < 1000


def test_some_patches_are_no_more_than_asked_for_and_each_is_one_of_them_now_and_then() -> None:
    image = torch.arange(13.0 * 17).view(1, 1, 13, 17)
    seen = set()
    for seed in range(60):
        part, step = _some(image, 3, 20, RandomStream(seed))
        corners = patches_of(part, 3, step)[:, 0]
        assert 6 <= len(corners) <= 20
        seen |= set(corners.tolist())
    assert seen == set(image[0, 0, :-2, :-2].flatten().tolist())
    assert _some(image, 3, 1000, RandomStream(0))[1] == 1


def test_nearness_tells_patches_from_a_shuffle_of_their_pixels() -> None:
    """The same pixels in another order are far; a piece of the target is as near as its mirrored borders let it be."""
    target = picture(48, 48)
    near, far = (PatchDistribution(target, 7, 1, 0.0, weight, RandomStream(1)) for weight in (1.0, 0.0))
    order = torch.randperm(48 * 48, generator=torch.Generator().manual_seed(0))
    shuffled = target.flatten(2)[..., order].view(1, 3, 48, 48)
    found = {
        name: float(near.loss(each, RandomStream(2)) - far.loss(each, RandomStream(2)))
        for name, each in {"shuffled": shuffled, "cut": target[..., 3:45, 5:47], "itself": target}.items()
    }
    assert found["shuffled"] > 0.5
    assert max(found["itself"], found["cut"]) < 0.3 * found["shuffled"]


def test_a_large_target_is_known_by_some_of_its_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 27 x 36 patches by all, or by 9 x 12."""
    image = torch.arange(2 * 31 * 40.0).view(1, 2, 31, 40)
    assert torch.equal(patches_of(*_known(image, 5)), patches_of(image, 5))
    monkeypatch.setattr(PatchDistribution, "ALL", 27 * 36 - 1)
    monkeypatch.setattr(PatchDistribution, "KNOWN", 120)
    assert torch.equal(patches_of(*_known(image, 5)), patches_of(image, 5, 3))
    assert float(PatchDistribution(image, 5, 2, 0.5, 0.2, RandomStream(1)).loss(image, RandomStream(2))) < float(
        PatchDistribution(image, 5, 2, 0.5, 0.2, RandomStream(1)).loss(image.flip(2) * 2, RandomStream(2))
    )


def test_patches_that_do_not_touch_are_packed() -> None:
    image = torch.arange(2 * 31 * 40.0).view(1, 2, 31, 40)
    for step in (2, 5, 6, 9):
        packed = _packed(image, 5, step)
        assert torch.equal(patches_of(*packed), patches_of(image, 5, step))
        assert packed[0].numel() <= image.numel()
