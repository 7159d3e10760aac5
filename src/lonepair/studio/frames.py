"""Single frames within a second or two: a process that keeps models loaded, so that a dial answers at once.

Files of users are opened in that process and not in the server: a decoder that crashes ends one answer, and no page.
"""

from __future__ import annotations

import concurrent.futures
import logging
import multiprocessing
import multiprocessing.connection
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, Literal, TypeVar

from lonepair import UserError
from lonepair.studio.uploads import Facts

Result = TypeVar("Result")

PREVIEW_METHOD, PREVIEW_PRESET = "closed-form", "preview"
"""The method that needs no training, as `lonepair translate --preview` uses it."""
LIVE_SIDE = 320
"""Longest side of a live frame in pixels."""
LIVE_TARGET_SIDE = 320
"""Longest side in pixels of the target that a live frame searches. Time grows with the square of both sides."""
MODELS = 4
"""Number of models that stay loaded."""
ANSWER_SECONDS = 60.0
"""Longest time of an answer; a file that takes longer is refused."""

_MODELS: OrderedDict[tuple[object, ...], Any] = OrderedDict()


class FramePool:
    """One process that computes frames. It starts again after a crash."""

    def __init__(self) -> None:
        self._pool: concurrent.futures.ProcessPoolExecutor | None = None
        self._lock = threading.Lock()

    def run(self, function: Callable[..., Result], *arguments: object) -> Result:
        """The result of a function of this module, computed in the process.

        Raises:
            UserError: as the function does; or the process crashed or took too long.
        """
        pool = self._started()
        try:
            return pool.submit(function, *arguments).result(ANSWER_SECONDS)
        except BrokenProcessPool as error:
            self.close()
            raise UserError("the file made its reader crash; convert it to PNG or MP4") from error
        except TimeoutError as error:
            self.close()
            raise UserError(f"no answer within {ANSWER_SECONDS:.0f} s; use a smaller or shorter file") from error

    def start(self) -> None:
        """Start the process, and do not wait for what it loads."""
        self._started().submit(find_devices)

    def _started(self) -> concurrent.futures.ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                # A fork of the server would share its threads' locks.
                context = multiprocessing.get_context("spawn")
                self._pool = concurrent.futures.ProcessPoolExecutor(1, context, _start_process)
            return self._pool

    def close(self) -> None:
        """End the process. It starts again when it is needed."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((getattr(pool, "_processes", None) or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)


def _start_process() -> None:
    """Prepare the process: one thread, as two slow each other down beside a training, and warnings only."""
    import torch

    import lonepair

    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    logging.getLogger("lonepair").setLevel(logging.ERROR)
    _ = lonepair.load  # imports what frames need before the first one is asked for


def _end_with_parent() -> None:
    """End this process when the server has ended, also where that was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(0)


# -- functions that run in the process --------------------------------------------------------------------------------


def find_devices() -> list[str]:
    """The devices of this machine that jobs run on: all GPUs, or else the CPU."""
    import torch

    if torch.cuda.is_available():
        return [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    return ["mps"] if torch.backends.mps.is_available() else ["cpu"]


def describe(path: str) -> Facts:
    """What the source at `path` is.

    Raises:
        UserError: It cannot be read.
    """
    from lonepair.api.toolkit import open_source

    source = open_source(path)
    h, w = source.size
    frames = source.frame_count if source.is_clip and source.frame_count else None
    if frames is None:
        frames = len(source.times()) if source.is_clip else 1
    return Facts(source.is_clip, w, h, frames, float(source.rate or 0))


def check_training(task: Mapping[str, Any]) -> None:
    """Refuse wrong inputs and settings of a training before it is put into the queue.

    Args:
        task: `inputs`, `method`, `preset` and `settings`, as `tasks.train` takes them.

    Raises:
        UserError: for the first one that is wrong.
    """
    import lonepair

    lonepair.Job.prepare(task["inputs"], task["method"], task["preset"], task["settings"])


def check_model(path: str, folder: str) -> dict[str, Any]:
    """Check a model file as the command line does, and write pictures of what it has learned.

    Args:
        path: The file.
        folder: Folder that receives a.png, and of a model of a pair b.png.

    Returns:
        `method`, `preset` and whether the model is one of a pair (`is_pair`).

    Raises:
        UserError: It is no model, is damaged, or is of a later version.
    """
    import lonepair

    model = lonepair.load(path, threads=1)
    sample = model.sample(1, seed=0)[0]
    for domain, image in sample.items():
        lonepair.Picture(image).save(Path(folder) / f"{domain}.png", overwrite=True)
    settings = model.settings
    return {"method": model.method.name, "preset": str(settings.get("preset", "")), "is_pair": len(sample) > 1}


def canvas(path: str, index: int, side: int) -> Any:
    """Frame number `index` of a source as an RGB PIL image whose longest side has `side` pixels, to paint on."""
    image = _frame(path, index).pil().convert("RGB")
    scale = side / max(image.size)
    return image.resize([max(1, round(length * scale)) for length in image.size])


def live_frame(
    source: str,
    index: int,
    models: Sequence[str],
    styles: Sequence[str],
    settings: Mapping[str, Any],
    masks: Sequence[str],
) -> tuple[Any, Any]:
    """Frame number `index` and its translation, as PIL images of one size, of at most `LIVE_SIDE` pixels.

    Large texture is synthesized in fewer pixels, and enlarged.

    Args:
        source: Path of an image or a clip.
        index: Number of the frame.
        models: Run folder or model file for each style; empty text: none is trained, the preview method is used.
        styles: Path of each style picture.
        settings: Of `Model.translate`.
        masks: Paths of masks: none, one, or one for each of several styles.

    Raises:
        UserError: for inputs that cannot be read, and settings that the models do not allow.
    """
    import lonepair

    frame = _frame(source, index)
    image = _fit_inside(frame.pil(), LIVE_SIDE)
    loaded = [_model(model, source, style) for model, style in zip(models, styles, strict=True)]
    if not all(models):
        longest = max(frame.image.shape[-2:])
        settings = {**settings, "texture_size": _untrained_texture_size(settings, longest, styles[0])}
    if len(loaded) > 1 and masks:
        translation = lonepair.translate_regions(frame.image, loaded, masks, **settings)
    else:
        translation = loaded[0].translate(frame.image, mask=masks[0] if masks else None, **settings)
    return image, translation.preview(LIVE_SIDE, LIVE_TARGET_SIDE).pil().resize(image.size)


def _untrained_texture_size(settings: Mapping[str, Any], longest: int, style: str) -> float | Literal["auto"]:
    """The `texture_size` with which the preview method, whose target is smaller, shows what a training will give.

    Args:
        settings: Of `Model.translate` with the trained model.
        longest: Longest side of the source in pixels.
        style: Path of the style picture.
    """
    import lonepair

    style_side = max(_frame(style, 0).image.shape[-2:])
    trained_side: int = min(style_side, lonepair.get_method("lonepair").config_class().exemplar_max_side)
    value = settings.get("texture_size", "auto")
    if value == "auto":
        if longest <= trained_side:
            return "auto"
        value = 1.0
    scale: float = value * trained_side / min(style_side, LIVE_SIDE)
    return scale


def _frame(path: str, index: int) -> Any:
    """Frame number `index` of a source as a `Picture`.

    Raises:
        UserError: There is no such frame.
    """
    from lonepair import Picture
    from lonepair.api.toolkit import open_source

    source = open_source(path)
    frame = next(source.frames(index if source.is_clip else 0), None)
    if frame is None:
        raise UserError(f"{source.name}: has no frame {index}")
    return Picture(frame.image)


def _model(path: str, source: str, style: str) -> Any:
    """The trained model at `path`, or without one the preview model of the pair; the last few stay loaded."""
    import lonepair

    if path:
        file = Path(path) / "model.safetensors" if Path(path).is_dir() else Path(path)
        key: tuple[object, ...] = (str(file), file.stat().st_mtime_ns if file.exists() else 0)
    else:
        key = (source, style)
    if key not in _MODELS:
        if path:
            _MODELS[key] = lonepair.load(path, threads=1)
        else:
            pair = _frame(source, 0).image, _frame(style, 0).image
            _MODELS[key] = lonepair.fit_pair(
                *pair, method=PREVIEW_METHOD, preset=PREVIEW_PRESET, exemplar_max_side=LIVE_SIDE, threads=1
            )
    _MODELS.move_to_end(key)
    while len(_MODELS) > MODELS:
        _MODELS.popitem(last=False)
    return _MODELS[key]


def _fit_inside(image: Any, side: int) -> Any:
    """`image` within `side` pixels; transparent pixels stay."""
    scale = side / max(image.size)
    return image if scale >= 1 else image.resize([max(1, round(length * scale)) for length in image.size])
