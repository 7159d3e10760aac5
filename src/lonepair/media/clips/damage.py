"""What is missing or damaged in a clip, from what a pass over its packets counts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer
from av.video.stream import VideoStream

from lonepair.media.clips.container import DEFAULT_RATE
from lonepair.media.clips.integrity import ends_early

_MAX_RATE = 1000
"""A larger average is an artifact of a coarse or short clip (DV states 60000)."""


_STATES_DURATION = {"matroska", "webm", "avi", "asf", "mxf", "nut", "yuv4mpegpipe"}
"""FFmpeg's names of formats whose header states how long the pictures last. MP4 has a list of all frames."""


@dataclass
class Report:
    """What a pass over the packets of a stream counts."""

    packets: int = 0
    """Packets of the stream that are read, those that an edit list hides included."""
    visible: int = 0
    """Packets whose frames are shown."""
    has_stopped: bool = False
    """Whether reading ended with an error before the end of the file."""
    skipped: int = 0
    """Packets that cannot be decoded."""
    corrupt: int = 0
    """Frames that are decoded in part."""
    end: Fraction = field(default_factory=Fraction)
    """When the last packet ends, in seconds of the file."""


def damage_text(path: Path, container: InputContainer, stream: VideoStream, report: Report, count: int) -> str:
    """Return in one line what of a clip with `count` decoded frames is missing or damaged; empty where nothing is."""
    # MP4 and MOV list all frames, those that an edit list hides included.
    is_mov = "mov" in container.format.name.split(",")
    listed = len(getattr(stream, "index_entries", ())) if is_mov else 0
    missing = max(0, listed - report.packets) + max(0, report.visible - count if is_mov else 0)
    expected = _stated_end(container, stream)
    is_short = expected is not None and expected - report.end > Fraction(3, 2) / average_rate(stream)
    if missing:
        text = f"only {count} of {count + missing} frames can be decoded, and these are used"
    elif report.has_stopped or is_short or ends_early(path, container.format.name):
        text = f"the file is cut short or damaged; the {count} frames that can be decoded are used"
    elif report.corrupt or report.skipped:
        text = f"the file is damaged; the {count} frames that can be decoded are used"
    else:
        return ""
    partly = f", {report.corrupt} of them in part" if report.corrupt else ""
    return f"{path}: {text}{partly}; give a complete copy to use all"


def _stated_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return when the pictures end, in seconds of the file, where its header states it; no estimate of FFmpeg's."""
    if not set(container.format.name.split(",")) & _STATES_DURATION:
        return None
    if stream.duration:
        return ((stream.start_time or 0) + stream.duration) * Fraction(stream.time_base or 0)
    # Matroska states it in a tag, as hours:minutes:seconds.
    tag = {key.upper(): text for key, text in stream.metadata.items()}.get("DURATION", "")
    if match := re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", tag.strip("\0 ")):
        return Fraction(int(match[1]) * 3600 + int(match[2]) * 60) + Fraction(match[3])
    return None


def average_rate(stream: VideoStream) -> Fraction:
    """Return the average frames per second, or the rate that FFmpeg guesses where the average is implausible."""
    rates = (stream.average_rate, stream.guessed_rate, stream.base_rate)
    return next((Fraction(rate) for rate in rates if rate and 0 < rate <= _MAX_RATE), DEFAULT_RATE)
