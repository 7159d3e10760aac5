"""The page One image in a real browser: each use once, with tiny models. The tests share a session."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from steps import download, fill, paint, upload

from lonepair.api.settings import method_settings, use_summary
from lonepair.studio.singles import TITLES

TINY = {"max-side": 40, "steps": 3, "finest-steps": 3, "stages": 2}
"""Settings of trainings of a few seconds; a method has some of them."""


@pytest.fixture(scope="module")
def one(shared: Page, media: Path) -> Page:
    """The page with an image, and tiny settings of each method."""
    shared.get_by_role("tab", name="One image").click()
    shared.locator("#lp-one-run").click()
    expect(shared.locator("#lp-one-run-error [role=alert]")).to_contain_text("give an image first")
    upload(shared, "lp-one-image", media / "clip.mp4")
    expect(shared.locator("#lp-one-error [role=alert]")).to_contain_text("clip.mp4: is a clip")
    upload(shared, "lp-one-image", media / "source.png")
    expect(shared.locator("#lp-one-text")).to_contain_text("64×48")
    shared.locator("#lp-one-expert button").first.click()
    return shared


def choose(one: Page, title: str) -> None:
    """Choose a use, and fill in a tiny training of the method that the page proposes for it."""
    one.locator("#lp-use").get_by_label(title, exact=True).check()
    name = next(name for name, text in TITLES.items() if text == title)
    expect(one.locator("#lp-one-summary")).to_contain_text(use_summary(name))
    for name, value in TINY.items():
        for field in one.locator(f"[id^=lp-][id$=-{name}]:not([id^=lp-expert])").all():
            if field.is_visible():
                field.locator("input, textarea").first.fill(str(value))


def run(one: Page, title: str) -> None:
    """Press Run, and wait for the result."""
    one.locator("#lp-one-run").click()
    jobs = one.locator("#lp-one-jobs")
    expect(jobs).to_contain_text(f"{title}: source")
    expect(jobs.locator(".lp-done")).to_have_count(2)
    expect(one.locator("#lp-one-result img, #lp-one-video video").first).to_be_visible()


def test_error_stands_where_the_field_is(one: Page) -> None:
    choose(one, "Retarget")
    one.locator("#lp-one-run").click()
    expect(one.locator("#lp-one-run-error [role=alert]")).to_contain_text("size is empty")
    fill(one, "lp-retarget-size", "nonsense")
    one.locator("#lp-one-run").click()
    expect(one.locator("#lp-one-run-error [role=alert]")).to_contain_text("size is nonsense: write WIDTHxHEIGHT")


def test_empty_fields_show_the_defaults_of_the_preset(one: Page) -> None:
    choose(one, "Generate")
    steps = one.locator("#lp-lonepair-single-steps").locator("input, textarea").first
    steps.fill("")
    for preset in ("full", "draft"):
        [default] = [each.default for each in method_settings("lonepair-single", preset) if each.name == "steps"]
        one.locator("#lp-one-preset").get_by_label(preset, exact=True).check()
        expect(steps).to_have_attribute("placeholder", str(default))


@pytest.mark.parametrize(
    ("title", "values", "size"),
    [
        ("Generate", {"sample-count": 2}, None),
        ("Scale sheet", {}, None),
        ("Retarget", {"retarget-size": "96x56"}, (96, 56)),
        ("Outpaint", {"outpaint-left": 16}, (80, 48)),
        ("Tile", {}, (64, 48)),
        ("Superresolve", {"superresolve-factor": 2}, (128, 96)),
    ],
    ids=str,
)
def test_use_gives_a_picture(
    one: Page, tmp_path: Path, title: str, values: dict[str, object], size: tuple[int, int] | None
) -> None:
    choose(one, title)
    for field, value in values.items():
        fill(one, f"lp-{field}", value)
    run(one, title)
    if size is not None:
        with Image.open(download(one, "lp-one-download", tmp_path)) as image:
            assert image.size == size


def test_inpaint_and_paint_use_the_brush(one: Page) -> None:
    choose(one, "Inpaint")
    one.locator("#lp-one-run").click()
    expect(one.locator("#lp-one-run-error [role=alert]")).to_contain_text("no hole is painted yet")
    paint(one, "lp-one-canvas")
    run(one, "Inpaint")
    choose(one, "Paint")
    paint(one, "lp-one-canvas", (0.4, 0.6))
    run(one, "Paint")


@pytest.mark.parametrize("title", ["Edit", "Harmonize"])
def test_edited_image_is_asked_for_and_used(one: Page, media: Path, tmp_path: Path, title: str) -> None:
    choose(one, title)
    if title == "Edit":
        one.locator("#lp-one-run").click()
        expect(one.locator("#lp-one-run-error [role=alert]")).to_contain_text("needs the edited image")
        with Image.open(media / "source.png") as image:
            image.paste((240, 60, 60), (20, 12, 40, 30))
            image.save(tmp_path / "edited.png")
        upload(one, "lp-one-extra", tmp_path / "edited.png")
        expect(one.locator("#lp-one-extra")).to_contain_text("edited")
    run(one, title)


def test_animation_is_a_clip(one: Page, tmp_path: Path) -> None:
    choose(one, "Animate")
    fill(one, "lp-animate-frames", 4)
    run(one, "Animate")
    expect(one.locator("#lp-one-video video")).to_be_visible()
    with av.open(str(download(one, "lp-one-download", tmp_path))) as file:
        assert sum(1 for _ in file.decode(video=0)) == 4


def test_result_is_there_after_a_reload(one: Page) -> None:
    one.reload()
    one.get_by_role("tab", name="One image").click()
    expect(one.locator("#lp-one-jobs")).to_contain_text("Animate: source")
    expect(one.locator("#lp-one-video video")).to_be_visible()
