"""How fast it is, beside what it aims at: trainings, steps beside the plain engine's, large pictures, clips.

    python benchmarks/speed.py [NAME ...] [--steps 3] [--threads 2] [--device cpu] > docs/results/speed-table.md

NAME as in the table; without, all of them. Each is measured in a process of its own, so that memory is its own, on
random pictures: time does not depend on them. Ratios are of medians within one run, the two sides in turn. A whole
training is estimated from steps at each of its stages. `steps-lonepair frames-lonepair flops-consingan` take less
than 10 minutes on two CPU cores; all of them half an hour. Nothing else should run beside it.
"""

from __future__ import annotations

import argparse
import functools
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import torch
from contest import run_benchmark, table
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

import lonepair as lp
import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.api.model import Model
from lonepair.commands.doctor import cpu_name
from lonepair.compute.engine import Engine
from lonepair.methods.base import Method
from lonepair.render.sampling import sample
from lonepair.train.loop import add_stage
from lonepair.train.step import Steps

Size = tuple[int, int]
TIMES_SMALL = "1.3 times 256x256"
WARM = 2
"""So many first steps do not count: a GPU records the second."""


@dataclass(frozen=True)
class Row:
    """What is measured, what is aimed at on two CPU cores and on a GPU, and how."""

    what: str
    aim: str
    on_gpu: str
    measure: Callable[[argparse.Namespace], str]
    """Gives what was found, in words; peak memory is added."""


class Training:
    """A method before its training, on random pictures, which can be brought to any stage."""

    def __init__(self, name: str, size: Size, given: argparse.Namespace, engine: str = "auto", **settings: Any) -> None:
        preset = settings.pop("preset", "full")
        rng = torch.Generator().manual_seed(0)
        pictures = {d: torch.rand(1, 3, *size, generator=rng) * 2 - 1 for d in methods.get_method(name).domains}
        common = {"device": given.device, "threads": given.threads, "engine": engine}
        self.job = Job.prepare(pictures, name, preset, {**common, **settings})
        self.method: Method = self.job.new_method()
        self._levels = self.job.levels()
        self._given = given
        self._steps: Any = None

    def add_stage(self) -> None:
        """To the next stage, untrained."""
        add_stage(self.method, self._levels, self.job.engine, 0, {})
        self._steps = Steps(self.method, self._levels, self.job.engine, 0)

    def grown(self) -> Training:
        """To the last stage."""
        while self.method.stage + 1 < self.job.plan.stages:
            self.add_stage()
        return self

    def step(self, index: int) -> float:
        """Seconds of one step: all updates of all players in the method's order."""
        engine = self.job.engine
        with engine.training():
            start = time.perf_counter()
            self._steps(index, 1.0)
            if engine.device.type == "cuda":
                torch.cuda.synchronize()
            return time.perf_counter() - start

    def whole(self) -> float:
        """Seconds of the whole training, estimated from the median of some steps at each stage."""
        seconds = 0.0
        while self.method.stage + 1 < self.job.plan.stages:
            self.add_stage()
            steps = [self.step(index) for index in range(self._given.steps + WARM)][WARM:]
            seconds += self.method.schedule(self.method.stage).steps * statistics.median(steps)
        return seconds


def in_turn(one: Callable[[int], float], other: Callable[[int], float], count: int) -> tuple[list[float], list[float]]:
    """`count` measurements of each, in turn, after some that do not count."""
    pairs = [(one(index), other(index)) for index in range(count + WARM)][WARM:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def spread(values: Sequence[float]) -> str:
    """Median, least and largest, in words."""
    return f"{statistics.median(values):.3g} s ({min(values):.3g} to {max(values):.3g})"


def whole_beside_plain(name: str, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """A whole training with the engine, and with the plain one of which all see whole pictures."""

    def measure(given: argparse.Namespace) -> str:
        fast = Training(name, size, given, "auto", **settings)
        whole = {setting: 0 for setting in ("crop_size",) if setting in fast.job.config.to_dict()}
        plain = Training(name, size, given, "plain", **{**settings, **whole})
        minutes, by_stage = [0.0, 0.0], []
        for stage in range(fast.job.plan.stages):
            fast.add_stage()
            plain.add_stage()
            medians = [statistics.median(seconds) for seconds in in_turn(fast.step, plain.step, given.steps)]
            count = fast.method.schedule(stage).steps
            minutes = [so_far + count * median / 60 for so_far, median in zip(minutes, medians, strict=True)]
            by_stage.append(f"{medians[1] / medians[0]:.1f}")
        return (
            f"{minutes[0]:.1f} min, plain {minutes[1]:.1f} min: {minutes[1] / minutes[0]:.2f} times "
            f"({', '.join(by_stage)} at the stages, coarse first)"
        )

    return measure


def whole(name: str, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """A whole training."""
    return lambda given: f"{Training(name, size, given, **settings).whole() / 60:.1f} min"


def large_beside_small(name: str, large: int, small: int = 256) -> Callable[[argparse.Namespace], str]:
    """A step at the finest stage of a large picture and of a small one, as many stages apart as their ratio asks."""

    def measure(given: argparse.Namespace) -> str:
        sides = (large, small)
        big, little = (
            Training(name, (side, side), given, max_side=side, stages=_stages(side)).grown() for side in sides
        )
        ours, theirs = in_turn(big.step, little.step, given.steps)
        ratio = statistics.median(ours) / statistics.median(theirs)
        return f"{spread(ours)}, of {small}x{small} {spread(theirs)}: {ratio:.2f} times"

    return measure


def _stages(side: int) -> int:
    """Stages of a picture of `side` pixels, which grow by about 1.4 from one to the next."""
    return min(12, 6 + 2 * round(torch.log2(torch.tensor(side / 256)).item()))


def memory(name: str, side: int) -> Callable[[argparse.Namespace], str]:
    """Steps at the last stage of a training on a large picture."""

    def measure(given: argparse.Namespace) -> str:
        training = Training(name, (side, side), given, max_side=side, stages=_stages(side)).grown()
        return spread([training.step(index) for index in range(given.steps)]) + " a step"

    return measure


def frames(name: str, size: Size, finish: bool) -> Callable[[argparse.Namespace], str]:
    """Frames of a moving picture, after the first, redrawn by an untrained model."""

    def measure(given: argparse.Namespace) -> str:
        training = Training(name, size, given, preset="standard").grown()
        rng = torch.Generator().manual_seed(1)
        still = torch.nn.functional.interpolate(torch.rand(1, 3, 12, 12, generator=rng) * 2 - 1, size)
        clip = torch.cat([still.roll(index, 3) for index in range(10 + given.steps)])
        made = Model(training.method, training.job.engine, {}).translate(clip, synthesize=finish).frames()
        seconds = []
        for _ in range(len(clip)):
            start = time.perf_counter()
            next(made)
            seconds.append(time.perf_counter() - start)
        return f"{1 / statistics.median(seconds[2:]):.1f} a second"

    return measure


def in_one_process(count: int, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """So many trainings of a pair, one after the other and together."""

    def measure(given: argparse.Namespace) -> str:
        rng = torch.Generator().manual_seed(0)
        pair = [torch.rand(1, 3, *size, generator=rng) * 2 - 1 for _ in range(2)]
        common = {"device": given.device, "threads": given.threads, **settings}
        fits = [functools.partial(lp.fit_pair, *pair, seed=seed, **common) for seed in range(count)]
        fits[0]()

        def timed(run: Callable[[], Any]) -> float:
            start = time.perf_counter()
            run()
            return time.perf_counter() - start

        def fit_all() -> None:
            for result in lp.fit_many(fits):
                if isinstance(result, Exception):
                    raise result

        apart, together = timed(lambda: [fit() for fit in fits]), timed(fit_all)
        return f"{together:.1f} s together, {apart:.1f} s in turn: {apart / together:.2f} times"

    return measure


def large_sample(name: str, side: int) -> Callable[[argparse.Namespace], str]:
    """A random picture, unfinished."""

    def measure(given: argparse.Namespace) -> str:
        training = Training(name, (188, 250), given).grown()
        start = time.perf_counter()
        sample(training.method, training.job.engine, 1, 0, (side, side))
        return f"{time.perf_counter() - start:.1f} s"

    return measure


class Convolutions(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what convolutions multiply and add, those of derivatives and of their derivatives, too."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations = 0

    def __torch_dispatch__(self, call: Any, types: Any, given: Any = (), named: Any = None) -> Any:
        made = call(*given, **(named or {}))
        if call.overloadpacket in (torch.ops.aten.convolution, torch.ops.aten.convolution_backward):
            self.operations += flop_registry[call.overloadpacket](*given, **(named or {}), out_val=made)
        return made


def rate(name: str, size: Size, **settings: Any) -> Callable[[argparse.Namespace], str]:
    """Convolutions' operations of a step at the finest stage, a second, over what one such layer alone reaches."""

    def measure(given: argparse.Namespace) -> str:
        training = Training(name, size, given, **settings).grown()
        training.step(0)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # other threads' would not be counted
        with Convolutions() as counted:
            training.step(1)
        torch.set_num_threads(threads)
        seconds = statistics.median(training.step(index) for index in range(2, given.steps + 2))
        ours, ceiling = counted.operations / seconds, ceiling_of(training.job.engine, size)
        return f"{ours / 1e9:.0f} of {ceiling / 1e9:.0f} GFLOP/s: {ours / ceiling:.2f}"

    return measure


def ceiling_of(engine: Engine, size: Size) -> float:
    """What one layer of 64 channels reaches, forward and backward, a second."""
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
        if engine.captures_graphs:  # its launches, one by one, would be what is measured
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                for _ in range(20):
                    work()
            seconds = [timed(graph.replay, 20) for _ in range(10)][2:]
    return operations / statistics.median(seconds)


ROWS = {
    "whole-consingan": Row(
        "`consingan`, 188x250, whole default training",
        "4 times",
        "6 times",
        whole_beside_plain("consingan", (188, 250)),
    ),
    "whole-structural-analogy": Row(
        "`structural-analogy`, 220x220, a step at all stages",
        "4 times",
        "10 times coarse, 4 fine",
        whole_beside_plain("structural-analogy", (220, 220), steps=1),
    ),
    "steps-lonepair": Row(
        "`lonepair`, 220x220, `standard`, whole training",
        "3 min",
        "0.33 min",
        whole("lonepair", (220, 220), preset="standard"),
    ),
    "frames-lonepair": Row(
        "a clip of 220x220, finished", "25 a second", "400 a second", frames("lonepair", (220, 220), finish=True)
    ),
    "frames-network": Row(
        "a clip of 220x220, as networks draw it",
        "25 a second",
        "400 a second",
        frames("lonepair", (220, 220), finish=False),
    ),
    "whole-representative": Row(
        "`representative`, 220x220, `draft` at that size",
        "5 min",
        "0.67 min",
        whole("representative", (220, 220), preset="draft", max_side=220),
    ),
    "large-lonepair": Row(
        "`lonepair`, a step at 2048x2048", TIMES_SMALL, TIMES_SMALL, large_beside_small("lonepair", 2048)
    ),
    "large-consingan": Row(
        "`consingan`, a step at 2048x2048", TIMES_SMALL, TIMES_SMALL, large_beside_small("consingan", 2048)
    ),
    "large-representative": Row(
        "`representative`, a step at 2048x2048", TIMES_SMALL, TIMES_SMALL, large_beside_small("representative", 2048)
    ),
    "memory-lonepair": Row("`lonepair`, training on 4096x4096", "4 GB", "6 GB", memory("lonepair", 4096)),
    "memory-consingan": Row("`consingan`, training on 4096x4096", "4 GB", "6 GB", memory("consingan", 4096)),
    "sample-consingan": Row("`consingan`, a sample of 4096x4096", "60 s, 4 GB", "2 s", large_sample("consingan", 4096)),
    "sample-lonepair-single": Row(
        "`lonepair-single`, a sample of 4096x4096", "60 s, 4 GB", "2 s", large_sample("lonepair-single", 4096)
    ),
    "flops-consingan": Row(
        "`consingan`, a step at 188x250: convolutions' operations over one layer's",
        "0.7",
        "0.4",
        rate("consingan", (188, 250)),
    ),
    "flops-lonepair": Row("`lonepair`, the same at 80x80", "0.7", "0.4", rate("lonepair", (80, 80), preset="standard")),
    "together-lonepair": Row(
        "`lonepair`, 220x220, `draft`, four seeds in one process",
        "",
        "more than once",
        in_one_process(4, (220, 220), preset="draft"),
    ),
}


def run(given: argparse.Namespace) -> int:
    """Measure in processes of their own, or, as one of these, here."""
    if given.here:
        found = ROWS[given.here].measure(given)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        if given.device.startswith("cuda"):
            peak = torch.cuda.max_memory_allocated() / 1e9
        print(f"{found}; {peak:.1f} GB")
        return 0
    if unknown := [name for name in given.names if name not in ROWS]:
        raise lp.UserError(f"{', '.join(unknown)}: no such measurement; there are {', '.join(ROWS)}")
    print(
        f"{date.today().isoformat()}, {_name(given.device)}, device {given.device}, {given.threads} threads, "
        f"Python {platform.python_version()}, torch {torch.__version__}; {given.steps} steps each.\n"
    )
    gpu = given.device.startswith("cuda")
    where = "one GPU" if gpu else "two CPU cores"
    print("\n".join(table(["name", "what", f"aim, {where}", "found; peak memory"], [], 4)), flush=True)
    options = ["--steps", str(given.steps), "--threads", str(given.threads), "--device", given.device]
    for name in given.names or ROWS:
        child = subprocess.run([sys.executable, __file__, "--here", name, *options], capture_output=True, text=True)
        found = child.stdout.strip() if child.returncode == 0 else f"failed: {child.stderr.strip().splitlines()[-1]}"
        row = ROWS[name]
        print(f"| {name} | {row.what} | {row.on_gpu if gpu else row.aim} | {found} |", flush=True)
    return 0


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device.startswith("cuda") else cpu_name()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--here", choices=list(ROWS), help=argparse.SUPPRESS)
    return run_benchmark(lambda: run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
