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
- A clip's frame starts from the frame before, moved along the source's motion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.ops.pyramid import scale_size
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.lattice import Lattice
from lonepair.patches.search import rows_and_columns
from lonepair.patches.temporal import move_along
from lonepair.patches.texture import Function, SearchSettings, Texture


@dataclass(frozen=True)
class FrameInputs:
    """The part of a frame's work that does not depend on the frame before, so that it can run in parallel.

    It is more than half of the work.
    """

    prediction: Float[Tensor, "1 c h w"]
    """What the networks predict, in [-1, 1]."""
    large_prediction: Float[Tensor, "1 c h2 w2"]
    """The prediction at the size of the synthesis."""
    layout: Float[Tensor, "1 c h2 w2"]
    """Its layout, at that size."""
    similarity: Float[Tensor, "1 1 h2 w2"]
    """Confidence in [0, 1] that the target has a patch like the one at each position (`Texture.similarity_map`)."""


@dataclass(frozen=True)
class SynthesisState:
    """A synthesized image, and what the next frame of a clip starts from."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1]."""
    large_prediction: Float[Tensor, "1 c h w"]
    """The prediction at the same size."""
    matches: Int[Tensor, n]
    """Of each patch of `lattice`, row by row, the index of the target's patch at that position."""
    lattice: Lattice
    mean: Float[Tensor, "1 c h w"]
    """The unweighted mean of the overlapping patches, from which the next frame continues; `image` is the weighted."""
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
        accelerate: Callable[[Function], Function] | None = None,
    ) -> None:
        """
        Args:
            target: The image that the model learned, at the resolution of its predictions.
            factors: The model's scales, rising to 1.
            detail: The target in more pixels: images can grow by that ratio.
            input_scale: Scale of the image that entered the networks; its layout is retained entirely.
            accelerate: Returns the fastest form of a function of tensors, as `Engine.accelerate` does.
        """
        self.config = config
        self._target = target
        self._detail = target if detail is None else detail
        # The networks decide the layout at the coarsest scales. Synthesis begins at the layout's own scale.
        self._layout_factor = min(1.0, max(config.layout_scale * factors[0], input_scale))
        self.factors = [factor for factor in factors if factor >= self._layout_factor]
        self.max_growth = max(self._detail.shape[-2:]) / max(target.shape[-2:])
        """Largest ratio of an image's size to that of its prediction."""
        self._textures: dict[float, Texture] = {}
        self._next_frame: Function = self._compute_next if accelerate is None else accelerate(self._compute_next)

    def target_size(self, growth: float) -> tuple[int, int]:
        """(h, w) of the target, `growth` times as large as its predictions; at `max_growth`, that of its detail."""
        if growth == 1:
            return self._target.shape[-2], self._target.shape[-1]
        h, w = self._detail.shape[-2:]
        return round(h * growth / self.max_growth), round(w * growth / self.max_growth)

    # -- images ---------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def synthesize(self, prediction: Float[Tensor, "1 c h w"], size: tuple[int, int] | None = None) -> SynthesisState:
        """Replace the patches of `prediction` by the target's, coarse to fine.

        At the coarsest scale each patch is compared with all of the target's; above it, with those that its neighbors
        match (`NearestPatches.follow`). One CPU core takes about 0.3 s for 128x128 pixels, 5 s for 650x433.

        Args:
            prediction: In [-1, 1].
            size: (h, w) to reach. The image grows up to `max_growth` times, never more.
        """
        c, factors = self.config, self.factors + self._growth_factors(prediction, size)
        settings = SearchSettings.of_image(c)
        image, similarity, matches, previous = prediction, None, None, None
        for number, factor in enumerate(factors):
            # The target, the prediction's layout and the current image at this scale.
            texture = self._texture(factor, cached=number in (0, len(factors) - 1))
            lattice = Lattice(
                scale_size((prediction.shape[-2], prediction.shape[-1]), factor), c.patch_size, c.patch_stride
            )
            layout = self._layout_of(resize_image(prediction, lattice.size), prediction)
            if similarity is None:
                similarity = texture.similarity_map(layout)
            restoration = c.layout_restoration * F.interpolate(similarity, lattice.size, mode="bilinear")
            image = resize_image(image, lattice.size)
            # An enlarged image is blurred: the first round searches among patches that are as blurred.
            search = texture.search
            if matches is not None and previous is not None:
                search = texture.blurred_search(previous[1].image)
                matches = lattice.enlarge(matches, previous[0], previous[1].shape, texture.shape)
            # Restore the layout that the last round lost, then match and blend.
            for _ in range(c.rounds if factor <= 1 else c.upscaling_rounds):
                image = image + restoration * (layout - self._layout_of(image, prediction))
                image, matches = texture.update(image, lattice, search, matches if number else None, settings)
                search = texture.search
            previous = lattice, texture
        assert matches is not None
        large_prediction = resize_image(prediction, lattice.size)
        return SynthesisState(texture.blend(lattice, matches), large_prediction, matches, lattice, image, texture.shape)

    # -- clips ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def frame_inputs(self, prediction: Float[Tensor, "1 c h w"], size: tuple[int, int] | None = None) -> FrameInputs:
        """The part of a clip's frame that `next` takes, from the networks' `prediction`; `size` as in `synthesize`."""
        h, w = prediction.shape[-2:]
        finest = (self.factors + self._growth_factors(prediction, size))[-1]
        large_prediction = resize_image(prediction, scale_size((h, w), finest))
        coarsest = resize_image(prediction, scale_size((h, w), self.factors[0]))
        similarity = self._texture(self.factors[0], cached=True).similarity_map(coarsest)
        similarity = F.interpolate(similarity, large_prediction.shape[-2:], mode="bilinear")
        return FrameInputs(prediction, large_prediction, self._layout_of(large_prediction, prediction), similarity)

    @torch.no_grad()
    def next(
        self, inputs: FrameInputs, before: SynthesisState, flow: Float[Tensor, "1 2 h w"] | None = None
    ) -> SynthesisState:
        """The next frame of a clip, of the size of the frame before, computed at full size alone.

        It starts from what synthesis added to the frame before, so that texture does not flicker. That takes a fraction
        of the time of `synthesize`.

        Args:
            flow: (dx, dy) in pixels of `inputs.prediction` by which the content of each pixel has moved since the frame
                before (`temporal.estimate_flow`). What synthesis added moves along, or a moving object would leave
                its texture behind. None: nothing moved.
        """
        lattice, texture = self._frame_lattice(inputs.prediction, inputs.large_prediction)
        matches = before.matches
        if before.lattice != lattice:  # the frame before was synthesized as an image
            matches = lattice.enlarge(matches, before.lattice, texture.shape, texture.shape)
        image, matches, mean = self._next_frame(
            inputs.prediction,
            inputs.large_prediction,
            inputs.layout,
            inputs.similarity,
            before.mean,
            before.large_prediction,
            matches,
            *(() if flow is None else (flow,)),
        )
        return SynthesisState(image, inputs.large_prediction, matches, lattice, mean, texture.shape)

    def _compute_next(
        self,
        prediction: Float[Tensor, "1 c h w"],
        large_prediction: Float[Tensor, "1 c h2 w2"],
        layout: Float[Tensor, "1 c h2 w2"],
        similarity: Float[Tensor, "1 1 h2 w2"],
        mean_before: Float[Tensor, "1 c h2 w2"],
        large_prediction_before: Float[Tensor, "1 c h2 w2"],
        matches: Int[Tensor, n],
        flow: Float[Tensor, "1 2 h w"] | None = None,
    ) -> tuple[Float[Tensor, "1 c h2 w2"], Int[Tensor, n], Float[Tensor, "1 c h2 w2"]]:
        """Image, matches and mean of a clip's next frame, from `FrameInputs` and the state of the frame before."""
        lattice, texture = self._frame_lattice(prediction, large_prediction)
        # Move what synthesis added, and the matches, along the flow.
        residual, size = mean_before - large_prediction_before, lattice.size
        if flow is not None:
            flow = F.interpolate(flow, size, mode="bilinear") * (size[1] / flow.shape[-1])
            residual, matches = move_along(residual, flow), lattice.carry(matches, flow, texture.shape)
        image = (large_prediction + residual).clamp(-1, 1)
        # Restore the layout, then match and blend, as in `synthesize`.
        restoration = self.config.layout_restoration * similarity
        for number in range(self.config.clip_rounds):
            image = image + restoration * (layout - self._layout_of(image, prediction))
            settings = SearchSettings.of_frame(self.config, number)
            image, matches = texture.update(image, lattice, texture.search, matches, settings)
        return texture.blend(lattice, matches), matches, image

    def _frame_lattice(self, prediction: Tensor, large_prediction: Tensor) -> tuple[Lattice, Texture]:
        """The lattice of a clip's next frame, and the texture that it is made of."""
        size = (large_prediction.shape[-2], large_prediction.shape[-1])
        texture = self._texture((self.factors + self._growth_factors(prediction, size))[-1], cached=True)
        return Lattice(size, self.config.patch_size, self.config.clip_patch_stride), texture

    # -- scales ---------------------------------------------------------------------------------------------------

    def _growth_factors(self, prediction: Tensor, size: tuple[int, int] | None) -> list[float]:
        """Scales above 1, up to that of `size`, or to the largest that the detail allows, in equal ratios."""
        if size is None:
            return []
        last = min(self.max_growth, max(size[0] / prediction.shape[-2], size[1] / prediction.shape[-1]))
        if last <= 1:
            return []
        steps = math.ceil(math.log(last) / math.log(self.config.max_scale_ratio))
        return [last ** ((step + 1) / steps) for step in range(steps)]

    def _layout_of(self, image: Tensor, prediction: Tensor) -> Tensor:
        """The layout of `image`, at its own size: the image reduced to the layout's scale of `prediction`, and back."""
        size = scale_size((prediction.shape[-2], prediction.shape[-1]), self._layout_factor)
        return resize_image(resize_image(image, size), (image.shape[-2], image.shape[-1]))

    def _texture(self, factor: float, cached: bool) -> Texture:
        """The target at the scale `factor`, from the cache if it is there. With `cached` a new one is stored there."""
        if factor in self._textures:
            return self._textures[factor]
        image = self._target if factor <= 1 else self._detail
        size = scale_size((self._target.shape[-2], self._target.shape[-1]), factor)
        texture = Texture(resize_image(image, size), self.config)
        if cached:
            self._textures[factor] = texture
        return texture
