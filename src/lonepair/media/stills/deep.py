"""Writes 16-bit PNG and TIFF through FFmpeg: Pillow has no 16-bit color. `deep_read` reads them."""

from __future__ import annotations

import io
from collections.abc import Mapping
from fractions import Fraction

import av
from jaxtyping import Float
from PIL import PngImagePlugin
from torch import Tensor

from lonepair.ops.arrays import to_uint16

DEEP_SUFFIXES = (".png", ".tif", ".tiff")
"""Suffixes of files that can hold 16 bits per channel as integers."""

_FORMATS = {1: "gray16le", 3: "rgb48le", 4: "rgba64le"}
"""FFmpeg's pixel format of arrays by number of channels."""
_PNG_FORMATS = {1: "gray16be", 3: "rgb48be", 4: "rgba64be"}
"""PNG stores the high byte first."""

_PNG_HEADER_BYTES = 33
"""The signature and the chunk IHDR, which must be the first one. Texts follow it."""


def encode_deep(image: Float[Tensor, "1 c h w"], suffix: str, texts: Mapping[str, str]) -> bytes:
    """Encode an image as a PNG or TIFF with 16 bits per channel.

    Args:
        image: Values in [-1, 1] (clamped).
        suffix: One of `DEEP_SUFFIXES`.
        texts: Text chunks of a PNG; FFmpeg's TIFF has no texts.

    Returns:
        The bytes of the file; equal images and texts give equal bytes.
    """
    array = to_uint16(image)
    layout = _FORMATS[array.shape[2]]
    frame = av.VideoFrame.from_ndarray(array[..., 0] if array.shape[2] == 1 else array, format=layout)
    encoder = av.CodecContext.create("png" if suffix == ".png" else "tiff", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.width, encoder.height, encoder.time_base = frame.width, frame.height, Fraction(1)
    encoder.pix_fmt = _PNG_FORMATS[array.shape[2]] if suffix == ".png" else layout
    encoder.options = {"pred": "mixed"} if suffix == ".png" else {"compression_algo": "deflate"}
    encoder.flags |= av.codec.context.Flags.bitexact
    data = b"".join(
        bytes(packet) for packet in [*encoder.encode(frame.reformat(format=encoder.pix_fmt)), *encoder.encode()]
    )
    if suffix != ".png" or not texts:
        return data
    # Pillow makes the text chunks.
    info, chunks = PngImagePlugin.PngInfo(), io.BytesIO()
    for key, text in texts.items():
        info.add_text(key, text)
    for kind, content, *_ in info.chunks:
        PngImagePlugin.putchunk(chunks, kind, content)
    return data[:_PNG_HEADER_BYTES] + chunks.getvalue() + data[_PNG_HEADER_BYTES:]
