"""Diversity: how much samples of one model differ from each other."""

from jaxtyping import Float
from torch import Tensor


def diversity(samples: Float[Tensor, "n c h w"], image: Float[Tensor, "1 c h w"]) -> float:
    """Standard deviation of each pixel's grey over the samples, mean over pixels, over the image's own contrast.

    SinGAN, sec. 3. 0: all samples are one picture; SinGAN reports 0.5 from the coarsest stage, 0.35 from the second.

    Raises:
        AssertionError: for fewer than two samples.
    """
    assert len(samples) > 1, "diversity needs two samples or more"
    over_samples = samples[:, :3].mean(1).std(0).mean()
    return float(over_samples / image[:, :3].mean(1).std().clamp(min=1e-9))
