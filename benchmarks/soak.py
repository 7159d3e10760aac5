"""Trains, translates, kills, fills disks and starts second writers for a number of minutes, and checks that nothing is
lost.

    python benchmarks/soak.py --minutes 60 > docs/results/soak.md

Each round is one event on one method, both in turn: a training that is killed at random moments and resumed to its end;
one that SIGTERM stops; one whose disk is full, or whose files are limited in size, and that is resumed without the
limit; one to which a second `--resume` comes; a clip whose render is killed and started again. All files are compared
with those of an uninterrupted run. One further process trains and translates all the time, and its memory is measured
after each round of its own. The exit status is 1 if anything differs, or if that memory grows.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

from kill_render import finished_frames
from run_folders import different_files, inputs_of, random_image, run_and_kill, run_to_end, start, tiny_flags

import lonepair.methods as methods
from lonepair.media.clips.write import ClipWriter
from lonepair.media.stills.image import write_image
from lonepair.render.folder import RenderFolder

HEADER = """\
# Soak: trainings, translations, kills, full disks and second writers

`python benchmarks/soak.py{flags}`, {date}, on a {machine}. Rounds followed one another for {minutes:.0f}
minutes, with the events and the methods in turn and tiny settings. After each, all files of the run (but
log.txt) were compared with those of an uninterrupted one, and a clip's bytes with those of an uninterrupted
render.

| event | rounds | stopped or refused | nothing lost |
| --- | --- | --- | --- |"""
FRAME, FRAMES = (48, 64), 24
"""(h, w) in pixels and number of the clip's frames."""
ALLOWED_GROWTH = 1.05
"""Largest ratio of the steady process's memory at the end to that after its first rounds."""


class Soak:
    """The events, in one folder."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.rng, self.log = folder, random.Random(seed), folder / "log.txt"
        self.source, self.target, self.clip = folder / "source.png", folder / "target.png", folder / "clip.mkv"
        write_image(self.source, random_image(24, 20, 1))
        write_image(self.target, random_image(20, 26, 2))
        with ClipWriter(self.clip, FRAME, Fraction(25)) as writer:
            for index in range(FRAMES):
                writer.write(random_image(*FRAME, 3).roll(index, 3), Fraction(index, 25))
        self.wholes: dict[str, Path] = {}
        """Method -> folder of an uninterrupted run."""
        self.seconds: dict[str, float] = {}
        """What an uninterrupted training takes."""

    def arguments(self, method: str) -> list[str]:
        """The words of `lonepair train`, without --run."""
        return [*inputs_of(method, self.source, self.target), *tiny_flags(method)]

    def whole(self, method: str) -> Path:
        """The folder of an uninterrupted run."""
        if method not in self.wholes:
            path = self.folder / f"{method}-whole"
            self.seconds[method] = run_to_end("train", [*self.arguments(method), "--run", str(path)], self.log)
            self.wholes[method] = path
        return self.wholes[method]

    def finish(self, method: str, run: Path, has_lost_previews: bool = False) -> list[str]:
        """Resume a run to its end and compare it; returns what differs.

        Args:
            method: Its method.
            run: Its folder.
            has_lost_previews: Whether previews may be missing: one that cannot be written is a warning, and that of an
                earlier stage cannot be made again.
        """
        words = ["--resume"] if run.exists() else []
        status = start("train", [*self.arguments(method), "--run", str(run), *words], self.log).wait()
        wrong = [f"status {status}"] if status else different_files(self.whole(method), run)
        if has_lost_previews:
            wrong = [name for name in wrong if not name.startswith("previews/")]
        shutil.rmtree(run, ignore_errors=True)
        return wrong

    def kills(self, method: str) -> tuple[int, list[str]]:
        """A training that is killed up to three times."""
        self.whole(method)
        run, count = self.folder / "killed", self.rng.randint(1, 3)
        done = 0
        for _ in range(count):
            words = [*self.arguments(method), "--run", str(run), *(["--resume"] if run.exists() else [])]
            if not run_and_kill("train", words, self.log, self.rng.uniform(0.4, 1.0) * self.seconds[method]):
                break
            done += 1
        return done, self.finish(method, run)

    def signals(self, method: str) -> tuple[int, list[str]]:
        """A training that is stopped by SIGTERM, perhaps before it handles signals."""
        self.whole(method)
        run = self.folder / "terminated"
        process = start("train", [*self.arguments(method), "--run", str(run)], self.log)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(self.rng.uniform(0.5, 0.95) * self.seconds[method])
        process.terminate()
        status = process.wait()
        wrong = [] if status in (0, 143, -15) else [f"status {status} after SIGTERM"]
        return int(status != 0), wrong + self.finish(method, run)

    def limited(self, method: str) -> tuple[int, list[str]]:
        """A training whose files cannot grow beyond a random size."""
        import resource

        largest = (self.whole(method) / "state" / "state.pt").stat().st_size
        size, run = int(self.rng.uniform(0.05, 0.95) * largest), self.folder / "limited"

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        # The log of all events is larger than the limit.
        words = [*self.arguments(method), "--run", str(run)]
        status = start("train", words, self.folder / f"limited-{size}.txt", preexec_fn=limit).wait()
        (self.folder / f"limited-{size}.txt").unlink()
        wrong = [] if status in (0, 2) else [f"status {status} with files of {size} bytes"]
        return int(status != 0), wrong + self.finish(method, run, has_lost_previews=True)

    def full_disk(self, method: str) -> tuple[int, list[str]]:
        """A training on a disk that is too small, which becomes large enough."""
        total = sum(path.stat().st_size for path in self.whole(method).rglob("*") if path.is_file())
        size = int(self.rng.uniform(0.05, 0.95) * total) + 4096 * 16
        with _mounted(self.folder / "disk", size) as is_mounted:
            if not is_mounted:
                return 0, []
            run = self.folder / "disk" / "run"
            status = start("train", [*self.arguments(method), "--run", str(run)], self.log).wait()
            command = ["mount", "-o", f"remount,size={size + 4 * total + 2**22}", str(self.folder / "disk")]
            subprocess.run(command, check=True)
            wrong = [] if status in (0, 2) else [f"status {status} on a disk of {size} bytes"]
            return int(status != 0), wrong + self.finish(method, run, has_lost_previews=True)

    def two_writers(self, method: str) -> tuple[int, list[str]]:
        """A training to which a second process comes with --resume."""
        self.whole(method)
        run = self.folder / "shared"
        first = start("train", [*self.arguments(method), "--run", str(run)], self.log)
        while first.poll() is None and not (run / "state" / "state.pt").exists():
            time.sleep(0.005)
        # The start of Python takes longer than the tiny training: the first writer waits meanwhile.
        first.send_signal(signal.SIGSTOP)
        second_log = self.folder / "second.txt"
        second = start("train", [*self.arguments(method), "--run", str(run), "--resume"], second_log).wait()
        first.send_signal(signal.SIGCONT)
        wrong = [] if first.wait() == 0 else ["the first writer failed"]
        text = second_log.read_text()
        second_log.unlink()
        if second not in (0, 2) or (second == 2 and "is in use by process" not in text):
            wrong.append(f"the second writer ended with {second}: {text[-200:]}")
        return int(second == 2), wrong + self.finish(method, run)

    def render(self, method: str) -> tuple[int, list[str]]:
        """A clip whose render is killed and started again; always with the default pair method."""
        model, whole, out = self.whole(methods.DEFAULT), self.folder / "whole.mp4", self.folder / "out.mp4"
        words = [str(self.clip), str(model), "--device", "cpu", "--threads", "1"]
        if not whole.exists():
            run_to_end("translate", [*words, "-o", str(whole)], self.log)
        frames, last = RenderFolder.beside(out).path, self.rng.randint(0, FRAMES - 4)
        killed = run_and_kill(
            "translate", [*words, "-o", str(out)], self.log, 0, lambda: finished_frames(frames, FRAME) > last
        )
        wrong = []
        if killed and (out.exists() or start("translate", [*words, "-o", str(out)], self.log).wait()):
            wrong.append("a killed render left a file, or was not continued")
        elif out.read_bytes() != whole.read_bytes():
            wrong.append("out.mp4")
        wrong += [path.name for path in self.folder.iterdir() if path.name.startswith((".lonepair", ".out"))]
        for path in self.folder.glob("out*"):
            path.unlink()
        return int(killed), wrong


@contextlib.contextmanager
def _mounted(folder: Path, size: int) -> Iterator[bool]:
    """A file system of `size` bytes as `folder`; yields False where this user may not mount one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    is_mounted = shutil.which("mount") is not None and subprocess.run(command, check=False).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


EVENTS = ("kills", "signals", "limited", "full_disk", "two_writers", "render")
"""Names of the events, methods of `Soak`."""


def work(folder: Path) -> None:
    """Train and translate in this process until the file `stop` appears; one line in memory.txt for each round."""
    import torch

    import lonepair as lp

    torch.set_num_threads(1)
    image, target = folder / "source.png", folder / "target.png"
    settings: dict[str, Any] = {"stages": 2, "min_side": 14, "max_side": 20, "width": 8, "steps": 2, "finest_steps": 2}
    # A folder of its own, since `render` looks for temporary files beside its clip.
    own = folder / "steady"
    own.mkdir()
    while not (folder / "stop").exists():
        model = lp.fit_pair(image, target, out=own / "run", device="cpu", threads=1, **settings)
        model.translate(folder / "clip.mkv").save(own / "clip.mp4", overwrite=True)
        shutil.rmtree(own / "run")
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        with (folder / "memory.txt").open("a") as file:
            file.write(f"{pages * os.sysconf('SC_PAGE_SIZE')}\n")


def main() -> int:
    """Print the report; returns 0 if nothing is lost and memory is flat."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="duration")
    parser.add_argument("--seed", type=int, default=0, help="random seed of the events")
    parser.add_argument("--date", default=date.today().isoformat(), help="date in the report")
    parser.add_argument("--machine", default="2-core x86-64 CPU", help="machine in the report")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work is not None:
        work(args.work)
        return 0
    begin = time.monotonic()
    rounds, events, losses = Counter[str](), Counter[str](), Counter[str]()
    problems = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        soak = Soak(folder, args.seed)
        with (folder / "steady.txt").open("wb") as file:
            steady = subprocess.Popen([sys.executable, __file__, "--work", str(folder)], stdout=file, stderr=file)
        while time.monotonic() - begin < 60 * args.minutes:
            # All events in turn, each on the next method.
            cycle, index = divmod(rounds.total(), len(EVENTS))
            names = methods.names()
            event, method = EVENTS[index], names[(cycle + index) % len(names)]
            count, wrong = getattr(soak, event)(method)
            rounds[event] += 1
            events[event] += count
            losses[event] += bool(wrong)
            print(
                f"{time.monotonic() - begin:.0f} s: {event}, {method}: {wrong or 'equal'}", file=sys.stderr, flush=True
            )
            problems += [f"{event}, {method}: {', '.join(wrong)}"] if wrong else []
        (folder / "stop").touch()
        if steady.wait() != 0:
            problems.append(f"the steady process failed: {(folder / 'steady.txt').read_text()[-300:]}")
        memory = [int(line) / 1e6 for line in (folder / "memory.txt").read_text().split()]

    # The report.
    minutes, flags = (time.monotonic() - begin) / 60, "".join(f" {word}" for word in sys.argv[1:])
    print(HEADER.format(flags=flags, date=args.date, machine=args.machine, minutes=minutes))
    for event in EVENTS:
        print(f"| {event.replace('_', ' ')} | {rounds[event]} | {events[event]} | {rounds[event] - losses[event]} |")
    third = max(1, len(memory) // 3)
    early, late = max(memory[:third]), max(memory[-third:])
    print(
        f"\nOne process trained and translated a clip {len(memory)} times meanwhile. It held at most {early:.0f} MB in "
        f"the first third of its rounds and {late:.0f} MB in the last one."
    )
    for problem in problems:
        print(f"\n- {problem}")
    return 0 if not problems and late <= ALLOWED_GROWTH * early else 1


if __name__ == "__main__":
    sys.exit(main())
