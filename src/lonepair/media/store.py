"""Tensors on disk, for work that needs the frames of a clip in another order than a file has them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
import torch
from torch import Tensor


class TensorStore:
    """Tensors by name in a temporary folder, which is deleted at the end of the block."""

    def __enter__(self) -> TensorStore:
        self._folder = tempfile.TemporaryDirectory(prefix="lonepair-", ignore_cleanup_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._folder.cleanup()

    def write(self, name: str, tensor: Tensor, is_rounded: bool = False) -> None:
        """Store a tensor of float32.

        Args:
            name: Its name.
            tensor: On any device.
            is_rounded: Round to half precision. Otherwise it is stored exactly; images of 8 or 16 bits take no more.
        """
        values = tensor.detach().cpu()
        np.save(self._path(name), values.half().numpy() if is_rounded else _smallest(values))

    def read(self, name: str) -> Tensor:
        """The tensor `name`, float32 on the CPU."""
        array = np.load(self._path(name))
        if array.dtype in (np.uint8, np.uint16):
            return _from_levels(array)
        return torch.from_numpy(array).float()

    def has(self, name: str) -> bool:
        """Whether there is a tensor `name`."""
        return self._path(name).exists()

    def delete(self, *names: str) -> None:
        """Delete those of the tensors `names` that there are."""
        for name in names:
            self._path(name).unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return Path(self._folder.name) / f"{name}.npy"


def _smallest(values: Tensor) -> np.ndarray:
    """The tensor as 8-bit or 16-bit levels of [-1, 1] where it consists of them, else unchanged."""
    kinds: tuple[type[np.unsignedinteger], ...] = (np.uint8, np.uint16)
    for kind in kinds:
        levels = ((values + 1) * (np.iinfo(kind).max / 2)).round().clamp(0, np.iinfo(kind).max).numpy().astype(kind)
        if torch.equal(_from_levels(levels), values):
            return levels
    array: np.ndarray = values.numpy()
    return array


def _from_levels(array: np.ndarray) -> Tensor:
    """As `ops.arrays.from_integers`, of an array of any shape."""
    return torch.from_numpy(array.astype(np.float32)) / (np.iinfo(array.dtype).max / 2) - 1
