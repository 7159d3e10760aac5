"""Who may reach the studio, what its command checks, and that nothing else loads Gradio."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lonepair import UserError
from lonepair.commands.main import main
from lonepair.studio.context import Studio
from lonepair.studio.server import Gate, ServerOptions, check_options
from lonepair.studio.uploads import Limits
from warm_processes import output_of

LOCAL = ServerOptions()
TOKEN = "0123456789abcdef0123"


def answer(
    options: ServerOptions, path: str = "/", query: str = "", studio: Studio | None = None, **headers: str
) -> tuple[int, dict[str, str]]:
    """Status and headers of the answer of a gate in front of an application that always answers 200."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    values = {"host": "127.0.0.1:7860", **headers}
    scope = {
        "type": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in values.items()],
    }
    asyncio.run(Gate(app, options, studio)(scope, None, send))
    return sent[0]["status"], {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_pages_may_load_from_this_host_only() -> None:
    status, headers = answer(LOCAL)
    assert status == 200
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "http" not in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=http://example.org/x", "/gradio_api/file%3Dhttps%3A//x", "/x/file=HTTPS:/x"]
)
def test_addresses_of_other_hosts_are_not_fetched(path: str) -> None:
    assert answer(LOCAL, path)[0] == 403


def test_name_of_another_site_does_not_reach_the_local_studio() -> None:
    assert answer(LOCAL, host="evil.example:7860")[0] == 403
    assert answer(LOCAL, host="localhost:7860")[0] == 200
    assert answer(LOCAL, host="[::1]:7860")[0] == 200


@dataclass
class Event:
    """Stands in for Gradio's request of an event."""

    username: str | None
    headers: dict[str, str]
    session_hash: str = "page"


def test_file_is_fetched_by_the_browsers_of_its_session_only(tmp_path: Path) -> None:
    studio = Studio(tmp_path / "w", Limits())
    browsers = [f"lonepair-session={digit * 32}" for digit in "abc"]
    # Two browsers of one user who has logged in, and one browser of nobody.
    owner, same, other = (
        studio.owner(Event(user, {"cookie": cookie}), "0" * 32)
        for user, cookie in zip(("me", "me", None), browsers, strict=True)
    )
    assert owner == same != other
    (tmp_path / "a.png").touch()
    path = f"/gradio_api/file={studio.serve(tmp_path / 'a.png', owner)}"
    assert [answer(LOCAL, path, studio=studio, cookie=cookie)[0] for cookie in browsers] == [200, 200, 403]
    assert answer(LOCAL, path, studio=studio)[0] == 403
    for trick in (f"{path}/../../../{other}/x/a.png", f"/gradio_api/file={studio.workspace}/secret"):
        assert answer(LOCAL, trick, studio=studio, cookie=browsers[0])[0] == 403
    with pytest.raises(UserError, match="not an uploaded file"):
        studio.check_upload(studio.serve(tmp_path / "a.png", owner), other)


def test_what_is_done_before_a_page_is_ready_waits_for_it(tmp_path: Path) -> None:
    studio = Studio(tmp_path, Limits())
    event = Event(None, {"cookie": f"lonepair-session={'a' * 32}"})
    with ThreadPoolExecutor(2) as pool:
        with studio.opening(event, "b" * 32) as owner:
            # Without and with the browser's secret.
            early = [pool.submit(studio.owner, event, token) for token in ("", "b" * 32)]
            time.sleep(0.05)
            assert not any(asked.done() for asked in early)
        assert [asked.result(5) for asked in early] == [owner, owner]
    assert studio.owner(event, "") == owner


def test_page_of_an_earlier_server_is_not_waited_for_and_a_stranger_gets_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lonepair.studio.openings.WAIT_SECONDS", 0.01)
    studio = Studio(tmp_path, Limits())
    event = Event(None, {"cookie": f"lonepair-session={'a' * 32}"})
    assert studio.owner(event, "b" * 32)
    with studio.opening(event, "b" * 32):
        pass
    with pytest.raises(UserError, match="not ready"):
        studio.owner(Event(None, {"cookie": f"lonepair-session={'c' * 32}"}), "")


def test_first_page_gives_the_browser_a_cookie() -> None:
    assert "lonepair-session=" in answer(LOCAL)[1]["set-cookie"]
    # A cookie of another program that is written wrongly does not hide it.
    assert "set-cookie" not in answer(LOCAL, cookie='x={"a b"; lonepair-session=' + "a" * 32)[1]


def test_token_is_asked_for_once() -> None:
    options = ServerOptions("0.0.0.0", token=TOKEN)
    assert answer(options, host="studio:7860")[0] == 403
    assert answer(options, query="token=wrong", host="studio:7860")[0] == 403
    status, headers = answer(options, path="/x", query=f"token={TOKEN}", host="studio:7860")
    assert status == 200
    assert "HttpOnly" in headers["set-cookie"]
    assert answer(options, host="studio:7860", cookie=headers["set-cookie"].split(";")[0])[0] == 200


@pytest.mark.parametrize("options", [ServerOptions("0.0.0.0"), ServerOptions(token="short")])
def test_open_or_weak_server_is_refused(options: ServerOptions) -> None:
    with pytest.raises(UserError, match="give"):
        check_options(options)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--listen", "0.0.0.0"], "--listen is 0.0.0.0"),
        (["--listen", "0.0.0.0", "--token", "short"], "token has 5 characters"),
        (["--auth", "me"], "USER:PASSWORD"),
        (["--port", "0"], "--port is 0"),
        (["--max-frames", "0"], "--max-frames is 0"),
    ],
)
def test_command_refuses_in_one_line(words: list[str], message: str, capsys: Any, monkeypatch: Any, here: Path) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert main(["studio", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (here / "lonepair-studio").exists()


def test_process_of_frames_ends_with_a_killed_server() -> None:
    code = (
        "import os\nfrom lonepair.studio.frames import FramePool\n"
        "if __name__ == '__main__':\n"
        "    print(FramePool().run(os.getpid), flush=True)\n    os._exit(9)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    process, end = int(done.stdout), time.monotonic() + 20
    while is_alive(process) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_alive(process)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_command_names_the_extra_that_is_missing(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["studio"]) == 2
    assert 'pip install "lonepair[studio]"' in capsys.readouterr().err


def test_jobs_load_no_gradio() -> None:
    """Nor does anything else that is no page; `test_light_imports.py` checks commands."""
    modules = ", ".join(f"lonepair.studio.{name}" for name in ("worker", "scheduler", "snippets", "singles"))
    code = f"import sys, {modules}\nprint('loaded', *{{'gradio', 'fastapi'}} & set(sys.modules))"
    assert output_of(code) == "loaded\n"
