"""Valid small files from which cases of the fuzzing start: models, a run's folder, images and clips."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from pathlib import Path

import av
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

import lonepair.methods as methods
from lonepair.api.job import Job
from lonepair.media.stills.exr import write_exr
from media_samples import random_pixels, write_png16, write_video
from tiny_models import untrained
from tiny_settings import picture, tiny


def make_models(folder: Path) -> list[Path]:
    """An untrained model file of each method."""
    return [untrained(name, folder / f"{name}.safetensors") for name in methods.names()]


def run_job() -> Job:
    """The training of the run of `make_run`."""
    inputs = {"a": picture(24, 20, seed=1), "b": picture(20, 26, seed=2)}
    return Job.prepare(inputs, methods.DEFAULT, "standard", tiny(methods.DEFAULT, width=4, steps=2, finest_steps=2))


def make_run(folder: Path) -> Path:
    """The folder of a complete training of a few steps."""
    job = run_job()
    job.run(job.folder(folder / "run", False))
    return folder / "run"


def make_images(folder: Path) -> list[Path]:
    """Images of every format that is read, with profile, orientation, palette, alpha and 16 bits."""
    rgb, rgba = random_pixels(12, 16, 3), random_pixels(12, 16, 4)
    grey = Image.fromarray(rgb[..., 0])
    color, alpha, palette = Image.fromarray(rgb), Image.fromarray(rgba), Image.fromarray(rgb).quantize(8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.fromarray(random_pixels(12, 16, 3, seed)).quantize(8) for seed in range(3)]
    saves: dict[str, Callable[[Path], object]] = {
        "rgb.png": lambda path: color.save(path, icc_profile=profile, exif=exif),
        "palette.png": lambda path: palette.save(path, transparency=1),
        "grey.png": lambda path: grey.save(path),
        "deep.png": lambda path: write_png16(path, random_pixels(12, 16, 4).astype(np.uint16) * 257),
        "frames.png": lambda path: color.save(path, save_all=True, append_images=[color.rotate(90)], duration=40),
        "rgb.jpg": lambda path: color.save(path, icc_profile=profile, exif=exif, quality=80),
        "progressive.jpg": lambda path: color.save(path, progressive=True),
        "cmyk.jpg": lambda path: color.convert("CMYK").save(path),
        "frames.gif": lambda path: frames[0].save(path, save_all=True, append_images=frames[1:], duration=40),
        "lossy.webp": lambda path: color.save(path, exif=exif),
        "lossless.webp": lambda path: alpha.save(path, lossless=True),
        "frames.webp": lambda path: color.save(path, save_all=True, append_images=[color.rotate(90)], duration=40),
        "rgb.tif": lambda path: color.save(path, icc_profile=profile),
        "lzw.tif": lambda path: color.save(path, compression="tiff_lzw"),
        "deep.tif": lambda path: tifffile.imwrite(path, rgb.astype(np.uint16) * 257, photometric="rgb"),
        "tiled.tif": lambda path: tifffile.imwrite(path, np.tile(rgb, (3, 2, 1)), tile=(16, 16), photometric="rgb"),
        "pages.tif": lambda path: tifffile.imwrite(path, np.stack([rgb, rgb]), photometric="rgb"),
        "big.tif": lambda path: tifffile.imwrite(path, rgb, bigtiff=True, photometric="rgb"),
        "rgb.bmp": lambda path: color.save(path),
        "deep.jp2": lambda path: path.write_bytes(imagecodecs.jpeg2k_encode(rgb.astype(np.uint16) * 257, level=0)),
        "deep.avif": lambda path: path.write_bytes(
            imagecodecs.avif_encode(rgba.astype(np.uint16) * 4, level=95, bitspersample=10, pixelformat="444")
        ),
        "deep.ppm": lambda path: path.write_bytes(b"P6 16 12 65535\n" + rgb.astype(">u2").tobytes()),
        "rgb.exr": lambda path: write_exr(path, path, picture(12, 16)),
    }
    for name, save in saves.items():
        save(folder / name)
    return [folder / name for name in saves]


def make_clips(folder: Path) -> list[Path]:
    """Clips of the common containers, some with sound."""
    paths = [write_video(folder / "h264.mp4", "aac", rotation=90), write_video(folder / "h264.mov", "pcm_s16le")]
    paths += [write_video(folder / "mpeg4.avi", "mp3"), write_video(folder / "h264.mkv", "flac")]
    for name, codec, pixel_format in (("vp9.webm", "libvpx-vp9", "yuv420p"), ("ffv1.mkv", "ffv1", "yuv444p10le")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 48, 32, pixel_format
            for index in range(5):
                frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 40 * index, np.uint8))
                container.mux(stream.encode(frame.reformat(format=pixel_format)))
            container.mux(stream.encode(None))
        paths.append(folder / name)
    for name, codec in (("frames.y4m", "wrapped_avframe"), ("mpeg2.mpg", "mpeg2video")):
        with av.open(str(folder / name), "w") as container:
            stream = container.add_stream(codec, rate=25)
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for index in range(5):
                frame = av.VideoFrame.from_ndarray(random_pixels(32, 48, 3, index)).reformat(format="yuv420p")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        paths.append(folder / name)
    return paths


def compressed_archive(data: bytes) -> bytes:
    """The archive `data` with its entries compressed, behind a run of 64 MB of zeros."""
    import zipfile

    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(result, "w", zipfile.ZIP_DEFLATED) as other:
        for entry in archive.infolist():
            other.writestr(entry.filename, archive.read(entry) + bytes(2**26 if "/data/" in entry.filename else 0))
    return result.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG with its checksum."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
