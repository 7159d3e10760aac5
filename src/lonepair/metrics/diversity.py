"""Diversity: how much the samples of one model differ from each other (SinGAN, sec. 3). Range [0, ∞)."""

from jaxtyping import Float
from torch import Tensor


def diversity(samples: Float[Tensor, "n c h w"], image: Float[Tensor, "1 c h w"]) -> float:
    """The standard deviation of each pixel over the samples, averaged over pixels, divided by that of the image.

    Pixels are grey: the mean of the color channels. The image's standard deviation is over its pixels.

    Args:
        samples: Two or more random samples.
        image: The training image.

    Returns:
        0 if all samples are equal. SinGAN reports 0.5 for samples from the coarsest stage, 0.35 from the second.

    Raises:
        AssertionError: `samples` has fewer than two images.
    """
    assert len(samples) > 1, "diversity needs two samples or more"
    # Per-pixel deviation over samples, over the image's own contrast (SinGAN, sec. 3).
    deviation = samples[:, :3].mean(1).std(0).mean()
    return float(deviation / image[:, :3].mean(1).std().clamp(min=1e-9))
