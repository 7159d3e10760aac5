"""A studio on a free port, and a browser. Run with `make test-browser`; `make test` does not need any of it.

The browser is Chromium of the system: Debian's package `chromium`, or the file that CHROMIUM names. Tests of one file
share a session of the studio, as its trainings are what takes time.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = int(os.environ.get("WAIT_SECONDS", "60")) * 1000
"""Longest wait for anything, in milliseconds."""
expect.set_options(timeout=SECONDS)


class Server:
    """A studio in a process of its own."""

    def __init__(self, workspace: Path, *flags: str) -> None:
        self.workspace, self._flags = workspace, flags
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the process, and wait until it answers."""
        command = [sys.executable, "-m", "lonepair", "studio", "--workspace", str(self.workspace)]
        with (self.workspace.parent / "server.log").open("ab") as log:
            # One thread: on a busy machine the threads of a training wait for each other most of the time.
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            command += ["--port", str(self.port), *self._flags]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        for _ in range(3000):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(self.url, timeout=10).close()
                return
            assert self.process.poll() is None, (self.workspace.parent / "server.log").read_text()
            time.sleep(0.1)
        raise TimeoutError("the studio does not answer")

    def kill(self) -> None:
        """End the process at once, as a crash does."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def end_jobs(self) -> None:
        """Let every job stop: workers outlive the server."""
        from lonepair.studio.jobs import JobStore

        store = JobStore(self.workspace / "jobs")
        for job in store.jobs():
            job.update(wish="stop")
        for _ in range(300):
            if not any(job.has_worker for job in store.jobs()):
                return
            time.sleep(0.1)

    def status(self, path: str, **headers: str) -> int:
        """HTTP status of the answer to a request that no browser makes."""
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers)) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One studio for all tests."""
    studio = Server(tmp_path_factory.mktemp("studio") / "workspace", "--max-frames", "20", "--max-upload", "5")
    yield studio
    studio.end_jobs()
    studio.kill()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    assert CHROMIUM, "no Chromium: install Debian's package chromium, or name the file in CHROMIUM"
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])


@contextlib.contextmanager
def new_session(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A browser with its own storage: a new session of the studio.

    No page of it may ask another host for anything, and no request may fail.
    """
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}, **options})
    context.set_default_timeout(SECONDS)
    outside: list[str] = []
    failed: list[str] = []

    def look(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "blob:")):
            outside.append(url)

    context.on("request", lambda request: look(request.url))
    context.on("response", lambda answer: failed.append(answer.url) if answer.status >= 500 else None)
    try:
        yield context
    finally:
        context.close()
    assert outside == []
    assert failed == []


@pytest.fixture(scope="module")
def shared(browser: Browser, server: Server) -> Iterator[Page]:
    """The studio's page in a session that the tests of a file share."""
    with new_session(browser) as context:
        yield opened(context, server)


@pytest.fixture(autouse=True)
def picture_of_a_failure(request: pytest.FixtureRequest) -> Iterator[None]:
    """PICTURES names a folder for a picture of the page at the end of each test."""
    page = request.getfixturevalue("shared") if "shared" in request.fixturenames else None
    yield
    if "PICTURES" in os.environ and page is not None and not page.is_closed():
        page.screenshot(path=Path(os.environ["PICTURES"]) / f"{request.node.name}.png", full_page=True)


def opened(context: BrowserContext, server: Server) -> Page:
    """A page of the studio, once it can be used."""
    page = context.new_page()
    page.goto(server.url)
    wait_until_usable(page)
    return page


def wait_until_usable(page: Page) -> None:
    """Wait until the page shows the session's project."""
    page.wait_for_selector("#lp-source", state="attached")
    page.wait_for_function("document.querySelector('#lp-result-text')?.innerText.match(/[a-z]{4}/)")


def newest_job(server: Server, kind: str) -> Path:
    """The folder of the job of a kind that was created last."""
    jobs = [json.loads(path.read_text()) | {"folder": path.parent} for path in server.workspace.glob("jobs/*/job.json")]
    folder: Path = max((job for job in jobs if job["kind"] == kind), key=lambda job: job["created"])["folder"]
    return folder


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small synthetic files: pictures source.png, style.png and other.png, clip.mp4 of 6 frames, and broken.png."""
    folder = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:48, :64]
    discs = ((x % 21 - 10) ** 2 + (y % 21 - 10) ** 2 < 60)[..., None] * np.array([210, 200, 190])
    Image.fromarray((discs + 20).astype(np.uint8)).save(folder / "source.png")
    for name, color in (("style", (90, 160, 240)), ("other", (240, 150, 60))):
        pixels = rng.random((60, 60, 1)) ** 4 * np.array(color)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nthis is no picture")
    frames = [Image.fromarray(np.roll((discs + 20).astype(np.uint8), shift, 1)) for shift in range(6)]
    from lonepair.api.toolkit import ClipWriter, open_source

    with ClipWriter(folder / "clip.mp4", (48, 64), Fraction(6)) as clip:
        for index, frame in enumerate(frames):
            clip.write(next(open_source(frame).frames()).image, Fraction(index, 6))
    return folder
