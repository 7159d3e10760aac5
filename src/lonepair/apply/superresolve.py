"""Super-resolution: the finest stage, trained to add the detail of one step in size, is applied repeatedly."""

from __future__ import annotations

import logging
import math
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from lonepair.apply.base import ImageInput, StillInput, Use, read_still
from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.render.trained_model import TrainedModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair.media.stills import exr
    from lonepair.metrics import unlikeness
    from lonepair.ops import color, noise, resize
    from lonepair.render import results, sampling, still
    from lonepair.render.results import Picture
else:
    torch = lazy("torch")
    exr = lazy("lonepair.media.stills.exr")
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
RELEASED_RATIO = 2 ** (1 / 3)
"""Nominal enlargement of a step in SinGAN's released code."""


@dataclass(frozen=True)
class Superresolve(Use["Picture"]):
    """Enlarge an image and add the detail that the model has learned; the result has its size times the factor."""

    name = "superresolve"
    summary = "enlarge an image and add learned detail"

    factor: float = 4.0
    """Enlargement of each side, above 1. The result has at most 67 megapixels. A larger value takes more steps, each of
    which adds detail: 6 for 4 with the preset superresolution, 3 for 2."""
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
        base = StillInput(training) if self.image is None else read_still(self.image)
        image = base.image
        check_size(image, self.factor)
        still.advise_preset(self.name, model)
        if self.image is not None:
            warn_of_other_texture(image, training)
        large = enlarge(model, image, self.factor, self.seed)
        gain = exr.fit_gain(base.gain, (large.shape[-2], large.shape[-1]))
        return results.Picture(large, self.metadata(model), base.bits, gain)


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

    The enlargement has `step_count` steps of one ratio. After each step the last generator adds detail, with new noise.
    """
    method: Any = model.method
    engine = model.engine
    h, w = image.shape[-2:]
    steps = step_count(method, factor)
    with torch.no_grad():
        prediction = engine.to_device(color.match_channels(image, method.plan.channels))
        for step in range(1, steps + 1):
            scale = factor ** (step / steps)
            size = (round(h * scale), round(w * scale))
            large = resize.resize_image(prediction, size)
            rng = noise.RandomStream.for_sample(seed, step, engine.device)
            with engine.autocast():
                if is_trained_to_enlarge(method):
                    # As in the released code, the noise of the first step has one channel.
                    output = method.add_detail(large, step == 1, rng)
                else:
                    # All stages have one size, so that the last stage receives the enlarged image itself.
                    output = method.translate(large, [size] * (method.stage + 1), "a", method.stage, rng)
            prediction = output.float().clamp(-1, 1)
    return prediction.cpu().contiguous()


def is_trained_to_enlarge(method: Any) -> bool:
    """Whether the model was trained for super-resolution: `singan` with `task="superresolution"`."""
    return bool(getattr(method.config, "task", None) == "superresolution")


def step_count(method: Any, factor: float) -> int:
    """Number of steps in which an image is enlarged by `factor`.

    As published, a step is near 2^(1/3) = 1.26: six for factor 4 (SinGAN's released code). For a model that was trained
    for another task, a step is near the ratio between its last two stages.
    """
    if is_trained_to_enlarge(method):
        ratio = RELEASED_RATIO
    else:
        factors = method.plan.factors[: method.stage + 1]
        ratio = factors[-1] / factors[-2] if len(factors) > 1 else RELEASED_RATIO
    return max(1, round(math.log(factor) / math.log(ratio)))
