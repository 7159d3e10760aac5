"""CUDA graphs: a step's hundreds of launches are recorded once, and then repeated by the GPU without the host.

At coarse stages a GPU waits for the host nearly all the time: a layer of a small picture is computed sooner than its
kernels can be launched. A graph repeats what was recorded, kernel for kernel, so that it must not contain anything that
the host decides anew at each step. Those are a step's frames, which are copied to where the graph looks for them; its
random tensors, which come from generators that the graph knows; learning rates, which are tensors; and choices, such as
whether a real or a random image is redrawn. Of these each combination that occurs has a graph of its own.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from lonepair.methods.base import StepInputs
from lonepair.ops.device import retain_cached
from lonepair.ops.noise import Choice, RandomStream

logger = logging.getLogger("lonepair")

MOST = 16
"""No more ways are recorded: of many each is gone too seldom."""

_ONE_AT_A_TIME = threading.Lock()

Losses = dict[str, Tensor]
Path = tuple[int, ...]
Make = Callable[[torch.Generator], StepInputs]
"""Gives what a step sees, whose random tensors are drawn by this generator: the same each time."""
Shapes = tuple[torch.Size, ...]
Run = Callable[[StepInputs], Losses]
"""Takes a step, of what it sees."""


class Ways:
    """In which ways the choices of a step may fall, as far as they were met: a tree of them.

    What a step asks for next hangs on nothing but how what it asked before has fallen.
    """

    def __init__(self) -> None:
        self._next: dict[Path, tuple[str, float]] = {}

    def walk(self, rng: RandomStream) -> Path:
        """How the choices fall of a step that draws from `draw`, as far as the tree is known."""
        path: Path = ()
        while path in self._next:
            kind, among = self._next[path]
            path = (*path, getattr(rng, kind)(among))
        return path

    def learn(self, asked: Sequence[Choice]) -> Path | None:
        """The way that a step went which `asked` so, as `walk` will find it; None where that cannot be."""
        path: Path = ()
        for choice in asked:
            if choice.fell is None:
                return None
            self._next[path] = (choice.kind, choice.among)
            path = (*path, choice.fell)
        return path


class Recorder:
    """Takes the steps of one stage: the first of each way as they are, the others as graphs."""

    def __init__(self, device: torch.device) -> None:
        self._generator = torch.Generator(device)
        self._ways = Ways()
        self._graphs: dict[Path, tuple[torch.cuda.CUDAGraph, Losses] | None] = {}
        """None: this way was gone once, and is recorded when it is gone again."""
        self._pool: Any = None
        self._held: list[Any] = []
        self._gave_up = False

    def __call__(self, make: Make, run: Run) -> Losses:
        """The losses of a step, which hold until the next one."""
        if self._gave_up:
            return run(make(self._generator))
        path = self._ways.walk(make(self._generator).rng)
        if path in self._graphs:
            found = self._graphs[path] or self._record(path, make, run)
            if found:
                found[0].replay()
                return found[1]
        return self._look(make(self._generator), run)

    def _look(self, inputs: StepInputs, run: Run) -> Losses:
        """A step as it is, after which it is known what it asks for."""
        asked: list[Choice] = []
        inputs.rng.told = asked.append
        losses = run(inputs)
        path = self._ways.learn(asked)
        if path is None:
            self._give_up()
        elif len(self._graphs) < MOST:
            self._graphs.setdefault(path)
        return losses

    def _record(self, path: Path, make: Make, run: Run) -> tuple[torch.cuda.CUDAGraph, Losses] | None:
        """A graph of the step that `make` makes, which is not taken by that; None where it cannot be recorded."""
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self._generator)
        inputs = make(self._generator)
        try:
            with _recording(graph, pool=self._pool, stream=torch.cuda.current_stream()) as held:
                losses = run(inputs)
        except RuntimeError as error:  # recording is for speed alone: whatever forbids it, the training goes on
            logger.info("the steps of this stage are not recorded: %s", (str(error).splitlines() or ["?"])[0])
            self._give_up()
            return None
        self._pool = graph.pool()
        self._held += held
        self._graphs[path] = graph, losses
        return self._graphs[path]

    def _give_up(self) -> None:
        self._gave_up = True
        self._graphs.clear()
        self._held.clear()
        self._generator = torch.Generator(self._generator.device)  # the other may wait for the end of a recording


@contextmanager
def _recording(graph: torch.cuda.CUDAGraph, **how: Any) -> Iterator[list[Any]]:
    """Within it, what this thread launches is recorded. Others may train meanwhile, but not record.

    What it gives has to be kept as long as the graph.
    """
    here = torch.cuda.stream(torch.cuda.current_stream())  # to which torch does not go back where recording fails
    with (
        _ONE_AT_A_TIME,
        retain_cached() as held,
        here,
        torch.cuda.graph(graph, capture_error_mode="thread_local", **how),
    ):
        yield held


class Repeated:
    """A function of tensors, for use without gradients, that a GPU repeats as a graph: one for all that is of a shape.

    What it computes may hang on nothing but their values, and the host may decide nothing by these.
    """

    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        self._function = function
        self._graphs: dict[Shapes, tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]] | None] = {}
        """By what is given: with where that is looked for, and what is made. None: such was given once."""
        self._held: list[Any] = []
        self._never: set[Shapes] = set()
        """Of what cannot be recorded."""
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, *given: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(tensor.shape for tensor in given)
        if shapes in self._never or shapes not in self._graphs:
            self._graphs.setdefault(shapes)
            return self._function(*given)
        found = self._graphs[shapes] or self._record(shapes, given)
        if found is None:
            return self._function(*given)
        graph, places, made = found
        for place, tensor in zip(places, given, strict=True):
            place.copy_(tensor)
        graph.replay()
        return tuple(tensor.clone() for tensor in made)

    def _record(
        self, shapes: Shapes, given: Sequence[Tensor]
    ) -> tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]] | None:
        """A graph of the function, where it looks for what it is given, and what it makes; None where it cannot be."""
        graph, places = torch.cuda.CUDAGraph(), [torch.empty_like(tensor) for tensor in given]
        try:
            # One of its own: graphs that were recorded in one stream share room to work in, and may run at once.
            self._stream = self._stream or torch.cuda.Stream()  # type: ignore[no-untyped-call]
            with _recording(graph, stream=self._stream) as held:
                made = self._function(*places)
        except RuntimeError as error:  # as with steps
            logger.info("frames are not recorded: %s", (str(error).splitlines() or ["?"])[0])
            self._never.add(shapes)
            return None
        self._held += held
        self._graphs[shapes] = graph, places, made
        return self._graphs[shapes]
