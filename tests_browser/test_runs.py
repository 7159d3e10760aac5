"""The page Runs in a real browser: list, rename, share, add, open, compare and delete. The tests share a session."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from steps import download, fill, give_pair, train, upload, wait_for_model

from conftest import Server, newest_job


@pytest.fixture(scope="module")
def runs(shared: Page, server: Server, media: Path) -> Page:
    """The page with two runs: one that was trained on the page, and one that was added to the workspace."""
    import lonepair as lp
    from lonepair.studio.jobs import JobStore, Status

    give_pair(shared, media)
    train(shared)
    wait_for_model(shared)
    first = json.loads((newest_job(server, "train") / "job.json").read_text())
    job = JobStore(server.workspace / "jobs").add("train", first["owner"], "second run", first["task"])
    job.update(wish="pause")
    tiny = {name: value for name, value in first["task"]["settings"].items() if "minutes" not in name}
    lp.fit_pair(media / "source.png", media / "other.png", preset="draft", out=job.run, **tiny)
    job.write_status(Status("done", 1.0, files=("run/model.safetensors",)))
    shared.get_by_role("tab", name="Runs").click()
    expect(shared.locator("#lp-runs .thumbnail-item")).to_have_count(2)
    return shared


def choose(runs: Page, name: str) -> None:
    """Choose the run with that name."""
    runs.locator("#lp-runs .thumbnail-item", has_text=name).first.click()
    expect(runs.locator("#lp-run-name input, #lp-run-name textarea").first).to_have_value(name)


def test_run_is_renamed(runs: Page) -> None:
    choose(runs, "source as style")
    expect(runs.locator("#lp-run-facts")).to_contain_text("source.png, style.png")
    fill(runs, "lp-run-name", "My <b>best</b> run")
    runs.locator("#lp-run-rename").click()
    expect(runs.locator("#lp-runs")).to_contain_text("My <b>best</b> run")


def test_shared_file_is_added_and_opened_and_a_damaged_one_is_refused(runs: Page, tmp_path: Path) -> None:
    choose(runs, "My <b>best</b> run")
    shared = download(runs, "lp-run-share", tmp_path)
    assert shared.name == "My-b-best-b-run.safetensors"
    # The same checks as on the command line.
    (tmp_path / "bad.safetensors").write_bytes(shared.read_bytes()[:-50])
    upload(runs, "lp-add-model", tmp_path / "bad.safetensors")
    expect(runs.locator("#lp-add-model-error [role=alert]")).to_contain_text("bad.safetensors")
    expect(runs.locator("#lp-add-model")).not_to_contain_text("bad.safetensors")
    upload(runs, "lp-add-model", shared)
    expect(runs.locator("#lp-runs .thumbnail-item")).to_have_count(3)
    expect(runs.locator("#lp-run-facts")).to_contain_text("done")
    runs.locator("#lp-run-open").click()
    wait_for_model(runs)


def test_two_runs_are_compared(runs: Page) -> None:
    runs.get_by_role("tab", name="Runs").click()
    runs.locator("#lp-compare-panel button").first.click()
    runs.locator("#lp-compare").click()
    expect(runs.locator("#lp-compare-error [role=alert]")).to_contain_text("choose the runs")
    for box in runs.locator("#lp-compare-choices input").all():
        box.check()
    runs.locator("#lp-compare").click()
    expect(runs.locator("#lp-compare-numbers table").first).to_be_visible()
    expect(runs.locator("#lp-compare-numbers")).to_contain_text("second run")
    expect(runs.locator("#lp-compare-pictures img").first).to_be_visible()


def test_comparison_is_there_after_a_reload(runs: Page) -> None:
    runs.reload()
    runs.get_by_role("tab", name="Runs").click()
    runs.locator("#lp-compare-panel button").first.click()
    expect(runs.locator("#lp-compare-numbers table").first).to_be_visible()


def test_delete_asks_twice(runs: Page) -> None:
    choose(runs, "second run")
    runs.locator("#lp-run-delete").click()
    runs.locator("#lp-run-keep").click()
    expect(runs.locator("#lp-run-sure")).not_to_be_visible()
    expect(runs.locator("#lp-runs .thumbnail-item")).to_have_count(3)
    runs.locator("#lp-run-delete").click()
    runs.locator("#lp-run-sure").click()
    expect(runs.locator("#lp-runs .thumbnail-item")).to_have_count(2)
    expect(runs.locator("#lp-runs")).not_to_contain_text("second run")
