"""A quotient that a clip gives frame by frame: its value over the whole clip, and its curve over time."""

from __future__ import annotations

from dataclasses import dataclass, field

Curve = list[tuple[int, float]]
"""(number of the frame, value), in the order of frames."""


@dataclass
class Series:
    """Numerators and denominators, one of each for a frame."""

    frames: list[int] = field(default_factory=list)
    numerators: list[float] = field(default_factory=list)
    denominators: list[float] = field(default_factory=list)

    def add(self, frame: int, numerator: float, denominator: float = 1.0) -> None:
        """Add the sums of one frame. A frame without pixels to measure, whose denominator is 0, does not count."""
        if denominator > 0:
            self.frames.append(frame)
            self.numerators.append(numerator)
            self.denominators.append(denominator)

    @property
    def value(self) -> float | None:
        """The sum of the numerators over that of the denominators, so that each pixel counts alike; None if empty."""
        return sum(self.numerators) / sum(self.denominators) if self.frames else None

    @property
    def curve(self) -> Curve:
        """The quotient of each frame."""
        quotients = [n / d for n, d in zip(self.numerators, self.denominators, strict=True)]
        return list(zip(self.frames, quotients, strict=True))
