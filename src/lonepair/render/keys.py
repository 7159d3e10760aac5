"""Keyframes: output frames that an artist painted or corrected, by the number of the frame."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.clips.excerpt import Excerpt
from lonepair.media.source import Source, open_source
from lonepair.ops.resize import resize_image


@dataclass(frozen=True)
class Keys:
    """The keyframes of a clip."""

    values: Mapping[int, object]
    """Number of a frame, from 0, -> what `open_source` opens: a path is read again when the frame is needed."""

    @staticmethod
    def of(values: object, source: Source) -> Keys:
        """Open and check the keyframes of `source`.

        Args:
            values: Files whose names end in the number of their frame, or a mapping of numbers to files, PIL images,
                arrays or tensors.
            source: What is translated. Of a part of a clip, the numbers are those of the whole clip.

        Raises:
            UserError: A key cannot be read, has no number, or the source has no such frame; two keys have one number;
                the source is an image.
        """
        if not source.is_clip:
            raise UserError(f"{source.name}: is an image and takes no keyframes; give a clip, or leave out `keys`")
        numbered = dict(values) if isinstance(values, Mapping) else _by_number(values)
        whole, part = (source.clip, source) if isinstance(source, Excerpt) else (source, None)
        count = whole.frame_count or sum(1 for _ in whole.frames())
        for number, value in numbered.items():
            if isinstance(number, bool) or not isinstance(number, int):
                raise UserError(f"key {number!r}: give the number of a frame, from 0")
            name = f"key {value}" if isinstance(value, str | Path) else "the key"
            if not 0 <= number < count:
                raise UserError(
                    f"{name} is for frame {number}, {whole.name} has {count} frames: choose 0 to {count - 1}, counted "
                    "from 0"
                )
            if part is not None and not part.first <= number < part.first + part.count:
                raise UserError(
                    f"{name} is for frame {number}, and `frames` are {part.first} to {part.first + part.count - 1} of "
                    f"{whole.name}, counted from 0: leave the key out, or choose more frames"
                )
            opened = open_source(value)
            if opened.is_clip:
                raise UserError(f"{opened.name}: is a clip; give an image for frame {number}")
        return Keys(numbered)

    def image(self, number: int, size: tuple[int, int]) -> Float[Tensor, "1 c h w"]:
        """The key of frame `number` at (h, w) `size`, in [-1, 1] on the CPU."""
        return resize_image(next(open_source(self.values[number]).frames()).image, size)


def key_number(path: str | Path) -> int:
    """The number of the frame that a file is for: the last number in its name, as in 000012.png or key-0012.png.

    Raises:
        UserError: The name has no number.
    """
    numbers = re.findall(r"\d+", Path(path).stem)
    if not numbers:
        raise UserError(f"{path}: the name of a keyframe has the number of its frame, such as 000012.png; rename it")
    return int(numbers[-1])


def _by_number(values: object) -> dict[int, object]:
    """Number -> path of each key.

    Raises:
        UserError: A name has no number, or two have the same; an image without a number.
    """
    if isinstance(values, str | Path):
        values = [values]
    numbered: dict[int, object] = {}
    if not isinstance(values, Sequence) or not all(isinstance(value, str | Path) for value in values):
        raise UserError("keys: give files whose names end in the frame's number, or a mapping of numbers to images")
    for value in values:
        number = key_number(value)
        if number in numbered:
            raise UserError(f"keys {numbered[number]} and {value} are both for frame {number}: give one of them")
        numbered[number] = value
    return numbered
