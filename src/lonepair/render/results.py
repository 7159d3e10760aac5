"""Results of uses: one picture, or samples, each with its settings. They show themselves in notebooks."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, overload

from jaxtyping import Float
from torch import Tensor

from lonepair.media.clips.codecs import Encoding, resolve_image_bits
from lonepair.media.sheet import contact_sheet
from lonepair.media.stills.exr import SUFFIX as EXR
from lonepair.media.stills.image import check_image_output, write_image
from lonepair.ops.arrays import to_pil
from lonepair.storage.files import check_output, check_writable

logger = logging.getLogger("lonepair")


def metadata_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """The text metadata of a saved file, {"lonepair": JSON}: the version of this package and `settings`."""
    return {"lonepair": json.dumps({"version": version("lonepair"), **settings}, sort_keys=True)}


def png_bytes(image: Float[Tensor, "1 c h w"]) -> bytes:
    """`image`, in [-1, 1], as the bytes of a PNG file."""
    data = io.BytesIO()
    to_pil(image).save(data, "PNG")
    return data.getvalue()


@dataclass(frozen=True, repr=False)
class Picture:
    """One image and its settings. A notebook shows the image."""

    image: Float[Tensor, "1 c h w"]
    """In [-1, 1], on the CPU."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the model was trained and used; `save` writes them into the file's metadata."""

    bits: int = 8
    """Bits per channel of the image that it was made from; `save` writes as many if the format has them."""
    gain: Float[Tensor, "1 1 h w"] | None = None
    """As `Frame.gain`, where it was made from an EXR image with values above 1; only an EXR file holds them."""

    def __repr__(self) -> str:
        h, w = self.image.shape[-2:]
        return f"Picture({w}x{h} pixels, {self.image.shape[1]} channels)"

    def _repr_png_(self) -> bytes:
        return png_bytes(self.image)

    def pil(self) -> Any:
        """`image` as a PIL image."""
        return to_pil(self.image)

    def save(self, path: str | Path, overwrite: bool = False, encoding: Encoding | None = None) -> Path:
        """Write PNG, JPEG, WebP, TIFF or EXR, by the suffix of `path`.

        Args:
            path: File to write.
            overwrite: Replace an existing file.
            encoding: Its `bits` are those of a channel; None: as `bits` of the picture.

        Returns:
            The path.

        Raises:
            UserError: where the file cannot be written, or exists and `overwrite` is off.
        """
        path = Path(path).expanduser()
        check_image_output(path, overwrite)
        bits = resolve_image_bits(path, encoding or Encoding(), self.bits)
        if self.gain is not None and path.suffix.lower() != EXR:
            logger.warning("%s: values above 1 are lost; write an .exr file to retain them", path)
        write_image(path, self.image, metadata_of(self.settings), overwrite, bits, self.gain)
        return path


@dataclass(frozen=True, repr=False)
class Samples(Sequence[dict[str, Tensor]]):
    """Random images. An item maps a domain to (1, c, h, w) in [-1, 1], on the CPU; a pair's images are aligned.

    A notebook shows the contact sheet.
    """

    images: dict[str, Float[Tensor, "n c h w"]]
    """Domain -> all images, in [-1, 1], on the CPU."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """How the model was trained and used; `save` writes them into each file's metadata."""

    def __repr__(self) -> str:
        h, w = next(iter(self.images.values())).shape[-2:]
        return f"Samples({len(self)} of {w}x{h} pixels, domains {', '.join(self.images)})"

    def _repr_png_(self) -> bytes:
        return png_bytes(self.sheet())

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
        """A contact sheet of all images, `columns` in a row."""
        has_pairs = len(self.images) > 1
        labelled = [
            (f"{index} {domain}" if has_pairs else str(index), image)
            for index, images in enumerate(self)
            for domain, image in images.items()
        ]
        return contact_sheet([labelled[i : i + columns] for i in range(0, len(labelled), columns)])

    def save(self, folder: str | Path, overwrite: bool = False) -> list[Path]:
        """Write each image as folder/NUMBER.png (for a pair NUMBER-a.png and NUMBER-b.png).

        Args:
            folder: Created where it does not exist; its parent must exist.
            overwrite: Replace existing files.

        Returns:
            The paths of the files.

        Raises:
            UserError: where a file cannot be written, or exists and `overwrite` is off.
        """
        folder = Path(folder).expanduser()
        check_writable(folder if folder.is_dir() else folder.parent)
        has_pairs = len(self.images) > 1
        named = {
            folder / (f"{index:03}-{domain}.png" if has_pairs else f"{index:03}.png"): image
            for index, images in enumerate(self)
            for domain, image in images.items()
        }
        folder.mkdir(exist_ok=True)
        for path in named:
            check_output(path, (".png",), overwrite)
        for path, image in named.items():
            write_image(path, image, metadata_of(self.settings), overwrite)
        return list(named)


def output_image(prediction: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The output of networks as users get it: float32 on the CPU, clamped to [-1, 1], which a stage's sum can leave."""
    return prediction.float().cpu().contiguous().clamp(-1, 1)
