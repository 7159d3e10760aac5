"""Super-resolution: the finest stage, trained to add the detail of one step in size, is applied repeatedly."""

from __future__ import annotations

import logging
import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING

from lonepair.apply.base import ImageInput, Use, read_still_and_bits
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair.metrics import unlikeness
    from lonepair.ops import color, noise, resize
    from lonepair.render import results, sampling, still
    from lonepair.render.results import Picture
else:
    torch = lazy("torch")
    unlikeness = lazy("lonepair.metrics.unlikeness")
    color = lazy("lonepair.ops.color")
    noise = lazy("lonepair.ops.noise")
    resize = lazy("lonepair.ops.resize")
    results = lazy("lonepair.render.results")
    sampling = lazy("lonepair.render.sampling")
    still = lazy("lonepair.render.still")

logger = logging.getLogger("lonepair")

MAX_PIXELS = 8192 * 8192
"""Largest number of pixels of the result, so that a mistyped factor does not exhaust the memory."""
MAX_UNLIKENESS = 2.0
"""Largest `metrics.unlikeness` of an image and the training image without a warning."""
DEFAULT_RATIO = 1.26
"""Enlargement of a step where the model has one stage: SinGAN's ratio for super-resolution, 1 / 0.794."""


@dataclass(frozen=True)
class Superresolve(Use["Picture"]):
    """Enlarge an image and add the detail that the model has learned; the result has its size times the factor."""

    name = "superresolve"
    summary = "enlarge an image and add learned detail"

    factor: float = 4.0
    """Enlargement of each side, above 1. The result has at most 67 megapixels. A larger value takes more steps, each of
    which adds detail."""
    image: ImageInput | None = None
    """The image to enlarge, of any size: the training image in full resolution, or one like it; one that is unlike it
    gives a warning. If omitted, the model's reconstruction of its training image at training size."""
    _: KW_ONLY
    seed: int = 0
    """Random seed of the noise, 0 to 4294967295."""

    def problems(self) -> list[str]:
        is_valid = self.factor > 1 and math.isfinite(self.factor)
        return [] if is_valid else [f"factor is {self.factor:g}: choose a number above 1, such as 2 or 4"]

    def run(self, model: TrainedModel) -> Picture:
        training = sampling.reconstruction(model.method, model.engine)
        image, bits = (training, 8) if self.image is None else read_still_and_bits(self.image)
        check_size(image, self.factor)
        still.advise_preset(self.name, model)
        if self.image is not None:
            warn_of_other_texture(image, training)
        return results.Picture(enlarge(model, image, self.factor, self.seed), self.metadata(model), bits)


def check_size(image: Tensor, factor: float) -> None:
    """Refuse a `factor` by which `image` becomes too large.

    Raises:
        UserError: for a result of more than `MAX_PIXELS`.
    """
    h, w = image.shape[-2:]
    if h * w * factor**2 > MAX_PIXELS:
        raise UserError(
            f"factor is {factor:g}: {w}x{h} pixels would become more than {MAX_PIXELS / 1e6:.0f} megapixels; "
            "choose a smaller factor"
        )


def warn_of_other_texture(image: Tensor, training: Tensor) -> None:
    """Log one line if the patches of `image` are far from those of the `training` image (`metrics.unlikeness`)."""
    ratio = unlikeness.unlikeness(image, training)
    if ratio is not None and ratio > MAX_UNLIKENESS:
        logger.warning(
            "superresolve: the image is unlike the training image: its patches are %.1f times as far from that image's "
            "as from one another (at most %g is usual); the detail that is added is the training image's",
            ratio,
            MAX_UNLIKENESS,
        )


def enlarge(model: TrainedModel, image: Tensor, factor: float, seed: int) -> Tensor:
    """`image` (1, c, h, w) enlarged by `factor`, in [-1, 1] on the CPU (SinGAN, sec. 4).

    The enlargement has k steps of factor^(1/k) each; k is such that a step is near the model's own ratio between its
    last two stages. After each step the last generator adds detail, with new noise.
    """
    method, engine = model.method, model.engine
    h, w = image.shape[-2:]
    factors = method.plan.factors[: method.stage + 1]
    ratio = factors[-1] / factors[-2] if len(factors) > 1 else DEFAULT_RATIO
    steps = max(1, round(math.log(factor) / math.log(ratio)))
    with torch.no_grad():
        prediction = engine.to_device(color.match_channels(image, method.plan.channels))
        for step in range(1, steps + 1):
            scale = factor ** (step / steps)
            size = (round(h * scale), round(w * scale))
            large = resize.resize_image(prediction, size)
            # All stages have one size, so that the last stage receives the enlarged image itself.
            sizes = [size] * (method.stage + 1)
            rng = noise.RandomStream.for_sample(seed, step, engine.device)
            with engine.autocast():
                output = method.translate(large, sizes, "a", method.stage, rng)
            prediction = output.float().clamp(-1, 1)
    return prediction.cpu().contiguous()
