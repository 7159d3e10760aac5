"""Checks of JSON from files that may come from strangers: headers of models, and the files of a run's folder.

Text is bounded in length before it is parsed, and values in type, size and number before anything uses them.
`model_outline` has the checks of a model's tensors.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

MAX_HEADER = 256 * 1024
"""Largest number of characters of the JSON in a model file; our own have about 5,000."""
MAX_RECORD = 1024 * 1024
"""Largest number of bytes of config.json, environment.json and completion.json."""
MAX_SETTINGS = 64 * 1024
"""Largest number of characters of a model's `settings` as JSON: outputs repeat them in their metadata."""
MAX_TEXT = 4096
"""Largest number of characters of one text in a header, such as the name of an input."""
MAX_DEPTH = 16
"""Largest depth of nested objects and lists."""
MAX_STAGES = 256
"""Largest number of stages of a plan."""
MAX_LINE = 10_000
"""Largest number of characters of a line of metrics.jsonl."""
MAX_PICKLE = 4 * 1024 * 1024
"""Largest number of bytes of the list of tensors in a state; that of 1,000 tensors has about 300,000."""
MAX_DIRECTORY_BYTES = 4 * 1024 * 1024
"""Largest length of the list of files in a state's archive: a tensor takes about 120 bytes."""
_END_BYTES = 98
"""Length of the records at the end of a ZIP archive: 56 and 20 bytes of ZIP64, and 22 bytes."""
_MAX_DATE = 40
MAX_INTEGER = 2**53
"""Largest integer: those that every reader of JSON represents exactly."""


def parse_json(text: str | bytes, most: int) -> dict[str, Any]:
    """The object that `text` holds.

    Python's parser accepts more than JSON has: NaN, infinities, and repeated names, of which it keeps the last.

    Args:
        text: JSON, as text or as UTF-8.
        most: Largest length of `text`.

    Raises:
        ValueError: `text` is longer, is not JSON, holds no object, or is nested too deeply.
    """
    if len(text) > most:
        raise ValueError(f"{len(text)} characters of JSON, at most {most} are read")
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError(f"holds {_kind(value)} where an object is expected")
    _check_values(value, MAX_DEPTH)
    return value


def read_record(path: Path, most: int = MAX_RECORD) -> dict[str, Any] | None:
    """The object in a JSON file of a run; None where the file is missing, too large, or holds no valid object."""
    try:
        if not path.is_file():  # a pipe would wait for a writer
            return None
        with path.open("rb") as file:
            return parse_json(file.read(most + 1), most)
    except (OSError, ValueError):
        return None


def parse_settings(text: str) -> dict[str, Any]:
    """The settings of a training, as JSON in a state.

    Raises:
        ValueError: They are not valid.
    """
    settings = parse_json(text, MAX_RECORD)
    check_setting_types(settings)
    return settings


def read_settings(path: Path) -> dict[str, Any] | None:
    """The settings in a config.json; None where the file is missing, cannot be read, or holds no settings."""
    settings = read_record(path)
    try:
        if settings is not None:
            check_setting_types(settings)
    except ValueError:
        return None
    return settings


def read_completion(path: Path) -> dict[str, Any] | None:
    """The record in a completion.json; None where the file is missing, cannot be read, or holds no such record."""
    record = read_record(path)
    if record is None or not isinstance(record.get("date", ""), str) or len(record.get("date", "")) > _MAX_DATE:
        return None
    return record


def _directory_bytes(file: BinaryIO) -> int:
    """Return the length of a ZIP archive's list of entries, which `zipfile` reads at once.

    Raises:
        zipfile.BadZipFile: The archive does not end as torch's do: with the end record, without a comment.
    """
    start = max(0, file.seek(0, os.SEEK_END) - _END_BYTES)
    file.seek(start)
    tail = file.read().rjust(_END_BYTES, b"\0")
    if tail[-22:-18] != b"PK\5\6":
        raise zipfile.BadZipFile("its end is missing")
    # Record and locator of ZIP64 precede the end record; their numbers replace its own.
    (length,) = struct.unpack_from("<I", tail, _END_BYTES - 22 + 12)
    if tail[-42:-38] == b"PK\6\7":
        if tail[:4] != b"PK\6\6":
            raise zipfile.BadZipFile("its end is not understood")
        (length,) = struct.unpack_from("<Q", tail, 40)
    return int(length)


def check_archive(path: Path) -> None:
    """Check the archive of a state, before anything in it is unpacked.

    torch stores tensors uncompressed. A compressed entry may be thousands of times as large as the file, and entries
    that share bytes may, too.

    Raises:
        ValueError: An entry is compressed, or the entries are larger than the file.
        zipfile.BadZipFile: It is no archive.
    """
    with path.open("rb") as file:
        # torch reads any other start as a format of its own, without an archive's sizes and checksums.
        if file.read(4) != b"PK\x03\x04":
            raise zipfile.BadZipFile("it does not start as an archive")
        if _directory_bytes(file) > MAX_DIRECTORY_BYTES:
            raise ValueError("its list of entries is too long")
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size for entry in entries):
        raise ValueError("it has compressed entries")
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise ValueError("its entries are larger than the file")
    # The rest are tensors. Python reads this entry, value by value.
    if any(entry.file_size > MAX_PICKLE for entry in entries if entry.filename.endswith(".pkl")):
        raise ValueError(f"its list of tensors has more than {MAX_PICKLE} bytes")


def check_header(header: Mapping[str, Any]) -> None:
    """Check the types and sizes of the entries of a model file's header, of any format version.

    Raises:
        ValueError: One of them is missing, of a wrong type, or too large.
    """
    for name, kind in (("method", str), ("stage", int), ("sha256", str)):
        _expect(header, name, kind)
    for name in ("config", "plan", "settings"):
        _expect(header, name, dict)
    if header.get("synthesis") is not None:
        _expect(header, "synthesis", dict)
    for name in ("config", "synthesis"):
        for setting, value in (header.get(name) or {}).items():
            if isinstance(value, dict | list):
                raise ValueError(f"{name}.{setting} is {_kind(value)} where a plain value is expected")
    _check_plan(header["plan"])
    check_setting_types(header["settings"])


def check_setting_types(settings: Mapping[str, Any]) -> None:
    """Check the record of a training, which a model file, config.json and the metadata of outputs hold.

    Raises:
        ValueError: An entry is of a wrong type, or the record is too large.
    """
    for name, kind in (("method", str), ("preset", str), ("seed", int), ("config", dict), ("inputs", dict)):
        if name in settings:
            _expect(settings, name, kind)
    sources = {f"inputs.{name}": value for name, value in settings.get("inputs", {}).items()}
    if "warm_start" in settings:
        sources["warm_start"] = settings["warm_start"]
    for name, source in sources.items():
        if not isinstance(source, dict) or not isinstance(source.get("name"), str):
            raise ValueError(f"settings.{name} has no name")
    if "progress" in settings:
        progress = _expect(settings, "progress", dict)
        for name in ("stage", "stages", "step", "steps"):
            _expect(progress, name, int)
    if (length := len(json.dumps(settings))) > MAX_SETTINGS:
        raise ValueError(f"settings have {length} characters, at most {MAX_SETTINGS} are read")


def _check_plan(plan: Mapping[str, Any]) -> None:
    """Check the types of a plan's entries; `model_outline` compares their values with the config."""
    channels = plan.get("channels")
    if channels not in (1, 3, 4):
        raise ValueError(f"plan.channels is {channels!r}, not 1, 3 or 4")
    factors = _expect(plan, "factors", list)
    if not 1 <= len(factors) <= MAX_STAGES:
        raise ValueError(f"plan.factors has {len(factors)} stages, not 1 to {MAX_STAGES}")
    # A little above 1: SinGAN's rule enlarges an image that is smaller than its coarsest stage.
    if not all(_is_number(factor) and 1e-4 <= factor <= 4 for factor in factors) or factors[-1] != 1:
        raise ValueError("plan.factors are not numbers from 0.0001 to 4 that end in 1")
    for name, size in _expect(plan, "full_sizes", dict).items():
        if not isinstance(size, list) or len(size) != 2 or not all(_is_number(n) and n == int(n) for n in size):
            raise ValueError(f"plan.full_sizes.{name} is not a pair of whole numbers")
    if not isinstance(plan.get("square", False), bool):
        raise ValueError("plan.square is neither true nor false")


def _expect(values: Mapping[str, Any], name: str, kind: type) -> Any:
    """The entry `name` of `values`, of the type `kind`; a `ValueError` says that it is not."""
    if name not in values:
        raise ValueError(f"no entry '{name}'")
    value = values[name]
    # Python counts True as an integer.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"{name} is {_kind(value)} where {_KINDS[kind]} is expected")
    return value


_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def _kind(value: object) -> str:
    return _KINDS[type(value)]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_values(value: Any, depth: int) -> None:
    """Refuse values nested deeper than `depth`, long texts, and numbers that are not finite or are too large."""
    if isinstance(value, dict | list):
        if depth == 0:
            raise ValueError("its JSON is nested too deeply")
        for name in value if isinstance(value, dict) else ():
            _check_values(name, 0)
        for part in value.values() if isinstance(value, dict) else value:
            _check_values(part, depth - 1)
    elif isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(f"a text has {len(value)} characters, at most {MAX_TEXT} are read")
    elif _is_number(value) and not (math.isfinite(value) if isinstance(value, float) else abs(value) <= MAX_INTEGER):
        raise ValueError("a number is too large")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("an object of its JSON has two entries of one name")
    return values


def _refuse_constant(name: str) -> None:
    raise ValueError(f"holds {name}, which is no number of JSON")
