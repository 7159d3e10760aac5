"""Definitions of the metrics of a report, and whether lower or higher values are better."""

from __future__ import annotations

from typing import NamedTuple


class MetricDefinition(NamedTuple):
    """How to read a metric."""

    better: str
    """"lower", "higher", or the value that it is compared with."""
    text: str
    """What it measures, with its range."""


DEFINITIONS = {
    "look": MetricDefinition(
        "lower",
        "Distance between the patches of the output and of the target, divided by that of the untranslated source: "
        "0 for the target itself, 1 for the source.",
    ),
    "structure": MetricDefinition(
        "higher", "Correlation between the self-similarity of the output and that of its source: -1 to 1."
    ),
    "copying": MetricDefinition(
        "lower", "Share of the output that is copied from the target in large regions: 0 to 1. The source's is chance."
    ),
    "diversity": MetricDefinition(
        "higher", "Difference between samples, divided by the contrast of the image: 0 if all samples are equal."
    ),
    "look_distance": MetricDefinition(
        "lower", "Distance between the patches and those of the image, in units of its contrast: 0 for equal images."
    ),
    "psnr": MetricDefinition("higher", "Error of the reconstruction in dB; none (-) where it is exact."),
    "ssim": MetricDefinition(
        "higher", "Structural similarity between the reconstruction and the image: 1 for equal images."
    ),
    "sifid": MetricDefinition(
        "lower", "Distance between Inception features (64, as in SinGAN's code) and those of the image: 0 if equal."
    ),
    "error": MetricDefinition(
        "near source_error",
        "Mean squared difference between successive frames of the translated clip along the source's motion: larger "
        "is more flicker.",
    ),
    "source_error": MetricDefinition(
        "reference", "The same of the source clip: what errors of the motion, noise and changing light contribute."
    ),
    "sharpness": MetricDefinition(
        "near 1", "Mean gradient of the translated frames, divided by that of the target: a blurred clip is steady too."
    ),
    "tracked_fraction": MetricDefinition(
        "higher", "Share of the pixels in which the motion is reliable. The errors are measured there only."
    ),
}
"""Metric -> its definition, in the order of a table's columns."""

REFERENCE_ROWS = {
    "source": "the untranslated source: look 1, structure 1, copying by chance",
    "target": "the target itself: look 0, copying 1, structure by chance",
}
"""Name of a reference row -> its explanation below the table."""


def metric_columns(values: list[dict[str, float]]) -> list[str]:
    """Return the metrics that any of `values` has, in the order of `DEFINITIONS`."""
    return [name for name in DEFINITIONS if any(name in row for row in values)]


def format_value(name: str, value: float | None) -> str:
    """Format a value of the metric `name` for a table; "-" for None and for infinity."""
    if value is None or value in (float("inf"), float("-inf")):
        return "-"
    digits = {"psnr": 2, "sifid": 4, "error": 5, "source_error": 5}.get(name, 3)
    return f"{value:.{digits}f}"
