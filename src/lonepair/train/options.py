"""Run options of a training, for all methods: seed, device, time limit, saving. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from lonepair.errors import UserError, wrong_types


@dataclass(frozen=True)
class Options:
    """Run options of a training."""

    seed: int = 0
    """Random seed, 0 to 4294967295. The same seed, device and thread count give the same file, unless a time limit cuts
    stages short."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to train on; auto uses a GPU where one is available."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of convolutions; auto uses float32 for published methods, as their authors did, and for others bfloat16
    where the hardware supports it."""
    engine: Literal["auto", "plain"] = "auto"
    """plain is a reference without acceleration: float32, channels first, separate optimizer steps."""
    threads: int = 0
    """Number of CPU threads; 0 uses torch's default, one for each core."""
    max_minutes: float = 0.0
    """Time limit of the training, in minutes. Each stage is shortened to its share; 0 sets no limit."""
    checkpoint_minutes: float = 2.0
    """Minutes between checkpoints. A crash loses at most this much training."""
    preview_minutes: float = 1.0
    """Minutes between previews in the run's folder; one is also written after each stage. 0 writes only
    those."""
    tensorboard: bool = False
    """Also write TensorBoard events into the run's folder (needs `pip install tensorboard`)."""

    def __post_init__(self) -> None:
        if problems := wrong_types(self):
            raise UserError("; ".join(problems))
        if not 0 <= self.seed < 2**32:
            problems.append(f"seed is {self.seed}: choose 0 to {2**32 - 1}")
        for name in ("threads", "max_minutes", "checkpoint_minutes", "preview_minutes"):
            if not getattr(self, name) >= 0:
                problems.append(f"{name} is {getattr(self, name)}: choose 0 or more")
        if problems:
            raise UserError("; ".join(problems))
