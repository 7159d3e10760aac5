"""The model file: a .safetensors file with the tensors of a method, and a header with everything needed to use them.

The header has one entry, `lonepair`: JSON with `format_version`, `method`, `config`, `plan`, `synthesis`, `stage`,
`settings`, `license`, and `sha256` over all of these and the tensors. It is one entry because safetensors writes
several in no fixed order, and the same training must give the same file. Reading a model never unpickles anything, and
checks header and shapes before it creates networks (`validation`, `model_outline`).
"""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from lonepair.errors import UserError, printable
from lonepair.methods import get_method
from lonepair.methods.base import Method
from lonepair.methods.types import Plan
from lonepair.ops.fingerprint import fingerprint
from lonepair.ops.noise import seed_global
from lonepair.patches.config import SynthesisConfig
from lonepair.storage.files import atomic_write, check_file
from lonepair.train.migration import FORMAT_VERSION, migrate
from lonepair.train.model_outline import check_finite, check_outline, check_plan, check_table_size, read_outline
from lonepair.train.validation import MAX_HEADER, check_header, parse_json

SUFFIX = ".safetensors"
PROGRESS = "progress"
"""Entry in the settings of a model whose training has not ended: how far it got."""
LICENSE = (
    "Learned from the inputs that `settings` names; the holders of the rights in these inputs hold the same rights in "
    "what this model reproduces of them."
)


def save_model(path: str | Path, method: Method, settings: dict[str, Any]) -> Path:
    """Write a model file that can use `method` at its newest stage; an existing file is replaced atomically.

    Args:
        path: The file; its name ends in .safetensors.
        method: A method with at least one stage.
        settings: The settings of the training, as JSON values.

    Raises:
        UserError: for another suffix, or if the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise UserError(f"{path}: a model file's name ends in {SUFFIX}; name it {path.stem}{SUFFIX}")
    # Contiguous: safetensors stores no strides, and channels-last weights have others.
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in method.model_state().items()}
    header: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "lonepair": version("lonepair"),
        "method": method.name,
        "config": method.config.to_dict(),
        "plan": method.plan.to_dict(),
        "synthesis": None if method.synthesis is None else method.synthesis.to_dict(),
        "stage": method.stage,
        "settings": settings,
        "license": LICENSE,
    }
    # The checksum covers all entries above.
    header["sha256"] = fingerprint(header, tensors)
    data = save(tensors, {"lonepair": json.dumps(header, sort_keys=True)})
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)
    return path


def read_header(path: str | Path) -> dict[str, Any]:
    """The header of a model file. Its format, version, types and sizes are checked, but not the checksum.

    Raises:
        UserError: for a file that is missing, of another kind, of a later format version, or with an invalid header.
    """
    path = Path(path)
    check_file(path, "a .safetensors model that lonepair saved")
    try:
        check_table_size(path)
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("lonepair")
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(
            f"{path}: not a safetensors file, or an incomplete one ({_reason(error)}); give a model that lonepair saved"
        ) from None
    if text is None:
        raise UserError(f"{path}: a safetensors file, but not a lonepair model; give one that `lonepair train` saved")
    try:
        header = parse_json(text, MAX_HEADER)
        file_version = header["format_version"]
    except (ValueError, KeyError) as error:
        raise UserError(f"{path}: its header is invalid ({_reason(error)}); save the model again") from None
    if type(file_version) is not int or not 1 <= file_version <= FORMAT_VERSION:
        raise UserError(
            f"{path}: has format version {printable(file_version, 20)}, this lonepair reads versions 1 to "
            f"{FORMAT_VERSION}; update lonepair"
        )
    # After the version: a later format may have other entries.
    try:
        check_header(header)
    except ValueError as error:
        raise UserError(f"{path}: its header is invalid ({_reason(error)}); save the model again") from None
    return header


def load_model(path: str | Path) -> tuple[Method, dict[str, Any]]:
    """The method with its weights, on the CPU, and the settings of its training.

    Raises:
        UserError: for a file that is missing, damaged, of another kind or of a later format version.
    """
    path = Path(path)
    header = read_header(path)
    try:
        # Header: names of older formats, then config, plan and tensors, against each other.
        current, outline = migrate(header, read_outline(path))
        method_class = get_method(current["method"])
        config, plan = method_class.config_class.from_flat(current["config"]), Plan.from_dict(current["plan"])
        synthesis = None if current.get("synthesis") is None else SynthesisConfig(**current["synthesis"])
        check_plan(plan, current["stage"], config, method_class)
        check_outline(outline, method_class, config, plan, current["stage"])
        # Tensors
        with safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if header["sha256"] != fingerprint(header, tensors):
            raise UserError("its checksum does not match; save or copy it again")
        check_finite(tensors)
        # Networks: a fixed seed initializes them, and the caller's random state is restored afterwards.
        with seed_global(0):
            method = method_class(config, plan)
        with seed_global(0):
            for _ in range(current["stage"] + 1):
                method.add_stage()
        if synthesis is not None:
            if method.synthesis is None:
                raise ValueError("it has settings of patch synthesis, its method has none")
            method.synthesis = synthesis
        # Weights.
        method.load_model_state(migrate(header, tensors)[1])
    # Each cause has its own remedy: a message of ours is repeated, any other error means an invalid file.
    except UserError as error:
        raise UserError(f"{path}: cannot be used here: {printable(error, LONGEST_REASON)}") from None
    except _INVALID as error:
        raise UserError(f"{path}: the model file is invalid ({_reason(error)}); save the model again") from None
    method.nets.eval()
    return method, current["settings"]


_INVALID = (
    *(SafetensorError, OSError, AttributeError, LookupError, TypeError, ValueError, ArithmeticError),
    *(RuntimeError, AssertionError),
)
"""What an invalid header or tensor raises."""
LONGEST_REASON = 400
"""Largest number of characters of a message that repeats a text from a file."""


def _reason(error: Exception) -> str:
    """The first line of the error's message, 120 characters at most."""
    if isinstance(error, KeyError):
        return f"no entry {printable(repr(error.args[0]), 60)}"
    return printable((str(error).splitlines() or [type(error).__name__])[0], 120)
