"""Refine: replace the fine texture of an image by the training image's (Structural Analogy, sec. 3).

Structural Analogy refines its translations with a SinGAN of the target from one of the stages 3 to 5.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, Use, read_still
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.render import results, still
    from lonepair.render.results import Picture
else:
    results = lazy("lonepair.render.results")
    still = lazy("lonepair.render.still")


@dataclass(frozen=True)
class Refine(Use["Picture"]):
    """Give an image, such as a pair's translation, the fine texture of the training image."""

    name = "refine"
    summary = "replace an image's fine texture by the training image's"

    image: ImageInput
    """The image to refine."""
    _: KW_ONLY
    start_stage: int | None = None
    """Stage at which the image enters, from 0 (coarsest). A larger value keeps more of the image. If omitted,
    halfway."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def run(self, model: TrainedModel) -> Picture:
        start_stage = still.start_stage_for(self.name, model, self.start_stage)
        image = read_still(self.image)
        prediction = still.translate_still(model, image.image, start_stage, self.seed)
        return results.Picture(prediction, self.metadata(model, start_stage=start_stage), image.bits, image.gain)
