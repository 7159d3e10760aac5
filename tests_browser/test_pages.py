"""The pages One image and Runs, and what all pages share: phone, dark mode, keyboard, other sessions' files."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from test_translate import give_pair, train, upload

from tiny_settings import Server, opened


def test_image_is_trained_and_tiled(page: Page, media: Path) -> None:
    page.get_by_role("tab", name="One image").click()
    upload(page, "lp-one-image", media / "source.png")
    expect(page.locator("#lp-one-text")).to_contain_text("64×48")
    page.get_by_label("Tile", exact=True).check()
    page.locator("#lp-tile-size input, #lp-tile-size textarea").fill("nonsense")
    page.locator("#lp-one-run").click()
    expect(page.locator("#lp-one-run-error [role=alert]")).to_contain_text("size is nonsense: write WIDTHxHEIGHT")
    page.locator("#lp-tile-size input, #lp-tile-size textarea").fill("")
    page.locator("#lp-one-expert button").first.click()
    for name, value in {"max-side": 32, "steps": 3, "finest-steps": 3, "stages": 2}.items():
        page.locator(f"#lp-lonepair-single-{name} input, #lp-lonepair-single-{name} textarea").fill(str(value))
    page.locator("#lp-one-run").click()
    expect(page.locator("#lp-one-result img")).to_be_visible()
    expect(page.locator("#lp-one-download")).to_be_visible()


def test_run_is_renamed_shared_added_and_deleted(page: Page, media: Path, tmp_path: Path) -> None:
    give_pair(page, media)
    train(page)
    expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")
    page.get_by_role("tab", name="Runs").click()
    page.locator("#lp-runs button.thumbnail-item, #lp-runs .thumbnail-item").first.click()
    expect(page.locator("#lp-run-facts")).to_contain_text("lonepair")
    page.locator("#lp-run-name input, #lp-run-name textarea").fill("My <b>best</b> run")
    page.locator("#lp-run-rename").click()
    expect(page.locator("#lp-runs")).to_contain_text("My <b>best</b> run")
    with page.expect_download() as download:
        page.locator("#lp-run-share").click()
    shared = tmp_path / download.value.suggested_filename
    assert shared.suffix == ".safetensors"
    download.value.save_as(shared)

    # The same checks as on the command line: a damaged file is refused, the shared one is accepted.
    (tmp_path / "bad.safetensors").write_bytes(shared.read_bytes()[:-50])
    upload(page, "lp-add-model", tmp_path / "bad.safetensors")
    expect(page.locator("#lp-add-model-error [role=alert]")).to_contain_text("bad.safetensors")
    upload(page, "lp-add-model", shared)
    expect(page.locator("#lp-run-facts")).to_contain_text("done")
    page.locator("#lp-run-open").click()
    expect(page.locator("#lp-result-text")).to_contain_text("with the trained model")

    page.get_by_role("tab", name="Runs").click()
    page.locator("#lp-runs .thumbnail-item").first.click()
    page.locator("#lp-run-delete").click()
    page.locator("#lp-run-keep").click()
    expect(page.locator("#lp-run-sure")).not_to_be_visible()
    page.locator("#lp-run-delete").click()
    page.locator("#lp-run-sure").click()
    expect(page.locator("#lp-runs .thumbnail-item")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_page_fits_the_screen_and_has_labels(browser: Browser, server: Server, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    context.set_default_timeout(120_000)
    try:
        page = opened(context, server)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        names = page.evaluate(
            "[...document.querySelectorAll('button, input, textarea')].filter(e => e.offsetParent"
            " && !(e.labels?.length || e.innerText?.trim() || e.ariaLabel || e.title || e.placeholder)).map(e => "
            "e.outerHTML.slice(0, 200))"
        )
        assert names == []
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement !== document.body")
    finally:
        context.close()


@pytest.mark.parametrize(
    "path",
    [
        "../secret",
        "{workspace}/secret",
        "{workspace}/jobs",
        "/etc/passwd",
        "{workspace}/cache/../secret",
        "http://127.0.0.1:1/x",
        "%2e%2e%2fsecret",
    ],
)
def test_no_other_file_can_be_fetched(server: Server, path: str) -> None:
    address = f"{server.url}/gradio_api/file={path.format(workspace=server.workspace)}"
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(address)
    assert error.value.code in (403, 404)


def answer_to_upload(server: Server, file: dict[str, str]) -> str:
    """What the page would show if a browser named `file` as its upload of a source."""
    html = urllib.request.urlopen(server.url).read().decode()
    match = re.search(r"window.gradio_config = (\{.*?\});</script>", html, re.S)
    assert match is not None
    config = json.loads(match[1])
    field = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "lp-source")
    event = next(e for e in config["dependencies"] if [field, "upload"] in [list(target) for target in e["targets"]])
    values = ["0" * 32, "", {**file, "meta": {"_type": "gradio.FileData"}}]
    body = {"data": values, "fn_index": event["id"], "session_hash": "stranger", "trigger_id": field}
    request = urllib.request.Request(f"{server.url}/gradio_api/queue/join", json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request)
    lines = urllib.request.urlopen(f"{server.url}/gradio_api/queue/data?session_hash=stranger", timeout=120)
    return next(line.decode() for line in lines if b"process_completed" in line)


@pytest.mark.parametrize("named", ["a file", "the secret", "an address", "an address as path", "a folder of the cache"])
def test_request_cannot_name_a_file_that_was_not_uploaded(server: Server, media: Path, named: str) -> None:
    address = f"{server.url}/robots.txt"
    file = {
        "a file": {"path": str(media / "source.png")},
        "the secret": {"path": str(server.workspace / "secret")},
        "an address": {"path": "x.png", "url": address},
        "an address as path": {"path": address},
        "a folder of the cache": {"path": str(server.workspace / "cache")},
    }[named]
    answer = answer_to_upload(server, file)
    assert '"success":false' in answer or "not an uploaded file" in answer
    assert "64\u00d748" not in answer
    assert "64×48" not in answer


def test_interface_documentation_is_closed(server: Server) -> None:
    for path in ("/docs", "/openapi.json", "/monitoring"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(server.url + path)
    page = urllib.request.urlopen(server.url).read().decode()
    assert re.search(r'(?:src|href)="https?://', page) is None
