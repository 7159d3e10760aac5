"""Who sees what: sessions, passwords, files of others, tricks with paths, screens, keyboards and screen readers."""

from __future__ import annotations

import base64
import json
import re
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from steps import give_pair, open_panel, result, start_another, upload

from conftest import Server, new_session, opened, wait_until_usable

CONTROLS = r"(button|textbox|slider|radio|checkbox|spinbutton|combobox|listbox|tab|link|switch)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_page_fits_the_screen_and_every_control_has_a_name(shared: Page, width: int, scheme: str) -> None:
    shared.set_viewport_size({"width": width, "height": 800})
    shared.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
    dark = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every((part) => part < 80)"
    shared.wait_for_function(f"({dark}) === {str(scheme == 'dark').lower()}")
    for tab, panels in (
        ("Translate", ("lp-expert", "lp-mask-panel", "lp-snippets")),
        ("One image", ("lp-one-expert",)),
        ("Runs", ("lp-compare-panel",)),
    ):
        shared.get_by_role("tab", name=tab).click()
        for panel in panels:
            open_panel(shared, panel)
        shared.wait_for_timeout(300)
        assert shared.evaluate("document.documentElement.scrollWidth") <= width
        # Chromium's own names of controls, as a screen reader gets them.
        unnamed = re.findall(rf"^ *- {CONTROLS}\b(?! \")[^\n]*$", shared.locator("main").aria_snapshot(), re.M)
        assert unnamed == []


def test_every_step_can_be_reached_by_the_keyboard(shared: Page, media: Path) -> None:
    page = shared
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.get_by_role("tab", name="Translate").click()
    with page.expect_file_chooser() as chooser:
        page.locator("#lp-source button").first.focus()
        page.keyboard.press("Enter")
    chooser.value.set_files(media / "clip.mp4")
    expect(page.locator("#lp-source-text")).to_contain_text("6 frames")
    upload(page, "lp-styles", media / "style.png")
    expect(page.locator("#lp-result-text")).to_contain_text("without training")
    page.locator("h1").click()
    reached: set[str] = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached |= set(
            page.evaluate(
                "(() => { const ids = []; for (let e = document.activeElement; e; e = e.parentElement) "
                "if (e.id.startsWith('lp-')) ids.push(e.id); return ids; })()"
            )
        )
    wanted = {"source", "styles", "preset", "expert", "train", "new", "result", "frame", "structure", "strength"}
    wanted |= {"texture-size", "colour", "texture-auto", "tone", "reset", "mask-panel", "format", "first", "last"}
    wanted |= {"snippets"}
    assert {name for name in wanted if f"lp-{name}" not in reached} == set()


def test_sessions_see_their_own_work_and_files_only(
    shared: Page, browser: Browser, server: Server, media: Path
) -> None:
    start_another(shared)
    give_pair(shared, media)
    addresses = [
        result(shared).get_attribute("src"),
        shared.locator("#lp-style-gallery img").first.get_attribute("src"),
    ]
    with new_session(browser) as other:
        stranger = opened(other, server)
        expect(stranger.locator("#lp-result-text")).to_contain_text("drop a source and a style")
        expect(stranger.locator("body")).not_to_contain_text("source.png")
        for address in addresses:
            assert address is not None
            assert shared.request.get(address).status == 200
            assert stranger.request.get(address).status == 403
            assert server.status(address.removeprefix(server.url)) == 403


DROP_AT_ONCE = """(() => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const watch = new MutationObserver(() => {
    const field = document.querySelector("#lp-source input[type=file]");
    if (!field) return;
    watch.disconnect();
    const files = new DataTransfer();
    files.items.add(new File([bytes], "source.png", { type: "image/png" }));
    field.files = files.files;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });
  watch.observe(document, { childList: true, subtree: true });
})()"""
"""Drops a file as soon as the field of the source exists: the browser does not know its secret yet."""


def test_file_that_is_dropped_before_the_page_is_ready_is_taken(browser: Browser, server: Server, media: Path) -> None:
    with new_session(browser) as context:
        page = context.new_page()
        page.add_init_script(DROP_AT_ONCE % base64.b64encode((media / "source.png").read_bytes()).decode())
        page.goto(server.url)
        expect(page.locator("#lp-source-text")).to_contain_text("source.png: 64×48 pixels")
        expect(page.locator("#lp-source")).to_contain_text("source")


def test_password_is_asked_for(browser: Browser, tmp_path_factory: pytest.TempPathFactory, media: Path) -> None:
    workspace = tmp_path_factory.mktemp("auth") / "workspace"
    server = Server(workspace, "--auth", "me:a secret")
    try:
        for path in ("/gradio_api/queue/data?session_hash=x", f"/gradio_api/file={workspace}/secret", "/config"):
            assert server.status(path) in (401, 403)
        with new_session(browser) as context:
            page = context.new_page()
            page.goto(server.url)
            for password in ("wrong", "a secret"):
                expect(page.locator("#lp-source")).not_to_be_attached()
                page.get_by_label("username").fill("me")
                page.get_by_label("password").fill(password)
                page.get_by_role("button", name="Login").click()
                if password == "wrong":
                    expect(page.locator("body")).to_contain_text("Incorrect")
            wait_until_usable(page)
            upload(page, "lp-source", media / "source.png")
            expect(page.locator("#lp-source-text")).to_contain_text("64×48")
        # The session is the user's, on every browser.
        with new_session(browser) as context:
            page = context.new_page()
            page.goto(server.url)
            page.get_by_label("username").fill("me")
            page.get_by_label("password").fill("a secret")
            page.get_by_role("button", name="Login").click()
            expect(page.locator("#lp-source-text")).to_contain_text("source.png")
    finally:
        server.kill()


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
    address = f"/gradio_api/file={path.format(workspace=server.workspace)}"
    assert server.status(address) == 403
    assert server.status(address.replace("file=", "file/"), cookie="lonepair-session=" + "0" * 32) == 403


def answer_to_upload(server: Server, file: dict[str, str]) -> str:
    """What the page would show if a browser named `file` as its upload of a source."""
    with urllib.request.urlopen(server.url) as page:
        html = page.read().decode()
    match = re.search(r"window.gradio_config = (\{.*?\});</script>", html, re.S)
    assert match is not None
    config = json.loads(match[1])
    field = next(part["id"] for part in config["components"] if part["props"].get("elem_id") == "lp-source")
    event = next(e for e in config["dependencies"] if [field, "upload"] in [list(target) for target in e["targets"]])
    values = ["0" * 32, "", {**file, "meta": {"_type": "gradio.FileData"}}]
    body = {"data": values, "fn_index": event["id"], "session_hash": "stranger", "trigger_id": field}
    request = urllib.request.Request(f"{server.url}/gradio_api/queue/join", json.dumps(body).encode())
    request.add_header("content-type", "application/json")
    urllib.request.urlopen(request).close()
    with urllib.request.urlopen(f"{server.url}/gradio_api/queue/data?session_hash=stranger", timeout=120) as lines:
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
    assert "64\\u00d748" not in answer
    assert "64×48" not in answer


def test_interface_documentation_is_closed_and_nothing_comes_from_elsewhere(server: Server) -> None:
    for path in ("/docs", "/openapi.json", "/monitoring"):
        assert server.status(path) >= 400
    with urllib.request.urlopen(server.url) as page:
        assert re.search(r'(?:src|href)="https?://', page.read().decode()) is None
