"""Measures a run: rows of metrics, reference rows that put them into context, and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from lonepair.evaluate.clips import OUTPUT, measure_clip
from lonepair.evaluate.runs import Run
from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import working_size
from lonepair.media.source import Source
from lonepair.metrics import copy_map, diversity, look, look_distance, psnr, sifid, ssim, structure
from lonepair.metrics.clip import Moment
from lonepair.metrics.copying import PATCH_SIZE
from lonepair.metrics.series import Curve
from lonepair.ops.color import match_channels
from lonepair.ops.resize import resize_image
from lonepair.render.pipeline import DIRECTIONS
from lonepair.render.sampling import reconstruction

PUBLISHED = "published"
"""Name of a row and of a picture, as is `OUTPUT`."""
AMPLIFICATION = 4
"""Factor of the differences between the frames of a worst moment."""
CHARTS = (
    *("swim", "swim10", "swim_moving", "door", "flicker", "sharpness", "new_blocks", "motion_fidelity"),
    *("look", "structure", "objects_kept", "ghost", "tracked_fraction"),
)
"""Curves of a clip that have a chart, in their order."""
_RED = (1.0, -0.6, -0.6)
"""Colour of copied regions, in [-1, 1]."""


@dataclass(frozen=True)
class EvaluationOptions:
    """What to measure in addition to the run itself."""

    published: Float[Tensor, "1 c h w"] | None = None
    """A published translation in the first direction, in [-1, 1], to compare with."""
    clip: Source | None = None
    """A clip whose translation is measured."""
    weights: Path | None = None
    """Inception weights for SIFID."""
    samples: int = 8
    """Number of samples of a model of one image."""
    seed: int = 0
    """Random seed of the samples, and of a translation's noise."""


@dataclass(frozen=True)
class MetricRow:
    """Metrics of one picture, or their means over all samples."""

    name: str
    values: dict[str, float]
    """Metric -> value."""


@dataclass(frozen=True)
class ReportSection:
    """One table of a report with its pictures."""

    name: str
    """A direction, "samples" or "clip"."""
    rows: list[MetricRow]
    pictures: dict[str, Float[Tensor, "1 c h w"]] = field(default_factory=dict)
    """Name of a picture -> picture in [-1, 1]."""
    curves: dict[str, dict[str, Curve]] = field(default_factory=dict)
    """Metric of a clip -> row -> its value in each frame."""

    @property
    def main_row(self) -> MetricRow:
        """The row of the output, or of the samples; the others are references."""
        return next((row for row in self.rows if row.name == OUTPUT), self.rows[0])


def measure_run(run: Run, options: EvaluationOptions) -> list[ReportSection]:
    """Measure a run.

    Args:
        run: The run.
        options: What to measure in addition.

    Returns:
        For a pair a section per direction, and one for the clip; for a single image one section of its samples.

    Raises:
        UserError: The weights are not those of the Inception network, or the clip cannot be translated.
    """
    if run.is_single_image:
        return [_measure_samples(run, options)]
    sections = [
        measure_direction(run, name, options.published if name == DIRECTIONS[0] else None, options.seed)
        for name in DIRECTIONS
    ]
    return sections if options.clip is None else [*sections, _measure_clip(run, options.clip, options.seed)]


# -- pairs ------------------------------------------------------------------------------------------------------------


def measure_direction(
    run: Run, name: str, published: Float[Tensor, "1 c h w"] | None = None, seed: int = 0
) -> ReportSection:
    """Translate the run's own source in one direction, and measure look, structure and copying.

    Args:
        run: The run of a pair.
        name: The direction, one of `DIRECTIONS`.
        published: A published translation in this direction, in [-1, 1], to compare with.
        seed: Random seed of the translation's noise.

    Returns:
        Rows of the output and of the references source, target and published translation, and their pictures.
    """
    # A direction's name begins with the source's domain and ends with the target's.
    source, target = run.inputs[name[0]], run.inputs[name[-1]]
    output = run.model.translate(source, reverse=name == DIRECTIONS[1], seed=seed).image
    # No number means anything alone: the source and the target are the references.
    rows = [
        MetricRow("source", translation_metrics(source, target, source)),
        MetricRow("target", translation_metrics(target, target, source)),
        MetricRow(OUTPUT, translation_metrics(output, target, source)),
    ]
    pictures = {"source": source, "target": target, OUTPUT: output}
    if published is not None:
        published = match_channels(published, source.shape[1])
        rows += _published_rows(source, target, output, published)
        pictures[PUBLISHED] = published
    overlay = overlay_copies(output, copy_map(output, target))
    sheet = contact_sheet([[*pictures.items(), ("copied from the target", overlay)]])
    return ReportSection(name, rows, {"sheet": sheet, OUTPUT: output, "copied": overlay})


def translation_metrics(image: Tensor, target: Tensor, source: Tensor) -> dict[str, float]:
    """Measure look, structure and copying of `image`, a translation of `source` into the look of `target`."""
    return {
        "look": look(image, target, source),
        "structure": structure(image, source),
        "copying": float(copy_map(image, target).float().mean()),
    }


def _published_rows(source: Tensor, target: Tensor, output: Tensor, published: Tensor) -> list[MetricRow]:
    """Measure source, output and published translation at one longest side, each with its aspect ratio.

    Metrics of pictures of different sizes are not comparable.
    """
    # Never enlarge: a blurred picture has another look.
    longest = min(max(published.shape[-2:]), max(source.shape[-2:]))
    factor = longest / max(source.shape[-2:])
    small_source, small_output, small_target = (_scale(image, factor) for image in (source, output, target))
    small_published = _scale(published, longest / max(published.shape[-2:]))
    # Some published translations are square although their source is not: stretch the source as they are.
    stretched = resize_image(source, (small_published.shape[-2], small_published.shape[-1]))
    return [
        MetricRow(f"source, {longest} px", translation_metrics(small_source, small_target, small_source)),
        MetricRow(f"{OUTPUT}, {longest} px", translation_metrics(small_output, small_target, small_source)),
        MetricRow(f"{PUBLISHED}, {longest} px", translation_metrics(small_published, small_target, stretched)),
    ]


def _scale(image: Tensor, factor: float) -> Tensor:
    """Resize `image` by `factor`, to a patch of the metrics at least."""
    h, w = image.shape[-2:]
    return resize_image(image, (max(PATCH_SIZE, round(h * factor)), max(PATCH_SIZE, round(w * factor))))


def overlay_copies(output: Float[Tensor, "1 c h w"], copied: Bool[Tensor, "h2 w2"]) -> Float[Tensor, "1 3 h w"]:
    """Mark copied regions in red.

    Args:
        output: A picture in [-1, 1].
        copied: Its copy map (`metrics.copy_map`): True at the corner of each copied patch.

    Returns:
        The picture as RGB, mixed half and half with red where a copied patch lies.
    """
    # Every pixel of a patch counts, not its corner alone.
    covered = F.max_pool2d(F.pad(copied[None, None].float(), [PATCH_SIZE - 1] * 4), PATCH_SIZE, 1)
    mask = F.interpolate(covered, (output.shape[-2], output.shape[-1]), mode="nearest")
    rgb = match_channels(output, 3)
    red = torch.tensor(_RED).view(1, 3, 1, 1)
    return torch.where(mask > 0, (rgb + red) / 2, rgb)


def _measure_clip(run: Run, clip: Source, seed: int) -> ReportSection:
    """Translate `clip`, and measure it over time."""
    config = run.model.method.config
    # Translate at the scale at which the target is measured, so that the sharpness of both is comparable.
    h, w = working_size(clip.size, config.size.min_side, config.size.max_side)
    factor = max(run.inputs["b"].shape[-2:]) / max(run.model.method.plan.full_sizes["b"])
    translation = run.model.translate(clip, seed=seed, size=(round(factor * h), round(factor * w)))
    # Generators, so that no clip is in memory.
    channels = run.model.method.plan.channels
    report = measure_clip(
        (frame.image for frame in translation.frames()),
        (frame.image for frame in clip.frames()),
        run.inputs["b"],
        translation.size,
        lambda frame: translation.translate(match_channels(frame, channels)),
    )
    rows = [MetricRow(name, metrics.values) for name, metrics in report.metrics.items()]
    pictures = {"sheet": translation.sheet(run.inputs["b"])} | _worst_moments(report.metrics[OUTPUT].moments)
    curves = {
        name: {row: metrics.curves[name] for row, metrics in report.metrics.items() if name in metrics.curves}
        for name in CHARTS
    }
    curves = {name: lines for name, lines in curves.items() if lines}
    return ReportSection("clip", rows, pictures, curves)


def _worst_moments(moments: Sequence[Moment]) -> dict[str, Tensor]:
    """A picture for each metric's worst moment: the frame, the one before it, and their difference, amplified."""
    pictures = {}
    for moment in moments:
        difference = (AMPLIFICATION * (moment.frame - moment.before).abs() - 1).clamp(-1, 1)
        cells = [
            (f"frame {moment.index - 1}", moment.before),
            (f"frame {moment.index}", moment.frame),
            (f"difference, x{AMPLIFICATION}", difference),
        ]
        pictures[f"worst-{moment.metric}"] = contact_sheet([cells])
    return pictures


# -- one image --------------------------------------------------------------------------------------------------------


def _measure_samples(run: Run, options: EvaluationOptions) -> ReportSection:
    """Measure samples and the reconstruction, each against the training image."""
    model, image = run.model, run.inputs["a"]
    batch = model.sample(options.samples, seed=options.seed)
    rebuilt = reconstruction(model.method, model.engine)
    # Samples of an unfinished model are smaller than the image; those of a model with an exemplar may be larger.
    image, images = _to_smaller_size(image, batch.images["a"])
    samples = [images[index : index + 1] for index in range(len(images))]
    # Samples: patches and diversity, since no sample corresponds to the image pixel by pixel.
    sample_metrics = {
        "diversity": diversity(images, image),
        "look_distance": _mean([look_distance(sample, image) for sample in samples]),
    }
    # The reconstruction corresponds to it, so that pixels can be compared.
    reference = resize_image(image, (rebuilt.shape[-2], rebuilt.shape[-1]))
    reconstruction_metrics = {
        "look_distance": look_distance(rebuilt, reference),
        "psnr": psnr(rebuilt, reference),
        "ssim": ssim(rebuilt, reference),
    }
    if options.weights is not None:
        sample_metrics["sifid"] = _mean([sifid(sample, image, options.weights) for sample in samples])
        reconstruction_metrics["sifid"] = sifid(rebuilt, reference, options.weights)
    rows = [MetricRow("samples", sample_metrics), MetricRow("reconstruction", reconstruction_metrics)]
    sheet = contact_sheet([[("image", image), ("reconstruction", rebuilt)]])
    return ReportSection("samples", rows, {"sheet": sheet, "samples": batch.sheet()})


def _to_smaller_size(image: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
    """Resize both to the smaller one's size."""
    size = min((image.shape[-2:], images.shape[-2:]), key=max)
    return resize_image(image, (size[0], size[1])), resize_image(images, (size[0], size[1]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
