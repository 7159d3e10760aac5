"""The base of methods that learn from one image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

from lonepair.methods.base import Method, Size

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair.ops.noise import RandomStream


class SingleMethod(Method):
    """A method of one image, whose output depends on one map of noise for each stage."""

    domains = ("a",)

    @abstractmethod
    def noise_maps(self, sizes: Sequence[Size], rng: RandomStream) -> list[Tensor]:
        """A random map (1, c, h, w) of N(0, 1) for each of `sizes`, coarse first; stacked maps give a batch."""

    @abstractmethod
    def reconstruction_maps(self, sizes: Sequence[Size]) -> list[Tensor]:
        """The maps from which the training image is reconstructed (SinGAN's z*), fitted to `sizes`."""

    def start_for(self, use: str) -> int:
        """Default start stage of "edit", "harmonize", "paint" or "refine"."""
        stages = self.stage + 1
        return {"edit": stages // 2, "harmonize": 2 * stages // 3, "refine": stages // 2}.get(use, min(1, self.stage))

    @abstractmethod
    def render(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        """Images (b, c, h, w) at the last of `sizes`, generated from `noises`."""

    @final
    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        return {"a": self.render(self.noise_maps(sizes["a"], rng), sizes["a"])}

    @final
    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        sizes = self.sizes["a"]
        rebuilt = self.render(self.reconstruction_maps(sizes), sizes)
        others = []
        for name in self.optional_inputs:
            if name in real:
                translation = self.translate(real[name][-1], sizes, "a", 0, rng)
                others += [(name, real[name][-1]), (f"{name} redrawn", translation)]
        random = [(f"random {i + 1}", self.sample(self.sizes, rng)["a"]) for i in range(3)]
        return [("a", real["a"][-1]), ("reconstructed", rebuilt), *others, *random]
