"""Take the flicker out of a stylized clip, whoever made it. No model is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from lonepair.compute.engine import choose_engine
from lonepair.errors import UserError
from lonepair.media.clips.container import ClipInfo, Frame
from lonepair.media.source import Clip, Source, open_source
from lonepair.patches.config import SynthesisConfig
from lonepair.render.styled import StyledFrames, StyledPipeline
from lonepair.render.translation import Translation

DEFAULT_STRENGTH = 0.5


def stabilize(
    source: object, styled: object, *, strength: float = DEFAULT_STRENGTH, device: str = "auto", threads: int = 0
) -> Translation:
    """Take the flicker out of a stylized clip: its pixels are carried along the motion of the clip it was made from.

    Where the motion explains nothing, and where the coarse picture of the stylized clip has changed, its own frame
    shows. The result has its size, and the times of the source.

    Args:
        source: The clip that was stylized: video, folder of frames, array or tensor (n, c, h, w) in [-1, 1].
        styled: The stylized clip, with as many frames, of any size.
        strength: How long carried pixels are kept, 0 to 1. 0: not at all, the stylized clip itself. A larger
            value flickers less, and leaves ghosts where the stylized clip changes and its source does not.
        device: "cpu", "cuda" or "mps"; "auto" takes a GPU if there is one.
        threads: CPU threads; 0 leaves the number to torch.

    Returns:
        The steady clip: `frames()` computes its frames one by one, `save(path)` writes it.

    Raises:
        UserError: for inputs that cannot be read, are images, or have different numbers of frames, and for a strength
            outside 0 to 1.
    """
    check_strength(strength)
    motion, clip = open_source(source), open_source(styled)
    frames = StyledFrames.of(clip, motion)
    # Between STYLED itself and ghosts; at 1/2 the threshold is that of a translation.
    change = max(2 * SynthesisConfig().renewal_change * strength, 1e-6)
    # A frame of STYLED fits together, however narrow a strip of it shows.
    config = SynthesisConfig(renewal_change=change, settle_width=0, fade_frames=1)
    pipeline = StyledPipeline(
        choose_engine(device, "float32", threads), clip.size, strength > 0, config, has_gain=frames.has_gain
    )
    settings = {"use": {"name": "stabilize", "strength": strength}}
    return Translation(pipeline, _timed(motion, clip), frames, settings)


def check_strength(strength: float) -> None:
    """Check the range of `strength`.

    Raises:
        UserError: It is no number from 0 to 1.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1:
        raise UserError(f"strength is {strength}: choose 0 to 1")


def _timed(source: Source, styled: Source) -> Clip:
    """`source` as it gives motion and times, with the properties of the result."""
    sound = styled if styled.audio_path is not None else source
    # A stylized clip of the same size has the same pixels, even if its file does not state their aspect.
    pixel_aspect = source.pixel_aspect if styled.size == source.size else styled.pixel_aspect
    assert source.rate is not None
    info = ClipInfo(
        source.size,
        source.rate,
        source.frame_count,
        False,
        source.channels,
        pixel_aspect,
        bits=styled.bits,
        first_number=styled.first_number,
    )
    clip = Clip(info, partial(_without_gain, source), source.name, end=source.end)
    clip.audio_path, clip.audio_start, clip.audio_end = sound.audio_path, sound.audio_start, sound.audio_end
    return clip


def _without_gain(source: Source, first: int) -> Iterator[Frame]:
    """The frames of `source` from index `first` on; its values above 1 are not the result's."""
    return (replace(frame, gain=None) for frame in source.frames(first))
