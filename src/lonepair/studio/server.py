"""The studio's web server: who may connect, what pages may load, and nothing from outside."""

from __future__ import annotations

import hmac
import os
import re
import secrets
import socket
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

from lonepair import UserError
from lonepair.studio.context import SESSION_COOKIE, Studio, is_token, read_cookie
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
SECURITY = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
"""Headers of every answer."""
ADDRESS = re.compile(r"(file|proxy)[=/]/*https?:", re.IGNORECASE)
"""A request for a file of another host."""
FILE = re.compile(r"/file[=/](.*)", re.DOTALL)
"""A request for a file, with its path."""


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

    def __init__(self, app: Any, options: ServerOptions, studio: Studio | None = None) -> None:
        """`studio` decides which files a browser may fetch; None: none."""
        self._app, self._options, self._studio = app, options, studio

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
        cookies, token = headers.get("cookie", ""), self._options.token
        gives_token = bool(token) and _is_equal(query, token)
        reason = self._refusal(scope["path"], headers)
        if not reason and token and not gives_token and not _is_equal(read_cookie(cookies, COOKIE), token):
            reason = "open the address with ?token=..., as the studio printed it"
        if reason:
            await _refuse(send, reason)
            return
        extra = list(SECURITY)
        if gives_token:
            extra.append(_set_cookie(COOKIE, token))
        if scope["path"] == "/" and not is_token(read_cookie(cookies, SESSION_COOKIE)):
            extra.append(_set_cookie(SESSION_COOKIE, secrets.token_hex(16)))

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *extra]
            await send(message)

        is_page = scope["path"] == "/"
        await self._app(scope, receive, _with_script(send_with_headers) if is_page else send_with_headers)

    def _refusal(self, path: str, headers: Mapping[str, str]) -> str:
        """Why a request is refused; empty text where it is not."""
        # A page of another site may resolve its own name to this machine; it cannot change the header.
        if is_local(self._options.host):
            name = headers.get("host", "").rpartition(":")[0] or headers.get("host", "")
            if name.strip("[]") not in ("127.0.0.1", "localhost", "::1"):
                return f"the host {name} is not this machine"
        # Gradio would fetch addresses for the browser.
        if ADDRESS.search(unquote(unquote(path))):
            return "addresses of other hosts are not fetched"
        match = FILE.search(path)
        cookie = read_cookie(headers.get("cookie", ""), SESSION_COOKIE)
        if match is not None and (self._studio is None or not self._studio.may_fetch(match[1], cookie)):
            return "this file belongs to another session, or is none of the studio's"
        return ""


def _with_script(send: Send) -> Send:
    """Put `idle.js` at the start of a page: Gradio runs the scripts of its option `head` after its own modules."""
    script = b"<head><script>" + Path(__file__).with_name("idle.js").read_bytes() + b"</script>"
    start: MutableMapping[str, Any] = {}

    async def send_page(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            start.update(message)
            return
        if start:
            body = message.get("body", b"")
            message["body"] = body.replace(b"<head>", script, 1)
            added = len(message["body"]) - len(body)
            start["headers"] = [
                (name, str(int(value) + added).encode() if name.lower() == b"content-length" else value)
                for name, value in start["headers"]
            ]
            await send(dict(start))
            start.clear()
        await send(message)

    return send_page


def _is_equal(text: str, secret: str) -> bool:
    """Compare in a time that does not depend on the first difference."""
    return hmac.compare_digest(text.encode(), secret.encode())


def _set_cookie(name: str, value: str) -> tuple[bytes, bytes]:
    return b"set-cookie", f"{name}={value}; HttpOnly; SameSite=Strict; Path=/".encode()


async def _refuse(send: Send, reason: str) -> None:
    body = f"refused: {reason}".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def create_app(studio: Studio, options: ServerOptions) -> Gate:
    """The web application of a workspace.

    Args:
        studio: The workspace.
        options: Where it listens.
    """
    # Gradio reads these when it is imported or when files are cached.
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    # Gradio computes statistics of all events after each one; nobody reads them.
    os.environ["GRADIO_ANALYTICS_CACHE_FREQUENCY"] = str(10**9)
    os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"
    os.environ["GRADIO_TEMP_DIR"] = str(studio.cache)
    import gradio as gr
    from fastapi import FastAPI

    from lonepair.studio.app import build_app
    from lonepair.studio.theme import CSS, page_head, theme

    _forbid_downloads()
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
    return Gate(app, options, studio)


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

    from lonepair.studio.frames import find_devices
    from lonepair.studio.scheduler import Scheduler

    check_options(options)
    with _listen(options) as listener:
        studio = Studio(workspace, options.limits)
        studio.pool.start()  # it loads its modules while the pages are built
        app = create_app(studio, options)
        # Open pages keep connections open: the end does not wait for them.
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        with Scheduler(studio.jobs, studio.pool.run(find_devices), has_spare=True):
            secret = f"?token={options.token}" if options.token else ""
            address = f"http://{options.host}:{options.port}/{secret}"
            print(f"lonepair studio: {address}  (Ctrl-C ends it; jobs go on)", flush=True)
            uvicorn.Server(config).run([listener])
        studio.pool.close()


def _listen(options: ServerOptions) -> socket.socket:
    """A socket at the studio's address.

    Raises:
        UserError: Another program listens there, or this machine has no such address.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        listener.close()
        address = f"{options.host}:{options.port}"
        reason = error.strerror or str(error)
        raise UserError(f"cannot listen on {address} ({reason}): choose another --port or --listen") from error
    return listener
