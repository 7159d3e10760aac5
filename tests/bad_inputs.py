"""Everything wrong that a user may hand in, as one list: `test_bad_inputs.py` tries it, `benchmarks/bad_inputs.py` too.

Each case is a command line, or a Python expression, that is refused in one line with exit status 2 (or a UserError),
and leaves every file as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import math
import os
import pickle
import shlex
import shutil
import struct
import subprocess
import wave
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

import lonepair as lp
from conftest import picture
from lonepair.commands.main import main
from lonepair.commands.train import method_for_inputs
from lonepair.media.image import write_image
from lonepair.media.write import ClipWriter
from lonepair.methods import DEFAULT, get_method, names
from lonepair.train.checkpoint import fingerprint

TINY = shlex.split(
    "--stages 2 --min-side 14 --max-side 20 --width 8 --steps 3 --finest-steps 3 --device cpu --dtype float32"
)
"""Inserted into every training, so that a case that is not refused ends soon."""


class NotHereError(Exception):
    """This machine cannot make the case."""


@dataclass(frozen=True)
class Case:
    """One bad input. Everything happens in a folder that holds what `make_material` puts there."""

    name: str
    call: str
    """What is run: a command line that starts with "lonepair", else a Python expression."""
    says: str
    """Part of the line that is expected."""
    prepare: Callable[[], object] = lambda: None
    """Makes the bad files, in the current folder."""
    within: Callable[[], contextlib.AbstractContextManager[object]] = contextlib.nullcontext
    """What must hold while it runs."""
    keeps: str = ""
    """Folder that may have changed, since the training had begun in it; messages may precede the line then."""


@dataclass
class Outcome:
    """What a case gave."""

    status: int | str
    lines: list[str]
    changed: list[str] = field(default_factory=list)

    def faults(self, case: Case) -> list[str]:
        """What is wrong with how the case was refused; empty where all is well."""
        found = []
        if self.status not in (2, "UserError"):
            found.append(f"status is {self.status}")
        if not self.lines or case.says not in self.lines[-1]:
            found.append(f"does not say {case.says!r}")
        if len(self.lines) > 1 and not case.keeps:
            found.append(f"{len(self.lines)} lines")
        if any("Traceback" in line for line in self.lines):
            found.append("a traceback")
        if self.changed:
            found.append(f"left behind: {', '.join(self.changed)}")
        return found


def make_material(folder: Path) -> None:
    """What cases start from: a source, a target, a clip, a folder of frames, a trained run and its model."""
    with contextlib.chdir(folder), contextlib.redirect_stderr(io.StringIO()):
        write_image("a.png", picture(24, 20, seed=1))
        write_image("b.png", picture(20, 26, seed=2))
        with ClipWriter("clip.mp4", (20, 24), Fraction(25)) as clip:
            for index in range(3):
                clip.write(picture(20, 24, seed=index), Fraction(index, 25))
        assert main(["train", *TINY, "a.png", "b.png"]) == 0
        shutil.copy("runs/a-to-b/model.safetensors", "model.safetensors")
        for method, name in (("singan", "one"), ("consingan", "other")):
            assert main(["train", "--method", method, *tiny_flags(method), "a.png", "--run", name]) == 0
            shutil.copy(f"{name}/model.safetensors", f"{name}.safetensors")
            shutil.rmtree(name)


def run(case: Case, folder: Path) -> Outcome:
    """Try `case` in `folder`, which holds the material."""
    said = io.StringIO()
    with contextlib.chdir(folder):
        case.prepare()
        with case.within():
            before = _snapshot()
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                status = _attempt(case.call, said)
            changed = _changes(before, _snapshot(), case.keeps)
    lines = [line for line in said.getvalue().replace("\r", "\n").split("\n") if line.strip()]
    return Outcome(status, lines, changed)


def _attempt(call: str, said: io.StringIO) -> int | str:
    words = shlex.split(call)
    if words[0] == "lonepair":
        return main(_with_tiny(words[1:]))
    known = {"lp": lp, "np": np, "torch": torch, "nan": math.nan, "model": lambda: lp.load("model.safetensors", "cpu")}
    known["one"] = lambda: lp.load("one.safetensors", "cpu")
    tiny = {"stages": 2, "min_side": 14, "max_side": 20, "width": 8, "steps": 3, "finest_steps": 3}
    try:
        eval(call, {**known, "tiny": tiny})
    except lp.UserError as error:
        said.write(str(error))
    except Exception as error:
        said.write(f"Traceback: {type(error).__name__}: {error}")
        return type(error).__name__
    else:
        return "accepted"
    return "UserError"


def _with_tiny(words: list[str]) -> list[str]:
    redraws = words[0] == "translate" and any(word.endswith(".safetensors") for word in words)
    if words[0] not in ("translate", "train", "generate") or redraws:
        return words
    own = DEFAULT if words[0] == "translate" else method_for_inputs(words[1:])
    method = words[words.index("--method") + 1] if "--method" in words[:-1] else own
    return [words[0], *(tiny_flags(method) if method in names() else TINY), *words[1:]]


def tiny_flags(method: str) -> list[str]:
    """Those of `TINY` that `method` has."""
    known = set(get_method(method).config_class.setting_names()) | {"device", "dtype"}
    pairs = [TINY[i : i + 2] for i in range(0, len(TINY), 2)]
    return [word for pair in pairs if pair[0][2:].replace("-", "_") in known for word in pair]


def _snapshot() -> dict[str, str]:
    files = sorted(Path().rglob("*"))
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else "folder" for p in files}


def _changes(before: dict[str, str], after: dict[str, str], keeps: str) -> list[str]:
    odd = [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]
    own = [path for path in odd if not keeps or not path.startswith(keeps)]
    return own + [path for path in odd if path not in own and Path(path).name.startswith(".lonepair-")]


# -- files that are not what they should be ---------------------------------------------------------------------------


def cut(source: str, target: str, share: float) -> Callable[[], object]:
    """The first `share` of the file `source`, saved as `target`."""

    def make() -> None:
        data = Path(source).read_bytes()
        Path(target).write_bytes(data[: int(len(data) * share)])

    return make


def write_file(name: str, content: bytes) -> Callable[[], object]:
    """The file `name` with this content."""
    return lambda: Path(name).write_bytes(content)


def cut_jpeg() -> None:
    """Half of a JPEG."""
    data = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(data, "JPEG")
    Path("cut.jpg").write_bytes(data.getvalue()[: len(data.getvalue()) // 2])


def cut_video() -> None:
    """Half of an MP4 as cameras write it: its index comes last, and is lost."""
    import av

    with av.open("whole.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for level in range(9):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 20 * level, np.uint8))))
        container.mux(stream.encode(None))
    cut("whole.mp4", "cut.mp4", 0.5)()


def image_of(name: str, height: int, width: int) -> Callable[[], object]:
    """An image file of this size."""
    return lambda: write_image(name, picture(height, width))


def bomb() -> None:
    """A PNG of a hundred bytes that promises 900 megapixels."""
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 30000, 30000, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(64)))]
    packed = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    ]
    Path("bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))


def no_frames() -> None:
    """An MP4 with a video track, and nothing in it."""
    import av

    with av.open("none.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        container.start_encoding()


def sound() -> None:
    """A tenth of a second of silence."""
    with wave.open("sound.wav", "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(1600))


def frames(*sizes: tuple[int, int]) -> Callable[[], object]:
    """The folder `frames` with images of these sizes."""

    def make() -> None:
        Path("frames").mkdir()
        for index, (height, width) in enumerate(sizes):
            write_image(f"frames/{index}.png", picture(height, width))

    return make


def cut_frame() -> None:
    """A folder whose second frame is cut short behind its header, which is found when its pixels are wanted."""
    Path("frames").mkdir()
    for index in range(2):
        write_image(f"frames/{index}.jpg", picture(40, 40))
    cut("frames/1.jpg", "frames/1.jpg", 0.6)()


def folder(name: str, *files: str) -> Callable[[], object]:
    """The folder `name` with these text files."""

    def make() -> None:
        Path(name).mkdir()
        for file in files:
            Path(name, file).write_text("text")

    return make


# -- models and runs --------------------------------------------------------------------------------------------------


def reheaded(fits: bool = True, **changes: object) -> Callable[[], object]:
    """bad.safetensors: the model with other entries in its header, and, where `fits`, with the checksum for them."""

    def make() -> None:
        with safe_open("model.safetensors", "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            header = {**json.loads(file.metadata()["lonepair"]), **changes}
        if fits:
            header["sha256"] = fingerprint(header, tensors)
        save_file(tensors, "bad.safetensors", {"lonepair": json.dumps(header)})

    return make


def flipped(source: str, target: str, place: float) -> Callable[[], object]:
    """`target`: `source` with one bit flipped at `place`, a share of its length."""

    def make() -> None:
        data = bytearray(Path(source).read_bytes())
        data[int(len(data) * place)] ^= 4
        Path(target).write_bytes(data)

    return make


class Malicious:
    """Runs a command where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch owned",)


def pickled_model() -> None:
    """A pickle under a model's name."""
    Path("bad.safetensors").write_bytes(pickle.dumps(Malicious()))


STATE = "runs/a-to-b/state/state.pt"


def pickled_state() -> None:
    """A state file, whole by its checksums, that would run a command."""
    torch.save({"stage": Malicious()}, STATE)


def flipped_state() -> None:
    """The state with one bit flipped in the middle of its largest tensor."""
    with zipfile.ZipFile(STATE) as archive:
        largest = max(archive.infolist(), key=lambda start_stage: start_stage.file_size)
    data = bytearray(Path(STATE).read_bytes())
    start = largest.header_offset
    name, extra = struct.unpack("<HH", data[start + 26 : start + 30])
    data[start + 30 + name + extra + largest.file_size // 2] ^= 4
    Path(STATE).write_bytes(data)


def black_mask() -> None:
    """A mask that is black all over."""
    write_image("m.png", -torch.ones(1, 1, 20, 26))


def other_source() -> None:
    """The run's source under the same name, with other pixels."""
    write_image("a.png", picture(24, 20, seed=9), overwrite=True)


# -- machines that are not what they should be ------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(options: str, fill: int = 0) -> Iterator[None]:
    """The folder `disk` as a file system of its own, of which `fill` bytes are taken."""
    Path("disk").mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", "disk"]
        made = os.name == "posix" and subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        made = False
    if not made:
        raise NotHereError("mounting a disk needs root")
    try:
        if fill:
            with contextlib.suppress(OSError), Path("disk/filler").open("wb") as file:
                file.write(bytes(fill))
        yield
    finally:
        subprocess.run(["umount", "-l", "disk"], check=False)


def without_encoder() -> contextlib.AbstractContextManager[object]:
    """A PyAV that was built without libx264."""
    return mock.patch("av.Codec", side_effect=ValueError("libx264"))


def without_tensorboard() -> contextlib.AbstractContextManager[object]:
    """An installation without the extra."""
    find = importlib.util.find_spec
    return mock.patch("importlib.util.find_spec", lambda name, *rest: None if name == "tensorboard" else find(name))


def absent_device() -> str:
    """A device that this machine does not have."""
    return "cuda" if not torch.cuda.is_available() else "mps"


AB = "lonepair translate a.png b.png"
CASES = [
    # what is no image and no clip
    Case("no such file", "lonepair translate nothing.png b.png", "nothing.png: no such file"),
    Case("empty file", "lonepair translate empty.png b.png", "is empty (0 bytes)", write_file("empty.png", b"")),
    Case("text named .png", "lonepair translate t.png b.png", "neither an image", write_file("t.png", b"hello " * 40)),
    Case("text named .mp4", "lonepair translate t.mp4 b.png", "neither an image", write_file("t.mp4", b"hello " * 40)),
    Case("truncated PNG", "lonepair translate cut.png b.png", "cut short", cut("a.png", "cut.png", 0.5)),
    Case("truncated PNG as target", "lonepair translate a.png cut.png", "cut short", cut("a.png", "cut.png", 0.5)),
    Case("truncated JPEG", "lonepair translate cut.jpg b.png", "cut short", cut_jpeg),
    Case("truncated MP4", "lonepair translate cut.mp4 b.png", "cut short", cut_video),
    Case("clip without frames", "lonepair translate none.mp4 b.png", "no", no_frames),
    Case("sound alone", "lonepair translate sound.wav b.png", "holds only sound", sound),
    Case(
        "HEIC photo",
        "lonepair translate photo.heic b.png",
        "HEIC",
        write_file("photo.heic", b"\0\0\0\x18ftypheic" + bytes(200)),
    ),
    Case("decompression bomb", "lonepair translate bomb.png b.png", "megapixels", bomb),
    Case("1x1 image", "lonepair translate one.png b.png", "1x1 pixels are too few", image_of("one.png", 1, 1)),
    Case("side below min_side", "lonepair translate s.png b.png", "needs 14", image_of("s.png", 13, 40)),
    Case("long and narrow", "lonepair translate s.png b.png", "--max-side 140", image_of("s.png", 15, 150)),
    Case("target is a clip", "lonepair translate a.png clip.mp4", "the target must be an image"),
    Case("folder without images", "lonepair translate notes b.png", "holds no images", folder("notes", "a.txt")),
    Case(
        "frames of unequal size",
        "lonepair translate frames b.png",
        "give frames of one size",
        frames((20, 20), (20, 21)),
    ),
    Case(
        "a damaged frame among good ones",
        "lonepair translate frames b.png",
        "1.jpg: the image cannot be decoded",
        cut_frame,
        keeps="nothing",
    ),
    Case("file name too long", f"lonepair translate {'a' * 300}.png b.png", "too long"),
    # flags and names
    Case("unknown command", "lonepair tranlate a.png b.png", "did you mean 'translate'?"),
    Case("unknown flag", f"{AB} --setps 5", "did you mean --steps?"),
    Case("unknown method", f"{AB} --method representativ", "did you mean 'representative'?"),
    Case("unknown preset", f"{AB} --preset drat", "choose one of draft, standard, full"),
    Case("no target", "lonepair translate a.png", "missing: TARGET"),
    Case("too many inputs", f"{AB} a.png", "too many inputs"),
    Case("a word where a number belongs", f"{AB} --steps many", "--steps is many: give a whole number"),
    Case("a number that is none", f"{AB} --lr nan", "lr is nan"),
    Case("number out of range", f"{AB} --stages 13", "stages is 13: choose 2 to 12"),
    Case("two settings that exclude each other", f"{AB} --start-stage 2", "--start-stage is 2"),
    Case("negative time limit", f"{AB} --max-minutes -1", "max_minutes is -1.0: choose 0 or more"),
    Case("negative seed", f"{AB} --seed -1", "seed is -1"),
    Case("flag without a value", f"{AB} --steps", "--steps needs a value"),
    Case("unknown choice", f"{AB} --dtype half", "choose one of auto, float32, bfloat16"),
    Case("absent device", f"{AB} --device {absent_device()}", "is not available"),
    Case("size that is none", f"{AB} --size big", "--size big: not a size"),
    Case("size of zero", f"{AB} --size 0x10", "--size 0x10: both sides"),
    Case("size too large", f"{AB} --size 99999", "--size 99999: both sides"),
    Case("TensorBoard that is not installed", f"{AB} --tensorboard", "pip install", within=without_tensorboard),
    # outputs
    Case("output exists", f"{AB} -o a.png", "a.png: the file exists already; give --overwrite"),
    Case("contact sheet exists", f"{AB} -o o.png", "o-sheet.png: the file exists", write_file("o-sheet.png", b"mine")),
    Case("output of unknown kind", f"{AB} -o out.xyz", "use one of .png"),
    Case("image suffix for a clip", "lonepair translate clip.mp4 b.png -o out.jpg", "use one of .mp4"),
    Case("output without an ending", f"{AB} -o out", "the name has no ending"),
    Case("output's folder is missing", f"{AB} -o no/out.png", "the folder no does not exist"),
    Case("output below a file", f"{AB} -o b.png/out.png", "the folder b.png does not exist"),
    Case("output is a folder", f"{AB} -o f.png", "f.png: is a folder", folder("f.png")),
    Case("output name too long", f"{AB} -o {'o' * 300}.png", "too long"),
    Case("run below a file", f"{AB} --run b.png/run", "cannot create the run's folder"),
    Case("run without a name", f"{AB} --run /", "cannot be a run's folder"),
    Case("frames of an image", f"{AB} --save-frames f", "has no frames to save"),
    Case(
        "frames into a folder in use",
        "lonepair translate clip.mp4 b.png --save-frames f",
        "f: the folder is not empty",
        folder("f", "mine.txt"),
    ),
    Case("missing encoder", "lonepair translate clip.mp4 b.png", "encoder libx264 is missing", within=without_encoder),
    Case("read-only disk", f"{AB} -o disk/o.png", "read-only", within=lambda: mounted("ro")),
    Case("output on a full disk", f"{AB} -o disk/o.png", "no space", within=lambda: mounted("size=64k", 9**9)),
    Case("run on a full disk", f"{AB} --run disk/run", "no space", within=lambda: mounted("size=64k", 9**9)),
    Case(
        "disk that fills up in training",
        f"{AB} --run disk/run",
        "no space",
        within=lambda: mounted("size=64k"),
        keeps="disk/run",
    ),
    Case(
        "disk that fills up at the output",
        "lonepair translate a.png model.safetensors -o disk/o.png --size 1500",
        "no space",
        within=lambda: mounted("size=80k"),
    ),
    # models
    Case("model is missing", "lonepair translate a.png none.safetensors", "none.safetensors: no such file"),
    Case(
        "text named .safetensors",
        "lonepair info bad.safetensors",
        "not a safet",
        write_file("bad.safetensors", b"hi"),
    ),
    Case("pickle named .safetensors", "lonepair translate a.png bad.safetensors", "not a safetensors", pickled_model),
    Case(
        "safetensors of another program",
        "lonepair info bad.safetensors",
        "not a lonepair model",
        lambda: save_file({"x": torch.zeros(3)}, "bad.safetensors"),
    ),
    Case(
        "model cut short",
        "lonepair translate a.png bad.safetensors",
        "damaged",
        cut("model.safetensors", "bad.safetensors", 0.9),
    ),
    Case(
        "model with a flipped bit",
        "lonepair translate a.png bad.safetensors",
        "its checksum does not match",
        flipped("model.safetensors", "bad.safetensors", 0.8),
    ),
    Case(
        "model with a changed header",
        "lonepair info bad.safetensors",
        "its checksum does not match",
        reheaded(fits=False, stage=0),
    ),
    Case(
        "model of a later version",
        "lonepair translate a.png bad.safetensors",
        "has format version 99, this lonepair reads version",
        reheaded(format_version=99),
    ),
    Case(
        "model of an unknown method",
        "lonepair translate a.png bad.safetensors",
        "method 'cubism' is unknown",
        reheaded(method="cubism"),
    ),
    Case("entry stage that is not there", "lonepair translate a.png model.safetensors --start-stage 7", "has 2 stages"),
    Case("folder without a model", "lonepair info runs", "runs/model.safetensors: no such file"),
    # what a model of one image is used for
    Case(
        "one image for a method of pairs",
        "lonepair train a.png --method representative",
        "methods that accept it: consingan, lonepair-single, singan",
    ),
    Case(
        "a pair for a method of one image",
        "lonepair train a.png b.png --method singan",
        "accept it: lonepair, repres",
    ),
    Case("a clip for a method of one image", "lonepair train clip.mp4 --method singan", "learns from one image"),
    Case("a model of one image to translate with", "lonepair translate a.png one.safetensors", "'singan' cannot"),
    Case("a model of a pair to animate", "lonepair animate model.safetensors", "'lonepair' cannot"),
    Case("a model of a pair to edit with", "lonepair edit model.safetensors a.png --mask b.png", "'lonepair' can"),
    Case(
        "a method without super-resolution",
        "lonepair superresolve other.safetensors a.png",
        "does not support superresolve; methods that do: singan",
    ),
    Case(
        "samples smaller than the coarsest stage", "lonepair sample one.safetensors --size 5x40", "size is 5x40 (width"
    ),
    Case("samples of no number", "lonepair sample one.safetensors --count 0", "count is 0"),
    Case("start stage that is not there", "lonepair sample one.safetensors --start-stage 9", "--start-stage is 9"),
    Case("no size at all", "lonepair retarget one.safetensors --size wide", "--size wide: not a size"),
    Case("retarget without a size", "lonepair retarget one.safetensors", "missing: --size;"),
    Case("edit without a mask", "lonepair edit one.safetensors b.png", "give --mask, or --original"),
    Case(
        "edit with a mask that is not there", "lonepair edit one.safetensors b.png --mask m.png", "m.png: no such file"
    ),
    Case("mask that marks nothing", "lonepair edit one.safetensors b.png --mask m.png", "marks nothing", black_mask),
    Case("edit that changes nothing", "lonepair edit one.safetensors a.png --original a.png", "does not differ"),
    Case("edit of a clip", "lonepair edit one.safetensors clip.mp4 --original a.png", "clip.mp4: is a clip"),
    Case("negative dilation", "lonepair harmonize one.safetensors b.png --mask b.png --dilate -1", "dilate is -1"),
    Case("palette of one colour", "lonepair paint one.safetensors b.png --colors 1", "--colors is 1: choose 2 to 256"),
    Case("factor below one", "lonepair superresolve one.safetensors a.png --factor 0.5", "factor is 0.5"),
    Case("factor too large", "lonepair superresolve one.safetensors a.png --factor 9999", "megapixels"),
    Case("walk without a pull", "lonepair animate one.safetensors --alpha 0", "alpha is 0.0: choose a number between"),
    Case("animation without frames", "lonepair animate one.safetensors --frames 0", "frames is 0"),
    Case("animation as a JPEG", "lonepair animate one.safetensors -o out.jpg", "use one of"),
    Case("animation at no rate", "lonepair animate one.safetensors --rate 0", "rate is 0"),
    Case("warm start that is not there", "lonepair train a.png --warm-start no.safetensors", "no.safetensors: no such"),
    Case("warm start of another method", "lonepair train a.png --warm-start one.safetensors", "start from a model of"),
    Case("composite without a warm start", "lonepair train a.png --task editing --composite b.png", "--warm-start"),
    Case(
        "composite of another aspect",
        "lonepair train a.png --task editing --composite b.png --warm-start other.safetensors",
        "the composite has 26x20 pixels, the image 20x24",
    ),
    Case(
        "composite for a generating task",
        "lonepair train a.png --composite a.png --warm-start other.safetensors",
        "a composite is for harmonization and editing",
    ),
    Case("unknown task", "lonepair train a.png --task cooking", "cooking"),
    Case("samples into a file", "lonepair sample one.safetensors -o a.png", "a.png"),
    Case("edit of an image of another kind", "one().edit(7, 'b.png')", "is not an image"),
    Case("random images of a later start", "one().sample(1, start_stage=5)", "start_stage is 5"),
    Case("refining a small image", "one().refine(torch.zeros(3, 5, 40))", "both sides need at least"),
    # resuming
    Case("resume without a run", "lonepair train b.png a.png --resume", "no run to resume there"),
    Case("resume with other settings", "lonepair train a.png b.png --resume --steps 4", "steps was 3, is now 4"),
    Case("resume with another source", "lonepair train a.png b.png --resume", "input a has changed", other_source),
    Case(
        "resume without config.json",
        "lonepair train a.png b.png --resume",
        "no readable config.json",
        lambda: Path("runs/a-to-b/config.json").unlink(),
    ),
    Case(
        "state cut short",
        "lonepair train a.png b.png --resume",
        "cannot read the state",
        cut(STATE, STATE, 0.7),
        keeps="runs/a-to-b",
    ),
    Case(
        "state with a flipped bit",
        "lonepair train a.png b.png --resume",
        "its checksum does not match",
        flipped_state,
        keeps="runs/a-to-b",
    ),
    Case(
        "state that is a malicious pickle",
        "lonepair train a.png b.png --resume",
        "holds more than numbers",
        pickled_state,
        keeps="runs/a-to-b",
    ),
    # training that goes wrong
    Case("training that diverges", f"{AB} --lambda-structure 1e9", "training diverged", keeps="runs/a-to-b-2"),
    # Python
    Case("NaN tensor", "lp.fit_pair(torch.full((3, 24, 20), nan), 'b.png', **tiny)", "not finite"),
    Case("NaN array", "lp.fit_pair(np.full((24, 20, 3), nan), 'b.png', **tiny)", "not finite"),
    Case("wrong number of channels", "lp.fit_pair(torch.zeros(2, 24, 20), 'b.png', **tiny)", "c = 1, 3 or 4"),
    Case("channels last", "lp.fit_pair(torch.zeros(24, 20, 3), 'b.png', **tiny)", "channels last"),
    Case("values 0 to 255", "lp.fit_pair(torch.full((3, 24, 20), 255.0), 'b.png', **tiny)", "give uint8 0..255"),
    Case("no image at all", "lp.fit_pair({}, 'b.png', **tiny)", "a dict is not an image"),
    Case("clip of no frames", "lp.fit_pair(torch.zeros(0, 3, 24, 20), 'b.png', **tiny)", "no frames"),
    Case("unknown setting", "lp.fit_pair('a.png', 'b.png', color=1, **tiny)", "no such setting"),
    Case("resume without a folder", "lp.fit_pair('a.png', 'b.png', resume=True, **tiny)", "give `out`"),
    Case("unknown precision", "lp.load('model.safetensors', 'cpu', 'half')", "dtype 'half' is unknown"),
    Case("entry stage beyond the last", "model().translate('a.png', start_stage=2)", "the model has 2 stages"),
    Case("output of zero pixels", "model().translate('a.png', size=(0, 5))", "need at least 1 pixel"),
    Case("source smaller than trained", "model().translate(torch.zeros(3, 5, 5))", "needs 14"),
    Case("no samples", "model().sample(0)", "count is 0: choose 1 or more"),
    Case("negative seed of noise", "model().translate('a.png', seed=-1)", "seed is -1"),
    Case("model saved under another suffix", "model().save('model.pt')", "use one of .safetensors"),
]
