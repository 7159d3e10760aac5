"""The terms of the WGAN-GP loss (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017) for patch critics.

Equation 3 of the paper is L = D(fake) - D(real) + λ·(‖∇D(x̂)‖₂ - 1)², with x̂ between the real and the fake image.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import crop_at

Critic = Callable[[Tensor], Tensor]
"""Maps images (b, c, h, w) to a map of scores for each."""


def gradient_penalty(critic: Critic, points: Float[Tensor, "b c h w"]) -> Float[Tensor, ""]:
    """The mean over pixels of (‖∇D‖₂ - 1)² at `points`.

    The norm is that of the channels of one pixel, and the gradient that of the sum of all scores. SinGAN and its
    followers read equation 3 of Gulrajani et al. in this way for a critic with a map of scores.
    """
    points = points.detach().requires_grad_(True)
    scores = critic(points)
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    # The gradient is 0 where a critic reads a flat image; there torch's norm has the derivative 0.
    norm = torch.linalg.vector_norm(gradient.float(), dim=1)
    # Gulrajani et al., eq. 3, second term.
    penalty: Tensor = (norm - 1).square().mean()
    return penalty


def interpolate(
    real: Float[Tensor, "b c h w"],
    fake: Float[Tensor, "b c h2 w2"],
    alpha: Float[Tensor, ""],
    position: Float[Tensor, "2"],
) -> Float[Tensor, "b c h3 w3"]:
    """A point x̂ = α·real + (1-α)·fake at which a critic's gradient is penalized.

    Images of unequal sizes are cropped, not resized: a stretched patch is not one of the real image's patches.

    Args:
        real: Real images.
        fake: Generated images; h3 and w3 are the smaller of both heights and of both widths.
        alpha: α in [0, 1).
        position: Vertical and horizontal position of the crop of the larger image, in [0, 1).
    """
    size = min(real.shape[2], fake.shape[2]), min(real.shape[3], fake.shape[3])
    return alpha * crop_at(real, size, position) + (1 - alpha) * crop_at(fake, size, position)


def critic_losses(
    critic: Critic,
    real: Float[Tensor, "b c h w"],
    fakes: Sequence[Tensor],
    rng: RandomStream,
    fake_weights: Sequence[float] | None = None,
    shared_forward: bool = False,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """The two terms of a critic's WGAN-GP loss; a smaller sum is a better critic.

    Args:
        critic: Maps images to a map of scores.
        real: Real images in [-1, 1].
        fakes: Generated images, detached.
        rng: Draws the points between `real` and each fake at which the gradient is penalized (see `interpolate`).
        fake_weights: Weight of each fake's terms; 1 each where None.
        shared_forward: Send images of one size through the critic in one batch, which is faster for small images. Only
            for a critic without normalization, whose scores do not depend on the other images of the batch.

    Returns:
        The weighted sums over fakes of D(fake) - D(real), and of the gradient penalty.
    """
    fake_weights = [1.0] * len(fakes) if fake_weights is None else fake_weights
    # For each fake: α, and the position of the crop if the images differ in size.
    random_numbers = rng.uniform(len(fakes), 3)

    # Gulrajani et al., eq. 3, first term.
    real_score, *fake_scores = _mean_scores(critic, [real, *fakes], shared_forward)
    differences = [weight * (score - real_score) for score, weight in zip(fake_scores, fake_weights, strict=True)]
    wasserstein = torch.stack(differences).sum()

    # Second term, without its factor λ.
    points = [
        interpolate(real, fake, numbers[0], numbers[1:]) for fake, numbers in zip(fakes, random_numbers, strict=True)
    ]
    penalties = [weight * gradient_penalty(critic, point) for point, weight in zip(points, fake_weights, strict=True)]
    return wasserstein, torch.stack(penalties).sum()


def _mean_scores(critic: Critic, images: Sequence[Tensor], shared_forward: bool) -> list[Float[Tensor, ""]]:
    """The mean score of each of `images`."""
    if not shared_forward or len({image.shape for image in images}) > 1:
        return [critic(image).mean() for image in images]
    return [scores.mean() for scores in critic(torch.cat(list(images))).chunk(len(images))]
