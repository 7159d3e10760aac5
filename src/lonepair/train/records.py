"""Records of runs: their numbered folders, the machine, and how the settings of two trainings differ."""

from __future__ import annotations

import glob
import platform
import re
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from lonepair.compute.engine import Engine
from lonepair.errors import UserError, printable
from lonepair.storage.files import natural_order


def numbered_paths(path: Path) -> list[Path]:
    """`path`, and those of path-2, path-3, ... that exist, by their numbers."""
    siblings = path.parent.glob(f"{glob.escape(path.name)}-*")
    numbered = [p for p in siblings if re.fullmatch(r"-([2-9]|[1-9]\d+)", p.name[len(path.name) :])]
    return [path, *natural_order(numbered)]


def same_settings(saved: Mapping[str, Any], current: Mapping[str, Any]) -> bool:
    """Whether two trainings have the same settings and inputs; names of files do not count, their content does."""
    return all(name.endswith(".name") for name, _, _ in differences("", dict(saved), dict(current)))


def environment(engine: Engine) -> dict[str, Any]:
    """Machine and versions, needed to reproduce a result."""
    packages = ["lonepair", "torch", "numpy", "pillow", "av", "safetensors"]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "engine": str(engine),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if engine.device.type == "cuda" else None,
        **{name: version(name) for name in packages},
    }


def check_settings(run: Path, saved: Mapping[str, Any], current: Mapping[str, Any]) -> None:
    """Check that the run in the folder `run`, with the settings `saved`, can be continued with `current`.

    Raises:
        UserError: where they differ. It names the first four differences.
    """
    # Other names of settings: the run is of another version, and a list of differences would not help.
    same_method = saved.get("method") == current.get("method")
    if same_method and set(saved.get("config") or {}) != set(current.get("config") or {}):
        raise UserError(
            f"{run}: another version of lonepair started this run, whose settings have other names, so it "
            "cannot be resumed; start a new run (its model.safetensors can still be used)"
        )
    texts = [
        difference_text(name, old, new)
        for name, old, new in differences("", dict(saved), dict(current))
        if not name.endswith(".name")
    ]
    if texts:
        raise UserError(
            f"{run}: cannot be resumed with other settings ({'; '.join(texts[:4])}); "
            "give the same ones, or leave out `resume` to start a new run"
        )


def difference_text(name: str, old: Any, new: Any) -> str:
    """Describe one difference of two settings in words."""
    if name.endswith(".sha256"):
        return f"the content of input {name.split('.')[1]} has changed"
    return f"{name.removeprefix('config.')} was {printable(old, 100)}, is now {printable(new, 100)}"


def differences(prefix: str, old: Any, new: Any) -> list[tuple[str, Any, Any]]:
    """List (dotted name, old value, new value) for all values that differ in two nested settings."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = sorted({*old, *new})
        return [d for name in names for d in differences(f"{prefix}{name}.", old.get(name), new.get(name))]
    return [] if old == new else [(prefix.rstrip("."), old, new)]
