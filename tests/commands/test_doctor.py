"""The command `doctor`: its rows, on this machine and where something is missing."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from lonepair.commands import doctor
from lonepair.commands.doctor import Row
from lonepair.commands.memory import BASE_BYTES, bytes_needed
from lonepair.compute.memory import free_memory


@pytest.fixture(scope="module")
def full_report() -> list[Row]:
    """The report on this machine."""
    return list(doctor.report(doctor.SECTIONS))


def rows(report: Iterable[Row], label: str) -> list[str]:
    """Texts of the rows with this label."""
    return [text for name, text in report if name == label]


def test_report_covers_every_part(full_report: list[Row]) -> None:
    labels = {label for label, _ in full_report}
    assert {*doctor.PACKAGES, "FFmpeg", "Python", "system"} <= labels
    assert {"CPU", "threads", "GPU", "bfloat16", "trains on", "video", "OpenCV", "memory", "disk"} <= labels
    assert rows(full_report, "torch") == [torch.__version__]
    assert not [text for _, text in full_report if "could not be examined" in text]


def test_lines_are_single_and_problems_end_in_a_remedy(full_report: list[Row]) -> None:
    for _, text in full_report:
        assert "\n" not in text
        if text.startswith("PROBLEM"):
            assert "; " in text


def test_this_environment_reads_and_writes_clips(full_report: list[Row]) -> None:
    assert rows(full_report, "video") == ["reads h264, hevc, vp9, av1, ffv1; writes H.264 (libx264), lossless (ffv1)"]


def test_print_report_aligns_lines_and_prints_a_label_once(capsys: pytest.CaptureFixture[str]) -> None:
    doctor.print_report({"all": lambda: iter([("CPU", "one"), ("CPU", "two"), ("trains on", "cpu")])})
    assert capsys.readouterr().out.splitlines() == ["CPU           one", "              two", "trains on     cpu"]


def test_a_section_that_fails_leaves_the_others() -> None:
    def broken() -> NoReturn:
        raise OSError("no\nsuch library")

    report = list(doctor.report({"video": broken, "disk": doctor.disk_rows}))
    assert rows(report, "video")[0].startswith("PROBLEM: could not be examined (OSError: no such library); install")
    assert rows(report, "disk")


def test_report_answers_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "lonepair.compute.engine", raising=False)
    report = list(doctor.report(doctor.SECTIONS))
    assert rows(report, "bfloat16")[0].startswith("PROBLEM")
    assert rows(report, "disk")


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    version = importlib.metadata.version

    def without_tyro(name: str) -> str:
        if name == "tyro":
            raise importlib.metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(importlib.metadata, "version", without_tyro)
    assert rows(doctor.version_rows(), "tyro") == ["PROBLEM: is not installed; install it: pip install tyro"]


@pytest.mark.parametrize(
    ("installed", "lines"),
    [
        ([], ["not installed; only optical flow needs it: pip install opencv-python-headless"]),
        (["opencv-python"], ["opencv-python 5"]),
        (
            ["opencv-python", "opencv-contrib-python-headless"],
            [
                "opencv-python 5, opencv-contrib-python-headless 5",
                "PROBLEM: 2 builds have overwritten each other's files; keep one: pip uninstall opencv-python "
                "opencv-contrib-python-headless, then pip install opencv-python-headless",
            ],
        ),
    ],
)
def test_opencv_builds_are_listed(installed: list[str], lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return "5"

    monkeypatch.setattr(importlib.metadata, "version", version)
    assert rows(doctor.opencv_rows(), "OpenCV") == lines


def test_memory_model_grows_with_the_pixels() -> None:
    needs = [bytes_needed(side) for side in (0, 100, 200, 4096)]
    assert needs[0] == BASE_BYTES
    assert needs[2] - needs[0] == 4 * (needs[1] - needs[0])
    assert needs[3] < 8 * 10**9  # a step computes crops


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (None, "unknown"),
        (10**8, "PROBLEM"),
        (bytes_needed(220) * 2, "220 px"),
        (10**13, "4096 px"),
    ],
)
def test_sizes_that_fit_follow_from_free_memory(
    free: int | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "free_memory", lambda: free)
    assert expected in " ".join(rows(doctor.memory_rows(), "memory"))


def test_free_memory_is_plausible() -> None:
    free = free_memory()
    assert free is None or 10**7 < free < 10**14


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> Iterator[None]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    assert "change to a folder that you may write to" in rows(doctor.disk_rows(), "disk")[-1]


def test_bfloat16_is_measured_within_two_seconds() -> None:
    start = time.perf_counter()
    assert list(doctor.bfloat16_rows())
    assert time.perf_counter() - start < 6  # with room for a busy machine
