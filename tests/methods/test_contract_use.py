"""Contract of every method: using a trained model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from method_jobs import every_method, few_steps, job, method_at_stage, methods_that, output, trained

from lonepair.api.model import load
from lonepair.errors import UserError
from lonepair.ops.noise import RandomStream
from tiny_settings import picture


@methods_that("translate")
def test_translated_clip_keeps_its_length_and_times(name: str) -> None:
    clip = torch.cat([picture(20, 18, seed=i) for i in range(3)])
    pair = job(name, {"a": clip, "b": picture(20, 20)}, **few_steps(name)).run()
    frames = list(pair.translate(clip).frames())
    assert [frame.image.shape for frame in frames] == [(1, 3, 20, 18)] * 3
    assert [float(frame.time) for frame in frames] == [0, 0.04, 0.08]


@every_method
def test_loaded_model_computes_the_same_images(name: str, tmp_path: Path) -> None:
    pair, image = trained(name), picture(24, 20, seed=1)
    loaded = load(pair.save(tmp_path / "model.safetensors"), device="cpu", dtype="float32")
    engine = pair.engine
    try:
        pair.to(loaded.engine)
        assert torch.equal(output(pair, image), output(loaded, image))
        assert torch.equal(pair.sample(1, seed=3)[0]["a"], loaded.sample(1, seed=3)[0]["a"])
    finally:
        pair.to(engine)
    assert loaded.settings == pair.settings


@every_method
def test_sample_does_not_depend_on_the_count(name: str) -> None:
    model = trained(name)
    alone, many = model.sample(1, seed=4), model.sample(3, seed=4)
    # The noise is the same, but a batch may be summed in another order.
    assert torch.allclose(alone[0]["a"], many[0]["a"], atol=1e-5)
    assert not torch.equal(many[0]["a"], many[1]["a"])


@every_method
def test_samples_have_any_size_of_at_least_min_side(name: str) -> None:
    model = trained(name)
    assert model.sample(1, size=(37, 18))[0]["a"].shape == (1, 3, 37, 18)
    with pytest.raises(UserError, match="min_side"):
        model.sample(1, size=(37, 5))


@every_method
def test_preview_shows_every_domain(name: str) -> None:
    method, inputs = method_at_stage(name, 1)
    with torch.no_grad():
        pictures = method.preview(inputs.real, RandomStream(0))
    assert len(pictures) >= 2
    assert all(image.isfinite().all() for _, image in pictures)
