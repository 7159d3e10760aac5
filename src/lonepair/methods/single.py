"""The base class of methods that learn from one image."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, final

from lonepair.methods.base import Method
from lonepair.methods.types import Size

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair.ops.noise import RandomStream


class SingleMethod(Method):
    """A method of one image; its output is a function of one noise map per stage."""

    domains = ("a",)
    coarsest_start_uses: frozenset[str] = frozenset()
    """Uses for which the generator is trained to receive an image at stage 0. A method with a training for such a use
    sets it."""
    walk_start: float = 0.05
    """Share of random noise in the first maps of an animation's walk, 0 to 1, as SinGAN has it. A method with another
    share sets it."""

    @abstractmethod
    def noise_maps(self, sizes: Sequence[Size], rng: RandomStream) -> list[Tensor]:
        """The noise of one random image: a map (1, c, h, w) of N(0, 1) for each of `sizes`, coarsest first.

        Maps of several images, concatenated along dimension 0, give a batch.
        """

    def sample_maps(self, sizes: Sequence[Size], rng: RandomStream, layout_warp: float | None = None) -> list[Tensor]:
        """The maps from which `render` generates a random image; `noise_maps` unless a method has others.

        Args:
            sizes: (h, w) at every stage.
            rng: Random numbers of the image.
            layout_warp: The setting of patch synthesis of this name, for methods that have it; None: the method's own.
        """
        return self.noise_maps(sizes, rng)

    @abstractmethod
    def reconstruction_maps(self, sizes: Sequence[Size]) -> list[Tensor]:
        """The maps from which `render` reconstructs the training image (SinGAN, sec. 2.2: z*), resized to `sizes`."""

    @final
    def default_start_stage(self, use: str) -> int:
        """Stage at which an image enters for `use`, such as "edit" or "refine", unless users choose one."""
        if use in self.coarsest_start_uses:
            return 0
        # A later stage changes less: harmonizing keeps more of the image than editing does.
        stages = self.stage + 1
        return {"edit": stages // 2, "harmonize": 2 * stages // 3, "refine": stages // 2}.get(use, min(1, self.stage))

    @abstractmethod
    def render(self, noises: Sequence[Tensor], sizes: Sequence[Size]) -> Tensor:
        """Images (b, c, h, w) at the last of `sizes`, generated from the maps `noises`, one per stage."""

    @final
    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        return {"a": self.render(self.sample_maps(sizes["a"], rng), sizes["a"])}

    @final
    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        # The reconstruction shows how far the stage has learned; random images show whether it generates.
        sizes = self.sizes["a"]
        reconstruction = self.render(self.reconstruction_maps(sizes), sizes)
        translations = []
        for name in self.optional_inputs:
            if name in real:
                translation = self.translate(real[name][-1], sizes, "a", 0, rng)
                translations += [(name, real[name][-1]), (f"{name} translated", translation)]
        random = [(f"random {i + 1}", self.sample(self.sizes, rng)["a"]) for i in range(3)]
        return [("a", real["a"][-1]), ("reconstruction", reconstruction), *translations, *random]
