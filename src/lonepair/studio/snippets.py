"""The command line and the Python code that give the same result as a project's page."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lonepair import UserError
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


def format_of(project: Project) -> str:
    """The format of a project's result, a key of `FORMATS`."""
    return project.format if project.is_clip else "PNG"


def file_name(project: Project) -> str:
    """Name of the result's file, or the pattern of a sequence's."""
    name = f"{Path(project.source).stem}-as-{Path(project.styles[project.shown]).stem}"
    return FORMATS[format_of(project)][0].format(name=name)


def frame_range(project: Project) -> str:
    """The frames of a clip to render, FIRST:LAST as the command line takes it; empty text: all, or the image.

    Raises:
        UserError: The range is empty, or outside the clip.
    """
    count = int(project.facts.get("frames", 1))
    first, last = project.first, count - 1 if project.last is None else project.last
    if not 0 <= first <= last < count:
        raise UserError(f"frames {first} to {last}: choose first and last from 0 to {count - 1}, in this order")
    return "" if (first, last) == (0, count - 1) else f"{first}:{last}"


def command_line(project: Project) -> str:
    """The command that gives the result.

    Args:
        project: The project; it has a source and a style, and its range of frames is one of the clip.
    """
    styles = [project.imported or _file_name(project.styles[index]) for index in project.active]
    words = ["lonepair", "translate", _file_name(project.source), *styles]
    training = {} if project.imported else {"preset": project.preset, **project.training}
    words += command_words({**training, **project.settings()})
    if project.masks:
        words += ["--masks" if len(styles) > 1 else "--mask", *map(_file_name, project.masks)]
    frames = frame_range(project)
    words += ["--frames", frames] if frames else []
    for name, value in FORMATS[format_of(project)][1].items():
        words += [f"--{name}", value]
    return shlex.join([*words, "-o", file_name(project)])


def python_code(project: Project) -> str:
    """The Python code that gives the result; `project` as of `command_line`."""
    settings: dict[str, Any] = dict(project.settings())
    if frames := frame_range(project):
        settings["frames"] = frames
    source, masks = _file_name(project.source), [_file_name(mask) for mask in project.masks]
    styles = [_file_name(project.styles[index]) for index in project.active]
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
    encoding = "".join(f"{name}={value!r}" for name, value in FORMATS[format_of(project)][1].items())
    extra = f", encoding=lp.Encoding({encoding})" if encoding else ""
    return "\n".join([*lines, f"result = {call}{arguments})", f"result.save({file_name(project)!r}{extra})"])


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


def _file_name(path: str) -> str:
    """The name of a file without the workspace: the user has the file under this name elsewhere."""
    return Path(path).name
