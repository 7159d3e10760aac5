"""Modules that are imported on first use, so that `lonepair --help` does not wait for torch.

A method is one file with its config, which the command line turns into flags, and its training step, which needs torch.
Such a file imports heavy modules through `lazy`, and under `TYPE_CHECKING` as usual for type checkers.
"""

from __future__ import annotations

import importlib
from typing import Any


class lazy:  # noqa: N801 - reads as a verb where it is used
    """The module `name`, imported when an attribute is first read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
