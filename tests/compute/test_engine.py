"""Engines: devices, precision, memory layout and parallel calls."""

from __future__ import annotations

import threading

import pytest
import torch

from fresh_python import output_of
from lonepair.compute.engine import choose_engine
from lonepair.errors import UserError


def test_parallel_calls_return_results_in_order_and_raise_errors() -> None:
    torch.set_num_threads(2)
    try:
        engine = choose_engine("cpu")
        results = engine.run_parallel([lambda n=n: (n, torch.get_num_threads()) for n in range(3)])  # type: ignore[misc]
        assert results == [(0, 1), (1, 1), (2, 1)]
        with pytest.raises(ZeroDivisionError):
            engine.run_parallel([lambda: 1, lambda: 1 // 0])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)


def test_workers_keep_their_thread_count_when_the_caller_sets_its_own_again() -> None:
    """Four workers start, and use torch only in a later run. Their count decides the rounding of sums."""
    engine, barrier = choose_engine("cpu"), threading.Barrier(4)

    def count_threads() -> int:
        barrier.wait(timeout=30)
        return torch.get_num_threads()

    try:
        torch.set_num_threads(8)
        engine.run_parallel([lambda: barrier.wait(timeout=30)] * 4)
        torch.set_num_threads(8)
        assert engine.run_parallel([count_threads] * 4) == [2] * 4
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("processor", "dtype", "engine", "expected"),
    [
        ("AVX2", "float32", "auto", torch.contiguous_format),
        ("AVX2", "bfloat16", "auto", torch.channels_last),
        ("AVX512", "float32", "auto", torch.channels_last),
        ("AVX512", "float32", "plain", torch.contiguous_format),
    ],
)
def test_training_layout_depends_on_processor_and_inference_is_channels_last(
    monkeypatch: pytest.MonkeyPatch, processor: str, dtype: str, engine: str, expected: torch.memory_format
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: processor)
    chosen, net = choose_engine("cpu", dtype, engine=engine), torch.nn.Conv2d(4, 5, 3)
    for own, layout in ((chosen, expected), (chosen.for_inference, expected if chosen.plain else torch.channels_last)):
        own.move(net)
        assert net.weight.is_contiguous(memory_format=layout)
        assert own.to_device(torch.zeros(1, 3, 4, 5)).is_contiguous(memory_format=layout)


def test_unavailable_device_and_precision_are_refused() -> None:
    with pytest.raises(UserError, match="device 'tpu' is not available; this machine has: cpu"):
        choose_engine("tpu")
    with pytest.raises(UserError, match="dtype is 'half': choose one of auto, float32, bfloat16"):
        choose_engine("cpu", "half")


def test_engine_describes_device_and_precision() -> None:
    assert str(choose_engine("cpu", "float32")) == "cpu, float32"
    assert str(choose_engine("cpu", "bfloat16")) == "cpu, bfloat16"
    assert str(choose_engine("cpu", engine="plain")) == "cpu, float32, plain"


FIRST_USE = """
import threading
from concurrent.futures import ThreadPoolExecutor

import torch

from lonepair.compute.engine import choose_engine

barrier = threading.Barrier(8)

def first_use(number):
    engine = choose_engine("cuda")
    barrier.wait()
    return torch.linalg.eigh(torch.eye(3, device=engine.device))[0].sum().item()

with ThreadPoolExecutor(8) as pool:
    print(list(pool.map(first_use, range(8))))
"""


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_threads_use_linear_algebra_first_at_the_same_time() -> None:
    """torch alone raises in some of them, and only at the first use in a process."""
    assert output_of(FIRST_USE) == f"{[3.0] * 8}\n"
