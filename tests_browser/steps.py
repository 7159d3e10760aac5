"""What a user does on the pages, as functions that the tests and the screenshots share."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

TINY = {"max-side": 32, "steps": 3, "finest-steps": 3, "stages": 2}
"""Settings of a training of a few seconds."""


def upload(page: Page, field: str, *files: Path) -> None:
    """Drop files on the field with that id."""
    page.set_input_files(f"#{field} input[type=file]", [str(file) for file in files])


def fill(page: Page, field: str, value: object) -> None:
    """Write into a text or number field."""
    page.locator(f"#{field} input, #{field} textarea").first.fill(str(value))


def open_panel(page: Page, panel: str) -> None:
    """Open the panel with that id, unless it is open."""
    toggle = page.locator(f"#{panel} button").first
    if "open" not in (toggle.get_attribute("class") or "").split():
        toggle.click()


def give_pair(page: Page, media: Path, source: str = "source.png", *styles: str) -> None:
    """Drop a source and styles, and wait for the first look."""
    upload(page, "lp-source", media / source)
    expect(page.locator("#lp-source-text")).to_contain_text(re.compile(rf"{source}: \d+×\d+ pixels"))
    upload(page, "lp-styles", *(media / style for style in styles or ("style.png",)))
    expect(page.locator("#lp-result-text")).to_contain_text("without training")


def start_another(page: Page) -> None:
    """Empty the page Translate."""
    page.get_by_role("tab", name="Translate").click()
    page.locator("#lp-new").click()
    expect(page.locator("#lp-result-text")).to_contain_text("drop a source")


def train(page: Page, **settings: int) -> None:
    """Fill the form of the training, and press Train."""
    if not page.locator("#lp-expert-steps").is_visible():
        page.locator("#lp-expert button").first.click()
    for name, value in {**TINY, **{name.replace("_", "-"): value for name, value in settings.items()}}.items():
        fill(page, f"lp-expert-{name}", value)
    page.locator("#lp-train").click()


def wait_for_model(page: Page) -> None:
    """Wait until the result comes from the trained model."""
    expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")


def result(page: Page) -> Locator:
    """The picture of the translation."""
    return page.locator("#lp-result img").last


def move_by_key(page: Page, dial: str, key: str) -> None:
    """Move a slider by the keyboard, and wait for another translation."""
    before = result(page).get_attribute("src") or ""
    page.locator(f"#{dial} input[type=range]").focus()
    page.keyboard.press(key)
    expect(result(page)).not_to_have_attribute("src", before)


def paint(page: Page, editor: str, shares: tuple[float, ...] = (0.5,), width: float = 0.2) -> None:
    """Draw horizontal strokes in the middle of a canvas.

    Args:
        page: The page.
        editor: Id of the image editor.
        shares: Heights of the strokes, as shares of the canvas.
        width: Length of a stroke, as a share of the canvas.
    """
    canvas = page.locator(f"#{editor} canvas").first
    expect(canvas).to_be_visible()
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = canvas.bounding_box()
    assert box is not None
    x, y, w, h = box["x"], box["y"], box["width"], box["height"]
    for share in shares:
        page.mouse.move(x + w * (0.5 - width / 2), y + h * share)
        page.mouse.down()
        page.mouse.move(x + w * (0.5 + width / 2), y + h * share, steps=3)
        page.mouse.up()


def download(page: Page, button: str, folder: Path) -> Path:
    """Press a download button, and wait for the file."""
    with page.expect_download() as info:
        page.locator(f"#{button}").click()
    path = folder / info.value.suggested_filename
    info.value.save_as(path)
    return path
