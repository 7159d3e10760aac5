"""The interface of a method.

A method has a config, networks, the losses of a training step, and a translation of an image. The training loop, the
run folder, the model file and the command line use methods only through this interface.
This module imports torch lazily, so that the command line can show every flag at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

from lonepair.lazy import lazy
from lonepair.methods.config import Config
from lonepair.methods.types import Branch, Plan, Player, Schedule, Size, StepInputs
from lonepair.patches.config import SynthesisConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

    from lonepair import nets
    from lonepair.nets import Exemplar, StageSizes
    from lonepair.ops import regions
    from lonepair.ops.noise import RandomStream
else:
    nn = lazy("torch.nn")
    nets = lazy("lonepair.nets")
    regions = lazy("lonepair.ops.regions")


class Method(ABC):
    """Base of all methods. A subclass implements what differs between papers.

    The whole state of a method is in the parameters and buffers of `nets`. The names and shapes in `nets` depend only
    on the config, the plan and the number of `add_stage` calls, so that model files and interrupted runs can be loaded.
    Before a model file is loaded, `__init__` and `add_stage` also run on torch's meta device, to compare names and
    shapes with the file: they read no value of a tensor.
    A subclass may set the class attributes that have a default here, and override the functions whose docstring says
    so; it overrides no other implemented function.
    """

    name: ClassVar[str]
    """The name of its entry point, by which users choose it."""
    domains: ClassVar[tuple[str, ...]]
    """Names of the sets of images it learns from: ("a",) or ("a", "b")."""
    optional_inputs: ClassVar[tuple[str, ...]] = ()
    """Further inputs that a training with a warm start may have."""
    config_class: ClassVar[type[Config]]
    """The class of its settings."""
    citation: ClassVar[str]
    """BibTeX of the publication."""
    publications: ClassVar[tuple[str, ...]] = ()
    """What `lonepair cite` prints for it: keys of references.bib, or BibTeX of others. Empty: `citation` alone."""
    patch_size: int = 11
    """Side in pixels of the patches that its losses compare, by which crops overlap. The default is the receptive field
    of the published critics; a method with another patch size sets it in `__init__`."""
    default_dtype: ClassVar[Literal["auto", "float32"]] = "auto"
    """Precision of convolutions unless the user chooses one. Published methods have "float32", as their authors; auto
    uses bfloat16 where the hardware supports it."""
    trains: ClassVar[bool] = True
    """Whether it has players. A method that is False here only stores its images: its stages have no steps."""
    exemplar_max_side: int = 0
    """Longest side in pixels of the frames for `remember_targets`; 0: the method stores none. A method with exemplars
    sets it in `__init__`."""
    synthesis: SynthesisConfig | None = None
    """Settings of patch synthesis: the class sets its defaults, and a loaded model has those of its file. None for
    methods without exemplars."""

    config: Config

    def __init__(self, config: Any, plan: Plan) -> None:
        self.config = config
        self.plan = plan
        self.nets: nn.ModuleDict = nn.ModuleDict()
        self.stage = -1
        """The newest stage; -1 before the first."""
        self.window_size: dict[str, Size] = dict(plan.full_sizes)
        """Domain -> (h, w), at the finest stage, of the window of an image that a step processes: the full image. A
        method that trains on smaller windows sets it in `__init__`."""

    @classmethod
    @final
    def resolve_dtype(cls, dtype: str) -> Any:
        """`dtype`, or `default_dtype` if it is "auto"."""
        return cls.default_dtype if dtype == "auto" else dtype

    # -- training -------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def plan_for(cls, config: Any, channels: int, originals: Mapping[str, Size], sizes: Mapping[str, Size]) -> Plan:
        """The plan of a training.

        Args:
            config: The method's config.
            channels: Channels of all images: 1, 3 or 4.
            originals: Input -> (h, w) of its images.
            sizes: Input -> (h, w) to which they are reduced for training.
        """

    @abstractmethod
    def add_stage(self) -> None:
        """Add the layers of the next stage to `nets`. Values that depend on the images are set by `calibrate_noise`."""

    @abstractmethod
    def calibrate_noise(self, levels: Mapping[str, list[Tensor]]) -> None:
        """Set the values of the newest stage that depend on the images, such as its noise amplitude.

        Args:
            levels: Domain -> frames (n, c, h, w) in [-1, 1] at every stage up to the newest.
        """

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """The players of the newest stage by name. All other parameters are frozen."""

    @abstractmethod
    def schedule(self, stage: int) -> Schedule:
        """Number of steps, order of updates and learning-rate drop of `stage`."""

    def frame_probabilities(self, levels: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
        """Domain -> (n,) probability, on the CPU, with which a step draws each frame of a clip.

        A domain that is left out draws its frames evenly. The default leaves all out, as the published methods do;
        override it in a method that prefers some frames.

        Args:
            levels: Domain -> frames (n, c, h, w) in [-1, 1] at every stage.
        """
        return {}

    def branch(self, player: str, rng: RandomStream) -> Branch:
        """Draw, with `rng.host_*`, every random choice by which the host decides what this update computes.

        The loop calls it before `losses`, which reads the result from `inputs.branch` and draws no such choice itself.
        On a GPU each value has its own CUDA graph; None turns graphs off for the stage. The default suits a method
        without such choices; override it in a method that has some.
        """
        return ()

    @abstractmethod
    def losses(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        """Name -> weighted loss term (scalar); `player` minimizes their sum at this update."""

    # -- use ------------------------------------------------------------------------------------------------------

    inference_nets: ClassVar[tuple[str, ...]]
    """Names in `nets` that a model file holds; the others, such as critics, serve training only."""
    uses: ClassVar[frozenset[str]]
    """Uses of a trained model: names of functions of `lonepair.api.model.Model`."""
    accepts_several: ClassVar[bool]
    """Whether the first domain may have several images or a clip."""

    def model_state(self) -> dict[str, Tensor]:
        """Parameters and buffers that a model file holds, by name."""
        return {
            f"{name}.{key}": value
            for name in self.inference_nets
            for key, value in self.nets[name].state_dict().items()
        }

    def load_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Load the result of `model_state` of a method with the same number of stages."""
        for name in self.inference_nets:
            net_tensors = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
            self.nets[name].load_state_dict(net_tensors)

    @property
    def sizes(self) -> dict[str, list[Size]]:
        """Domain -> (h, w) of every stage up to the newest."""
        return {name: self.plan.sizes(full)[: self.stage + 1] for name, full in self.plan.full_sizes.items()}

    def visible_sizes(self, domain: str, inputs: StepInputs) -> StageSizes:
        """(h, w) of every stage up to the newest, and the crops that a step computes where the images are large.

        All updates of a step use the same crops.
        """
        # Stage 0 is small and has the noise of the full image.
        if self.stage == 0:
            return self.sizes[domain]
        if domain not in inputs.visible:
            inputs.visible[domain] = nets.choose_crops(
                self.sizes[domain], self.config.crop_side, self.patch_size, inputs.rng
            )
        return inputs.visible[domain]

    def pixels_per_step(self, stage: int) -> int:
        """Number of pixels of all domains that a step processes when `stage` is the newest."""
        total = 0
        for domain in self.plan.full_sizes:
            h, w = self.plan.sizes(self.window_size[domain])[stage]
            # As `visible_sizes` decides: crops have the pixels of one square, and stage 0 has none.
            side = self.config.crop_side if stage else 0
            total += side**2 if regions.needs_crops(h * w, side) else h * w
        return total

    def exemplar(self, domain: str) -> Exemplar | None:
        """The images of `domain` that the model stores for patch synthesis.

        The default, None, suits a method without exemplars; override it in a method that has them.
        """
        return None

    def remember_targets(self, images: Mapping[str, Tensor]) -> None:  # noqa: B027 - does nothing without exemplars
        """Store frames that are larger than the training size in the exemplars.

        The default does nothing, for methods without exemplars; override it in a method that has them.

        Args:
            images: Domain -> frame (1, c, h, w) in [-1, 1], of at most `exemplar_max_side` pixels a side.
        """

    @abstractmethod
    def translate(
        self, image: Tensor, sizes: Sequence[Size], domain: str, start_stage: int | None, rng: RandomStream
    ) -> Tensor:
        """The translation (b, c, h, w) of an image into `domain`, at the last of `sizes`.

        Args:
            image: Images (b, c, h, w) in [-1, 1], of any size.
            sizes: (h, w) of every stage.
            domain: Domain whose generator translates.
            start_stage: Stage at which the image, resized, enters in place of the output of the stages below. None: the
                stage for which the method is trained.
            rng: Draws the noise.
        """

    @abstractmethod
    def sample(self, sizes: Mapping[str, Sequence[Size]], rng: RandomStream) -> dict[str, Tensor]:
        """Domain -> a random image (1, c, h, w) in [-1, 1]; that of "b" is a translation of that of "a"."""

    @abstractmethod
    def preview(self, real: Mapping[str, list[Tensor]], rng: RandomStream) -> list[tuple[str, Tensor]]:
        """(label, image) pairs that show the progress of the training.

        Args:
            real: Domain -> a frame (1, c, h, w) in [-1, 1] at every stage.
            rng: Draws the noise.
        """

    @abstractmethod
    def parameter_counts(self) -> dict[str, int]:
        """Part of the generators -> number of its parameters when all planned stages exist."""
