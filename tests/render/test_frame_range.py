"""Parts of a clip are translated as the whole clip is."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.media.source import open_source
from lonepair.render.translation import Translation
from tiny_models import SIZE, model_of
from tiny_settings import picture

CLIP = torch.cat(
    [picture(*SIZE, seed=seed).roll(shift, 3) * 0.3 + 0.6 * (seed - 1) for seed in (0, 2) for shift in range(0, 10, 2)]
)
"""Two scenes of five frames."""


def translation(**settings: Any) -> Translation:
    return model_of("lonepair").translate(CLIP, **settings)


@cache
def whole_clip() -> list[Frame]:
    """The frames of the whole clip. Tests only read them."""
    return list(translation().frames())


@pytest.mark.parametrize(
    ("frames", "first", "last"),
    [("2:3", 2, 3), ("7", 7, 7), ("8:", 8, 9), (":4", 0, 4), ("3:6", 3, 6), ("0.28s:", 7, 9)],
)
def test_a_part_has_the_frames_of_the_whole_clip(frames: str, first: int, last: int) -> None:
    whole, part = whole_clip(), translation(frames=frames)
    computed = list(part.frames())
    assert len(computed) == last - first + 1
    for one, other in zip(computed, whole[first : last + 1], strict=True):
        assert torch.equal(one.image, other.image)
        assert one.time == other.time - whole[first].time
    assert torch.equal(part.frame(last - first).image, whole[last].image)
    assert torch.equal(part.image, whole[first].image)


def test_a_part_uses_the_masks_of_its_own_frames() -> None:
    masks = torch.stack([torch.full((1, *SIZE), -1.0).index_fill(1, torch.tensor([index]), 1.0) for index in range(10)])
    whole, part = translation(mask=masks), translation(mask=masks, frames="3:6")
    frames = [frame.image for frame in whole.frames()][3:7]
    assert all(torch.equal(one.image, other) for one, other in zip(part.frames(), frames, strict=True))
    assert not any(torch.equal(one, other) for one, other in pairwise(frames))


def test_a_file_of_a_part_has_its_frames_only(tmp_path: Path) -> None:
    whole = list(open_source(translation().save(tmp_path / "whole.mkv")).frames())
    part = list(open_source(translation(frames="6:8").save(tmp_path / "part.mkv")).frames())
    assert [frame.time for frame in part] == [frame.time for frame in whole[:3]]
    assert all(torch.equal(one.image, other.image) for one, other in zip(part, whole[6:9], strict=True))


@pytest.mark.parametrize("frames", ["5:12", "6:4", "a", "12", ":", "-3:"])
def test_a_wrong_range_is_one_line(frames: str) -> None:
    with pytest.raises(UserError, match="`frames` is") as error:
        translation(frames=frames)
    assert len(str(error.value).splitlines()) == 1


def test_an_image_has_no_range() -> None:
    with pytest.raises(UserError, match="is an image and has no frames to choose"):
        model_of("lonepair").translate(picture(*SIZE), frames="0:1")
