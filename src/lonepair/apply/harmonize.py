"""Harmonize: give an object that was pasted into an image the appearance of the training image (SinGAN, sec. 4)."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass

from lonepair.apply.edit import Edit


@dataclass(frozen=True)
class Harmonize(Edit):
    """Give a pasted object the appearance of the training image; the rest of the image stays."""

    name = "harmonize"
    summary = "blend a pasted object into an image"

    _: KW_ONLY
    dilate: int = 7
    """Dilation of the mask, 0 to 200, in pixels of an image whose longest side is 250; in pixels of the image if it is
    smaller. A larger value regenerates more around the object."""
