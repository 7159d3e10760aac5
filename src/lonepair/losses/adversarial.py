"""WGAN-GP terms (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017), for patch critics."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import crop_at

Critic = Callable[[Tensor], Tensor]


def gradient_penalty(critic: Critic, points: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """Mean over pixels of (‖∇D‖₂ - 1)² at `points`.

    The norm is taken over the channels of each pixel, the gradient is that of the sum of the scores: this is how
    SinGAN and its followers read equation 3 of Gulrajani et al. for a critic with a map of scores.
    """
    points = points.detach().requires_grad_(True)
    scores = critic(points)
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    # The square root has no derivative at 0, where a critic that sees no contrast may well be.
    norm = gradient.float().square().sum(1, keepdim=True).add(1e-12).sqrt()
    return (norm - 1).square().mean()


def interpolate(
    real: Float[Tensor, "b c h w"], fake: Float[Tensor, "b c h2 w2"], weights: Float[Tensor, "3"]
) -> Float[Tensor, "b c h3 w3"]:
    """Î = α·real + (1-α)·fake with α = weights[0] in [0, 1).

    Images of unequal sizes are first cut to the size that both have, at a place that weights[1:] in [0, 1) rng, so
    that no pixel is resampled: a stretched patch is not one of the real image's patches.
    """
    size = min(real.shape[2], fake.shape[2]), min(real.shape[3], fake.shape[3])
    alpha = weights[0]
    return alpha * crop_at(real, size, weights[1:]) + (1 - alpha) * crop_at(fake, size, weights[1:])


def critic_losses(
    critic: Critic,
    real: Float[Tensor, "b c h w"],
    fakes: Sequence[Tensor],
    rng: RandomStream,
    shares: Sequence[float] | None = None,
    shared_forward: bool = False,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The two terms of a critic's WGAN-GP loss; a smaller sum is a better critic.

    Args:
        critic: Maps images to a map of scores.
        real: Real images in [-1, 1].
        fakes: Generated images, detached.
        rng: Draws the points between `real` and each fake at which penalties are taken (see `interpolate`).
        shares: Weight of each fake; 1 each where None.
        shared_forward: Send images of one size through the critic in one batch, which is faster for small images. Only
            for a critic without normalisation, whose scores depend on no other image of the batch.

    Returns:
        Sum over fakes of D(fake) - D(real), and sum over fakes of the gradient penalty.
    """
    shares = [1.0] * len(fakes) if shares is None else shares
    weights = rng.uniform(len(fakes), 3)
    real_score, *scores = _mean_scores(critic, [real, *fakes], shared_forward)
    wasserstein = torch.stack([share * (score - real_score) for score, share in zip(scores, shares, strict=True)]).sum()
    points = [interpolate(real, fake, weight) for fake, weight in zip(fakes, weights, strict=True)]
    penalties = [share * gradient_penalty(critic, point) for point, share in zip(points, shares, strict=True)]
    return wasserstein, torch.stack(penalties).sum()


def _mean_scores(critic: Critic, images: Sequence[Tensor], shared_forward: bool) -> list[Float[Tensor, ""]]:
    """The mean score of each of `images`."""
    if not shared_forward or len({image.shape for image in images}) > 1:
        return [critic(image).mean() for image in images]
    return [scores.mean() for scores in critic(torch.cat(list(images))).chunk(len(images))]
