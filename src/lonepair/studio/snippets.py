"""The command line and the Python code that give the same result as a project's page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lonepair.studio.projects import Project

FORMATS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "MP4": ("{name}.mp4", {}),
    "PNG sequence": ("{name}.%04d.png", {}),
    "ProRes": ("{name}.mov", {"codec": "prores-422"}),
    "PNG": ("{name}.png", {}),
}
"""Format -> name of the file, and fields of `Encoding`."""


CLIP_FORMATS = ("MP4", "PNG sequence", "ProRes")
"""The formats of clips. A picture is a PNG file."""


def format_of(project: Project, kind: str) -> str:
    """The format of a project's result, where the page shows `kind`."""
    return (kind if kind in CLIP_FORMATS else CLIP_FORMATS[0]) if project.is_clip else "PNG"


def file_name(project: Project, kind: str) -> str:
    """Name of the result's file, or the pattern of a sequence's."""
    return FORMATS[kind][0].format(name=f"{Path(project.source).stem}-as-{Path(project.styles[project.shown]).stem}")


def command_line(project: Project, kind: str, frames: str = "") -> str:
    """The command that gives the result.

    Args:
        project: The project; it has a source and a style.
        kind: Format, a key of `FORMATS`.
        frames: Range of a clip, such as 0:40; empty: the whole clip.
    """
    styles = [project.imported or _shown(project.styles[index]) for index in project.active]
    words = ["lonepair", "translate", _shown(project.source), *styles]
    training = {} if project.imported else {"preset": project.preset, **project.training}
    words += command_words({**training, **project.settings()})
    if project.masks:
        words += ["--masks" if len(styles) > 1 else "--mask", *map(_shown, project.masks)]
    words += ["--frames", frames] if frames else []
    for name, value in FORMATS[kind][1].items():
        words += [f"--{name}", value]
    return shlex.join([*words, "-o", file_name(project, kind)])


def python_code(project: Project, kind: str, frames: str = "") -> str:
    """The Python code that gives the result; arguments as of `command_line`."""
    settings: dict[str, Any] = dict(project.settings())
    if frames:
        settings["frames"] = frames
    source, masks = _shown(project.source), [_shown(mask) for mask in project.masks]
    styles = [_shown(project.styles[index]) for index in project.active]
    training = ", ".join(f"{name}={value!r}" for name, value in {"preset": project.preset, **project.training}.items())
    lines = ["import lonepair as lp", ""]
    if len(styles) > 1:
        lines += [f"styles = {styles!r}", f"masks = {masks!r}"]
        lines += [f"models = [lp.fit_pair({source!r}, style, {training}) for style in styles]"]
        call = f"lp.translate_regions({source!r}, models, masks"
    else:
        trained = f"model = lp.load({project.imported!r})"
        lines += [trained if project.imported else f"model = lp.fit_pair({source!r}, {styles[0]!r}, {training})"]
        settings |= {"mask": masks[0]} if masks else {}
        call = f"model.translate({source!r}"
    arguments = "".join(f", {name}={value!r}" for name, value in settings.items())
    encoding = "".join(f"{name}={value!r}" for name, value in FORMATS[kind][1].items())
    extra = f", encoding=lp.Encoding({encoding})" if encoding else ""
    return "\n".join([*lines, f"result = {call}{arguments})", f"result.save({file_name(project, kind)!r}{extra})"])


def command_words(settings: Mapping[str, Any]) -> list[str]:
    """Settings as flags of the command line."""
    words: list[str] = []
    for name, value in settings.items():
        flag = name.replace("_", "-")
        if value is True or value is False:
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif isinstance(value, tuple | list):
            words += [f"--{flag}", f"{value[1]}x{value[0]}"]
        else:
            words += [f"--{flag}", f"{value:g}" if isinstance(value, float) else str(value)]
    return words


def _shown(path: str) -> str:
    """The name of a file without the workspace: the user has the file under this name elsewhere."""
    return Path(path).name
