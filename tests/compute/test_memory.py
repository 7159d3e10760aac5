"""Errors of memory are recognized, and become one line with what was asked for and the setting to lower."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

from command_line import tiny_flags
from lonepair.commands.main import main
from lonepair.compute.memory import asked_bytes, explain_memory, free_memory, is_out_of_memory
from lonepair.errors import OutOfMemoryError, UserError
from lonepair.methods.base import Method
from tiny_runs import new_job

CPU = (
    "[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
    "4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)
CUDA = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.00 GiB"
NUMPY = "Unable to allocate 7.45 GiB for an array with shape (1000, 1000, 1000) and data type float64"


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (RuntimeError(CPU), 4 * 10**12),
        (torch.OutOfMemoryError(CUDA), 20 * 2**30),
        (MemoryError(NUMPY), round(7.45 * 2**30)),
        (MemoryError(), None),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), None),
        (RuntimeError("can't start new thread"), None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_of_memory_are_recognized(error: Exception, asked: int | None) -> None:
    assert is_out_of_memory(error)
    assert asked_bytes(error) == asked
    with (
        pytest.raises(OutOfMemoryError, match=r"^translating: out of .*; lower `size`$") as raised,
        explain_memory("translating", "lower `size`"),
    ):
        raise error
    assert "\n" not in str(raised.value)


def test_a_real_allocation_is_recognized_and_other_errors_are_not() -> None:
    with pytest.raises(RuntimeError) as error:
        torch.empty(2**46)
    assert is_out_of_memory(error.value)
    assert asked_bytes(error.value) == 2**48
    assert not any(map(is_out_of_memory, (RuntimeError("shapes differ"), UserError("x"), OSError(errno.ENOSPC, ""))))
    assert (free_memory() or 2**20) > 0


def test_a_train_command_without_memory_names_its_flags(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def losses(self: Method, *arguments: object) -> None:
        raise RuntimeError(CPU)

    monkeypatch.setattr(new_job().method_class, "losses", losses)
    assert main(["train", *tiny_flags(), "a.png", "b.png"]) == 2
    output = capsys.readouterr().err.splitlines()[-1]
    assert output.startswith("lonepair: training: out of memory (4000.0 GB asked for, ")
    assert "lower --max-side (now 20), --crop-size (now 256) or --width (now 8); a run's folder" in output


def test_a_command_without_memory_ends_with_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def source(path: object) -> None:
        try:
            raise MemoryError
        except MemoryError:
            raise UserError("x.png: the image is damaged") from None

    monkeypatch.setattr("lonepair.media.source.open_source", source)
    assert main(["translate", "a.png", "b.png"]) == 2
    output = capsys.readouterr().err
    assert output.count("\n") == 1
    assert "lonepair: translate: out of memory" in output
    assert "lower --size or --max-side" in output
