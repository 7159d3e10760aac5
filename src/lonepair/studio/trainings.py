"""A project's trainings and renders as jobs: which exist, which are needed, and which models they have."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lonepair import UserError
from lonepair.studio import frames
from lonepair.studio.context import Studio
from lonepair.studio.jobs import StudioJob
from lonepair.studio.projects import Project
from lonepair.studio.snippets import FORMATS, file_name, format_of, frame_range

USABLE = frozenset({"done", "paused", "stopped"})
"""States of a training whose model may be used."""
UNFINISHED = frozenset({"queued", "running"})
"""States of a job that can be stopped."""


def start_trainings(studio: Studio, project: Project) -> Project:
    """Add a training for each style that has none with these settings; returns the project with their ids.

    Raises:
        UserError: An input or a setting is wrong; nothing is put into the queue then.
    """
    jobs = project.trainings(studio.jobs)
    ids = []
    for style in project.styles:
        task = {
            "inputs": {"a": project.source, "b": style},
            "method": "lonepair",
            "preset": project.preset,
            "settings": {"preview_minutes": 0.25, "checkpoint_minutes": 0.5, **project.training},
        }
        job = next((job for job in jobs if job.task == task), None)
        if job is None:
            studio.check_space(project.owner)
            studio.pool.run(frames.check_training, task)
            name = f"{Path(project.source).stem} as {Path(style).stem}"
            job = studio.jobs.add("train", project.owner, name, task)
        elif job.state in ("paused", "stopped", "failed"):
            job = studio.jobs.resume(job)
        ids.append(job.id)
    return project.update(models=tuple(ids))


def model_paths(studio: Studio, project: Project) -> list[str]:
    """The run's folder for each style; empty text where there is no usable model yet."""
    jobs = {job.id: job for job in project.trainings(studio.jobs)}
    paths = [_usable(jobs.get(job_id)) for job_id in project.models]
    return paths + [""] * (len(project.styles) - len(paths))


def _usable(job: StudioJob | None) -> str:
    if job is None or job.state not in USABLE or not (job.run / "model.safetensors").exists():
        return ""
    return str(job.run)


def newest_preview(jobs: Sequence[StudioJob]) -> Path | None:
    """The preview that a training has written last."""
    # A file that is being written has a hidden name.
    files = [path for job in jobs for path in job.run.glob("previews/[!.]*.png")]
    return max(files, key=lambda path: path.stat().st_mtime, default=None)


def start_render(studio: Studio, project: Project) -> Project:
    """Add the render of a project in its format; returns the project with its id.

    The same render that was stopped before goes on after its last frame.

    Raises:
        UserError: There is no trained model, or the range of frames is none.
    """
    paths = model_paths(studio, project)
    models = [paths[index] for index in project.active]
    if not all(models):
        raise UserError("the style is not trained yet: press Train, and wait until it is done, or stop it")
    kind, settings = format_of(project), project.settings()
    if frames := frame_range(project):
        settings["frames"] = frames
    if len(models) == 1 and project.masks:
        settings["mask"] = project.masks[0]
    task = {
        "models": models,
        "source": project.source,
        "settings": settings,
        "masks": list(project.masks) if len(models) > 1 else [],
        "file": file_name(project),
        "encoding": dict(FORMATS[kind][1]),
    }
    name = f"{kind} of {Path(project.source).stem} as {Path(project.styles[project.shown]).stem}"
    job = next((job for job in studio.jobs.jobs(project.owner) if job.id == project.render), None)
    if job is not None and job.task == task and job.state in ("stopped", "failed"):
        job = studio.jobs.resume(job)
    else:
        studio.check_space(project.owner)
        if job is not None:  # the page shows the last render only
            studio.jobs.delete(job)
        job = studio.jobs.add("render", project.owner, name, task)
    return project.update(render=job.id)


def stop_render(studio: Studio, project: Project) -> None:
    """Stop the render of a project that waits or runs; its frames are kept."""
    job = next((job for job in studio.jobs.jobs(project.owner) if job.id == project.render), None)
    if job is not None and job.state in UNFINISHED:
        job.update(wish="stop")
