"""The page Translate in a real browser, from the upload to the download."""

from __future__ import annotations

import re
import time
from pathlib import Path

from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from tiny_settings import Server, opened

TINY = {"max-side": 32, "steps": 3, "finest-steps": 3, "stages": 2}
"""Settings of a training of a few seconds."""


def upload(page: Page, field: str, *files: Path) -> None:
    page.set_input_files(f"#{field} input[type=file]", [str(file) for file in files])


def give_pair(page: Page, media: Path, source: str = "source.png", *styles: str) -> None:
    """Drop a source and styles, and wait for the first look."""
    upload(page, "lp-source", media / source)
    expect(page.locator("body")).to_contain_text(re.compile(r"64×48 pixels"))
    upload(page, "lp-styles", *(media / style for style in styles or ("style.png",)))
    expect(page.locator("#lp-result-text")).to_contain_text("without training")


def train(page: Page, **settings: int) -> None:
    """Fill the form of the training, and press Train."""
    if not page.locator("#lp-expert-steps").is_visible():
        page.locator("#lp-expert button").first.click()
    for name, value in {**TINY, **{name.replace("_", "-"): value for name, value in settings.items()}}.items():
        page.locator(f"#lp-expert-{name} input, #lp-expert-{name} textarea").fill(str(value))
    page.locator("#lp-train").click()


def result_source(page: Page) -> str:
    """Address of the translation that is shown."""
    return page.locator("#lp-result img").last.get_attribute("src") or ""


def wait_for_new_result(page: Page, before: str) -> None:
    expect(page.locator("#lp-result img").last).not_to_have_attribute("src", before)


def test_pair_is_previewed_trained_rendered_and_downloaded(page: Page, media: Path, tmp_path: Path) -> None:
    give_pair(page, media)
    train(page)
    expect(page.locator("#lp-jobs")).to_contain_text("100%")
    expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")
    expect(page.locator("#lp-stage-preview img")).to_be_visible()

    # A dial moved shows another frame, without training.
    before = result_source(page)
    page.locator("#lp-structure input[type=number]").fill("1")
    page.locator("#lp-structure input[type=number]").blur()
    wait_for_new_result(page, before)
    before = result_source(page)
    page.locator("#lp-colour input[type=range]").focus()
    page.keyboard.press("ArrowLeft")
    wait_for_new_result(page, before)
    page.locator("#lp-snippets button").first.click()
    expect(page.locator("#lp-command")).to_contain_text("--structure 1")

    page.locator("#lp-render").click()
    expect(page.locator("#lp-download")).to_be_visible()
    with page.expect_download() as download:
        page.locator("#lp-download").click()
    download.value.save_as(tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (64, 48)


def test_clip_has_players_and_a_range(page: Page, media: Path, tmp_path: Path) -> None:
    give_pair(page, media, "clip.mp4")
    train(page)
    expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")
    page.locator("#lp-first input").fill("1")
    page.locator("#lp-last input").fill("3")
    page.get_by_role("radio", name="PNG sequence").check()
    page.locator("#lp-render").click()
    expect(page.locator("#lp-result-video video")).to_be_visible()
    page.wait_for_function(
        "['source', 'result'].every(n => document.querySelector(`#lp-${n}-video video`)?.readyState >= 2)"
    )
    page.evaluate("document.querySelector('#lp-source-video video').currentTime = 0.3")
    page.wait_for_function("Math.abs(document.querySelector('#lp-result-video video').currentTime - 0.3) < 0.05")
    with page.expect_download() as download:
        page.locator("#lp-download").click()
    assert download.value.suggested_filename.endswith("-frames.zip")


def test_painted_mask_limits_the_style(page: Page, media: Path) -> None:
    give_pair(page, media)
    before = result_source(page)
    page.locator("#lp-mask-panel button").first.click()
    canvas = page.locator("#lp-editor canvas").first
    expect(canvas).to_be_visible()
    page.locator("#lp-mask-use").click()
    expect(page.locator("#lp-mask-error")).to_contain_text("nothing is painted yet")
    canvas.scroll_into_view_if_needed()
    page.wait_for_timeout(500)
    box = canvas.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=8)
    page.mouse.up()
    page.locator("#lp-mask-use").click()
    expect(page.locator("#lp-mask-error")).to_contain_text("in use")
    wait_for_new_result(page, before)


def test_reload_in_the_middle_keeps_everything(
    page: Page, context: BrowserContext, server: Server, media: Path
) -> None:
    give_pair(page, media)
    train(page, steps=2000, finest_steps=2000)
    expect(page.locator("#lp-jobs")).to_contain_text("running")
    page.close()  # the browser is closed, not only the page loaded again
    again = opened(context, server)
    expect(again.locator("body")).to_contain_text("source.png: 64×48 pixels")
    expect(again.locator("#lp-jobs")).to_contain_text("running")
    again.locator("#lp-pause").click()
    expect(again.locator("#lp-jobs")).to_contain_text("paused")
    again.locator("#lp-resume").click()
    expect(again.locator("#lp-jobs")).to_contain_text("running")
    again.locator("#lp-stop").click()
    expect(again.locator("#lp-jobs")).to_contain_text("stopped")
    expect(again.locator("#lp-result-text")).to_contain_text("with the trained model")


def test_killed_server_goes_on_with_its_jobs(page: Page, context: BrowserContext, server: Server, media: Path) -> None:
    give_pair(page, media)
    train(page, steps=2000, finest_steps=2000)
    expect(page.locator("#lp-jobs")).to_contain_text("running")
    server.kill()
    server.start()
    again = opened(context, server)
    expect(again.locator("#lp-jobs")).to_contain_text("running")
    first = again.locator("#lp-jobs").inner_text()
    expect(again.locator("#lp-jobs")).not_to_have_text(first)
    again.locator("#lp-stop").click()
    expect(again.locator("#lp-jobs")).to_contain_text("stopped")


def test_bad_files_are_one_line_beside_their_field(page: Page, media: Path, tmp_path: Path) -> None:
    upload(page, "lp-source", media / "broken.png")
    line = page.locator("#lp-source-error [role=alert]")
    expect(line).to_contain_text("broken.png")
    assert "Traceback" not in line.inner_text()
    assert str(media.parent) not in line.inner_text()
    upload(page, "lp-styles", media / "clip.mp4")
    expect(page.locator("#lp-style-error")).to_contain_text("a style is a picture")
    # A refused file leaves its field: it is not refused again with the next one.
    expect(page.locator("#lp-styles")).not_to_contain_text("clip.mp4")
    upload(page, "lp-styles", media / "style.png")
    expect(page.locator("#lp-styles")).to_contain_text("style.png")
    expect(page.locator("#lp-style-error")).not_to_contain_text("a style")


def test_wrong_setting_is_refused_before_the_queue(page: Page, media: Path) -> None:
    give_pair(page, media)
    train(page, max_side=3)
    expect(page.locator("#lp-train-error [role=alert]")).to_contain_text("max_side is 3")
    expect(page.locator("#lp-jobs")).not_to_contain_text("source as style")


def test_two_sessions_see_their_own_work_only(page: Page, server: Server, media: Path) -> None:
    give_pair(page, media)
    browser = page.context.browser
    assert browser is not None
    other = browser.new_context()
    try:
        stranger = opened(other, server)
        expect(stranger.locator("#lp-result-text")).to_contain_text("drop a source and a style")
        expect(stranger.locator("body")).not_to_contain_text("source.png")
    finally:
        other.close()
    time.sleep(0.1)


def test_two_styles_have_a_region_each(page: Page, media: Path) -> None:
    give_pair(page, media, "source.png", "style.png", "other.png")
    page.locator("#lp-mask-panel button").first.click()
    expect(page.locator("#lp-mask-panel")).to_contain_text("One color of the brush for each style")
