"""Settings of patch synthesis: everything that decides which picture it gives.

It imports no torch, so that the command line can show every field at once. A model file holds the settings that its
model was made for, and every use of a model can override them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lonepair.errors import UserError, wrong_types

_AT_LEAST = {
    0: (
        "replacement_passes",
        "gpu_replacement_passes",
        "clip_global_rounds",
        "flow_iterations",
        "cut_threshold",
    ),
    1: (
        "guide_transfer_side",
        "min_target_side",
        "max_contrast_ratio",
        "similarity_stride",
        "patch_stride",
        "rounds",
        "upscaling_rounds",
        "completeness_samples",
        "propagation_distance",
        "search_components",
        "search_component_samples",
        "gpu_replacements",
        "clip_rounds",
        "clip_patch_stride",
        "clip_completeness_samples",
    ),
    2: ("copied_region_min_run",),
    3: ("flow_window",),
}
"""Smallest value -> the fields that have it."""
_ABOVE_0 = (
    "novelty_threshold",
    "similarity_floor",
    "blend_sigma",
    "completeness",
    "clip_completeness",
    "flow_damping",
    "guide_sigma",
    "guide_damping",
    "edge_threshold",
    "edge_sigma",
    "contrast_sigma",
)
_RANGES = {
    "layout_scale": (0.1, 100.0),
    "layout_restoration": (0.0, 1.5),
    "max_scale_ratio": (1.05, 4.0),
    "final_edges": (0.0, 1.0),
    "final_edge_scale": (0.0, 1.0),
    "max_contrast_gain": (1.0, 10.0),
}


@dataclass(frozen=True)
class SynthesisConfig:
    """How a coarse prediction is replaced by patches of the target, coarse to fine.

    Raises:
        UserError: for a field of a wrong type or out of its range.
    """

    # Layout: what is retained of the prediction.
    layout_scale: float = 3.2
    """Scale of the layout that is retained, as a multiple of the model's coarsest scale, 0.1 to 100. Work begins
    at that scale. A larger value retains finer shapes of the prediction; a smaller one lets the target's objects
    replace them."""
    layout_restoration: float = 1.0
    """Fraction, 0 to 1.5, of the layout lost in a round that the next round restores. A larger value keeps shapes in
    place; above 1 smooth areas fill with dots; at 0 the target's own layout replaces the prediction's."""
    novelty_threshold: float = 3.0
    """Distance to the target's patches, as a multiple of the image's median distance, above 0, at which only half
    of the lost layout is restored. A larger value also restores shapes that the target has nothing like."""
    similarity_stride: int = 3
    """Distance in pixels, 1 or more, between the patches that are compared with the target for `novelty_threshold`.
    A larger value is faster and gives a coarser similarity map."""
    similarity_floor: float = 1e-4
    """Smallest value, in squared units of the target's contrast, above 0, that counts as the median distance of
    `novelty_threshold`. A larger value restores more layout where nearly all patches occur in the target."""

    # The source's edges, which the dial `structure` keeps.
    guide_sigma: float = 2.0
    """Standard deviation, in pixels at the networks' resolution, above 0, of the windows in which the prediction is
    fitted to the source. A larger value gives smoother colors along the source's edges."""
    guide_damping: float = 2e-3
    """Squared contrast of the source in a window, in images of the range [-1, 1], above 0, that counts as noise. A
    larger value follows fewer of the source's edges."""
    guide_transfer_side: int = 30
    """Longest side in pixels, 1 or more. Shapes of the source that are finer than a pixel at this size take the
    target's colors by one map for the image, larger shapes by the local fit. A larger value keeps fewer of the details
    that the networks ignore, such as the features of a face."""
    edge_threshold: float = 0.3
    """Energy of the source's edges, as a multiple of the target's own texture, above 0, at which half of an edge is
    restored. A larger value leaves more of the texture and keeps fewer edges."""
    edge_sigma: float = 2.0
    """Standard deviation in pixels, above 0, of the window that measures the energy of edges. A larger value restores
    more of the area around an edge."""
    final_edges: float = 0.85
    """Largest fraction, 0 to 1, of an edge that is drawn into the finished image, at `structure` 1. A larger value
    shows faces and letters more clearly, and less texture over them."""
    final_edge_scale: float = 0.6
    """Finest edges that are drawn into the finished image, 0 to 1, geometrically from the networks' resolution to the
    output's. A larger value draws finer lines, and more of the source's own texture."""

    # Contrast of the texture.
    texture_contrast: bool = True
    """Give the blended image the local contrast that its patches have in the target, as overlapping patches average it
    away; no more in all than the target has."""
    contrast_sigma: float = 4.0
    """Standard deviation in pixels, above 0, of the window in which contrast is measured. A larger value changes
    contrast more evenly."""
    max_contrast_gain: float = 2.0
    """Largest factor, 1 to 10, by which contrast is raised or lowered. A larger value sharpens blurred areas more."""

    # Patches, scales and rounds.
    min_target_side: int = 44
    """Longest side in pixels, 1 or more, of the target at the coarsest scale, where `texture_size` makes it smaller
    than the image. A larger value starts at a finer scale: smaller objects of the target."""
    patch_size: int = 7
    """Side of the patches in pixels, an odd number from 3 to 31. A larger value copies larger structures."""
    patch_stride: int = 3
    """Distance in pixels between patches, 1 to `patch_size`. A smaller value averages more patches at each pixel:
    slower and softer."""
    rounds: int = 4
    """Rounds of search and blending at every scale of the model, 1 or more. More rounds are sharper and slower."""
    upscaling_rounds: int = 2
    """`rounds` at every scale above the model's own, 1 or more, where large shapes no longer change."""
    max_scale_ratio: float = 1.6
    """Largest ratio of two successive scales above the model's own, 1.05 to 4. A larger value takes fewer scales:
    faster and rougher."""
    blend_sigma: float = 1.0
    """Standard deviation, in pixels, above 0, of the Gaussian patch weights in the final blend. Smaller is sharper
    and rougher."""

    # Search.
    max_contrast_ratio: float = 3.0
    """Largest ratio, 1 or more, of the target's contrasts along two directions of color; a smaller contrast counts as
    the largest divided by it. A larger value gives the hues of a nearly gray target more weight in the search."""
    completeness: float = 0.015
    """Alpha of the completeness term (Granot et al., GPNN, CVPR 2022, eq. 2), in squared units of the target's
    contrast, above 0. A smaller value takes rare patches of the target more often."""
    completeness_samples: int = 512
    """Number of the image's patches, 1 or more, from which the completeness term estimates which patches of the target
    are in use. A larger value is more exact and slower."""
    propagation_distance: int = 1
    """Largest distance, in patches, 1 or more, from which a patch takes over its neighbor's match; it is halved
    down to 1. A larger value finds good matches sooner and is slower."""
    search_components: int = 32
    """Number of principal components of the target's patches, 1 or more, along which patches are compared. A larger
    value is more exact and slower; 32 hold 0.95 of the variance of photographs and more."""
    search_component_samples: int = 16384
    """Approximate number of the target's patches, 1 or more, from which the components are computed. A larger value is
    slower and hardly changes them."""

    # Copied regions.
    copied_region_share: float = 0.08
    """Side of the smallest region of successive patches that counts as copied out of the target, as a share of the
    longest side, above 0 to 1. Its patches are replaced. A larger value lets larger regions of the target appear; 1
    lets all."""
    copied_region_min_run: int = 2
    """Side of the smallest copied region in patches, 2 or more, where `copied_region_share` gives less. A larger value
    lets small images copy larger regions."""
    replacement_passes: int = 4
    """Number of times, 0 or more, that copied regions are replaced in a round: their replacements may be copied
    regions, too. A larger value leaves fewer."""
    gpu_replacement_passes: int = 2
    """`replacement_passes` for a clip's frames on a GPU, 0 or more. There passes never end early, because the host
    reads no result. A larger value leaves fewer copied regions and is slower."""
    gpu_replacements: int = 512
    """Number of patches, 1 or more, that such a pass replaces at most. A larger value leaves fewer copied regions and
    is slower."""

    # A clip's frames after the first.
    clip_rounds: int = 2
    """Rounds for each frame of a clip after the first, at full size, 1 or more. With one round a moving camera leaves
    grids and ghosts; more rounds are slower."""
    clip_global_rounds: int = 1
    """Number of those rounds, the first ones, 0 or more, in which `clip_completeness_samples` patches of the frame are
    also searched for in all of the target. More rounds bring new content sooner, and flicker more."""
    clip_patch_stride: int = 3
    """Distance in pixels between patches of a clip's frames, 1 to `patch_size`. A smaller value is softer and
    slower."""
    clip_completeness: float = 0.1
    """`completeness` for a clip's frames after the first, above 0. A smaller value flickers: the frame before has most
    patches in use already."""
    clip_completeness_samples: int = 128
    """`completeness_samples` for a clip's frames after the first, 1 or more. A larger value is more exact and
    slower."""
    clip_half_search: bool = True
    """Whether a search of all of the target for a clip's frame takes only every second row and column of patches: four
    times as fast, and rougher."""

    # Motion between a clip's frames.
    flow_window: int = 25
    """Side in pixels, at the networks' resolution, 3 or more, of the squares whose motion is estimated as one. A
    larger value is steadier and follows small objects less; motions up to a quarter of it are followed."""
    flow_iterations: int = 3
    """Iterations of the motion estimate, 0 or more. A larger value follows faster motion; 0 assumes that nothing
    moves."""
    flow_damping: float = 5e-3
    """Squared contrast per pixel, above 0, below which a square is taken to stand still. A larger value ignores more
    noise, and more motion of faint texture."""
    cut_threshold: float = 0.3
    """Mean absolute difference of two frames in [-1, 1] after motion, 0 or more, above which a cut lies between
    them: synthesis starts again. A larger value finds fewer cuts."""

    def __post_init__(self) -> None:
        if problems := wrong_types(self) or self.problems():
            raise UserError("; ".join(problems))

    def problems(self) -> list[str]:
        """Every field out of its range, in one line each: its name, its value and the range."""
        lines = [
            self._line(name, f"{lowest} or more")
            for lowest, names in _AT_LEAST.items()
            for name in names
            if not getattr(self, name) >= lowest
        ]
        lines += [self._line(name, "a number above 0") for name in _ABOVE_0 if not getattr(self, name) > 0]
        lines += [
            self._line(name, f"a number from {low:g} to {high:g}")
            for name, (low, high) in _RANGES.items()
            if not low <= getattr(self, name) <= high
        ]
        if not 3 <= self.patch_size <= 31 or self.patch_size % 2 == 0:
            lines.append(self._line("patch_size", "an odd number from 3 to 31"))
        if not 0 < self.copied_region_share <= 1:
            lines.append(self._line("copied_region_share", "a number above 0, at most 1"))
        for name in ("patch_stride", "clip_patch_stride"):
            if getattr(self, name) > self.patch_size:
                lines.append(self._line(name, f"at most patch_size, {self.patch_size}: larger ones leave gaps"))
        return lines

    def _line(self, name: str, remedy: str) -> str:
        return f"{name} is {getattr(self, name)}: choose {remedy}"

    def with_changes(self, changes: Mapping[str, Any]) -> SynthesisConfig:
        """These settings with `changes`, field name -> value.

        Raises:
            UserError: for a name that is no field, or a wrong value.
        """
        names = [field.name for field in dataclasses.fields(self)]
        if unknown := sorted(set(changes) - set(names)):
            raise UserError(f"{', '.join(unknown)}: no setting of patch synthesis; choose from {', '.join(names)}")
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, as saved in a model file and in the metadata of outputs."""
        return dataclasses.asdict(self)
