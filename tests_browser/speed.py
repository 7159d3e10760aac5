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
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright
from steps import move_by_key, result, train, upload, wait_for_model

from conftest import CHROMIUM

REPEATS = 3
DIALS = {"structure": "lp-structure", "colour": "lp-colour", "texture_size": "lp-texture-size", "frame": "lp-frame"}


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


def seconds(action: Callable[[], None]) -> float:
    """Duration of an action."""
    start = time.monotonic()
    action()
    return time.monotonic() - start


def first_look(browser: Browser, url: str, media: Path, source: str) -> tuple[Page, float]:
    """The page of a new session, and the time from the drop of both files to the first look."""
    page = browser.new_context(viewport={"width": 1440, "height": 1000}).new_page()
    page.goto(url)
    expect(page.locator("#lp-result-text")).to_contain_text("drop a source")

    def drop() -> None:
        upload(page, "lp-source", media / source)
        expect(page.locator("#lp-source-text")).to_contain_text("pixels")
        upload(page, "lp-styles", media / "style.png")
        expect(page.locator("#lp-result-text")).to_contain_text("without training")
        expect(result(page)).to_be_visible()

    return page, seconds(drop)


def dial_rows(page: Page, kind: str) -> None:
    """Print the time of each dial, the median of several moves."""
    for dial, field in DIALS.items():
        if page.locator(f"#{field} input[type=range]").is_visible():
            if dial == "texture_size" and page.get_by_label("texture_size auto").is_checked():
                page.get_by_label("texture_size auto").uncheck()
                page.wait_for_timeout(5000)
            move_by_key(page, field, "ArrowRight")
            times = [seconds(partial(move_by_key, page, field, "ArrowRight")) for _ in range(REPEATS)]
            print(f"| {kind}, `{dial}` moved | {statistics.median(times):.1f} s |", flush=True)


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
            for _ in range(REPEATS):
                page, duration = first_look(browser, url, media, source)
                times.append(duration)
            print(f"| {name}, first look | {statistics.median(times):.1f} s |", flush=True)
            dial_rows(page, f"{name}, no training")
            train(page, max_side=80, steps=20, finest_steps=10, stages=5)
            wait_for_model(page)
            dial_rows(page, f"{name}, trained model")
            page.context.close()
        print(f"load {os.getloadavg()[0]:.1f}")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1])
