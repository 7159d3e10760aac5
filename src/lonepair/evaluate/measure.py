"""Measure a run: rows of numbers, each beside references that say what they mean, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.apply.sampling import reconstruction
from lonepair.apply.translation import DIRECTIONS
from lonepair.evaluate.runs import Run
from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import working_size
from lonepair.media.source import Source
from lonepair.metrics import copy_map, diversity, look, look_distance, psnr, sifid, ssim, stability, structure
from lonepair.metrics.copying import PATCH
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image

OUTPUT, PUBLISHED = "output", "published"
_RED = (1.0, -0.6, -0.6)
"""Colour of the copy map, in [-1, 1]."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What to measure beyond the run itself."""

    published: Float[Tensor, "1 c h w"] | None = None
    """A published picture of the first direction, [-1, 1]."""
    clip: Source | None = None
    """A clip that is redrawn as a whole."""
    weights: Path | None = None
    """Inception weights for SIFID."""
    samples: int = 8
    seed: int = 0
    """Of samples, and of the noise in a redrawing."""


@dataclass(frozen=True)
class MetricRow:
    """What is measured of one picture (or of all samples)."""

    name: str
    values: dict[str, float]
    """Metric -> value."""


@dataclass(frozen=True)
class ReportSection:
    """One table of a report, and its pictures."""

    name: str
    """A direction, "samples" or "clip"."""
    rows: list[MetricRow]
    pictures: dict[str, Float[Tensor, "1 c h w"]] = field(default_factory=dict)
    """What is shown -> picture, [-1, 1]."""

    @property
    def main(self) -> MetricRow:
        """The row that the others are there for: the output's, or the samples'."""
        return next((row for row in self.rows if row.name == OUTPUT), self.rows[0])


def measure_run(run: Run, wanted: EvaluationOptions) -> list[ReportSection]:
    """Everything that can be said of `run`: of a pair both directions, and the clip; of one image its samples.

    Raises:
        UserError: for weights that are none, or a clip that cannot be redrawn.
    """
    if run.is_single_image:
        return [_samples(run, wanted)]
    parts = [
        measure_direction(run, name, wanted.published if name == DIRECTIONS[0] else None, wanted.seed)
        for name in DIRECTIONS
    ]
    return parts if wanted.clip is None else [*parts, _clip(run, wanted.clip, wanted.seed)]


# -- pairs ------------------------------------------------------------------------------------------------------------


def measure_direction(
    run: Run, name: str, published: Float[Tensor, "1 c h w"] | None = None, seed: int = 0
) -> ReportSection:
    """The run's own input redrawn at training size, with look, structure and copying, and what these are of the
    source, of the target and of a published picture."""
    source, target = run.inputs[name[0]], run.inputs[name[-1]]
    redrawn = run.model.translate(source, reverse=name == DIRECTIONS[1], seed=seed).image
    rows = [
        MetricRow("source", translation_metrics(source, target, source)),
        MetricRow("target", translation_metrics(target, target, source)),
        MetricRow(OUTPUT, translation_metrics(redrawn, target, source)),
    ]
    pictures = {"source": source, "target": target, OUTPUT: redrawn}
    if published is not None:
        shown = match_channels(published, source.shape[1])
        rows += _beside_published(source, target, redrawn, shown)
        pictures[PUBLISHED] = shown
    copied = overlay_copies(redrawn, copy_map(redrawn, target))
    sheet = contact_sheet([[*pictures.items(), ("copied from the target", copied)]])
    return ReportSection(name, rows, {"sheet": sheet, OUTPUT: redrawn, "copied": copied})


def translation_metrics(image: Tensor, target: Tensor, source: Tensor) -> dict[str, float]:
    """Look, structure and copying of `image`, which is to have the look of `target` and the structure of `source`."""
    return {
        "look": look(image, target, source),
        "structure": structure(image, source),
        "copying": float(copy_map(image, target).float().mean()),
    }


def _beside_published(source: Tensor, target: Tensor, redrawn: Tensor, published: Tensor) -> list[MetricRow]:
    """All at the published picture's longest side, each aspect kept: metrics of unequal sizes do not compare."""
    longest = min(max(published.shape[-2:]), max(source.shape[-2:]))
    factor = longest / max(source.shape[-2:])
    small, ours, aim = (_scaled(image, factor) for image in (source, redrawn, target))
    theirs = _scaled(published, longest / max(published.shape[-2:]))
    # Some published pictures are squares of a source that is none: it is drawn out as theirs is.
    stretched = resize_image(source, (theirs.shape[-2], theirs.shape[-1]))
    return [
        MetricRow(f"source, {longest} px", translation_metrics(small, aim, small)),
        MetricRow(f"{OUTPUT}, {longest} px", translation_metrics(ours, aim, small)),
        MetricRow(f"{PUBLISHED}, {longest} px", translation_metrics(theirs, aim, stretched)),
    ]


def _scaled(image: Tensor, factor: float) -> Tensor:
    h, w = image.shape[-2:]
    return resize_image(image, (max(PATCH, round(h * factor)), max(PATCH, round(w * factor))))


def overlay_copies(output: Float[Tensor, "1 c h w"], copied: Bool[Tensor, "h2 w2"]) -> Float[Tensor, "1 3 h w"]:
    """`output`, [-1, 1], half red wherever a patch that `copy_map` marks lies."""
    covered = F.max_pool2d(F.pad(copied[None, None].float(), [PATCH - 1] * 4), PATCH, 1)
    mask = F.interpolate(covered, (output.shape[-2], output.shape[-1]), mode="nearest")
    shown = match_channels(output, 3)
    red = torch.tensor(_RED).view(1, 3, 1, 1)
    return torch.where(mask > 0, (shown + red) / 2, shown)


def _clip(run: Run, clip: Source, seed: int) -> ReportSection:
    config = run.model.method.config
    # At the size at which the target is measured, so that the sharpness of both is of the same pixels.
    h, w = working_size(clip.size, config.size.min_side, config.size.max_side)
    larger = max(run.inputs["b"].shape[-2:]) / max(run.model.method.plan.full_sizes["b"])
    translation = run.model.translate(clip, seed=seed, size=(round(larger * h), round(larger * w)))
    channels = run.model.method.plan.channels
    source = (match_channels(frame.image, channels) for frame in clip.frames())
    found = stability((frame.image for frame in translation.frames()), source, run.inputs["b"])
    return ReportSection("clip", [MetricRow(OUTPUT, dict(vars(found)))], {"sheet": translation.sheet(run.inputs["b"])})


# -- one image --------------------------------------------------------------------------------------------------------


def _samples(run: Run, wanted: EvaluationOptions) -> ReportSection:
    """Samples and the reconstruction, each beside the image that was learnt."""
    model, image = run.model, run.inputs["a"]
    samples = model.sample(wanted.samples, seed=wanted.seed)
    rebuilt = reconstruction(model.method, model.engine)
    # A model that was cut short draws smaller than it was to learn; one that has detail draws larger.
    image, images = _of_one_size(image, samples.images["a"])
    drawn = [images[index : index + 1] for index in range(len(images))]
    of_samples = {
        "diversity": diversity(images, image),
        "look_distance": _mean([look_distance(sample, image) for sample in drawn]),
    }
    learnt = resize_image(image, (rebuilt.shape[-2], rebuilt.shape[-1]))
    of_rebuilt = {
        "look_distance": look_distance(rebuilt, learnt),
        "psnr": psnr(rebuilt, learnt),
        "ssim": ssim(rebuilt, learnt),
    }
    if wanted.weights is not None:
        of_samples["sifid"] = _mean([sifid(sample, image, wanted.weights) for sample in drawn])
        of_rebuilt["sifid"] = sifid(rebuilt, learnt, wanted.weights)
    rows = [MetricRow("samples", of_samples), MetricRow("reconstruction", of_rebuilt)]
    sheet = contact_sheet([[("image", image), ("reconstruction", rebuilt)]])
    return ReportSection("samples", rows, {"sheet": sheet, "samples": samples.sheet()})


def _of_one_size(image: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Both at the smaller one's size."""
    size = min((image.shape[-2:], images.shape[-2:]), key=max)
    return resize_image(image, (size[0], size[1])), resize_image(images, (size[0], size[1]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
