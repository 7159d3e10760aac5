"""The command `stabilize`: take the flicker out of a stylized clip, without a model."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import tyro

from lonepair.commands.outputs import (
    EncodingFlags,
    OutFile,
    SavedFrames,
    WorkerFlags,
    clip_path,
    continues,
    input_name,
    write_translation,
)
from lonepair.commands.roles import PathRole


@dataclass(frozen=True)
class StabilizeOutput:
    """The files of a stabilized clip."""

    title: ClassVar[str] = "Output"

    out: OutFile = None
    """File to write (.mp4 .mov .mkv .webm .gif .webp .png, or a sequence such as out.%04d.exr), or an existing folder.
    If omitted, STYLED-stable.mp4 in the current folder. If the name is taken, the next number is added."""
    save_frames: SavedFrames = None
    """Also write every frame as a numbered PNG into this folder."""
    overwrite: bool = False
    """Replace existing files."""
    encoded: EncodingFlags = field(default_factory=EncodingFlags)
    parts: WorkerFlags = field(default_factory=WorkerFlags)


@dataclass(frozen=True)
class Stabilize:
    """Take the flicker out of the clip STYLED, whoever made it, along the motion of SOURCE, from which it was made.

    Its pixels are carried from frame to frame. Where the motion explains nothing, its own frame shows."""

    examples: ClassVar[tuple[tuple[str, str], ...]] = (
        ("lonepair stabilize clip.mp4 styled.mp4 -o steady.mp4", "write the clip without its flicker"),
        ("lonepair stabilize clip.mp4 frames/ --strength 0.8", "a folder of frames; keep carried pixels longer"),
    )

    source: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SOURCE"), PathRole.INPUT]
    """The clip that was stylized: a video or a folder of numbered frames."""
    styled: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="STYLED"), PathRole.INPUT]
    """The stylized clip, with as many frames, of any size."""
    strength: float = 0.5
    """How long carried pixels are kept, 0 to 1. 0: not at all, STYLED itself. A larger value flickers less, and leaves
    ghosts where STYLED changes and SOURCE does not."""
    output: StabilizeOutput = field(default_factory=StabilizeOutput)
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device to compute on; auto uses a GPU where one is available."""
    threads: int = 0
    """Number of CPU threads; 0 uses torch's default, one for each core."""


def run_stabilize(values: Stabilize) -> int:
    """Write the clip without its flicker, and print the file's name."""
    from lonepair.api.stabilize import check_strength, stabilize
    from lonepair.media.clips.write import ClipWriter
    from lonepair.storage.files import check_frames_folder

    # Flags and files, before the clips are opened.
    output = values.output
    check_strength(values.strength)
    output.parts.chosen()
    out = clip_path(output.out, f"{input_name(values.styled)}-stable.mp4", output.overwrite)
    if output.save_frames is not None:
        check_frames_folder(output.save_frames, output.overwrite or continues(out))
    # The clip.
    clip = stabilize(
        values.source, values.styled, strength=values.strength, device=values.device, threads=values.threads
    )
    # Fails where a flag does not go with the file. A name that is made gets its number later.
    encoding, overwrite = output.encoded.encoding(), output.overwrite or out != output.out or continues(out)
    ClipWriter.for_source(clip.source, out, clip.size, None, overwrite, encoding)
    print(*write_translation(clip, out, output, name="stabilizing"), sep="\n")
    return 0
