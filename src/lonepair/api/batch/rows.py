"""The rows of a batch: a source, a target and settings, and what they set."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import lonepair.methods as methods
from lonepair.api.batch.urls import is_remote
from lonepair.apply.translate import Translate
from lonepair.errors import UserError
from lonepair.render.parts import Workers
from lonepair.storage.files import distinct_names
from lonepair.train.options import Options

_PARTS = {"workers": "count", "segment_frames": "segment_frames", "run_in": "run_in"}
"""Setting -> field of `Workers`."""
_FILES = ("mask", "keys")
"""Settings that name files."""
_MAX_NAME = 80
_MODEL_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class BatchRow:
    """A source that is translated into the style of a target, after a training on both."""

    source: str
    """Path or URL of an image, a clip or a folder of frames."""
    target: str
    """Path or URL of an image; or a model, a file or the folder of a run, which is used without a training."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """`method`, `preset`, and fields of the method's config, of `Options` and of `translate`, by name; for a long clip
    also `workers`, `segment_frames` and `run_in`, as `Workers` has them."""
    name: str = ""
    """Name of the result without suffix; empty: SOURCE-as-TARGET."""

    @property
    def uses_model(self) -> bool:
        """Whether the target is a trained model."""
        if self.target.endswith(_MODEL_SUFFIX):
            return True
        return not is_remote(self.target) and (Path(self.target) / "model.safetensors").is_file()


@dataclass(frozen=True)
class RowSettings:
    """The settings of a row, by what they set."""

    method: str
    preset: str
    training: dict[str, Any]
    """Fields of the method's config and of `Options`."""
    translation: dict[str, Any]
    """Fields of `Translate`."""
    workers: Workers
    """Processes that render the parts of a clip."""


def split_settings(row: BatchRow) -> RowSettings:
    """The settings of a row.

    Raises:
        UserError: There is no setting of a name, or no such method or preset.
    """
    values = {name: value for name, value in row.settings.items() if name not in ("method", "preset")}
    method = str(row.settings.get("method", methods.DEFAULT))
    preset = str(row.settings.get("preset", "standard"))
    config = methods.get_method(method).config_class
    config.from_preset(preset)
    options = {part.name for part in dataclasses.fields(Options)}
    training = options | set(config.setting_names())
    # A name of both, such as start_stage, sets the training.
    translation = {part.name for part in dataclasses.fields(Translate)} - training - {"source"}
    known = training | translation | set(_PARTS)
    for name in values:
        if name not in known:
            near = get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}?" if near else "it is none of the method, the training or the translation"
            raise UserError(f"setting {name!r} is unknown; {hint}")
    return RowSettings(
        method,
        preset,
        {name: value for name, value in values.items() if name in training},
        {name: value for name, value in values.items() if name in translation},
        Workers(**{field_name: values[name] for name, field_name in _PARTS.items() if name in values}),
    )


def named_rows(rows: Iterable[BatchRow]) -> list[BatchRow]:
    """`rows` with absolute paths, those in settings included, each with a name of its own.

    Raises:
        UserError: There is no row.
    """
    listed = list(rows)
    names = distinct_names(_plain(row.name or f"{_stem(row.source)}-as-{_stem(row.target)}") for row in listed)
    result = [
        BatchRow(_absolute(row.source), _absolute(row.target), map_files(row.settings, _absolute), name)
        for row, name in zip(listed, names, strict=True)
    ]
    if not result:
        raise UserError("the batch has no rows; give a table with at least one, or a pattern that fits a file")
    return result


def map_files(settings: Mapping[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """`settings` with `change` of each path or URL in them; several are a list."""
    result = dict(settings)
    for name in _FILES:
        value = result.get(name)
        if isinstance(value, str):
            result[name] = change(value) if name == "mask" else [change(value)]
        elif isinstance(value, list | tuple):
            result[name] = [change(each) if isinstance(each, str) else each for each in value]
    return result


def choose_shard(rows: Sequence[BatchRow], shard: str) -> list[int]:
    """The indices of the rows of a shard such as "2/8": every eighth row from the second on.

    Raises:
        UserError: `shard` is no such text.
    """
    match = re.fullmatch(r"(\d+)/(\d+)", shard)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise UserError(f"shard is {shard!r}: give I/N such as 2/8, with I from 1 to N")
    return list(range(int(match[1]) - 1, len(rows), int(match[2])))


def parse_setting(text: str) -> Any:
    """The value of a setting that is written as text: a JSON value, else the text itself."""
    lowered = text.strip().lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def parse_settings(texts: Iterable[str]) -> dict[str, Any]:
    """Settings from texts such as "steps=500".

    Raises:
        UserError: A text has no "=".
    """
    settings = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not sign or not name:
            raise UserError(f"set is {text!r}: give NAME=VALUE, such as steps=500")
        settings[name.strip().lstrip("-").replace("-", "_")] = parse_setting(value)
    return settings


# -- names ------------------------------------------------------------------------------------------------------------


def _absolute(text: str) -> str:
    return text if is_remote(text) else str(Path(text).expanduser().absolute())


def _stem(text: str) -> str:
    """The name of a file without its folder and suffix; of a run's model file that of the folder."""
    path = PurePosixPath(text.replace("\\", "/"))
    return path.parent.name if path.stem == "model" else re.sub(r"[._-]?(%0?\d*d|#+)$", "", path.stem) or path.name


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).lstrip("-.")[:_MAX_NAME] or "row"
