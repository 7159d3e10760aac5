"""Take the pictures of docs/howto/studio.md: `python tests_browser/screenshots.py URL docs/images/studio`.

A studio has to run at URL, best with an empty workspace. The pictures that it shows are scikit-image's coins and Hubble
deep field, which are in the public domain.
"""

from __future__ import annotations

import io
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from steps import fill, open_panel, paint, start_another, upload, wait_for_model

from conftest import CHROMIUM

WIDTH = 1100
"""Width of a stored picture in pixels."""


SHORT = {"max-side": 64, "steps": 60, "finest-steps": 60, "stages": 4}
"""Settings of a short training."""


def shoot(page: Page, path: Path, full_page: bool = True) -> None:
    """Store a picture of the page as WebP."""
    page.evaluate("document.activeElement?.blur()")
    page.wait_for_timeout(1500)
    image = Image.open(io.BytesIO(page.screenshot(full_page=full_page, timeout=300_000))).convert("RGB")
    scale = min(1.0, WIDTH / image.width)
    size = (round(image.width * scale), round(image.height * scale))
    image.resize(size, Image.Resampling.LANCZOS).save(path, quality=82, method=6)


def write_media(folder: Path) -> None:
    """Write coins.png, galaxies.jpg, and clip.mp4, in which a camera moves over the coins."""
    from lonepair.api.toolkit import ClipWriter, open_source

    coins = Image.fromarray(skimage.data.coins()).convert("RGB")
    coins.save(folder / "coins.png")
    galaxies = Image.fromarray(skimage.data.hubble_deep_field()).crop((0, 0, 560, 440))
    galaxies.save(folder / "galaxies.jpg", quality=92)
    with ClipWriter(folder / "clip.mp4", (220, 300), Fraction(12)) as clip:
        for index in range(24):
            frame = coins.crop((3 * index, 2 * index, 3 * index + 300, 2 * index + 220))
            clip.write(next(open_source(frame).frames()).image, Fraction(index, 12))


def give_pair(page: Page, media: Path, source: str) -> None:
    """Drop a source and the style, and wait for the first look."""
    upload(page, "lp-source", media / source)
    expect(page.locator("#lp-source-text")).to_contain_text(f"{source}: ")
    upload(page, "lp-styles", media / "galaxies.jpg")
    expect(page.locator("#lp-result-text")).to_contain_text("without training")


def translate(page: Page, media: Path, out: Path) -> None:
    """The page Translate: first look, training, a mask."""
    give_pair(page, media, "coins.png")
    shoot(page, out / "translate.webp")
    open_panel(page, "lp-expert")
    for name, value in SHORT.items():
        fill(page, f"lp-expert-{name}", value)
    page.locator("#lp-train").click()
    expect(page.locator("#lp-stage-preview img")).to_be_visible()
    expect(page.locator("#lp-jobs")).to_contain_text("left")
    shoot(page, out / "training.webp")
    page.locator("#lp-expert button").first.click()
    expect(page.locator("#lp-jobs")).to_contain_text("done")
    wait_for_model(page)
    open_panel(page, "lp-mask-panel")
    paint(page, "lp-editor", (0.3, 0.4, 0.5, 0.6), 0.3)
    page.locator("#lp-mask-use").click()
    expect(page.locator("#lp-mask-error")).to_contain_text("in use")
    page.wait_for_timeout(6000)
    shoot(page, out / "mask.webp")
    page.locator("#lp-mask-panel button").first.click()


def clip(page: Page, media: Path, out: Path) -> None:
    """A clip with its players, and a file that is refused."""
    start_another(page)
    give_pair(page, media, "clip.mp4")
    open_panel(page, "lp-expert")
    for name, value in SHORT.items():
        fill(page, f"lp-expert-{name}", value)
    page.locator("#lp-expert button").first.click()
    page.locator("#lp-train").click()
    wait_for_model(page)
    page.get_by_role("radio", name="PNG sequence").check()
    fill(page, "lp-last", 11)
    page.locator("#lp-render").click()
    expect(page.locator("#lp-download")).to_be_visible()
    page.locator("#lp-snippets button").first.click()
    page.wait_for_timeout(2000)
    shoot(page, out / "clip.webp")
    page.locator("#lp-snippets button").first.click()
    upload(page, "lp-styles", media / "clip.mp4")
    expect(page.locator("#lp-style-error")).to_contain_text("a style is a picture")
    page.locator("h1").scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    shoot(page, out / "error.webp", full_page=False)


def others(page: Page, media: Path, out: Path) -> None:
    """The pages One image and Runs, and a comparison."""
    page.get_by_role("tab", name="One image").click()
    upload(page, "lp-one-image", media / "coins.png")
    expect(page.locator("#lp-one-text")).to_contain_text("coins.png")
    page.get_by_label("Inpaint").check()
    paint(page, "lp-one-canvas", (0.5,), 0.15)
    shoot(page, out / "one-image.webp")
    page.get_by_role("tab", name="Runs").click()
    page.locator("#lp-runs .thumbnail-item").first.click()
    expect(page.locator("#lp-run-facts")).to_contain_text("lonepair")
    shoot(page, out / "runs.webp")
    open_panel(page, "lp-compare-panel")
    for box in page.locator("#lp-compare-choices input").all():
        box.check()
    page.locator("#lp-compare").click()
    expect(page.locator("#lp-compare-pictures img").first).to_be_visible()
    page.wait_for_timeout(2000)
    shoot(page, out / "compare.webp")


def main(url: str, out: Path) -> None:
    """Take all pictures, and two of a phone and of dark mode."""
    out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=600_000)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        write_media(media)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(600_000)
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#lp-result-text")).to_contain_text("drop a source")
        translate(page, media, out)
        clip(page, media, out)
        state = context.storage_state()
        for name, width, height, scheme in (("phone", 390, 1500, "light"), ("dark", 1440, 900, "dark")):
            size = {"width": width, "height": height}
            shown = browser.new_context(viewport=size, color_scheme=scheme, storage_state=state).new_page()
            shown.goto(url)
            wait_for_model(shown)
            shoot(shown, out / f"{name}.webp", full_page=False)
        others(page, media, out)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
