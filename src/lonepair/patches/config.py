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
from lonepair.patches.ranges import ABOVE_0, INTERVALS, WHOLE_NUMBERS


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
    layout_warp: float = 0.0
    """Of random images of one image: strength, 0 to 1, of the random smooth warp of the training image that enters
    the networks, as a share of its width. A larger value gives more diverse layouts, and less plausible ones; at 0
    noise enters the networks."""
    novelty_threshold: float = 3.0
    """Distance to the target's patches, as a multiple of the image's median distance, above 0, at which only half
    of the lost layout is restored. A larger value also restores shapes that the target has nothing like."""
    similarity_stride: int = 3
    """Distance in pixels, 1 to 1000, between the patches that are compared with the target for `novelty_threshold`.
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
    """Longest side in pixels, 1 to 4096. Shapes of the source that are finer than a pixel at this size take the
    target's colors by one map for the image, larger shapes by the local fit. A larger value keeps fewer of the details
    that the networks ignore, such as the features of a face."""
    guide_max_energy: float = 2.0
    """Largest energy of those finer shapes, above 0, as a multiple of the target's texture in areas of the same color.
    From `structure` 0.5 to 1 more and more of the surplus stays. A larger value shows more of the source's fine shapes
    where the target is flat."""
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
    """Longest side in pixels, 1 to 16384, of the target at the coarsest scale, where `texture_size` makes it smaller
    than the image. A larger value starts at a finer scale: smaller objects of the target."""
    patch_size: int = 7
    """Side of the patches in pixels, an odd number from 3 to 31. A larger value copies larger structures."""
    patch_stride: int = 3
    """Distance in pixels between patches, 1 to `patch_size`. A smaller value averages more patches at each pixel:
    slower and softer."""
    rounds: int = 4
    """Rounds of search and blending at every scale of the model, 1 to 100. More rounds are sharper and slower."""
    upscaling_rounds: int = 2
    """`rounds` at every scale above the model's own, 1 to 100, where large shapes no longer change."""
    max_scale_ratio: float = 1.6
    """Largest ratio of two successive scales above the model's own, 1.05 to 4. A larger value takes fewer scales:
    faster and rougher."""
    blend_sigma: float = 1.0
    """Standard deviation, in pixels, above 0, of the Gaussian patch weights in the final blend. Smaller is sharper
    and rougher."""

    # Search.
    max_contrast_ratio: float = 3.0
    """Largest ratio, 1 to 1e6, of the target's contrasts along two directions of color; a smaller contrast counts as
    the largest divided by it. A larger value gives the hues of a nearly gray target more weight in the search."""
    completeness: float = 0.015
    """Alpha of the completeness term (Granot et al., GPNN, CVPR 2022, eq. 2), in squared units of the target's
    contrast, above 0. A smaller value takes rare patches of the target more often."""
    completeness_samples: int = 512
    """Number of the image's patches, 1 to 1e6, from which the completeness term estimates which patches of the target
    are in use. A larger value is more exact and slower."""
    propagation_distance: int = 1
    """Largest distance, in patches, 1 to 1000, from which a patch takes over its neighbor's match; it is halved
    down to 1. A larger value finds good matches sooner and is slower."""
    row_weight: float = 0.0
    """Distance, 0 to 100, in squared units of the target's contrast, between two equal patches of which one is at the
    top of the image and one at the bottom; it grows with the square of the difference of heights. A larger value keeps
    the target's sky above and its ground below."""
    search_components: int = 32
    """Number of principal components of the target's patches, 1 to 4096, along which patches are compared. A larger
    value is more exact and slower; 32 hold 0.95 of the variance of photographs and more."""
    search_component_samples: int = 16384
    """Approximate number of the target's patches, 1 to 1e7, from which the components are computed. A larger value is
    slower and hardly changes them."""

    # Copied regions.
    copied_region_share: float = 0.08
    """Side of the smallest region of successive patches that counts as copied out of the target, as a share of the
    longest side, above 0 to 1. Its patches are replaced. A larger value lets larger regions of the target appear; 1
    lets all."""
    copied_region_min_run: int = 2
    """Side of the smallest copied region in patches, 2 to 10000, where `copied_region_share` gives less. A larger value
    lets small images copy larger regions."""
    replacement_passes: int = 4
    """Number of times, 0 to 100, that copied regions are replaced in a round: their replacements may be copied
    regions, too. A larger value leaves fewer."""

    # A clip: pixels are carried along the source's motion, and synthesized again where that fails.
    anchors: int = 12
    """Largest number of finished frames, 2 to 1000, from which carried pixels are read. More frames hold more of the
    texture's sharpness in long clips, and take more memory."""
    anchor_interval: int = 6
    """Number of frames, 1 to 1e6, after which new pixels are read from a frame of their own. A larger value lets
    them blur more; a smaller one uses up the `anchors` sooner."""
    max_carry_gain: float = 2.5
    """Largest factor, 1 to 4, by which the fine texture of carried pixels is amplified to hold its contrast. 1: not at
    all, which leaves them softer."""
    anchor_megabytes: int = 400
    """Memory in MB, 1 to 1e6, that `anchors` take at most, though two are kept. It limits frames above 2K. A larger
    value holds more sharpness in long clips of large frames."""
    max_blend_gain: float = 1.5
    """Largest factor, 1 to 4, by which the fine texture is amplified where the passes forward and backward are blended,
    as the mean of two textures is softer. A larger value is sharper, and shows both textures more."""
    synthesized_weight: float = 0.01
    """Weight, 1e-6 to 1, of pixels that the pass forward has synthesized, beside 1 of a keyframe's; its square is that
    of the pass backward. A larger value lets new texture show beside a keyframe's."""
    dial_iterations: int = 8
    """Number of iterations, 1 to 100, that compute the frame which the dials turn into a keyframe. A larger value is
    more exact and slower."""
    change_side: int = 80
    """Longest side in pixels, 1 to 16384, at which a change of a stylized clip is separated from its flicker
    (`lonepair stabilize`). A larger value follows finer changes, and takes more flicker for change."""
    flow_side: int = 640
    """Longest side in pixels, 32 to 16384, at which motion is measured. A larger value is more exact and slower."""
    flow_window: float = 3.0
    """Standard deviation in those pixels, above 0, of the window in which two frames are compared. A larger value
    ignores finer differences, and follows the edges of what moves less closely."""
    occlusion_threshold: float = 1.0
    """Distance in pixels, above 0, between a pixel and where its motion forth and back leads to, above which it counts
    as hidden in the frame before. A larger value keeps more pixels, and leaves ghosts at the edges of what moves."""
    mismatch_threshold: float = 0.12
    """Difference of the source's colors along its motion, in images of the range [-1, 1], above 0, above which the
    motion does not explain a pixel. A larger value keeps more pixels where light changes, and leaves more ghosts."""
    fast_share: float = 0.15
    """Share of the pixels, 0 to 1, that no motion explains, above which the motion is measured again from that of the
    frame as one. A larger value is faster, and loses cameras that move fast."""
    search_reach: float = 0.12
    """Largest motion of a small object that is searched for, as a share of the longest side, 0 to 1. A larger value
    follows faster objects, is slower, and confuses similar ones more easily; 0 searches for none."""
    own_motion_ratio: float = 1.5
    """Squared difference of two frames after the camera's motion, over that after a pixel's own motion, above 0.5, at
    which half of its own motion counts. A larger value trembles and tears less under a sensor's or a codec's noise, and
    follows faint motion less."""
    motion_slack: float = 0.1
    """Largest distance in pixels, 0 to 100, between a pixel of the texture and what it lies on. A larger value trembles
    less under a codec's and a sensor's noise, and follows small motion to and fro less."""
    seam_width: int = 2
    """Pixels, 0 to 1000, by which an area grows before it is synthesized, so that its seam lies in carried texture. A
    larger value hides seams better and renews more."""
    renewal_change: float = 0.7
    """Change of the networks' prediction since a pixel was synthesized, in standard deviations of the prediction, above
    0, above which it is synthesized again. A larger value flickers less and follows changes later."""
    renewal_window: float = 2.0
    """Standard deviation in pixels at the networks' resolution, above 0, of the window in which that change is
    averaged. A larger value ignores changes of finer shapes."""
    renewal_energy: float = 0.4
    """Gradient energy of the texture, over that when it was synthesized, 0 to 1, below which it is synthesized again. A
    larger value leaves less blur, and renews more where the camera moves closer."""
    renewal_stretch: float = 2.0
    """Factor, above 1, by which the texture may be stretched or compressed before it is synthesized again. A larger
    value flickers less where things turn or come closer, and shows distorted texture."""
    renewal_anisotropy: float = 1.8
    """Stretch of the texture along one direction over that along another, above 1, from which on it is synthesized
    again. A larger value flickers less where things turn or flow, and shows texture that is torn into lines."""
    renewal_rounds: int = 2
    """Rounds at the coarse scales of renewed areas, 1 to 100; half as many at the others. A larger value fits new
    texture better to what is around it, and is slower."""
    renewal_wait: int = 3
    """Largest number of frames, 0 to 1e6, for which what can wait waits, so that more is synthesized at once. A larger
    value is faster, and shows new content later."""
    fade_frames: int = 4
    """Number of frames, 1 to 1000, over which renewed pixels fade in. A larger value pops less, and is softer where
    the prediction changes all the time; 1: not at all."""
    narrow_width: int = 9
    """Width in pixels, 1 to 100000, below which a new area can wait, and a strip at the border waits without limit. A
    larger value is faster, and shows new content later."""
    settle_width: float = 0.25
    """Distance from the border, as a share of the longest side, 0 to 0.5, at which what has come in as narrow strips is
    synthesized again as a whole. A larger value fits it together better, and shows loose strips longer; 0: never."""
    cut_share: float = 0.4
    """Share of the pixels, 0 to 1, that no motion explains, above which a cut lies between two frames: a new scene
    starts. A larger value finds fewer cuts."""

    def __post_init__(self) -> None:
        if problems := wrong_types(self) or self.problems():
            raise UserError("; ".join(problems))

    def problems(self) -> list[str]:
        """Every field out of its range, in one line each: its name, its value and the range."""
        lines = []
        for name, (least, most) in WHOLE_NUMBERS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                lines.append(self._line(name, f"{least} or more" if value < least else f"{most} or less"))
        for name, largest in ABOVE_0.items():
            value = getattr(self, name)
            if not 0 < value <= largest:
                lines.append(self._line(name, f"{largest:g} or less" if value > largest else "a number above 0"))
        lines += [
            self._line(name, f"a number from {least:g} to {most:g}")
            for name, (least, most) in INTERVALS.items()
            if not least <= getattr(self, name) <= most
        ]
        if not 3 <= self.patch_size <= 31 or self.patch_size % 2 == 0:
            lines.append(self._line("patch_size", "an odd number from 3 to 31"))
        if not 0 < self.copied_region_share <= 1:
            lines.append(self._line("copied_region_share", "a number above 0, at most 1"))
        if self.patch_stride > self.patch_size:
            lines.append(self._line("patch_stride", f"at most patch_size, {self.patch_size}: larger ones leave gaps"))
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
