"""`translate` of several sources with one model: a file for each, named for its source; a bad file stops no other."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lonepair.apply.translate import Translate
from lonepair.commands.forms import Compute, model_file, parse_size
from lonepair.commands.outputs import input_name, model_name, new_folder, plain_name, write_result, write_translation
from lonepair.commands.use import filled_use
from lonepair.errors import UserError
from lonepair.storage.files import check_writable, distinct_names, next_free

if TYPE_CHECKING:
    from torch import Tensor

    from lonepair.api.model import Model

logger = logging.getLogger("lonepair")

SHEET_ROWS = 12
"""Largest number of sources on the sheet of a batch."""
CELL = 192
"""Side in pixels of the sheet's cells."""


def batch_files(sources: Sequence[Path], is_batch: bool) -> list[Path] | None:
    """The files to translate one by one; None where there is one source: an image or a clip.

    Says what a folder is read as, and why.

    Args:
        sources: The sources that the user gave.
        is_batch: Whether every folder is a batch.

    Raises:
        UserError: A folder holds no image.
    """
    from lonepair.media.clips.folder import folder_kind

    if len(sources) > 1:
        return list(sources)
    folder = sources[0]
    if not folder.is_dir():
        return None
    kind = folder_kind(folder)
    count = len(kind.files)
    if is_batch or not kind.is_clip:
        reason = "--batch" if is_batch else kind.reason
        logger.info("%s: is read as a batch of %d images, each translated by itself (%s)", folder, count, reason)
        return kind.files
    logger.info(
        "%s: is read as a clip of %d frames (%s; --batch translates each by itself)", folder, count, kind.reason
    )
    return None


def run_several(files: Sequence[Path], sources: Sequence[Path], model_path: Path, values: Any) -> int:
    """Translate each of `files` into a folder, with a contact sheet of the first images.

    Args:
        files: Images and clips.
        sources: The inputs that name them: the files, or one folder.
        model_path: The model file, or the folder of a run.
        values: The filled form of `translate`.

    Returns:
        0, or 2 where a file could not be translated. All others are written.
    """
    from tqdm.auto import tqdm

    from lonepair.train.checkpoint import read_header
    from lonepair.train.watchers import format_seconds

    options, output, start = values.options, values.output, time.monotonic()
    _check(values, files[0])
    settings = read_header(model_file(model_path)).get("settings") or {}
    target = model_name(settings, model_path, "a" if values.translation.reverse else "b")
    name = f"{_common_name(sources)}-as-{target}"
    if values.training.dry_run:
        print(*(f"reads   {file}" for file in files), sep="\n")
        print(f"uses    {model_path}\nwrites  {output.out or next_free(Path(name))}/NAME-as-{target}.png")
        return 0
    model = Compute(options.device, options.dtype, options.threads).load(model_path)
    folder = new_folder(output.out, name, overwrite=output.out is not None)

    # Translate one after another. What is wrong with a file is said at the end.
    rows: list[list[tuple[str, Tensor]]] = []
    problems: dict[Path, str] = {}
    # Without --overwrite the writer gives the next free number.
    names = [f"{input_name(file)}-as-{target}" for file in files]
    names = distinct_names(names) if output.overwrite else names
    for file, stem in zip(tqdm(files, desc="translating", unit="source", file=sys.stderr), names, strict=True):
        try:
            images = _translate_file(model, file, folder / stem, values)
        except UserError as error:
            problems[file] = str(error)
            continue
        if images and len(rows) < SHEET_ROWS:
            rows.append([(file.name, images[0]), ("translation", images[1])])
    if rows:
        _write_sheet(folder / "sheet.png", rows, output.overwrite)

    # Report.
    count, seconds = len(files) - len(problems), format_seconds(time.monotonic() - start)
    logger.info("wrote %d of %d translations into %s (%s)", count, len(files), folder, seconds)
    for problem in dict.fromkeys(problems.values()):
        logger.error("lonepair: %s", problem)
    return 2 if problems else 0


def _check(values: Any, first: Path) -> None:
    """Check what depends on the flags alone.

    Raises:
        UserError: for the first problem.
    """
    output = values.output
    for flag, value in (
        ("--save-frames", output.save_frames),
        ("--stage-sheet", output.stage_sheet),
        ("--dial-sheet", output.dial_sheet),
        ("--codec", output.encoded.codec),
        ("--crf", output.encoded.crf is not None),
        ("--start-number", output.encoded.start_number is not None),
    ):
        if value:
            raise UserError(f"{flag} is for one source: leave it out, or translate one of them")
    parse_size(values.translation.size, (1, 1))
    filled_use(Translate, values.translation, (1, 1), source=first, seed=values.options.seed)
    out = output.out or Path()
    if (out.exists() and not out.is_dir()) or (not out.exists() and out.suffix):
        raise UserError(f"{out}: is the name of a file; several sources need a folder")
    check_writable(out if out.is_dir() else out.parent)


def _common_name(sources: Sequence[Path]) -> str:
    """The name of the sources' folder; "batch" where they lie in several folders, or in the current one."""
    folders = {source.resolve() if source.is_dir() else source.resolve().parent for source in sources}
    folder = folders.pop()
    return plain_name(folder.name) if not folders and folder != Path.cwd() else "batch"


def _translate_file(model: Model, file: Path, stem: Path, values: Any) -> tuple[Tensor, Tensor] | None:
    """Translate one source.

    Args:
        model: The model.
        file: The source.
        stem: Path of the output without suffix.
        values: The filled form of `translate`.

    Returns:
        The source and its translation as small images; None for a clip.

    Raises:
        UserError: The source cannot be read or translated, or the output not written.
    """
    from tqdm.auto import tqdm

    from lonepair.media.sizes import fit_inside
    from lonepair.media.source import open_source
    from lonepair.ops.resize import resize_image

    source = open_source(file)
    use = filled_use(Translate, values.translation, source.display_size, source=source, seed=values.options.seed)
    translation: Any = model.apply(use)
    path = stem.with_name(stem.name + (".mp4" if source.is_clip else ".png"))
    paths = write_translation(translation, path, values.output)
    tqdm.write(str(paths[0]), file=sys.stdout)
    if source.is_clip:
        return None
    images = (next(source.frames()).image, translation.image)
    first, second = (resize_image(image, fit_inside((image.shape[-2], image.shape[-1]), CELL)) for image in images)
    return first, second


def _write_sheet(path: Path, rows: list[list[tuple[str, Tensor]]], overwrite: bool) -> None:
    """Write a contact sheet with two sources and their translations in a row."""
    from lonepair.media.sheet import contact_sheet
    from lonepair.media.stills.image import write_image

    pairs = [sum(rows[i : i + 2], []) for i in range(0, len(rows), 2)]  # noqa: RUF017 - two short lists
    sheet = contact_sheet(pairs, cell=CELL)
    print(*write_result(path, overwrite, lambda file: write_image(file, sheet)), sep="\n")
