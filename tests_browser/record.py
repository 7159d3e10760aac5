"""Record the main flow as an animation: `python tests_browser/record.py URL docs/images/studio/flow.webp`.

A studio has to run at URL, best with an empty workspace. The pictures are scikit-image's coins and Hubble deep field,
which are in the public domain.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from screenshots import SHORT, write_media
from steps import fill, move_by_key, upload, wait_for_model

from conftest import CHROMIUM

SIZE = {"width": 1280, "height": 860}
WIDTH = 960
"""Width of the animation in pixels."""


class Recorder:
    """Frames of an animation, with how long each is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []

    def shoot(self, milliseconds: int) -> None:
        """Add the page as it is, shown for that time."""
        image = Image.open(io.BytesIO(self._page.screenshot(timeout=300_000))).convert("RGB")
        self._frames.append(image.resize((WIDTH, round(WIDTH * image.height / image.width)), Image.Resampling.LANCZOS))
        self._milliseconds.append(milliseconds)

    def save(self, path: Path) -> None:
        """Write an animated WebP."""
        first, *others = self._frames
        first.save(path, save_all=True, append_images=others, duration=self._milliseconds, loop=0, quality=70, method=6)


def record(page: Page, recorder: Recorder, media: Path) -> None:
    """The flow: drop a clip and a picture, first look, training, dial, divider."""
    recorder.shoot(1200)
    upload(page, "lp-source", media / "clip.mp4")
    expect(page.locator("#lp-source-text")).to_contain_text("clip.mp4: ")
    page.wait_for_timeout(500)
    recorder.shoot(1000)
    upload(page, "lp-styles", media / "galaxies.jpg")
    expect(page.locator("#lp-result-text")).to_contain_text("without training")
    page.wait_for_timeout(1000)
    recorder.shoot(2000)
    page.locator("#lp-expert button").first.click()
    for name, value in SHORT.items():
        fill(page, f"lp-expert-{name}", value)
    page.locator("#lp-expert button").first.click()
    page.locator("#lp-train").click()
    expect(page.locator("#lp-jobs")).to_contain_text("left")
    page.locator("#lp-jobs").scroll_into_view_if_needed()
    shown = -10
    while "done" not in page.locator("#lp-jobs").inner_text():
        percent = int(page.locator("#lp-jobs [role=progressbar]").get_attribute("aria-valuenow") or 0)
        if percent >= shown + 10:
            recorder.shoot(400)
            shown = percent
        page.wait_for_timeout(1000)
    wait_for_model(page)
    recorder.shoot(1200)
    page.locator("h1").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    recorder.shoot(2000)
    for dial, key in (("lp-structure", "End"), ("lp-frame", "End")):
        move_by_key(page, dial, key)
        page.wait_for_timeout(700)
        recorder.shoot(1700)
    page.locator("h1").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    recorder.shoot(1200)
    box = page.locator("#lp-result .slider-wrap").bounding_box()
    icon = page.locator("#lp-result .icon-wrap").bounding_box()
    assert box is not None
    assert icon is not None
    x, y = icon["x"] + icon["width"] / 2, icon["y"] + icon["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for share in (-0.1, -0.2, -0.3, -0.4, -0.2, 0, 0.15, 0.3, 0.15, 0):
        page.mouse.move(x + share * box["width"], y)
        page.wait_for_timeout(150)
        recorder.shoot(180)
    page.mouse.up()
    recorder.shoot(1500)


def main(url: str, out: Path) -> None:
    """Record the flow in a new session."""
    expect.set_options(timeout=600_000)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        write_media(Path(folder))
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport=SIZE).new_page()
        page.goto(url)
        expect(page.locator("#lp-result-text")).to_contain_text("drop a source")
        recorder = Recorder(page)
        record(page, recorder, Path(folder))
        recorder.save(out)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
