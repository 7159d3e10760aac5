"""Carried texture: positions in anchors, sharpness over many frames, and what is renewed."""

import pytest
import torch
from torch import Tensor

from lonepair.patches.carry import TextureCarrier, anchor_count, gradient_energy
from tiny_settings import picture

H, W = 48, 64
COARSE = (12, 16)


def _texture() -> Tensor:
    """Noise without the finest detail, which no interpolation holds."""
    noise = torch.rand(1, 3, H, W, generator=torch.Generator().manual_seed(0)) * 2 - 1
    return torch.nn.functional.avg_pool2d(noise, 3, 1, 1)


def _carrier(image: Tensor, slots: int = 4, interval: int = 3) -> TextureCarrier:
    return TextureCarrier(image, picture(*COARSE), slots, interval, 1.5)


def _flow(dx: float, dy: float) -> Tensor:
    return torch.tensor([float(dx), float(dy)]).view(1, 2, 1, 1).expand(1, 2, H, W)


def _nothing_new(carrier: TextureCarrier, flow: Tensor) -> Tensor:
    """The next frame, of which nothing is new."""
    carried = carrier.carry(flow)
    nothing = torch.zeros(1, 1, H, W, dtype=torch.bool)
    carrier.renew(carried.image, carried.prediction, carried.energy, nothing)
    return carried.image


def test_a_still_frame_stays_for_any_number_of_frames() -> None:
    image, carrier = _texture(), _carrier(_texture())
    for _ in range(20):
        frame = _nothing_new(carrier, _flow(0, 0))
    assert torch.allclose(frame, image, atol=1e-5)


def test_a_motion_by_whole_pixels_moves_the_frame() -> None:
    image, carrier = _texture(), _carrier(_texture())
    for _ in range(3):
        frame = _nothing_new(carrier, _flow(2, -1))
    expected = image.roll((3, -6), (2, 3))
    assert torch.allclose(frame[..., 8:-8, 8:-8], expected[..., 8:-8, 8:-8], atol=0.02)


def test_sharpness_is_held_over_many_frames_of_a_slow_motion() -> None:
    """Warped from frame to frame, the texture would lose most of its gradients."""
    image, carrier = _texture(), _carrier(_texture())
    for _ in range(40):
        frame = _nothing_new(carrier, _flow(0.3, 0.1))
    inner = (slice(None), slice(None), slice(8, -8), slice(8, -16))
    ratio = gradient_energy(frame[inner], COARSE).mean() / gradient_energy(image[inner], COARSE).mean()
    assert 0.8 < float(ratio) < 1.2
    # It is still the same texture, 12 pixels to the left and 4 up.
    moved = image[..., 12:-4, 28:-8]
    carried = frame[..., 8:-8, 16:-20]
    correlation = torch.corrcoef(torch.stack([moved.flatten(), carried.flatten()]))[0, 1]
    assert float(correlation) > 0.9


@pytest.mark.parametrize("interval", [1, 5])
def test_new_pixels_are_carried_like_the_others(interval: int) -> None:
    carrier, other = _carrier(_texture(), interval=interval), _texture().flip(3)
    carried = carrier.carry(_flow(0, 0))
    is_new = torch.zeros(1, 1, H, W, dtype=torch.bool)
    is_new[..., 10:20, 10:30] = True
    carrier.renew(torch.where(is_new, other, carried.image), carried.prediction, carried.energy, is_new)
    for _ in range(4):
        frame = _nothing_new(carrier, _flow(1, 0))
    assert torch.allclose(frame[..., 12:18, 9:23], other[..., 12:18, 13:27], atol=0.05)


def test_more_anchors_than_slots_keep_all_pixels() -> None:
    """Pixels whose anchor is given up are read from the newest one."""
    carrier = _carrier(_texture(), slots=3, interval=1)
    image = _texture()
    for column in range(0, 48, 8):
        carried = carrier.carry(_flow(0, 0))
        is_new = torch.zeros(1, 1, H, W, dtype=torch.bool)
        is_new[..., column : column + 8] = True
        image = torch.where(is_new, -image, image)
        carrier.renew(
            torch.where(is_new, image, carried.image), carried.prediction, gradient_energy(image, COARSE), is_new
        )
    assert int(carrier.slot.max()) <= 2
    assert torch.allclose(_nothing_new(carrier, _flow(0, 0)), image, atol=0.05)


def test_what_lies_beyond_the_border_is_known() -> None:
    carrier = _carrier(_texture())
    for _ in range(3):
        _nothing_new(carrier, _flow(2, 0))
    beyond = carrier.is_beyond_border[0, 0]
    assert beyond[:, -5:].all()
    assert not beyond[:, :-8].any()


def test_stretch_tells_how_far_the_texture_is_distorted() -> None:
    carrier = _carrier(_texture())
    assert float(carrier.carry(_flow(0.4, 0)).stretch.max()) < 1.05
    columns = torch.arange(W).expand(1, 1, H, W) - W / 2
    zoom = torch.cat([-0.5 * columns, torch.zeros(1, 1, H, W)], 1)
    carried = carrier.carry(zoom)
    assert 1.8 < float(carried.stretch.median()) < 2.2
    assert 1.8 < float(carried.anisotropy.median()) < 2.2


def test_a_zoom_stretches_alike_in_all_directions() -> None:
    rows, columns = torch.meshgrid(torch.arange(H) - H / 2, torch.arange(W) - W / 2, indexing="ij")
    carried = _carrier(_texture()).carry(-0.3 * torch.stack([columns, rows])[None])
    assert 1.35 < float(carried.stretch.median()) < 1.5
    assert float(carried.anisotropy.median()) < 1.02


def test_large_frames_have_fewer_anchors() -> None:
    assert anchor_count((1080, 1920), 3, 12, 400) == 12
    assert anchor_count((2160, 3840), 3, 12, 400) == 4
    assert anchor_count((8640, 15360), 3, 12, 400) == 2


def test_anchors_take_memory_when_they_are_used() -> None:
    carrier = _carrier(_texture(), slots=6, interval=1)
    assert int(carrier.state()["allocated"]) == 2
    for first in (0, 20):
        carried = carrier.carry(_flow(0, 0))
        is_new = torch.zeros(1, 1, H, W, dtype=torch.bool)
        is_new[..., first : first + 20] = True
        carrier.renew(carried.image, carried.prediction, carried.energy, is_new)
    assert int(carrier.state()["allocated"]) == 3


def test_new_pixels_are_not_warped_from_frame_to_frame() -> None:
    """Until they have an anchor of their own, too: the finest texture would turn into waves."""
    texture = torch.rand(1, 3, H, W, generator=torch.Generator().manual_seed(0)) * 2 - 1
    carrier = _carrier(torch.zeros(1, 3, H, W), interval=100)
    carried = carrier.carry(_flow(0, 0))
    everything = torch.ones(1, 1, H, W, dtype=torch.bool)
    carrier.renew(texture, carried.prediction, gradient_energy(texture, COARSE), everything)
    for _ in range(8):
        frame = _nothing_new(carrier, _flow(0.5, 0))
    assert torch.allclose(frame[..., 8:-8, 8:-12], texture[..., 8:-8, 12:-8], atol=0.05)


def test_flat_paint_does_not_count_as_worn() -> None:
    """Beside the edges of flat shapes, too, wherever they move by fractions of a pixel."""
    paint = torch.full((1, 3, H, W), -0.5)
    paint[..., 30:] = 0.5
    paint[:, :1, 20:] = 0.9
    carrier = _carrier(paint)
    losses = []
    for _ in range(12):
        carried = carrier.carry(_flow(0.3, -0.2))
        losses.append(carried.loss[..., 3:, :-2].min())
        carrier.renew(carried.image, carried.prediction, carried.energy, torch.zeros(1, 1, H, W, dtype=torch.bool))
    assert float(min(losses)) > 0.55
