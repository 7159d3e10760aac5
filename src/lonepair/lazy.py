"""Modules that load on first use, so that `lonepair --help` never pays for importing torch.

A method is one file: its config (which the command line turns into flags) and what a step is (which needs torch).
Such a file names its heavy imports through `lazy`, and under `TYPE_CHECKING` as plain imports for type checkers.
"""

from __future__ import annotations

import importlib
from typing import Any


class lazy:  # noqa: N801 - reads as a verb where it is used
    """Stands for the module `name` until its first attribute is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)
