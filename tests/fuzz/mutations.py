"""Changes of valid files that reach behind the first check: values of fields, with checksums made right again.

A mutation is (name, position, value): a function of this module, a number from 0 to 1 that chooses the place in the
file, and a value whose meaning depends on the function. `apply` never fails; a mutation that does not suit a file
leaves it as it is.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import torch
from bases import compressed_archive, png_chunk
from safetensors.torch import load, save

from lonepair.ops.fingerprint import fingerprint

Mutation = tuple[str, float, Any]

VALUES: list[Any] = [
    *(0, 1, 2, 3, 7, -1, 64, 255, 4096, 9000, 65535, 10**6, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63, 2**64, 10**30),
    *(0.0, 0.5, 1.0, -0.5, 1e-320, 1e-9, 1e9, 1e308, float("nan"), float("inf"), True, False, None),
    *("", "a", "b", "lonepair", "singan", "../../../etc/passwd", "/dev/zero", "\x1b[2J\x1b]0;x\x07", "\u202egnp"),
    *("\ud800", "x" * 5000, "__class__", "os.system", [], {}, [1, 2], [[[[[[]]]]]], {"name": 3}, {"a": {"a": {}}}),
]
"""Values for fields of JSON; those of other files take their integers."""


def apply(data: bytes, mutations: list[Mutation]) -> bytes:
    """`data` after all `mutations`."""
    for name, position, value in mutations:
        try:
            data = MUTATIONS[name](data, position, value)
        except (ValueError, KeyError, IndexError, TypeError, OverflowError, struct.error, RecursionError):
            continue
        except (RuntimeError, AttributeError, zipfile.BadZipFile):
            continue
        except Exception as error:  # the library's own error is no subclass of these
            if "Safetensor" not in type(error).__name__:
                raise
    return data


def _number(value: Any) -> int:
    return int(value) if isinstance(value, int | float) and value == value and abs(value) < 1e300 else 0


def _index(position: float, length: int) -> int:
    return min(length - 1, int(position * length))


# -- bytes ------------------------------------------------------------------------------------------------------------


def flip(data: bytes, position: float, value: Any) -> bytes:
    index = _index(position, len(data))
    return data[:index] + bytes([data[index] ^ (1 << _number(value) % 8)]) + data[index + 1 :]


def cut(data: bytes, position: float, value: Any) -> bytes:
    return data[: max(1, int(len(data) * position))]


def zero_tail(data: bytes, position: float, value: Any) -> bytes:
    start = int(len(data) * position)
    return data[:start] + bytes(len(data) - start)


def write_number(data: bytes, position: float, value: Any) -> bytes:
    """Four or two bytes, in either order, at any place."""
    size, order = (2, 4)[_number(value) % 2], ("big", "little")[_number(value) // 2 % 2]
    index = _index(position, len(data) - size)
    raw = (_number(value) % 256**size).to_bytes(size, order)  # type: ignore[arg-type]
    return data[:index] + raw + data[index + size :]


def repeat(data: bytes, position: float, value: Any) -> bytes:
    index = _index(position, len(data))
    return data[:index] + data[max(0, index - 64) : index] * (_number(value) % 40) + data[index:]


# -- JSON -------------------------------------------------------------------------------------------------------------


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of every value in nested objects and lists."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


def _change_json(values: Any, position: float, value: Any) -> None:
    """Replace one value; the value "b" removes it, and "a" adds a name."""
    places = list(_places(values))
    container, key = places[_index(position, len(places))]
    if value == "b":
        del container[key]
    elif value == "a" and isinstance(container, dict):
        container[f"{key}_"] = container[key]
    else:
        container[key] = value


def json_value(data: bytes, position: float, value: Any) -> bytes:
    values = json.loads(data)
    _change_json(values, position, value)
    return json.dumps(values).encode()


def json_line(data: bytes, position: float, value: Any) -> bytes:
    lines = data.split(b"\n")
    index = _index(position, len(lines))
    lines[index] = json_value(lines[index], position * len(lines) % 1, value)
    return b"\n".join(lines)


# -- models -----------------------------------------------------------------------------------------------------------


def _table(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _with_table(table: dict[str, Any], rest: bytes) -> bytes:
    text = json.dumps(table).encode()
    return struct.pack("<Q", len(text)) + text + rest


def header(data: bytes, position: float, value: Any) -> bytes:
    """A value of the header, signed again."""
    values = json.loads(_table(data)[0]["__metadata__"]["lonepair"])
    _change_json(values, position, value)
    return _signed(values, load(data))


def tensor(data: bytes, position: float, value: Any) -> bytes:
    """A tensor of other values, shape or type, or none, signed again."""
    values, tensors = json.loads(_table(data)[0]["__metadata__"]["lonepair"]), load(data)
    name = sorted(tensors)[_index(position, len(tensors))]
    old = tensors[name]
    if isinstance(value, float):
        tensors[name] = torch.full_like(old, min(value, 1e30)) if old.is_floating_point() else old * 0
    elif value is None or value == "b":
        del tensors[name]
    elif value == "a":
        tensors[f"{name}.a"] = old
    elif isinstance(value, str):
        tensors[name] = old.half()
    else:
        tensors[name] = torch.zeros(*old.shape[:-1], _number(value) % 70, dtype=old.dtype)
    return _signed(values, tensors)


def _signed(values: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bytes:
    values["sha256"] = fingerprint(values, tensors)
    return save(tensors, {"lonepair": json.dumps(values)})


def table(data: bytes, position: float, value: Any) -> bytes:
    """A value of the tensor table."""
    values, rest = _table(data)
    metadata = values.pop("__metadata__")
    _change_json(values, position, value)
    return _with_table({**values, "__metadata__": metadata}, rest)


def header_text(data: bytes, position: float, value: Any) -> bytes:
    """The JSON in the header as text, such as nested too deeply."""
    values, rest = _table(data)
    text = values["__metadata__"]["lonepair"]
    index = _index(position, len(text))
    middle = ("[" * 5000, "NaN", "1e999", "9" * 5000, '{"a":1,"a":2}', "\\ud800", "\x00")[_number(value) % 7]
    values["__metadata__"]["lonepair"] = text[:index] + middle + text[index:]
    return _with_table(values, rest)


# -- state ------------------------------------------------------------------------------------------------------------


def archive(data: bytes, position: float, value: Any) -> bytes:
    """Bytes of an entry of a state, with its checksum."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w", zipfile.ZIP_STORED) as new:
        entries = old.infolist()
        chosen = _index(position, len(entries))
        for index, entry in enumerate(entries):
            content = old.read(entry)
            if index == chosen and content:
                content = write_number(content, position * len(entries) % 1, value)
            new.writestr(entry.filename, content)
    return result.getvalue()


def compress(data: bytes, position: float, value: Any) -> bytes:
    return compressed_archive(data) if position < 0.1 else data


# -- images and clips -------------------------------------------------------------------------------------------------


def png(data: bytes, position: float, value: Any) -> bytes:
    """Bytes of a chunk with its checksum, or a chunk twice, or none."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += length + 12
    index = _index(position, len(chunks))
    kind, content = chunks[index]
    if value == "b":
        del chunks[index]
    elif value == "a":
        chunks.insert(index, chunks[index])
    elif content:
        chunks[index] = kind, write_number(content, position * len(chunks) % 1, value)
    return data[:8] + b"".join(png_chunk(*chunk) for chunk in chunks)


def tiff(data: bytes, position: float, value: Any) -> bytes:
    """Type, count or value of a tag of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack(order + "I", data[4:8])[0]
    count = struct.unpack(order + "H", data[start : start + 2])[0]
    at = start + 2 + 12 * _index(position, count)
    part, code = ((2, "H"), (4, "I"), (8, "I"), (8, "H"))[int(position * count * 4) % 4]
    raw = struct.pack(order + code, _number(value) % (2**16 if code == "H" else 2**32))
    return data[: at + part] + raw + data[at + part + len(raw) :]


_BOXES = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf")


def box(data: bytes, position: float, value: Any) -> bytes:
    """A field of a box of an MP4, or a box twice, or none."""
    found: list[tuple[int, int]] = []

    def walk(start: int, end: int) -> None:
        while start + 8 <= end:
            size = struct.unpack(">I", data[start : start + 4])[0]
            if size < 8 or start + size > end:
                return
            if data[start + 4 : start + 8] != b"mdat":
                found.append((start, size))
            if data[start + 4 : start + 8] in _BOXES:
                walk(start + 8, start + size)
            start += size

    walk(0, len(data))
    start, size = found[_index(position, len(found))]
    if value == "b":
        return data[: start + 4] + b"free" + data[start + 8 :]
    words = size // 4
    at = start + 4 * _index(position * len(found) % 1, words)
    return data[:at] + struct.pack(">I", _number(value) % 2**32) + data[at + 4 :]


MUTATIONS: dict[str, Callable[[bytes, float, Any], bytes]] = {
    function.__name__: function
    for function in (
        *(flip, cut, zero_tail, write_number, repeat, json_value, json_line, header, tensor, table, header_text),
        *(archive, compress, png, tiff, box),
    )
}
_BYTES = ("flip", "cut", "zero_tail", "write_number", "repeat")
SUITABLE: dict[str, tuple[str, ...]] = {
    ".safetensors": ("header", "header", "header", "tensor", "table", "header_text", "flip", "cut"),
    ".json": ("json_value", "json_value", "flip", "cut", "zero_tail"),
    ".jsonl": ("json_line", "json_line", "flip", "cut", "zero_tail"),
    ".pt": ("archive", "archive", "compress", "flip", "cut", "zero_tail"),
    ".png": ("png", "png", *_BYTES),
    ".tif": ("tiff", "tiff", *_BYTES),
    ".mp4": ("box", "box", *_BYTES),
    ".mov": ("box", "box", *_BYTES),
}
"""Suffix -> mutations that suit it, the better ones several times; all others have `_BYTES`."""


def suitable(suffix: str) -> tuple[str, ...]:
    """Names of the mutations for files of `suffix`."""
    return SUITABLE.get(suffix, _BYTES)
