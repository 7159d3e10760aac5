"""Finishing: a redrawn image made anew of the target's own patches, its layout kept.

A network of a few hundred thousand parameters puts the right material in the right places within minutes; for the last
of the grain it would take hours. For one image that is cheaper found than learnt: every patch is replaced by the
nearest of the target's, coarse to fine (Kwatra et al., Texture optimization, SIGGRAPH 2005; Granot et al., GPNN, CVPR
2022). Ours is what they start from, the network's picture in place of noise or of the source, and that its layout is
put back in every round, or the target's own would creep in.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from lonepair.losses import Contrast, Nearest, assemble, patches_of, pieces
from lonepair.methods.base import Method
from lonepair.pyramid import scaled
from lonepair.resize import resize_image

PATCH, ROUNDS = 7, 4
COMPLETENESS = 0.01
"""In the target's squared contrast; see `Nearest`."""
PUT_BACK = 0.9
"""Share of what was lost of the layout that a round puts back. All of it would bring back the network's flaws."""
LAYOUT = 2.0
"""Layout is what so many times the coarsest scale holds. Work begins there: below, objects would be replaced."""
STRANGE = 3.0
"""So many times the median distance to the target's patches: what is as far from any is put back by half."""
PIECE = 0.08
"""Where patches were cut out of the target in a piece of this share of the longest side, others are taken."""


@torch.no_grad()
def finish(
    drawn: Float[Tensor, "1 c h w"],
    target: Float[Tensor, "1 c h2 w2"],
    factors: Sequence[float],
    layout: float,
    start: Float[Tensor, "1 c h w"] | None = None,
    rounds: int = ROUNDS,
) -> Float[Tensor, "1 c h w"]:
    """`drawn` made of patches of `target`.

    Args:
        drawn: The network's picture, in [-1, 1].
        target: What it is to look like, its pixels of the same size.
        factors: Scales to work at, rising to 1.
        layout: What is left of `drawn` at this scale is kept.
        start: What is made of patches first, in place of `drawn`: of a clip, what continues the frame before.
        rounds: How often, at each scale.

    Per round and scale (h·w)·(h2·w2)·64 multiplications: on two CPU cores about 10 s for 128x128, 40 s for 220x220.
    """
    own, theirs = (drawn.shape[-2], drawn.shape[-1]), (target.shape[-2], target.shape[-1])
    image, coarser, known = drawn if start is None else start, None, None
    for factor in factors:
        size = scaled(own, factor)
        sharp = resize_image(target, scaled(theirs, factor))
        # What was just enlarged is blurred: it is first looked up among patches as blurred as it is.
        blurred = sharp if coarser is None else resize_image(coarser, (sharp.shape[-2], sharp.shape[-1]))
        contrast = Contrast(sharp)
        patches = patches_of(sharp, PATCH)
        search = Nearest(patches_of(contrast(sharp), PATCH))
        first = Nearest(patches_of(contrast(blurred), PATCH)) if coarser is not None else search
        kept = _reduced(resize_image(drawn, size), scaled(own, layout))
        if known is None:
            known = _known(patches_of(contrast(kept), PATCH), search, size)
        share = PUT_BACK * F.interpolate(known, size, mode="bilinear")
        image = resize_image(image, size)
        run = max(2, round(PIECE * max(*size, *sharp.shape[-2:])))
        for turn in range(rounds):
            image = image + share * (kept - _reduced(image, scaled(own, layout)))
            queries = patches_of(contrast(image), PATCH)
            found = (search if turn else first)(queries, COMPLETENESS)
            for _ in range(2):  # what is taken instead may be a piece, too
                copied = pieces(found, (size[0] - PATCH + 1, size[1] - PATCH + 1), sharp.shape[-1] - PATCH + 1, run)
                if not copied.any():
                    break
                again = copied.flatten()
                found[again] = search(queries[again], COMPLETENESS, torch.unique(found[again]))
            image = assemble(patches[found], size, PATCH)
        coarser = sharp
    return image


def _known(patches: Tensor, search: Nearest, size: tuple[int, int]) -> Float[Tensor, "1 1 h w"]:
    """How far, 1 to 0, the target has anything like each of `patches`, which lie row by row in an image of `size`."""
    apart = (patches - search.patches[search(patches)]).square().mean(1)
    usual = apart.median().clamp(min=1e-4)
    known = 1 / (1 + (apart / (STRANGE * usual)).square())
    return F.pad(known.view(1, 1, size[0] - PATCH + 1, size[1] - PATCH + 1), [PATCH // 2] * 4, mode="replicate")


def finish_drawn(method: Method, drawn: Float[Tensor, "1 c h w"], domain: str) -> Float[Tensor, "1 c h w"]:
    """What `method` drew in the look of `domain`, in [-1, 1] and at its newest stage, of the patches it remembers."""
    factors, layout = _factors(method)
    wanted = [factor for factor in factors if factor >= layout]
    return finish(drawn, method.remembered(domain), wanted, layout)


def finish_next(
    method: Method,
    drawn: Float[Tensor, "1 c h w"],
    domain: str,
    drawn_before: Float[Tensor, "1 c h w"],
    finished_before: Float[Tensor, "1 c h w"],
) -> Float[Tensor, "1 c h w"]:
    """The same for a clip's next frame: it begins with what finishing added to the frame before.

    So that texture does not flicker, and in a fifteenth of the time: one round at full size.
    """
    start = (drawn + finished_before - drawn_before).clamp(-1, 1)
    return finish(drawn, method.remembered(domain), [1.0], _factors(method)[1], start, rounds=1)


def _factors(method: Method) -> tuple[list[float], float]:
    """Scales of the stages, of what the newest one draws, and the layout's: a model may have been cut short."""
    factors = method.plan.factors[: method.stage + 1]
    own = [factor / factors[-1] for factor in factors]
    return own, min(1.0, LAYOUT * own[0])


def _reduced(image: Tensor, size: tuple[int, int]) -> Tensor:
    """What `size` pixels can hold of `image`, at its own size."""
    return resize_image(resize_image(image, size), (image.shape[-2], image.shape[-1]))
