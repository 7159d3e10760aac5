"""The training loop, the only one. It knows stages, players and steps; no method is named here."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.compute.graphs import Recorder
from lonepair.errors import UserError
from lonepair.methods.base import Method, StepInputs
from lonepair.ops.noise import RandomStream, seed_global
from lonepair.train.clock import Clock
from lonepair.train.events import Report, Watcher

FETCH_EVERY = 10
"""Losses come to the host, are checked and reported every so many steps: a GPU should not wait for the host."""
EXPLODED = 1e4
"""A loss beyond this, in absolute value, belongs to a training that will not come back."""


_CALMER = "try half the learning rates (the --lr flags), another --seed, or --dtype float32"


class Diverged(UserError):  # noqa: N818 - what happened, not what was done wrong
    """The losses are no longer numbers, or have exploded."""


class Interrupted(Exception):  # noqa: N818 - not an error
    """The user asked to stop; the state is saved."""


@dataclass
class Progress:
    """Where a training stands: all that a resumed one needs beside the networks."""

    stage: int = -1
    step: int = 0
    """Steps done at `stage`; the schedule's number where the stage is over."""
    seconds: float = 0.0
    """Training time so far, over all sessions of the run."""
    optimizers: dict[str, Any] = field(default_factory=dict)
    """Player -> state of its optimizer."""


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
        levels: domain -> (n, c, h, w) frames at every stage, coarse first, on the engine's device.
        max_seconds: Training time, over all sessions of the run, in which the last stage must end.
        save: Keeps networks and progress; called every `save_seconds`, after each stage, and before stopping.
        should_stop: Asked after every step; True saves and raises `Interrupted`.
        warm: What a stage's new parameters and buffers start from, by name in `method.nets`, where the shape agrees.

    Raises:
        Diverged: where losses are not finite or beyond `EXPLODED`; what `save` kept last is the last good state.
        Interrupted: where `should_stop` said so.
    """
    clock = Clock(method, progress.seconds, max_seconds)
    with engine.training():
        while not _is_over(method, progress):
            if progress.stage < 0 or progress.step == method.schedule(progress.stage).steps:
                add_stage(method, levels, engine, seed, warm or {})
                progress.stage, progress.step, progress.optimizers = method.stage, 0, {}
            schedule = method.schedule(method.stage)
            steps = Steps(method, levels, engine, seed, progress.optimizers)
            clock.start_stage(progress.step)
            for watcher in watchers:
                watcher.stage_started(method)

            while progress.step < schedule.steps:
                rate = schedule.rate(max(progress.step / schedule.steps, clock.share_used()))
                losses = steps(progress.step, rate)
                progress.step += 1

                stop, late = should_stop(), clock.share_used() >= 1
                keep = stop or late or progress.step == schedule.steps or clock.since_save() >= save_seconds
                fetched = _fetch(losses, progress) if keep or progress.step % FETCH_EVERY == 0 else None
                progress.seconds = clock.seconds()
                eta = clock.eta(progress.step)
                report = Report(
                    method.stage, method.plan.stages, progress.step, schedule.steps, fetched, progress.seconds, eta
                )
                for watcher in watchers:
                    watcher.stepped(method, report)
                if late:
                    progress.step = schedule.steps
                if keep:
                    _check_finite(method, progress)
                    progress.optimizers = steps.state()
                    save(progress)
                    clock.saved()
                if stop and not _is_over(method, progress):
                    raise Interrupted
            for watcher in watchers:
                watcher.stage_finished(method)


def _is_over(method: Method, progress: Progress) -> bool:
    return progress.stage == method.plan.stages - 1 and progress.step == method.schedule(progress.stage).steps


@torch.no_grad()
def add_stage(
    method: Method, levels: Mapping[str, list[Tensor]], engine: Engine, seed: int, warm: Mapping[str, Tensor]
) -> None:
    """Bring `method` to its next stage, which starts from `warm` where that fits."""
    before = {} if method.stage < 0 else dict.fromkeys(method.nets.state_dict())
    with seed_global(seed, method.stage + 1):
        method.add_stage()
    for name, tensor in method.nets.state_dict().items():
        if name not in before and name in warm and warm[name].shape == tensor.shape:
            tensor.copy_(warm[name])
    engine.move(method.nets)
    with engine.autocast():
        method.calibrate_noise({domain: stages[: method.stage + 1] for domain, stages in levels.items()})


class Steps:
    """The steps of one stage, with an Adam of its own for each player, as the published systems make one a stage."""

    def __init__(
        self,
        method: Method,
        levels: Mapping[str, list[Tensor]],
        engine: Engine,
        seed: int,
        states: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            states: What `state` gave, for the optimizers to go on from.
        """
        self._method, self._levels, self._engine, self._seed = method, levels, engine, seed
        self._schedule = method.schedule(method.stage)
        self._optimizers = {
            name: engine.adam(player.groups, player.betas, (states or {}).get(name))
            for name, player in method.players().items()
        }
        self._rate: float | None = None
        self._shown: dict[str, list[Tensor]] = {}
        update_order = self._schedule.update_order
        self.groups = [[name] for name in update_order] if self._schedule.independent_players else [list(update_order)]
        """Players of whom each needs what those before it made; groups need nothing of each other."""
        self._recorders = [Recorder(engine.device) for _ in self.groups] if engine.captures_graphs else []

    def __call__(self, number: int, rate: float) -> dict[str, Tensor]:
        """Take step `number` at `rate` times the learning rates.

        Returns:
            The losses that each player saw: not yet on the host, and until the next step only.
        """
        if rate != self._rate:
            self._rate = rate
            for optimizer in self._optimizers.values():
                self._engine.set_rate(optimizer, rate)
        frames = self.frames(number)
        found = self._engine.run_parallel(
            [functools.partial(self._take, index, number, frames) for index in range(len(self.groups))]
        )
        return {name: value for losses in found for name, value in losses.items()}

    def state(self) -> dict[str, Any]:
        """Player -> state of its optimizer."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def inputs(
        self,
        index: int,
        number: int,
        frames: Mapping[str, list[Tensor]],
        generator: torch.Generator | None = None,
    ) -> StepInputs:
        """What a group's players see at step `number`: a frame of each domain, and a stream of random numbers."""
        rng, _ = self._begun(number, generator)
        inputs = StepInputs(dict(frames), rng)
        return inputs.split(index, generator) if self._schedule.independent_players else inputs

    def _begun(self, number: int, generator: torch.Generator | None = None) -> tuple[RandomStream, dict[str, int]]:
        """The step's stream of random numbers, and which frame of each domain it drew first."""
        rng = RandomStream(self._seed, self._method.stage, number, device=self._engine.device, generator=generator)
        return rng, {domain: rng.host_integer(len(stages[0])) for domain, stages in self._levels.items()}

    def frames(self, number: int) -> dict[str, list[Tensor]]:
        """Domain -> the frame of this step at every stage, where a recorded step looks for it."""
        stages, (_, drawn) = self._method.stage + 1, self._begun(number)
        frames = {}
        for domain, frame in drawn.items():
            frames[domain] = [level[frame : frame + 1] for level in self._levels[domain][:stages]]
            if self._recorders and len(self._levels[domain][0]) > 1:
                kept = self._shown.setdefault(domain, [torch.empty_like(level) for level in frames[domain]])
                for place, level in zip(kept, frames[domain], strict=True):
                    place.copy_(level)
                frames[domain] = kept
        return frames

    def _take(self, index: int, number: int, frames: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
        """One update of each player of a group, in order; the losses that each saw."""
        make, move = functools.partial(self.inputs, index, number, frames), functools.partial(self._moves, index)
        return self._recorders[index](make, move) if self._recorders else move(make())

    def _moves(self, index: int, inputs: StepInputs) -> dict[str, Tensor]:
        return {name: loss for player in self.groups[index] for name, loss in self._move(player, inputs).items()}

    def _move(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        """One update of `player`."""
        optimizer = self._optimizers[player]
        with self._engine.autocast():
            losses = self._method.losses(player, inputs)
        optimizer.zero_grad(set_to_none=True)
        # Only for this player's parameters: the generator's update need not differentiate the critics' weights.
        own = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        torch.stack([value.float() for value in losses.values()]).sum().backward(inputs=own)  # type: ignore[no-untyped-call]
        optimizer.step()
        return {name: value.detach() for name, value in losses.items()}


def _fetch(losses: Mapping[str, Tensor], progress: Progress) -> dict[str, float]:
    values = torch.stack([value.float() for value in losses.values()]).tolist()
    found = dict(zip(losses, values, strict=True))
    bad = [name for name, value in found.items() if not abs(value) <= EXPLODED]
    if bad:
        raise Diverged(
            f"training diverged at stage {progress.stage}, step {progress.step}: {bad[0]} is {found[bad[0]]:.3g}; "
            f"{_CALMER}"
        )
    return found


@torch.no_grad()
def _check_finite(method: Method, progress: Progress) -> None:
    """Refuse to keep weights that finite losses have ruined: their gradients need not be finite."""
    if bad := [name for name, tensor in method.nets.state_dict().items() if not tensor.isfinite().all()]:
        raise Diverged(
            f"training diverged at stage {progress.stage}, step {progress.step}: {bad[0]} is not finite; {_CALMER}"
        )
