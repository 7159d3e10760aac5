"""The rows of a batch: a source, a target and settings, read from a table or made from a pattern of files."""

from __future__ import annotations

import csv
import dataclasses
import glob
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import lonepair.methods as methods
from lonepair.api.batch.storage import is_remote
from lonepair.apply.translate import Translate
from lonepair.errors import UserError
from lonepair.render.parts import Workers
from lonepair.storage.files import check_file, distinct_names, natural_order
from lonepair.train.options import Options

TABLES = (".csv", ".jsonl")
"""Suffixes of tables of rows."""
_OWN = frozenset({"source", "target", "name", "method", "preset"})
"""Columns that are no settings of a method, a training or a translation."""
_PARTS = {"workers": "count", "segment_frames": "segment_frames", "run_in": "run_in"}
"""Setting -> field of `Workers`."""
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


def read_rows(jobs: str | Path, style: str | None = None, settings: Mapping[str, Any] | None = None) -> list[BatchRow]:
    """The rows of a table, or a row for each file of a pattern.

    Args:
        jobs: A .csv or .jsonl file with the columns `source`, `target`, `name` and any setting; or a pattern such as
            "shots/*.mp4", or a file. Relative paths of a table start at its folder.
        style: Target of the rows that name none.
        settings: Settings of all rows; those of a row come first.

    Raises:
        UserError: The table cannot be read, a row has no source or target, or no file fits the pattern.
    """
    text, common = str(jobs), dict(settings or {})
    if Path(text).suffix.lower() in TABLES:
        rows = _read_table(Path(text).expanduser(), style, common)
    else:
        rows = [BatchRow(str(path), _required_style(style), common) for path in _matches(text)]
    return named_rows(rows)


def named_rows(rows: Iterable[BatchRow]) -> list[BatchRow]:
    """`rows` with absolute paths, each with a name of its own.

    Raises:
        UserError: There is no row.
    """
    listed = list(rows)
    names = distinct_names(_plain(row.name or f"{_stem(row.source)}-as-{_stem(row.target)}") for row in listed)
    result = [
        replace(row, name=name, source=_absolute(row.source), target=_absolute(row.target))
        for row, name in zip(listed, names, strict=True)
    ]
    if not result:
        raise UserError("the batch has no rows; give a table with at least one, or a pattern that fits a file")
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


# -- tables -----------------------------------------------------------------------------------------------------------


def _read_table(path: Path, style: str | None, common: Mapping[str, Any]) -> list[BatchRow]:
    check_file(path, "a .csv or .jsonl table with the columns source and target")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path}: is no text in UTF-8 ({type(error).__name__}); save it as UTF-8") from None
    records = _csv_records(path, text) if path.suffix.lower() == ".csv" else _json_records(path, text)
    return [_row(path, number, record, style, common) for number, record in records]


def _csv_records(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """Line number and values of each row; empty cells are left out."""
    reader = csv.DictReader(io.StringIO(text))
    records = []
    try:
        lines = [(reader.line_num, values) for values in reader]
    except csv.Error as error:
        number = reader.reader.line_num
        raise UserError(f"{path}, line {number}: is no line of a CSV file ({error}); save it again") from None
    for number, values in lines:
        if None in values:
            raise UserError(f"{path}, line {number}: has more cells than the first line has names; quote commas")
        cells = {name.strip(): value.strip() for name, value in values.items() if name and value and value.strip()}
        texts = {name: cells[name] for name in ("source", "target", "name") if name in cells}
        if cells:
            records.append((number, {name: parse_setting(value) for name, value in cells.items()} | texts))
    return records


def _json_records(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """Line number and values of each row; values in "settings" count as columns."""
    records = []
    # Only "\n" ends a line: strings of JSON can hold other separators.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: is no JSON ({error}); write one object on each line") from None
        if not isinstance(values, dict) or not isinstance(values.get("settings", {}), dict):
            raise UserError(f"{path}, line {number}: is no JSON object; write one with source, target and settings")
        records.append((number, {**values.pop("settings", {}), **values}))
    return records


def _row(path: Path, number: int, record: Mapping[str, Any], style: str | None, common: Mapping[str, Any]) -> BatchRow:
    texts = {name: str(record[name]) for name in ("source", "target", "name") if record.get(name)}
    if "source" not in texts:
        raise UserError(f"{path}, line {number}: has no source; the first line of a .csv names the columns")
    if "target" not in texts and style is None:
        raise UserError(f"{path}, line {number}: has no target; add one, or give `style` for all rows")
    settings = {name: value for name, value in record.items() if name not in ("source", "target", "name")}
    target = _beside(path, texts["target"]) if "target" in texts else str(style)
    return BatchRow(_beside(path, texts["source"]), target, {**common, **settings}, texts.get("name", ""))


def _beside(table: Path, text: str) -> str:
    """A path of a table, which starts at the table's folder."""
    return text if is_remote(text) else str(table.parent / Path(text).expanduser())


# -- patterns and names -----------------------------------------------------------------------------------------------


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern).expanduser()
    if is_remote(pattern):
        raise UserError(f"{pattern}: a pattern is for files here; list URLs in a .csv or .jsonl table")
    paths = [path] if path.exists() else natural_order(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
    if not paths:
        raise UserError(f"{pattern}: no file fits; give a table (.csv, .jsonl) or a pattern such as 'shots/*.mp4'")
    return paths


def _required_style(style: str | None) -> str:
    if style is None:
        raise UserError("a pattern of sources needs a target: give `style`, an image or a trained model")
    return style


def _absolute(text: str) -> str:
    return text if is_remote(text) else str(Path(text).expanduser().absolute())


def _stem(text: str) -> str:
    """The name of a file without its folder and suffix; of a run's model file that of the folder."""
    path = PurePosixPath(text.replace("\\", "/"))
    return path.parent.name if path.stem == "model" else re.sub(r"[._-]?(%0?\d*d|#+)$", "", path.stem) or path.name


def _plain(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text).lstrip("-.")[:_MAX_NAME] or "row"
