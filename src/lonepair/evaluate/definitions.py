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
    "swim": MetricDefinition(
        "lower",
        "Share of the fine texture that is new after a frame along the source's flow: 0 where it moves with what it "
        "lies on, 1 where nothing stays.",
    ),
    "swim10": MetricDefinition("lower", "The same after ten frames: slow drift."),
    "swim_moving": MetricDefinition(
        "lower", "Swim where the source moves by more than a pixel a frame; compare it with door."
    ),
    "door": MetricDefinition(
        "well above swim_moving",
        "The same without the motion: below swim_moving, the texture sticks to the screen like a shower door.",
    ),
    "flicker": MetricDefinition(
        "near source_flicker",
        "Mean absolute difference between successive frames where the source stands still, in grey levels of 255.",
    ),
    "source_flicker": MetricDefinition("reference", "The same of the source: noise and changing light."),
    "flicker_ratio": MetricDefinition(
        "lower", "Flicker over the source's, of which a quarter of a grey level counts at least: 1 is as steady."
    ),
    "warp_error": MetricDefinition(
        "lower",
        "Mean squared change of pixels, in [-1, 1], along the source's flow, if the clip's contrast is scaled until it "
        "is as sharp as the target: blur does not lower it.",
    ),
    "warp_error10": MetricDefinition("lower", "The same after ten frames."),
    "error": MetricDefinition("lower", "The same after a frame, not scaled: blur lowers it."),
    "error10": MetricDefinition("lower", "The same after ten frames, not scaled."),
    "sharpness_first": MetricDefinition(
        "near 1", "Gradient energy of the first frame over the target's: a blurred frame is near 0."
    ),
    "sharpness_last": MetricDefinition("near sharpness_first", "The same of the last frame: lower where a clip melts."),
    "sharpness_softest": MetricDefinition("near sharpness_first", "The same of the softest frame."),
    "sharpness_kept": MetricDefinition(
        "near 1", "Sharpness over that of the same frame translated by itself, the lowest of all frames."
    ),
    "popping": MetricDefinition(
        "lower",
        "Share of the picture, in blocks of 16 pixels, whose texture is exchanged in the worst frame, less that of the "
        "median frame: 0 to 1. The chart new_blocks shows each frame's share.",
    ),
    "motion_fidelity": MetricDefinition(
        "higher",
        "Share of the moving pixels whose motion, estimated from the output, is that of the source: 0 to 1. The "
        "source's own value is the limit.",
    ),
    "objects_kept": MetricDefinition(
        "near 1", "Contrast of a known object against its surround along its path, over that of its first frame."
    ),
    "objects_lowest": MetricDefinition("near 1", "The lowest mean of that over five frames."),
    "objects_chance": MetricDefinition(
        "well below objects_kept",
        "The same at places of the path without the object: what coarse texture has by chance.",
    ),
    "object_contrast": MetricDefinition("higher", "Mean contrast of the object over its contrast in the source."),
    "ghost": MetricDefinition(
        "lower", "Contrast that is left at a place of the path after the object left it, over that of its first frame."
    ),
    "tracked_fraction": MetricDefinition(
        "higher", "Share of the pixels in which the motion is reliable. Metrics of motion are measured there only."
    ),
}
"""Metric -> its definition, in the order of a table's columns."""

REFERENCE_ROWS = {
    "source": "the untranslated source: look 1, structure 1, copying by chance",
    "target": "the target itself: look 0, copying 1, structure by chance",
    "frame by frame": "every frame translated by itself: as sharp as frames can be, and not steady",
    "first frame carried": "the first frame moved along the source's flow: steady, and blind to what is revealed",
    "blur": "every frame by itself after a Gaussian of 2 pixels: it is not sharp, and swims like the frames",
}
"""Name of a reference row -> its explanation below the table."""


def metric_columns(values: list[dict[str, float]]) -> list[str]:
    """Return the metrics that any of `values` has, in the order of `DEFINITIONS`."""
    return [name for name in DEFINITIONS if any(name in row for row in values)]


def format_value(name: str, value: float | None) -> str:
    """Format a value of the metric `name` for a table; "-" for None and for infinity."""
    if value is None or value in (float("inf"), float("-inf")):
        return "-"
    digits = {"psnr": 2, "sifid": 4, "error": 4, "error10": 4, "warp_error": 4, "warp_error10": 4}.get(name, 3)
    return f"{value:.{digits}f}"
