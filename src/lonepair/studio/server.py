"""The studio's web server: who may connect, what pages may load, and nothing from outside."""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from lonepair import UserError
from lonepair.studio.uploads import Limits

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
COOKIE = "lonepair-token"
POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:; frame-ancestors 'none'; form-action 'self'; base-uri 'self'"
)
"""Content security policy: the browser itself refuses every request to another host."""


@dataclass(frozen=True)
class ServerOptions:
    """Where the studio listens and who may use it."""

    host: str = "127.0.0.1"
    port: int = 7860
    auth: tuple[str, str] | None = None
    """User and password."""
    token: str = ""
    """Secret that the address has to contain; empty: none."""
    limits: Limits = Limits()


def check_options(options: ServerOptions) -> None:
    """Refuse to be reachable from other machines without a password or a token.

    Raises:
        UserError: with the remedy.
    """
    if not is_local(options.host) and options.auth is None and not options.token:
        raise UserError(
            f"listen is {options.host}: other machines could reach the studio; give --auth USER:PASSWORD or --token"
        )
    if options.token and len(options.token) < 16:
        raise UserError(f"token has {len(options.token)} characters: give 16 or more, so that nobody guesses it")


def is_local(host: str) -> bool:
    """Whether a server on `host` is reachable from its own machine only."""
    return host in ("127.0.0.1", "localhost", "::1")


class Gate:
    """ASGI middleware in front of all pages: checks host, token and paths, and adds security headers."""

    def __init__(self, app: Any, options: ServerOptions) -> None:
        self._app, self._options = app, options

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        reason, sets_cookie = self._refusal(scope, headers), False
        if not reason and self._options.token:
            query = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
            sets_cookie = hmac.compare_digest(query.encode(), self._options.token.encode())
            has_cookie = cookie is not None and hmac.compare_digest(cookie.value.encode(), self._options.token.encode())
            reason = "" if sets_cookie or has_cookie else "open the address with ?token=..., as the studio printed it"
        if reason:
            await _refuse(send, reason)
            return

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                extra = {
                    "content-security-policy": POLICY,
                    "x-content-type-options": "nosniff",
                    "referrer-policy": "no-referrer",
                    "x-frame-options": "DENY",
                }
                if sets_cookie:
                    extra["set-cookie"] = f"{COOKIE}={self._options.token}; HttpOnly; SameSite=Strict; Path=/"
                message["headers"] = [*message["headers"], *((k.encode(), v.encode()) for k, v in extra.items())]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: MutableMapping[str, str]) -> str:
        """Why a request is refused; empty text where it is not."""
        # A page of another site may resolve its own name to this machine; it cannot change the header.
        if is_local(self._options.host):
            name = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
            if name.strip("[]") not in ("127.0.0.1", "localhost", "::1"):
                return f"the host {name} is not this machine"
        # Gradio would fetch addresses for the browser.
        path = unquote(unquote(scope["path"])).lower()
        if "file=http:" in path or "file=https:" in path:
            return "addresses of other hosts are not fetched"
        return ""


async def _refuse(send: Send, reason: str) -> None:
    body = f"refused: {reason}".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create_server(workspace: Path, options: ServerOptions, devices: Sequence[str]) -> tuple[Any, Any, Any]:
    """The web application, its workspace and its queue, which is not started yet.

    Args:
        workspace: Folder of everything that the studio keeps.
        options: Where it listens.
        devices: Devices of jobs.

    Returns:
        (ASGI application, `Studio`, `Scheduler`).
    """
    check_options(options)
    # Gradio reads these when it is imported or when files are cached.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["GRADIO_TEMP_DIR"] = str((workspace / "cache").resolve())
    import gradio as gr
    from fastapi import FastAPI

    from lonepair.studio.app import build_app
    from lonepair.studio.context import Studio
    from lonepair.studio.scheduler import Scheduler
    from lonepair.studio.theme import CSS, page_head, theme

    _forbid_downloads()
    studio = Studio(workspace, options.limits)
    pages = build_app(studio)
    # Gradio checks the paths that a request names only of an application that it has launched itself; without this a
    # request could name any file of the machine as its upload.
    pages.has_launched = True
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        pages,
        "/",
        auth=options.auth,
        allowed_paths=[],
        max_file_size=options.limits.megabytes * 1_000_000,
        footer_links=[],
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
        run_history=False,
        show_error=False,
        ssr_mode=False,
        enable_monitoring=False,
        mcp_server=False,
        pwa=False,
        theme=theme(),
        css_paths=CSS,
        head=page_head(),
    )
    return Gate(app, options), studio, Scheduler(studio.jobs, devices)


def _forbid_downloads() -> None:
    """Keep Gradio from fetching addresses: a request may name one in place of an uploaded file."""
    import gradio as gr
    from gradio import processing_utils

    def refuse(*_: object, **__: object) -> None:
        raise gr.Error("addresses of other hosts are not fetched")

    for name in ("ssrf_protected_download", "async_ssrf_protected_download", "unsafe_download", "save_url_to_cache"):
        assert hasattr(processing_utils, name), f"Gradio has no {name} any more: find what it downloads with"
        setattr(processing_utils, name, refuse)


def serve(workspace: Path, options: ServerOptions) -> None:
    """Run the studio until Ctrl-C. Jobs go on; the next start continues with them."""
    import uvicorn

    from lonepair.studio.frames import ready
    from lonepair.studio.scheduler import find_devices

    app, studio, scheduler = create_server(workspace, options, find_devices())
    with scheduler:
        studio.pool.run(ready)
        uvicorn.run(app, host=options.host, port=options.port, log_level="warning")
    studio.pool.close()
