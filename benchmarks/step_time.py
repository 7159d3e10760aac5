"""Time of one training step of each method at its published size: the finest stage, median of several.

    python benchmarks/step_time.py [METHOD ...] [--preset full] [--steps 5] [--threads 2] [--device cpu] [--plain]

With --plain each is also timed with `engine` plain, in turn with the other, and the ratio of the medians is given. A
step is all updates of all players in the method's order. Inputs are random pictures: time does not depend on them. The
whole training is estimated from it, by the method's own count of what a step at each stage costs. The table is for
docs/results; it says machine, threads and precision.
"""

from __future__ import annotations

import argparse
import platform
import resource
import statistics
import time

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
"""(h, w) of the pictures; those of our own are the ones beside them."""


WARM = 2
"""So many first steps do not count: a GPU records the second."""


def timed(name: str, given: argparse.Namespace, engine: str) -> tuple[list[float], Job, float, float]:
    """Seconds of each of some steps at the finest stage after some for warming up, the job, a whole training in such
    steps, and GPU memory in GB."""
    size = PUBLISHED[name]
    pictures = {
        domain: torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(i)) * 2 - 1
        for i, domain in enumerate(methods.get_method(name).domains)
    }
    job = Job.prepare(
        pictures, name, given.preset, {"device": given.device, "threads": given.threads, "engine": engine}
    )
    with seed_global(0):
        method = job.method_class(job.config, job.plan)
    levels = job.levels()
    for _ in range(job.plan.stages):
        add_stage(method, levels, job.engine, 0, {})
    steps, found = Steps(method, levels, job.engine, 0), []
    with job.engine.training():
        for number in range(given.steps + WARM):
            start = time.perf_counter()
            steps(number, 1.0)
            if job.engine.device.type == "cuda":
                torch.cuda.synchronize()
            found.append(time.perf_counter() - start)
    memory = torch.cuda.max_memory_allocated() / 1e9 if job.engine.device.type == "cuda" else 0.0
    plans = [method.schedule(stage) for stage in range(job.plan.stages)]
    whole = sum(plan.steps * plan.work for plan in plans) / method.schedule(method.stage).work
    return found[WARM:], job, whole, memory


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("methods", nargs="*", default=methods.names())
    parser.add_argument("--preset", default="full")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--plain", action="store_true")
    given = parser.parse_args()
    print(f"{platform.machine()}, {platform.processor() or 'processor not named'}, torch {torch.__version__}\n")
    print(
        "| method | finest stage | engine | median s a step | fastest | slowest | whole training | peak memory so far |"
        " plain: median s a step | plain / engine |"
    )
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name in given.methods:
        seconds, job, whole, on_gpu = timed(name, given, "auto")
        memory = on_gpu or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        h, w = next(iter(job.plan.full_sizes.values()))
        median = statistics.median(seconds)
        times = " | ".join(f"{t:.2f}" for t in (median, min(seconds), max(seconds)))
        hours = median * whole / 3600
        beside = " | "
        if given.plain:
            plain = timed(name, given, "plain")[0]
            seconds += timed(name, given, "auto")[0]
            plain += timed(name, given, "plain")[0]
            beside = f"{statistics.median(plain):.2f} | {statistics.median(plain) / statistics.median(seconds):.2f}"
        print(f"| {name} | {h}x{w} | {job.engine} | {times} | {hours:.1f} h | {memory:.1f} GB | {beside} |", flush=True)


if __name__ == "__main__":
    main()
