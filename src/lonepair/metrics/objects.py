"""Objects kept: whether a translated clip still shows an object whose path is known, and no ghost of it. Our own."""

from __future__ import annotations

import math
import statistics
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.metrics.series import Curve
from lonepair.ops.morphology import dilate

SMOOTHING = 5
"""Frames of the running mean whose lowest value counts: a single frame has chance contrast of the texture."""
VISIBLE = 0.9
"""Share of the object's largest area that a frame must show to count: less at the border of the frame."""


@runtime_checkable
class ObjectPath(Protocol):
    """The known path of an object through a clip."""

    @property
    def length(self) -> int:
        """Number of frames of the clip."""
        ...

    def mask(self, index: int) -> Bool[Tensor, "1 1 h w"]:
        """Where the object is in frame number `index`; empty where it is outside."""
        ...


class _Zone:
    """The pixels of an object and of a ring around it that is as wide as the object's radius."""

    def __init__(self, mask: Bool[Tensor, "1 1 h w"]) -> None:
        radius = max(2, round(math.sqrt(float(mask.sum()) / math.pi)))
        self.mask = mask
        # Two pixels between both: the object's border is mixed with its surround.
        self.extent = dilate(mask, 2 + radius)
        self.ring = self.extent & ~dilate(mask, 2)

    def contrast(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, " c"]:
        """The mean color of the object less that of its ring."""
        colors = image[0].flatten(1)
        return colors[:, self.mask.flatten()].mean(1) - colors[:, self.ring.flatten()].mean(1)


class ObjectMeter:
    """Measures the contrast of a moving object along its path, and what is left of it where it was.

    The contrast is the distance between the mean colors of the object's pixels and of a ring around them. *kept* is
    its ratio to that of the first frame that shows the whole object; *chance* is that of places of the path without the
    object. *ghost* is the change, along the contrast of the
    first frame and divided by it, that remains at a place of the path after the object has left it, beside the frames
    before it came (beside none at the first place). The camera must stand still for that.
    """

    def __init__(self, path: ObjectPath) -> None:
        self._path = path
        areas = [int(path.mask(index).sum()) for index in range(path.length)]
        self._visible = [area >= VISIBLE * max(areas) > 0 for area in areas]
        # Places of the path that do not overlap, each with the frames in which the object touches it.
        self._places: list[_Place] = []
        for index in range(path.length):
            if self._visible[index] and not any(place.touches(path.mask(index)) for place in self._places):
                self._places.append(_Place(path.mask(index)))
        for index in range(path.length):
            for place in self._places:
                if place.touches(path.mask(index)):
                    place.object_frames.append(index)
        self._first: Tensor | None = None
        self._contrasts: Curve = []
        self._source_contrasts: list[float] = []

    def add(self, index: int, output: Float[Tensor, "1 c h w"], source: Float[Tensor, "1 c h w"]) -> None:
        """Measure frame number `index` of the output and of the source."""
        if self._visible[index]:
            zone = _Zone(self._path.mask(index))
            contrast = zone.contrast(output)
            self._first = contrast if self._first is None else self._first
            self._contrasts.append((index, float(contrast.norm())))
            self._source_contrasts.append(float(zone.contrast(source).norm()))
        for place in self._places:
            place.add(index, output)

    @property
    def kept_curve(self) -> Curve:
        """The object's contrast over that of its first frame, in each frame that shows the whole object."""
        first = max(self._contrasts[0][1], 1e-6) if self._contrasts else 1.0
        return [(index, contrast / first) for index, contrast in self._contrasts]

    @property
    def ghost_curve(self) -> Curve:
        """For each frame, the strongest ghost at any place that the object has left."""
        if self._first is None:
            return []
        curves = [dict(place.ghosts(self._first)) for place in self._places]
        frames = sorted({index for curve in curves for index in curve})
        return [(index, max(curve[index] for curve in curves if index in curve)) for index in frames]

    @property
    def values(self) -> dict[str, float]:
        """objects_kept, objects_lowest, objects_chance, object_contrast, ghost; what cannot be measured is missing."""
        kept = [value for _, value in self.kept_curve]
        if not kept or self._first is None:
            return {}
        count = min(SMOOTHING, len(kept))
        running = [statistics.fmean(kept[i : i + count]) for i in range(len(kept) - count + 1)]
        source_mean = statistics.fmean(self._source_contrasts)
        values = {
            "objects_kept": statistics.fmean(kept),
            "objects_lowest": min(running),
            "object_contrast": statistics.fmean(contrast for _, contrast in self._contrasts) / max(source_mean, 1e-6),
        }
        # Coarse texture has contrast of that size without an object, too.
        if chance := [contrast for place in self._places for contrast in place.chance_contrasts]:
            values["objects_chance"] = statistics.fmean(chance) / max(self._contrasts[0][1], 1e-6)
        # A ghost that stays: the mean over time at each place, the largest of all places.
        ghosts = [[value for _, value in place.ghosts(self._first)] for place in self._places]
        if means := [statistics.fmean(ghost) for ghost in ghosts if ghost]:
            values["ghost"] = max(means)
        return values


class _Place:
    """A place on the path: its contrast in the frames in which the object is elsewhere."""

    def __init__(self, mask: Bool[Tensor, "1 1 h w"]) -> None:
        self._zone = _Zone(mask)
        self.object_frames: list[int] = []
        self._before: list[Tensor] = []
        self._after: list[tuple[int, Tensor]] = []

    def touches(self, mask: Bool[Tensor, "1 1 h w"]) -> bool:
        """Whether an object at `mask` covers a part of this place or of its ring."""
        return bool((self._zone.extent & mask).any())

    def add(self, index: int, output: Float[Tensor, "1 c h w"]) -> None:
        if index < min(self.object_frames):
            self._before.append(self._zone.contrast(output))
        elif index > max(self.object_frames):
            self._after.append((index, self._zone.contrast(output)))

    @property
    def chance_contrasts(self) -> list[float]:
        """The contrasts without the object."""
        return [float(contrast.norm()) for contrast in [*self._before, *(contrast for _, contrast in self._after)]]

    def ghosts(self, first: Float[Tensor, " c"]) -> Curve:
        """The contrast after the object left, less that before it came, along `first` and in its units."""
        before = torch.stack(self._before).mean(0) if self._before else torch.zeros_like(first)
        scale = float(first.square().sum().clamp_min(1e-9))
        return [(index, float(((contrast - before) * first).sum()) / scale) for index, contrast in self._after]
