"""Sample: random images like the training image, and sheets that compare start stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair.apply.base import SizeInput, SynthesisInput, TrainedModel, Use, check_start_stage, check_support
from lonepair.lazy import lazy

if TYPE_CHECKING:
    from lonepair.apply import results, sampling, synthesizers
    from lonepair.apply.results import Picture, Samples
else:
    results = lazy("lonepair.apply.results")
    sampling = lazy("lonepair.apply.sampling")
    synthesizers = lazy("lonepair.apply.synthesizers")


@dataclass(frozen=True)
class Sample(Use["Samples"]):
    """Generate random images; with a model of a pair, aligned random images of both domains."""

    name = "sample"
    summary = "generate random images"
    command_defaults: ClassVar[Mapping[str, Any]] = {"count": 8}

    count: int = 1
    """Number of images. It does not change an image: number i depends on the seed and i alone."""
    _: KW_ONLY
    seed: int = 0
    """Random seed."""
    size: SizeInput | None = None
    """Size in pixels, of any aspect: of the input images with full size, else of the images at the training size. If
    omitted, that size itself."""
    start_stage: int = 0
    """Stage at which randomness begins, from 0 (coarsest). A larger value keeps more of the training image's layout.
    For models of one image."""
    synthesize: bool = True
    """Replace patches of the prediction by patches of the training image, which is sharper and slower, if the method
    stores it."""
    synthesis: SynthesisInput | None = None
    """Settings of patch synthesis that replace the model's own."""
    full_size: bool = True
    """Enlarge images to the size of the input images during synthesis."""

    def problems(self) -> list[str]:
        return [] if self.count >= 1 else [f"count is {self.count}: choose 1 or more"]

    def run(self, model: TrainedModel) -> Samples:
        method = model.method
        if self.start_stage:
            check_support(SampleStageSheet, type(method))
        check_start_stage(self.start_stage, method)
        synthesis = synthesizers.chosen_synthesis(method, self.synthesize, self.synthesis)
        images = sampling.sample(
            method, model.engine, self.count, self.seed, self.size, self.start_stage, synthesis, self.full_size
        )
        settings = None if synthesis is None else synthesis.to_dict()
        return results.Samples(images, self.metadata(model, synthesize=synthesis is not None, synthesis=settings))


@dataclass(frozen=True)
class SampleStageSheet(Use["Picture"]):
    """Compare start stages: a contact sheet of random images with one row for each start stage."""

    name = "sample_stage_sheet"
    summary = "compare the start stages of random images"
    has_command = False

    count: int = 4
    """Number of images in a row."""
    _: KW_ONLY
    seed: int = 0
    """Random seed."""
    size: SizeInput | None = None
    """Size in pixels, of any aspect. If omitted, the training size."""

    def problems(self) -> list[str]:
        return [] if self.count >= 1 else [f"count is {self.count}: choose 1 or more"]

    def run(self, model: TrainedModel) -> Picture:
        synthesis = synthesizers.chosen_synthesis(model.method, True, None)
        sheet = sampling.sample_stage_sheet(model.method, model.engine, self.count, self.seed, self.size, synthesis)
        return results.Picture(sheet, self.metadata(model))
