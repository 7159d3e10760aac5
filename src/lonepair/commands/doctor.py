"""The command `doctor`: what this machine has and what of it a training uses; every problem with its remedy.

It must also answer on machines where something is broken, so each section is independent, and one that fails reports
that in its own line. torch is imported inside the functions, so that importing this module is fast.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Row = tuple[str, str]
"""(what was looked at, what was found)."""

BASE_BYTES = 700 * 10**6
"""Memory of a training whatever its size: Python, torch, weights and optimizers of the default pair."""
BYTES_PER_PIXEL = 13_000
"""Memory of a training for each pixel of its finest stage: features and gradients of both generators."""
CROPPED = 362
"""Above this side a step sees crops (`crop`), and features grow no more."""
BYTES_PER_IMAGE_PIXEL = 200
"""Memory for each pixel there all the same: the images, at every stage."""
SHARE_OF_FREE = 0.8
"""How much of the free memory a training may plan with; the rest is for what else the machine does."""
SIDES = (80, 128, 220, 512, 2048, 4096)
"""Training sizes that are looked at, longest side in pixels; the first is the presets' of the default pair."""

PACKAGES = ("lonepair", "torch", "numpy", "pillow", "av", "safetensors", "tyro")
OPENCV_BUILDS = tuple(
    f"opencv{contrib}-python{headless}" for contrib in ("", "-contrib") for headless in ("", "-headless")
)
"""The builds on PyPI; all of them install the one package `cv2`, over each other's files."""
DECODERS = ("h264", "hevc", "vp9", "av1", "ffv1")
LOW_DISK = 2 * 10**9
"""Bytes: a run with its previews and states, and a long clip, stay well below this."""


@dataclass(frozen=True)
class Doctor:
    """Check versions, devices, codecs, memory and the sizes that fit."""


def run_doctor(_: Doctor) -> int:
    """Print the report line by line. The status is 0 also if there are problems."""
    return main()


def bytes_needed(longest_side: int) -> int:
    """Memory that training the default pair takes with images whose finest stage is `longest_side` pixels square.

    A rough model, linear in the pixels, somewhat above the peaks of whole runs on a CPU in bfloat16: 0.76 GB at 80 px,
    0.87 GB at 128, 0.96 GB at 176, 1.32 GB at 220, and of some steps at 2048x2048, 3.0 GB, and 4096x4096, 3.8 GB.
    Square is the worst case: 4:3 images take less.
    """
    features = BYTES_PER_PIXEL * min(longest_side, CROPPED) ** 2
    return BASE_BYTES + features + BYTES_PER_IMAGE_PIXEL * longest_side**2


def report() -> list[Row]:
    """Everything looked at, in the order in which it is to be read. Takes about three seconds."""
    return list(_all_rows())


def main() -> int:
    """Print the report, aligned, line by line as it is found; the status is 0 whatever was found."""
    last = ""
    for label, text in _all_rows():
        print(f"{'' if label == last else label:<14}{text}", flush=True)
        last = label
    return 0


def _all_rows() -> Iterator[Row]:
    sections: tuple[tuple[str, Callable[[], Iterator[Row]]], ...] = (
        ("versions", _versions),
        ("CPU", _cpu),
        ("GPU", _gpus),
        ("bfloat16", _bfloat16),
        ("trains on", _engine),
        ("video", _video),
        ("OpenCV", _opencv),
        ("memory", _memory),
        ("disk", _disk),
    )
    for label, section in sections:
        try:
            yield from section()
        except Exception as error:  # a diagnosis must not die of the disease
            yield label, _problem(f"could not be examined ({type(error).__name__}: {_one_line(error)})", _REINSTALL)


def _problem(what: str, remedy: str) -> str:
    return f"PROBLEM: {what}; {remedy}"


_REINSTALL = "install again, in the clone: pip install --force-reinstall ."


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


# What is installed


def _versions() -> Iterator[Row]:
    for package in PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield package, _problem("is not installed", f"install it: pip install {package}")
    with contextlib.suppress(ImportError):  # that av is missing was said above
        import av

        libraries = (f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items()))
        yield "FFmpeg", ", ".join(text for text in libraries if text.startswith(("libavcodec", "libavformat")))
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "system", platform.platform()


def _opencv() -> Iterator[Row]:
    found = {}
    for build in OPENCV_BUILDS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[build] = importlib.metadata.version(build)
    names = ", ".join(f"{build} {version}" for build, version in found.items())
    yield "OpenCV", names or "not installed; only optical flow needs it: pip install opencv-python-headless"
    if len(found) > 1:
        yield (
            "OpenCV",
            _problem(
                f"{len(found)} builds have overwritten each other's files",
                f"keep one: pip uninstall {' '.join(found)}, then pip install opencv-python-headless",
            ),
        )


def _video() -> Iterator[Row]:
    import av

    def has(codec: str, mode: Any) -> bool:
        try:
            av.Codec(codec, mode)
        except ValueError:  # of which av's UnknownCodecError is one
            return False
        return True

    readable = [name for name in DECODERS if has(name, "r")]
    yield "video", f"reads {', '.join(readable) or 'nothing'}; writes {_writable(has)}"
    remedy = "install PyAV's own build: pip install --force-reinstall av"
    if missing := [name for name in DECODERS if name not in readable]:
        yield "video", _problem(f"cannot read {', '.join(missing)}", remedy)
    if not has("libx264", "w"):
        yield "video", _problem("cannot write H.264 mp4 (no libx264)", remedy)


def _writable(has: Callable[[str, Any], bool]) -> str:
    kinds = [text for codec, text in (("libx264", "H.264 (libx264)"), ("ffv1", "lossless (ffv1)")) if has(codec, "w")]
    return ", ".join(kinds) or "nothing"


# Where it computes


def _cpu() -> Iterator[Row]:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield "CPU", f"{cpu_name()}, {usable} cores"
    import torch

    yield "threads", f"{torch.get_num_threads()} (torch's; --threads changes it)"


def cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _gpus() -> Iterator[Row]:
    import torch

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            free, total = torch.cuda.mem_get_info(index)
            name = torch.cuda.get_device_name(index)
            yield "GPU", f"cuda:{index} {name}, {_gigabytes(free)} free of {_gigabytes(total)}"
    elif torch.backends.mps.is_available():
        yield "GPU", "mps (Apple)"
    elif torch.version.cuda is None and shutil.which("nvidia-smi"):
        yield "GPU", _problem("there is an NVIDIA driver, but this torch is built for the CPU", _CUDA_BUILD)
    else:
        yield "GPU", "none that torch can use; training runs on the CPU"


_CUDA_BUILD = "install a CUDA build of torch, see https://pytorch.org/get-started/locally"


def _bfloat16() -> Iterator[Row]:
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 and later
    units = [name for name in ("avx512_bf16", "amx_bf16") if capabilities.get(name)]
    ratio = _convolution_seconds(torch.float32) / _convolution_seconds(torch.bfloat16)
    hardware = ", ".join(units) if capabilities else "hardware unknown (torch before 2.10)"
    yield "bfloat16", f"CPU: {hardware or 'no units for it'}; measured {ratio:.1f} times as fast as float32"
    if units and ratio < 0.9:
        yield "bfloat16", _problem("slower than float32 although the CPU computes in it", "give --dtype float32")
    if torch.cuda.is_available():
        native = torch.cuda.get_device_capability() >= (8, 0)
        yield "bfloat16", f"GPU: {'yes' if native else 'emulated only; float32 is used'}"


def _convolution_seconds(dtype: Any) -> float:
    """Best time of the package's typical convolution, 64 channels to 64, 3x3, on 96x128 pixels; within a second."""
    import torch

    with torch.no_grad():
        layer = torch.nn.Conv2d(64, 64, 3, padding=1, dtype=dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = torch.ones(1, 64, 96, 128, dtype=dtype).contiguous(memory_format=torch.channels_last)
        layer(image)  # the first call chooses kernels
        best, until = float("inf"), time.perf_counter() + 0.3
        while best == float("inf") or time.perf_counter() < until:
            start = time.perf_counter()
            layer(image)
            best = min(best, time.perf_counter() - start)
    return best


def _engine() -> Iterator[Row]:
    from lonepair.compute.engine import choose_engine

    yield "trains on", f"{choose_engine()} (--device auto --dtype auto)"


# Room


def _memory() -> Iterator[Row]:
    import torch

    rooms = [("memory", free_memory())]
    if torch.cuda.is_available():
        rooms.append(("GPU memory", torch.cuda.mem_get_info()[0]))
    for label, free in rooms:
        if free is None:
            yield label, f"free memory is unknown here; the default size, {SIDES[0]} px, needs {_needs(SIDES[0])}"
            continue
        yield label, f"{_gigabytes(free)} free"
        fitting = [side for side in SIDES if bytes_needed(side) <= SHARE_OF_FREE * free]
        if not fitting:
            what = f"too little for training even at {SIDES[0]} px, which needs {_needs(SIDES[0])}"
            yield label, _problem(what, "close other programs, or give a smaller --max-side")
            continue
        yield label, f"fits, longest side: {', '.join(f'{side} px ({_needs(side)})' for side in fitting)}"
        if larger := SIDES[len(fitting) :]:
            yield label, f"too large: {larger[0]} px and more ({_needs(larger[0])})"


def _needs(side: int) -> str:
    return _gigabytes(bytes_needed(side))


def free_memory() -> int | None:
    """Bytes that a program can still get without swapping; None where the system does not say.

    A container's limit (cgroup v2) counts where it is lower than what the machine has.
    """
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
        with contextlib.suppress(OSError, ValueError):  # no limit reads "max"
            limit, used = (int(Path(f"/sys/fs/cgroup/memory.{n}").read_text()) for n in ("max", "current"))
            free = min(free, max(0, limit - used))
        return free
    with contextlib.suppress(AttributeError, OSError, ValueError):  # Windows has no sysconf
        # macOS counts no available pages; all there is, less a third for the system, is near enough for a plan.
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") * 2 // 3
    return None


def _disk() -> Iterator[Row]:
    here = Path.cwd()
    free = shutil.disk_usage(here).free
    yield "disk", f"{_gigabytes(free)} free in {here}"
    if free < LOW_DISK:
        yield "disk", _problem("little room for a run's files", "free some space, or give --run on another disk")
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as error:
        what = f"{here} is not writable ({_one_line(error)})"
        yield "disk", _problem(what, "change to a folder that you may write to, or give --out")
