"""A trained model: `load` opens one, and each use of it is a method of `Model`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from lonepair.api.uses import UseMethods
from lonepair.apply.base import Use, check_support
from lonepair.compute.engine import Engine, choose_engine
from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.storage.files import check_output
from lonepair.train.checkpoint import PROGRESS, SUFFIX, load_model, save_model
from lonepair.train.run import RunFolder

logger = logging.getLogger("lonepair")

Result = TypeVar("Result")
MODEL = "model.safetensors"
"""Name of the model file in the folder of a run."""


class Model(UseMethods):
    """A model of one image or of a pair. The uses that its method does not support raise a `UserError`."""

    def __init__(self, method: Method, engine: Engine, settings: Mapping[str, Any]) -> None:
        """Use `fit`, `fit_pair` or `load` to get a model.

        Args:
            method: The trained networks.
            engine: Where they run.
            settings: How the model was trained, as saved in its file.
        """
        self.method = method
        self.settings = dict(settings)
        self.to(engine)

    def to(self, engine: Engine) -> Model:
        """Move to another device or precision."""
        self.engine = engine.for_inference
        self.engine.move(self.method.nets)
        self.method.nets.eval()
        return self

    def apply(self, use: Use[Result]) -> Result:
        """The result of `use` with this model.

        Args:
            use: Such as `lonepair.apply.sample.Sample(count=4)`; each use is also a method.

        Raises:
            UserError: for a use that the method does not support, and as the use does.
        """
        check_support(type(use), type(self.method))
        return use.run(self)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write weights, settings and the method's name to one .safetensors file.

        Raises:
            UserError: where the file cannot be written, or exists and `overwrite` is off.
        """
        path = Path(path).expanduser()
        check_output(path, (SUFFIX,), overwrite)
        return save_model(path, self.method, self.settings)


def load(path: str | Path, device: str = "auto", dtype: str = "auto", threads: int = 0) -> Model:
    """The model in the file, or in the run's folder, `path`. A model whose training has not ended logs a warning.

    Args:
        path: A model.safetensors, or the folder of a run.
        device: "cpu", "cuda" or "mps"; "auto" takes a GPU if there is one.
        dtype: Precision of convolutions, "float32" or "bfloat16"; "auto" takes the faster one of the device,
            and float32 for a published method.
        threads: CPU threads; 0 leaves the number to torch.

    Raises:
        UserError: for a file that is missing, damaged, not a lonepair model, of a later version, or in a run's folder
            not the model with which that training ended.
    """
    path = Path(path).expanduser()
    file = path / MODEL if path.is_dir() else path
    try:
        method, settings = load_model(file)
        if file.name == MODEL and (problem := RunFolder(file.parent).model_problem()):
            raise UserError(problem)
    except UserError as error:
        # In the folder of a run the state can make the model again.
        if file.name != MODEL or not RunFolder(file.parent).states.exist:
            raise
        raise UserError(f"{error}; `resume` of {file.parent} writes it again") from None
    if position := _unfinished(method, settings):
        text = "%s: its training has not ended (%s), so that pictures are coarser; to finish it, repeat its command "
        logger.warning(text + "with --resume (in Python, resume=True)", path, position)
    return Model(method, choose_engine(device, method.resolve_dtype(dtype), threads), settings)


def _unfinished(method: Method, settings: Mapping[str, Any]) -> str:
    """How far the training got, such as "stage 2 of 5, step 30 of 100"; empty where it has ended."""
    if PROGRESS in settings:
        at = settings[PROGRESS]
        return f"stage {at['stage']} of {at['stages']}, step {at['step']} of {at['steps']}"
    # Older versions did not save the step.
    stage, stages = method.stage + 1, method.plan.stages
    return f"stage {stage} of {stages}" if stage < stages else ""
