"""What rendering needs of a trained model, without torch: its type, and the check of a start stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from lonepair.errors import UserError

if TYPE_CHECKING:
    from lonepair.compute.engine import Engine
    from lonepair.methods.base import Method


@runtime_checkable
class TrainedModel(Protocol):
    """The part of `lonepair.Model` that uses need."""

    @property
    def method(self) -> Method: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def settings(self) -> Mapping[str, Any]: ...


def check_start_stage(start_stage: int, method: Method) -> int:
    """`start_stage`, where the model has it.

    Raises:
        UserError: with the stages that the model has.
    """
    last = method.stage
    if not 0 <= start_stage <= last:
        raise UserError(f"start_stage is {start_stage}, the model has {last + 1} stages: choose 0 to {last}")
    return start_stage
