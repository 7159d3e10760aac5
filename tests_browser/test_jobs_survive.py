"""Trainings go on when the page is loaded again, the browser is closed, or the server is killed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from pathlib import Path

from playwright.sync_api import Browser, Page, expect
from steps import give_pair, train, wait_for_model

from conftest import Server, new_session, newest_job, opened, wait_until_usable
from lonepair.api.toolkit import FileLock


def expect_steps(page: Page) -> None:
    """Wait until the training has made further steps."""
    text = page.locator("#lp-jobs")
    expect(text).to_contain_text("running")
    before = text.inner_text()
    expect(text).not_to_have_text(before)
    expect(text).to_contain_text("running")


def test_training_survives_reload_closed_browser_and_killed_server(
    browser: Browser, server: Server, media: Path
) -> None:
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(new_session(browser))
        stack.callback(server.end_jobs)  # also where the test fails: one job a time runs on the CPU
        page = opened(context, server)
        give_pair(page, media)
        train(page, steps=200_000, finest_steps=160)
        expect(page.locator("#lp-jobs")).to_contain_text("step")
        job = newest_job(server, "train")
        # Also a value that is the default of another preset.
        assert json.loads((job / "job.json").read_text())["task"]["settings"]["finest_steps"] == 160
        worker = (job / "worker.lock").read_text()

        page.reload()
        wait_until_usable(page)
        expect(page.locator("#lp-source-text")).to_contain_text("source.png: 64×48 pixels")
        expect_steps(page)

        page.locator("#lp-pause").click()
        expect(page.locator("#lp-jobs")).to_contain_text("paused")
        page.locator("#lp-resume").click()
        page.close()  # the browser is closed, not only the page loaded again
        page = opened(context, server)
        expect_steps(page)
        assert newest_job(server, "train") == job
        assert (job / "worker.lock").read_text() != worker

        # The worker outlives the server.
        worker = (job / "worker.lock").read_text()
        server.kill()
        server.start()
        page = opened(context, server)
        expect_steps(page)
        assert (job / "worker.lock").read_text() == worker

        # Both are killed, as by a power cut: the next server starts the job again, from its last checkpoint.
        page.locator("#lp-pause").click()
        expect(page.locator("#lp-jobs")).to_contain_text("paused")
        page.locator("#lp-resume").click()
        expect_steps(page)
        server.kill()
        os.kill(int(re.findall(r"\d+", FileLock(job / "worker.lock").holder())[0]), signal.SIGKILL)
        server.start()
        page = opened(context, server)
        expect_steps(page)
        for _ in range(600):  # the worker says "starting" before it has read the checkpoint
            resumed = "resumes at stage" in (job / "log.txt").read_text().rpartition("run:")[2]
            if resumed:
                break
            page.wait_for_timeout(100)
        assert resumed

        page.locator("#lp-stop").click()
        expect(page.locator("#lp-jobs")).to_contain_text("stopped")
        wait_for_model(page)
