"""A studio on a free port, and a browser. Run with `make test-browser`; `make test` does not need any of it.

The browser is Chromium of the system: Debian's package `chromium`, or the file that CHROMIUM names.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

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
            self.process = subprocess.Popen([*command, "--port", str(self.port), *self._flags], stdout=log, stderr=log)
        for _ in range(3000):
            try:
                urllib.request.urlopen(self.url, timeout=1)
                return
            except urllib.error.HTTPError:
                return
            except OSError:
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
            job.changed(wish="stop")
        for _ in range(300):
            if not any(job.has_worker for job in store.jobs()):
                return
            time.sleep(0.1)


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


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A new session: its own storage. No page of it may ask another host for anything."""
    context = browser.new_context(viewport={"width": 1440, "height": 1000}, accept_downloads=True)
    context.set_default_timeout(SECONDS)
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    yield context
    context.close()
    outside = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert outside == []


@pytest.fixture
def page(context: BrowserContext, server: Server, request: pytest.FixtureRequest) -> Iterator[Page]:
    """The studio's page in a new session. PICTURES names a folder for a picture of each page at its test's end."""
    page = opened(context, server)
    yield page
    if "PICTURES" in os.environ and not page.is_closed():
        page.screenshot(path=Path(os.environ["PICTURES"]) / f"{request.node.name}.png", full_page=True)


def opened(context: BrowserContext, server: Server) -> Page:
    """A page of the studio, once it can be used."""
    page = context.new_page()
    page.goto(server.url)
    page.wait_for_selector("#lp-source input[type=file]", state="attached")
    page.wait_for_function("document.querySelector('#lp-result-text')?.innerText.length > 0")
    return page


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
    from fractions import Fraction

    from lonepair.api.toolkit import ClipWriter, open_source

    with ClipWriter(folder / "clip.mp4", (48, 64), Fraction(6)) as clip:
        for index, frame in enumerate(frames):
            clip.write(next(open_source(frame).frames()).image, Fraction(index, 6))
    return folder
