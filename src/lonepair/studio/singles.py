"""Uses of a model of one image: which files they need, their jobs, and the commands that do the same."""

from __future__ import annotations

import dataclasses
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from lonepair import UserError
from lonepair.studio import frames
from lonepair.studio.context import Studio
from lonepair.studio.jobs import StudioJob
from lonepair.studio.masks import painted_layer, write_masks
from lonepair.studio.snippets import command_words

TITLES = {
    "sample": "Generate",
    "sample_stage_sheet": "Scale sheet",
    "retarget": "Retarget",
    "animate": "Animate",
    "edit": "Edit",
    "harmonize": "Harmonize",
    "paint": "Paint",
    "inpaint": "Inpaint",
    "outpaint": "Outpaint",
    "tile": "Tile",
    "superresolve": "Superresolve",
}
"""Use -> its name on the page."""
USES = tuple(TITLES)
EDITED = ("edit", "harmonize")
"""Uses that need a second file: the image after the user has edited it."""
CANVAS = {
    "inpaint": "Paint over the hole that is to be filled.",
    "paint": "Paint a picture in flat colors of the image.",
    "edit": "Paint over what you have edited; without paint it is found by comparison.",
    "harmonize": "Paint over the pasted object; without paint it is found by comparison.",
}
"""Use that needs a brush -> what to paint."""
COLORS = 6
"""Colors that the brush of a painting offers."""


@dataclass(frozen=True)
class Request:
    """A use of one image."""

    image: str
    """Path of the image that the model is trained on."""
    use: str
    settings: Mapping[str, Any]
    """Settings of the use, files included."""
    training: Mapping[str, Any]
    """`method`, `preset` and `settings` of the training."""


def folder(studio: Studio, owner: str) -> Path:
    """The folder of a session's single images."""
    path = studio.workspace / "images" / owner
    path.mkdir(parents=True, exist_ok=True)
    return path


def palette(image: Image.Image) -> list[str]:
    """The main colors of an image, such as "#336699"."""
    small = image.convert("RGB").quantize(COLORS)
    values = (small.getpalette() or [])[: 3 * COLORS]
    return ["#" + bytes(values[i : i + 3]).hex() for i in range(0, len(values), 3)] or ["#808080"]


def sheet(image: Image.Image) -> Image.Image:
    """An empty sheet of an image's size, in its mean color."""
    return Image.new("RGB", image.size, image.convert("RGB").resize((1, 1)).getpixel((0, 0)))


def with_files(studio: Studio, owner: str, request: Request, extra: str | None, canvas: Any) -> Request:
    """`request` with the files that its use needs.

    Args:
        studio: The workspace.
        owner: The session.
        request: The use without files.
        extra: Path of an upload: the edited image.
        canvas: Value of the image editor.

    Raises:
        UserError: A file is missing, or nothing is painted.
    """
    settings, use, own = dict(request.settings), request.use, folder(studio, owner)
    stem = f"{use}-{int(time.time() * 1000)}"
    painted = painted_layer(canvas) if use in CANVAS else None
    if use in EDITED:
        if extra is None:
            raise UserError(f"{use} needs the edited image: give it below the settings")
        settings["image"] = str(studio.accept(extra, own, owner)[0])
    if use in ("inpaint", "outpaint", "tile", "superresolve"):
        settings["image"] = request.image
    if use == "paint":
        if painted is None:
            raise UserError("nothing is painted yet: paint a picture with the brush")
        settings["painting"] = str(own / f"{stem}.png")
        canvas["composite"].convert("RGB").save(settings["painting"])
    elif use == "inpaint" and painted is None:
        raise UserError("no hole is painted yet: paint over what is to be filled")
    elif painted is not None:
        settings["mask"] = str(write_masks(painted, ["#000000"], own, stem)[0])
    elif use in EDITED:
        # What was edited is found by comparison.
        settings["original"] = request.image
    return dataclasses.replace(request, settings=settings)


def start(studio: Studio, owner: str, request: Request) -> None:
    """Add the use to the queue, and before it the training where there is none with these settings.

    Raises:
        UserError: A setting of the training is wrong.
    """
    training = dict(request.training)
    training["settings"] = {"preview_minutes": 0.25, "checkpoint_minutes": 0.5, **training["settings"]}
    task = {"inputs": {"a": request.image}, **training}
    jobs = [job for job in studio.jobs.jobs(owner) if job.kind == "train" and job.task == task]
    job = next((job for job in jobs if job.state != "failed"), None)
    name = Path(request.image).stem
    studio.check_space(owner)
    for earlier in studio.jobs.jobs(owner):  # the page shows the last use only
        if earlier.kind == "use":
            studio.jobs.delete(earlier)
    if job is None:
        studio.pool.run(frames.check_training, task)
        job = studio.jobs.add("train", owner, f"{name} ({task['method']})", task)
    elif job.state in ("paused", "stopped"):
        job = studio.jobs.resume(job)
    use = {
        "after": job.id,
        "model": str(job.run),
        "use": request.use,
        "settings": dict(request.settings),
        "file": f"{name}-{request.use.replace('_', '-')}",
        "training": dict(request.training),
        "image": request.image,
    }
    studio.jobs.add("use", owner, f"{TITLES[request.use]}: {name}", use)


def latest(studio: Studio, owner: str) -> list[StudioJob]:
    """The last use of a session and, before it, its training; empty where there is none."""
    jobs = studio.jobs.jobs(owner)
    uses = [job for job in jobs if job.kind == "use"]
    if not uses:
        return []
    return [*(job for job in jobs if job.id == uses[-1].task.get("after")), uses[-1]]


def command_lines(job: StudioJob) -> str:
    """The commands that give the same result as a use's job."""
    task, training = job.task, job.task["training"]
    image = Path(task["image"]).name
    words = ["lonepair", "train", image, "--method", training["method"], "--preset", training["preset"]]
    train = [*words, *command_words(training["settings"]), "--run", f"runs/{Path(image).stem}"]
    settings, name = dict(task["settings"]), task["use"].replace("_", "-")
    files = [Path(settings.pop(key)).name for key in ("image", "painting") if key in settings]
    if "original" in settings:
        settings["original"] = Path(settings["original"]).name
    mask = settings.pop("mask", None)
    if mask is not None:
        files += [Path(mask).name] if task["use"] == "inpaint" else ["--mask", Path(mask).name]
    extra = ["--stage-sheet"] if task["use"] == "sample_stage_sheet" else []
    name = "sample" if extra else name
    use = ["lonepair", name, f"runs/{Path(image).stem}", *files, *command_words(settings), *extra]
    return f"{shlex.join(train)}\n{shlex.join(use)}"


def python_code(job: StudioJob) -> str:
    """The Python code that gives the same result as a use's job."""
    task, training = job.task, job.task["training"]
    files = ("image", "painting", "mask", "original")
    settings = {k: Path(v).name if k in files else v for k, v in task["settings"].items()}
    fit = {"method": training["method"], "preset": training["preset"], **training["settings"]}
    arguments = ", ".join(f"{name}={value!r}" for name, value in fit.items())
    values = ", ".join(f"{k}={tuple(v) if isinstance(v, list) else v!r}" for k, v in settings.items())
    lines = [
        "import lonepair as lp",
        "",
        f"model = lp.fit({Path(task['image']).name!r}, {arguments})",
        f"result = model.{task['use']}({values})",
    ]
    suffix = {"animate": ".mp4", "sample": ""}.get(task["use"], ".png")
    return "\n".join([*lines, f"result.save({task['file'] + suffix!r})"])
