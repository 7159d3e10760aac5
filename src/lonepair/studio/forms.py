"""Forms from the settings of uses and trainings: the names, defaults and help texts are those of the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import gradio as gr

from lonepair import UserError
from lonepair.api.settings import Setting

MAX_SIDE = 16384
"""Longest side, in pixels, of a size."""


def component(setting: Setting, prefix: str, is_blank: bool = False) -> Any:
    """A component for a setting.

    Args:
        setting: What it sets; files have fields of their own.
        prefix: Start of the component's id in the page.
        is_blank: Leave the field empty where that means the default, and show the default in gray.
    """
    options = {
        "label": title_of(setting),
        "elem_id": f"{prefix}-{setting.name.replace('_', '-')}",
        "info": setting.help,
    }
    value = None if is_blank else setting.default
    if setting.kind == "switch":
        return gr.Checkbox(bool(setting.default), **options)
    if setting.kind == "choice":
        return gr.Radio(list(setting.choices), value=None if value is None else str(value), **options)
    # A number field that is hidden at first shows 0 in place of nothing, so one that may be empty is a text field.
    if setting.kind in ("integer", "number") and not setting.choices and value is not None:
        return gr.Number(value, precision=0 if setting.kind == "integer" else None, **options)
    if setting.kind == "size":
        options["info"] = f"{setting.help} Write WIDTHxHEIGHT."
        return gr.Textbox("", placeholder="640x360", **options)
    placeholder = placeholder_of(setting) if is_blank else None
    return gr.Textbox("" if value is None else str(value), placeholder=placeholder, **options)


def title_of(setting: Setting) -> str:
    """The name of a setting as words, such as "Texture size"."""
    return setting.name.replace("_", " ").capitalize()


def placeholder_of(setting: Setting) -> str:
    """The default of a setting, as an empty field shows it."""
    if setting.default is None:
        return ""
    return f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)


def placeholders(settings: Sequence[Setting], fields: Sequence[Any]) -> dict[Any, Any]:
    """The defaults of `settings`, as the empty ones of their fields show them: those of another preset differ."""
    pairs = zip(settings, fields, strict=True)
    return {field: gr.update(placeholder=placeholder_of(s)) for s, field in pairs if isinstance(field, gr.Textbox)}


def read_values(settings: Sequence[Setting], values: Sequence[Any]) -> dict[str, Any]:
    """Name -> value of the settings that differ from their defaults.

    Raises:
        UserError: A field cannot be read, or a required one is empty; the message names it.
    """
    pairs = zip(settings, values, strict=True)
    read = {setting.name: (setting, _read(setting, value)) for setting, value in pairs}
    for setting, value in read.values():
        if setting.is_required and value is None:
            raise UserError(f"{setting.name} is empty: {setting.help.split('. ')[0].rstrip('.').lower()}")
    return {name: value for name, (setting, value) in read.items() if value is not None and value != setting.default}


def _read(setting: Setting, value: Any) -> Any:
    """The value of a field as Python takes it; None where it is empty."""
    if value is None or value == "":
        return None
    if setting.kind == "size":
        match = re.fullmatch(r"\s*(\d+)\s*[x×*]\s*(\d+)\s*", str(value))
        if match is None or not all(1 <= int(side) <= MAX_SIDE for side in match.groups()):
            raise UserError(f"{setting.name} is {value}: write WIDTHxHEIGHT in pixels, such as 640x360")
        return (int(match[2]), int(match[1]))
    if setting.kind in ("integer", "number"):
        if str(value) in setting.choices:
            return str(value)
        try:
            return int(value) if setting.kind == "integer" else float(value)
        except (TypeError, ValueError) as error:
            raise UserError(f"{setting.name} is {value}: give a number") from error
    if setting.kind == "choice":
        return _choice(setting, value)
    return value


def _choice(setting: Setting, value: Any) -> Any:
    if str(value) not in setting.choices:
        raise UserError(f"{setting.name} is {value}: choose one of {', '.join(setting.choices)}")
    return int(value) if str(value).isdecimal() else value
