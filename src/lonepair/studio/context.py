"""What all pages share: the workspace with its jobs and projects, the process of live frames, and who asks."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lonepair import UserError
from lonepair.studio import frames
from lonepair.studio.frames import FramePool
from lonepair.studio.jobs import JobStore
from lonepair.studio.openings import Openings
from lonepair.studio.projects import Project, ProjectStore, owner_name
from lonepair.studio.uploads import Facts, Limits, check_facts, store_upload

KEPT_SECONDS = 24 * 3600
"""Seconds for which files that pages show are kept."""
TIDY_SECONDS = 3600
"""Seconds between two deletions of older files."""
TOKEN = re.compile(r"[0-9a-f]{32}")
SESSION_COOKIE = "lonepair-session"
"""Cookie by which the files of a session are fetched. The server sets it with the first page."""
MAX_COOKIES = 10_000
"""Number of browsers whose cookies are remembered; the next event of a page renews its browser's."""


class Studio:
    """The workspace of one server."""

    def __init__(self, workspace: Path, limits: Limits) -> None:
        """
        Args:
            workspace: Folder of everything that the studio keeps; it is created where it does not exist.
            limits: How large uploads may be.
        """
        self.workspace, self.limits = workspace.resolve(), limits
        self.workspace.mkdir(parents=True, exist_ok=True)
        self.jobs = JobStore(self.workspace / "jobs")
        self.projects = ProjectStore(self.workspace / "projects")
        self.cache = self.workspace / "cache"
        self.cache.mkdir(exist_ok=True)
        self._owners: OrderedDict[str, set[str]] = OrderedDict()
        self._openings = Openings()
        self._tidied = 0.0
        self._tidy()
        self.pool = FramePool()
        self.secret = self._secret()

    def _tidy(self) -> None:
        """Delete what pages have shown and uploaded more than a day ago; projects and jobs have their own copies."""
        if time.time() - self._tidied < TIDY_SECONDS:
            return
        self._tidied = time.time()
        # Uploads lie in folders of the cache, and what is shown in folders of a session's folder.
        uploads = [folder for folder in self.cache.iterdir() if not is_token(folder.name)]
        for folder in [*uploads, *self.cache.glob("*/*/")]:
            if folder.stat().st_mtime < self._tidied - KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _secret(self) -> str:
        """A secret that stays when the server starts again: browsers keep their sessions."""
        path = self.workspace / "secret"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text()

    @contextmanager
    def opening(self, request: Any, token: str) -> Iterator[str]:
        """Context in which a page is made ready; it gives the page's session. Other events of the page wait for it.

        Args:
            request: The event's `gr.Request`.
            token: Secret of the browser.
        """
        cookie = read_cookie(request.headers.get("cookie", ""), SESSION_COOKIE)
        with self._openings.opening((request.session_hash, cookie), token):
            yield self._owner(token, cookie, request.username)

    def owner(self, request: Any, token: Any) -> str:
        """The session that asks: that of the user who has logged in, or that of the browser's secret token.

        An event that comes before its page is ready waits until it is. From then on the browser may fetch the files of
        the session.

        Args:
            request: The event's `gr.Request`.
            token: Secret of the browser; empty before its first page is ready.

        Raises:
            UserError: The page does not become ready.
        """
        cookie = read_cookie(request.headers.get("cookie", ""), SESSION_COOKIE)
        token = self._openings.token((request.session_hash, cookie), token if is_token(token) else "")
        if not request.username and not token:
            raise UserError("the page is not ready; reload it")
        return self._owner(token, cookie, request.username)

    def _owner(self, token: str, cookie: str, username: str | None) -> str:
        owner = owner_name(f"user {username}" if username else f"browser {token}")
        if is_token(cookie):
            self._owners.setdefault(cookie, set()).add(owner)
            self._owners.move_to_end(cookie)
            while len(self._owners) > MAX_COOKIES:
                self._owners.popitem(last=False)
        return owner

    def may_fetch(self, path: str, cookie: str) -> bool:
        """Whether the browser with a cookie may fetch the file at `path`: it lies in the folder of its session."""
        try:
            first, *rest = Path(path).resolve().relative_to(self.cache).parts
        except ValueError:
            return False
        return bool(rest) and first in self._owners.get(cookie, ())

    def plain(self, text: str) -> str:
        """A message with files by their names alone: the workspace's folders say nothing to its reader."""
        return re.sub(re.escape(str(self.workspace)) + r"/(?:[^/\s:]+/)*", "", text)

    def project(self, project_id: str, owner: str) -> Project:
        """The project of that id, if it is the owner's; without an id the newest one.

        A page whose server has started again has no id any more.

        Raises:
            UserError: It is not.
        """
        return self.projects.project(project_id, owner) if project_id else self.projects.latest(owner)

    def check_upload(self, path: str, owner: str) -> Path:
        """The path of an upload, after a check that it is one: a request may name any file of the machine.

        Raises:
            UserError: It is none, or it is a file that the page of another session shows.
        """
        resolved = Path(path).resolve()
        parts = resolved.relative_to(self.cache).parts if resolved.is_relative_to(self.cache) else ()
        folder = parts[0] if parts else ""
        if not folder or (is_token(folder) and folder != owner) or not resolved.is_file():
            raise UserError("this is not an uploaded file; drop it on the page again")
        return resolved

    def check_space(self, owner: str) -> None:
        """Refuse to keep more of a session than the limit.

        Raises:
            UserError: The session's projects, images and jobs are larger.
        """
        folders = [self.workspace / "images" / owner]
        folders += [project.folder for project in self.projects.projects(owner)]
        folders += [job.folder for job in self.jobs.jobs(owner)]
        files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
        megabytes = sum(path.stat().st_size for path in files) / 1e6
        if megabytes >= self.limits.kept_megabytes:
            raise UserError(
                f"this session keeps {megabytes:.0f} MB, and the limit is {self.limits.kept_megabytes} MB: "
                "delete runs on the page Runs"
            )

    def accept(self, upload: str, folder: Path, owner: str) -> tuple[Path, Facts]:
        """Copy an upload into `folder`, and say what it is; one that is refused leaves nothing behind.

        Raises:
            UserError: It is too large, or cannot be read; or the session keeps too much.
        """
        self.check_space(owner)
        path = store_upload(self.check_upload(upload, owner), folder, self.limits)
        try:
            facts = self.pool.run(frames.describe, str(path))
            check_facts(facts, path.name, self.limits)
        except UserError:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
            raise
        return path, facts

    def serve(self, path: Path | str, owner: str, name: str = "") -> str:
        """A copy of a file in the folder that pages of a session may show.

        Nobody can guess its address: it has a digest that only this workspace can compute. The copy shares the file's
        bytes where the file system allows it.

        Args:
            path: The file.
            owner: The session.
            name: Name of the copy; empty: that of the file.
        """
        path = Path(path)
        facts = path.stat()
        text = f"{path.resolve()} {facts.st_mtime_ns} {facts.st_size}"
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        copy = self.cache / owner / digest / (name or path.name)
        if copy.exists():
            os.utime(copy.parent)
            return str(copy)
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, copy)
        except OSError:
            shutil.copyfile(path, copy)
        return str(copy)

    def serve_image(self, image: Any, owner: str) -> str:
        """The path of a PIL image that a page of a session shows, stored as a PNG file."""
        self._tidy()
        folder = self.cache / owner / secrets.token_hex(32)
        folder.mkdir(parents=True)
        path = folder / "image.png"
        image.save(path, compress_level=1)
        return str(path)


def read_cookie(header: str, name: str) -> str:
    """The value of a cookie in a request's header; empty text where it is not there.

    Unlike `http.cookies`, it also reads it beside cookies of other programs on this host that are written wrongly.
    """
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for key, _, value in pairs if key == name), "")


def is_token(value: Any) -> bool:
    """Whether `value` is the secret of a browser, as `new_token` makes it."""
    return isinstance(value, str) and TOKEN.fullmatch(value) is not None


def new_token() -> str:
    """A secret that a browser keeps."""
    return secrets.token_hex(16)
