"""How a training is run, whatever the method: device, seed, time limit, where its files go. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from lonepair.errors import UserError, wrong_types


@dataclass(frozen=True)
class Options:
    """How to run a training."""

    seed: int = 0
    """The same seed, device and thread count give the same file, unless max_minutes cuts stages short."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to train; auto takes a GPU where there is one."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of convolutions; auto takes bfloat16 where the hardware computes in it, else float32."""
    engine: Literal["auto", "plain"] = "auto"
    """plain does nothing for speed (float32, channels first, separate optimizer steps): a reference to compare with."""
    threads: int = 0
    """CPU threads; 0 leaves the choice to torch (one a core)."""
    max_minutes: float = 0.0
    """Finish training within so many minutes, each stage cut to its share of them; 0 is no limit."""
    checkpoint_minutes: float = 2.0
    """Save the state of the training so often; a kill loses at most this much."""
    preview_minutes: float = 1.0
    """Draw a preview into the run's folder so often, and after every stage."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run's folder (needs the extra `tensorboard`)."""

    def __post_init__(self) -> None:
        if found := wrong_types(self):
            raise UserError("; ".join(found))
        if not 0 <= self.seed < 2**32:
            found.append(f"seed is {self.seed}: choose 0 to {2**32 - 1}")
        for name in ("threads", "max_minutes", "checkpoint_minutes", "preview_minutes"):
            if not getattr(self, name) >= 0:
                found.append(f"{name} is {getattr(self, name)}: choose 0 or more")
        if found:
            raise UserError("; ".join(found))
