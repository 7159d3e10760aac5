"""Patch synthesis of an image."""

import pytest
import torch
from torch import Tensor

from lonepair.metrics import copying, look_distance, structure
from lonepair.ops.resize import resize, resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.guide import Guide, source_transfer
from lonepair.patches.synthesis import Synthesizer
from tiny_settings import picture


def _grained(seed: int) -> Tensor:
    """The same blobs of color, with other grain for each seed."""
    grain = torch.randn(1, 3, 48, 56, generator=torch.Generator().manual_seed(seed))
    return (picture(48, 56) + 0.3 * grain).clamp(-1, 1)


def test_synthesis_adds_the_targets_grain_and_keeps_the_layout() -> None:
    target, prediction = _grained(0), picture(48, 56).flip(3)
    synthesizer = Synthesizer(target, [0.6, 0.8, 1.0], SynthesisConfig(layout_scale=2 / 3))
    image = synthesizer.synthesize(prediction).image
    assert look_distance(image, target) < 0.8 * look_distance(prediction, target)
    assert structure(image, prediction) > 0.9 * structure(_grained(0).flip(3), prediction)
    assert -1 <= float(image.min()) <= float(image.max()) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_copied_regions_are_replaced(seed: int) -> None:
    grain = torch.randn(1, 3, 48, 112, generator=torch.Generator().manual_seed(seed))
    target = (torch.cat([picture(48, 56)] * 2, 3) + 0.3 * grain).clamp(-1, 1)
    prediction = target[..., :56]
    assert copying(prediction, target) == 1
    synthesizer = Synthesizer(target, [0.6, 0.8, 1.0], SynthesisConfig(layout_scale=2 / 3))
    assert copying(synthesizer.synthesize(prediction).image, target) < 0.5


def test_result_has_the_size_of_the_prediction() -> None:
    synthesizer = Synthesizer(picture(52, 33), [0.5, 1.0], SynthesisConfig(layout_scale=0.8))
    assert synthesizer.synthesize(picture(30, 41)).image.shape == (1, 3, 30, 41)


def test_larger_layout_restoration_keeps_more_of_the_layout() -> None:
    target, prediction = picture(48, 40, seed=2), picture(48, 40, seed=5)
    distances = []
    for restoration in (0.0, 0.3, 1.0):
        config = SynthesisConfig(layout_scale=0.8, layout_restoration=restoration)
        image = Synthesizer(target, [0.5, 0.7, 1.0], config).synthesize(prediction).image
        distances.append(float((resize(image, (12, 10)) - resize(prediction, (12, 10))).square().mean()))
    assert distances[0] > distances[1] > distances[2]


def test_structure_brings_the_fine_edges_of_the_source_into_the_image() -> None:
    source = torch.full((1, 3, 96, 96), -0.4)
    source[..., 30:66, 44:50] = source[..., 45:51, 24:72] = 0.5  # a cross whose lines are finer than the layout
    small = resize_image(source, (24, 24))
    prediction = resize_image(small, (6, 6))
    prediction = resize_image(prediction, (24, 24))
    target = (0.4 * torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))).clamp(-1, 1)
    synthesizer = Synthesizer(resize_image(target, (24, 24)), [1.0], SynthesisConfig(layout_scale=1.0), target)
    line = (source > 0).float().mean(1, keepdim=True)
    contrasts = []
    for structure_dial in (0.0, 0.5, 1.0):
        transfer = source_transfer(small, prediction, target)
        guide = Guide.fit(small, prediction, source, transfer, structure_dial, synthesizer.config)
        image = synthesizer.synthesize(prediction, (96, 96), guide, 1.0).image.mean(1, keepdim=True)
        contrasts.append(float((image * line).sum() / line.sum() - (image * (1 - line)).sum() / (1 - line).sum()))
    assert contrasts[0] < contrasts[1] < contrasts[2]
    assert contrasts[2] > 0.05
