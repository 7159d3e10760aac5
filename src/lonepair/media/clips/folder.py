"""Folders of images: the frames of a clip, or images that have nothing to do with each other."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lonepair.errors import UserError
from lonepair.media.clips.numbered import frame_files, image_size


@dataclass(frozen=True)
class FolderKind:
    """What the images of a folder are."""

    is_clip: bool
    """Whether they are the frames of a clip; else each is an image of its own."""
    files: list[Path]
    """In natural order."""
    reason: str
    """Why, in a few words."""


def folder_kind(folder: Path) -> FolderKind:
    """Decide whether the images in `folder` are the frames of a clip: numbered, with one name and one size.

    Only headers of files are read. A file that cannot be read does not decide.

    Raises:
        UserError: The folder holds no image, or cannot be read.
    """
    files = frame_files(folder)
    starts: set[str] = set()
    sizes: dict[tuple[int, int], Path] = {}
    for file in files:
        match = re.fullmatch(r"(.*?)\d+", file.stem)
        if match is None:
            return FolderKind(False, files, f"{file.name} has no number at the end of its name")
        starts.add(match[1])
        try:
            sizes.setdefault(image_size(file), file)
        except UserError:
            continue
    if len(starts) > 1:
        first, second = sorted(starts)[:2]
        return FolderKind(False, files, f"names start with {first!r} and with {second!r}")
    if len(sizes) > 1:
        (first_size, first_file), ((h, w), file), *_ = sizes.items()
        own = f"{first_file.name} has {first_size[1]}x{first_size[0]}"
        return FolderKind(False, files, f"{own} pixels, {file.name} {w}x{h}")
    return FolderKind(True, files, "they are numbered and have one size")
