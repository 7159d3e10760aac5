"""Checks of a training's inputs before any heavy work."""

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
    """Check that `inputs` are the domains of the method, and perhaps its optional inputs.

    Args:
        method_class: The method.
        inputs: Domain or optional input -> its value.
        warm: Whether there is a warm start, which optional inputs need.

    Raises:
        UserError: where they are not; it names the methods that accept them.
    """
    # All domains and nothing else is right; optional inputs are right with a warm start.
    extra = [name for name in inputs if name not in method_class.domains]
    if len(inputs) - len(extra) == len(method_class.domains) and set(extra) <= set(method_class.optional_inputs):
        if extra and not warm:
            raise UserError(f"{extra[0]}: continues the training of a model; give that model as `warm_start`")
        return
    # Otherwise name the methods that accept these inputs.
    suitable = [
        name
        for name in methods.names()
        if set((m := methods.get_method(name)).domains) <= set(inputs) <= {*m.domains, *m.optional_inputs}
    ]
    kinds = {1: "one image", 2: "a source and a target"}
    kind = "a composite beside the image" if "composite" in inputs else kinds[len(inputs)]
    raise UserError(
        f"method {method_class.name!r} learns from {kinds[len(method_class.domains)]}, the input is {kind}; methods "
        f"that accept it: {', '.join(suitable)}"
    )


def check_clip(method_class: type[Method], domain: str, source: Source) -> None:
    """Check that a clip or a list of images is the input of a domain that accepts several.

    Raises:
        UserError: where it is not; it names the methods that accept several images.
    """
    if not source.is_clip:
        return
    # A target, or a composite, is one image for every method.
    if domain != method_class.domains[0]:
        what = "target" if domain in method_class.domains else domain
        raise UserError(f"{source.name}: the {what} must be an image, this is a clip; use one of its frames")
    if not method_class.accepts_several:
        suitable = [name for name in methods.names() if methods.get_method(name).accepts_several]
        raise UserError(
            f"{source.name}: method {method_class.name!r} learns from one image, this is several; methods that accept "
            f"them: {', '.join(suitable)}"
        )


def warm_weights(path: Path, method: str) -> dict[str, Tensor]:
    """Load the weights of the run or model file at `path`: name -> parameter or buffer.

    Raises:
        UserError: where it cannot be read, or its method is not `method`.
    """
    # A run's state also has the critics; a model file has only the networks for use.
    run = RunFolder(path) if path.is_dir() else None
    warm, _ = load_model(run.model if run else path)
    if warm.name != method:
        raise UserError(
            f"{path}: is a model of {warm.name!r}, the training is of {method!r}; start from a model of {method!r}"
        )
    return run.weights() if run else warm.model_state()
