"""Finishing: a redrawn image made anew of the target's own patches, its layout kept.

A network of a few hundred thousand parameters puts the right material in the right places within minutes; for the last
of the grain it would take hours. For one image that is cheaper found than learnt: every patch is replaced by the
nearest of the target's, coarse to fine (Kwatra et al., Texture optimization, SIGGRAPH 2005; Granot et al., GPNN, CVPR
2022). Ours is what they start from, the network's picture in place of noise or of the source, and that its layout is
put back in every round, or the target's own would creep in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from lonepair.apply.patchwork import Lattice
from lonepair.losses import Contrast, Nearest, pieces
from lonepair.methods.base import Method
from lonepair.pyramid import scaled
from lonepair.resize import resize_image

PATCH, ROUNDS = 7, 4
STEP = 2
"""Patches lie so many pixels apart: of a quarter as many each pixel is the mean, which is faster, and sharper."""
COMPLETENESS = 0.01
"""In the target's squared contrast; see `Nearest`."""
LAYOUT = 2.5
"""Layout is what so many times the coarsest scale holds. Work begins there: below, objects would be replaced."""
STRANGE = 3.0
"""So many times the median distance to the target's patches: of what is as far from any half is put back."""
PIECE = 0.08
"""Where patches were cut out of the target in a piece of this share of the longest side, others are taken."""


@dataclass(frozen=True)
class Finished:
    """A picture before and after, both in [-1, 1], and the target's patches that it is made of at full size."""

    drawn: Float[Tensor, "1 c h w"]
    image: Float[Tensor, "1 c h w"]
    found: Int[Tensor, "n"] | None = None
    """None where nothing was done."""


class Finisher:
    """Makes pictures of the patches of one target, which it has ready at every scale that was asked for."""

    def __init__(self, target: Float[Tensor, "1 c h w"], factors: Sequence[float], layout: float) -> None:
        """
        Args:
            target: What pictures are to look like, its pixels of the same size.
            factors: Scales to work at, rising to 1.
            layout: What is left of a picture at this scale is kept.
        """
        self._target, self._factors, self._layout = target, list(factors), layout
        self._textures: dict[int, _Texture] = {}

    @classmethod
    def of(cls, method: Method, domain: str) -> Finisher:
        """That for pictures of `method`'s newest stage in the look of `domain`, of the patches it remembers."""
        factors = method.plan.factors[: method.stage + 1]
        own = [factor / factors[-1] for factor in factors]  # a model may have been cut short
        layout = min(1.0, LAYOUT * own[0])
        return cls(method.remembered(domain), [factor for factor in own if factor >= layout], layout)

    @torch.no_grad()
    def finish(self, drawn: Float[Tensor, "1 c h w"]) -> Finished:
        """`drawn`, the network's picture in [-1, 1], made of the target's patches, coarse to fine.

        At the coarsest scale all patches are compared with all of the target's, above it each with those that its
        neighbours found: on two CPU cores about 0.3 s for 128x128, 1 s for 220x220.
        """
        image, known, found, before = drawn, None, None, None
        for scale, factor in enumerate(self._factors):
            texture = self._texture(scale)
            lattice = Lattice(scaled((drawn.shape[-2], drawn.shape[-1]), factor), PATCH, STEP)
            kept = self._kept(resize_image(drawn, lattice.size), drawn)
            if known is None:
                known = texture.knows(kept)
            share = F.interpolate(known, lattice.size, mode="bilinear")
            image = resize_image(image, lattice.size)
            if found is not None and before is not None:
                found = lattice.enlarged(found, before, self._texture(scale - 1).shape, texture.shape)
            for turn in range(ROUNDS):
                image = image + share * (kept - self._kept(image, drawn))
                # What was just enlarged is blurred: it is first looked up among patches as blurred as it is.
                search = texture.search if turn else texture.blurred
                image, found = texture.made(image, lattice, search, found if scale else None)
            before = lattice
        assert found is not None
        return Finished(drawn, image, found)

    @torch.no_grad()
    def next(self, drawn: Float[Tensor, "1 c h w"], before: Finished) -> Finished:
        """The same for a clip's next frame: it begins with what finishing added to the frame before.

        So that texture does not flicker, and in a fraction of the time: one round at full size.
        """
        assert before.found is not None
        texture = self._texture(len(self._factors) - 1)
        lattice = Lattice((drawn.shape[-2], drawn.shape[-1]), PATCH, STEP)
        image = (drawn + before.image - before.drawn).clamp(-1, 1)
        kept, first = self._kept(drawn, drawn), self._texture(0)
        known = first.knows(resize_image(kept, scaled(lattice.size, self._factors[0])))
        share = F.interpolate(known, lattice.size, mode="bilinear")
        image = image + share * (kept - self._kept(image, drawn))
        image, found = texture.made(image, lattice, texture.search, before.found, fresh=True)
        return Finished(drawn, image, found)

    def _kept(self, image: Tensor, drawn: Tensor) -> Tensor:
        """The layout of `image`, at its own size, whose full size is that of `drawn`."""
        return _reduced(image, scaled((drawn.shape[-2], drawn.shape[-1]), self._layout))

    def _texture(self, scale: int) -> _Texture:
        if scale not in self._textures:
            coarser = self._texture(scale - 1).image if scale else None
            h, w = self._target.shape[-2:]
            self._textures[scale] = _Texture(resize_image(self._target, scaled((h, w), self._factors[scale])), coarser)
        return self._textures[scale]


class _Texture:
    """A target at one scale, and the search for its patches."""

    def __init__(self, image: Float[Tensor, "1 c h w"], coarser: Tensor | None) -> None:
        self.image = image
        h, w = image.shape[-2:]
        self.shape = (h - PATCH + 1, w - PATCH + 1)
        self._contrast = Contrast(image)
        self.search = Nearest(self._contrast(image), PATCH)
        blurred = None if coarser is None else self._contrast(resize_image(coarser, (h, w)))
        self.blurred = self.search if blurred is None else Nearest(blurred, PATCH)
        """Among patches as blurred as those of the next coarser scale, at the same places."""

    def made(
        self, image: Tensor, lattice: Lattice, search: Nearest, found: Tensor | None, fresh: bool = False
    ) -> tuple[Float[Tensor, "1 c h w"], Int[Tensor, "n"]]:
        """`image` made of this texture's patches, and which: near `found`, or, where that is None, the nearest."""
        queries = search.queries(self._contrast(lattice.over(image)), STEP)
        if found is None:
            found = search(queries, COMPLETENESS)
        else:
            found = search.follow(queries, found, lattice.moves(self.shape), COMPLETENESS, fresh)
        run = max(2, round(PIECE * max(*lattice.size, *self.image.shape[-2:]) / STEP))
        for _ in range(2):  # what is taken instead may be a piece, too
            copied = pieces(found, lattice.shape, self.shape[1], run, STEP)
            if not copied.any():
                break
            again = copied.flatten()
            found[again] = search(queries[again], COMPLETENESS, torch.unique(found[again]))
        return lattice.assembled(self.image, found), found

    def knows(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 h w"]:
        """How far, 1 to 0, the texture has anything like what stands at each place of `image`."""
        h, w = image.shape[-2:]
        lattice = Lattice((h, w), PATCH, STEP)
        queries = self.search.queries(self._contrast(lattice.over(image)), STEP)
        apart = self.search.apart(queries, self.search(queries))
        usual = apart.median().clamp(min=1e-4)
        known = 1 / (1 + (apart / (STRANGE * usual)).square())
        return lattice.spread(known)


def _reduced(image: Tensor, size: tuple[int, int]) -> Tensor:
    """What `size` pixels can hold of `image`, at its own size."""
    return resize_image(resize_image(image, size), (image.shape[-2], image.shape[-1]))
