"""Take the pictures of docs/howto/studio.md: `python tests_browser/screenshots.py URL docs/images/studio`.

A studio has to run at URL, best with an empty workspace. The pictures that it shows are scikit-image's coins and Hubble
deep field, which are in the public domain.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import skimage.data
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tiny_settings import CHROMIUM

WIDTH = 1100
"""Width of a stored picture in pixels."""


def shoot(page: Page, path: Path, full_page: bool = True) -> None:
    """Store a picture of the page as WebP."""
    page.wait_for_timeout(1500)
    image = Image.open(io.BytesIO(page.screenshot(full_page=full_page, timeout=300_000))).convert("RGB")
    scale = min(1.0, WIDTH / image.width)
    image.resize((round(image.width * scale), round(image.height * scale))).save(path, quality=82, method=6)


def write_media(folder: Path) -> None:
    """Write coins.png and galaxies.jpg."""
    Image.fromarray(skimage.data.coins()).convert("RGB").save(folder / "coins.png")
    galaxies = Image.fromarray(skimage.data.hubble_deep_field()).crop((0, 0, 560, 440))
    galaxies.save(folder / "galaxies.jpg", quality=92)


def translate(page: Page, media: Path, out: Path) -> None:
    """The page Translate: empty, first look, training."""
    shoot(page, out / "empty.webp", full_page=False)
    page.set_input_files("#lp-source input[type=file]", media / "coins.png")
    expect(page.locator("body")).to_contain_text("coins.png: ")
    page.set_input_files("#lp-styles input[type=file]", [media / "galaxies.jpg"])
    expect(page.locator("#lp-result-text")).to_contain_text("without training")
    shoot(page, out / "translate.webp")
    page.locator("#lp-train").click()
    expect(page.locator("#lp-stage-preview img")).to_be_visible()
    shoot(page, out / "training.webp")
    page.locator("#lp-stop").click()
    expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")


def mask(page: Page, out: Path) -> None:
    """A painted mask, and the result with it."""
    page.get_by_role("tab", name="Translate").click()
    paint(page)
    page.locator("#lp-mask-use").click()
    expect(page.locator("#lp-mask-error")).to_contain_text("in use")
    shoot(page, out / "mask.webp")


def paint(page: Page) -> None:
    """Paint over the left half of the picture."""
    page.locator("#lp-mask-panel button").first.click()
    canvas = page.locator("#lp-editor canvas").first
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(2000)
    box = canvas.bounding_box()
    assert box is not None
    for share in (0.38, 0.46, 0.54, 0.62):
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * share)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.48, box["y"] + box["height"] * share, steps=3)
        page.mouse.up()


def others(page: Page, media: Path, out: Path) -> None:
    """The pages One image and Runs."""
    page.get_by_role("tab", name="One image").click()
    page.set_input_files("#lp-one-image input[type=file]", media / "coins.png")
    expect(page.locator("#lp-one-text")).to_contain_text("coins.png")
    page.get_by_label("Inpaint").check()
    expect(page.locator("#lp-one-canvas canvas").first).to_be_visible()
    page.wait_for_timeout(2000)
    shoot(page, out / "one-image.webp")
    page.get_by_role("tab", name="Runs").click()
    page.locator("#lp-runs .thumbnail-item").first.click()
    expect(page.locator("#lp-run-facts")).to_contain_text("lonepair")
    shoot(page, out / "runs.webp")


def main(url: str, out: Path) -> None:
    """Take all pictures, and two of a phone and of dark mode."""
    out.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=600_000)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        media = Path(folder)
        write_media(media)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        page = context.new_page()
        page.goto(url)
        expect(page.locator("#lp-result-text")).to_contain_text("drop a source")
        translate(page, media, out)
        others(page, media, out)
        state = context.storage_state()
        for name, width, scheme in (("phone", 390, "light"), ("dark", 1440, "dark")):
            other = browser.new_context(
                viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=state
            )
            page = other.new_page()
            page.goto(url)
            expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")
            shoot(page, out / f"{name}.webp", full_page=False)
        mask(page, out)
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
