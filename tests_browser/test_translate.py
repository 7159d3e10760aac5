"""The page Translate in a real browser, from the upload to the download. The tests share a session, in this order."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from steps import download, fill, give_pair, move_by_key, paint, result, start_another, train, upload, wait_for_model


def picture(page: Page, index: int) -> np.ndarray:
    """One of the two pictures of the result as an array (h, w, 3): 0 is the source, 1 the translation."""
    address = page.locator("#lp-result img").nth(index).get_attribute("src") or ""
    return np.asarray(Image.open(io.BytesIO(page.request.get(address).body())).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def pair(shared: Page, media: Path) -> Page:
    """The page with an image and a style, and a training of them."""
    give_pair(shared, media)
    train(shared)
    wait_for_model(shared)
    return shared


@pytest.fixture(scope="module")
def clip(pair: Page, media: Path) -> Page:
    """The page with a clip and a style, and a training of them."""
    start_another(pair)
    give_pair(pair, media, "clip.mp4")
    train(pair)
    wait_for_model(pair)
    return pair


def test_training_shows_progress_and_a_preview(pair: Page) -> None:
    expect(pair.locator("#lp-jobs")).to_contain_text("100%")
    expect(pair.locator("#lp-stage-preview img")).to_be_visible()


def test_dial_shows_another_frame_and_another_command(pair: Page) -> None:
    move_by_key(pair, "lp-structure", "End")
    expect(pair.locator("#lp-result-text")).to_contain_text("with the trained model")
    pair.locator("#lp-snippets button").first.click()
    expect(pair.locator("#lp-command")).to_contain_text("--structure 1")
    before = result(pair).get_attribute("src") or ""
    box = pair.locator("#lp-colour input[type=range]").bounding_box()
    assert box is not None
    pair.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    expect(result(pair)).not_to_have_attribute("src", before)
    expect(pair.locator("#lp-command")).to_contain_text("--colour 0.2")
    before = result(pair).get_attribute("src") or ""
    pair.locator("#lp-reset").click()
    expect(result(pair)).not_to_have_attribute("src", before)
    expect(pair.locator("#lp-command")).not_to_contain_text("--structure")


def test_moved_texture_size_is_no_longer_automatic(pair: Page) -> None:
    expect(pair.get_by_label("Texture size: auto")).to_be_checked()
    move_by_key(pair, "lp-texture-size", "ArrowRight")
    expect(pair.get_by_label("Texture size: auto")).not_to_be_checked()
    expect(pair.locator("#lp-command")).to_contain_text("--texture-size 1.05")
    pair.locator("#lp-reset").click()
    expect(pair.get_by_label("Texture size: auto")).to_be_checked()
    expect(pair.locator("#lp-command")).not_to_contain_text("--texture-size")


def test_divider_shows_more_of_the_source_or_of_the_translation(pair: Page) -> None:
    divider = pair.locator("#lp-result [data-testid=slider]")
    divider.locator(".icon-wrap").scroll_into_view_if_needed()
    x = divider.evaluate("e => e.getBoundingClientRect().x")
    box = divider.locator(".icon-wrap").bounding_box()
    assert box is not None
    pair.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    pair.mouse.down()
    pair.mouse.move(box["x"] - 100, box["y"] + box["height"] / 2, steps=4)
    pair.mouse.up()
    place = "e => document.querySelector('#lp-result [data-testid=slider]').getBoundingClientRect().x"
    pair.wait_for_function(f"x => ({place})() < x - 50", arg=x, timeout=10_000)
    dragged = divider.evaluate(place)
    pair.get_by_role("slider", name="Divider").focus()
    pair.keyboard.press("ArrowRight")
    pair.wait_for_function(f"x => ({place})() > x + 5", arg=dragged, timeout=10_000)


def test_image_is_rendered_and_downloaded(pair: Page, tmp_path: Path) -> None:
    pair.locator("#lp-render").click()
    expect(pair.locator("#lp-download")).to_be_visible()
    with Image.open(download(pair, "lp-download", tmp_path)) as image:
        assert image.size == (64, 48)


def test_wrong_setting_is_refused_before_the_queue(pair: Page, media: Path) -> None:
    jobs = pair.locator("#lp-jobs").inner_text()
    train(pair, max_side=3)
    expect(pair.locator("#lp-train-error [role=alert]")).to_contain_text("max_side is 3")
    assert pair.locator("#lp-jobs").inner_text() == jobs


def test_painted_mask_reaches_a_new_frame(clip: Page) -> None:
    clip.locator("#lp-mask-panel button").first.click()
    expect(clip.locator("#lp-editor canvas").first).to_be_visible()
    clip.locator("#lp-mask-use").click()
    expect(clip.locator("#lp-mask-error")).to_contain_text("nothing is painted yet")
    before = result(clip).get_attribute("src") or ""
    paint(clip, "lp-editor")
    clip.locator("#lp-mask-use").click()
    expect(clip.locator("#lp-mask-error")).to_contain_text("in use")
    expect(result(clip)).not_to_have_attribute("src", before)
    clip.locator("#lp-mask-panel button").first.click()
    first = picture(clip, 0)
    move_by_key(clip, "lp-frame", "End")
    source, translation = picture(clip, 0), picture(clip, 1)
    assert (source != first).any()
    changed = np.abs(source - translation).max(-1) > 8
    assert changed[20:28].any()
    assert not changed[:8].any()
    assert not changed[-8:].any()
    expect(clip.locator("#lp-command")).to_contain_text("--mask")


def test_range_of_frames_is_a_sequence_beside_the_source(clip: Page, tmp_path: Path) -> None:
    fill(clip, "lp-first", 1)
    fill(clip, "lp-last", 9)
    clip.locator("#lp-render").click()
    expect(clip.locator("#lp-render-error [role=alert]")).to_contain_text("choose first and last from 0 to 5")
    fill(clip, "lp-last", 3)
    clip.get_by_role("radio", name="PNG sequence").check()
    expect(clip.locator("#lp-command")).to_contain_text("--frames 1:3")
    clip.locator("#lp-render").click()
    expect(clip.locator("#lp-download")).to_contain_text("frames.zip")
    with zipfile.ZipFile(download(clip, "lp-download", tmp_path)) as archive:
        assert len(archive.namelist()) == 3


def test_players_run_together(clip: Page) -> None:
    video = "document.querySelector('#lp-{}-video video')"
    source, translation = video.format("source"), video.format("result")
    clip.wait_for_function(f"{source}?.readyState >= 2 && {translation}?.readyState >= 2")
    clip.evaluate(f"{source}.currentTime = 0.3")
    clip.wait_for_function(f"Math.abs({translation}.currentTime - 0.3) < 0.05")
    clip.evaluate(f"{translation}.muted = {source}.muted = true, {translation}.play()")
    clip.wait_for_function(f"{source}.currentTime > 0.3")


@pytest.mark.parametrize(("label", "suffix", "codec"), [("MP4", ".mp4", "h264"), ("ProRes", ".mov", "prores")])
def test_clip_is_rendered_and_downloaded(clip: Page, tmp_path: Path, label: str, suffix: str, codec: str) -> None:
    fill(clip, "lp-first", 0)
    fill(clip, "lp-last", 5)
    clip.get_by_role("radio", name=label).check()
    clip.locator("#lp-render").click()
    expect(clip.locator("#lp-download")).to_contain_text(suffix)
    with av.open(str(download(clip, "lp-download", tmp_path))) as file:
        stream = file.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == (codec, 64, 48)
        assert sum(1 for _ in file.decode(video=0)) == 6


def test_two_styles_have_a_region_each(shared: Page, media: Path) -> None:
    start_another(shared)
    give_pair(shared, media, "source.png", "style.png", "other.png")
    if not shared.locator("#lp-mask-use").is_visible():
        shared.locator("#lp-mask-panel button").first.click()
    expect(shared.locator("#lp-mask-panel")).to_contain_text("One color of the brush for each style")
    paint(shared, "lp-editor")
    shared.locator("#lp-mask-use").click()
    expect(shared.locator("#lp-mask-error [role=alert]")).to_contain_text("style 2 has no region")
    shared.locator("#lp-mask-panel button").first.click()


def test_bad_files_are_one_line_beside_their_field(shared: Page, media: Path, tmp_path: Path) -> None:
    start_another(shared)
    upload(shared, "lp-source", media / "broken.png")
    line = shared.locator("#lp-source-error [role=alert]")
    expect(line).to_contain_text("broken.png")
    assert "Traceback" not in line.inner_text()
    assert str(media.parent) not in line.inner_text()
    with zipfile.ZipFile(tmp_path / "frames.zip", "w") as archive:
        archive.writestr("../../evil.sh", b"")
    upload(shared, "lp-source", tmp_path / "frames.zip")
    expect(line).to_contain_text("frames.zip: holds evil.sh, which is no frame")
    (tmp_path / "large.png").write_bytes(bytes(6_000_000))
    upload(shared, "lp-source", tmp_path / "large.png")
    expect(shared.locator("body")).to_contain_text("exceed the maximum allowed size")
    upload(shared, "lp-styles", media / "clip.mp4")
    expect(shared.locator("#lp-style-error")).to_contain_text("a style is a picture")
    # A refused file leaves its field: it is not refused again with the next one.
    expect(shared.locator("#lp-styles")).not_to_contain_text("clip.mp4")
    upload(shared, "lp-styles", media / "style.png")
    expect(shared.locator("#lp-styles")).to_contain_text("style.png")
    expect(shared.locator("#lp-style-error")).not_to_contain_text("a style")


def test_zip_of_frames_is_a_clip(shared: Page, media: Path, tmp_path: Path) -> None:
    start_another(shared)
    with zipfile.ZipFile(tmp_path / "walk.zip", "w") as archive:
        for number in range(3):
            archive.write(media / "source.png", f"walk/{number}.png")
    upload(shared, "lp-source", tmp_path / "walk.zip")
    expect(shared.locator("#lp-source-text")).to_contain_text("64×48 pixels, 3 frames")
    expect(shared.locator("#lp-frame")).to_be_visible()
