"""What `speed.py` measures: each function returns one that measures and returns its result as text."""

from __future__ import annotations

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import lonepair as lp
import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.compute.engine import Engine
from lonepair.methods.base import Method
from lonepair.render.sampling import sample
from lonepair.train.loop import add_stage
from lonepair.train.step import Steps

Size = tuple[int, int]
WARMUP_STEPS = 2
"""First steps that are not counted: a GPU captures the second one as a graph."""


class Training:
    """An untrained method on random images of (h, w) `size`, which can be brought to any stage."""

    def __init__(self, name: str, size: Size, args: argparse.Namespace, engine: str = "auto", **settings: Any) -> None:
        preset = settings.pop("preset", "full")
        rng = torch.Generator().manual_seed(0)
        pictures = {d: torch.rand(1, 3, *size, generator=rng) * 2 - 1 for d in methods.get_method(name).domains}
        common = {"device": args.device, "threads": args.threads, "engine": engine}
        self.job = Job.prepare(pictures, name, preset, {**common, **settings})
        self.method: Method = self.job.new_method()
        self._levels = self.job.levels()
        self._timed_steps = args.steps
        self._steps: Any = None

    def add_stage(self) -> None:
        """Add the next stage, untrained."""
        add_stage(self.method, self._levels, self.job.engine, 0, {})
        self._steps = Steps(self.method, self._levels, self.job.engine, 0)

    def add_all_stages(self) -> Training:
        """Add the stages up to the last one; returns the training itself."""
        while self.method.stage + 1 < self.job.plan.stages:
            self.add_stage()
        return self

    def step(self, index: int) -> float:
        """Seconds of one step: all updates of all players in the method's order; `index` is its number."""
        engine = self.job.engine
        with engine.training():
            start = time.perf_counter()
            self._steps(index, 1.0)
            if engine.device.type == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - start

    def estimate_seconds(self) -> float:
        """Seconds of the full training, estimated from the median step time of each stage."""
        seconds = 0.0
        while self.method.stage + 1 < self.job.plan.stages:
            self.add_stage()
            times = [self.step(index) for index in range(self._timed_steps + WARMUP_STEPS)][WARMUP_STEPS:]
            seconds += self.method.schedule(self.method.stage).steps * statistics.median(times)
        return seconds


def in_turn(one: Callable[[int], float], other: Callable[[int], float], count: int) -> tuple[list[float], list[float]]:
    """`count` measurements of each function, taken in turn; the warm-up is left out."""
    pairs = [(one(index), other(index)) for index in range(count + WARMUP_STEPS)][WARMUP_STEPS:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def spread(values: Sequence[float]) -> str:
    """Median, minimum and maximum of `values` in seconds, as text."""
    return f"{statistics.median(values):.3g} s ({min(values):.3g} to {max(values):.3g})"


def training_vs_plain(name: str, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """Minutes of a full training with the default engine and with the plain engine on full images."""

    def measure(args: argparse.Namespace) -> str:
        fast = Training(name, size, args, "auto", **settings)
        no_crops = {setting: 0 for setting in ("crop_size",) if setting in fast.job.config.to_dict()}
        plain = Training(name, size, args, "plain", **{**settings, **no_crops})
        minutes, by_stage = [0.0, 0.0], []
        for stage in range(fast.job.plan.stages):
            fast.add_stage()
            plain.add_stage()
            medians = [statistics.median(seconds) for seconds in in_turn(fast.step, plain.step, args.steps)]
            count = fast.method.schedule(stage).steps
            minutes = [total + count * median / 60 for total, median in zip(minutes, medians, strict=True)]
            by_stage.append(f"{medians[1] / medians[0]:.1f}")
        return (
            f"{minutes[0]:.1f} min, plain {minutes[1]:.1f} min: {minutes[1] / minutes[0]:.2f} times "
            f"({', '.join(by_stage)} at the stages, coarse first)"
        )

    return measure


def training_time(name: str, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """Minutes of a full training."""
    return lambda args: f"{Training(name, size, args, **settings).estimate_seconds() / 60:.1f} min"


def large_vs_small(name: str, large: int, small: int = 256) -> Callable[[argparse.Namespace], str]:
    """Seconds of a step at the finest stage of a large square and of a small one, with the same factor per stage."""

    def measure(args: argparse.Namespace) -> str:
        sides = (large, small)
        large_training, small_training = (
            Training(name, (side, side), args, max_side=side, stages=_stages(side)).add_all_stages() for side in sides
        )
        large_times, small_times = in_turn(large_training.step, small_training.step, args.steps)
        ratio = statistics.median(large_times) / statistics.median(small_times)
        return f"{spread(large_times)}, of {small}x{small} {spread(small_times)}: {ratio:.2f} times"

    return measure


def _stages(side: int) -> int:
    """Number of stages for a square of `side` pixels: sizes grow by a factor of about 1.4 from stage to stage."""
    return min(12, 6 + 2 * round(torch.log2(torch.tensor(side / 256)).item()))


def large_step(name: str, side: int) -> Callable[[argparse.Namespace], str]:
    """Seconds of a step at the last stage of a training on a large square; its peak memory is what counts."""

    def measure(args: argparse.Namespace) -> str:
        training = Training(name, (side, side), args, max_side=side, stages=_stages(side)).add_all_stages()
        return spread([training.step(index) for index in range(args.steps)]) + " a step"

    return measure


def frame_rate(name: str, size: Size, synthesize: bool) -> Callable[[argparse.Namespace], str]:
    """Frames per second of a clip's translation by an untrained model, with or without patch synthesis."""

    def measure(args: argparse.Namespace) -> str:
        training = Training(name, size, args, preset="standard").add_all_stages()
        rng = torch.Generator().manual_seed(1)
        still = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=rng) * 2 - 1, size)
        clip = torch.cat([still.roll(index, 3) for index in range(10 + args.steps)])
        translation = Model(training.method, training.job.engine, {}).translate(clip, synthesize=synthesize)
        frames, seconds = translation.frames(), []
        for _ in range(len(clip)):
            start = time.perf_counter()
            next(frames)
            seconds.append(time.perf_counter() - start)
        # The first frame starts from nothing, and a GPU captures the second one.
        return f"{1 / statistics.median(seconds[2:]):.1f} a second"

    return measure


def parallel_trainings(count: int, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """Seconds of `count` trainings of a pair in one process: by `fit_many`, and one after the other."""

    def measure(args: argparse.Namespace) -> str:
        rng = torch.Generator().manual_seed(0)
        pair = [torch.rand(1, 3, *size, generator=rng) * 2 - 1 for _ in range(2)]
        common = {"device": args.device, "threads": args.threads, **settings}
        fits = [functools.partial(lp.fit_pair, *pair, seed=seed, **common) for seed in range(count)]
        fits[0]()  # warm-up

        def timed(run: Callable[[], Any]) -> float:
            start = time.perf_counter()
            run()
            return time.perf_counter() - start

        def fit_all() -> None:
            for result in lp.fit_many(fits):
                if isinstance(result, Exception):
                    raise result

        sequential, parallel = timed(lambda: [fit() for fit in fits]), timed(fit_all)
        return f"{parallel:.1f} s in parallel, {sequential:.1f} s in turn: {sequential / parallel:.2f} times"

    return measure


def large_sample(name: str, side: int) -> Callable[[argparse.Namespace], str]:
    """Seconds of a random square of `side` pixels, by the networks alone."""

    def measure(args: argparse.Namespace) -> str:
        training = Training(name, (188, 250), args).add_all_stages()
        start = time.perf_counter()
        sample(training.method, training.job.engine, 1, 0, (side, side))
        return f"{time.perf_counter() - start:.1f} s"

    return measure


class ConvolutionCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the floating-point operations of convolutions, forward, backward and double backward."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = call(*args, **(kwargs or {}))
        if call.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward):
            self.operations += flop_registry[call.overloadpacket](*args, **(kwargs or {}), out_val=output)
        return output


def utilization(name: str, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """Convolutions' operations per second in a step at the finest stage, over those of a single layer."""

    def measure(args: argparse.Namespace) -> str:
        training = Training(name, size, args, **settings).add_all_stages()
        training.step(0)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # The dispatch mode sees the calls of its own thread only.
        with ConvolutionCounter() as counter:
            training.step(1)
        torch.set_num_threads(threads)
        seconds = statistics.median(training.step(index) for index in range(2, args.steps + 2))
        speed, ceiling = counter.operations / seconds, layer_speed(training.job.engine, size)
        return f"{speed / 1e9:.0f} of {ceiling / 1e9:.0f} GFLOP/s: {speed / ceiling:.2f}"

    return measure


def layer_speed(engine: Engine, size: Size) -> float:
    """Operations per second of one 3x3 convolution of 64 channels on an image of `size`, forward and backward."""
    layer = torch.nn.Conv2d(64, 64, 3, padding=1)
    engine.move(layer)
    features = engine.to_device(torch.randn(1, 64, *size)).requires_grad_()

    def work() -> None:
        with engine.autocast():
            layer(features).float().sum().backward()

    def timed(call: Callable[[], None], times: int) -> float:
        start = time.perf_counter()
        call()
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        return (time.perf_counter() - start) / times

    operations = 3 * 2.0 * 64 * 64 * 9 * size[0] * size[1]
    with engine.training():
        seconds = [timed(work, 1) for _ in range(22)][2:]
        if engine.captures_graphs:  # Direct calls would measure the launches of small kernels.
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                for _ in range(20):
                    work()
            seconds = [timed(graph.replay, 20) for _ in range(10)][2:]
    return operations / statistics.median(seconds)
