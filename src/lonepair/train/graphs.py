"""CUDA graphs: a step's hundreds of launches are recorded once, and then repeated by the GPU without the host.

At coarse stages a GPU waits for the host nearly all the time: a layer of a small picture is computed sooner than its
kernels can be launched. A graph repeats what was recorded, kernel for kernel, so that it must not contain anything that
the host decides anew at each step. Those are a step's frames, which are copied to where the graph looks for them; its
random tensors, which come from generators that the graph knows; learning rates, which are tensors; and choices, such as
whether a real or a random image is redrawn. Of these each combination that occurs has a graph of its own.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from lonepair.methods.base import Scene
from lonepair.noise import Choice, Draw

logger = logging.getLogger("lonepair")

MOST = 12
"""Steps whose choices fall in more ways than so many are not worth recording: few would be met again."""

Losses = dict[str, Tensor]
Path = tuple[int, ...]
Make = Callable[[Sequence[torch.Generator]], Sequence[Scene]]
"""What each of a step's players sees, its random tensors drawn by these generators."""
Run = Callable[[Sequence[Scene]], Losses]
"""Takes the step."""


class Ways:
    """In which ways the choices of a step may fall, as far as they were met: a tree of them.

    What a step asks for next hangs on nothing but how what it asked before has fallen.
    """

    def __init__(self) -> None:
        self._next: dict[Path, tuple[int, str, float]] = {}

    def walk(self, draws: Sequence[Draw]) -> Path:
        """How this step's choices fall, drawn from `draws`, as far as the tree is known."""
        path: Path = ()
        while path in self._next:
            which, kind, among = self._next[path]
            path = (*path, getattr(draws[which], kind)(among))
        return path

    def learn(self, asked: Sequence[tuple[int, Choice]]) -> Path | None:
        """The way that a step went which `asked` so, as `walk` will find it; None where that cannot be."""
        path: Path = ()
        for which, choice in asked:
            if choice.fell is None:
                return None
            self._next[path] = (which, choice.kind, choice.among)
            path = (*path, choice.fell)
        return path


class Recorder:
    """Takes the steps of one stage: the first of each way as they are, the others as graphs."""

    def __init__(self, device: torch.device, generators: int) -> None:
        self._device, self._count = device, generators
        self._generators = self._new_generators()
        self._ways = Ways()
        self._graphs: dict[Path, tuple[torch.cuda.CUDAGraph, Losses] | None] = {}
        """None: this way was gone once, and is recorded when it is gone again."""
        self._pool: Any = None
        self._gave_up = False

    def __call__(self, make: Make, run: Run) -> Losses:
        """The losses of a step, which hold until the next one. `make` is called again where it has to begin anew."""
        if self._gave_up:
            return run(make(self._generators))
        scenes = make(self._generators)
        path = self._ways.walk(_draws(scenes))
        if path in self._graphs:
            found = self._graphs[path] or self._record(path, make, run)
            if found:
                found[0].replay()
                return found[1]
        return self._look(make(self._generators), run)

    def _look(self, scenes: Sequence[Scene], run: Run) -> Losses:
        """A step as it is, after which it is known what it asks for."""
        asked: list[tuple[int, Choice]] = []
        for which, draw in enumerate(_draws(scenes)):
            draw.told = functools.partial(lambda which, choice: asked.append((which, choice)), which)
        losses = run(scenes)
        path = self._ways.learn(asked)
        if path is None or len(self._graphs) == MOST:
            self._give_up()
        else:
            self._graphs.setdefault(path)
        return losses

    def _record(self, path: Path, make: Make, run: Run) -> tuple[torch.cuda.CUDAGraph, Losses] | None:
        """A graph of the step that `make` makes, which is not taken by that; None where it cannot be recorded."""
        graph = torch.cuda.CUDAGraph()
        for generator in self._generators:
            graph.register_generator_state(generator)
        scenes = make(self._generators)
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=torch.cuda.current_stream()):
                losses = run(scenes)
        except RuntimeError as error:  # recording is for speed alone: whatever forbids it, the training goes on
            logger.info("the steps of this stage are not recorded: %s", (str(error).splitlines() or ["?"])[0])
            self._give_up()
            return None
        self._pool = graph.pool()
        self._graphs[path] = graph, losses
        return self._graphs[path]

    def _give_up(self) -> None:
        self._gave_up = True
        self._graphs.clear()
        self._generators = self._new_generators()  # the others may wait for the end of a recording

    def _new_generators(self) -> list[torch.Generator]:
        return [torch.Generator(self._device) for _ in range(self._count)]


def _draws(scenes: Sequence[Scene]) -> list[Draw]:
    """The streams that a step draws from, each once."""
    return list({id(scene.draw): scene.draw for scene in scenes}.values())
