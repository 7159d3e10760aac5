"""The training loop, for all methods: stages, steps, time limits, saving and stopping."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.methods.base import Method
from lonepair.ops.noise import seed_global
from lonepair.train.clock import Clock
from lonepair.train.events import Report, Watcher
from lonepair.train.step import Steps

FETCH_EVERY = 10
"""Number of steps after which losses are copied to the host, checked and reported: a GPU should not wait for it."""
MAX_LOSS = 1e4
"""Absolute value of a loss above which a training counts as diverged."""
MAX_WEIGHT = 3.0
"""Root mean square of a weight tensor above which a training counts as diverged. Trained ones stay near 1 or below;
with a learning rate of 0.9 losses stay finite, and the picture is gone."""
MAX_AMPLITUDE = 100.0
"""Amplitude of a stage's noise above which a training counts as diverged: images lie in [-1, 1]."""
_DIVERGED_REMEDY = "halve the learning rates (lr, lr_g, lr_d), change the seed, or compute in dtype float32"


class Diverged(UserError):  # noqa: N818 - an event rather than a mistake
    """Losses or weights are not finite, or have grown so far that the picture is gone."""


class Interrupted(Exception):  # noqa: N818 - an event rather than an error
    """The training was asked to stop; its state is saved where it has a run's folder."""


@dataclass
class Progress:
    """Progress of a training: everything, except the networks, that a resumed training needs."""

    stage: int = -1
    step: int = 0
    """Steps done at `stage`; the schedule's number where the stage is complete."""
    seconds: float = 0.0
    """Training time so far, over all sessions of the run."""
    optimizers: dict[str, Any] = field(default_factory=dict)
    """Player -> state of its optimizer."""
    max_seconds: float = math.inf
    """Smallest time limit of all sessions of the run: a limit shortens stages."""


def train(
    method: Method,
    levels: Mapping[str, list[Tensor]],
    engine: Engine,
    progress: Progress,
    *,
    seed: int,
    max_seconds: float = math.inf,
    watchers: Sequence[Watcher] = (),
    save: Callable[[Progress], None] = lambda progress: None,
    save_seconds: float = 120.0,
    should_stop: Callable[[], bool] = lambda: False,
    warm: Mapping[str, Tensor] | None = None,
) -> None:
    """Train `method` from where `progress` stands to the end of its last stage.

    Args:
        method: The method; `progress` says which stage and step it has reached.
        levels: Domain -> (n, c, h, w) frames at every stage, coarse first, on the engine's device.
        engine: Where and how to compute.
        progress: Where to start; updated in place.
        seed: Seed of all random numbers.
        max_seconds: Training time, over all sessions of the run, within which the last stage must end.
        watchers: Receive the training's events.
        save: Saves networks and progress; called every `save_seconds`, after each stage, and before stopping.
        save_seconds: Seconds between saves.
        should_stop: Called after every step; True saves and raises `Interrupted`.
        warm: Name in `method.nets` -> initial value of a new stage's parameters and buffers, where shapes agree.

    Raises:
        Diverged: where losses or weights are not finite, or exceed `MAX_LOSS`, `MAX_WEIGHT` or `MAX_AMPLITUDE`. `save`
            has then stored the last good state.
        Interrupted: where `should_stop` returned True.
    """
    clock = Clock(method, progress.seconds, max_seconds)
    # One context for all stages: on a GPU it enters the stream that graphs are captured in.
    with engine.training():
        while not is_complete(method, progress):
            # Start the next stage, with new optimizers as in the published systems, or continue one.
            if progress.stage < 0 or progress.step == method.schedule(progress.stage).steps:
                add_stage(method, levels, engine, seed, warm or {})
                progress.stage, progress.step, progress.optimizers = method.stage, 0, {}
            schedule = method.schedule(method.stage)
            steps = Steps(method, levels, engine, seed, progress.optimizers)
            clock.start_stage(progress.step)
            for watcher in watchers:
                watcher.stage_started(method)

            while progress.step < schedule.steps:
                # Update every player once. A time limit lowers the rate earlier, as if the steps were fewer.
                rate = schedule.rate(max(progress.step / schedule.steps, clock.share_used()))
                losses = steps(progress.step, rate)
                progress.step += 1

                # Decide what to do after this step.
                stop, late, is_last = should_stop(), clock.share_used() >= 1, progress.step == schedule.steps
                must_save = stop or late or is_last or clock.seconds_since_save() >= save_seconds

                # Report it. Fetching the losses waits for the device.
                fetches = must_save or progress.step % FETCH_EVERY == 0
                values = _fetch_losses(losses, progress) if fetches else None
                progress.seconds = clock.seconds()
                _report(method, progress, schedule.steps, values, clock.eta(progress.step), watchers)

                # Save. A stage that is out of time counts as complete, so that a resumed run begins the next one.
                if late:
                    progress.step = schedule.steps
                if must_save:
                    # First, so that the last file holds a good state.
                    _check_weights(method, progress)
                    progress.optimizers = steps.state()
                    save(progress)
                    clock.saved()
                if stop and not is_complete(method, progress):
                    raise Interrupted

            if schedule.steps == 0:  # no step has saved the stage
                save(progress)
            for watcher in watchers:
                watcher.stage_finished(method)


def is_complete(method: Method, progress: Progress) -> bool:
    """Whether the last stage's last step is done."""
    return progress.stage == method.plan.stages - 1 and progress.step == method.schedule(progress.stage).steps


def progress_of(method: Method, progress: Progress) -> dict[str, int]:
    """Where a training stands, for the file of a model that it has not finished: stages and steps count from 1."""
    steps = method.schedule(progress.stage).steps
    return {"stage": progress.stage + 1, "stages": method.plan.stages, "step": progress.step, "steps": steps}


@torch.no_grad()
def add_stage(
    method: Method, levels: Mapping[str, list[Tensor]], engine: Engine, seed: int, warm: Mapping[str, Tensor]
) -> None:
    """Add the next stage to `method`, initialize it from `warm` where shapes agree, and calibrate its noise."""
    before = {} if method.stage < 0 else dict.fromkeys(method.nets.state_dict())
    # Layers initialize themselves from torch's global generator; the stage's own seed makes that reproducible.
    with seed_global(seed, method.stage + 1):
        method.add_stage()
    # Warm start: new tensors only, since those of older stages are trained already.
    for name, tensor in method.nets.state_dict().items():
        if name not in before and name in warm and warm[name].shape == tensor.shape:
            tensor.copy_(warm[name])
    # On the device, in the precision of training: amplitudes depend on the generator's output there.
    engine.move(method.nets)
    with engine.autocast():
        method.calibrate_noise({domain: stages[: method.stage + 1] for domain, stages in levels.items()})


def _report(
    method: Method,
    progress: Progress,
    steps: int,
    losses: dict[str, float] | None,
    eta: float,
    watchers: Sequence[Watcher],
) -> None:
    """Send `watchers` a report of the last step."""
    report = Report(method.stage, method.plan.stages, progress.step, steps, losses, progress.seconds, eta)
    for watcher in watchers:
        watcher.stepped(method, report)


def _fetch_losses(losses: Mapping[str, Tensor], progress: Progress) -> dict[str, float]:
    """The losses as numbers.

    Raises:
        Diverged: where one is not finite, or beyond `MAX_LOSS`.
    """
    # One transfer for all losses: each one waits for the device.
    numbers = torch.stack([value.float() for value in losses.values()]).tolist()
    values = dict(zip(losses, numbers, strict=True))
    for name, value in values.items():
        if not abs(value) <= MAX_LOSS:  # also True for NaN
            raise _diverged(progress, f"{name} is {value:.3g}")
    return values


@torch.no_grad()
def _check_weights(method: Method, progress: Progress) -> None:
    """Refuse to save weights that make no picture, although their losses are finite.

    Raises:
        Diverged: where a weight is not finite, where weights have grown beyond `MAX_WEIGHT`, or a noise beyond
            `MAX_AMPLITUDE`.
    """
    for name, tensor in method.nets.state_dict().items():
        if not tensor.isfinite().all():
            raise _diverged(progress, f"{name} is not finite")
        if name.endswith("amplitudes") and (largest := float(tensor.abs().max())) > MAX_AMPLITUDE:
            what = f"the amplitude of the noise is {largest:.3g}, images lie in [-1, 1]"
            raise _diverged(progress, what, "lower the noise (noise_scale, noise_amplitude)")
    # Of the networks that make pictures; single values, such as the last bias, may be larger.
    used = method.model_state().keys()
    for name, parameter in method.nets.named_parameters():
        if name in used and parameter.numel() >= 8:
            size = float(parameter.float().square().mean().sqrt())
            if size > MAX_WEIGHT:
                raise _diverged(progress, f"{name} has grown to {size:.3g}, trained weights stay near 1")


def _diverged(progress: Progress, what: str, remedy: str = _DIVERGED_REMEDY) -> Diverged:
    return Diverged(f"training diverged at stage {progress.stage}, step {progress.step}: {what}; {remedy}")
