"""What each number of a report means, in a sentence, and which way is better."""

from __future__ import annotations

from typing import NamedTuple


class Meaning(NamedTuple):
    """How a metric is read."""

    better: str
    """"lower", "higher", or what it is compared with."""
    says: str


DEFINITIONS = {
    "look": Meaning(
        "lower", "Distance of the patches to the target's, over the untranslated source's: 0 to 1, or more."
    ),
    "structure": Meaning(
        "higher", "Correlation of what is alike in the picture with what is alike in its source: -1 to 1."
    ),
    "copying": Meaning(
        "lower", "Share of the picture cut out of the target in one piece: 0 to 1; the source's is chance."
    ),
    "diversity": Meaning(
        "higher", "How much samples differ, over the image's own contrast: 0 is one and the same picture."
    ),
    "look_distance": Meaning(
        "lower", "Distance of the patches to the image's, in its own contrast: 0 for equal images."
    ),
    "psnr": Meaning("higher", "Error of the reconstruction in dB; none (-) where it is exact."),
    "ssim": Meaning("higher", "Structural similarity of the reconstruction to the image: 1 for equal images."),
    "sifid": Meaning(
        "lower", "Distance of Inception features (64, as SinGAN's code measures) to the image's: 0 if equal."
    ),
    "error": Meaning(
        "near source_error", "Squared change of the redrawn clip along the source's motion: more is flicker."
    ),
    "source_error": Meaning("reference", "The same of the source: what motion, noise and light leave of a real clip."),
    "sharpness": Meaning(
        "near 1", "Mean gradient of the redrawn frames over the target's: a blurred clip is steady, too."
    ),
    "followed": Meaning(
        "higher", "Share of the pixels whose motion could be followed: of those alone the errors tell."
    ),
}
"""Metric -> its meaning; the order is that of a table's columns."""

REFERENCE_ROWS = {
    "source": "the untranslated source: look 1, structure 1, copying by chance",
    "target": "the target itself: look 0, copying 1, and its structure by chance",
}
"""References among a table's rows, for its foot."""


def metric_columns(values: list[dict[str, float]]) -> list[str]:
    """The metrics that any of `values` has, in the order of `DEFINITIONS`."""
    return [name for name in DEFINITIONS if any(name in row for row in values)]


def format_value(name: str, value: float | None) -> str:
    """A value as a table shows it; "-" for none, and for an infinite one."""
    if value is None or value in (float("inf"), float("-inf")):
        return "-"
    digits = {"psnr": 2, "sifid": 4, "error": 5, "source_error": 5}.get(name, 3)
    return f"{value:.{digits}f}"
