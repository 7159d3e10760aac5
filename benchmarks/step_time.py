"""Time of one training step of each method at its published size: the finest stage, median of several.

    python benchmarks/step_time.py [METHOD ...] [--steps 5] [--threads 2] [--device cpu]

A step is all updates of all players in the method's order. Inputs are random pictures: time does not depend on them.
The table is for docs/results; it says machine, threads and precision.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time

import torch

import lonepair.methods as methods
from lonepair.job import Job
from lonepair.noise import seeded
from lonepair.train.loop import _grow, _optimizers, _scene, _step

PUBLISHED = {
    "singan": (188, 250),
    "consingan": (188, 250),
    "structural-analogy": (220, 220),
    "representative": (220, 220),
}
"""(h, w) of the pictures; a method that is not listed takes the last."""


def timed(name: str, steps: int, device: str, threads: int) -> tuple[list[float], str, float]:
    """Seconds of each of `steps` steps at the finest stage after one for warming up, the engine, and GPU memory."""
    size = PUBLISHED.get(name, (220, 220))
    pictures = {
        domain: torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(i)) * 2 - 1
        for i, domain in enumerate(methods.get_method(name).domains)
    }
    job = Job.plan(pictures, name, "full", {"device": device, "threads": threads})
    with seeded(0):
        method = job.method_class(job.config, job.layout)
    levels = job._levels()
    for _ in range(job.layout.stages):
        _grow(method, levels, job.engine, 0, {})
    schedule, optimizers = method.schedule(method.stage), _optimizers(method.players(), {})
    found = []
    for step in range(steps + 1):
        start = time.perf_counter()
        _step(method, _scene(method, levels, job.engine, 0, step), schedule, optimizers, 1.0, job.engine)
        if job.engine.device.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() / 1e9 if job.engine.device.type == "cuda" else 0.0
    return found[1:], str(job.engine), memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=methods.names())
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    print(f"{platform.machine()}, {platform.processor() or 'processor not named'}, torch {torch.__version__}\n")
    print("| method | size | engine | median s a step | fastest | slowest | peak memory so far |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: |")
    for name in given.methods:
        seconds, engine, on_gpu = timed(name, given.steps, given.device, given.threads)
        memory = on_gpu or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        h, w = PUBLISHED.get(name, (220, 220))
        times = " | ".join(f"{t:.2f}" for t in (statistics.median(seconds), min(seconds), max(seconds)))
        print(f"| {name} | {h}x{w} | {engine} | {times} | {memory:.1f} GB |")


if __name__ == "__main__":
    main()
