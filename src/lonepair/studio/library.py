"""Runs of a session as a list: their pictures, facts, and what can be done with them."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from lonepair import UserError
from lonepair.studio import frames
from lonepair.studio.context import Studio
from lonepair.studio.jobs import Status, StudioJob, read_json
from lonepair.studio.progress_view import WORDS
from lonepair.studio.projects import Project
from lonepair.studio.uploads import safe_name

MODEL = "model.safetensors"
MAX_NAME = 80
"""Characters of a run's name."""


def list_runs(studio: Studio, owner: str) -> list[StudioJob]:
    """The trainings of a session, the newest first."""
    return [job for job in reversed(studio.jobs.jobs(owner)) if job.kind == "train" and job.wish != "delete"]


def picture_of(job: StudioJob) -> Path | None:
    """The picture that stands for a run: its newest preview, or its input."""
    files = sorted(job.run.glob("previews/[!.]*.png"), key=lambda path: path.stat().st_mtime)
    inputs = [path for path in (job.run / "inputs" / "b.png", job.run / "inputs" / "a.png") if path.exists()]
    return next(reversed(files or inputs), None)


def caption(job: StudioJob) -> str:
    """Name and state in one line."""
    return f"{job.name} · {WORDS[job.state]}"


def facts_html(job: StudioJob) -> str:
    """What is known of a run, as a table."""
    config, completion = read_json(job.run / "config.json"), read_json(job.run / "completion.json")
    rows = {
        "State": WORDS[job.state],
        "Method": config.get("method", job.task.get("method", "")),
        "Preset": config.get("preset", job.task.get("preset", "")),
        "Inputs": ", ".join(Path(str(path)).name for path in job.task.get("inputs", {}).values()),
        "Created": time.strftime("%Y-%m-%d %H:%M", time.localtime(job.created)),
        "Training time": f"{completion['seconds']:.0f} s" if "seconds" in completion else "",
        "Message": job.status.text if job.state == "failed" else "",
    }
    cells = "".join(
        f"<tr><th scope='row'>{name}</th><td>{escape(str(value))}</td></tr>" for name, value in rows.items() if value
    )
    return f"<table class='lp-facts'>{cells}</table>"


def rename(job: StudioJob, name: str) -> StudioJob:
    """Give a run another name.

    Raises:
        UserError: The name is empty or too long.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= MAX_NAME:
        raise UserError(f"the name has {len(name)} characters: write 1 to {MAX_NAME}")
    return job.update(name=name)


def delete_run(studio: Studio, job: StudioJob) -> None:
    """Delete a run, and the uploads and renders of its projects; the project that the page shows keeps its uploads."""
    studio.jobs.delete(job)
    newest = studio.projects.latest(job.owner)
    for project in studio.projects.projects(job.owner):
        if job.id in project.models:
            for render in studio.jobs.jobs(job.owner):
                if render.id == project.render:
                    studio.jobs.delete(render)
            if project.id != newest.id:
                studio.projects.delete(project)


def share_file(studio: Studio, job: StudioJob) -> str | None:
    """The model of a run as one file to download, under the run's name; None where there is none yet."""
    model = job.run / MODEL
    return studio.serve(model, job.owner, f"{safe_name(job.name)}.safetensors") if model.exists() else None


def add_model(studio: Studio, owner: str, upload: Path) -> StudioJob:
    """Add an uploaded model file to the runs, after the same checks as on the command line.

    Raises:
        UserError: It is no model, is damaged, or is of a later version.
    """
    if upload.suffix != ".safetensors":
        raise UserError(f"{upload.name}: is not a .safetensors file; share a run to get one")
    job = studio.jobs.add("train", owner, upload.stem[:MAX_NAME], {"imported": upload.name})
    # The scheduler must not start it: it is paused until it is complete.
    job = job.update(wish="pause")
    try:
        inputs = job.run / "inputs"
        inputs.mkdir(parents=True)
        shutil.copyfile(upload, job.run / MODEL)
        facts = studio.pool.run(frames.check_model, str(job.run / MODEL), str(inputs))
    except UserError as error:
        studio.jobs.delete(job)
        raise UserError(str(error).replace(str(job.run / MODEL), upload.name)) from error
    job.write_status(Status("done", 1.0, files=("run/" + MODEL,)))
    return job.update(task={"imported": upload.name, **facts})


def open_run(studio: Studio, job: StudioJob) -> Project:
    """The project of a run; of an uploaded model, or where the project was deleted, a new one.

    Raises:
        UserError: The run is of one image and not of a pair.
    """
    for project in studio.projects.projects(job.owner):
        if job.id in project.models:
            return project.update(shown=project.models.index(job.id), created=time.time())
    inputs = {domain: Path(path) for domain, path in job.task.get("inputs", {}).items()}
    if not inputs:
        inputs = {path.stem: path for path in sorted((job.run / "inputs").glob("?.png"))}
    if "b" not in inputs:
        raise UserError(f"{job.name}: is a run of one image; use it on the page One image")
    project = studio.projects.add(job.owner)
    copies = {}
    for domain, path in inputs.items():
        copies[domain] = project.folder / path.name
        (shutil.copytree if path.is_dir() else shutil.copyfile)(path, copies[domain])
    facts = studio.pool.run(frames.describe, str(copies["a"]))
    return project.update(
        source=str(copies["a"]),
        facts=vars(facts),
        styles=(str(copies["b"]),),
        models=(job.id,),
        imported=str(job.task.get("imported", "")),
        preset=str(job.task.get("preset") or "draft"),
    )


def start_comparison(studio: Studio, owner: str, ids: Sequence[str]) -> StudioJob:
    """Measure runs as `lonepair eval` does.

    Raises:
        UserError: No run is chosen, or one is not complete.
    """
    jobs = [studio.jobs.job(job_id, owner) for job_id in ids]
    if not jobs:
        raise UserError("choose the runs to compare")
    for job in jobs:
        if job.state != "done" or "imported" in job.task:
            raise UserError(f"{job.name}: only runs that were trained here to their end can be compared")
    for earlier in studio.jobs.jobs(owner):  # the page shows the last comparison only
        if earlier.kind == "compare":
            studio.jobs.delete(earlier)
    task = {"runs": [str(job.run) for job in jobs], "names": [job.name for job in jobs]}
    return studio.jobs.add("compare", owner, f"Comparison of {len(jobs)} runs", task)


def comparison_html(job: StudioJob) -> str:
    """The numbers of a comparison as a table for each section of the report."""
    try:
        results: dict[str, Any] = json.loads((job.out / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    parts = []
    for name, run in zip(job.task["names"], results["runs"], strict=True):
        for section, rows in run["measured"].items():
            columns = list(dict.fromkeys(column for row in rows.values() for column in row))
            head = "".join(f"<th scope='col'>{escape(column)}</th>" for column in columns)
            body = "".join(
                f"<tr><th scope='row'>{escape(row)}</th>"
                + "".join(f"<td>{_number(values.get(column))}</td>" for column in columns)
                + "</tr>"
                for row, values in rows.items()
            )
            title = escape(f"{name}: {section}")
            parts.append(f"<h3>{title}</h3><div class='lp-scroll'><table class='lp-facts'><tr><td></td>{head}</tr>")
            parts.append(f"{body}</table></div>")
    return "".join(parts)


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, int | float) else ""
