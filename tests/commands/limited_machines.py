"""Machines that lack something: disk space, an encoder, a package, a device."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import torch


class CannotMakeCaseError(Exception):
    """This machine cannot imitate the one that a case needs."""


@contextlib.contextmanager
def mounted(options: str, fill: int = 0) -> Iterator[None]:
    """Mount a file system of its own as the folder `disk`, of which `fill` bytes are in use."""
    Path("disk").mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", "disk"]
        is_mounted = os.name == "posix" and subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        is_mounted = False
    if not is_mounted:
        raise CannotMakeCaseError("mounting a disk needs root")
    try:
        if fill:
            with contextlib.suppress(OSError), Path("disk/filler").open("wb") as file:
                file.write(bytes(fill))
        yield
    finally:
        subprocess.run(["umount", "-l", "disk"], check=False)


def without_encoder() -> contextlib.AbstractContextManager[object]:
    """PyAV as if it was built without libx264."""
    return mock.patch("av.Codec", side_effect=ValueError("libx264"))


def without_tensorboard() -> contextlib.AbstractContextManager[object]:
    """An installation without TensorBoard."""
    find = importlib.util.find_spec
    return mock.patch("importlib.util.find_spec", lambda name, *rest: None if name == "tensorboard" else find(name))


def absent_device() -> str:
    """A device that this machine does not have."""
    return "cuda" if not torch.cuda.is_available() else "mps"
