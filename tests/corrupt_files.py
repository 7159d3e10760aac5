"""Invalid files: cut short, of another kind, altered or malicious.

Each function writes into the current folder; some return a function that writes.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import wave
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from lonepair.media.stills.image import write_image
from lonepair.train.checkpoint import fingerprint
from tiny_settings import picture

# -- images, clips and folders ----------------------------------------------------------------------------------------


def cut_copy(source: str, target: str, share: float) -> Callable[[], object]:
    """Saves the first `share` of the bytes of `source` as `target`."""

    def make() -> None:
        data = Path(source).read_bytes()
        Path(target).write_bytes(data[: int(len(data) * share)])

    return make


def write_file(name: str, content: bytes) -> Callable[[], object]:
    """Writes the file `name` with this content."""
    return lambda: Path(name).write_bytes(content)


def cut_jpeg() -> None:
    """Write the first half of a JPEG."""
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(data, "JPEG")
    Path("cut.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])


def cut_video() -> None:
    """Write the first half of an MP4 whose index comes last, as cameras write it: the index is missing."""
    import av

    with av.open("whole.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for level in range(9):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * level, np.uint8))))
        container.mux(stream.encode(None))
    cut_copy("whole.mp4", "cut.mp4", 0.5)()


def image_file(name: str, height: int, width: int) -> Callable[[], object]:
    """Writes an image file of this size in pixels."""
    return lambda: write_image(name, picture(height, width))


def decompression_bomb() -> None:
    """Write a PNG of a hundred bytes whose header states 900 megapixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(64)))]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    ]
    Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def clip_without_frames() -> None:
    """Write an MP4 with a video track that has no frames."""
    import av

    with av.open("none.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()


def sound_file() -> None:
    """Write a tenth of a second of silence as WAV."""
    with wave.open("sound.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))


def frames_folder(*sizes: tuple[int, int]) -> Callable[[], object]:
    """Writes the folder `frames` with images of these sizes, (h, w) in pixels."""

    def make() -> None:
        Path("frames").mkdir()
        for index, (height, width) in enumerate(sizes):
            write_image(f"frames/{index}.png", picture(height, width))

    return make


def cut_frame() -> None:
    """Write a folder whose second frame has a complete header, so that only decoding its pixels fails."""
    Path("frames").mkdir()
    for index in range(2):
        write_image(f"frames/{index}.jpg", picture(40, 40))
    cut_copy("frames/1.jpg", "frames/1.jpg", 0.6)()


def text_folder(name: str, *files: str) -> Callable[[], object]:
    """Makes the folder `name` with these text files."""

    def make() -> None:
        Path(name).mkdir()
        for file in files:
            Path(name, file).write_text("text")

    return make


# -- models and runs --------------------------------------------------------------------------------------------------


def changed_header(fits: bool = True, **changes: object) -> Callable[[], object]:
    """Saves the model as bad.safetensors with `changes` in its header; where `fits`, the checksum fits them."""

    def make() -> None:
        with safe_open("model.safetensors", "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            header = {**json.loads(file.metadata()["lonepair"]), **changes}
        if fits:
            header["sha256"] = fingerprint(header, tensors)
        save_file(tensors, "bad.safetensors", {"lonepair": json.dumps(header)})

    return make


def rewrite_model(model: Path, change: Callable[[dict[str, Any]], object], fits: bool = True) -> Path:
    """Change the header of the file `model` and, where `fits`, sign it again with the checksum of the change."""
    with safe_open(model, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        header = json.loads(file.metadata()["lonepair"])
    change(header)
    if fits:
        header["sha256"] = fingerprint(header, tensors)
    save_file(tensors, model, {"lonepair": json.dumps(header)})
    return model


def flipped_copy(source: str, target: str, place: float) -> Callable[[], object]:
    """Saves `source` as `target` with one bit flipped at `place`, a share of its length."""

    def make() -> None:
        data = bytearray(Path(source).read_bytes())
        data[int(len(data) * place)] ^= 4
        Path(target).write_bytes(data)

    return make


class Malicious:
    """Creates the file `owned` when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch owned",)


def pickled_model() -> None:
    """Write a pickle under a model's name."""
    Path("bad.safetensors").write_bytes(pickle.dumps(Malicious()))


STATE = "runs/a-to-b/state/state.pt"
"""The state of the run in the material."""


def only_state(make: Callable[[], object]) -> Callable[[], object]:
    """Deletes the state before the newest, to which a run would return, and calls `make`."""

    def make_both() -> None:
        Path(STATE).with_name("previous.pt").unlink()
        make()

    return make_both


def pickled_state() -> None:
    """Write a state file with correct checksums that runs a command when it is unpickled."""
    torch.save({"stage": Malicious()}, STATE)


def flipped_state() -> None:
    """Flip one bit in the middle of the state's largest tensor."""
    with zipfile.ZipFile(STATE) as archive:
        largest = max(archive.infolist(), key=lambda entry: entry.file_size)
    data = bytearray(Path(STATE).read_bytes())
    start = largest.header_offset
    name, extra = struct.unpack("<HH", data[start + 26 : start + 30])
    data[start + 30 + name + extra + largest.file_size // 2] ^= 4
    Path(STATE).write_bytes(data)


def black_mask() -> None:
    """Write a mask that is black everywhere."""
    write_image("m.png", -torch.ones(1, 1, 20, 26))


def other_source() -> None:
    """Replace the run's source by other pixels under the same name."""
    write_image("a.png", picture(24, 20, seed=9), overwrite=True)
