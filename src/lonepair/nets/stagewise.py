"""Stagewise generators: a network of its own at every stage, which hands its image to the next (SinGAN)."""

import functools
import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from lonepair.nets.bands import rows_of
from lonepair.nets.blocks import Norm, conv_block, init_normal
from lonepair.nets.crops import Crops, enlarged_from, together
from lonepair.ops.noise import LARGE, RandomStream
from lonepair.ops.regions import Regions, Size


class StageGenerator(nn.Module):
    """`layers` Conv 3x3, all but the last with normalisation and LeakyReLU, tanh at the end.

    With `padding` 0 each side loses `layers` pixels, and the caller pads the input; with 1 the size is kept.
    """

    def __init__(self, channels: int, width: int, layers: int, slope: float, padding: int, norm: Norm) -> None:
        super().__init__()
        widths = [channels] + [width] * (layers - 1)
        self.body = nn.Sequential(
            *(conv_block(i, o, norm=norm, slope=slope, padding=padding) for i, o in itertools.pairwise(widths))
        )
        self.tail = nn.Sequential(nn.Conv2d(width, channels, 3, padding=padding), nn.Tanh())
        init_normal(self, zero_bias=False)

    def forward(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
        """What the stage draws."""
        if not torch.is_grad_enabled() and image.shape[-2] * image.shape[-1] > LARGE:
            each = (rows_of(one[None]).through(self.body).through(self.tail) for one in image)
            return torch.cat([rows.whole() for rows in each])
        drawn: Tensor = self.tail(self.body(image))
        return drawn

    @property
    def reach(self) -> int:
        """So many pixels around one that is drawn are seen."""
        return len(self.body) + 1


class StagewiseGenerator(nn.Module):
    """A stack of `StageGenerator`s: each takes the enlarged image of the stage below plus noise, and draws the next.

    Its drawing is added to the enlarged image (SinGAN, eq. 4), or, in stages that are not `residual`, replaces it.
    With `pad` pixels the noise and the image are each surrounded by zeros before they meet (SinGAN); with 0 the
    convolutions pad (Structural Analogy).
    """

    amplitudes: Tensor

    def __init__(self, max_stages: int, pad: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.residual: list[bool] = []
        self._pad = pad
        self.register_buffer("amplitudes", torch.zeros(max_stages))

    def add_stage(self, stage: StageGenerator, residual: bool) -> None:
        """Add `stage`, with the weights of the one below where it is as wide; those below are fixed from here on."""
        if len(self.stages):
            below = self.stages[-1].requires_grad_(False).eval().state_dict()
            if all(below[name].shape == tensor.shape for name, tensor in stage.state_dict().items()):
                stage.load_state_dict(below)
        self.stages.append(stage)
        self.residual.append(residual)

    def stage(
        self, index: int, previous: Float[Tensor, "b c h w"], noise: Float[Tensor, "b c h2 w2"] | None
    ) -> Float[Tensor, "b c h w"]:
        """What stage `index` makes of `previous`, the image of the stage below at this stage's size.

        `noise`, scaled here by the stage's amplitude, has `previous`' size, or is larger by `pad` on every side, to be
        random beyond the border, too; None is none.
        """
        pad = self._pad
        seen = F.pad(previous, [pad] * 4)
        if noise is not None:
            margin = (seen.shape[-1] - noise.shape[-1]) // 2
            seen = seen + self.amplitudes[index] * F.pad(noise, [margin] * 4)
        drawn: Tensor = self.stages[index](seen)
        return drawn + previous if self.residual[index] else drawn

    def stage_on_crops(
        self,
        index: int,
        wanted: Regions,
        previous: Float[Tensor, "n c h w"],
        theirs: Regions,
        noise: Float[Tensor, "n c h2 w2"] | None,
        beyond: bool = False,
    ) -> Float[Tensor, "n c h3 w3"]:
        """What `stage` gives at the places `wanted`.

        Args:
            previous: The image of the stage below at this stage's size, of which there are crops at `theirs`.
            theirs: `wanted`, grown by the stage's reach or more.
            noise: Of `noise_on_crops`' shape.
            beyond: The noise goes on beyond the border.
        """
        stage: StageGenerator = self.stages[index]  # type: ignore[assignment]
        reach, kept = stage.reach, wanted.cut_from(previous, theirs)
        if self._pad:
            seen = wanted.around(previous, theirs, reach)
            if noise is not None:
                inside = wanted.around(torch.ones_like(previous[:, :1]), theirs, reach)
                seen = seen + self.amplitudes[index] * (noise if beyond else noise * inside)
            drawn = together(stage.tail, together(stage.body, seen))
        else:
            grown = wanted.grown(reach)
            seen = grown.cut_from(previous, theirs)
            seen = seen if noise is None else seen + self.amplitudes[index] * noise
            drawn = wanted.cut_from(together(stage.tail, together(stage.body, seen)), grown)
        return drawn + kept if self.residual[index] else drawn

    def noises_on_crops(self, places: Sequence[Regions], channels: int, rng: RandomStream) -> list[Tensor]:
        """Random maps for the stages of which `places` has crops, for each crop its own."""
        maps = []
        for index, here in enumerate(places):
            if not here.is_whole:
                shape = (channels, *self.noise_on_crops(index, here))
                maps.append(torch.cat([rng.feature_noise(*shape) for _ in range(len(here))]))
        return maps

    def noise_on_crops(self, index: int, wanted: Regions) -> Size:
        """(h, w) of the noise that a stage sees around each crop."""
        reach = self._reach(index)
        if not self._pad:
            return wanted.grown(reach).size
        return wanted.size[0] + 2 * reach, wanted.size[1] + 2 * reach

    def _reach(self, index: int) -> int:
        stage: StageGenerator = self.stages[index]  # type: ignore[assignment]
        return stage.reach

    def places(self, sizes: Crops, wanted: Regions) -> list[Regions]:
        """What of each stage's image the crops `wanted` of the newest hang on: pieces of some, of coarse ones all."""
        found = [wanted]
        for index in range(len(sizes) - 1, 0, -1):
            below = sizes[index - 1]
            if not wanted.is_whole:
                wanted = wanted.grown(self._reach(index)).below(below, _hangs_on)
            if index == 1 or len(wanted) * wanted.size[0] * wanted.size[1] >= below[0] * below[1]:
                wanted = Regions.whole(below, wanted.corners.device)
            found.append(wanted)
        return found[::-1]

    def below_on_crops(
        self,
        image: Float[Tensor, "1 c h w"],
        places: Sequence[Regions],
        noises: Sequence[Tensor | None],
        beyond: bool = False,
    ) -> tuple[Float[Tensor, "n c h2 w2"], Regions]:
        """What the newest stage is handed, and where it lies: the image below at its size, around `places[-1]`.

        Args:
            image: All of the image of the last stage that is drawn whole.
            places: As of `places`.
            noises: For each of the stages above that one, the newest excepted.
            beyond: As of `stage_on_crops`.
        """
        first = len(places) - 1 - len(noises)
        for index in range(first, len(places)):
            around = places[index].grown(self._reach(index))
            image = around.enlarged_image(image, places[index - 1])
            if index < len(places) - 1:
                image = self.stage_on_crops(index, places[index], image, around, noises[index - first], beyond)
        return image, around


_hangs_on = functools.partial(enlarged_from, corners=False)


def widths_by_stage(stages: int, base: int = 32, largest: int = 128) -> Sequence[int]:
    """Channels of every stage: `base`, doubled every four stages, `largest` at most (SinGAN, supplementary)."""
    return [min(base * 2 ** (stage // 4), largest) for stage in range(stages)]
