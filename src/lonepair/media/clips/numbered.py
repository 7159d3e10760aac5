"""Reads and writes clips as numbered image files: folders of frames, and sequences such as `name.%04d.exr`."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from lonepair.errors import UserError
from lonepair.media.clips.container import SUPPORTED_INPUTS, ClipInfo, Frame
from lonepair.media.clips.sequence import first_number, input_pattern
from lonepair.media.clips.series import choose_frames, parallel_series
from lonepair.media.limits import check_clip
from lonepair.media.stills.image import decode_image, read_header, read_image, value_range, write_image
from lonepair.media.stills.opening import open_image
from lonepair.ops.color import match_channels
from lonepair.storage.files import check_frames_folder, error_reason, natural_order

logger = logging.getLogger("lonepair")

_SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
_FRAME_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp", ".gif", ".ppm", ".pgm", ".tga", ".avif", ".jp2", ".exr"}
)


def frame_files(path: Path) -> list[Path]:
    """Return the files of the frames of `path`, a folder or the pattern of a sequence.

    Of a folder these are its image files in natural order, without hidden files and files of other kinds; of a
    sequence the files by number, without a gap.

    Raises:
        UserError: There is no image, a number of the sequence is missing, or the folder cannot be read.
    """
    if pattern := input_pattern(path):
        return list(pattern.files().values())
    try:
        files = [f for f in path.iterdir() if f.suffix.lower() in _FRAME_SUFFIXES and not f.name.startswith(".")]
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error_reason(error)}); check the folder's permissions") from error
    if not files:
        raise UserError(f"{path}: the folder holds no images; give {SUPPORTED_INPUTS}")
    return natural_order(files)


def clip_files(path: Path, logs: bool = False) -> list[Path]:
    """Return the files of the frames of a clip in order: of a sequence all, of a folder one for each number.

    Args:
        path: A folder, or the pattern of a sequence.
        logs: Log which files of the folder are no frames.

    Raises:
        UserError: As `frame_files`, or several files have one number and nothing tells which are the frames.
    """
    files = frame_files(path)
    if input_pattern(path):
        return files
    frames, left_out = choose_frames(path, files)
    if logs and left_out:
        text = "%s: %s left out, because other files have the same number: %s"
        logger.warning(text, path, _count_of(left_out), _shorten([file.name for file in left_out]))
    if logs and (series := parallel_series(frames)):
        text = "%s: holds series with the same numbers, which are read one after another: those of %s; give a pattern, "
        logger.warning(text + "such as %s, to read one of them", path, _shorten(series), path / _pattern_of(series[0]))
    if logs:
        others = [f.name for f in path.iterdir() if f.is_file() and f not in set(files) and not f.name.startswith(".")]
        if others := [name for name in others if name.lower() not in _SYSTEM_FILES]:
            logger.info("%s: files of other kinds are left out: %s", path, _shorten(sorted(others)))
    return frames


def _pattern_of(name: str) -> str:
    """Return the pattern of the sequence to which a file of this name belongs."""
    stem, dot, suffix = name.rpartition(".")
    return re.sub(r"\d+(?=\D*$)", lambda number: f"%0{len(number[0])}d", stem) + dot + suffix


def _count_of(files: Sequence[Path]) -> str:
    return "1 image is" if len(files) == 1 else f"{len(files)} images are"


def _shorten(names: Sequence[str], most: int = 4) -> str:
    """Return the first names, and how many more there are."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f", and {rest} more" if rest > 0 else "")


def probe_files(files: Sequence[Path], rate: Fraction) -> ClipInfo:
    """Return the properties of a clip whose frames are `files`, shown at `rate` frames per second.

    Opens every file, so that one of another size is refused before any work is done.

    Raises:
        UserError: A file cannot be read as an image, or has another size than the first one.
    """
    headers = [read_header(file) for file in files]
    size = headers[0].size
    for file, header in zip(files, headers, strict=True):
        if header.size != size:
            (h, w), (first_h, first_w) = header.size, size
            raise UserError(
                f"{file}: is {w}x{h} pixels but {files[0].name} is {first_w}x{first_h}; give frames of one size"
            )
    check_clip(files[0].parent, size, len(files))
    # An alpha channel may be opaque everywhere. Only the pixels tell, so decode files until one is transparent.
    may_be_transparent = [file for file, header in zip(files, headers, strict=True) if header.channels == 4]
    is_transparent = any(read_image(file).shape[1] == 4 for file in may_be_transparent)
    return ClipInfo(
        size=size,
        rate=rate,
        frame_count=len(files),
        has_audio=False,
        channels=4 if is_transparent else max(min(header.channels, 3) for header in headers),
        pixel_aspect=headers[0].pixel_aspect,
        bits=max(header.bits for header in headers),
        first_number=first_number(list(files)),
        value_range=value_range(files),
    )


def image_size(file: Path) -> tuple[int, int]:
    """Return (h, w) of an image file in pixels, after the orientation that it states; only its header is read.

    Raises:
        UserError: The file cannot be read as an image.
    """
    return read_header(file).size


def decode_files(files: Sequence[Path], info: ClipInfo, first: int = 0) -> Iterator[Frame]:
    """Yield the frames of a clip whose frames are `files`, from frame `first` on; earlier files are not opened.

    Args:
        files: The files in order.
        info: The clip's properties (`probe_files`).
        first: Index of the first frame.
    """
    for index, file in enumerate(files[first:], first):
        content = decode_image(file, info.value_range)
        yield Frame(index / info.rate, match_channels(content.image, info.channels), content.gain)


def write_frames_folder(
    folder: str | Path,
    frames: Iterable[Frame],
    overwrite: bool = False,
    metadata: Mapping[str, str] | None = None,
    bits: int = 8,
) -> int:
    """Write frames as 000000.png, 000001.png, ..., each file completely or not at all.

    Args:
        folder: The folder, created if it is missing.
        frames: The frames in order.
        overwrite: Accept a folder that is not empty. Numbered frames of lonepair's that a longer clip left there are
            deleted at the end.
        metadata: Texts for each file (`image.write_image`).
        bits: Bits per channel; more than 8 make 16.

    Returns:
        The number of frames.

    Raises:
        UserError: The folder is not empty and `overwrite` is off, or it cannot be written.
    """
    folder = Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error_reason(error)}); choose another folder") from error
    check_frames_folder(folder, overwrite)
    count = 0
    for frame in frames:
        write_image(folder / f"{count:06d}.png", frame.image, metadata, overwrite, bits)
        count += 1
    # Frames of an earlier, longer clip would be read as the end of this one.
    for file in folder.glob("*.png"):
        if re.fullmatch(r"[0-9]{6,}", file.stem) and int(file.stem) >= count:
            if _is_own(file):
                file.unlink()
            else:
                logger.warning("%s: is a later frame that lonepair did not write, and stays", file)
    return count


def _is_own(file: Path) -> bool:
    """Whether lonepair wrote the PNG `file`."""
    try:
        with open_image(file) as image:
            return "lonepair" in image.info
    except UserError:
        return False
