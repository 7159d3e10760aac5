"""A part of a clip: the frames between an in point and an out point, by number or by time."""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import final

from lonepair.errors import UserError
from lonepair.media.clips.container import Frame
from lonepair.media.source import Source

_POINT = r"(\d+(?:\.\d+)?s|\d+|)"
_RANGE = re.compile(f"{_POINT}:{_POINT}")
_SINGLE = re.compile(r"\d+")

_EXPECTED = (
    "give FIRST:LAST such as 120:240 (frame numbers, both included) or 1.5s:4s (seconds); either may be left out, and "
    "one number is one frame"
)


@dataclass(frozen=True)
class FrameRange:
    """In and out point of a clip, each as a frame's number, in seconds, or open."""

    first: int | Fraction | None = None
    """Number of the first frame, or the time of the first one in seconds (Fraction); None: the clip's first."""
    last: int | Fraction | None = None
    """Number of the last frame, or the time before which the last one begins (Fraction); None: the clip's last."""

    def __str__(self) -> str:
        ends = (
            "" if end is None else f"{float(end):g}s" if isinstance(end, Fraction) else str(end) for end in self.ends
        )
        return ":".join(ends)

    @property
    def ends(self) -> tuple[int | Fraction | None, int | Fraction | None]:
        """(first, last)."""
        return self.first, self.last


def parse_range(text: str) -> FrameRange:
    """Return the range that `text` is, such as "120:240", "120:", "120", "1.5s:4s".

    Raises:
        UserError: `text` is no range.
    """
    text = text.replace(" ", "")
    if _SINGLE.fullmatch(text):
        return FrameRange(int(text), int(text))
    match = _RANGE.fullmatch(text)
    if match is None or not any(match.groups()):
        raise UserError(f"`frames` is {text!r}: {_EXPECTED}")
    first, last = (
        Fraction(part[:-1]) if part.endswith("s") else int(part) if part else None for part in match.groups()
    )
    return FrameRange(first, last)


def select_range(source: Source, frames: FrameRange) -> Source:
    """Return the part of a clip that `frames` names; the clip itself if that is all of it.

    A frame's number counts from `Source.first_number`: the numbers of a sequence are those of its files. A time in
    seconds names, as in point, the frame that is shown then, and as out point the end of the last frame.

    Args:
        source: The clip. Its frames are not decoded.
        frames: The in and the out point.

    Raises:
        UserError: `source` is an image, the range is empty, or it reaches beyond the clip.
    """
    if not source.is_clip:
        raise UserError(f"{source.name}: is an image and has no frames to choose; leave out `frames`")
    times = source.times()
    lowest, highest = source.first_number, source.first_number + len(times) - 1
    first, last = frames.ends
    # Times become numbers.
    if isinstance(first, Fraction):
        first = (
            lowest + max(0, bisect_right(times, first) - 1) if first <= times[-1] + _duration(source) else highest + 1
        )
    if isinstance(last, Fraction):
        last = lowest + bisect_left(times, last) - 1
    first, last = lowest if first is None else first, highest if last is None else last
    if not lowest <= first <= last <= highest:
        seconds = float(times[-1] + _duration(source))
        raise UserError(
            f"`frames` is {frames}, {source.name} has the frames {lowest} to {highest} ({seconds:.2f} s): choose the "
            "first and the last frame among these"
        )
    if (first, last) == (lowest, highest):
        return source
    start = times[first - lowest]
    # The last frame lasts until the next one, the clip's last one as long as in the clip. Without an out point the
    # sound goes on to its own end.
    end = None
    if last < highest:
        end = times[last - lowest + 1] - start
    elif frames.last is not None:
        end = (source.end() or times[-1] + _duration(source)) - start
    return Excerpt(source, first - lowest, last - lowest, start, end)


def _duration(source: Source) -> Fraction:
    """Return how long a frame lasts on average, in seconds."""
    return 1 / (source.rate or Fraction(1))


@final
class Excerpt(Source):
    """Consecutive frames of a clip, as a clip of its own whose first frame is at time 0."""

    is_clip = True

    def __init__(self, clip: Source, first: int, last: int, start: Fraction, end: Fraction | None) -> None:
        """Wrap a part of `clip`.

        Args:
            clip: The clip; at least `last` + 1 frames long.
            first: Index of the first frame.
            last: Index of the last frame.
            start: Time of frame `first` in the clip, in seconds.
            end: When frame `last` disappears, in seconds after `start`; None: at the end of the clip.
        """
        assert 0 <= first <= last, (first, last)
        self.first_number = clip.first_number + first
        self.name = f"{clip.name} [{self.first_number}:{clip.first_number + last}]"
        self.path = clip.path
        self.size = clip.size
        self.channels = clip.channels
        self.rate = clip.rate
        self.frame_count = last - first + 1
        self.pixel_aspect = clip.pixel_aspect
        self.bits = clip.bits
        self.audio_path = clip.audio_path
        self.audio_start = clip.audio_start + start
        self.audio_end = clip.audio_end if end is None else end
        if end is None and self.audio_end is not None:
            self.audio_end -= start
        self._end = end
        self.clip, self.first, self.count, self.start = clip, first, last - first + 1, start

    def frames(self, first: int = 0) -> Iterator[Frame]:
        """Yield the frames from index `first` on; those of the clip before them cost less (`frames.decode`)."""
        for frame in islice(self.clip.frames(self.first + first), max(0, self.count - first)):
            yield Frame(frame.time - self.start, frame.image, frame.gain)

    def times(self) -> list[Fraction]:
        """Return the time of every frame in seconds."""
        return [time - self.start for time in self.clip.times()[self.first : self.first + self.count]]

    def end(self) -> Fraction | None:
        """Return when the last frame disappears, in seconds; None where the clip does not state it."""
        if self._end is not None:
            return self._end
        end = self.clip.end()
        return None if end is None else end - self.start

    def fingerprint(self) -> str:
        """Return the SHA-256 of the clip's fingerprint and the indices of the first and the last frame."""
        text = f"{self.clip.fingerprint()} {self.first} {self.count}"
        return hashlib.sha256(text.encode()).hexdigest()
