"""Reads the rows of a batch from a table, or makes a row for each file of a pattern."""

from __future__ import annotations

import codecs
import csv
import glob
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lonepair.api.batch.rows import BatchRow, map_files, named_rows, parse_setting
from lonepair.api.batch.urls import is_remote
from lonepair.errors import UserError
from lonepair.storage.files import check_file, error_reason, natural_order

TABLES = (".csv", ".jsonl")
"""Suffixes of tables of rows."""
_TEXTS = ("source", "target", "name")
"""Columns that are no settings."""
_DELIMITERS = ",;\t"
"""Characters between the cells of a .csv file; spreadsheets write semicolons where the comma is that of decimals."""


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


# -- tables -----------------------------------------------------------------------------------------------------------


def _read_table(path: Path, style: str | None, common: Mapping[str, Any]) -> list[BatchRow]:
    check_file(path, "a .csv or .jsonl table with the columns source and target")
    try:
        data = path.read_bytes()
        is_utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no text in UTF-8; save it as UTF-8 (in Excel: CSV UTF-8)") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error_reason(error)}); check its permissions") from None
    records = _csv_records(path, text) if path.suffix.lower() == ".csv" else _json_records(path, text)
    return [_row(path, number, record, style, common) for number, record in records]


def _csv_records(path: Path, text: str) -> list[tuple[int, dict[str, Any]]]:
    """Line number and values of each row; empty cells and empty lines are left out."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header.count), strict=True, skipinitialspace=True
    )
    names: list[str] = []
    records = []
    try:
        for line in reader:
            cells, number = [cell.strip() for cell in line], reader.line_num
            if not any(cells):
                continue
            if not names:
                names = _column_names(path, number, cells)
            else:
                records.append((number, _values(path, number, names, cells)))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: is no line of a CSV file ({error}); save it again") from None
    return records


def _column_names(path: Path, number: int, cells: Sequence[str]) -> list[str]:
    """The names of the columns: those of settings, however they are capitalized.

    Raises:
        UserError: None is "source", or one stands twice.
    """
    names = [cell.lower().replace("-", "_").replace(" ", "_") for cell in cells]
    if "source" not in names:
        raise UserError(f"{path}, line {number}: names the columns {', '.join(cells)}, and none is source; name one so")
    for name in names:
        if name and names.count(name) > 1:
            raise UserError(f"{path}, line {number}: names the column {name} twice; delete one of both")
    return names


def _values(path: Path, number: int, names: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    """The values of a line by the names of their columns.

    Raises:
        UserError: A value is in no column that has a name.
    """
    for index, cell in enumerate(cells):
        if cell and (index >= len(names) or not names[index]):
            raise UserError(
                f"{path}, line {number}: has more cells than the first line names (number {index + 1} is {cell!r}); "
                "name each column, and quote cells that contain the delimiter"
            )
    texts = {name: cell for name, cell in zip(names, cells, strict=False) if cell}
    return {name: text if name in _TEXTS else parse_setting(text) for name, text in texts.items()}


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
    texts = {name: str(record[name]) for name in _TEXTS if record.get(name)}
    if "source" not in texts:
        raise UserError(f"{path}, line {number}: has no source; add one")
    if "target" not in texts and style is None:
        raise UserError(f"{path}, line {number}: has no target; add one, or give `style` for all rows")
    own = {name: value for name, value in record.items() if name not in _TEXTS}
    settings = map_files(own, lambda text: _beside(path, text))
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
