"""Metrics of clips: perfectly carried texture, a shower door, independent frames, a blur, and losses over time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.metrics import ClipMetrics, clip_metrics, measure_outputs
from lonepair.metrics.motion import EstimatedMotion, carry, chain, source_steps
from lonepair.metrics.objects import ObjectMeter
from lonepair.ops.blur import gaussian_blur
from synthetic_images import blobs

SIZE, FRAMES, SPEED = (48, 64), 12, 1.5


@dataclass(frozen=True)
class Pan:
    """The known motion of a camera that moves to the right by `speed` pixels a frame."""

    speed: float = SPEED

    def between(self, index: int, earlier: int, frame: Tensor, earlier_frame: Tensor) -> tuple[Tensor, Tensor]:
        flow = torch.zeros(1, 2, *SIZE)
        flow[:, 0] = self.speed * (index - earlier)
        return flow, (torch.arange(SIZE[1]) + flow[:, :1] <= SIZE[1] - 1).expand(1, 1, *SIZE)


def texture(seed: int, width: int = 96) -> Tensor:
    """Blobs with grain that spans some pixels, so that interpolation is exact."""
    noise = torch.randn(1, 3, 48, width, generator=torch.Generator().manual_seed(seed))
    return gaussian_blur(blobs(48, width, seed) + 0.8 * noise, 1.0)


def pan(panorama: Tensor, speed: float = SPEED, count: int = FRAMES) -> list[Tensor]:
    """Frames of a camera that moves to the right over `panorama`."""
    frames = []
    for index in range(count):
        flow = torch.zeros(1, 2, 48, panorama.shape[3])
        flow[:, 0] = speed * index
        frames.append(carry(panorama, flow)[..., : SIZE[1]])
    return frames


SOURCE, CARRIED = pan(texture(0)), pan(texture(1))


def independent() -> list[Tensor]:
    return [texture(seed, SIZE[1]) for seed in range(2, 2 + FRAMES)]


def measure(
    output: list[Tensor], source: list[Tensor] = SOURCE, speed: float = SPEED, **options: object
) -> ClipMetrics:
    options = {"still_every": 0, "motion": Pan(speed), **options}
    return clip_metrics(output, source, CARRIED[0], **options)  # type: ignore[arg-type]


# -- texture and motion -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("motion", [Pan(), None])
def test_carried_texture_does_not_swim(motion: Pan | None) -> None:
    values = measure(CARRIED, motion=motion).values
    assert values["swim"] < 0.05
    if motion is not None:  # ten frames are a quarter of these small ones, too far to estimate
        assert values["swim10"] < 0.05
    assert values["swim_moving"] < 0.05
    assert values["door"] > 5 * values["swim_moving"]
    assert values["motion_fidelity"] > 0.9
    assert "flicker" not in values  # nothing stands still


def test_fixed_overlay_sticks_to_the_screen() -> None:
    values = measure([texture(1, SIZE[1])] * FRAMES, speed=6, source=pan(texture(0), 6)).values
    assert values["swim"] == pytest.approx(1, abs=0.1)
    assert values["door"] == 0
    assert values["motion_fidelity"] < 0.1


def test_independent_frames_swim_in_full() -> None:
    values = measure(independent()).values
    for metric in ("swim", "swim10", "swim_moving", "door"):
        assert values[metric] == pytest.approx(1, abs=0.1)
    assert values["motion_fidelity"] < 0.2


def test_blur_neither_lowers_swim_nor_the_error_at_equal_sharpness() -> None:
    sharp, blurred = (
        measure(frames).values for frames in (independent(), [gaussian_blur(f, 2) for f in independent()])
    )
    assert blurred["swim"] == pytest.approx(sharp["swim"], abs=0.15)
    assert blurred["error"] < 0.8 * sharp["error"]
    assert blurred["warp_error"] > sharp["warp_error"]
    assert blurred["sharpness_last"] < 0.3 < 0.8 < sharp["sharpness_last"]


def test_error_at_equal_sharpness_does_not_change_with_contrast() -> None:
    full, half = (measure([scale * frame for frame in independent()]).values for scale in (1, 0.5))
    assert half["warp_error"] == pytest.approx(full["warp_error"])
    assert half["error"] == pytest.approx(full["error"] / 4)


def test_flicker_is_compared_with_that_of_the_source() -> None:
    still = [SOURCE[0]] * FRAMES
    noise = [torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(i)) / 127.5 for i in range(FRAMES)]
    source = [frame + 4 * n for frame, n in zip(still, noise, strict=True)]
    output = [CARRIED[0] + 8 * n for n in noise]
    values = measure(output, source, speed=0).values
    # The mean absolute difference of two normal variables of deviation s is 2 s / sqrt(pi).
    assert values["source_flicker"] == pytest.approx(4 * 2 / torch.pi**0.5, rel=0.1)
    assert values["flicker_ratio"] == pytest.approx(2, rel=0.05)
    assert "swim_moving" not in values


def test_source_without_noise_allows_a_quarter_of_a_grey_level() -> None:
    output = [CARRIED[0] + (i % 2) / 127.5 for i in range(FRAMES)]
    assert measure(output, [SOURCE[0]] * FRAMES, speed=0).values["flicker_ratio"] == pytest.approx(4, rel=0.01)


# -- over time --------------------------------------------------------------------------------------------------------


def test_sharpness_is_followed_over_time() -> None:
    output = [gaussian_blur(frame, 0.1 + 0.1 * index) for index, frame in enumerate(CARRIED)]
    result = measure(output)
    curve = [value for _, value in result.curves["sharpness"]]
    assert len(curve) == FRAMES
    assert curve[0] == result.values["sharpness_first"] == pytest.approx(1, abs=0.01)
    assert curve[-1] == result.values["sharpness_last"] == result.values["sharpness_softest"] < 0.5


def test_sudden_change_of_an_area_pops() -> None:
    popped = [frame.clone() for frame in CARRIED]
    other = pan(texture(9))
    for index in range(5, FRAMES):
        popped[index][..., :32] = other[index][..., :32]
    result = measure(popped)
    assert 0.3 < result.values["popping"] < 0.7
    assert max(result.curves["new_blocks"], key=lambda point: point[1])[0] == 5
    moment = next(moment for moment in result.moments if moment.metric == "new_blocks")
    assert moment.index == 5
    assert torch.equal(moment.frame, popped[5])
    assert torch.equal(moment.before, popped[4])
    assert measure(CARRIED).values["popping"] == measure(independent()).values["popping"] == 0


def test_change_that_the_source_has_is_no_popping() -> None:
    changes = [*CARRIED[:5], *SOURCE[5:]]
    assert measure(changes, changes).values["popping"] == 0


def test_nothing_is_compared_across_a_cut() -> None:
    cut = [*CARRIED[:6], *pan(texture(9))[6:]]
    result = measure(cut, [*SOURCE[:6], *pan(texture(8))[6:]], cuts=[6])
    assert result.values["swim"] < 0.05
    assert [index for index, _ in result.curves["swim"]] == [1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
    assert "swim10" not in result.values


def test_few_frames_are_in_memory() -> None:
    steps = list(source_steps(iter(SOURCE), SIZE, 3, Pan()))
    assert max(len(step.needed) for step in steps) <= 3
    assert [(pair.gap, pair.earlier) for pair in steps[10].pairs] == [(1, 9), (10, 0)]


def test_outputs_are_measured_as_each_by_itself() -> None:
    def lazy(frames: list[Tensor]) -> Iterator[Tensor]:
        yield from frames

    both = measure_outputs({"a": lazy(CARRIED), "b": lazy(independent())}, lazy(SOURCE), CARRIED[0], Pan())
    for name, frames in (("a", CARRIED), ("b", independent())):
        assert both[name].values == measure(frames, still_every=20).values
    assert both["a"].values["look"] < 0.3


def test_outputs_of_another_length_are_refused() -> None:
    with pytest.raises(UserError, match="more than 11 frames, the output 'b' has 11"):
        measure_outputs({"a": CARRIED, "b": CARRIED[:-1]}, SOURCE, CARRIED[0], Pan(), still_every=0)


def test_flows_are_chained() -> None:
    first, second = Pan().between(3, 2, SOURCE[3], SOURCE[2])[0], Pan().between(2, 0, SOURCE[2], SOURCE[0])[0]
    assert torch.allclose(chain(first, second), Pan().between(3, 0, SOURCE[3], SOURCE[0])[0])


# -- objects ----------------------------------------------------------------------------------------------------------


class Square:
    """A square of 6x6 pixels that moves to the right by 4 pixels a frame, until it has left."""

    length = 20

    def mask(self, index: int) -> Tensor:
        mask = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
        mask[..., 20:26, 4 + 4 * index : 10 + 4 * index] = True
        return mask


def objects(fade: float = 0.0, ghost: float = 0.0) -> dict[str, float]:
    """Measure a square whose contrast falls by `fade` in all, and that leaves a share of itself on its path."""
    path, meter = Square(), ObjectMeter(Square())
    ground = 0.1 * texture(1, SIZE[1])
    color = torch.tensor([0.8, -0.4, 0.2]).view(1, 3, 1, 1)
    trail = torch.zeros(1, 1, *SIZE, dtype=torch.bool)
    for index in range(path.length):
        mask = path.mask(index)
        kept = 1 - fade * index / 14
        image = torch.where(trail, ground + ghost * color, ground)
        meter.add(index, torch.where(mask, ground + kept * color, image), torch.where(mask, color, 0.0))
        trail |= mask
    return meter.values


def test_object_that_stays_is_kept_and_leaves_no_ghost() -> None:
    values = objects()
    assert values["objects_kept"] == pytest.approx(1, abs=0.1)
    assert values["objects_lowest"] > 0.9
    assert values["objects_chance"] < 0.1
    assert values["object_contrast"] == pytest.approx(1, abs=0.1)
    assert values["ghost"] == pytest.approx(0, abs=0.1)


def test_object_that_fades_is_lost() -> None:
    values = objects(fade=1.0)
    assert values["objects_lowest"] < 0.35
    assert values["objects_kept"] == pytest.approx(0.5, abs=0.15)


def test_texture_has_contrast_by_chance() -> None:
    meter = ObjectMeter(Square())
    for index in range(Square.length):
        meter.add(index, texture(index, SIZE[1]), SOURCE[0])  # no object is in it
    assert meter.values["objects_chance"] == pytest.approx(meter.values["objects_kept"], rel=0.3)


def test_ghost_is_a_share_of_the_object() -> None:
    assert objects(ghost=0.3)["ghost"] == pytest.approx(0.3, abs=0.1)


def test_noise_of_flat_areas_is_no_motion() -> None:
    scene = (
        3 * gaussian_blur(torch.rand(1, 3, 96, 140, generator=torch.Generator().manual_seed(0)) * 2 - 1, 2.0)
    ).clamp(-1, 1)
    frames = []
    for index in range(2):
        frame = scene[..., 10 + 2 * index : 138 + 2 * index].clone()
        noise = torch.randn(1, 3, 96, 64, generator=torch.Generator().manual_seed(index + 1))
        frame[..., 64:] = -0.9 + 24 / 127.5 * gaussian_blur(noise, 4.0)
        frames.append(frame)
    flow, mask = EstimatedMotion().between(1, 0, frames[1], frames[0])
    moving = mask & (flow.norm(dim=1, keepdim=True) > 1)
    assert float(moving[..., 8:60].float().mean()) > 0.9
    assert float(moving[..., 70:].float().mean()) < 0.02
