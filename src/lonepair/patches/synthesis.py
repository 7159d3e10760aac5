"""Patch synthesis: turn a coarse prediction into an image of the target's own patches.

A small network learns within minutes which material belongs where; the finest grain would take it hours. For one target
it is cheaper to search for that grain: every patch of the prediction is replaced by the nearest of the target's, coarse
to fine.

Published ideas used:
- Alternate between matching patches and averaging the matches (Kwatra et al., Texture optimization, SIGGRAPH 2005).
- The completeness term (Granot et al., GPNN, CVPR 2022, eq. 2).
- Propagate matches between neighbors instead of searching all patches (Barnes et al., PatchMatch, SIGGRAPH 2009).

Our departures:
- The search starts from the network's prediction rather than from noise or the source.
- Every round restores the prediction's layout. Without that the target's own layout replaces it.
- Regions that are copied out of the target are replaced.
- A clip's frame is synthesized only where nothing can be carried from the frame before (`carry.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.ops.blur import reduce_and_enlarge
from lonepair.ops.pyramid import scale_size
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.contrast import restore_contrast
from lonepair.patches.guide import Guide
from lonepair.patches.lattice import Lattice
from lonepair.patches.restoration import Restoration
from lonepair.patches.search import rows_and_columns
from lonepair.patches.steps import SharedScales, Steps, run_in_step
from lonepair.patches.texture import SearchSettings, Texture
from lonepair.patches.windows import Window, covering_windows


@dataclass(frozen=True)
class Synthesis:
    """A synthesized image, and where its patches come from."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1]."""
    matches: Int[Tensor, n]
    """Of each patch of `lattice`, row by row, the index of the target's patch at that position."""
    lattice: Lattice
    target_shape: tuple[int, int]
    """Number of the target's patches in a column and in a row at this scale."""

    @property
    def target_positions(self) -> Int[Tensor, "2 rows columns"]:
        """Row and column of the target's pixel, at this scale, at which each matched patch begins."""
        return rows_and_columns(self.matches, self.target_shape[1]).view(2, *self.lattice.shape)


class Synthesizer:
    """Synthesizes images from the patches of one target. It caches the target's scales between calls."""

    def __init__(
        self,
        target: Float[Tensor, "1 c h w"],
        factors: Sequence[float],
        config: SynthesisConfig,
        detail: Float[Tensor, "1 c h2 w2"] | None = None,
        input_scale: float = 0.0,
        caches_all_scales: bool = False,
    ) -> None:
        """
        Args:
            target: The image that the model learned, at the resolution of its predictions.
            factors: The model's scales, rising to 1.
            detail: The target in more pixels: images can grow by that ratio.
            input_scale: Scale of the image that entered the networks; its layout is retained entirely.
            caches_all_scales: Cache the target at every scale, for many syntheses of one size, as of a clip.
        """
        self.config = config
        self._caches_all_scales = caches_all_scales
        self._target = target
        self._detail = target if detail is None else detail
        # The networks decide the layout at the coarsest scales. Synthesis begins at the layout's own scale.
        self._layout_factor = min(1.0, max(config.layout_scale * factors[0], input_scale))
        self.factors = [factor for factor in factors if factor >= self._layout_factor]
        self.max_growth = max(self._detail.shape[-2:]) / max(target.shape[-2:])
        """Largest ratio of an image's size to that of its prediction."""
        self._textures: dict[tuple[int, int], Texture] = {}
        self._last_similarity: tuple[Tensor, Tensor] | None = None

    @property
    def detail_size(self) -> tuple[int, int]:
        """(h, w) in pixels of the target as the model stores it."""
        return self._detail.shape[-2], self._detail.shape[-1]

    def target_size(self, growth: float) -> tuple[int, int]:
        """(h, w) of the target, `growth` times as large as its predictions; at `max_growth`, that of its detail."""
        if growth == 1:
            return self._target.shape[-2], self._target.shape[-1]
        h, w = self._detail.shape[-2:]
        return round(h * growth / self.max_growth), round(w * growth / self.max_growth)

    # -- images ---------------------------------------------------------------------------------------------------

    def synthesize(
        self,
        prediction: Float[Tensor, "1 c h w"],
        size: tuple[int, int] | None = None,
        guide: Guide | None = None,
        texture_scale: float | None = None,
    ) -> Synthesis:
        """The result of `steps` without changes from outside; arguments as of `steps`."""
        return run_in_step([self.steps(prediction, size, guide, texture_scale)])[0]

    @torch.no_grad()
    def steps(
        self,
        prediction: Float[Tensor, "1 c h w"],
        size: tuple[int, int] | None = None,
        guide: Guide | None = None,
        texture_scale: float | None = None,
        shared: SharedScales | None = None,
        window: Window | None = None,
    ) -> Steps:
        """Replace the patches of `prediction` by the target's, coarse to fine.

        At the coarsest scale each patch is compared with all of the target's; above it, with those that its neighbors
        match (`NearestPatches.follow`). Two CPU cores take about 6 s for 1920x1080 pixels.

        Args:
            prediction: In [-1, 1].
            size: (h, w) to reach. Without `texture_scale` the image grows up to `max_growth` times, never more.
            guide: Brings in the source's edges; None: the prediction alone.
            texture_scale: Pixels of the image, at `size`, for each pixel of the target. None: the target is as large
                beside the image as the model learned it.
            shared: The scales of several syntheses that run in step; it needs a `texture_scale`.
            window: The part of the image to synthesize, in a grid of the prediction's pixels; None: all of it.

        Yields:
            The image after each round. The image that is sent takes its place.
        """
        c = self.config
        scales = self._scales((prediction.shape[-2], prediction.shape[-1]), size, texture_scale, shared)
        coarse_side = max(prediction.shape[-2:]) if shared is None else shared.coarse_side
        settings = SearchSettings.of(c, window)
        layout_size = self._layout_size(prediction)
        similarity = self._similarity(prediction, guide, *scales[0])
        if window is not None:
            prediction, similarity, layout_size = (
                window.crop(prediction),
                window.crop(similarity),
                window.size(layout_size),
            )
            guide = None if guide is None else guide.crop(window)
        image, matches, previous = prediction, None, None
        for number, (full_size, target_size) in enumerate(scales):
            image_size = full_size if window is None else window.size(full_size)
            # The target, the image that is kept to, and the current image at this scale.
            texture = self._texture(target_size, cached=number in (0, len(scales) - 1) or self._caches_all_scales)
            lattice = Lattice(image_size, c.patch_size, c.patch_stride)
            start, guided = self._start(prediction, guide, image_size, texture.image)
            restoration = Restoration.of(start, guided, texture.image, similarity, layout_size, guide, c)
            image = resize_image(image, image_size) if number else start
            # An enlarged image is blurred: the first round searches among patches that are as blurred.
            search = texture.search
            if matches is not None and previous is not None:
                search = texture.blurred_search(previous[1].image, self._caches_all_scales)
                matches = lattice.enlarge(matches, previous[0], previous[1].shape, texture.shape)
            # Restore what the last round lost, then match and blend.
            is_coarse = max(full_size) <= coarse_side
            for _ in range(self._rounds(is_coarse or not number, window)):
                image = restoration.restore(image)
                image, matches = texture.update(image, lattice, search, matches if number else None, settings)
                image = yield image
                search = texture.search
            previous = lattice, texture
        assert matches is not None
        return Synthesis(self._finish(texture, lattice, matches, restoration), matches, lattice, texture.shape)

    def _rounds(self, is_coarse: bool, window: Window | None) -> int:
        """Number of rounds at a scale. A part of an image takes fewer, because what is around it is finished."""
        c = self.config
        if window is None:
            return c.rounds if is_coarse else c.upscaling_rounds
        return c.renewal_rounds if is_coarse else max(1, c.renewal_rounds // 2)

    def _similarity(
        self, prediction: Tensor, guide: Guide | None, image_size: tuple[int, int], target_size: tuple[int, int]
    ) -> Float[Tensor, "1 1 h w"]:
        """Confidence that the target has such patches, of the full image: it is relative to the image's median.

        The last result is cached, because the windows of a frame share it.
        """
        if self._last_similarity is None or self._last_similarity[0] is not prediction:
            texture = self._texture(target_size, cached=True)
            start = self._start(prediction, guide, image_size, texture.image)[0]
            start = reduce_and_enlarge(start, self._layout_size(prediction))
            self._last_similarity = prediction, texture.similarity_map(start)
        return self._last_similarity[1]

    def _finish(self, texture: Texture, lattice: Lattice, matches: Tensor, restoration: Restoration) -> Tensor:
        """The final image of the patches `matches`, in [-1, 1]: blended, with the texture's contrast and edges."""
        image = texture.blend(lattice, matches)
        if self.config.texture_contrast:
            image = restore_contrast(image, texture.image, lattice, matches, self.config)
        return restoration.draw_edges(image).clamp(-1, 1)

    def _start(
        self, prediction: Tensor, guide: Guide | None, size: tuple[int, int], target: Tensor
    ) -> tuple[Float[Tensor, "1 c h w"], Float[Tensor, "1 c h w"] | None]:
        """At (h, w) `size`, the image that is kept to, and the guided one if there is one.

        Args:
            target: The target at that scale.
        """
        if guide is None or guide.structure == 0:
            return resize_image(prediction, size), None
        guided = guide.guided(size, target)
        return guide.start(size, guided), guided

    def covering_windows(
        self,
        mask: Bool[Tensor, "1 1 h w"],
        own: tuple[int, int],
        size: tuple[int, int],
        texture_scale: float | None = None,
        shared: SharedScales | None = None,
    ) -> list[Window]:
        """Windows for `steps` that hold the true pixels of `mask`, with the patches that overlap these.

        Args:
            mask: At any size.
            own: (h, w) of the prediction.
            size: As of `steps`, like `texture_scale` and `shared`.
        """
        coarsest = self._scales(own, size, texture_scale, shared)[0][0]
        # Prediction's pixels for each pixel of the coarsest scale.
        ratio = max(own) / max(coarsest)
        side = self.config.patch_size
        return covering_windows(mask, own, math.ceil(0.6 * side * ratio), math.ceil((side + 2) * ratio) + 1)

    # -- scales ---------------------------------------------------------------------------------------------------

    def coarsest_share(self, own: tuple[int, int], size: tuple[int, int], texture_scale: float) -> float:
        """Size of the image at the coarsest scale over that of the output.

        Args:
            own: (h, w) of the prediction.
            size: (h, w) of the output.
            texture_scale: Pixels of the output for each pixel of the target.
        """
        # The coarsest scale still shows more of the target than a few patches.
        least = self.config.min_target_side / (texture_scale * max(self.detail_size))
        return min(1.0, max(self._layout_factor * max(own) / max(size), least))

    def _scales(
        self,
        own: tuple[int, int],
        size: tuple[int, int] | None,
        texture_scale: float | None,
        shared: SharedScales | None = None,
    ) -> list[tuple[tuple[int, int], tuple[int, int]]]:
        """(h, w) of the image and of the target at each scale, rising, for a prediction of (h, w) `own`."""
        if texture_scale is None or size is None:
            factors = self.factors + self._growth_factors(own, size)
            target = (self._target.shape[-2], self._target.shape[-1])
            return [(scale_size(own, factor), scale_size(target, factor)) for factor in factors]
        # The target keeps its size beside the output.
        target = self.detail_size
        first = self.coarsest_share(own, size, texture_scale) if shared is None else shared.first
        steps = math.ceil(math.log(1 / first) / math.log(self.config.max_scale_ratio) - 1e-9)
        shares = [first ** (1 - step / steps) for step in range(steps)] + [1.0]
        side = self.config.patch_size + 1

        def scaled(whole: tuple[int, int], factor: float) -> tuple[int, int]:
            h, w = scale_size(whole, factor)
            return max(side, h), max(side, w)

        return [(scaled(size, share), scaled(target, share * texture_scale)) for share in shares]

    def _growth_factors(self, own: tuple[int, int], size: tuple[int, int] | None) -> list[float]:
        """Scales above 1, up to that of `size`, or to the largest that the detail allows, in equal ratios."""
        if size is None:
            return []
        last = min(self.max_growth, max(size[0] / own[0], size[1] / own[1]))
        if last <= 1:
            return []
        steps = math.ceil(math.log(last) / math.log(self.config.max_scale_ratio))
        return [last ** ((step + 1) / steps) for step in range(steps)]

    def _layout_size(self, prediction: Tensor) -> tuple[int, int]:
        """(h, w) of an image that has nothing but the layout of `prediction`."""
        return scale_size((prediction.shape[-2], prediction.shape[-1]), self._layout_factor)

    def _texture(self, size: tuple[int, int], cached: bool) -> Texture:
        """The target at (h, w) `size`, from the cache if it is there. With `cached` a new one is stored there."""
        if size in self._textures:
            return self._textures[size]
        is_small = max(size) <= max(self._target.shape[-2:])
        texture = Texture(resize_image(self._target if is_small else self._detail, size), self.config)
        if cached:
            self._textures[size] = texture
        return texture
