"""A trained model in the user's hands: translate, sample, save."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from lonepair.apply.sample import sample
from lonepair.apply.translate import DIRECTIONS, Translation
from lonepair.checkpoint import SUFFIX, load_model, save_model
from lonepair.errors import UserError
from lonepair.files import check_output
from lonepair.methods.base import Method
from lonepair.source import check_not_small, open_source
from lonepair.train.engine import Engine, choose_engine


class Pair:
    """A trained pair: redraws either image, or any other like it, in the look of the other."""

    def __init__(self, method: Method, engine: Engine, settings: Mapping[str, Any]) -> None:
        """`settings`: how it was trained, as saved in the model file; see `fit_pair` and `load` for making one."""
        self.method = method
        self.settings = dict(settings)
        self.to(engine)

    def to(self, engine: Engine) -> Pair:
        """Move to another device or precision."""
        self.engine = engine
        engine.place(self.method.nets)
        self.method.nets.eval()
        return self

    def translate(
        self,
        source: object,
        *,
        reverse: bool = False,
        entry: int | None = None,
        size: tuple[int, int] | None = None,
        seed: int = 0,
    ) -> Translation:
        """`source` in the look of the target (with `reverse`: of the source that it was trained on).

        Args:
            source: Path of an image, a video or a folder of frames; a PIL image, an array, a tensor (1, c, h, w) or
                (n, c, h, w) in [-1, 1].
            entry: Stage at which each frame enters: 0 redraws large shapes, later stages only the texture. None: the
                one trained for; the networks have seen no other.
            size: (h, w) of the output in pixels; None: the source's own.
            seed: Of the noise that feeds fine texture; the same for all frames.

        Raises:
            UserError: for a source that cannot be read, or an entry stage that does not exist.
        """
        opened = open_source(source)
        stages = self.method.stage + 1
        if entry is not None and not -1 <= entry < stages:
            raise UserError(
                f"entry is {entry}, the model has {stages} stages: choose -1 (the newest) or 0 to {stages - 1}"
            )
        if size is not None and min(size) < 1:
            raise UserError(f"size is {size[0]}x{size[1]}: both sides need at least 1 pixel")
        direction = DIRECTIONS[1] if reverse else DIRECTIONS[0]
        check_not_small(opened, self.method.config.min_side)
        if not 0 <= seed < 2**32:
            raise UserError(f"the noise's seed is {seed}: choose 0 to {2**32 - 1}")
        settings = {**self.settings, "direction": direction, "entry": entry, "noise_seed": seed}
        return Translation(self.method, self.engine, opened, size or opened.size, direction, entry, seed, settings)

    def sample(self, count: int = 1, *, seed: int = 0, size: tuple[int, int] | None = None) -> list[dict[str, Tensor]]:
        """`count` aligned random images of both domains, {"a": (1, c, h, w), "b": ...} in [-1, 1].

        `size` = (h, w) of both, any aspect; None: the training sizes. A seed is the same pictures whatever the count.
        """
        if not 0 <= seed < 2**32:
            raise UserError(f"seed is {seed}: choose 0 to {2**32 - 1}")
        return sample(self.method, self.engine, count, seed, size)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """One .safetensors file with weights, config and method.

        Raises:
            UserError: where something is there already and `overwrite` is off, or it cannot be written.
        """
        path = Path(path).expanduser()
        check_output(path, (SUFFIX,), overwrite)
        return save_model(path, self.method, self.settings)


def load(path: str | Path, device: str = "auto", dtype: str = "auto", threads: int = 0) -> Pair:
    """The model that `path` holds, on `device` ("auto" takes a GPU where there is one).

    Raises:
        UserError: for a file that is missing, damaged, no lonepair model or of a later version.
    """
    method, settings = load_model(Path(path).expanduser())
    return Pair(method, choose_engine(device, dtype, threads), settings)
