"""The command `studio`: pages in a browser."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import tyro

from lonepair.commands.roles import PathRole
from lonepair.errors import UserError


@dataclass(frozen=True)
class StudioForm:
    """Open the studio: pages in a browser that translate clips and images, train, and turn dials.

    It needs the extra `studio`. Everything stays on this machine. Ctrl-C ends the pages; trainings and renders go on,
    and the next start shows them."""

    examples: ClassVar[Sequence[tuple[str, str]]] = (
        ("lonepair studio", "open http://127.0.0.1:7860 in a browser"),
        ("lonepair studio --listen 0.0.0.0 --auth me:secret", "reachable from other machines"),
    )

    workspace: Annotated[Path, tyro.conf.arg(metavar="FOLDER"), PathRole.FOLDER] = Path("lonepair-studio")
    """Folder of uploads, jobs and results."""
    port: int = 7860
    """Port of the address, 1 to 65535."""
    listen: Annotated[str, tyro.conf.arg(metavar="HOST")] = "127.0.0.1"
    """Address to listen on. Any other than this machine's own needs --auth or --token."""
    auth: Annotated[str, tyro.conf.arg(metavar="USER:PASSWORD")] = ""
    """User and password that the pages ask for."""
    token: str = ""
    """Secret of 16 or more characters that the address has to contain, as in http://HOST:PORT/?token=SECRET."""
    max_upload: Annotated[int, tyro.conf.arg(metavar="MB")] = 2000
    """Largest size of an uploaded file, in MB."""
    max_frames: int = 5000
    """Largest number of frames of an uploaded clip."""
    max_seconds: float = 300.0
    """Longest duration of an uploaded clip, in seconds."""
    max_kept: Annotated[int, tyro.conf.arg(metavar="MB")] = 20_000
    """Largest size of everything that one session keeps, in MB: uploads, runs and results."""


def run_studio(values: StudioForm) -> int:
    """Serve the pages until Ctrl-C."""
    for name in ("max_upload", "max_frames", "max_seconds", "max_kept"):
        if not getattr(values, name) > 0:
            raise UserError(f"{name} is {getattr(values, name)}: choose a number above 0")
    if not 1 <= values.port <= 65535:
        raise UserError(f"port is {values.port}: choose 1 to 65535")
    user, colon, password = values.auth.partition(":")
    if values.auth and not (user and colon and password):
        raise UserError("auth is not USER:PASSWORD: write both, with a colon between them")
    if importlib.util.find_spec("gradio") is None:
        raise UserError('the studio needs packages that are not installed: pip install "lonepair[studio]"')
    from lonepair.studio.server import ServerOptions, check_options, serve
    from lonepair.studio.uploads import Limits

    limits = Limits(values.max_upload, values.max_frames, values.max_seconds, values.max_kept)
    auth = (user, password) if values.auth else None
    options = ServerOptions(values.listen, values.port, auth, values.token, limits)
    check_options(options)
    serve(values.workspace.expanduser(), options)
    return 0
