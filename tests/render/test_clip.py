"""Frames of a clip: what is carried, what is renewed, and when the networks run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from lonepair.ops.blur import gaussian_blur
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.windows import Window, covering_windows
from lonepair.render.clip import SceneRenderer
from lonepair.render.motion import measure_motion
from tiny_models import model_of

H, W, CELL = 64, 80, 4
CONFIG = SynthesisConfig()


def _ground(seed: int = 0) -> Tensor:
    noise = torch.rand(1, 3, H + 40, W + 60, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return (3 * gaussian_blur(noise, 1.5)).clamp(-1, 1)


@dataclass
class FakePipeline:
    """Its prediction is the source, reduced; its synthesis is that prediction with noise that is new in every call."""

    settings: SynthesisConfig = CONFIG
    carries: bool = True
    has_gain: bool = False
    size: tuple[int, int] = (H, W)
    label: str = "fake"
    target_side: float = 0.0
    calls: list[str] = field(default_factory=list)

    @property
    def engine(self) -> Any:
        return model_of("lonepair").engine

    def prepare(self, image: Tensor, mask: Any) -> Tensor:
        return image

    def predict(self, source: Tensor, before: Any) -> Tensor:
        self.calls.append("predict")
        return torch.nn.functional.avg_pool2d(source, CELL)

    def mean_prediction(self, prediction: Tensor) -> Tensor:
        return prediction

    def synthesize(self, prediction: Tensor, window: Window | None = None, mix: Any = None) -> Tensor:
        self.calls.append("synthesize")
        large = torch.nn.functional.interpolate(prediction, self.size, mode="nearest")
        part = large if window is None else window.crop(large)
        noise = torch.rand(part.shape, generator=torch.Generator().manual_seed(len(self.calls)))
        image = (0.7 * part + 0.5 * noise - 0.25).clamp(-1, 1)
        return image if mix is None else mix(image)

    def covering_windows(self, prediction: Tensor, mask: Tensor) -> list[Window]:
        return covering_windows(mask, (H // CELL, W // CELL), 2, 4)

    def output(self, source: Any, image: Tensor) -> Tensor:
        return image

    def fingerprint(self) -> str:
        return self.label

    def reduced(self, side: int) -> FakePipeline:
        return self


def _render(frames: list[Tensor], **settings: Any) -> tuple[list[Tensor], list[Tensor], FakePipeline]:
    """The finished frames, which of their pixels are new, and the pipeline."""
    pipeline = FakePipeline(SynthesisConfig(**settings))
    scene, images, new = SceneRenderer(pipeline), [], []
    for index, frame in enumerate(frames):
        motion = measure_motion(frames[index - 1], frame, pipeline.settings) if index else None
        finished = scene.render(frame, motion)
        images.append(finished.image)
        new.append(finished.is_new)
    return images, new, pipeline


def test_nothing_of_a_still_clip_is_new_after_its_first_frame() -> None:
    frame = _ground()[..., :H, :W]
    images, new, _ = _render([frame] * 6)
    assert new[0].all()
    assert not torch.stack(new[1:]).any()
    assert torch.allclose(images[5], images[0], atol=1e-4)


def test_the_networks_run_only_where_something_may_be_new() -> None:
    """In the first frame, and then in every fourth one: three frames wait."""
    frame = _ground()[..., :H, :W]
    _, _, pipeline = _render([frame] * 9, renewal_wait=3)
    assert pipeline.calls.count("predict") == 3
    assert pipeline.calls.count("synthesize") == 1


def test_texture_moves_with_the_camera_and_only_the_border_is_new() -> None:
    ground = _ground()
    frames = [ground[..., 8 : 8 + H, 8 + 3 * index : 8 + 3 * index + W] for index in range(5)]
    images, new, _ = _render(frames, settle_width=0.15)
    inner = images[4][..., 8:-8, 8 : W - 24]
    assert float((inner - images[0][..., 8:-8, 20 : W - 12]).abs().mean()) < 0.03
    # At the border it is new: there a moved first frame has nothing.
    assert torch.stack(new[1:]).any(0)[..., 8:-8, -3:].all()
    assert not torch.stack(new[1:])[..., 8:-8, 8 : W - 24].any()


def test_what_leaves_leaves_no_ghost() -> None:
    """A bright square stands still for two frames, then it is gone."""
    ground = 0.4 * _ground()[..., :H, :W] - 0.3
    with_square = ground.clone()
    with_square[..., 20:44, 28:52] = 0.9
    images, new, _ = _render([with_square, with_square, ground, ground, ground, ground, ground])
    square = (slice(None), slice(None), slice(24, 40), slice(32, 48))
    before, after, beside = float(images[1][square].mean()), float(images[6][square].mean()), float(images[6].mean())
    assert before > 0.5
    assert abs(after - beside) < 0.1 * abs(before - beside)
    assert not new[6].any()


def test_a_change_that_is_slow_is_renewed_in_the_end() -> None:
    """An area becomes brighter by little in each frame: no two frames differ by much."""
    frames = []
    for index in range(25):
        frame = 0.4 * _ground()[..., :H, :W] - 0.3
        frame[..., 16:48, 20:60] += 0.04 * index
        frames.append(frame.clamp(-1, 1))
    images, _, _ = _render(frames)
    area = (slice(None), slice(None), slice(20, 44), slice(26, 54))
    assert float(images[24][area].mean() - images[0][area].mean()) > 0.3


def test_methods_without_patch_synthesis_are_carried_on_request() -> None:
    ground = _ground()
    clip = torch.cat([ground[..., 8 : 8 + H, 8 + 2 * index : 8 + 2 * index + W] for index in range(4)])
    model, new = model_of("representative"), []
    alone = list(model.translate(clip).frames(lambda trace: new.append(float(trace.is_new.float().mean()))))
    assert new == [1, 1, 1, 1]
    new.clear()
    list(model.translate(clip, carry="on").frames(lambda trace: new.append(float(trace.is_new.float().mean()))))
    assert new[0] == 1
    assert max(new[1:]) < 0.5
    assert len(alone) == 4


@pytest.mark.parametrize(("limit", "is_renewed"), [(1.5, True), (100.0, False)])
def test_texture_that_is_torn_along_one_direction_is_renewed(limit: float, is_renewed: bool) -> None:
    ground, frames = _ground()[..., :H, :W], []
    y, x = torch.meshgrid(torch.linspace(-1, 1, H), torch.linspace(-1, 1, W), indexing="ij")
    for index in range(14):
        grid = torch.stack([x + 0.05 * index * y, y], -1)[None]
        frames.append(torch.nn.functional.grid_sample(ground, grid, padding_mode="reflection", align_corners=True))
    _, new, _ = _render(frames, renewal_anisotropy=limit)
    middle = torch.cat(new)[..., 24:40, 30:50]
    assert bool(middle[1:].any()) == is_renewed
