"""One training step: an update of each player, on a frame of each domain, with random numbers of its own."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from lonepair.compute.engine import Engine
from lonepair.compute.graphs import Recorder, Step
from lonepair.methods.base import Method
from lonepair.methods.types import Branch, StepInputs
from lonepair.ops.noise import RandomStream


class Steps:
    """The steps of one stage. Each player has an Adam optimizer that is new at each stage, as in the published systems.

    Players are updated in groups. Within a group they are updated in turn, since each may read what an earlier one
    computed. Groups are independent of each other and may be updated in parallel.
    """

    def __init__(
        self,
        method: Method,
        levels: Mapping[str, list[Tensor]],
        engine: Engine,
        seed: int,
        states: Mapping[str, Any] | None = None,
        new_recorder: Callable[[torch.device], Recorder] | None = None,
    ) -> None:
        """
        Args:
            method: The method, at the stage to train.
            levels: Domain -> (n, c, h, w) frames at every stage, on the engine's device.
            engine: Where the steps are computed.
            seed: Seed of the training.
            states: Player -> optimizer state to continue from, as `state` returns it.
            new_recorder: Returns a recorder of a group's steps for the device; None for the engine's own choice.
        """
        self._method, self._levels, self._engine, self._seed = method, levels, engine, seed
        schedule = method.schedule(method.stage)
        self._optimizers = {
            name: engine.adam(player.groups, player.betas, (states or {}).get(name))
            for name, player in method.players().items()
        }
        self._rate: float | None = None
        self._probabilities = method.frame_probabilities(levels)
        # Groups: independent players have one each, so that they can run in parallel.
        self._independent = schedule.independent_players
        order = list(schedule.update_order)
        self.groups: list[list[str]] = [[player] for player in order] if self._independent else [order]
        # Recorders: one for each group, since a graph holds the updates of one group.
        if new_recorder is None and engine.captures_graphs:
            new_recorder = Recorder
        self._recorders = [new_recorder(engine.device) for _ in self.groups] if new_recorder else []
        self._static_frames: dict[str, list[Tensor]] = {}
        """Domain -> tensors that frames are copied to, since a replayed step reads fixed addresses."""

    def __call__(self, number: int, rate: float) -> dict[str, Tensor]:
        """Update every player once.

        Args:
            number: Number of the step within the stage; it identifies the random numbers.
            rate: Factor on every base learning rate.

        Returns:
            Weighted losses by name, on the device. The next step may overwrite them.
        """
        # On a GPU a new rate is a kernel for each parameter group, and most steps have the rate of the one before.
        if rate != self._rate:
            self._rate = rate
            for optimizer in self._optimizers.values():
                self._engine.set_rate(optimizer, rate)
        frames = self.frames(number)
        losses = self._engine.run_parallel(
            [functools.partial(self._update_group, index, number, frames) for index in range(len(self.groups))]
        )
        return {name: value for group in losses for name, value in group.items()}

    def state(self) -> dict[str, Any]:
        """Player -> state of its optimizer."""
        return {name: optimizer.state_dict() for name, optimizer in self._optimizers.items()}

    # -- inputs of a step -----------------------------------------------------------------------------------------

    def _stream(self, number: int, generator: torch.Generator | None = None) -> tuple[RandomStream, dict[str, int]]:
        """The step's random stream, and the index of each domain's frame, which is drawn from it first."""
        rng = RandomStream(self._seed, self._method.stage, number, device=self._engine.device, generator=generator)
        return rng, {domain: self._draw_frame(domain, rng) for domain in self._levels}

    def _draw_frame(self, domain: str, rng: RandomStream) -> int:
        """Index of the domain's frame: evenly drawn, or with the probabilities that the method states."""
        if domain in self._probabilities:
            return rng.host_choice(self._probabilities[domain])
        return rng.host_integer(len(self._levels[domain][0]))

    def frames(self, number: int) -> dict[str, list[Tensor]]:
        """Domain -> (1, c, h, w) frame of this step at every stage up to the current one."""
        stages, (_, indices) = self._method.stage + 1, self._stream(number)
        frames = {}
        for domain, index in indices.items():
            frames[domain] = [level[index : index + 1] for level in self._levels[domain][:stages]]
            # Frames of a clip are copied to fixed addresses. A single image has one already.
            if self._recorders and len(self._levels[domain][0]) > 1:
                static = self._static_frames.setdefault(domain, [torch.empty_like(level) for level in frames[domain]])
                for tensor, level in zip(static, frames[domain], strict=True):
                    tensor.copy_(level)
                frames[domain] = static
        return frames

    def inputs(
        self, index: int, number: int, frames: Mapping[str, list[Tensor]], generator: torch.Generator | None = None
    ) -> StepInputs:
        """The inputs of group `index` at step `number`."""
        inputs = StepInputs(dict(frames), self._stream(number, generator)[0])
        return inputs.split(index, generator) if self._independent else inputs

    # -- updates --------------------------------------------------------------------------------------------------

    def _update_group(self, index: int, number: int, frames: Mapping[str, list[Tensor]]) -> dict[str, Tensor]:
        """Update the players of group `index` in order; returns their losses."""
        players = self.groups[index]

        def draw_branches(inputs: StepInputs) -> Iterator[Branch]:
            return (self._method.branch(player, inputs.rng) for player in players)

        if not self._recorders:
            # Draw each player's branch when its turn comes: on the CPU tensors and choices share one random source.
            inputs = self.inputs(index, number, frames)
            return _GroupStep(players, inputs, draw_branches(inputs), self._update).run()

        def prepare(generator: torch.Generator) -> _GroupStep:
            # All branches first: they select the graph, and the host decides nothing while it is replayed.
            inputs = self.inputs(index, number, frames, generator)
            return _GroupStep(players, inputs, list(draw_branches(inputs)), self._update)

        return self._recorders[index](prepare)

    def _update(self, player: str, inputs: StepInputs) -> dict[str, Tensor]:
        """Update `player` once; returns its losses."""
        optimizer = self._optimizers[player]
        # Forward in the engine's precision.
        with self._engine.autocast():
            losses = self._method.losses(player, inputs)
        # Backward and update; weights, optimizer and the sum of the losses are float32.
        optimizer.zero_grad(set_to_none=True)
        # Differentiate by this player's parameters only: the generator's update does not need the critics' gradients.
        torch.stack([value.float() for value in losses.values()]).sum().backward(inputs=_parameters(optimizer))  # type: ignore[no-untyped-call]
        optimizer.step()
        return {name: value.detach() for name, value in losses.items()}


@dataclass
class _GroupStep(Step):
    """One update of each player of a group."""

    players: Sequence[str]
    inputs: StepInputs
    branches: Iterable[Branch]
    """The random choices of each player's update."""
    update: Callable[[str, StepInputs], dict[str, Tensor]]

    @property
    def branch(self) -> tuple[tuple[int, ...], ...] | None:
        """The random choices of all updates; None where one of them has too many."""
        # A missing branch makes the tuple shorter than the group.
        branches = tuple(branch for branch in self.branches if branch is not None)
        return branches if len(branches) == len(self.players) else None

    @property
    def rng(self) -> RandomStream:
        """Source of the random numbers of all updates."""
        return self.inputs.rng

    def run(self) -> dict[str, Tensor]:
        """Update the players in order."""
        losses: dict[str, Tensor] = {}
        for player, branch in zip(self.players, self.branches, strict=True):
            self.inputs.branch = branch
            losses |= self.update(player, self.inputs)
        return losses


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
