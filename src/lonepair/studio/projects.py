"""A project: a source, its styles, the dials, the mask and the jobs that belong to them. It survives a reload."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lonepair import UserError
from lonepair.api.settings import use_settings
from lonepair.studio.jobs import JOB_ID, JobStore, StudioJob, read_json, write_json
from lonepair.studio.uploads import Facts

DIALS = ("structure", "texture_size", "colour", "tone", "strength")
"""Settings of the use `translate` that the page shows as dials."""


def default_dials() -> dict[str, Any]:
    """Dial -> its default, as on the command line."""
    return {setting.name: setting.default for setting in use_settings("translate") if setting.name in DIALS}


def owner_name(token: str) -> str:
    """The name under which files of a session are stored. The session's secret cannot be read from it."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Project:
    """What the page Translate shows."""

    folder: Path
    owner: str
    source: str = ""
    """Path of the source; empty before an upload."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Facts` of the source."""
    styles: tuple[str, ...] = ()
    """Paths of the style pictures."""
    models: tuple[str, ...] = ()
    """Id of the training of each style, in the same order; empty before the training."""
    imported: str = ""
    """Name of the model file, where it was uploaded and not trained here."""
    preset: str = "draft"
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the training that differ from the preset's."""
    dials: Mapping[str, Any] = field(default_factory=default_dials)
    masks: tuple[str, ...] = ()
    """Paths of the masks: one, or one for each of several styles."""
    painted: str = ""
    """Path of what was painted, to show it again."""
    frame: int = 0
    """Number of the frame that is shown."""
    shown: int = 0
    """Index of the style that is shown where there are several and no masks."""
    render: str = ""
    """Id of the last render."""
    format: str = "MP4"
    """Format of the next render of a clip, one of `snippets.CLIP_FORMATS`."""
    first: int = 0
    """First frame of the next render."""
    last: int | None = None
    """Last frame of the next render; None: the last one of the clip."""
    created: float = field(default_factory=time.time)

    @property
    def id(self) -> str:
        """Name of the project's folder: 16 hexadecimal digits."""
        return self.folder.name

    @property
    def source_facts(self) -> Facts | None:
        """What the source is; None before an upload."""
        return Facts(**self.facts) if self.facts else None

    @property
    def is_clip(self) -> bool:
        """Whether the source is a clip."""
        return bool(self.facts.get("is_clip"))

    @property
    def is_complete(self) -> bool:
        """Whether there is a source and a style."""
        return bool(self.source and self.styles)

    @property
    def active(self) -> tuple[int, ...]:
        """Indexes of the styles that the result has: all with masks, else the one that is shown."""
        return tuple(range(len(self.styles))) if len(self.styles) > 1 and self.masks else (self.shown,)

    def update(self, **values: Any) -> Project:
        """A copy with other values, written to disk."""
        project = dataclasses.replace(self, **values)
        fields = {f.name: getattr(project, f.name) for f in dataclasses.fields(project) if f.name != "folder"}
        write_json(project.folder / "project.json", fields)
        return project

    def trainings(self, store: JobStore) -> list[StudioJob]:
        """The trainings of the styles that still exist."""
        jobs = {job.id: job for job in store.jobs(self.owner)}
        return [jobs[job_id] for job_id in self.models if job_id in jobs]

    def settings(self) -> dict[str, Any]:
        """The settings of `Model.translate` that differ from their defaults, without those of masks."""
        defaults = default_dials()
        return {name: value for name, value in self.dials.items() if value != defaults[name]}


class ProjectStore:
    """All projects of a workspace."""

    def __init__(self, folder: Path) -> None:
        """`folder` is created where it does not exist."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def add(self, owner: str) -> Project:
        """Create an empty project."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir()
        return Project(folder, owner).update()

    def projects(self, owner: str) -> list[Project]:
        """The projects of `owner`, the newest first."""
        projects = [p for folder in self.folder.iterdir() if (p := _read(folder)) is not None and p.owner == owner]
        return sorted(projects, key=lambda project: project.created, reverse=True)

    def project(self, project_id: str, owner: str) -> Project:
        """The project of that id.

        Raises:
            UserError: There is none, or it is another session's.
        """
        project = _read(self.folder / project_id) if JOB_ID.fullmatch(project_id) else None
        if project is None or project.owner != owner:
            raise UserError("this project does not exist any more; reload the page")
        return project

    def latest(self, owner: str) -> Project:
        """The newest project of `owner`; a new one where there is none."""
        return next(iter(self.projects(owner)), None) or self.add(owner)

    def delete(self, project: Project) -> None:
        """Delete a project and its files."""
        shutil.rmtree(project.folder, ignore_errors=True)


def _read(folder: Path) -> Project | None:
    values = read_json(folder / "project.json")
    known = {f.name for f in dataclasses.fields(Project)}
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Project(folder, **{name: v for name, v in values.items() if name in known}) if "owner" in values else None
