"""Measures the time of one training step of each method at the finest stage of its published size.

    python benchmarks/step_time.py [METHOD ...] [--preset full] [--steps 5] [--threads 2] [--device cpu] [--plain]

A step is all updates of all players in the method's order; the table has the median of several. With --plain, each
method is also timed with the plain engine, in turn with the default one, and the table has the ratio of the medians.
Inputs are random images: time does not depend on their content. The time of a full training is estimated from the
method's own relative cost of a step at each stage.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time
from dataclasses import dataclass

import torch

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.ops.noise import seed_global
from lonepair.train.loop import add_stage
from lonepair.train.step import Steps

PUBLISHED = {
    "singan": (188, 250),
    "consingan": (188, 250),
    "structural-analogy": (220, 220),
    "representative": (220, 220),
    "lonepair": (220, 220),
    "lonepair-single": (188, 250),
}
"""Method -> (h, w) of the images. Our own methods take the size of the published method that they are compared with."""

WARMUP_STEPS = 2
"""First steps that are not counted: a GPU captures the second one as a graph."""


@dataclass(frozen=True)
class Timing:
    """The steps of one method at its finest stage."""

    job: Job
    seconds: list[float]
    """Seconds of each step."""
    training_steps: float
    """Cost of a full training, in steps of the finest stage."""
    gpu_memory: float
    """Peak memory in GB; 0 on a CPU."""


def time_steps(name: str, args: argparse.Namespace, engine: str) -> Timing:
    """Train the method `name` for a few steps at its finest stage, with `engine` "auto" or "plain"."""
    size = PUBLISHED[name]
    pictures = {
        domain: torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(i)) * 2 - 1
        for i, domain in enumerate(methods.get_method(name).domains)
    }
    job = Job.prepare(pictures, name, args.preset, {"device": args.device, "threads": args.threads, "engine": engine})
    with seed_global(0):
        method = job.method_class(job.config, job.plan)
    levels = job.levels()
    for _ in range(job.plan.stages):
        add_stage(method, levels, job.engine, 0, {})
    steps, seconds = Steps(method, levels, job.engine, 0), []
    with job.engine.training():
        for number in range(args.steps + WARMUP_STEPS):
            start = time.perf_counter()
            steps(number, 1.0)
            if job.engine.device.type == "cuda":
                torch.cuda.synchronize()
            seconds.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() / 1e9 if job.engine.device.type == "cuda" else 0.0
    schedules = [method.schedule(stage) for stage in range(job.plan.stages)]
    training_steps = sum(schedule.steps * schedule.work for schedule in schedules) / schedules[-1].work
    return Timing(job, seconds[WARMUP_STEPS:], training_steps, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=methods.names())
    parser.add_argument("--preset", default="full")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    print(f"{platform.machine()}, {platform.processor() or 'processor not named'}, torch {torch.__version__}\n")
    print(
        "| method | finest stage | engine | median s a step | fastest | slowest | full training | peak memory so far |"
        " plain: median s a step | plain / engine |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in args.methods:
        timing = time_steps(name, args, "auto")
        memory = timing.gpu_memory or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        h, w = next(iter(timing.job.plan.full_sizes.values()))
        seconds, median = timing.seconds, statistics.median(timing.seconds)
        times = " | ".join(f"{t:.2f}" for t in (median, min(seconds), max(seconds)))
        hours = median * timing.training_steps / 3600
        comparison = " | "
        if args.plain:
            # The engines in turn, twice each, so that a slow phase of the machine meets both.
            plain = time_steps(name, args, "plain").seconds
            seconds += time_steps(name, args, "auto").seconds
            plain += time_steps(name, args, "plain").seconds
            comparison = f"{statistics.median(plain):.2f} | {statistics.median(plain) / statistics.median(seconds):.2f}"
        engine = timing.job.engine
        print(f"| {name} | {h}x{w} | {engine} | {times} | {hours:.1f} h | {memory:.1f} GB | {comparison} |", flush=True)


if __name__ == "__main__":
    main()
