"""WGAN-GP terms (Gulrajani et al., "Improved Training of Wasserstein GANs", 2017), for patch critics."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.ops.noise import RandomStream
from lonepair.ops.regions import narrowed, pieces_of, window

Critic = Callable[[Tensor], Tensor]


def _all(norms: Tensor) -> Tensor:
    return norms


def gradient_penalty(
    critic: Critic, points: Float[Tensor, "b c h w"], known: Callable[[Tensor], Tensor] = _all
) -> Float[Tensor, ""]:
    """Mean of (‖∇D‖₂ - 1)² over pixels, at `points`, or over those that `known` leaves of the (b, 1, h, w) norms.

    The norm is taken over the channels of each pixel, the gradient is that of the sum of the scores: this is how
    SinGAN and its followers read equation 3 of Gulrajani et al. for a critic with a map of scores.
    """
    points = points.detach().requires_grad_(True)
    scores = critic(points)
    (gradient,) = torch.autograd.grad(scores.sum(), points, create_graph=True)
    # The square root has no derivative at 0, where a critic that sees no contrast may well be.
    norm = gradient.float().square().sum(1, keepdim=True).add(1e-12).sqrt()
    return (known(norm) - 1).square().mean()


def interpolate(
    real: Float[Tensor, "b c h w"], fake: Float[Tensor, "b c h2 w2"], weights: Float[Tensor, "3"]
) -> Float[Tensor, "b c h3 w3"]:
    """Î = α·real + (1-α)·fake with α = weights[0] in [0, 1).

    Images of unequal sizes are first cut to the size that both have, at a place that weights[1:] in [0, 1) rng, so
    that no pixel is resampled: a stretched patch is not one of the real image's patches.
    """
    size = min(real.shape[2], fake.shape[2]), min(real.shape[3], fake.shape[3])
    alpha = weights[0]
    return alpha * window(real, size, weights[1:]) + (1 - alpha) * window(fake, size, weights[1:])


def critic_losses(
    critic: Critic,
    real: Float[Tensor, "b c h w"],
    fakes: Sequence[Tensor],
    rng: RandomStream,
    every: int = 1,
    shares: Sequence[float] | None = None,
    patch: int = 0,
    side: int = 0,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """(Σ D(fake) - D(real), Σ penalty) over all `fakes`, which need no gradient; lower is a better critic.

    Args:
        rng: Says where between `real` and the fakes penalties are taken (see `interpolate`).
        every: The penalty, most of a critic's cost, is taken at one of so many calls, at random, so many times as
            heavy, and is 0 at the others: the same on average (lazy regularization, Karras et al., StyleGAN2, CVPR
            2020, sec. 3.1).
        shares: Weight of each fake; 1 unless given.
        patch: Pixels a side that a score hangs on, where it hangs on no others: images of one size then share a
            forward, which is faster where they are small. 0: each image has one of its own.
        side: Then, too, of images that have two squares of so many pixels a side, or more, pieces are taken that have
            one square's pixels together (`lonepair.ops.regions`); 0: never. The same on average.
    """
    shares = [1.0] * len(fakes) if shares is None else shares
    weights = rng.uniform(len(fakes), 3)
    side = side if patch else 0
    real_score, *scores = _means(critic, _seen([real, *fakes], patch, side, rng), apart=not patch)
    wasserstein = torch.stack([share * (score - real_score) for score, share in zip(scores, shares, strict=True)]).sum()
    if every > 1 and not rng.host_bernoulli(1 / every):
        return wasserstein, torch.zeros_like(wasserstein)
    points = [interpolate(real, fake, weight) for fake, weight in zip(fakes, weights, strict=True)]
    penalties = [share * _penalty(critic, point, patch, side, rng) for point, share in zip(points, shares, strict=True)]
    return wasserstein, every * torch.stack(penalties).sum()


def _seen(images: Sequence[Tensor], patch: int, side: int, rng: RandomStream) -> list[Tensor]:
    """Pieces of `images`, at the same places in those of one size, or all of them, where they are small."""
    sizes = {image.shape: (len(image), (image.shape[2], image.shape[3])) for image in images}
    places = {shape: pieces_of(*size, side, patch, rng) for shape, size in sizes.items()}
    found = [(image, places[image.shape]) for image in images]
    return [image if own is None else own.cut(image) for image, own in found]


def _penalty(critic: Critic, point: Tensor, patch: int, side: int, rng: RandomStream) -> Float[Tensor, ""]:
    """`gradient_penalty`, of large images at one piece of as many as scores are taken of: that is enough."""
    found = pieces_of(len(point), (point.shape[2], point.shape[3]), side, 1, rng)
    if found is None:
        return gradient_penalty(critic, point)
    one = rng.integer(len(found))
    here = found.only(one)
    # A pixel's gradient is that of all scores that see it: cut off any, and the critic learns to be too steep.
    around = here.grown(patch - 1)
    image = narrowed(point, 0, one, 1) if len(point) > 1 else point
    return gradient_penalty(critic, around.cut(image), lambda norm: here.cut_from(norm, around))


def _means(critic: Critic, images: Sequence[Tensor], apart: bool) -> list[Float[Tensor, ""]]:
    """The mean score of each of `images`."""
    if apart or len({image.shape for image in images}) > 1:
        return [critic(image).mean() for image in images]
    return [scores.mean() for scores in critic(torch.cat(list(images))).chunk(len(images))]
