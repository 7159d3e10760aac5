"""What a method is: a config (what the user chooses), and what one training step and one redrawing are.

The training loop, the run's folder, the model file and the command line know methods only through this file.
It imports no torch, so that the command line can show every flag at once.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from lonepair.errors import UserError
from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from lonepair import nets
    from lonepair.nets import Exemplar, StageSizes
    from lonepair.ops import pyramid, regions
    from lonepair.ops.noise import RandomStream
else:
    torch = lazy("torch")
    nn = lazy("torch.nn")
    nets = lazy("lonepair.nets")
    pyramid = lazy("lonepair.ops.pyramid")
    regions = lazy("lonepair.ops.regions")

Size = tuple[int, int]
Branch = tuple[int, ...] | None
"""The random choices of one update; None where there are too many to enumerate."""


@dataclass(frozen=True)
class Plan:
    """What the data decides: channels, and the sizes at which each domain is seen."""

    channels: int
    """1 (grey), 3 (RGB) or 4 (RGBA), the same for all domains."""
    full_sizes: dict[str, Size]
    """(h, w) of each domain at the finest stage."""
    factors: list[float]
    """Scale factor of every stage, coarse first, the last one 1."""
    square: bool = False
    """Whether images are stretched to squares of the longest side."""

    @property
    def stages(self) -> int:
        return len(self.factors)

    def sizes(self, full: Size) -> list[Size]:
        """(h, w) at every stage of an image whose finest stage is `full`."""
        return [pyramid.scale_size(full, factor) for factor in self.factors]

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        sizes = {name: (int(h), int(w)) for name, (h, w) in values["full_sizes"].items()}
        return cls(int(values["channels"]), sizes, [float(f) for f in values["factors"]], bool(values.get("square")))


@dataclass
class StepInputs:
    """What one training step sees: each domain's frame of this step at every stage, and the step's random draws."""

    real: dict[str, list[Tensor]]
    """Domain -> (1, c, h, w) in [-1, 1] for stages 0 to the current one."""
    rng: RandomStream
    visible: dict[str, StageSizes] = field(default_factory=dict)
    """Domain -> what of its pictures this step looks at, where it is not all."""
    branch: Branch = ()
    """What `Method.branch` drew for this update."""
    fakes: Any = None
    """What a method wants to hand from one update of the step to the next."""

    def split(self, index: int, generator: torch.Generator | None = None) -> StepInputs:
        """The same frames, and random draws of its own: for one of several players that move at once."""
        return StepInputs(self.real, self.rng.split(index, generator))


@dataclass(frozen=True)
class Player:
    """One side of the game: parameters that one optimizer moves."""

    groups: list[dict[str, Any]]
    """Adam parameter groups, each with its own learning rate `lr`."""
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Schedule:
    """How long a stage is trained, and who moves in what order within one step."""

    steps: int
    update_order: Sequence[str]
    """Names of players, in the order in which they are updated in one step."""
    work: float
    """Cost of one step, in pixels that a 64-channel network is trained on: shares out time, and estimates its end."""
    lr_drop_at: float = 1.0
    """Fraction of the stage's steps after which learning rates are multiplied by `lr_drop_factor`."""
    lr_drop_factor: float = 1.0
    independent_players: bool = False
    """Whether no player's update needs another's, so that they may move at the same time."""

    def rate(self, share: float) -> float:
        """Factor on every learning rate when `share`, from 0 to 1, of the stage is done."""
        return self.lr_drop_factor if share >= self.lr_drop_at else 1.0


class Method(ABC):
    """A system that learns from one representative. Subclasses fill in what differs between papers and nothing else.

    All of a method's state is parameters and buffers of `nets`; `nets` after `grow(n)` has the same names and shapes
    whoever built it, which is what lets a model file and a resumed run be loaded.
    """

    name: ClassVar[str]
    domains: ClassVar[tuple[str, ...]]
    optional_inputs: ClassVar[tuple[str, ...]] = ()
    """Inputs that a further training, from a warm start, may have beside its domains."""
    config_class: ClassVar[type[Config]]
    citation: ClassVar[str]
    """BibTeX of what was used."""

    config: Config

    def __init__(self, config: Any, plan: Plan) -> None:
        self.config = config
        self.plan = plan
        self.nets: nn.ModuleDict = nn.ModuleDict()
        self.stage = -1
        """The stage that is being trained, or was last; -1 before the first."""

    # -- training -------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def plan_for(cls, config: Any, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]) -> Plan:
        """The sizes and stages that `config` gives for inputs of (h, w) `originals`, reduced to `sizes`."""

    @abstractmethod
    def add_stage(self) -> None:
        """Add the next stage's layers; says nothing about values that need data (see `measure`)."""

    @abstractmethod
    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        """Set what the new stage takes from the data, such as noise amplitudes.

        `patch_scales`: domain -> (n, c, h, w) frames at every stage up to the current one.
        """

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """Who is trained at the current stage; everything else is frozen."""

    @abstractmethod
    def schedule(self, stage: int) -> Schedule:
        """How `stage` is trained."""

    def branch(self, player: str, rng: RandomStream) -> Branch:
        """Draw, with `rng.host_*`, every random choice by which the host decides what this update computes.

        Called before each `losses`, which reads the result from `inputs.branch` and draws no such choice itself. On a
        GPU each value is captured as a CUDA graph of its own; None turns that off for the stage.
        """
        return ()

    @abstractmethod
    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        """Named, weighted scalars whose sum `player` minimises at this update."""

    # -- use ------------------------------------------------------------------------------------------------------

    inference_nets: ClassVar[tuple[str, ...]]
    """Names in `nets` that are needed after training; the others stay in the run's state."""
    uses: ClassVar[frozenset[str]]
    """What a trained model of it can be asked for: names of `lonepair.api.model.Model`'s functions."""
    accepts_several: ClassVar[bool]
    """Whether the first domain may have several images, or the frames of a clip."""

    def model_state(self) -> dict[str, Tensor]:
        """Parameters and buffers that a model file holds, by name."""
        return {
            f"{name}.{key}": value
            for name in self.inference_nets
            for key, value in self.nets[name].state_dict().items()
        }

    def load_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take what `model_state` gave; the method must have grown to the same stage."""
        for name in self.inference_nets:
            own = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
            self.nets[name].load_state_dict(own)

    @property
    def sizes(self) -> dict[str, list[Size]]:
        """Domain -> (h, w) of every stage up to the current one."""
        return {name: self.plan.sizes(full)[: self.stage + 1] for name, full in self.plan.full_sizes.items()}

    @property
    def patch_size(self) -> int:
        """Side of the patches that a loss sees, in pixels: the published critics'."""
        return 11

    def visible_sizes(self, domain: str, inputs: StepInputs) -> StageSizes:
        """What of `domain`'s pictures a step looks at: all, or crops where they are large."""
        if self.stage == 0:
            return self.sizes[domain]
        if domain not in inputs.visible:
            inputs.visible[domain] = nets.choose_crops(
                self.sizes[domain], self.config.crop_side, self.patch_size, inputs.rng
            )
        return inputs.visible[domain]

    def pixels_per_step(self, stage: int) -> int:
        """Number of pixels that a step processes when `stage` is the newest, over all domains."""
        total = 0
        for domain in self.plan.full_sizes:
            h, w = self.plan.sizes(self.visible_size(domain))[stage]
            side = self.config.crop_side if stage else 0
            total += side**2 if regions.needs_crops(h * w, side) else h * w
        return total

    def visible_size(self, domain: str) -> Size:
        """(h, w) at the finest stage of what of `domain`'s picture a step looks at, or sees crops of: all of it."""
        return self.plan.full_sizes[domain]

    synthesis: SynthesisConfig | None = None
    """Settings of patch synthesis: the class states its method's own, a loaded model has those of its file. None for
    methods without exemplars."""

    def exemplar(self, domain: str) -> Exemplar | None:
        """The images of `domain` that the model keeps, from which predictions are synthesized; None: it keeps none."""
        return None

    @property
    def exemplar_max_side(self) -> int:
        """Longest side, in pixels, of the frames that `remember_targets` takes; 0: it takes none."""
        return 0

    def remember_targets(self, images: Mapping[str, Tensor]) -> None:  # noqa: B027 - does nothing without exemplars
        """Keep the detail of domains: `images` has a frame (1, c, h, w) in [-1, 1], larger than the training size."""

    @abstractmethod
    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        """`image` (b, c, h, w) drawn anew by `domain`'s generator, at the last of `sizes`.

        It enters at stage `start_stage`, None for the one that the method is trained for: what the stages below would
        have drawn is taken from the image.
        """

    @abstractmethod
    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        """One random image for each domain, (1, c, h, w); those of a pair are aligned with the first domain's."""

    @abstractmethod
    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        """Labelled pictures that show how far the training is; `real` is one frame of each domain at every stage."""

    @abstractmethod
    def parameter_counts(self) -> dict[str, int]:
        """Parameters of the generators, by part, for the whole of the planned stages."""


ATTRIBUTES = {
    "name": (str, "the name of its entry point, such as 'mine'"),
    "domains": (tuple, "('a',) for one image or ('a', 'b') for a pair: derive from SingleMethod or PairMethod"),
    "config_class": (type, "its subclass of Config"),
    "citation": (str, "BibTeX of the publication"),
    "inference_nets": (tuple, "the names in `nets` that use needs, such as ('g',)"),
    "uses": (frozenset, "names of uses, such as frozenset({'sample'})"),
    "accepts_several": (bool, "True if it trains on several images or a clip, else False"),
}
"""Class attribute of a method -> its type, and what to set."""


def check_class(method: type[Method]) -> None:
    """Check that a method's class sets every attribute, has every function and has settings of unique names.

    Raises:
        UserError: one line that names the class, what is missing and what to set.
    """
    where = f"method class {method.__module__}.{method.__qualname__}"
    for attribute, (kind, what) in ATTRIBUTES.items():
        if not hasattr(method, attribute):
            raise UserError(f"{where} has no attribute {attribute!r}; set {attribute} to {what}")
        if not isinstance(getattr(method, attribute), kind):
            value = getattr(method, attribute)
            raise UserError(f"{where} has {attribute} = {value!r}; set {attribute} to {what}")
    if missing := sorted(method.__abstractmethods__):
        raise UserError(f"{where} has no {', '.join(missing)}; define each as lonepair.methods.base.Method describes")
    method.config_class.setting_groups()
