"""Where results go: names made from the names of the inputs, checks before the work, and free names at its end.

A name that is made is looked up only when the result is complete, in one atomic step, so that several commands that run
at the same time all keep their results.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tyro

from lonepair.commands.roles import PathRole
from lonepair.errors import UserError

logger = logging.getLogger("lonepair")

OutFile = Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FILE"), PathRole.FILE]
OutFolder = Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER"), PathRole.FOLDER]
OutFrames = Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER"), PathRole.FRAMES]
SavedFrames = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER"), PathRole.FRAMES]

LONGEST_NAME = 80
"""Characters of an input's name in the name of an output: file systems allow 255 bytes in all."""


# -- names ------------------------------------------------------------------------------------------------------------


def plain_name(text: str) -> str:
    """`text` as a part of a file's name: at most 80 letters, digits, dots, hyphens and underscores."""
    return re.sub(r"[^\w.-]+", "_", text).lstrip("-.")[:LONGEST_NAME] or "image"


def input_name(path: Path) -> str:
    """The name of an input in the names of outputs: without the folder, the suffix, and the number of a sequence."""
    from lonepair.media.clips.sequence import stem

    path = path.expanduser()
    return plain_name(path.resolve().name if path.is_dir() else stem(path))


def model_name(settings: Mapping[str, Any], path: Path, domain: str | None = None) -> str:
    """The name of a model's training image; if its settings lack it, the name of the run's folder or of the file.

    Args:
        settings: The model's settings.
        path: The model file, or the folder of the run.
        domain: "a" or "b"; None: all domains, as in "coins-to-galaxies".
    """
    from lonepair.media.clips.sequence import stem

    inputs = settings.get("inputs") or {}
    domains = [name for name in ("a", "b") if name in inputs] if domain is None else [domain]
    names = [plain_name(stem(Path(str(inputs[name]["name"])))) for name in domains if name in inputs]
    if names:
        return "-to-".join(names)
    path = path.expanduser().resolve()
    return plain_name(path.name if path.is_dir() else path.stem if path.stem != "model" else path.parent.name)


# -- parts of forms ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class EncodingFlags:
    """How a clip is encoded."""

    title: ClassVar[str] = "Output"

    codec: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Codec of a video file: h264 (.mp4 .mov .mkv), prores-4444 or prores-422 (.mov), vp9 (.webm), ffv1 (.mkv). If
    omitted, h264 in .mp4 and .mov, vp9 in .webm, ffv1 in .mkv."""
    crf: int | None = None
    """Quality of h264 (0 to 51, default 16) and vp9 (0 to 63, default 20). Smaller is better and makes larger files."""
    bits: int | None = None
    """Bits per channel: 8 or 16 of .png, .tif and ffv1, 8 or 10 of h264. If omitted, those of the source where the
    format has them; h264 has 8, which plays everywhere."""
    start_number: int | None = None
    """Number of the first file of a sequence such as out.%04d.exr. If omitted, that of the source, else 0."""

    def encoding(self) -> Any:
        """The same as a `lonepair.media.clips.codecs.Encoding`."""
        from lonepair.media.clips.codecs import Encoding

        return Encoding(self.codec, self.crf, self.bits, self.start_number)


@dataclass(frozen=True)
class WorkerFlags:
    """How a clip is rendered in parts."""

    title: ClassVar[str] = "Output"

    workers: int = 1
    """Number of processes that render the scenes of a clip side by side. Each needs the memory of one render, and gets
    an equal share of the CPU threads."""
    segment_frames: int = 0
    """Also split scenes into segments of this many frames, for a clip with few cuts. The texture changes from each
    segment to the next one within `run_in` frames. 0 does not split, so that frames are those of one process."""
    run_in: int = 12
    """Number of frames that a segment is rendered before its own first one, and blended with the segment before."""

    def chosen(self) -> Any:
        """The same as a `lonepair.render.parts.Workers`.

        Raises:
            UserError: A number is out of its range or has no effect.
        """
        from lonepair.render.parts import Workers

        if self.run_in != WorkerFlags.run_in and not self.segment_frames:
            raise UserError(f"run_in is {self.run_in}, and only segments have a run-in: give segment_frames, too")
        return Workers(self.workers, self.segment_frames, self.run_in)


@dataclass(frozen=True)
class ImageOutput:
    """The file of an image."""

    title: ClassVar[str] = "Output"

    out: OutFile = None
    """File to write (.png .jpg .webp .tif .exr), or an existing folder. If omitted, NAME-COMMAND.png, named for the
    input image or the model's, in the current folder. If the name is taken, the next number is added."""
    overwrite: bool = False
    """Replace an existing file."""

    def check(self) -> None:
        """Check that the file can be written, before anything is computed."""
        from lonepair.media.stills.image import WRITABLE

        output_path(self.out, "x.png", WRITABLE, self.overwrite)

    def path(self, name: str) -> Path:
        """The file; `name` is that of the result if the user gave none."""
        from lonepair.media.stills.image import WRITABLE

        return output_path(self.out, f"{name}.png", WRITABLE, self.overwrite)


@dataclass(frozen=True)
class ClipOutput:
    """The file of a clip."""

    title: ClassVar[str] = "Output"

    out: OutFile = None
    """File to write (.mp4 .mov .mkv .webm .gif .webp .png), a sequence such as out.%04d.png, or an existing folder. If
    omitted, NAME-COMMAND.mp4, named for the model's image, in the current folder. If the name is taken, the next number
    is added."""
    overwrite: bool = False
    """Replace existing files."""
    encoded: EncodingFlags = field(default_factory=EncodingFlags)

    def check(self) -> None:
        """Check that the file can be written and encoded, before anything is computed."""
        check_clip(self.path("x"), self.encoded, self.overwrite or self.out is None)

    def path(self, name: str) -> Path:
        """The file; `name` is that of the result if the user gave none."""
        return clip_path(self.out, f"{name}.mp4", self.overwrite)


@dataclass(frozen=True)
class FolderOutput:
    """The folder of samples."""

    title: ClassVar[str] = "Output"

    out: OutFrames = None
    """Folder for NUMBER.png and sheet.png. If omitted, NAME-samples, named for the model's image, in the current
    folder. If the name is taken, the next number is added."""
    overwrite: bool = False
    """Replace existing files."""

    def check(self) -> None:
        """Check that the folder can be written, before anything is computed."""
        check_folder(self.out, self.overwrite)

    def folder(self, name: str) -> Path:
        """The folder, which exists then; `name` is its name if the user gave none."""
        return new_folder(self.out, name, self.overwrite)


# -- checks -----------------------------------------------------------------------------------------------------------


def output_path(out: Path | None, default: str, suffixes: Sequence[str], overwrite: bool) -> Path:
    """The file to write, after a check that it can be written.

    Args:
        out: What the user gave: a file, an existing folder, or None for the current folder.
        default: Name of the file in a folder.
        suffixes: Supported suffixes.
        overwrite: Accept a file that exists.

    Raises:
        UserError: It cannot be written, or the user's file exists and `overwrite` is off.
    """
    from lonepair.storage.files import check_output, check_writable

    if out is not None:
        out = out.expanduser()
    if out is not None and not (out.is_dir() and out.suffix.lower() not in suffixes):
        check_output(out, suffixes, overwrite)
        path = out
    else:
        path = (out or Path()) / default
    check_writable(path.parent)
    return path


def clip_path(out: Path | None, default: str, overwrite: bool) -> Path:
    """The clip to write, a file or the pattern of a sequence, after a check that it can be written.

    Args:
        out: As of `output_path`.
        default: Name of the file in a folder.
        overwrite: Accept files that exist.

    Raises:
        UserError: It cannot be written, or exists and `overwrite` is off.
    """
    from lonepair.media.clips.sequence import check_sequence_output, parse_pattern
    from lonepair.media.clips.write import WRITABLE
    from lonepair.storage.files import check_writable

    pattern = None if out is None else parse_pattern(out.expanduser())
    if pattern is None:
        return output_path(out, default, WRITABLE, overwrite)
    check_sequence_output(pattern, overwrite or continues(pattern.text))
    check_writable(pattern.folder)
    return pattern.text


def check_clip(path: Path, flags: EncodingFlags, overwrite: bool) -> None:
    """Check that the clip `path` can be encoded as `flags` say; fails also where an encoder is missing.

    Raises:
        UserError: A flag does not go with the file, or the encoder is missing.
    """
    from fractions import Fraction

    from lonepair.media.clips.write import ClipWriter

    ClipWriter(path, (64, 64), Fraction(25), overwrite=overwrite, encoding=flags.encoding())


def check_folder(out: Path | None, overwrite: bool) -> None:
    """Check the folder that the user gave, or that a new one can be created in the current folder.

    Raises:
        UserError: It cannot be written, or holds files and `overwrite` is off.
    """
    from lonepair.storage.files import check_frames_folder, check_writable

    if out is None:
        check_writable(Path())
        return
    check_frames_folder(out, overwrite)
    check_writable(out if out.is_dir() else out.parent)


def new_folder(out: Path | None, name: str, overwrite: bool) -> Path:
    """Create the folder `out`; if that is None, the folder `name`, or name-2, name-3, ... where that exists.

    Raises:
        UserError: It cannot be created.
    """
    from lonepair.storage.files import create_numbered_folder, error_reason

    folder = Path(name) if out is None else out.expanduser()
    try:
        if out is None and not overwrite:
            return create_numbered_folder(folder)
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be created ({error_reason(error)}); choose another folder") from error
    return folder


# -- writing ----------------------------------------------------------------------------------------------------------


def write_translation(
    translation: Any,
    path: Path,
    output: Any,
    write_sheet: Callable[[Path], object] | None = None,
    name: str = "translating",
) -> list[Path]:
    """Write a translation, with a progress bar for a clip. If that stops, the same command continues it.

    Args:
        translation: The translation.
        path: As of `write_result`.
        output: The part of the form with the output.
        write_sheet: Writes the contact sheet of the file that it gets; None: no sheet.
        name: What the progress bar says.

    Returns:
        As `write_result`.
    """
    from tqdm.auto import tqdm

    from lonepair.api.stop import stop_on_signal
    from lonepair.compute.memory import explain_memory
    from lonepair.render.folder import RenderFolder

    bar = {"desc": name, "total": translation.source.frame_count, "file": sys.stderr}
    overwrite, encoding, workers = output.overwrite, output.encoded.encoding(), output.parts.chosen()

    def write(file: Path, **render: Any) -> None:
        translation.save(
            file,
            overwrite,
            output.save_frames,
            lambda frames: iter(tqdm(frames, **bar)),
            encoding,
            workers=workers,
            **render,
        )
        if write_sheet is not None:
            write_sheet(file)

    if not translation.source.is_clip:
        return write_result(path, overwrite, write)
    stop = threading.Event()
    remedy = "lower `size`; the same command continues after the frames that are kept"
    with stop_on_signal(stop, "frame"), explain_memory(name, remedy), RenderFolder.beside(path) as folder:
        return write_result(path, overwrite, partial(write, folder=folder, stop=stop), folder.path)


def continues(path: Path) -> bool:
    """Whether an unfinished render of the clip `path` has left its frames."""
    from lonepair.render.folder import RenderFolder

    return RenderFolder.beside(path).has_state


def write_result(path: Path, overwrite: bool, write: Callable[[Path], object], work: Path | None = None) -> list[Path]:
    """Write the files of one result, all of them or none; a file that exists is not replaced without `overwrite`.

    Args:
        path: The result's first file. Where it is taken, all files get the next number.
        overwrite: Replace existing files.
        write: Writes the file of the path that it gets, and perhaps others beside it whose names start with its stem.
        work: A folder in that of `path` for the files that are not complete; None: the folder of `path`.

    Returns:
        The paths of the files, that of the first one first. A sequence is written in place, since each of its files is
        complete or absent, and returned as its pattern.
    """
    from lonepair.media.clips.sequence import parse_pattern
    from lonepair.storage.publish import publish, staging_folder

    if parse_pattern(path) is not None:
        write(path)
        return [path]
    with staging_folder(work or path.parent, path.parent) as staging:
        write(staging / path.name)
        paths = publish(staging, path.parent, path.stem, overwrite)
    return sorted(paths, key=lambda file: (file.suffix != path.suffix, len(file.name)))
