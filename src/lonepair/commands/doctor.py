"""The command `doctor`: examines the machine, names the devices that a training uses, and a remedy for each problem.

It must also run on machines with a broken installation. So each section is independent, and one that fails reports its
error in its own line. torch is imported inside the functions, so that importing this module is fast.
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
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lonepair.commands.memory import bytes_needed
from lonepair.compute.memory import free_memory

Row = tuple[str, str]
"""(label, one line of text)."""
Section = Callable[[], Iterator[Row]]
"""Examines one part of the machine."""

SHARE_OF_FREE = 0.8
"""Share of the free memory that a training may take; the rest is for other programs."""
SIDES = (80, 128, 220, 512, 2048, 4096)
"""Training sizes that the report names, longest side in pixels; the first is that of the default pair's presets."""

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
    print_report(SECTIONS)
    return 0


def report(sections: Mapping[str, Section]) -> Iterator[Row]:
    """All rows of `sections`, in order; a section that fails becomes one row with its error.

    Args:
        sections: Label of the row in case of an error -> the section.
    """
    for label, section in sections.items():
        try:
            yield from section()
        except Exception as error:  # the report must also work where something is broken
            yield label, _problem(f"could not be examined ({type(error).__name__}: {_one_line(error)})", _REINSTALL)


def print_report(sections: Mapping[str, Section]) -> None:
    """Print the rows of `sections`, aligned, each as soon as it is computed. A repeated label is printed once."""
    last = ""
    for label, text in report(sections):
        print(f"{'' if label == last else label:<14}{text}", flush=True)
        last = label


def _problem(what: str, remedy: str) -> str:
    return f"PROBLEM: {what}; {remedy}"


_REINSTALL = "install again, in the clone: pip install --force-reinstall ."


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"


# -- installed software -----------------------------------------------------------------------------------------------


def version_rows() -> Iterator[Row]:
    """Versions of the packages, of FFmpeg, Python and the system."""
    for package in PACKAGES:
        try:
            yield package, importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            yield package, _problem("is not installed", f"install it: pip install {package}")
    with contextlib.suppress(ImportError):  # the row of av reports it
        import av

        libraries = (f"{name} {'.'.join(map(str, v))}" for name, v in sorted(av.library_versions.items()))
        yield "FFmpeg", ", ".join(text for text in libraries if text.startswith(("libavcodec", "libavformat")))
    yield "Python", f"{platform.python_version()} ({sys.executable})"
    yield "system", platform.platform()


def opencv_rows() -> Iterator[Row]:
    """Installed builds of OpenCV."""
    builds = {}
    for build in OPENCV_BUILDS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            builds[build] = importlib.metadata.version(build)
    # Several builds install the same files: the last one wins, and removing one breaks the others.
    names = ", ".join(f"{build} {version}" for build, version in builds.items())
    yield "OpenCV", names or "not installed; only optical flow needs it: pip install opencv-python-headless"
    if len(builds) > 1:
        yield (
            "OpenCV",
            _problem(
                f"{len(builds)} builds have overwritten each other's files",
                f"keep one: pip uninstall {' '.join(builds)}, then pip install opencv-python-headless",
            ),
        )


def video_rows() -> Iterator[Row]:
    """Codecs that clips are read and written with."""
    import av

    def has(codec: str, mode: Any) -> bool:
        try:
            av.Codec(codec, mode)
        except ValueError:  # UnknownCodecError is one
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


# -- devices ----------------------------------------------------------------------------------------------------------


def cpu_rows() -> Iterator[Row]:
    """The CPU, its cores, and torch's threads."""
    # Cores that this process may use: fewer than the machine's in a container.
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


def gpu_rows() -> Iterator[Row]:
    """GPUs that torch can use."""
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


def bfloat16_rows() -> Iterator[Row]:
    """Speed of bfloat16 on the CPU, measured, and whether a GPU computes in it."""
    import torch

    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 and later
    units = [name for name in ("avx512_bf16", "amx_bf16") if capabilities.get(name)]
    # Measured, because torch can also emulate bfloat16, slowly.
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


def engine_rows() -> Iterator[Row]:
    """Device and precision that a training uses by default."""
    from lonepair.compute.engine import choose_engine

    yield "trains on", f"{choose_engine()} (--device auto --dtype auto)"


# -- memory and disk --------------------------------------------------------------------------------------------------


def memory_rows() -> Iterator[Row]:
    """Free memory, and the sizes whose training fits."""
    import torch

    rooms = [("memory", free_memory())]
    if torch.cuda.is_available():
        rooms.append(("GPU memory", torch.cuda.mem_get_info()[0]))
    for label, free in rooms:
        if free is None:
            yield label, f"free memory is unknown here; the default size, {SIDES[0]} px, needs {_needs(SIDES[0])}"
            continue
        yield label, f"{_gigabytes(free)} free"
        # Sizes increase, so that the ones that fit are the first ones.
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


def disk_rows() -> Iterator[Row]:
    """Free space of the current folder, and whether it is writable."""
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
        yield "disk", _problem(what, "change to a folder that you may write to, or give --run and -o")


SECTIONS: dict[str, Section] = {
    "versions": version_rows,
    "CPU": cpu_rows,
    "GPU": gpu_rows,
    "bfloat16": bfloat16_rows,
    "trains on": engine_rows,
    "video": video_rows,
    "OpenCV": opencv_rows,
    "memory": memory_rows,
    "disk": disk_rows,
}
"""The report: about three seconds, most of them for the measurement of bfloat16."""
