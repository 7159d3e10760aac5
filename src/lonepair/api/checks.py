"""Checks of what a training is given, before any heavy work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

import lonepair.methods as methods
from lonepair.errors import UserError
from lonepair.media.source import Source
from lonepair.methods.base import Method
from lonepair.train.checkpoint import load_model
from lonepair.train.run import RunFolder


def check_inputs(method_class: type[Method], inputs: Mapping[str, object], warm: bool) -> None:
    """Refuse inputs of another number than the method learns from.

    Raises:
        UserError: naming the methods that do.
    """
    extra = [name for name in inputs if name not in method_class.domains]
    if len(inputs) - len(extra) == len(method_class.domains) and set(extra) <= set(method_class.optional_inputs):
        if extra and not warm:
            raise UserError(f"{extra[0]}: is for a further training of a model; name the model as `warm_start`")
        return
    able = [
        name
        for name in methods.names()
        if set(inputs) <= {*(m := methods.get_method(name)).domains, *m.optional_inputs}
    ]
    able = [name for name in able if set(methods.get_method(name).domains) <= set(inputs)]
    wants = {1: "one image", 2: "a source and a target"}
    given = "a composite beside the image" if "composite" in inputs else wants[len(inputs)]
    raise UserError(
        f"method {method_class.name!r} learns from {wants[len(method_class.domains)]}; from {given} learn "
        f"{', '.join(able)}"
    )


def check_clip(method_class: type[Method], domain: str, source: Source) -> None:
    """Refuse several images where one is wanted.

    Raises:
        UserError: naming what takes them.
    """
    if not source.is_clip:
        return
    if domain != method_class.domains[0]:
        what = "target" if domain in method_class.domains else domain
        raise UserError(f"{source.name}: the {what} must be an image, this is a clip; give one of its frames")
    if not method_class.accepts_several:
        able = [name for name in methods.names() if methods.get_method(name).accepts_several]
        raise UserError(
            f"{source.name}: method {method_class.name!r} learns from one image; {', '.join(able)} take several"
        )


def warm_weights(path: Path, method: str) -> dict[str, Tensor]:
    """Weights of the run or model at `path`, by name.

    Raises:
        UserError: where it cannot be read, or is of another method.
    """
    run = RunFolder(path) if path.is_dir() else None
    warm, _ = load_model(run.model if run else path)
    if warm.name != method:
        raise UserError(f"{path}: is a model of method {warm.name!r}; a warm start of {method!r} needs one of its own")
    return run.weights() if run else warm.model_state()
