"""Files of users: copied into the project's folder, with limits on their size, frames and duration.

The content is checked by the readers of the package, as on the command line. ZIP files of frames are unpacked by name:
nothing outside the folder is written, and the unpacked size is limited before anything is unpacked.
"""

from __future__ import annotations

import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lonepair import UserError

STILLS = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".exr")
"""Suffixes of frames in a ZIP file."""
CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How large an upload may be."""

    megabytes: int = 2000
    """Size of a file, and of everything in a ZIP file, in MB."""
    frames: int = 5000
    """Frames of a clip."""
    seconds: float = 300.0
    """Duration of a clip."""
    kept_megabytes: int = 20_000
    """Size of everything that a session keeps, in MB."""


@dataclass(frozen=True)
class Facts:
    """What a source is."""

    is_clip: bool
    width: int
    height: int
    frames: int
    """Number of frames; 1 of an image."""
    rate: float
    """Frames per second; 0 of an image."""

    @property
    def text(self) -> str:
        """One line for the page."""
        size = f"{self.width}×{self.height} pixels"
        if not self.is_clip:
            return size
        return f"{size}, {self.frames} frames, {self.frames / self.rate:.1f} s"


def store_upload(path: Path, folder: Path, limits: Limits) -> Path:
    """Copy an upload into `folder`; a ZIP file of frames becomes a folder of files.

    Args:
        path: The file of the upload.
        folder: The project's folder, which exists.
        limits: How large it may be.

    Returns:
        The path of the copy.

    Raises:
        UserError: The file is too large, or the ZIP file holds no frames or something else than frames.
    """
    megabytes = path.stat().st_size / 1e6
    if megabytes > limits.megabytes:
        raise UserError(f"{path.name}: has {megabytes:.0f} MB, and the limit is {limits.megabytes} MB; cut or scale it")
    name = safe_name(path.name)
    if path.suffix.lower() == ".zip":
        return _unpack(path, _unused_path(folder, Path(name).stem), limits)
    target = _unused_path(folder, name)
    shutil.copyfile(path, target)
    return target


def safe_name(name: str) -> str:
    """A file name of letters, digits, dots and hyphens, of at most 80 characters, that is not hidden."""
    plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip(".-")
    stem, dot, suffix = plain.rpartition(".")
    return f"{(stem or plain)[:70]}{dot}{suffix[:9]}" if dot else (plain[:80] or "file")


def _unused_path(folder: Path, name: str) -> Path:
    """A path in `folder` that no file has: that of `name`, or with a number before the suffix."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{Path(name).stem}-{number}{Path(name).suffix}"
    return path


def _unpack(path: Path, folder: Path, limits: Limits) -> Path:
    """Unpack the frames of a ZIP file into the new folder `folder`."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = _frames(archive, path.name, limits)
            folder.mkdir()
            for entry in entries:
                # The name alone counts: a path in the archive may point anywhere.
                target = folder / safe_name(PurePosixPath(entry.filename.replace("\\", "/")).name)
                with archive.open(entry) as packed, target.open("xb") as file:
                    _copy(packed, file, entry.file_size, path.name)
    except FileExistsError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"{path.name}: two frames have the same name; number them") from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise UserError(f"{path.name}: cannot be unpacked ({error}); make the ZIP file again") from error
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return folder


def _frames(archive: zipfile.ZipFile, name: str, limits: Limits) -> list[zipfile.ZipInfo]:
    """The frames in a ZIP file, after a check of its table."""
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    # What systems put beside the files.
    beside = re.compile(r"(^|/)__MACOSX/|(^|/)(\.[^/]*|Thumbs\.db|desktop\.ini)$")
    entries = [entry for entry in entries if not beside.search(entry.filename)]
    others = [e.filename for e in entries if PurePosixPath(e.filename).suffix.lower() not in STILLS]
    if others:
        raise UserError(f"{name}: holds {safe_name(others[0])}, which is no frame; pack images ({', '.join(STILLS)})")
    if not entries:
        raise UserError(f"{name}: holds no frames; pack images ({', '.join(STILLS)})")
    if len(entries) > limits.frames:
        raise UserError(f"{name}: holds {len(entries)} frames, and the limit is {limits.frames}; pack fewer")
    megabytes = sum(entry.file_size for entry in entries) / 1e6
    if megabytes > limits.megabytes:
        raise UserError(f"{name}: unpacks to {megabytes:.0f} MB, and the limit is {limits.megabytes} MB; pack fewer")
    return entries


def _copy(packed: object, file: object, expected: int, name: str) -> None:
    """Copy one frame; one that is longer than its entry says is refused."""
    done = 0
    while chunk := packed.read(CHUNK):  # type: ignore[attr-defined]
        done += len(chunk)
        if done > expected:
            raise UserError(f"{name}: a frame is larger than its entry says; make the ZIP file again")
        file.write(chunk)  # type: ignore[attr-defined]


def check_facts(facts: Facts, name: str, limits: Limits) -> None:
    """Refuse a clip with too many frames or of too long a duration.

    Raises:
        UserError: with the number and the limit.
    """
    if facts.frames > limits.frames:
        raise UserError(f"{name}: has {facts.frames} frames, and the limit is {limits.frames}; cut it")
    if facts.is_clip and facts.frames / facts.rate > limits.seconds:
        seconds = facts.frames / facts.rate
        raise UserError(f"{name}: lasts {seconds:.0f} s, and the limit is {limits.seconds:.0f} s; cut it")
