"""A training in steps: open the inputs, check the settings, decide the sizes, train, save. `Job` can be stopped.

`lonepair.api.fit` does all of it in one call.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib.util
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

import lonepair.methods as methods
from lonepair.api.checks import check_clip, check_inputs, warm_weights
from lonepair.api.model import Model
from lonepair.api.stop import BATCH_STOP, stop_on_signal
from lonepair.compute.engine import Engine, choose_engine
from lonepair.compute.memory import explain_memory
from lonepair.errors import UserError
from lonepair.media.sizes import fit_inside, training_size
from lonepair.media.source import Source, open_source
from lonepair.methods.base import Method
from lonepair.methods.config import Config
from lonepair.methods.types import Plan
from lonepair.ops.color import common_channels, match_channels
from lonepair.ops.fingerprint import fingerprint
from lonepair.ops.noise import seed_global
from lonepair.ops.pyramid import pyramid
from lonepair.ops.resize import resize_image
from lonepair.train.events import Watcher
from lonepair.train.loop import Diverged, Interrupted, Progress, train
from lonepair.train.options import Options
from lonepair.train.previews import Previews
from lonepair.train.run import RunFolder
from lonepair.train.watchers import MetricsFile, TensorBoard

logger = logging.getLogger("lonepair")


@dataclass(frozen=True)
class Job:
    """A training that is ready to start: its inputs and settings are checked."""

    method_class: type[Method]
    config: Config
    options: Options
    sources: dict[str, Source]
    """Domain, or optional input of the method -> where its images come from."""
    plan: Plan
    engine: Engine
    settings: dict[str, Any]
    """Method, preset, config, seed and inputs, as config.json, the model file and the metadata of outputs hold them."""
    warm: Mapping[str, Tensor]
    """Name -> initial value of new stages' weights; see `train`."""
    _stop: threading.Event = field(default_factory=threading.Event, init=False, repr=False, compare=False)
    _digests: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

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

        Args:
            inputs: Domain -> image, clip or path, in the forms that `fit_pair` takes.
            method: Name of the method.
            preset: "draft", "standard" or "full".
            settings: Fields of the method's config and of `Options`, by name.
            warm_start: A run's folder or a model file to start from.

        Raises:
            UserError: for the first input or setting that is wrong.
        """
        # Settings
        method_class = methods.get_method(method)
        option_names = {f.name for f in dataclasses.fields(Options)}
        options = Options(**{name: value for name, value in settings.items() if name in option_names})
        # A run that is used again has the same precision, whatever the default was when it was trained.
        options = dataclasses.replace(options, dtype=method_class.resolve_dtype(options.dtype))
        config = method_class.config_class.from_preset(
            preset, **{name: value for name, value in settings.items() if name not in option_names}
        )
        check_inputs(method_class, inputs, warm_start is not None)
        if options.tensorboard and importlib.util.find_spec("tensorboard") is None:
            raise UserError("`tensorboard` needs a package: pip install tensorboard")
        engine = choose_engine(options.device, options.dtype, options.threads, options.engine)

        # Inputs and their sizes
        sources = {domain: open_source(value) for domain, value in inputs.items()}
        sizes = {}
        for domain, source in sources.items():
            check_clip(method_class, domain, source)
            sizes[domain] = training_size(source, config.size.min_side, config.size.max_side)
        channels = common_channels(*(source.channels for source in sources.values()))
        originals = {domain: source.size for domain, source in sources.items()}
        plan = method_class.plan_for(config, channels, originals, sizes)

        # Record of the run
        record: dict[str, Any] = {
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
            record["warm_start"] = {"name": Path(warm_start).name, "sha256": fingerprint({}, dict(warm))}
        return cls(method_class, config, options, sources, plan, engine, record, warm)

    def folder(self, out: Path, resume: bool) -> RunFolder:
        """Create the run's folder at `out`, or with `resume` find the run there that has these settings.

        Raises:
            UserError: where the folder cannot be created, or has no run with these settings to resume.
        """
        if resume:
            run = RunFolder.latest(out, self.settings)
            run.check_config(self.settings)
        else:
            run = RunFolder.create(out)
            try:
                run.write_config(self.settings)
                run.write_environment(self.engine)
            except UserError:
                run.discard()
                raise
        return run

    def run(self, folder: RunFolder | None = None, resume: bool = False, callbacks: Sequence[Watcher] = ()) -> Model:
        """Train, and return the model.

        Args:
            folder: The run's folder, from `Job.folder`; None writes nothing to disk.
            resume: Continue from the state in `folder`.
            callbacks: Watchers that receive the training's events.

        Raises:
            UserError: where a later frame of an input cannot be decoded, or a file cannot be written.
            Diverged: where losses are no longer finite.
            Interrupted: where `stop` was called, or Ctrl-C pressed and there is a folder.
        """
        if folder is None:
            return self._run(None, False, callbacks)
        with folder.locked(), folder.logged():
            if resume:
                folder.prepare(self.settings, self.engine)
            return self._run(folder, resume, callbacks)

    def _run(self, folder: RunFolder | None, resume: bool, callbacks: Sequence[Watcher]) -> Model:
        """As `run`, in a folder that this process has for itself."""
        self._log_plan(folder)
        try:
            with explain_memory("reading the inputs", self._memory_remedy):
                levels = self.levels()
            if folder:
                folder.write_inputs({domain: stages[-1][:1] for domain, stages in levels.items()})
        except UserError:
            if folder and not resume:
                folder.discard()
            raise
        with explain_memory("training", self._memory_remedy):
            return self._train(levels, folder, resume, callbacks)

    @property
    def _memory_remedy(self) -> str:
        """Which setting to lower where memory is missing."""
        settings = self.config.to_dict()
        lower = [
            f"`{name}` (now {settings[name]})" for name in ("max_side", "crop_size", "width") if settings.get(name)
        ]
        return f"lower {', '.join(lower[:-1])} or {lower[-1]}; a run's folder keeps its last checkpoint"

    def stop(self) -> None:
        """Stop this training after its current step, or after its first step if it has not begun; from any thread.

        The state is saved if the run has a folder, and `run` raises `Interrupted` in its own thread.
        """
        self._stop.set()

    def _should_stop(self) -> bool:
        """Whether `stop` was called, or the batch that this training belongs to stops."""
        batch_stop = BATCH_STOP.get()
        return self._stop.is_set() or (batch_stop is not None and batch_stop.is_set())

    def levels(self) -> dict[str, list[Tensor]]:
        """Decode the inputs: domain -> (n, c, h, w) frames at every stage, on the device."""
        levels = {}
        for domain, source in self.sources.items():
            full = self.plan.full_sizes[domain]
            if full != source.size:
                logger.info(
                    "%s: %dx%d is reduced to %dx%d for training", source.name, *reversed(source.size), *reversed(full)
                )
            frames = self._training_frames(domain)
            if source.frame_count is not None and len(frames) < source.frame_count:
                logger.info("%s: trains on %d of its %d frames", source.name, len(frames), source.frame_count)
            levels[domain] = [self.engine.to_device(level) for level in pyramid(frames, self.plan.sizes(full))]
        return levels

    def input_digests(self) -> dict[str, str]:
        """Domain -> SHA-256 of its decoded frames at training size, with 8 bits a channel.

        Two trainings with equal digests and settings learn from the same pixels. Decodes the inputs, if `levels` has
        not done so.
        """
        for domain in self.sources:
            if domain not in self._digests:
                self._training_frames(domain)
        return dict(self._digests)

    def _training_frames(self, domain: str) -> Tensor:
        """The frames (n, c, h, w) of `domain` at training size, on the CPU; their digest is stored."""
        limit = self.config.to_dict().get("max_frames", 1)
        frames = self.sources[domain].training_frames(self.plan.full_sizes[domain], self.plan.channels, limit)
        digest = hashlib.sha256(str(tuple(frames.shape)).encode())
        digest.update(((frames.clamp(-1, 1) + 1) * 127.5).round().byte().contiguous().numpy().tobytes())
        self._digests[domain] = digest.hexdigest()
        return frames

    def new_method(self) -> Method:
        """Create the untrained method. It has the exemplars that it keeps, and no stage yet."""
        with seed_global(self.options.seed):
            method = self.method_class(self.config, self.plan)
        method.remember_targets(self._exemplar_images(method.exemplar_max_side))
        return method

    def _exemplar_images(self, max_side: int) -> dict[str, Tensor]:
        """Domain -> its first frame within `max_side` pixels, for domains where that exceeds the training size."""
        images = {}
        for domain, source in self.sources.items():
            size = fit_inside(source.size, max(1, max_side))
            if max(size) > max(self.plan.full_sizes[domain]):
                frame = next(source.frames()).image
                images[domain] = resize_image(match_channels(frame, self.plan.channels), size)
        return images

    # -- one run --------------------------------------------------------------------------------------------------

    def _log_plan(self, folder: RunFolder | None) -> None:
        logger.info("%s (%s) on %s", self.settings["method"], self.settings["preset"], self.engine)
        sizes = self.plan.sizes(self.plan.full_sizes[self.method_class.domains[0]])
        logger.info("stages: %s", ", ".join(f"{w}x{h}" for h, w in sizes))
        if folder:
            logger.info("run: %s", folder.path)

    def _train(
        self, levels: dict[str, list[Tensor]], folder: RunFolder | None, resume: bool, callbacks: Sequence[Watcher]
    ) -> Model:
        # Networks, new or from the run's state
        method = self.new_method()
        self.engine.move(method.nets)
        progress = folder.load(method, self.engine, self.settings) if folder and resume else Progress()
        if resume:
            logger.info("resumes at stage %d after %d steps", max(0, progress.stage) + 1, progress.step)

        max_seconds = self.options.max_minutes * 60 or math.inf
        progress.max_seconds = min(progress.max_seconds, max_seconds)
        own = self._watchers(folder, levels)
        watchers = [*callbacks, *own]
        if resume and progress.stage >= 0 and progress.step == method.schedule(progress.stage).steps:
            # A kill between the state and the stage's preview leaves that missing or old.
            for watcher in own:
                watcher.stage_finished(method)
        # Without a folder nothing can be saved: Ctrl-C is then a KeyboardInterrupt, as everywhere in Python.
        handles_signals = folder is not None and BATCH_STOP.get() is None
        try:
            with stop_on_signal(self._stop) if handles_signals else contextlib.nullcontext():
                train(
                    method,
                    levels,
                    self.engine,
                    progress,
                    seed=self.options.seed,
                    max_seconds=max_seconds,
                    watchers=watchers,
                    save=self._saver(folder, method, watchers),
                    save_seconds=self.options.checkpoint_minutes * 60,
                    should_stop=self._should_stop,
                    warm=self.warm,
                )
        except Interrupted:
            raise Interrupted(f"stopped and saved in {folder.path}" if folder else "stopped") from None
        except Diverged as error:
            note = f"; {folder.model} has the last good state" if folder and folder.model.exists() else ""
            raise Diverged(f"{error}{note}") from None
        finally:
            for watcher in watchers:
                watcher.finished()
        if folder:
            folder.write_completion(progress, self.options, self.input_digests())
        return Model(method, self.engine, self.settings)

    def _watchers(self, folder: RunFolder | None, levels: Mapping[str, list[Tensor]]) -> list[Watcher]:
        """Watchers that write into the run's folder."""
        if folder is None:
            return []
        first = {domain: [level[:1] for level in stages] for domain, stages in levels.items()}
        frames = {domain: next(source.frames()).image for domain, source in self.sources.items()}
        preview_seconds = self.options.preview_minutes * 60 or math.inf
        watchers: list[Watcher] = [
            MetricsFile(folder.metrics),
            Previews(folder.previews, first, frames, self.engine, preview_seconds, self._should_stop),
        ]
        if self.options.tensorboard:
            watchers.append(TensorBoard(folder.path / "tensorboard"))
        return watchers

    def _saver(
        self, folder: RunFolder | None, method: Method, watchers: Sequence[Watcher]
    ) -> Callable[[Progress], None]:
        """Return what saves the state and the model file, and tells the watchers; without a folder it does nothing."""

        def save(progress: Progress) -> None:
            if folder is not None:
                folder.save(method, progress, self.settings)
                for watcher in watchers:
                    watcher.saved(folder.path)

        return save
