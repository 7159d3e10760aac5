"""What a job's worker does, by the kind of the job: train, render, use a model, compare runs."""

from __future__ import annotations

import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import lonepair as lp
from lonepair import Report, Watcher
from lonepair.studio.jobs import Kind, Status, StudioJob

PLAYER_SIDE = 720
"""Longest side, in pixels, of the clips that the page plays."""
DEFAULT_RATE = Fraction(25)
"""Frames per second of a clip that states none."""
WRITE_SECONDS = 0.5
"""Seconds between two writes of a job's status."""


class Progress:
    """Writes the status of a job, and carries the request to stop into its task."""

    def __init__(self, job: StudioJob) -> None:
        self._job, self._share, self._text = job, job.status.share, ""
        self._next = 0.0
        self._stoppers: list[Callable[[], None]] = []
        self.stopped = threading.Event()
        """Set when the user wants the job to stop."""
        self.has_ended = threading.Event()
        """Set with the last status."""

    def on_stop(self, stopper: Callable[[], None]) -> None:
        """Call `stopper` at the request to stop; at once where that was made already."""
        self._stoppers.append(stopper)
        if self.stopped.is_set():
            stopper()

    def stop(self) -> None:
        """The user wants the job to stop."""
        self.stopped.set()
        for stopper in self._stoppers:
            stopper()

    def say(self, text: str) -> None:
        """Show what is done at the moment."""
        self._text = text
        self._job.write_status(Status("running", self._share, text))

    def at(self, share: float, text: str, eta_seconds: float | None) -> None:
        """Show how far the job is; most calls write nothing, so that it may be called after every step."""
        self._share, self._text = min(1.0, share), text
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + WRITE_SECONDS
            self._job.write_status(Status("running", self._share, text, eta_seconds))

    def end(self, state: str, text: str = "", files: tuple[str, ...] = ()) -> None:
        """Write the last status."""
        self.has_ended.set()
        self._job.write_status(Status(state, 1.0 if state == "done" else self._share, text or self._text, None, files))


class TrainingProgress(Watcher):
    """Display the steps of a training."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def stepped(self, method: Any, report: Report) -> None:
        # By time where that is known: late stages take longer than early ones.
        total = report.seconds + report.eta_seconds
        by_steps = (report.stage + report.step / max(1, report.steps)) / report.stages
        share = report.seconds / total if total > 0 else by_steps
        text = f"stage {report.stage + 1} of {report.stages}, step {report.step} of {report.steps}"
        self._progress.at(share, text, report.eta_seconds)


def train(job: StudioJob, progress: Progress) -> list[Path]:
    """Train on a pair or on one image in the job's run folder, from its last checkpoint where there is one.

    `job.task` has `inputs` (domain -> path), `method`, `preset` and `settings`.
    """
    task = job.task
    training = lp.Job.prepare(task["inputs"], task["method"], task["preset"], task["settings"])
    progress.on_stop(training.stop)
    resume = job.run.is_dir()
    folder = training.folder(job.run, resume)
    training.run(folder, resume, [TrainingProgress(progress)])
    return [folder.model]


def render(job: StudioJob, progress: Progress) -> list[Path]:
    """Translate a source and write the file, from the last frame where an earlier worker stopped.

    `job.task` has `models` (paths, one for each style), `source`, `settings` (of `Model.translate`), `masks` (paths,
    one for each style where there are several), `file` (name) and `encoding` (fields of `Encoding`).
    """
    task = job.task
    job.out.mkdir(exist_ok=True)
    progress.say("loading the model")
    translation = _translation(task)
    name = task["file"]
    is_sequence = "%" in name
    path = job.out / "frames" / name if is_sequence else job.out / name
    path.parent.mkdir(exist_ok=True)
    total = translation.source.frame_count
    translation.save(
        path,
        overwrite=True,
        encoding=lp.Encoding(**task["encoding"]),
        progress=lambda frames: _count_frames(frames, total, progress),
        stop=progress.stopped,
    )
    files = [_zip_files(path.parent, job.out / f"{name.split('.')[0]}-frames.zip")] if is_sequence else [path]
    if translation.source.is_clip:
        progress.say("preparing the players")
        rate = translation.source.rate or DEFAULT_RATE
        files += [_write_player_clip(path, job.out / "result.mp4", rate)]
        files += [_write_player_clip(translation.source, job.out / "source.mp4", rate)]
    return files


def _write_player_clip(clip: object, out: Path, rate: Fraction) -> Path:
    """Write a clip as an MP4 file of at most `PLAYER_SIDE` pixels, which every browser plays."""
    from lonepair.api.toolkit import ClipWriter, open_source, resize_image

    source = open_source(clip, rate)  # numbered files do not state theirs
    scale = min(1.0, PLAYER_SIDE / max(source.size))
    h, w = (max(2, 2 * round(length * scale / 2)) for length in source.size)
    with ClipWriter.for_source(source, out, (h, w), None, True) as writer:
        for frame in source.frames():
            writer.write(resize_image(frame.image, (h, w)), frame.time)
    return out


def _translation(task: Mapping[str, Any]) -> lp.Translation:
    models, settings = task["models"], python_settings(task["settings"])
    if len(models) > 1:
        return lp.translate_regions(task["source"], models, task["masks"], **settings)
    return lp.load(models[0]).translate(task["source"], **settings)


def python_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a use as Python takes them: JSON has lists in place of tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in settings.items()}


def _count_frames(frames: Iterator[Any], total: int | None, progress: Progress) -> Iterable[Any]:
    """Pass frames on, and show their number."""
    start = time.monotonic()
    for count, frame in enumerate(frames, 1):
        seconds = (time.monotonic() - start) / count
        share, of = (count / total, f" of {total}") if total else (0.5, "")
        progress.at(share, f"frame {count}{of}", seconds * (total - count) if total else None)
        yield frame


def _zip_files(folder: Path, path: Path) -> Path:
    """The files of `folder` in one ZIP file at `path`, without compression: PNG files are compressed already."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(folder.iterdir()):
            if not file.name.startswith("."):
                archive.write(file, file.name)
    return path


def use_model(job: StudioJob, progress: Progress) -> list[Path]:
    """Apply a use to a trained model, and write its result.

    `job.task` has `model` (path), `use` (name), `settings` and `file` (name of the result without suffix).
    """
    task = job.task
    job.out.mkdir(exist_ok=True)
    progress.say("loading the model")
    model = lp.load(task["model"])
    progress.say("computing")
    result = getattr(model, task["use"])(**python_settings(task["settings"]))
    path = job.out / task["file"]
    if isinstance(result, lp.Samples):
        files = result.save(path, overwrite=True)
        sheet = lp.Picture(result.sheet(), result.settings).save(path.with_suffix(".png"), overwrite=True)
        return [sheet, _zip_files(path, path.with_suffix(".zip")), *files]
    if isinstance(result, lp.Animation):
        total = task["settings"].get("frames")
        return [
            result.save(path.with_suffix(".mp4"), True, progress=lambda frames: _count_frames(frames, total, progress))
        ]
    return [result.save(path.with_suffix(".png"), overwrite=True)]


def compare(job: StudioJob, progress: Progress) -> list[Path]:
    """Measure runs, and write the report of `lonepair eval`. `job.task` has `runs` (paths)."""
    from lonepair.evaluate import EvaluationOptions, measure_run, open_run, write_report

    options = EvaluationOptions()
    runs = [open_run(Path(path), lp.load) for path in job.task["runs"]]
    reports = []
    for number, run in enumerate(runs):
        progress.at(number / len(runs), f"measuring run {number + 1} of {len(runs)}", None)
        if progress.stopped.is_set():
            raise lp.Interrupted("stopped")
        reports.append(measure_run(run, options))
    job.out.mkdir(exist_ok=True)
    report = write_report(job.out, runs, reports, options)
    return [report, *sorted(path for path in job.out.rglob("*") if path.is_file() and path != report)]


TASKS: Mapping[Kind, Callable[[StudioJob, Progress], list[Path]]] = {
    "train": train,
    "render": render,
    "use": use_model,
    "compare": compare,
}
"""Kind of a job -> what its worker does: returns the files of the result, the main one first."""
