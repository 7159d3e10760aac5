"""Previews of a training: a sheet with the pictures that its model gives at this moment."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from lonepair.apply.translate import Translate
from lonepair.compute.engine import Engine
from lonepair.compute.memory import explain_memory
from lonepair.errors import UserError
from lonepair.media.sheet import contact_sheet
from lonepair.media.sizes import fit_inside
from lonepair.media.stills.image import write_image
from lonepair.methods.base import Method
from lonepair.methods.pair import OTHER, PairMethod
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.train.events import Report, Watcher

logger = logging.getLogger("lonepair")

PREVIEW_SIDE = 128
"""Longest side in pixels of the translations in a preview: two take about half a second of one core, which is 3 % of a
training with the preset draft."""
CELL = 220
"""Side in pixels of a preview's cells."""


@dataclass(frozen=True)
class _ModelInTraining:
    """A method as uses need it, while it trains."""

    method: Method
    engine: Engine
    settings: Mapping[str, Any] = field(default_factory=dict)


class _Abandoned(Exception):  # noqa: N818 - an event rather than an error
    """The training has to stop, and does not wait for its preview."""


class _StopCheck(TorchFunctionMode):
    """Raises `_Abandoned` once, at the next operation of torch as soon as `should_stop` returns True."""

    def __init__(self, should_stop: Callable[[], bool]) -> None:
        super().__init__()
        self._should_stop, self._is_abandoned = should_stop, False

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # Blocks that end because of the exception may call torch, too.
        if not self._is_abandoned and self._should_stop():
            self._is_abandoned = True
            raise _Abandoned
        return function(*args, **(kwargs or {}))


class Previews(Watcher):
    """Writes previews/stage-N.png at regular intervals and at the end of each stage: the method's own preview.

    The translations of a pair are those that the use `translate` gives, patch synthesis included. A training that has
    to stop abandons a preview in progress, which may take a minute on a machine that is busy.
    """

    def __init__(
        self,
        folder: Path,
        real: Mapping[str, list[Tensor]],
        frames: Mapping[str, Tensor],
        engine: Engine,
        seconds: float,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            folder: Folder of the previews.
            real: Domain -> one frame (1, c, h, w) at every stage.
            frames: Domain -> the same frame as the user's file has it, to translate.
            engine: Engine of the training.
            seconds: Seconds between previews.
            should_stop: Whether the training has to stop; no preview is written then.
        """
        self._folder, self._real, self._engine, self._seconds = folder, real, engine, seconds
        self._should_stop = should_stop
        self._frames = {domain: _reduced(frame, real[domain][-1]) for domain, frame in frames.items()}
        self._last = time.monotonic()

    def stepped(self, method: Method, report: Report) -> None:
        if time.monotonic() - self._last >= self._seconds:
            self._try_to_write(method)

    def stage_finished(self, method: Method) -> None:
        self._try_to_write(method)

    def _try_to_write(self, method: Method) -> None:
        """Write the preview; where that fails, for lack of space or of memory, the training matters more."""
        path = self._folder / f"stage-{method.stage}.png"
        try:
            with (
                explain_memory(str(path), "previews are small, so little is free"),
                # The check may interrupt the begin or the end of a no_grad block, which then does not restore the mode.
                torch.set_grad_enabled(torch.is_grad_enabled()),
                _StopCheck(self._should_stop),
            ):
                self._write(method, path)
        except _Abandoned:
            logger.debug("%s is abandoned, as the training stops", path)
        except UserError as error:
            logger.warning("%s; the training continues without it", error)
            self._last = time.monotonic()

    def _write(self, method: Method, path: Path) -> None:
        """Write the preview of the current stage to `path`."""
        # The method expects levels up to its newest stage only.
        real = {domain: stages[: method.stage + 1] for domain, stages in self._real.items()}
        # Evaluation mode, as in use: in training mode BatchNorm would include the preview in its running averages.
        modes = {module: module.training for module in method.nets.modules()}
        method.nets.eval()
        try:
            with torch.no_grad():
                with self._engine.autocast():
                    # The same random images at every preview, so that progress is visible.
                    images = method.preview(real, RandomStream(0, device=self._engine.device))
                translations = self._translations(method)
        finally:
            for module, is_training in modes.items():
                module.training = is_training
        row = [(label, translations.get(label, image).float().cpu()) for label, image in images]
        write_image(path, contact_sheet([row], cell=CELL), overwrite=True)
        self._last = time.monotonic()

    def _translations(self, method: Method) -> dict[str, Tensor]:
        """Label of a translation in the method's preview -> the translation as a user gets it."""
        if not isinstance(method, PairMethod) or not method.trains:  # without training there is no progress to show
            return {}
        # A graph that is captured here would be used once or twice.
        model = _ModelInTraining(method, replace(self._engine.for_inference, captures_graphs=False))
        return {
            f"{source} as {target}": Translate(self._frames[source], reverse=source == "b").run(model).image
            for source, target in OTHER.items()
        }


def _reduced(frame: Tensor, trained: Tensor) -> Tensor:
    """`frame` within the size of a preview, or of the training image `trained` where that is larger."""
    size = (frame.shape[-2], frame.shape[-1])
    return resize_image(frame, fit_inside(size, max(PREVIEW_SIDE, *trained.shape[-2:])))
