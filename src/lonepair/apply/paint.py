"""Paint: turn a rough painting into an image like the training image (SinGAN, sec. 4, "Paint-to-Image")."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, ImageOption, Use, read_still
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from torch import Tensor

    from lonepair.media import values
    from lonepair.ops import arrays, color
    from lonepair.render import results, sampling, still
    from lonepair.render.results import Picture
else:
    torch = lazy("torch")
    Image = lazy("PIL.Image")
    arrays = lazy("lonepair.ops.arrays")
    color = lazy("lonepair.ops.color")
    results = lazy("lonepair.render.results")
    sampling = lazy("lonepair.render.sampling")
    still = lazy("lonepair.render.still")
    values = lazy("lonepair.media.values")


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
    """Number of colors, 2 to 256, to which the painting is reduced first; 0 does not reduce it. SinGAN uses 5. A
    larger value keeps more of the painting's own colors."""
    palette: ImageOption | None = None
    """Image whose colors the reduced painting takes. If omitted, the model's reconstruction of its training image."""
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def problems(self) -> list[str]:
        is_valid = self.colors == 0 or 2 <= self.colors <= 256
        return [] if is_valid else [f"colors is {self.colors}: choose 2 to 256, or 0 to keep all colors"]

    def run(self, model: TrainedModel) -> Picture:
        start_stage = still.start_stage_for(self.name, model, self.start_stage)
        painting = read_still(self.painting)
        if self.colors:
            is_own = self.palette is None
            palette = sampling.reconstruction(model.method, model.engine) if is_own else read_still(self.palette)
            painting = quantize(painting, palette, self.colors)
        prediction = still.translate_still(model, painting, start_stage, self.seed)
        return results.Picture(prediction, self.metadata(model, start_stage=start_stage))


def quantize(painting: Tensor, palette: Tensor, colors: int) -> Tensor:
    """`painting` with every pixel set to the nearest of `colors` k-means centers of the colors of `palette`.

    Args:
        painting: (1, c, h, w) in [-1, 1]. An alpha channel stays.
        palette: (1, c2, h2, w2) in [-1, 1].
        colors: 2 to 256.
    """
    centers = arrays.to_pil(color.match_channels(palette, 3)).quantize(colors, Image.Quantize.MEDIANCUT, kmeans=20)
    reduced = arrays.to_pil(color.match_channels(painting, 3)).quantize(palette=centers, dither=Image.Dither.NONE)
    flat = color.match_channels(values.as_image(reduced.convert("RGB")), painting.shape[1])
    return torch.cat([flat[:, :3], painting[:, 3:]], 1) if painting.shape[1] == 4 else flat
