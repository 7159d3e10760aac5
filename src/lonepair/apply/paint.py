"""Paint: turn a rough painting into an image like the training image (SinGAN, sec. 4, "Paint-to-Image")."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, ImageOption, Use, read_still
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    from lonepair.ops import quantize, resize
    from lonepair.render import results, sampling, still
    from lonepair.render.results import Picture
else:
    quantize = lazy("lonepair.ops.quantize")
    resize = lazy("lonepair.ops.resize")
    results = lazy("lonepair.render.results")
    sampling = lazy("lonepair.render.sampling")
    still = lazy("lonepair.render.still")


@dataclass(frozen=True)
class Paint(Use["Picture"]):
    """Turn a rough painting in flat colors into an image like the training image."""

    name = "paint"
    summary = "turn a rough painting into an image"

    painting: ImageInput
    """The painting: the layout of the result in flat colors."""
    _: KW_ONLY
    start_stage: int | None = None
    """Stage at which the painting enters, from 0 (coarsest). A larger value keeps more of it. If omitted, the second
    stage."""
    colors: int = 0
    """Number of colors, 2 to 256, to which the painting is reduced first, as SinGAN does with 5; 0 does not reduce it.
    A larger value keeps more of the painting's shades. An object that would vanish gets one more color."""
    palette: ImageOption | None = None
    """Image whose colors the reduced painting takes. If omitted, the model's reconstruction of its training image."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def problems(self) -> list[str]:
        is_valid = self.colors == 0 or 2 <= self.colors <= 256
        return [] if is_valid else [f"colors is {self.colors}: choose 2 to 256, or 0 to keep all colors"]

    def run(self, model: TrainedModel) -> Picture:
        start_stage = still.start_stage_for(self.name, model, self.start_stage)
        drawing = read_still(self.painting)
        painting = drawing.image
        if self.colors:
            is_own = self.palette is None
            palette = sampling.reconstruction(model.method, model.engine) if is_own else read_still(self.palette).image
            # SinGAN's released code takes the colors of the training image at the stage where the painting enters.
            palette = resize.resize_image(palette, model.method.sizes["a"][start_stage]) if is_own else palette
            painting = quantize.quantize_to_palette(painting, palette, self.colors)
        prediction = still.translate_still(model, painting, start_stage, self.seed)
        return results.Picture(prediction, self.metadata(model, start_stage=start_stage), drawing.bits, drawing.gain)
