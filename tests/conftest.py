"""Fixtures of all tests.

The process that hands out the tests reads this file, too: fixtures import torch and the package when they are used.
"""

from __future__ import annotations

import contextlib
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair.ops.noise import RandomStream


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Small tensors are slower on two threads, and a machine's cores may be shared by several test processes."""
    import torch

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
        from lonepair.train.previews import Previews

        monkeypatch.setattr(Previews, "_translations", lambda previews, method: {})
        monkeypatch.setattr("lonepair.train.previews.CELL", 20)


@pytest.fixture(autouse=True)
def _write_without_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave written files in the system's cache: no test switches the machine off."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compute as on a GPU, where the host does not read tensors: regions, distances and random numbers."""
    import torch

    from lonepair.ops.noise import RandomStream

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
def quick_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start worker processes from the server of `warm_processes`, which has loaded torch."""
    import warm_processes

    monkeypatch.setattr("multiprocessing.get_context", lambda method: warm_processes.context)


@pytest.fixture
def pair_files(tmp_path: Path) -> tuple[Path, Path]:
    """A source image of 24x20 (height x width) and a target of 20x26."""
    from lonepair.media.stills.image import write_image
    from tiny_settings import picture

    a, b = tmp_path / "a.png", tmp_path / "b.png"
    write_image(a, picture(24, 20, seed=1))
    write_image(b, picture(20, 26, seed=2))
    return a, b


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with only a source a.png of 24x20 (height x width) and a target b.png of 20x26."""
    from lonepair.media.stills.image import write_image
    from tiny_settings import picture

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
    from lonepair.media.stills.image import write_image
    from tiny_settings import picture

    folder = tmp_path_factory.mktemp("pair")
    write_image(folder / "a.png", picture(24, 20, seed=1))
    write_image(folder / "b.png", picture(20, 26, seed=2))
    inputs = [str(folder / name) for name in ("a.png", "b.png")]
    words = [*inputs, "--run", str(folder / "run"), "-o", str(folder / "out.png")]
    assert main(["translate", *tiny_flags(), *words]) == 0
    return folder / "run"
