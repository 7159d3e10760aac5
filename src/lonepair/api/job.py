"""Trainings: open the inputs, check the settings, decide the sizes, train, save.

`fit` and `fit_pair` do all of it in one call; a `Job` does it in steps, and can be stopped and watched.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import logging
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

from torch import Tensor

import lonepair.methods as methods
from lonepair.api.checks import check_clip, check_inputs, warm_weights
from lonepair.api.model import Model
from lonepair.compute.engine import Engine, choose_engine
from lonepair.errors import UserError
from lonepair.media.sizes import fit_inside, training_size
from lonepair.media.source import Source, open_source
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.methods.types import Plan
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.noise import seed_global
from lonepair.ops.pyramid import pyramid
from lonepair.ops.resize import resize_image
from lonepair.train.checkpoint import fingerprint, save_model
from lonepair.train.events import Watcher
from lonepair.train.loop import Diverged, Interrupted, Progress, train
from lonepair.train.options import Options
from lonepair.train.run import RunFolder
from lonepair.train.watchers import MetricsFile, Previews, TensorBoard

logger = logging.getLogger("lonepair")

BATCH_STOP: ContextVar[threading.Event | None] = ContextVar("BATCH_STOP", default=None)
"""Stops all trainings that run within this context; `fit_many` sets it and handles Ctrl-C for them."""


def fit_pair(
    source: object,
    target: object,
    *,
    method: str = methods.DEFAULT,
    preset: str = "standard",
    out: str | Path | None = None,
    resume: bool = False,
    warm_start: str | Path | None = None,
    callbacks: Sequence[Watcher] = (),
    **settings: Any,
) -> Model:
    """Learn to translate `source` to the style of `target`, and back.

    Args:
        source: Path of an image, a video or a folder of frames; a PIL image, an array, or a tensor (1, c, h, w), for a
            clip (n, c, h, w), in [-1, 1].
        target: Likewise, an image.
        method: One of `lonepair.method_names()`.
        preset: "draft", "standard" or "full".
        out: The run's folder, for state, metrics, previews and model; None keeps nothing on disk.
        resume: Go on with the run at `out`.
        warm_start: A run's folder or a model file of the same method, whose weights each stage starts from where shapes
            agree; a folder has the critics', too.
        callbacks: Watchers to tell of the progress.
        settings: Any field of the method's config and of `Options`, by name: steps=500, seed=3, device="cpu".

    Raises:
        UserError: for anything wrong with the inputs or settings, before any heavy work.
        Diverged: where losses stop being finite; the run's folder holds the last good state.
        Interrupted: where Ctrl-C or `Job.stop` asked to stop; the state is saved in `out`.
    """
    return _fit({"a": source, "b": target}, method, preset, out, resume, warm_start, callbacks, settings)


def fit(
    image: object,
    *,
    method: str = methods.DEFAULT_SINGLE,
    preset: str = "standard",
    out: str | Path | None = None,
    resume: bool = False,
    warm_start: str | Path | None = None,
    composite: object | None = None,
    callbacks: Sequence[Watcher] = (),
    **settings: Any,
) -> Model:
    """Learn from one `image` to generate images like it, and to translate others to its style.

    Args:
        image: Path of an image; a PIL image, an array, or a tensor (1, c, h, w) in [-1, 1]. Where the method allows it,
            several: a list of such, a folder, or a clip, fitted to the first one's size.
        composite: `image` with something pasted or moved; a method that allows it is then trained further on it, from a
            warm start (ConSinGAN's fine-tuning, for `harmonize` and `edit`).

    Everything else as for `fit_pair`.
    """
    inputs = {"a": image} if composite is None else {"a": image, "composite": composite}
    return _fit(inputs, method, preset, out, resume, warm_start, callbacks, settings)


def _fit(
    inputs: Mapping[str, object],
    method: str,
    preset: str,
    out: str | Path | None,
    resume: bool,
    warm_start: str | Path | None,
    callbacks: Sequence[Watcher],
    settings: Mapping[str, Any],
) -> Model:
    job = Job.prepare(inputs, method, preset, settings, warm_start)
    if resume and out is None:
        raise UserError("`resume` needs the run's folder: give `out`")
    return job.run(job.folder(Path(out), resume) if out is not None else None, resume, callbacks)


@dataclass(frozen=True)
class Job:
    """A training that is ready to start: everything that could be wrong with it has been checked."""

    method_class: type[Method]
    config: Config
    options: Options
    sources: dict[str, Source]
    plan: Plan
    engine: Engine
    settings: dict[str, Any]
    """What is written into config.json, the model file and the metadata of outputs."""
    warm: Mapping[str, Tensor]
    """Name -> initial value of new stages' weights; see `train`."""
    _stop: threading.Event = field(default_factory=threading.Event, init=False, repr=False, compare=False)

    @classmethod
    def prepare(
        cls,
        inputs: Mapping[str, object],
        method: str,
        preset: str,
        settings: Mapping[str, Any],
        warm_start: str | Path | None = None,
    ) -> Job:
        """Open the inputs, check the settings and decide the sizes.

        Raises:
            UserError: for the first thing that is wrong.
        """
        method_class = methods.get_method(method)
        ours = {f.name for f in dataclasses.fields(Options)}
        options = Options(**{name: value for name, value in settings.items() if name in ours})
        config = method_class.config_class.from_preset(
            preset, **{name: value for name, value in settings.items() if name not in ours}
        )
        check_inputs(method_class, inputs, warm_start is not None)
        if options.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise UserError("`tensorboard` needs a package: pip install tensorboard")
        engine = choose_engine(options.device, options.dtype, options.threads, options.engine)
        sources = {domain: open_source(value) for domain, value in inputs.items()}
        sizes = {}
        for domain, source in sources.items():
            check_clip(method_class, domain, source)
            sizes[domain] = training_size(source, config.size.min_side, config.size.max_side)
        channels = common_channels(*(source.channels for source in sources.values()))
        originals = {domain: source.size for domain, source in sources.items()}
        plan = method_class.plan_for(config, channels, originals, sizes)
        settings_ = {
            "method": method,
            "preset": preset,
            "config": config.to_dict(),
            "seed": options.seed,
            "inputs": {
                domain: {"name": source.name, "sha256": source.fingerprint()} for domain, source in sources.items()
            },
        }
        warm: Mapping[str, Tensor] = {}
        if warm_start is not None:
            warm = warm_weights(Path(warm_start).expanduser(), method)
            settings_["warm_start"] = {"name": Path(warm_start).name, "sha256": fingerprint({}, dict(warm))}
        return cls(method_class, config, options, sources, plan, engine, settings_, warm)

    def run(self, folder: RunFolder | None = None, resume: bool = False, callbacks: Sequence[Watcher] = ()) -> Model:
        """Train from the start, or with `resume` from what `folder` holds; without a folder nothing is kept on disk."""
        with folder.logged() if folder else contextlib.nullcontext():
            self._announce(folder)
            try:
                levels = self.levels()
                if folder:
                    folder.keep_inputs({domain: stages[-1][:1] for domain, stages in levels.items()})
            except UserError:
                if folder and not resume:
                    folder.discard()
                raise
            return self._train(levels, folder, resume, callbacks)

    def stop(self) -> None:
        """Stop this training after its current step, or after its first where it has not begun; from any thread.

        The state is saved where the run has a folder, and `run` raises `Interrupted` in its own thread.
        """
        self._stop.set()

    def _announce(self, folder: RunFolder | None) -> None:
        logger.info("%s (%s) on %s", self.settings["method"], self.settings["preset"], self.engine)
        sizes = self.plan.sizes(self.plan.full_sizes[self.method_class.domains[0]])
        logger.info("stages: %s", ", ".join(f"{w}x{h}" for h, w in sizes))
        if folder:
            logger.info("run: %s", folder.path)

    def _train(
        self, levels: dict[str, list[Tensor]], folder: RunFolder | None, resume: bool, callbacks: Sequence[Watcher]
    ) -> Model:
        with seed_global(self.options.seed):
            method = self.method_class(self.config, self.plan)
        method.remember_targets(self._details(method.exemplar_max_side))
        self.engine.move(method.nets)
        progress = folder.load_state(method, self.engine) if folder and resume else Progress()
        if resume:
            logger.info("goes on at stage %d after %d steps", max(0, progress.stage) + 1, progress.step)
        watchers = [*callbacks, *self._watchers(folder, levels)]
        save = self._saver(folder, method)
        options = self.options
        batch_stop = BATCH_STOP.get()
        # Without a folder nothing can be saved: Ctrl-C then is a KeyboardInterrupt, as everywhere in Python.
        own_ctrl_c = folder is not None and batch_stop is None
        try:
            with stop_on_ctrl_c(self._stop) if own_ctrl_c else contextlib.nullcontext():
                train(
                    method,
                    levels,
                    self.engine,
                    progress,
                    seed=options.seed,
                    max_seconds=options.max_minutes * 60 or math.inf,
                    watchers=watchers,
                    save=save,
                    save_seconds=options.checkpoint_minutes * 60,
                    should_stop=lambda: self._stop.is_set() or (batch_stop is not None and batch_stop.is_set()),
                    warm=self.warm,
                )
        except Interrupted:
            raise Interrupted(f"stopped and saved in {folder.path}" if folder else "stopped") from None
        except Diverged as error:
            kept = f"; {folder.model} is of the last good state" if folder and folder.model.exists() else ""
            raise Diverged(f"{error}{kept}") from None
        finally:
            for watcher in watchers:
                watcher.finished()
        return Model(method, self.engine, self.settings)

    def folder(self, out: Path, resume: bool) -> RunFolder:
        """The run's folder, new or to be resumed, with its settings written or compared."""
        if resume:
            run = RunFolder.latest(out, self.settings)
            run.check_config(self.settings)
        else:
            run = RunFolder.create(out)
        try:
            if not resume:
                run.write_config(self.settings)
            run.write_environment(self.engine)
        except UserError:
            if not resume:
                run.discard()
            raise
        return run

    def levels(self) -> dict[str, list[Tensor]]:
        """domain -> (n, c, h, w) frames at every stage, on the device."""
        levels = {}
        for domain, source in self.sources.items():
            full = self.plan.full_sizes[domain]
            if full != source.size:
                logger.info(
                    "%s: %dx%d is reduced to %dx%d for training", source.name, *reversed(source.size), *reversed(full)
                )
            frames = source.training_frames(full, self.plan.channels, self.config.to_dict().get("max_frames", 1))
            if source.frame_count is not None and len(frames) < source.frame_count:
                logger.info("%s: trains on %d of its %d frames", source.name, len(frames), source.frame_count)
            levels[domain] = [self.engine.to_device(level) for level in pyramid(frames, self.plan.sizes(full))]
        return levels

    def _details(self, longest: int) -> dict[str, Tensor]:
        """domain -> its first frame within `longest` pixels, where that is more than is learnt."""
        details = {}
        for domain, source in self.sources.items():
            size = fit_inside(source.size, max(1, longest))
            if max(size) > max(self.plan.full_sizes[domain]):
                frame = next(source.frames()).image
                details[domain] = resize_image(match_channels(frame, self.plan.channels), size)
        return details

    def _watchers(self, folder: RunFolder | None, levels: Mapping[str, list[Tensor]]) -> list[Watcher]:
        if folder is None:
            return []
        first = {domain: [level[:1] for level in stages] for domain, stages in levels.items()}
        watchers: list[Watcher] = [
            MetricsFile(folder.metrics),
            Previews(folder.previews, first, self.engine, self.options.preview_minutes * 60 or math.inf),
        ]
        if self.options.tensorboard:
            watchers.append(TensorBoard(folder.path / "tensorboard"))
        return watchers

    def _saver(self, folder: RunFolder | None, method: Method) -> Callable[[Progress], None]:
        def save(progress: Progress) -> None:
            if folder is not None:
                folder.save_state(method, progress)
                save_model(folder.model, method, self.settings)

        return save


@contextlib.contextmanager
def stop_on_ctrl_c(stop: threading.Event) -> Iterator[None]:
    """Within the block, on the main thread, the first Ctrl-C sets `stop`; the second one quits at once."""

    def first(number: int, frame: FrameType | None) -> None:
        stop.set()
        signal.signal(signal.SIGINT, previous)
        logger.warning("stopping after this step; Ctrl-C again quits at once, without saving")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
