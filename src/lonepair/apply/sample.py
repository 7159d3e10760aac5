"""Sample: random images like the training image, and sheets that compare start stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair.apply.base import SizeInput, SynthesisInput, Use, check_support
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel, check_start_stage

if TYPE_CHECKING:
    from lonepair.render import results, sampling, synthesizers
    from lonepair.render.results import Picture, Samples
else:
    results = lazy("lonepair.render.results")
    sampling = lazy("lonepair.render.sampling")
    synthesizers = lazy("lonepair.render.synthesizers")


@dataclass(frozen=True)
class Sample(Use["Samples"]):
    """Generate random images; with a model of a pair, aligned random images of both domains."""

    name = "sample"
    summary = "generate random images"
    command_defaults: ClassVar[Mapping[str, Any]] = {"count": 8}

    count: int = 1
    """Number of images, 1 or more. It does not change an image: image i depends on the seed and i alone."""
    _: KW_ONLY
    seed: int = 0
    """Random seed, 0 to 4294967295."""
    size: SizeInput | None = None
    """Size of the images in pixels, of any aspect. If omitted, the size of the input images, or with full_size off
    the training size."""
    start_stage: int = 0
    """Stage at which randomness begins, from 0 (coarsest). A larger value keeps more of the training image's layout.
    For models of one image only."""
    synthesize: bool = True
    """Replace patches of the prediction by patches of the training image: sharper and slower. Has no effect for
    methods that do not store that image."""
    synthesis: SynthesisInput | None = None
    """Settings of patch synthesis that replace the model's own."""
    full_size: bool = True
    """Let patch synthesis enlarge the images from the training size to the scale of the input images."""

    def problems(self) -> list[str]:
        return [] if self.count >= 1 else [f"count is {self.count}: choose 1 or more"]

    def run(self, model: TrainedModel) -> Samples:
        return self.run_with_progress(model, lambda count: None)

    def run_with_progress(self, model: TrainedModel, progress: Callable[[int], object]) -> Samples:
        """As `run`, and call `progress` with the number of images that are complete since the last call.

        In all they are `count` of each domain.
        """
        method = model.method
        if self.start_stage:
            check_support(SampleStageSheet, type(method))
        check_start_stage(self.start_stage, method)
        synthesis = synthesizers.chosen_synthesis(method, self.synthesize, self.synthesis)
        images = sampling.sample(
            method,
            model.engine,
            self.count,
            self.seed,
            self.size,
            self.start_stage,
            synthesis,
            self.full_size,
            progress,
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
    """Number of images in a row, 1 or more."""
    _: KW_ONLY
    seed: int = 0
    """Random seed, 0 to 4294967295."""
    size: SizeInput | None = None
    """Size of each image in pixels, of any aspect. If omitted, the training size."""

    def problems(self) -> list[str]:
        return [] if self.count >= 1 else [f"count is {self.count}: choose 1 or more"]

    def run(self, model: TrainedModel) -> Picture:
        synthesis = synthesizers.chosen_synthesis(model.method, True, None)
        sheet = sampling.sample_stage_sheet(model.method, model.engine, self.count, self.seed, self.size, synthesis)
        return results.Picture(sheet, self.metadata(model))
