"""Random images: sizes, seeds, start stages and files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.errors import UserError
from lonepair.media.stills.image import read_image, read_metadata
from lonepair.methods.single import SingleMethod
from lonepair.ops.noise import RandomStream
from lonepair.render.sampling import reconstruction
from tiny_models import OTHER, methods_that, model_of


@pytest.mark.parametrize("name", methods.names())
@pytest.mark.parametrize("size", [None, OTHER, (14, 60)])
def test_samples_have_the_requested_size_and_differ(name: str, size: tuple[int, int] | None) -> None:
    model = model_of(name)
    samples = model.sample(2, size=size)
    for domain, images in samples.images.items():
        training_size = model.method.sizes["a"][-1]
        assert images.shape == (2, 3, *(size or training_size)), domain  # a pair's are aligned
        assert not torch.equal(images[0], images[1])


@pytest.mark.parametrize("name", methods.names())
def test_an_image_depends_on_seed_and_index_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(name)
    batch = model.sample(5, seed=3).images["a"]
    monkeypatch.setattr("lonepair.render.sampling.BATCH_PIXELS", 1)
    assert torch.allclose(model.sample(5, seed=3).images["a"], batch, atol=1e-5)
    assert torch.allclose(model.sample(2, seed=3).images["a"], batch[:2], atol=1e-5)
    assert not torch.equal(model.sample(1, seed=4).images["a"], model.sample(1, seed=3).images["a"])


@methods_that("sample_stage_sheet")
def test_stages_below_the_start_stage_reconstruct(name: str) -> None:
    model = model_of(name)
    single = model.method
    assert isinstance(single, SingleMethod)
    amplitudes = single.nets[single.inference_nets[0]].amplitudes
    assert isinstance(amplitudes, Tensor)
    original = amplitudes.clone()
    for start in range(1, single.stage + 1):
        amplitudes[start:] = 0  # without noise from `start` on, only the stages below could differ
        try:
            expected = reconstruction(single, model.engine)
            images = model.sample(2, start_stage=start, synthesize=False).images["a"]
        finally:
            amplitudes.copy_(original)
        assert torch.allclose(images, expected.expand_as(images), atol=1e-5)
    for start in (-1, single.stage + 1):
        with pytest.raises(UserError, match=f"{single.stage + 1} stages: choose 0 to {single.stage}"):
            model.sample(1, start_stage=start)


@methods_that("sample_stage_sheet")
def test_sample_with_the_seed_of_training_differs_from_the_reconstruction(name: str) -> None:
    model = model_of(name)
    single = model.method
    assert isinstance(single, SingleMethod)
    fixed = single.reconstruction_maps(single.sizes["a"])[0]
    first = single.noise_maps(single.sizes["a"], RandomStream.for_sample(0, 0, "cpu"))[0]
    assert abs(float(torch.corrcoef(torch.stack([fixed.flatten(), first.flatten()]))[0, 1])) < 0.3
    assert not torch.equal(model.sample(1, seed=0).images["a"], reconstruction(single, model.engine))


@methods_that("sample_stage_sheet")
def test_stage_sheet_has_a_row_for_every_stage(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    few, many = model.sample_stage_sheet(1).image, model.sample_stage_sheet(3).image
    assert few.shape[-2] == many.shape[-2]
    assert many.shape[-1] > 2 * few.shape[-1]
    one_row = few.shape[-2] / (model.method.stage + 1)
    assert one_row >= 20
    assert read_image(model.sample_stage_sheet(1).save(tmp_path / "s.png")).shape == few.shape


@pytest.mark.parametrize("name", methods.names())
def test_large_samples_computed_in_bands_equal_those_of_one_pass(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(name)
    # Large noise maps have keys of their own, in bands and in one pass.
    monkeypatch.setattr("lonepair.ops.noise.LARGE", 700)
    monkeypatch.setattr("lonepair.render.sampling.BATCH_PIXELS", 700)
    full = model.sample(2, size=(60, 50), synthesize=False)
    monkeypatch.setattr("lonepair.nets.growing.LARGE", 700)
    monkeypatch.setattr("lonepair.nets.stagewise.LARGE", 700)
    monkeypatch.setattr("lonepair.nets.bands.BAND_PIXELS", 400)
    banded = model.sample(2, size=(60, 50), synthesize=False)
    for domain, images in full.images.items():
        assert torch.allclose(images, banded.images[domain], atol=1e-4 if model.engine.dtype == torch.float32 else 0.05)


@pytest.mark.parametrize("name", methods.names())
def test_samples_are_a_sequence_and_save_as_numbered_files(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    samples = model.sample(3)
    assert len(samples) == 3
    assert len(samples[1:]) == 2
    assert torch.equal(samples[-1]["a"], samples.images["a"][2:])
    files = samples.save(tmp_path / "out")
    domains = len(model.method.domains)
    assert len(files) == 3 * domains
    assert files[0].name == ("000.png" if domains == 1 else "000-a.png")
    assert json.loads(read_metadata(files[0])["lonepair"])["use"]["seed"] == 0
    with pytest.raises(UserError, match=r"000.*overwrite"):
        samples.save(tmp_path / "out")
    samples.save(tmp_path / "out", overwrite=True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"count": 0}, "count is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"size": (5, 40)}, r"size is 40x5 \("),
    ],
)
def test_invalid_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model_of("consingan").sample(**{"count": 1, **settings})


@methods_that("translate")
def test_random_pairs_are_aligned(name: str) -> None:
    """B's random image is A's, translated: it changes with A's noise."""
    model = model_of(name)
    first, second = model.sample(1, seed=0), model.sample(1, seed=1)
    assert set(first.images) == {"a", "b"}
    assert not torch.equal(first.images["b"], second.images["b"])


def test_samples_of_one_image_keep_what_is_above_and_what_is_below() -> None:
    """Dark above, bright below, both with the same texture: noise at the coarsest stage mixes them, a warp does not."""
    texture = 0.2 * torch.randn(1, 3, 30, 40, generator=torch.Generator().manual_seed(0))
    image = texture + torch.linspace(-0.8, 0.8, 30).sign()[:, None] * 0.6
    settings = {"max_side": 40, "min_side": 14, "stages": 3, "steps": 12, "finest_steps": 6, "width": 16}
    model = Job.prepare({"a": image.clamp(-1, 1)}, "lonepair-single", "standard", settings).run()
    for size in (None, (30, 90)):
        samples = model.sample(3, seed=1, size=size).images["a"]
        assert not torch.equal(samples[0], samples[1])
        rows = samples.mean((1, 3))
        assert (rows[:, 20:] > rows[:, :10].max() + 0.6).all(), rows
    below = model.sample(1, seed=1, synthesis={"layout_warp": 0.0, "row_weight": 0.0}).images["a"]
    assert not torch.equal(below, model.sample(1, seed=1).images["a"])
