"""What all pages share: the workspace with its jobs and projects, the process of live frames, and who asks."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from lonepair import UserError
from lonepair.studio import frames
from lonepair.studio.frames import FramePool
from lonepair.studio.jobs import JobStore
from lonepair.studio.projects import Project, ProjectStore, owner_name
from lonepair.studio.uploads import Facts, Limits, check_facts, store_upload

KEPT_SECONDS = 24 * 3600
"""Seconds for which files that pages show are kept."""
TOKEN = re.compile(r"[0-9a-f]{32}")


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
        self._tidy()
        self.pool = FramePool()
        self.secret = self._secret()

    def _tidy(self) -> None:
        """Delete what pages have shown and uploaded more than a day ago; projects and jobs have their own copies."""
        for folder in self.cache.iterdir():
            if folder.stat().st_mtime < time.time() - KEPT_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)

    def _secret(self) -> str:
        """A secret that stays when the server starts again: browsers keep their sessions."""
        path = self.workspace / "secret"
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text()

    def owner(self, token: Any, username: str | None) -> str:
        """The session that asks: that of the user who has logged in, or that of the browser's secret token.

        Raises:
            UserError: The browser has no token yet.
        """
        if username:
            return owner_name(f"user {username}")
        if not is_token(token):
            raise UserError("the page is not ready yet; load it again")
        return owner_name(f"browser {token}")

    def project(self, project_id: str, owner: str) -> Project:
        """The project of that id, if it is the owner's; without an id the newest one.

        A page whose server has started again has no id any more.

        Raises:
            UserError: It is not.
        """
        return self.projects.project(project_id, owner) if project_id else self.projects.latest(owner)

    def uploaded(self, path: str) -> Path:
        """The path of an upload, after a check that it is one: a request may name any file of the machine.

        Raises:
            UserError: It is not.
        """
        resolved = Path(path).resolve()
        if not resolved.is_relative_to(self.cache) or not resolved.is_file():
            raise UserError("this is not an uploaded file; drop it on the page again")
        return resolved

    def accept(self, upload: str, folder: Path) -> tuple[Path, Facts]:
        """Copy an upload into `folder`, and say what it is; one that is refused leaves nothing behind.

        Raises:
            UserError: It is too large, or cannot be read.
        """
        path = store_upload(self.uploaded(upload), folder, self.limits)
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

    def served(self, path: Path | str) -> str:
        """A copy of a file below the one folder that pages may show.

        Nobody can guess its address: it has a digest that only this workspace can compute. The copy shares the file's
        bytes where the file system allows it.
        """
        path = Path(path)
        facts = path.stat()
        text = f"{path.resolve()} {facts.st_mtime_ns} {facts.st_size}"
        digest = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        copy = self.cache / digest / path.name
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            try:
                os.link(path, copy)
            except OSError:
                shutil.copyfile(path, copy)
        return str(copy)


def is_token(value: Any) -> bool:
    """Whether `value` is the secret of a browser, as `new_token` makes it."""
    return isinstance(value, str) and TOKEN.fullmatch(value) is not None


def new_token() -> str:
    """A secret that a browser keeps."""
    return secrets.token_hex(16)
