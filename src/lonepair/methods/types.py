"""Plain types that a method exchanges with the training loop: plan, players, schedule and inputs of a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lonepair.lazy import lazy

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from lonepair.nets import StageSizes
    from lonepair.ops import pyramid
    from lonepair.ops.noise import RandomStream
else:
    pyramid = lazy("lonepair.ops.pyramid")

Size = tuple[int, int]
Branch = tuple[int, ...] | None
"""The random choices of one update that the host makes; None where there are too many to enumerate."""


@dataclass(frozen=True)
class Plan:
    """What follows from the inputs: the channels, and the size of each domain at every stage."""

    channels: int
    """1 (gray), 3 (RGB) or 4 (RGBA), the same for all domains."""
    full_sizes: dict[str, Size]
    """(h, w) of each domain at the finest stage."""
    factors: list[float]
    """Scale factor of every stage, coarsest first; the last factor is 1."""
    square: bool = False
    """Whether images are stretched to squares of the longest side."""

    @property
    def stages(self) -> int:
        """Number of stages."""
        return len(self.factors)

    def sizes(self, full: Size) -> list[Size]:
        """(h, w) at every stage of an image that has (h, w) `full` at the finest stage."""
        return [pyramid.scale_size(full, factor) for factor in self.factors]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a model file stores them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """The plan from the values of `to_dict`."""
        # JSON turns tuples into lists, and other writers may turn integers into floats.
        sizes = {name: (int(h), int(w)) for name, (h, w) in values["full_sizes"].items()}
        return cls(int(values["channels"]), sizes, [float(f) for f in values["factors"]], bool(values.get("square")))


@dataclass
class StepInputs:
    """Inputs of one training step: a frame of each domain at every stage, and the step's random stream."""

    real: dict[str, list[Tensor]]
    """Domain -> (1, c, h, w) in [-1, 1] for stages 0 to the current one."""
    rng: RandomStream
    visible: dict[str, StageSizes] = field(default_factory=dict)
    """Domain -> sizes, and crops if its images are large; `Method.visible_sizes` fills it."""
    branch: Branch = ()
    """The result of `Method.branch` for this update."""
    fakes: Any = None
    """What a method passes from one update of the step to the next, such as generated images; None at first."""

    def split(self, index: int, generator: torch.Generator | None = None) -> StepInputs:
        """The same frames with a separate random stream, for one of several players that update in parallel.

        Args:
            index: Number of the player; it selects the stream.
            generator: Generator of the stream's numbers on the device; None for the default one.
        """
        return StepInputs(self.real, self.rng.split(index, generator))


@dataclass(frozen=True)
class Player:
    """Parameters that one optimizer updates, such as those of the generator or of the critic."""

    groups: list[dict[str, Any]]
    """Adam parameter groups, each with its own learning rate `lr`."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Adam's decay rates of the mean and of the mean squared gradient."""


@dataclass(frozen=True)
class Schedule:
    """How long a stage is trained, and in which order the players update within one step."""

    steps: int
    """Number of training steps of the stage."""
    update_order: Sequence[str]
    """Names of players in the order of their updates; a player may occur several times."""
    work: float
    """Cost of one step, in pixels on which a network of 64 channels is trained. It serves to estimate the time left."""
    lr_drop_at: float = 1.0
    """Fraction of the stage's steps after which learning rates are multiplied by `lr_drop_factor`."""
    lr_drop_factor: float = 1.0
    independent_players: bool = False
    """Whether no player's update depends on another's, so that updates may run in parallel."""

    def rate(self, share: float) -> float:
        """Factor on every learning rate after `share`, 0 to 1, of the stage's steps."""
        return self.lr_drop_factor if share >= self.lr_drop_at else 1.0
