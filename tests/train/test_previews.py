"""Previews of a training show the pictures that a user gets."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

import lonepair.train.previews as previews
from lonepair.api.model import load
from lonepair.train.previews import Previews
from tiny_runs import new_job
from tiny_settings import picture

pytestmark = pytest.mark.usefixtures("full_previews")

Rows = list[list[tuple[str, Tensor]]]


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> Rows:
    """The labelled images of all previews, in the order in which they are written."""
    rows: Rows = []
    original = previews.contact_sheet

    def recorded(sheet_rows: Rows, cell: int) -> Tensor:
        rows.extend(sheet_rows)
        return original(sheet_rows, cell)

    monkeypatch.setattr(previews, "contact_sheet", recorded)
    return rows


def test_the_last_preview_shows_the_finished_translations(tmp_path: Path, rows: Rows) -> None:
    job = new_job()
    job.run(job.folder(tmp_path / "run", False))
    last = dict(rows[-1])
    model = load(tmp_path / "run", "cpu")
    assert last["a as b"].equal(model.translate(picture(24, 20, seed=1)).image)
    assert last["b as a"].equal(model.translate(picture(20, 26, seed=2), reverse=True).image)
    assert "random a" in last


def test_a_large_source_is_previewed_small(tmp_path: Path, rows: Rows) -> None:
    job = new_job()
    method = job.new_method()
    for _ in range(2):
        method.add_stage()
    frames = {"a": picture(300, 440), "b": picture(20, 26)}
    Previews(tmp_path, job.levels(), frames, job.engine, 1e9).stage_finished(method)
    assert dict(rows[-1])["a as b"].shape[-2:] == (88, 128)
    assert (tmp_path / "stage-1.png").exists()


@pytest.mark.parametrize("last", range(28, 34))
def test_a_stop_abandons_the_preview_in_progress(tmp_path: Path, last: int) -> None:
    """At any operation, also at one that begins or ends a block without gradients."""
    job = new_job()
    method = job.new_method()
    for _ in range(2):
        method.add_stage()
    checks = 0

    def should_stop() -> bool:
        nonlocal checks
        checks += 1
        return checks > last

    frames = {"a": picture(300, 440), "b": picture(20, 26)}
    Previews(tmp_path, job.levels(), frames, job.engine, 1e9, should_stop).stage_finished(method)
    assert checks == last + 1
    assert not list(tmp_path.iterdir())
    assert method.nets.training
    assert torch.is_grad_enabled()
