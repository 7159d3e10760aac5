"""`lonepair translate SOURCE TARGET --preview`: a first picture within seconds, without a training or a run."""

from __future__ import annotations

import contextlib
import logging
import shlex
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lonepair.methods as methods
from lonepair.apply.translate import Translate
from lonepair.commands.forms import PREFIX, parse_size
from lonepair.commands.outputs import input_name, output_path, write_result
from lonepair.commands.use import filled_use, use_fields
from lonepair.errors import UserError

MAX_SIDE = 220
"""Longest side of the picture, in pixels, if no size is asked for."""
FLAGS = {"--preview", "--out", "--overwrite", "--seed", "--device", "--dtype", "--threads"}
"""Flags that have an effect on a preview, beside those of the use `Translate`."""

logger = logging.getLogger("lonepair")


def check_preview_flags(arguments: list[str]) -> None:
    """Refuse flags that have no effect on a preview.

    Raises:
        UserError: names the first of them.
    """
    # The method has one stage, and a flag that the full method has, too, sets its training.
    of_use = {f"--{name.replace('_', '-')}" for name, _, _ in use_fields(Translate, frozenset({"start_stage"}))}
    for word in arguments:
        flag = word.partition("=")[0].replace("--no-", "--")
        is_known = flag in FLAGS | of_use or flag.startswith(f"--{PREFIX.replace('_', '-')}")
        if flag.startswith("--") and not is_known:
            raise UserError(
                f"{flag} has no effect on a preview, which trains nothing: leave it out, or leave out --preview"
            )


def run_preview(source_path: Path, target_path: Path, values: Any) -> int:
    """Write a picture of the source in the style of the target; of a clip, its first frame.

    Args:
        source_path: An image or a clip.
        target_path: An image.
        values: The filled form of `translate`.

    Raises:
        UserError: for inputs that cannot be read, and a file that cannot be written.
    """
    from lonepair.api.fit import fit_pair
    from lonepair.media.sizes import fit_inside
    from lonepair.media.source import open_source
    from lonepair.media.stills.image import WRITABLE

    # Inputs and output, before any work.
    start, options, reverse = time.monotonic(), values.options, values.translation.reverse
    paths = [source_path, target_path]
    sources = [open_source(path) for path in paths]
    translated = sources[1 if reverse else 0]
    text = values.translation.size
    size = parse_size(text, translated.display_size) if text else fit_inside(translated.display_size, MAX_SIDE)
    names = [input_name(path) for path in (reversed(paths) if reverse else paths)]
    out = output_path(values.output.out, f"{names[0]}-as-{names[1]}-preview.png", WRITABLE, values.output.overwrite)

    # The picture.
    frames = [next(source.frames()).image for source in sources]
    # One thread if the user names no number: at 55 pixels a second one saves little, and on a busy machine both wait
    # for each other at every operation.
    settings = {"seed": options.seed, "device": options.device, "dtype": options.dtype, "threads": options.threads or 1}
    with _only_warnings():
        model = fit_pair(*frames, method=methods.PREVIEW, preset="preview", **settings)
        changes: dict[str, Any] = {"source": frames[1 if reverse else 0], "size": size, "seed": options.seed}
        translation: Any = model.apply(filled_use(Translate, values.translation, size, **changes))
        written = write_result(out, values.output.overwrite, lambda path: translation.save(path))
    print(*written, sep="\n")

    # Say that the picture is a preview, and name the full command.
    of_clip = f" of the first frame of {translated.name}" if translated.is_clip else ""
    logger.info("wrote a preview%s in %.1f s: nothing was trained", of_clip, time.monotonic() - start)
    command = ["lonepair", "translate", str(source_path), str(target_path), *(["--reverse"] if reverse else [])]
    logger.info("the full translation, which trains for minutes: %s", shlex.join(command))
    return 0


@contextlib.contextmanager
def _only_warnings() -> Iterator[None]:
    """Within the block the package's messages about sizes and stages are not shown."""
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
