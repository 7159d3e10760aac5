"""Model files from strangers: refused before networks are built, whatever header, tensors and text they hold."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import lonepair.methods as methods
from corrupt_files import rewrite_model
from lonepair.api.job import Job
from lonepair.commands.about import Info, run_info
from lonepair.commands.main import main
from lonepair.errors import UserError
from lonepair.ops.fingerprint import fingerprint
from lonepair.train import checkpoint
from lonepair.train.checkpoint import load_model, read_header
from lonepair.train.model_outline import check_outline
from lonepair.train.validation import MAX_SETTINGS, parse_json
from tiny_models import untrained
from tiny_settings import picture


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("models")
    return {name: untrained(name, folder / f"{name}.safetensors").read_bytes() for name in methods.names()}


@pytest.fixture
def model(originals: dict[str, bytes], tmp_path: Path) -> Path:
    path = tmp_path / "m.safetensors"
    path.write_bytes(originals["lonepair"])
    return path


@pytest.fixture
def _nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a model's networks are created with memory."""

    def refuse(*keys: int) -> None:
        raise SystemExit("networks were built")

    monkeypatch.setattr(checkpoint, "seed_global", refuse)


def setting(name: str, value: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header["config"].update({name: value})


def plan(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header["plan"].update(changes)


def entry(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda header: header.update(changes)


@pytest.mark.usefixtures("_nothing_is_built")
@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("lonepair", setting("width", 9000), "width is 9000: choose 1024 or less"),
        ("lonepair", setting("width", 1000), "tensor 'g_a.+' has the shape .*, its settings need"),
        ("lonepair", setting("width", True), "width is True: give a whole number"),
        ("lonepair", setting("width", 10**300), "a number is too large"),
        ("lonepair", setting("blocks_per_stage", 10**6), "blocks_per_stage is 1000000: choose 64 or less"),
        ("lonepair", setting("blocks_per_stage", 60), "tensor 'g_a.+' is missing"),
        ("lonepair", setting("leaky_slope", [0.1]), "config.leaky_slope is a list"),
        ("singan", setting("convolutions", 10**6), "convolutions is 1000000: choose 64 or less"),
        ("representative", setting("critic_blocks", 10**6), "critic_blocks is 1000000"),
        ("closed-form", setting("coarse_steps", 10**6), "coarse_steps is 1000000: choose 1000 or less"),
        ("lonepair", plan(factors=[0.5] * 10**4 + [1.0]), "plan.factors has 10001 stages, not 1 to 256"),
        ("lonepair", plan(factors=[0.5] * 200 + [1.0]), "tensor '.*' has the shape"),
        ("lonepair", plan(factors=[0.5, 0.9]), "plan.factors are not numbers .* that end in 1"),
        ("lonepair", plan(full_sizes={"a": [10**6, 10**6], "b": [20, 26]}), "1000000x1000000 pixels for a"),
        ("lonepair", plan(full_sizes={"a": [20, 17]}), "its plan is for the inputs a, its method has a, b"),
        ("lonepair", plan(full_sizes={"a": [20, 17], "b": [15, 19]}), "exemplar_b.images' has the shape"),
        ("lonepair", plan(channels=2), "plan.channels is 2"),
        ("lonepair", entry(synthesis={"rounds": 10**9}), "rounds is 1000000000: choose 100 or less"),
        ("lonepair", entry(synthesis={"flow_window": 1e9}), "flow_window is 1000000000.0: choose 100 or less"),
        ("lonepair", entry(method="os"), "method 'os' is unknown"),
        ("lonepair", entry(method=["lonepair"]), "method is a list where a text is expected"),
        ("lonepair", entry(stage=1.0), "stage is a number where a whole number is expected"),
        ("lonepair", entry(settings={"inputs": {"a": "../../x"}}), "settings.inputs.a has no name"),
        ("lonepair", entry(settings={"progress": {}}), "no entry 'stage'"),
        ("lonepair", entry(settings={"seed": "0"}), "seed is a text where a whole number is expected"),
        ("lonepair", entry(settings={"inputs": {"a": {"name": "x" * 5000}}}), "a text has 5000 characters"),
        ("lonepair", entry(settings={"notes": ["x" * 1000] * 100}), f"at most {MAX_SETTINGS} are read"),
        ("lonepair", entry(notes="x" * 300_000), "at most 262144 are read"),
    ],
)
def test_a_signed_header_with_impossible_values_is_refused_before_networks_are_built(
    name: str, change: Callable[[dict[str, Any]], object], says: str, originals: dict[str, bytes], tmp_path: Path
) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(originals[name])
    with pytest.raises(UserError, match=rf"m\.safetensors: .*{says}"):
        load_model(rewrite_model(path, change))


def change_tensors(model: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> Path:
    """`model` with changed tensors, signed again."""
    header, tensors = read_header(model), load_file(model)
    change(tensors)
    header["sha256"] = fingerprint(header, tensors)
    save_file(tensors, model, {"lonepair": json.dumps(header)})
    return model


BIAS = "g_a.head.0.bias"


@pytest.mark.usefixtures("_nothing_is_built")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda t: t.pop(BIAS), f"tensor '{BIAS}' is missing"),
        (lambda t: t.update(extra=torch.zeros(3)), "tensor 'extra' does not belong to the model"),
        (lambda t: t.update({BIAS: torch.zeros(3)}), f"tensor '{BIAS}' has the shape"),
        (lambda t: t.update({BIAS: t[BIAS].half()}), f"tensor '{BIAS}' has the type F16"),
        (lambda t: t.update({BIAS: t[BIAS].long()}), f"tensor '{BIAS}' has the shape"),
        (lambda t: t[BIAS].fill_(float("nan")), f"tensor '{BIAS}' holds NaN"),
        (lambda t: t[BIAS].fill_(float("-inf")), f"tensor '{BIAS}' holds NaN or infinite"),
        (lambda t: t.update({"exemplar_a.images": torch.zeros(0, 3, 20, 17)}), "exemplar_a.images' has the shape"),
        (lambda t: t.update({"exemplar_a.images": torch.zeros(300, 3, 1, 1)}), "exemplar_a.images' has the shape"),
        (
            lambda t: t.update({"exemplar_a.detail_bytes": torch.zeros(1, 3, 0, 9, dtype=torch.uint8)}),
            "detail_bytes' has the shape",
        ),
    ],
)
def test_tensors_that_do_not_fit_the_header_are_refused_before_networks_are_built(
    change: Callable[[dict[str, torch.Tensor]], object], says: str, model: Path
) -> None:
    with pytest.raises(UserError, match=rf"m\.safetensors: .*{says}"):
        load_model(change_tensors(model, change))


def test_networks_that_training_alone_needs_cannot_be_much_larger_than_the_file() -> None:
    """Critics are created with a model's networks, and the header alone decides how deep they are."""
    sizes = {"min_side": 130, "max_side": 140, "stages": 2}
    settings = {"critic_blocks": 64, "width": 300, "blocks_per_stage": 1, **sizes}
    inputs = {"a": picture(130, 140), "b": picture(130, 140)}
    job = Job.prepare(inputs, "representative", "standard", settings)
    with torch.device("meta"):
        method = job.method_class(job.config, job.plan)
        for _ in range(2):
            method.add_stage()
    with pytest.raises(ValueError, match=r"its networks need \d+ MB, the file has \d+ MB"):
        check_outline(method.model_state(), job.method_class, job.config, job.plan, 1)


def with_table(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """Change the tensor table of a safetensors file."""

    def make(data: bytes) -> bytes:
        length = struct.unpack("<Q", data[:8])[0]
        table = json.loads(data[8 : 8 + length])
        change(table)
        text = json.dumps(table).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + length :]

    return make


def shared_offsets(table: dict[str, Any]) -> None:
    first, second = [name for name in table if name != "__metadata__"][:2]
    table[second]["data_offsets"], table[second]["shape"] = table[first]["data_offsets"], table[first]["shape"]


@pytest.mark.usefixtures("_nothing_is_built")
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda data: struct.pack("<Q", 2**63 - 1) + data[8:], id="header longer than any file"),
        pytest.param(lambda data: struct.pack("<Q", 2**24) + bytes(2**24), id="header of 16 MB"),
        pytest.param(lambda data: data[:8] + b"\xff\xfe" + data[10:], id="not UTF-8"),
        pytest.param(lambda data: struct.pack("<Q", 10**6) + b"[" * 10**6, id="deeply nested table"),
        pytest.param(with_table(shared_offsets), id="overlapping offsets"),
        pytest.param(with_table(lambda t: t[BIAS].update(data_offsets=[-8, 0])), id="negative offset"),
        pytest.param(with_table(lambda t: t[BIAS].update(shape=[2**62, 2**62])), id="shape beyond the file"),
        pytest.param(with_table(lambda t: t[BIAS].update(dtype="X9")), id="unknown type"),
        pytest.param(with_table(lambda t: t["__metadata__"].update(lonepair=3)), id="metadata that is no text"),
        pytest.param(with_table(lambda t: t["__metadata__"].update(lonepair='{"a":' * 9999)), id="deep header"),
        pytest.param(with_table(lambda t: t["__metadata__"].update(lonepair='{"stage": NaN}')), id="NaN"),
        pytest.param(with_table(lambda t: t["__metadata__"].update(lonepair='{"a": 1, "a": 2}')), id="one name twice"),
        pytest.param(with_table(lambda t: t["__metadata__"].update(lonepair="9" * 5000)), id="long number"),
    ],
)
def test_tricks_with_the_tensor_table_are_refused_in_one_line(make: Callable[[bytes], bytes], model: Path) -> None:
    model.write_bytes(make(model.read_bytes()))
    for read in (read_header, load_model):
        with pytest.raises(UserError, match=r"m\.safetensors: ") as caught:
            read(model)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 600 + len(str(model))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": Infinity}', "holds Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": 99999999999999999999}', "too large"),
        ('{"a": ' + "9" * 400 + "}", "too large"),
        ('{"a": {"b": 1, "b": 1}}', "two entries of one name"),
        ("[1]", "holds a list where an object is expected"),
        ("[" * 100_000, "nested too deeply"),
        ('{"a": ' + "[" * 20 + "]" * 20 + "}", "nested too deeply"),
        (b'{"a": "\xff"}', "utf-8"),
    ],
)
def test_json_that_is_not_plain_data_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(text, 10**6)


def test_text_of_a_file_cannot_command_the_terminal(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trick = "x\x1b]0;owned\x07\x9b2J\u202egnp.exe\nfile  all is well"
    rewrite_model(model, lambda h: h["settings"].update(method=trick, inputs={"a": {"name": trick}}))
    run_info(Info(model))
    rewrite_model(model, lambda h: h.update(method=trick))
    assert main(["info", str(model)]) == 2
    shown = capsys.readouterr()
    for text in (shown.out, shown.err):
        assert r"x\x1b]0;owned\x07\x9b2J\u202egnp.exe\nfile  all is well" in text.replace(r"\\", "\\")
        assert not set(text) & set("\x1b\x07\x9b\u202e")
