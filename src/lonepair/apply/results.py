"""What the applications give back: one image, or many, with how they were made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.media.files import check_output, check_writable
from lonepair.media.image import WRITABLE, write_image
from lonepair.media.sheet import contact_sheet
from lonepair.ops.arrays import to_pil


def metadata_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """How a picture was made, as written into its file: {"lonepair": JSON}."""
    return {"lonepair": json.dumps({"version": version("lonepair"), **settings}, sort_keys=True)}


@dataclass(frozen=True)
class Picture:
    """One image."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1], on the CPU."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Written into the metadata of what is saved."""

    def pil(self) -> Any:
        """`image` as a PIL image."""
        return to_pil(self.image)

    def save(self, path: str | Path, overwrite: bool = False) -> Path:
        """Write PNG, JPEG, WebP or TIFF.

        Raises:
            UserError: where it cannot be written, or something is there and `overwrite` is off.
        """
        path = Path(path).expanduser()
        check_output(path, WRITABLE, overwrite)
        write_image(path, self.image, metadata_of(self.settings), overwrite)
        return path


@dataclass(frozen=True)
class Samples(Sequence[dict[str, Tensor]]):
    """Random images: an item is domain -> (1, c, h, w) in [-1, 1], on the CPU; those of a pair are aligned."""

    images: dict[str, Float[Tensor, "n c h w"]]
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Written into the metadata of what is saved."""

    def __len__(self) -> int:
        return len(next(iter(self.images.values())))

    @overload
    def __getitem__(self, index: int) -> dict[str, Tensor]: ...
    @overload
    def __getitem__(self, index: slice) -> Samples: ...
    def __getitem__(self, index: int | slice) -> dict[str, Tensor] | Samples:
        if isinstance(index, slice):
            return Samples({domain: images[index] for domain, images in self.images.items()}, self.settings)
        index = range(len(self))[index]
        return {domain: images[index : index + 1] for domain, images in self.images.items()}

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[index] for index in range(len(self)))

    def pil(self) -> list[Any]:
        """The first domain's images as PIL images."""
        return [to_pil(images[next(iter(images))]) for images in self]

    def picture(self, index: int = 0) -> Picture:
        """The first domain's image number `index`."""
        return Picture(next(iter(self[index].values())), {**self.settings, "index": index})

    def sheet(self, columns: int = 4) -> Float[Tensor, "1 3 h w"]:
        """Contact sheet of all, `columns` in a row."""
        many = len(self.images) > 1
        labelled = [
            (f"{index} {domain}" if many else str(index), image)
            for index, images in enumerate(self)
            for domain, image in images.items()
        ]
        return contact_sheet([labelled[i : i + columns] for i in range(0, len(labelled), columns)])

    def save(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write each as folder/NUMBER.png (of a pair, NUMBER-a.png and NUMBER-b.png).

        Raises:
            UserError: where one of them is there already and `overwrite` is off, or cannot be written.
        """
        folder = Path(folder).expanduser()
        check_writable(folder if folder.is_dir() else folder.parent)
        many = len(self.images) > 1
        named = {
            folder / (f"{index:03}-{domain}.png" if many else f"{index:03}.png"): image
            for index, images in enumerate(self)
            for domain, image in images.items()
        }
        folder.mkdir(exist_ok=True)
        for path in named:
            check_output(path, (".png",), overwrite)
        for path, image in named.items():
            write_image(path, image, metadata_of(self.settings), overwrite)
        return list(named)


def stacked(pictures: Sequence[Tensor]) -> Tensor:
    """Pictures of one size as one batch, `finished`."""
    return torch.cat([finished(picture) for picture in pictures])


def finished(drawn: Tensor) -> Tensor:
    """What a network drew, as a picture: float32 on the CPU, in [-1, 1] (a stage's sum can leave that range)."""
    return drawn.float().cpu().contiguous().clamp(-1, 1)
