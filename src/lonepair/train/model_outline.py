"""Checks of a model file's tensors against its header, before their values are read and before networks are built.

The networks that the header describes are created on torch's meta device, where tensors have a shape and no memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.methods.types import Plan
from lonepair.nets import Exemplar

MAX_TABLE = 8 * 1024 * 1024
"""Largest number of bytes of a safetensors header; that of a model with 1,000 tensors has about 100,000."""
MAX_TENSORS = 20_000
"""Largest number of tensors."""
MAX_EXEMPLAR_FRAMES = 256
"""Largest number of frames of an exemplar."""
_SPARE_BYTES = 64 * 1024 * 1024
_DTYPES = {"F32": torch.float32, "U8": torch.uint8, "I64": torch.int64}


def check_table_size(path: Path) -> None:
    """Refuse a safetensors file whose header is longer than `MAX_TABLE`.

    Raises:
        ValueError: It is.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if length > MAX_TABLE:
        raise ValueError(f"its header has {length} bytes, at most {MAX_TABLE} are read")


def read_outline(path: Path) -> dict[str, Tensor]:
    """Name -> tensor without values, on the meta device, for each tensor of a safetensors file.

    Raises:
        ValueError: The file has too many tensors, or one of another type than models have.
    """
    outline = {}
    with safe_open(path, "pt") as file:
        names = list(file.keys())
        if len(names) > MAX_TENSORS:
            raise ValueError(f"it has {len(names)} tensors, at most {MAX_TENSORS} are read")
        for name in names:
            part = file.get_slice(name)
            if part.get_dtype() not in _DTYPES:
                raise ValueError(f"tensor '{name}' has the type {part.get_dtype()}; models have {', '.join(_DTYPES)}")
            outline[name] = torch.empty(part.get_shape(), dtype=_DTYPES[part.get_dtype()], device="meta")
    return outline


def check_plan(plan: Plan, stage: int, config: Config, method_class: type[Method]) -> None:
    """Check the plan and the newest stage of a model against its method and config.

    Raises:
        ValueError: The domains are not those of the method, an image is larger than the config allows, or there is no
            such stage.
    """
    if not 0 <= stage < plan.stages:
        raise ValueError(f"stage {stage} of {plan.stages}")
    domains, optional = set(method_class.domains), set(method_class.optional_inputs)
    if not domains <= set(plan.full_sizes) <= domains | optional:
        names = ", ".join(sorted(plan.full_sizes)) or "none"
        raise ValueError(f"its plan is for the inputs {names}, its method has {', '.join(method_class.domains)}")
    for name, (h, w) in plan.full_sizes.items():
        if not 1 <= min(h, w) <= max(h, w) <= config.size.max_side:
            raise ValueError(f"its plan has {w}x{h} pixels for {name}, its setting max_side is {config.size.max_side}")


def check_outline(
    outline: Mapping[str, Tensor], method_class: type[Method], config: Config, plan: Plan, stage: int
) -> None:
    """Check that the networks of a model have the tensors of its file, by names, types and shapes.

    Args:
        outline: The result of `read_outline`, by the names of the current format.
        method_class: The model's method.
        config: Its settings.
        plan: Its plan.
        stage: Its newest stage.

    Raises:
        ValueError: A tensor is missing, superfluous, or has another type or shape; or the networks for training, which
            the file does not hold, would be much larger than those that it holds.
    """
    with torch.device("meta"):
        method = method_class(config, plan)
        for _ in range(stage + 1):
            method.add_stage()
            # After each stage, so that a header with too many of them is refused at the first.
            if missing := sorted(set(method.model_state()) - set(outline)):
                raise ValueError(f"tensor '{missing[0]}' is missing")
    expected = method.model_state()
    if unknown := sorted(set(outline) - set(expected)):
        raise ValueError(f"tensor '{unknown[0]}' does not belong to the model")
    for name, tensor in expected.items():
        shape, actual = list(tensor.shape), list(outline[name].shape)
        if tensor.dtype != outline[name].dtype or not (shape == actual or _is_exemplar(method, name, shape, actual)):
            raise ValueError(f"tensor '{name}' has the shape {actual}, its settings need {shape}")
    # Critics are created with the networks, and are no part of the file.
    held, needed = _bytes(outline), _bytes(method.nets.state_dict())
    if needed > 4 * held + _SPARE_BYTES:
        raise ValueError(f"its networks need {needed / 1e6:.0f} MB, the file has {held / 1e6:.0f} MB of tensors")


def _is_exemplar(method: Method, name: str, shape: list[int], actual: list[int]) -> bool:
    """Whether `actual` suits a tensor of an exemplar, whose number of frames and full size a plan does not state."""
    module, _, tensor = name.partition(".")
    if not isinstance(method.nets[module], Exemplar) or len(actual) != 4 or actual[1] != shape[1]:
        return False
    if tensor == "images":
        return 1 <= actual[0] <= MAX_EXEMPLAR_FRAMES and actual[2:] == shape[2:]
    is_empty = actual[2:] == [0, 0]
    return actual[0] == 1 and (is_empty or 1 <= min(actual[2:]) <= max(actual[2:]) <= method.exemplar_max_side)


def _bytes(tensors: Mapping[str, Any]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite: every picture of the model would be empty.

    Raises:
        UserError: One is; names its tensor.
    """
    for name, tensor in tensors.items():
        if not bool(tensor.isfinite().all()):
            raise UserError(f"tensor '{name}' holds NaN or infinite weights; train the model again")
