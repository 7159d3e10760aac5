"""CUDA graphs: capture a training step's hundreds of kernel launches once, then replay them with a single launch.

At coarse stages a GPU waits for the host most of the time, because a layer of a small image is computed faster than its
kernels are launched. A graph replays exactly the captured kernels, so nothing in it may depend on what the host decides
at a step. Inputs are copied to fixed addresses; random tensors come from a generator that is registered with the graph;
learning rates are tensors. What remains are a step's random choices, such as whether it starts from a real or a random
image: `Method.branch` draws them before the step, and each branch has a graph of its own.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lonepair.ops.device import retain_cached
from lonepair.ops.noise import RandomStream

logger = logging.getLogger("lonepair")

MAX_GRAPHS = 16
"""Number of branches that are captured. With more of them each is replayed too rarely to pay for its capture."""

_CAPTURE_LOCK = threading.Lock()
"""Only one thread captures at a time; others may launch kernels meanwhile."""

Losses = dict[str, Tensor]
Shapes = tuple[torch.Size, ...]


class Step(ABC):
    """A training step whose inputs are prepared and whose random choices are drawn."""

    @property
    @abstractmethod
    def branch(self) -> tuple[Any, ...] | None:
        """The step's random choices; None where they are too many to capture each."""

    @property
    @abstractmethod
    def rng(self) -> RandomStream:
        """Source of all random tensors of the step."""

    @abstractmethod
    def run(self) -> Losses:
        """Compute the step. Nothing in it may depend on host decisions other than `branch`."""


Replay = Callable[[Step], Losses]
"""Does what `run` of a step with the captured branch does."""
Capture = Callable[[Step, torch.Generator], Replay]
"""Captures a step that draws from the generator, without executing it. Raises RuntimeError where that is impossible."""


class Recorder:
    """Runs the steps of one stage: the first of each branch directly, later ones as replays of its capture."""

    def __init__(self, device: torch.device, capture: Capture | None = None) -> None:
        """
        Args:
            device: The GPU.
            capture: How steps are captured; None for CUDA graphs that share their memory.
        """
        self._generator = torch.Generator(device)
        self._capture = capture or _GraphPool()
        self._replays: dict[tuple[Any, ...], Replay | None] = {}
        """Branch -> its replay; None after the first, direct step of the branch."""
        self.is_disabled = False
        """Whether all further steps run directly: a capture failed, or branches are too many."""

    @property
    def captured_branches(self) -> list[tuple[Any, ...]]:
        """Branches that are replayed."""
        return [branch for branch, replay in self._replays.items() if replay]

    def __call__(self, prepare: Callable[[torch.Generator], Step]) -> Losses:
        """Run one step.

        Args:
            prepare: Returns the step. It seeds the generator that it gets, from which the step draws all tensors.

        Returns:
            The step's losses. A later step overwrites them.
        """
        # Preparing seeds the generator, so that a replay draws the numbers that a direct step would draw.
        step = prepare(self._generator)
        branch = step.branch
        if self.is_disabled or branch is None:
            self._disable()
            return step.run()

        # The first step of a branch runs directly: it fills caches and creates the optimizers' state.
        if branch not in self._replays:
            if len(self._replays) < MAX_GRAPHS:
                self._replays[branch] = None
            return step.run()

        # The second step is captured, then replayed like all later ones. A capture launches nothing, so that the step
        # still has to run; host draws in it would be frozen into the graph.
        replay = self._replays[branch]
        if replay is None:
            step.rng.forbid_host_draws("the host draws a random number in Method.losses: draw it in Method.branch")
            try:
                replay = self._replays[branch] = self._capture(step, self._generator)
            except RuntimeError as error:  # capture only saves time: whatever prevents it, the training continues
                logger.info("CUDA graphs are off for this stage: %s", (str(error).splitlines() or ["?"])[0])
                self._disable()
                # A new generator, since the old one may be waiting for the end of the failed capture.
                self._generator = torch.Generator(self._generator.device)
                return prepare(self._generator).run()
        return replay(step)

    def _disable(self) -> None:
        self.is_disabled = True
        self._replays.clear()


class _GraphPool:
    """Captures steps as CUDA graphs that share one memory pool, because they are never replayed concurrently."""

    def __init__(self) -> None:
        self._pool: Any = None

    def __call__(self, step: Step, generator: torch.Generator) -> Replay:
        graph = torch.cuda.CUDAGraph()
        # Without registration a replay would repeat the random numbers of the capture.
        graph.register_generator_state(generator)
        with _capturing(graph, pool=self._pool, stream=torch.cuda.current_stream()) as retained:
            losses = step.run()
        self._pool = graph.pool()
        return _Graph(graph, losses, retained)


@dataclass
class _Graph:
    """A captured step."""

    graph: torch.cuda.CUDAGraph
    losses: Losses
    """Tensors that a replay writes."""
    retained: list[Any]
    """Cached tensors that a replay reads by address."""

    def __call__(self, step: Step) -> Losses:
        self.graph.replay()  # draws from the generator as it was seeded when `step` was prepared
        return self.losses


@contextmanager
def _capturing(graph: torch.cuda.CUDAGraph, **options: Any) -> Iterator[list[Any]]:
    """Within the block this thread's launches are captured; other threads may launch, but not capture.

    Yields:
        The cached tensors that the graph reads by address; keep them as long as the graph.
    """
    restore_stream = torch.cuda.stream(torch.cuda.current_stream())  # torch does not restore it after a failed capture
    with (
        _CAPTURE_LOCK,
        retain_cached() as retained,
        restore_stream,
        torch.cuda.graph(graph, capture_error_mode="thread_local", **options),
    ):
        yield retained


class GraphedFunction:
    """A function of tensors, without gradients, that is replayed as a CUDA graph: one for each combination of shapes.

    The function may depend on nothing but the values of its arguments, and the host may not read them.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        self._function = function
        self._graphs: dict[Shapes, tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]] | None] = {}
        """Shapes -> graph, the tensors that it reads and those that it writes; None after the first, direct call."""
        self._retained: list[Any] = []
        self._uncapturable: set[Shapes] = set()
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, *args: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(tensor.shape for tensor in args)
        # The first call with these shapes runs directly and fills caches, which a capture could not.
        if shapes in self._uncapturable or shapes not in self._graphs:
            self._graphs.setdefault(shapes)
            return self._function(*args)
        entry = self._graphs[shapes] or self._capture(shapes, args)
        if entry is None:
            return self._function(*args)
        # The graph has fixed addresses: copy the arguments there, and the results away before the next call.
        graph, inputs, outputs = entry
        for static, tensor in zip(inputs, args, strict=True):
            static.copy_(tensor)
        graph.replay()
        return tuple(tensor.clone() for tensor in outputs)

    def _capture(
        self, shapes: Shapes, args: Sequence[Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]] | None:
        """The graph, its inputs and its outputs; None where the function cannot be captured."""
        graph, inputs = torch.cuda.CUDAGraph(), [torch.empty_like(tensor) for tensor in args]
        try:
            # A stream of its own: graphs captured in one stream share their workspace, and may run concurrently.
            self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with _capturing(graph, stream=self._stream) as retained:
                outputs = self._function(*inputs)
        except RuntimeError as error:  # as in Recorder
            logger.info("CUDA graphs are off for these frames: %s", (str(error).splitlines() or ["?"])[0])
            self._uncapturable.add(shapes)
            return None
        self._retained += retained
        self._graphs[shapes] = graph, inputs, outputs
        return self._graphs[shapes]
