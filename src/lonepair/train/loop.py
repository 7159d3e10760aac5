"""The training loop, the only one. It knows stages, players and steps; no method is named here."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.methods.base import Method, Scene
from lonepair.noise import Draw, seeded
from lonepair.train.clock import Clock
from lonepair.train.engine import Engine
from lonepair.train.graphs import Recorder
from lonepair.train.watch import Report, Watcher

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
                grow(method, levels, engine, seed, warm or {})
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
def grow(
    method: Method, levels: Mapping[str, list[Tensor]], engine: Engine, seed: int, warm: Mapping[str, Tensor]
) -> None:
    """Bring `method` to its next stage, which starts from `warm` where that fits."""
    before = {} if method.stage < 0 else dict.fromkeys(method.nets.state_dict())
    with seeded(seed, method.stage + 1):
        method.grow()
    for name, tensor in method.nets.state_dict().items():
        if name not in before and name in warm and warm[name].shape == tensor.shape:
            tensor.copy_(warm[name])
    engine.place(method.nets)
    with engine.autocast():
        method.measure({domain: stages[: method.stage + 1] for domain, stages in levels.items()})


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
        parts = len(self._schedule.rounds) if self._schedule.at_once else 0
        self._recorder = Recorder(engine.device, 1 + parts) if engine.records else None

    def __call__(self, number: int, rate: float) -> dict[str, Tensor]:
        """Take step `number` at `rate` times the learning rates.

        Returns:
            The losses that each player saw: not yet on the host, and until the next step only.
        """
        if rate != self._rate:
            self._rate = rate
            for optimizer in self._optimizers.values():
                self._engine.set_rate(optimizer, rate)
        if self._recorder:
            return self._recorder(functools.partial(self.scenes, number), self._moves)
        return self._moves(self.scenes(number))

    def state(self) -> dict[str, Any]:
        """Player -> state of its optimizer."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    def scenes(self, number: int, generators: Sequence[torch.Generator | None] = ()) -> list[Scene]:
        """What each of the step's players sees: a frame of each domain, drawn at random, and a stream of numbers."""
        method, rounds = self._method, self._schedule.rounds
        own, *parts = generators or [None] * (1 + len(rounds))
        draw = Draw(self._seed, method.stage, number, device=self._engine.device, generator=own)
        real = {}
        for domain, stages in self._levels.items():
            frame = draw.below(len(stages[0]))
            real[domain] = self._placed(domain, [level[frame : frame + 1] for level in stages[: method.stage + 1]])
        scene = Scene(real, draw)
        if not self._schedule.at_once:
            return [scene] * len(rounds)
        return [scene.part(index, generator) for index, generator in enumerate(parts)]

    def _placed(self, domain: str, frame: list[Tensor]) -> list[Tensor]:
        """`frame`, where a recorded step looks for it."""
        if self._recorder is None or len(self._levels[domain][0]) == 1:
            return frame
        if domain not in self._shown:
            self._shown[domain] = [torch.empty_like(level) for level in frame]
        for kept, level in zip(self._shown[domain], frame, strict=True):
            kept.copy_(level)
        return self._shown[domain]

    def _moves(self, scenes: Sequence[Scene]) -> dict[str, Tensor]:
        """One update of each player in the schedule's order; the losses that each saw."""
        pairs = zip(self._schedule.rounds, scenes, strict=True)
        moves = [functools.partial(self._move, player, scene) for player, scene in pairs]
        found = self._engine.at_once(moves) if self._schedule.at_once else [move() for move in moves]
        return {name: value for losses in found for name, value in losses.items()}

    def _move(self, player: str, scene: Scene) -> dict[str, Tensor]:
        """One update of `player`."""
        optimizer = self._optimizers[player]
        with self._engine.autocast():
            losses = self._method.losses(player, scene)
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
