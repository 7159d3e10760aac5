"""Trainings in one call: `fit` for one image, `fit_pair` for two. `Job` does the same in steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.errors import UserError
from lonepair.train.events import Watcher


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
    """Train a model that translates `source` into the style of `target`, and back.

    Args:
        source: Path of an image, a video or a folder of frames; a PIL image, an array, or a tensor (1, c, h, w), for a
            clip (n, c, h, w), in [-1, 1].
        target: An image, in the same forms.
        method: One of `lonepair.method_names()`.
        preset: "draft", "standard" or "full".
        out: The run's folder, which receives state, metrics, previews and model; None writes nothing to disk.
        resume: Continue the run at `out`.
        warm_start: A run's folder or a model file of the same method. Each stage starts from its weights where shapes
            agree; a folder also has the critics' weights.
        callbacks: Watchers that receive the training's events.
        settings: Any field of the method's config and of `Options`, by name: steps=500, seed=3, device="cpu".

    Returns:
        The trained model.

    Raises:
        UserError: where an input or a setting is wrong, before any heavy work.
        Diverged: where losses are no longer finite; the run's folder holds the last good state.
        Interrupted: where Ctrl-C or `Job.stop` stopped the training; the state is saved in `out`.
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
    """Train a model that generates images like `image`, and translates other images into its style.

    Args:
        image: Path of an image; a PIL image, an array, or a tensor (1, c, h, w) in [-1, 1]. Where the method allows
            several images: a list of them, a folder, or a clip. They are resized to the first one's size.
        composite: `image` with something pasted or moved. A method that allows it continues its training on it from a
            warm start (ConSinGAN's fine-tuning, for `harmonize` and `edit`).

    All other arguments, the result and the errors are those of `fit_pair`.
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
        raise UserError("`resume` needs the run's folder; give `out`")
    return job.run(job.folder(Path(out), resume) if out is not None else None, resume, callbacks)
