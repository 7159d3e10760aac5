"""Small images and clips in memory and in files, for tests of `lonepair.media`."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch

from lonepair.media.clips.write import ClipWriter
from lonepair.media.values import as_image
from lonepair.ops.arrays import from_integers

TIMES = [Fraction(0), Fraction(1, 25), Fraction(1, 10), Fraction(1, 5), Fraction(1, 2)]
"""Times of five frames at a variable rate, in seconds."""


def random_pixels(h: int, w: int, c: int, seed: int = 0) -> np.ndarray:
    """Random values (h, w, c), uint8."""
    return np.random.default_rng(seed).integers(0, 256, (h, w, c), dtype=np.uint8)


def random_image(h: int, w: int, c: int, seed: int = 0) -> torch.Tensor:
    """Random values (1, c, h, w) in [-1, 1], exact in 8 bits."""
    return as_image(random_pixels(h, w, c, seed))


def write_png16(path: Path, array: np.ndarray) -> None:
    """Write a 16-bit PNG, which Pillow cannot write in colour."""
    h, w, c = array.shape
    rows = array.astype(">u2").reshape(h, -1).view(np.uint8)
    write_png(path, (h, w), 16, {1: 0, 2: 4, 3: 2, 4: 6}[c], rows, {})


def write_png(
    path: Path, size: tuple[int, int], bits: int, kind: int, rows: np.ndarray, chunks: dict[bytes, bytes]
) -> None:
    """Write a PNG of `size` (h, w) and PNG's color type `kind`, with packed `rows` (h, bytes) and further chunks."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", size[1], size[0], bits, kind, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*item) for item in chunks.items())
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    path.write_bytes(start + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b""))


def flat_frames(count: int, h: int = 6, w: int = 8, c: int = 3) -> torch.Tensor:
    """`count` frames, each of one level of its own, exact in 8 bits."""
    levels = (torch.arange(count) % 256).float() / 127.5 - 1
    return levels.view(-1, 1, 1, 1).expand(count, c, h, w).contiguous()


def gradient_frame(h: int, w: int, c: int, index: int) -> torch.Tensor:
    """A gradient, exact in 8 bits, that is lighter for a larger `index`; its top left quarter stays white."""
    y, x = np.mgrid[:h, :w]
    planes = [20 * index + y, 20 * index + x, 255 - 20 * index - y, 60 * (x % 4) + index][:c]
    array = np.stack(planes, axis=2).clip(0, 255).astype(np.uint8)
    array[: h // 4, : w // 4, :3] = 255
    return from_integers(array)


def write_clip(
    path: Path,
    images: list[torch.Tensor],
    times: list[Fraction] = TIMES,
    rate: Fraction = Fraction(10),
    **options: object,
) -> Path:
    """Write `images` at `times`; `rate` and `options` are those of `ClipWriter`."""
    size = (images[0].shape[2], images[0].shape[3])
    with ClipWriter(path, size, rate, **options) as writer:
        for image, time in zip(images, times, strict=True):
            writer.write(image, time)
    return path


def write_video(
    path: Path, audio: str | None = None, rotation: int = 0, aspect: Fraction = Fraction(1), silence: float = 0
) -> Path:
    """Write ten frames in 0.4 s, with one second of sound in the codec `audio`, without `ClipWriter`.

    The first `silence` seconds of the sound are silent.
    """
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4" if path.suffix == ".avi" else "libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.codec_context.sample_aspect_ratio = aspect
        if rotation:
            video.set_display_rotation(rotation)
        sound = container.add_stream(audio, rate=44100, layout="mono") if audio else None
        for index in range(10):
            array = ((gradient_frame(32, 48, 3, index)[0].permute(1, 2, 0) + 1) * 127.5).round().byte().numpy()
            container.mux(video.encode(av.VideoFrame.from_ndarray(array)))
        container.mux(video.encode())
        if sound is not None:
            wave = (np.sin(np.arange(44100) / 16) * 9000).astype(np.int16)
            wave[: round(44100 * silence)] = 0
            for start in range(0, len(wave), 1024):
                samples = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="s16", layout="mono")
                samples.sample_rate, samples.pts, samples.time_base = 44100, start, Fraction(1, 44100)
                container.mux(sound.encode(samples))
            container.mux(sound.encode())
    return path
