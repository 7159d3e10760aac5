"""A flag that worker processes see. Unlike an event of `multiprocessing`, one that is killed leaves no lock behind."""

from __future__ import annotations

from multiprocessing import sharedctypes
from typing import Any


class SharedFlag:
    """A flag in shared memory, which is set once. It is copied to a process with its first arguments."""

    def __init__(self) -> None:
        self._value: Any = sharedctypes.RawValue("b", 0)

    def set(self) -> None:
        """Set the flag."""
        self._value.value = 1

    def is_set(self) -> bool:
        """Whether it is set."""
        return bool(self._value.value)
