"""The base of methods that learn from a source and a target."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypeVar, final

from lonepair.lazy import lazy
from lonepair.methods.base import Method

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair.compute import streams
    from lonepair.ops.noise import RandomStream
else:
    streams = lazy("lonepair.compute.streams")

T = TypeVar("T")

OTHER = {"a": "b", "b": "a"}
"""Domain -> the other one of the pair."""


class PairMethod(Method):
    """A method of a pair: `a` is the source's domain, `b` the target's. It translates in both directions."""

    domains = ("a", "b")

    @final
    def for_each_domain(self, function: Callable[[str], T]) -> dict[str, T]:
        """Domain -> result of `function`; the calls run in parallel on a GPU."""
        results = streams.run_independent([functools.partial(function, domain) for domain in self.domains])
        return dict(zip(self.domains, results, strict=True))

    @final
    def translation_preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        """Labeled images: the real frame of each domain, and its translation.

        Args:
            real: Domain -> a frame (1, c, h, w) in [-1, 1] at every stage.
            rng: Draws the noise of the translations.
        """
        images = []
        for source, target in OTHER.items():
            translation = self.translate(real[source][-1], self.sizes[source], target, None, rng)
            images += [(source, real[source][-1]), (f"{source} as {target}", translation)]
        return images
