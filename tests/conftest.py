"""Small images and settings of tiny trainings, which tests of all folders use."""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import lonepair.methods as methods
from lonepair.media.stills.image import write_image
from lonepair.methods.base import Method
from lonepair.ops.noise import RandomStream
from lonepair.train.events import Report, Watcher
from lonepair.train.loop import Interrupted
from lonepair.train.previews import Previews

_TINY: dict[str, Any] = {"stages": 2, "pyramid_ratio": 0.6, "min_side": 14, "max_side": 20}
_TINY |= {"width": 8, "max_width": 8, "steps": 3, "finest_steps": 3}
_TINY |= {"coarse_steps": 3, "fine_steps": 2}


def tiny(method: str, **settings: Any) -> dict[str, Any]:
    """Settings under which `method` trains in about a second: those of `_TINY` that it has, and `settings`."""
    known = methods.get_method(method).config_class.setting_names()
    return {**{name: value for name, value in _TINY.items() if name in known}, "device": "cpu", **settings}


TINY = tiny(methods.DEFAULT)


def picture(height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    """A smooth random image (1, c, h, w) in [-1, 1]: blobs of color."""
    coarse = torch.rand(1, channels, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)


class StopAfter(Watcher):
    """Interrupts a training after `steps` steps, as Ctrl-C does, but without saving."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def stepped(self, method: Method, report: Report) -> None:
        self.left -= 1
        if self.left == 0:
            raise Interrupted


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors are slower on two threads, and a machine's cores may be shared by several test processes."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _find_each_class_once() -> Iterator[None]:
    """Remember where the source of a class is: tyro asks at every command, and `inspect` parses the whole module."""
    original = inspect.findsource

    sources: dict[tuple[str, str], tuple[list[str], int] | None] = {}

    def findsource(thing: Any) -> tuple[list[str], int]:
        if not isinstance(thing, type):
            return original(thing)
        # By name, as forms are classes that each command makes. Some of them have no source.
        name = (thing.__module__, thing.__qualname__)
        if name not in sources:
            sources[name] = None
            with contextlib.suppress(OSError):
                sources[name] = original(thing)
        source = sources[name]
        if source is None:
            raise OSError("could not find class definition")
        return source

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspect, "findsource", findsource)
        yield


@pytest.fixture
def full_previews() -> None:
    """Write the previews of trainings as in use, with translations."""


@pytest.fixture(autouse=True)
def _small_previews(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write small previews without translations: those of each stage take longer than a tiny training."""
    if "full_previews" not in request.fixturenames:
        monkeypatch.setattr(Previews, "_translations", lambda previews, method: {})
        monkeypatch.setattr("lonepair.train.previews.CELL", 20)


@pytest.fixture(autouse=True)
def _write_without_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave written files in the system's cache: no test switches the machine off."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute as on a GPU, where the host does not read tensors: regions, distances and random numbers."""

    def uniform(rng: RandomStream, *shape: int) -> Tensor:
        return torch.special.ndtr(rng.normal(*shape)).clamp(max=1 - 1e-6)

    def integer(rng: RandomStream, bound: int) -> Tensor:
        return (bound * uniform(rng)).long()

    monkeypatch.setattr(RandomStream, "uniform", uniform)
    monkeypatch.setattr(RandomStream, "integer", integer)
    for module in ("lonepair.ops.regions", "lonepair.patches.distance", "lonepair.patches.subset"):
        monkeypatch.setattr(f"{module}.is_on_cpu", lambda values: False)


@pytest.fixture(params=["read", "unread"])
def either_way(request: pytest.FixtureRequest) -> None:
    """Run the test once as on a CPU, once as on a GPU."""
    if request.param == "unread":
        request.getfixturevalue("unread")


@pytest.fixture
def pair_files(tmp_path: Path) -> tuple[Path, Path]:
    """A source image of 24x20 (height x width) and a target of 20x26."""
    a, b = tmp_path / "a.png", tmp_path / "b.png"
    write_image(a, picture(24, 20, seed=1))
    write_image(b, picture(20, 26, seed=2))
    return a, b


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with only a source a.png of 24x20 (height x width) and a target b.png of 20x26."""
    monkeypatch.chdir(tmp_path)
    write_image("a.png", picture(24, 20, seed=1))
    write_image("b.png", picture(20, 26, seed=2))
    return tmp_path


@pytest.fixture(scope="session")
def pair_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on a.png and b.png of `here` that the command `translate` wrote; out.png is beside it.

    Tests only read it.
    """
    from command_line import tiny_flags
    from lonepair.commands.main import main

    folder = tmp_path_factory.mktemp("pair")
    write_image(folder / "a.png", picture(24, 20, seed=1))
    write_image(folder / "b.png", picture(20, 26, seed=2))
    inputs = [str(folder / name) for name in ("a.png", "b.png")]
    words = [*inputs, "--run", str(folder / "run"), "-o", str(folder / "out.png")]
    assert main(["translate", *tiny_flags(), *words]) == 0
    return folder / "run"
