"""Measure how fast the page Translate answers: `python tests_browser/speed.py URL`. A studio has to run at URL.

It prints rows of the table in docs/results/studio.md: seconds from the drop of source and style to the first look, and
from a moved dial to the new frame, as a user waits for them in the browser. The pictures are scikit-image's astronaut,
coins and Hubble deep field.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from steps import train, upload, wait_for_model

from conftest import CHROMIUM

REPEATS = 5
DIALS = {"structure": "lp-structure", "colour": "lp-colour", "frame": "lp-frame", "texture_size": "lp-texture-size"}
"""In this order: larger texture slows every later frame."""
WATCH = """() => {
  const frame = () => [...document.querySelectorAll("#lp-result img")].at(-1);
  const before = frame().src, start = performance.now();
  window.secondsToFrame = new Promise((resolve) => {
    const timer = setInterval(() => {
      if (frame().src === before || !frame().complete) return;
      clearInterval(timer);
      resolve((performance.now() - start) / 1000);
    }, 10);
  });
}"""
"""Measures in the page itself: Playwright looks once a second in the end."""


def write_media(folder: Path) -> None:
    """Write image.png of 512 pixels, clip.mp4 of 24 frames of 220 pixels, and style.png."""
    from lonepair.api.toolkit import ClipWriter, open_source

    Image.fromarray(skimage.data.astronaut()).save(folder / "image.png")
    Image.fromarray(skimage.data.hubble_deep_field()).crop((0, 0, 560, 440)).save(folder / "style.png")
    coins = Image.fromarray(skimage.data.coins()).convert("RGB")
    with ClipWriter(folder / "clip.mp4", (164, 220), Fraction(12)) as clip:
        for index in range(24):
            frame = coins.crop((3 * index, 2 * index, 3 * index + 220, 2 * index + 164))
            clip.write(next(open_source(frame).frames()).image, Fraction(index, 12))


def first_look(browser: Browser, url: str, media: Path, source: str) -> tuple[Page, float]:
    """The page of a new session, and the time from the drop of both files to the first look."""
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.goto(url)
    expect(page.locator("#lp-result-text")).to_contain_text("drop a source")
    start = time.monotonic()
    for field, file, text in (("lp-source", source, "pixels"), ("lp-styles", "style.png", "without training")):
        upload(page, field, media / file)
        place = "#lp-source-text" if field == "lp-source" else "#lp-result-text"
        shown = f"document.querySelector('{place}').innerText.includes('{text}')"
        page.wait_for_function(shown, polling=20)
    return page, time.monotonic() - start


def seconds_to_frame(page: Page, dial: str) -> float:
    """Time from a key on a dial to the new frame."""
    page.locator(f"#{dial} input[type=range]").focus()
    page.evaluate(WATCH)
    page.keyboard.press("ArrowLeft" if dial == "lp-colour" else "ArrowRight")  # its largest value is the default
    return float(page.evaluate("secondsToFrame"))


def dial_rows(page: Page, kind: str) -> None:
    """Print the time of each dial, the median of several moves."""
    for dial, field in DIALS.items():
        if page.locator(f"#{field} input[type=range]").is_visible():
            times = [seconds_to_frame(page, field) for _ in range(REPEATS)]
            print(f"| {kind}, `{dial}` moved | {statistics.median(times):.2f} s |", flush=True)
    page.locator("#lp-reset").click()
    page.wait_for_timeout(5000)


def main(url: str) -> None:
    """Print all rows."""
    expect.set_options(timeout=600_000)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        write_media(media)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        print(f"load {os.getloadavg()[0]:.1f}")
        for source, name in (("image.png", "image of 512 pixels"), ("clip.mp4", "clip of 220 pixels")):
            times = []
            for _ in range(3):
                page, duration = first_look(browser, url, media, source)
                times.append(duration)
            print(f"| {name}, first look | {statistics.median(times):.2f} s |", flush=True)
            dial_rows(page, f"{name}, no training")
            train(page, max_side=80, steps=20, finest_steps=10, stages=5)
            wait_for_model(page)
            dial_rows(page, f"{name}, trained model")
            page.context.close()
        print(f"load {os.getloadavg()[0]:.1f}")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
