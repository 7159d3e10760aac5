"""Finishing: a redrawn image made anew of the target's own patches, its layout kept.

A network of a few hundred thousand parameters puts the right material in the right places within minutes; for the last
of the grain it would take hours. For one image that is cheaper found than learnt: every patch is replaced by the
nearest of the target's, coarse to fine (Kwatra et al., Texture optimization, SIGGRAPH 2005; Granot et al., GPNN, CVPR
2022). Ours is what they start from, the network's picture in place of noise or of the source, and that its layout is
put back in every round, or the target's own would creep in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.methods.base import Method
from lonepair.methods.single import SingleMethod
from lonepair.ops.device import is_on_cpu
from lonepair.ops.pyramid import scale_size
from lonepair.ops.resize import resize_image
from lonepair.patches.distance import ColorWhitening
from lonepair.patches.lattice import Lattice
from lonepair.patches.search import NearestPatches, copied_regions, flat_index, rows_and_columns
from lonepair.patches.temporal import carried

PATCH, ROUNDS = 7, 4
BEYOND = 2
"""Rounds at scales that the networks do not draw at: what is where is long decided."""
STEP = 2
"""Patches lie so many pixels apart: of a quarter as many each pixel is the mean, which is faster, and sharper."""
FOCUS = 1.0
"""In the end a pixel is, nearly, what the patch says that is centred there: means of many are soft."""
STRANGE = 3.0
"""So many times the median distance to the target's patches: of what is as far from any half is put back."""
GROWTH = 1.4
"""Largest ratio of two scales beyond that of the networks."""
PIECE = 0.08
"""Where patches were cut out of the target in a piece of this share of the longest side, others are taken."""
AGAIN = 512
"""Of such patches so many at a time, at most, where a GPU repeats the search."""


@dataclass(frozen=True)
class Layout:
    """What of a picture is kept while it is finished."""

    scale: float
    """That which so many times the coarsest scale holds. Work begins there: below, objects would be replaced."""
    put_back: float
    """So much of what a round lost of it is put back."""


REDRAWN = Layout(3.2, 1.0)
"""Of a source: all. (More than was lost, and smooth places fill with dots.)"""
RANDOM = Layout(1.0, 0.3)
"""Of a picture that has no source: where its large masses lie, lest all be one picture. Objects may be made whole."""


@dataclass(frozen=True)
class Search:
    """How patches are looked for."""

    completeness: float
    """In the target's squared contrast; see `NearestPatches`."""
    some: int
    """So many patches of a picture say what of the target nothing resembles yet."""
    fresh: bool = False
    """They are compared with all of the target's as well."""
    roughly: bool = False
    """All are every second in a row and in a column."""
    repeats: bool = False
    """A GPU repeats it: the host decides nothing by what is found."""


STILL = Search(0.015, 512)
NEXT = (
    Search(0.1, 128, fresh=True, roughly=True, repeats=True),
    Search(0.1, 128, roughly=True, repeats=True),
)
"""Those of a clip's next frame, round by round. The frame before has seen to it that all of the target is there: to ask
for as much again is to flicker. With one round a moving camera leaves grids and ghosts."""
NEXT_STEP = 3
"""Pixels between patches of a clip's next frame, and between those that tell what the target has anything like."""


@dataclass(frozen=True)
class FrameInputs:
    """What of a clip's frame can be had before the frame before it is finished: more than half of the work."""

    drawn: Float[Tensor, "1 c h w"]
    """As the networks draw it, in [-1, 1]."""
    large: Float[Tensor, "1 c h2 w2"]
    """The same, as large as it will be finished."""
    kept: Float[Tensor, "1 c h2 w2"]
    """Its layout."""
    share: Float[Tensor, "1 1 h2 w2"]
    """So much of what a round lost of that is put back at each place."""


@dataclass(frozen=True)
class SynthesisState:
    """A picture in [-1, 1], and the target's patches that it is made of at full size."""

    image: Float[Tensor, "1 c h w"]
    large: Float[Tensor, "1 c h w"] | None = None
    """What the networks drew, as large. None, as all that follows, where nothing was done."""
    found: Int[Tensor, n] | None = None
    lattice: Lattice | None = None
    """Where these are."""
    mean: Float[Tensor, "1 c h w"] | None = None
    """`image` as the rounds see it, not in focus: what a clip's next frame begins with."""


class Synthesizer:
    """Makes pictures of the patches of one target, which it has ready where it is asked again."""

    def __init__(
        self,
        target: Float[Tensor, "1 c h w"],
        factors: Sequence[float],
        layout: float,
        put_back: float = 1.0,
        detail: Float[Tensor, "1 c h2 w2"] | None = None,
    ) -> None:
        """
        Args:
            target: What pictures are to look like, its pixels of the same size.
            factors: Scales to work at, rising to 1.
            layout: What is left of a picture at this scale is kept.
            put_back: So much of what a round lost of it is put back.
            detail: The target in more pixels: pictures may be finished to as many times their size.
        """
        self._target, self._factors, self._layout, self._put_back = target, list(factors), layout, put_back
        self._detail = target if detail is None else detail
        self.most = max(self._detail.shape[-2:]) / max(target.shape[-2:])
        """So many times its size a picture can grow to."""
        self._kept: dict[float, _Texture] = {}
        self._advanced: Callable[..., tuple[Tensor, ...]] = self._advance

    @classmethod
    def of(cls, method: Method, domain: str, start: int = 0) -> Synthesizer:
        """That for pictures of `method`'s newest stage in the look of `domain`, of what it remembers.

        Args:
            start: The first stage that draws; of what was given to it all is kept.
        """
        kept = RANDOM if isinstance(method, SingleMethod) else REDRAWN
        factors = method.plan.factors[: method.stage + 1]
        own = [factor / factors[-1] for factor in factors]  # a model may have been cut short
        layout = min(1.0, max(kept.scale * own[0], own[start]))
        wanted = [factor for factor in own if factor >= layout]
        return cls(method.remembered(domain), wanted, layout, kept.put_back, method.detail(domain))

    def size(self, larger: float) -> tuple[int, int]:
        """(h, w) of a picture as large as the target, `larger` times; at `most`, that of its detail."""
        if larger == 1:
            return self._target.shape[-2], self._target.shape[-1]
        h, w = self._detail.shape[-2:]
        return round(h * larger / self.most), round(w * larger / self.most)

    def repeating(self, engine: Engine) -> Synthesizer:
        """This, with `next` as `engine` repeats it."""
        self._advanced = engine.accelerate(self._advance)
        return self

    @torch.no_grad()
    def synthesize(self, drawn: Float[Tensor, "1 c h w"], size: tuple[int, int] | None = None) -> SynthesisState:
        """`drawn`, the network's picture in [-1, 1], made of the target's patches, coarse to fine.

        At the coarsest scale all patches are compared with all of the target's, above it each with those that its
        neighbours found: on one CPU core about 0.3 s for 128x128, 5 s for 650x433.

        Args:
            size: (h, w) that is wanted: the picture grows to it, as far as there is detail of the target.
        """
        factors = self._factors + self._beyond(drawn, size)
        image, known, found, before = drawn, None, None, None
        for scale, factor in enumerate(factors):
            texture = self._texture(factor, keep=scale in (0, len(factors) - 1))
            lattice = Lattice(scale_size((drawn.shape[-2], drawn.shape[-1]), factor), PATCH, STEP)
            kept = self._layout_of(resize_image(drawn, lattice.size), drawn)
            if known is None:
                known = texture.knows(kept)
            share = F.interpolate(known, lattice.size, mode="bilinear")
            image = resize_image(image, lattice.size)
            nearest = texture.search
            if found is not None and before is not None:
                # What was just enlarged is blurred: it is first looked up among patches as blurred as it is.
                nearest = texture.blurred(before[1].image)
                found = lattice.enlarged(found, before[0], before[1].shape, texture.shape)
            for _ in range(ROUNDS if factor <= 1 else BEYOND):
                image = image + self._put_back * share * (kept - self._layout_of(image, drawn))
                image, found = texture.made(image, lattice, nearest, found if scale else None, STILL)
                nearest = texture.search
            before = lattice, texture
        assert found is not None
        large = resize_image(drawn, lattice.size)
        return SynthesisState(_focused(lattice, texture, found), large, found, lattice, image)

    @torch.no_grad()
    def frame_inputs(self, drawn: Float[Tensor, "1 c h w"], size: tuple[int, int] | None = None) -> FrameInputs:
        """What `next` takes of a clip's frame, of which the networks drew `drawn`; `size` as in `finish`."""
        h, w = drawn.shape[-2:]
        large = resize_image(drawn, scale_size((h, w), (self._factors + self._beyond(drawn, size))[-1]))
        known = self._texture(self._factors[0], keep=True).knows(
            resize_image(drawn, scale_size((h, w), self._factors[0]))
        )
        share = self._put_back * F.interpolate(known, large.shape[-2:], mode="bilinear")
        return FrameInputs(drawn, large, self._layout_of(large, drawn), share)

    @torch.no_grad()
    def next(
        self, sketch: FrameInputs, before: SynthesisState, flow: Float[Tensor, "1 2 h w"] | None = None
    ) -> SynthesisState:
        """The same for a clip's next frame, as large as the one before: it begins with what finishing added to that.

        So that texture does not flicker, and in a fraction of the time: at full size alone.

        Args:
            flow: (dx, dy) in pixels of `sketch.drawn` by which what stands there has moved since (`motion`); what was
                added moves along, or a moving object would leave its texture behind and come to pieces. None: it
                stands.
        """
        assert before.found is not None
        assert before.lattice is not None
        assert before.mean is not None
        assert before.large is not None
        lattice, texture = self._of_next(sketch.drawn, sketch.large)
        found = before.found
        if before.lattice != lattice:
            found = lattice.enlarged(found, before.lattice, texture.shape, texture.shape)
        moved = () if flow is None else (flow,)
        given = (sketch.drawn, sketch.large, sketch.kept, sketch.share, before.mean, before.large, found, *moved)
        image, found, mean = self._advanced(*given)
        return SynthesisState(image, sketch.large, found, lattice, mean)

    def _advance(
        self,
        drawn: Float[Tensor, "1 c h w"],
        large: Float[Tensor, "1 c h2 w2"],
        kept: Float[Tensor, "1 c h2 w2"],
        share: Float[Tensor, "1 1 h2 w2"],
        mean: Float[Tensor, "1 c h2 w2"],
        large_before: Float[Tensor, "1 c h2 w2"],
        found: Int[Tensor, n],
        flow: Float[Tensor, "1 2 h w"] | None = None,
    ) -> tuple[Float[Tensor, "1 c h2 w2"], Int[Tensor, n], Float[Tensor, "1 c h2 w2"]]:
        """Image, matches and mean of a clip's next frame, of its sketch and those of the frame before."""
        lattice, texture = self._of_next(drawn, large)
        added, size = mean - large_before, lattice.size
        if flow is not None:
            moved = F.interpolate(flow, size, mode="bilinear") * (size[1] / flow.shape[-1])
            added, found = carried(added, moved), lattice.carried(found, moved, texture.shape)
        image = (large + added).clamp(-1, 1)
        for search in NEXT:
            image = image + share * (kept - self._layout_of(image, drawn))
            image, found = texture.made(image, lattice, texture.search, found, search)
        return _focused(lattice, texture, found), found, image

    def _of_next(self, drawn: Tensor, large: Tensor) -> tuple[Lattice, _Texture]:
        """Where patches of a clip's next frame lie, and where they are taken from."""
        size = (large.shape[-2], large.shape[-1])
        texture = self._texture((self._factors + self._beyond(drawn, size))[-1], keep=True)
        return Lattice(size, PATCH, NEXT_STEP), texture

    def _beyond(self, drawn: Tensor, size: tuple[int, int] | None) -> list[float]:
        """Scales above 1, to that of `size`, or to the largest that there is detail for."""
        if size is None:
            return []
        last = min(self.most, max(size[0] / drawn.shape[-2], size[1] / drawn.shape[-1]))
        if last <= 1:
            return []
        steps = math.ceil(math.log(last) / math.log(GROWTH))
        return [last ** ((step + 1) / steps) for step in range(steps)]

    def _layout_of(self, image: Tensor, drawn: Tensor) -> Tensor:
        """The layout of `image`, at its own size: what can be kept of it at the layout's scale of `drawn`."""
        return _reduced(image, scale_size((drawn.shape[-2], drawn.shape[-1]), self._layout))

    def _texture(self, factor: float, keep: bool) -> _Texture:
        if factor in self._kept:
            return self._kept[factor]
        from_ = self._target if factor <= 1 else self._detail
        texture = _Texture(resize_image(from_, scale_size((self._target.shape[-2], self._target.shape[-1]), factor)))
        if keep:
            self._kept[factor] = texture
        return texture


class _Texture:
    """A target at one scale, and the search for its patches."""

    def __init__(self, image: Float[Tensor, "1 c h w"]) -> None:
        self.image = image
        self.shape = (image.shape[-2] - PATCH + 1, image.shape[-1] - PATCH + 1)
        self._contrast = ColorWhitening(image)
        self.search = NearestPatches(self._contrast(image), PATCH)

    def blurred(self, coarser: Float[Tensor, "1 c h2 w2"]) -> NearestPatches:
        """The search among patches at the same places, as blurred as those of the `coarser` target."""
        return NearestPatches(
            self._contrast(resize_image(coarser, (self.image.shape[-2], self.image.shape[-1]))), PATCH
        )

    def made(
        self, image: Tensor, lattice: Lattice, nearest: NearestPatches, found: Tensor | None, search: Search
    ) -> tuple[Float[Tensor, "1 c h w"], Int[Tensor, n]]:
        """`image` made of this texture's patches, and which: close to `found`, or, where that is None, of all."""
        queries = nearest.queries(self._contrast(lattice.over(image)), lattice.step)
        if found is None:
            found = nearest(queries, search.completeness)
        else:
            moves = lattice.moves(self.shape)
            found = nearest.follow(
                queries, found, moves, search.completeness, search.some, search.fresh, search.roughly
            )
        run = max(2, round(PIECE * max(*lattice.size, *self.image.shape[-2:]) / lattice.step))
        unread = search.repeats and not is_on_cpu(found)
        for _ in range(2 if unread else 4):  # what is taken instead may be a piece, too
            copied = copied_regions(found, lattice.shape, self.shape[1], run, lattice.step).flatten()
            if unread:  # always as many are looked at, one of them again where there are fewer
                again = _first_of(copied, min(AGAIN, len(copied)))
            elif copied.any():
                again = copied.nonzero()[:, 0]
            else:
                break
            theirs = found.index_select(0, again)
            # Nor is what lies a pixel beside them taken: patches are further apart, and it would be the same piece.
            places = rows_and_columns(theirs, self.shape[1])
            near = torch.cat([places, *(move(places) for move in lattice.around(self.shape))], 1)
            piece = flat_index(near, self.shape[1])
            shut = torch.zeros(self.shape[0] * self.shape[1], dtype=torch.bool, device=found.device)
            shut.index_fill_(0, piece, True)
            others = nearest(queries.index_select(0, again), search.completeness, shut, search.roughly)
            others = torch.where(copied.index_select(0, again), others, theirs)
            found = found.index_copy(0, again, others)
        return lattice.assembled(self.image, found), found

    def knows(self, image: Float[Tensor, "1 c h w"]) -> Float[Tensor, "1 1 h w"]:
        """How far, 1 to 0, the texture has anything like what stands at each place of `image`."""
        h, w = image.shape[-2:]
        lattice = Lattice((h, w), PATCH, NEXT_STEP)
        queries = self.search.queries(self._contrast(lattice.over(image)), lattice.step)
        apart = self.search.apart(queries, self.search(queries))
        usual = apart.median().clamp(min=1e-4)
        known = 1 / (1 + (apart / (STRANGE * usual)).square())
        return lattice.spread(known)


def _first_of(chosen: Bool[Tensor, n], count: int) -> Int[Tensor, {count}]:
    """Where the first `count` of the `chosen` are; the first of all again where there are fewer, 0 where none is."""
    nth, own = chosen.cumsum(0), torch.arange(len(chosen), device=chosen.device)
    slot = torch.where(chosen & (nth <= count), nth - 1, count)  # the last slot is for all others
    first = torch.zeros(count + 1, dtype=torch.long, device=chosen.device).scatter(0, slot, own)[:count]
    return torch.where(torch.arange(count, device=chosen.device) < nth[-1], first, first[:1])


def _focused(lattice: Lattice, texture: _Texture, found: Tensor) -> Tensor:
    """The picture in the end."""
    return lattice.assembled(texture.image, found, FOCUS).clamp(-1, 1)  # but for rounding it is within


def _reduced(image: Tensor, size: tuple[int, int]) -> Tensor:
    """What `size` pixels can hold of `image`, at its own size."""
    return resize_image(resize_image(image, size), (image.shape[-2], image.shape[-1]))
