"""A clip is measured beside its baselines in one pass, and its report shows the worst moments."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.evaluate.clips import ALONE, BLUR, CARRIED, OUTPUT, SOURCE, KnownMotion, at_output_scale, measure_clip
from lonepair.metrics import clip_metrics
from lonepair.metrics.motion import carry
from lonepair.ops.blur import gaussian_blur

SIZE, FRAMES, SPEED = (40, 48), 6, 2


class Pan:
    """The known motion of a camera that moves to the right by 2 pixels a frame."""

    def between(self, index: int, earlier: int, frame: Tensor, earlier_frame: Tensor) -> tuple[Tensor, Tensor]:
        flow = torch.zeros(1, 2, *SIZE)
        flow[:, 0] = SPEED * (index - earlier)
        return flow, (torch.arange(SIZE[1]) + flow[:, :1] <= SIZE[1] - 1).expand(1, 1, *SIZE)


def texture(seed: int, width: int = SIZE[1]) -> Tensor:
    noise = torch.randn(1, 3, SIZE[0], width, generator=torch.Generator().manual_seed(seed))
    return gaussian_blur(noise, 1.0).clamp(-1, 1)


def pan(seed: int) -> list[Tensor]:
    panorama = texture(seed, SIZE[1] + SPEED * FRAMES)
    return [panorama[..., SPEED * i : SPEED * i + SIZE[1]] for i in range(FRAMES)]


def negative(frame: Tensor) -> Tensor:
    return -frame


def test_rows_are_measured_as_each_by_itself() -> None:
    source, output = pan(0), pan(1)
    seen: list[dict[str, Tensor]] = []

    def watch(index: int, rows: dict[str, Tensor]) -> None:
        assert index == len(seen)
        seen.append(rows)

    report = measure_clip(iter(output), source, output[0], SIZE, negative, KnownMotion(Pan()), 0, watch)
    assert list(report.metrics) == [OUTPUT, ALONE, CARRIED, SOURCE, BLUR]
    expected = {OUTPUT: output, ALONE: [-f for f in source], SOURCE: source}
    expected[BLUR] = [gaussian_blur(-frame, 2.0) for frame in source]
    for row, frames in expected.items():
        assert all(torch.allclose(now[row], frame) for now, frame in zip(seen, frames, strict=True))
        direct = clip_metrics(frames, source, output[0], Pan(), still_every=0)
        values = dict(report.metrics[row].values)
        assert values.pop("sharpness_kept") > 0
        assert values == pytest.approx(direct.values)
    assert report.metrics[ALONE].values["sharpness_kept"] == pytest.approx(1)
    assert report.metrics[BLUR].values["sharpness_kept"] < 0.3
    # The first frame moves with the camera; the pixels that it lacks are at the right.
    shift = torch.zeros(1, 2, *SIZE)
    shift[:, 0] = SPEED * 5
    assert torch.allclose(seen[5][CARRIED][..., :-10], carry(-source[0], shift)[..., :-10], atol=1e-5)
    assert report.frames == FRAMES
    assert 0 < report.first_seconds <= report.seconds


def test_first_frame_is_carried_again_after_a_cut() -> None:
    source = pan(0)
    seen: list[Tensor] = []
    known = KnownMotion(Pan(), cuts=[3])
    measure_clip(iter(source), source, source[0], SIZE, negative, known, 0, lambda _, rows: seen.append(rows[CARRIED]))
    assert torch.equal(seen[3], -source[3])
    assert not torch.equal(seen[2], -source[2])


def test_translated_file_needs_no_model() -> None:
    source, output = pan(0), pan(1)
    report = measure_clip(iter(output), source, output[0], SIZE, None, KnownMotion(Pan()), 0)
    assert list(report.metrics) == [OUTPUT, CARRIED, SOURCE, BLUR]
    assert report.metrics[OUTPUT].values["swim"] < 0.05


@pytest.mark.parametrize(("count", "message"), [(4, "output has 4 frames"), (7, "source has 6 frames")])
def test_output_of_another_length_is_refused(count: int, message: str) -> None:
    def output() -> Iterator[Tensor]:
        for _ in range(count):
            yield texture(0)

    with pytest.raises(UserError, match=message):
        measure_clip(output(), pan(0), texture(1), SIZE, None, KnownMotion(Pan()), 0)


def test_target_is_measured_at_the_scale_of_the_output() -> None:
    large = torch.zeros(1, 3, 100, 60)
    assert at_output_scale(large, (40, 50)).shape == (1, 3, 50, 30)
    assert at_output_scale(large, (400, 500)) is large
