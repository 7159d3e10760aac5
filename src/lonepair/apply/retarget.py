"""Retarget: the training image at another size and aspect (ConSinGAN and SinGAN, sec. 4)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import SizeInput, Use
from lonepair.apply.sample import Sample
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.render import results
    from lonepair.render.results import Picture
else:
    results = lazy("lonepair.render.results")


@dataclass(frozen=True)
class Retarget(Use["Picture"]):
    """Generate the training image at another size and aspect."""

    name = "retarget"
    summary = "generate the training image at another size"
    requires = "sample"

    size: SizeInput
    """Size of the result in pixels, of any aspect."""
    _: KW_ONLY
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""
    start_stage: int = 0
    """Stage at which randomness begins, from 0 (coarsest). The stages below stretch the training image's layout, so a
    larger value keeps more of it."""

    def run(self, model: TrainedModel) -> Picture:
        samples = Sample(1, seed=self.seed, size=self.size, start_stage=self.start_stage).run(model)
        return results.Picture(samples.picture().image, self.metadata(model))
