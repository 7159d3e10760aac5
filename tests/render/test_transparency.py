"""A translation has the transparency of its source where the target has none."""

from __future__ import annotations

import torch

from lonepair.api.job import Job
from tiny_models import SIZE, model_of
from tiny_settings import picture, tiny

SPRITE = torch.cat([picture(*SIZE, seed=3), torch.ones(1, 1, *SIZE)], dim=1)
SPRITE[:, 3, :, : SIZE[1] // 2] = -1


def test_a_sprite_keeps_its_silhouette_unless_it_is_dropped() -> None:
    model = model_of("lonepair")
    kept = model.translate(SPRITE).image
    dropped = model.translate(SPRITE, transparency="drop").image
    assert torch.equal(kept[:, 3:], SPRITE[:, 3:])
    assert dropped.shape[1] == 3
    assert torch.equal(kept[:, :3], dropped)


def test_a_sprite_keeps_its_silhouette_where_it_was_trained_with_an_opaque_target() -> None:
    inputs = {"a": SPRITE, "b": picture(20, 24, 3, seed=2)}
    model = Job.prepare(inputs, "lonepair", "standard", tiny("lonepair", max_side=26, stages=3)).run()
    assert torch.equal(model.translate(SPRITE).image[:, 3:], SPRITE[:, 3:])


def test_transparency_of_a_transparent_target_is_part_of_its_style() -> None:
    image = model_of("lonepair", 4).translate(SPRITE).image
    assert image.shape[1] == 4
    assert not torch.equal(image[:, 3:], SPRITE[:, 3:])
