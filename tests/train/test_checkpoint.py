"""The model file: one-line messages for invalid files, no unpickling, and no partly written file."""

from __future__ import annotations

import importlib.util
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import lonepair.methods as methods
from corrupt_files import Malicious, rewrite_model
from lonepair.api.job import Job
from lonepair.api.model import load
from lonepair.errors import UserError
from lonepair.media.stills.image import read_image
from lonepair.methods.base import Method
from lonepair.train import checkpoint
from lonepair.train.checkpoint import FORMAT_VERSION, load_model, read_header, save_model
from lonepair.train.run import RunFolder
from tiny_settings import TINY, picture, tiny

SETTINGS = {"seed": 7, "inputs": {"a": {"name": "grüße.png"}}}


@pytest.fixture(scope="module")
def method() -> Method:
    """Grown to its last stage, untrained."""
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    job = Job.prepare(inputs, methods.DEFAULT, "standard", {**TINY, "width": 4})
    torch.manual_seed(0)
    method = job.method_class(job.config, job.plan)
    for _ in range(method.plan.stages):
        method.add_stage()
    return method


@pytest.fixture
def model(method: Method, tmp_path: Path) -> Path:
    return save_model(tmp_path / "m.safetensors", method, SETTINGS)


def test_loaded_model_equals_saved_model(model: Path, method: Method) -> None:
    again, settings = load_model(model)
    assert settings == SETTINGS
    assert (again.stage, again.plan, again.config) == (method.stage, method.plan, method.config)
    assert not again.nets.training
    for name, tensor in method.model_state().items():
        assert torch.equal(again.model_state()[name], tensor)


def test_header_has_the_required_entries(model: Path, method: Method) -> None:
    header = read_header(model)
    assert (header["format_version"], header["method"], header["stage"]) == (FORMAT_VERSION, method.name, method.stage)
    assert header["config"] == method.config.to_dict()
    assert header["settings"] == SETTINGS
    assert "rights" in header["license"]


def test_any_flipped_bit_is_noticed(model: Path) -> None:
    whole = model.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    header = range(0, 8 + length, max(1, length // 30))
    tensors = range(8 + length, len(whole), max(1, (len(whole) - length) // 12))
    for place in (*header, *tensors, len(whole) - 1):
        model.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"m\.safetensors: ") as caught:
            load_model(model)
        assert "\n" not in str(caught.value), place


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no such file"),
        (b"", r"the file is empty \(0 bytes\)"),
        (b"hello\n" * 100, "not a safetensors file, or an incomplete one"),
        (pickle.dumps(Malicious()), "not a safetensors file, or an incomplete one"),
    ],
)
def test_other_files_are_refused(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    if content is not None:
        path.write_bytes(content)
    for read in (read_header, load_model, load):
        with pytest.raises(UserError, match=rf"m\.safetensors: {says}"):
            read(path)


@pytest.mark.parametrize("share", [0.0001, 0.01, 0.3, 0.9, 0.9999])
def test_a_model_that_was_cut_short_is_refused(model: Path, share: float) -> None:
    whole = model.read_bytes()
    model.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UserError, match=r"m\.safetensors: (not a safetensors file, or an incomplete one|.* empty)"):
        load_model(model)


def test_safetensors_of_another_program_are_refused(tmp_path: Path) -> None:
    for metadata in (None, {"format": "pt"}):
        save_file({"weight": torch.zeros(3)}, tmp_path / "m.safetensors", metadata)
        with pytest.raises(UserError, match="not a lonepair model"):
            load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda h: h.update(format_version=99),
            f"has format version 99, this lonepair reads versions 1 to {FORMAT_VERSION}",
        ),
        (lambda h: h.update(method="cubism"), "method 'cubism' is unknown; installed methods: "),
        (lambda h: h.update(stage=10**9), "stage 1000000000 of 2"),
        (lambda h: h.update(stage=-1), "stage -1 of 2"),
        (lambda h: h.update(stage="one"), "stage is a text where a whole number is expected"),
        (lambda h: h.update(stage=0), "model file is invalid"),
        (lambda h: h["config"].update(width=0), "width is 0: choose 1 or more"),
        (lambda h: h["config"].update(width=5), r"tensor 'g_a.* has the shape \[.*its settings need"),
        (lambda h: h["config"].update(colour=1), "colour: no such setting"),
        (lambda h: h["plan"].update(full_sizes=3), "full_sizes is a whole number where an object is expected"),
        (lambda h: h.pop("plan"), "header is invalid .*no entry 'plan'"),
        (lambda h: h.pop("settings"), "header is invalid .*no entry 'settings'"),
        (lambda h: h.clear(), "header is invalid .*format_version"),
    ],
)
def test_headers_that_cannot_be_are_refused(
    model: Path, change: Callable[[dict[str, object]], object], says: str
) -> None:
    with pytest.raises(UserError, match=rf"m\.safetensors: .*{says}") as caught:
        load_model(rewrite_model(model, change))
    assert "\n" not in str(caught.value)


def test_changed_setting_is_refused(model: Path) -> None:
    with pytest.raises(UserError, match="its checksum does not match"):
        load_model(rewrite_model(model, lambda h: h["config"].update(leaky_slope=0.5), fits=False))


def test_a_header_that_is_no_json_object_is_refused(tmp_path: Path) -> None:
    for text in ("{", "[]", "3", "null"):
        save_file({"weight": torch.zeros(3)}, tmp_path / "m.safetensors", {"lonepair": text})
        with pytest.raises(UserError, match="header is invalid"):
            load_model(tmp_path / "m.safetensors")


@pytest.mark.parametrize("name", ["m.pt", "m", "m.safetensors.bak"])
def test_another_suffix_is_refused(method: Method, tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"ends in \.safetensors; name it m.*\.safetensors$"):
        save_model(tmp_path / name, method, {})
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_file(
    model: Path, method: Method, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = model.read_bytes()

    def half(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(UserError, match=r"m\.safetensors: cannot be written \(no space left on device\)"):
        save_model(model, method, {"seed": 8})
    monkeypatch.undo()
    assert model.read_bytes() == before
    assert list(tmp_path.iterdir()) == [model]


def test_nothing_is_unpickled(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a model was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load_model(model)
    assert not {"pickle", "torch.load"} & set(vars(checkpoint))


DATA = Path(__file__).parents[1] / "data"


def stored_picture(height: int, width: int, seed: int) -> torch.Tensor:
    """The random image (1, 3, h, w) of benchmarks/regression.py, the input of the stored images."""
    path = Path(__file__).parents[2] / "benchmarks" / "regression.py"
    spec = importlib.util.spec_from_file_location("regression", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    image: torch.Tensor = module.picture(height, width, seed)
    return image


@pytest.mark.parametrize("path", sorted(DATA.glob("model-[123]-*.safetensors")), ids=lambda p: p.stem)
def test_model_files_of_old_formats_give_the_pictures_stored_beside_them(path: Path) -> None:
    """Written, like the pictures, by the last code of each format; mean difference below 1/255 of white."""
    model = load(path, "cpu", "float32")
    # Formats 1 and 2 are older than the dial.
    dials = {"structure": 0.5 if "model-3" in path.name else 0.0} if model.method.synthesis else {}
    image = (
        model.translate(stored_picture(30, 34, 5), **dials).image
        if "translate" in model.method.uses
        else model.sample(1, seed=1)[0]["a"]
    )
    stored = read_image(path.with_suffix(".png"))
    assert image.shape == stored.shape
    assert float((image.clamp(-1, 1) - stored).abs().mean()) / 2 < 1 / 255


def test_model_file_of_2026_11_23_gives_the_values_of_its_time() -> None:
    """Written by commit 0b40c9a, as are the numbers below, at the size it was trained at."""
    model = load(DATA / "model-v1.safetensors", device="cpu", dtype="float32")
    assert model.method.name == "representative"
    translation = model.translate(picture(24, 20, seed=1), seed=3, size=(20, 17)).image
    assert translation.shape == (1, 3, 20, 17)
    assert translation[0, 0, 0, :3].tolist() == pytest.approx([-0.0113, 0.0535, 0.102], abs=2e-4)


@pytest.mark.parametrize("name", methods.names())
def test_files_of_todays_format_round_trip(name: str, tmp_path: Path) -> None:
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    domains = methods.get_method(name).domains
    one_step = {"steps": 1} if methods.get_method(name).trains else {}
    model = Job.prepare({d: inputs[d] for d in domains}, name, "standard", tiny(name, **one_step)).run()
    path = model.save(tmp_path / "m.safetensors")
    assert read_header(path)["format_version"] == FORMAT_VERSION == 6
    again = load(path, "cpu", "float32")
    assert again.method.config == model.method.config
    for key, tensor in model.method.model_state().items():
        assert torch.equal(again.method.model_state()[key], tensor), key


def test_resume_of_a_run_with_settings_of_other_names_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"method": "singan", "config": {"slope": 0.2}}))
    with pytest.raises(UserError, match="another version of lonepair started this run"):
        RunFolder(tmp_path).check_config({"method": "singan", "config": {"leaky_slope": 0.2}})
