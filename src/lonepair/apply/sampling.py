"""Draw random images from a trained method: any size, any number, from any stage."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.apply.results import finished, stacked
from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.sheet import contact_sheet
from lonepair.methods.base import Method, Size
from lonepair.methods.single import SingleMethod
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.synthesis import Synthesizer

_BATCH_PIXELS = 1 << 20
"""So many pixels of the finest stage are drawn at once; features take some 500 bytes each."""


def sizes_for(method: Method, domain: str, size: Size | None, larger: float = 1.0) -> list[Size]:
    """(h, w) at every trained stage of an image that is to be `size`; None: as it was trained.

    Args:
        larger: So many times the last stage's the image will be.

    Raises:
        UserError: for a size below the coarsest stage's.
    """
    if size is None:
        return method.sizes[domain]
    smallest = math.ceil(method.config.size.min_side * larger)
    if min(size) < smallest:
        raise UserError(
            f"size is {size[1]}x{size[0]} (width x height): both sides need at least {smallest} pixels (min_side"
            + (
                " at the scale of the image's detail; draw more and reduce it, or leave detail out)"
                if larger > 1
                else ")"
            )
        )
    size = (round(size[0] / larger), round(size[1] / larger))
    shrunk = method.plan.factors[method.stage]  # a model that was cut short has not reached the finest stage
    full = (round(size[0] / shrunk), round(size[1] / shrunk))
    return [*method.plan.sizes(full)[: method.stage], size]


@torch.no_grad()
def sample(
    method: Method,
    engine: Engine,
    count: int,
    seed: int,
    size: Size | None = None,
    start: int = 0,
    finish: bool = True,
    detail: bool = True,
) -> dict[str, Float[Tensor, "n c h w"]]:
    """`count` random images of every domain in [-1, 1], on the CPU; those of a pair are aligned.

    Noise is drawn on the CPU from (seed, index), so that neither count nor device changes a picture (beyond rounding);
    above 1,048,576 pixels on the device, and a GPU's pictures are others. With `start`, the stages below it draw what
    they draw of the training image. With `finish`, pictures are finished with the patches that the method remembers, if
    it does, with `detail` up to the size of the images as they were given; `size` is then in their pixels, else in
    those that networks rng.

    Raises:
        UserError: for a count below 1, a size below the coarsest stage's, or a start stage that does not exist.
    """
    if count < 1:
        raise UserError(f"count is {count}: ask for 1 sample or more")
    if not 0 <= start <= method.stage:
        raise UserError(f"start is {start}, the model has {method.stage + 1} stages: choose 0 to {method.stage}")
    streams = [RandomStream.for_sample(seed, index, engine.device) for index in range(count)]
    finishing = method.domains if finish and method.remembers else ()
    synthesizers = {domain: Synthesizer.of(method, domain, start) for domain in finishing}
    larger = min((synthesizer.most for synthesizer in synthesizers.values()), default=1.0) if detail else 1.0
    sizes = {domain: sizes_for(method, domain, size, larger) for domain in method.domains}
    with engine.autocast():
        if isinstance(method, SingleMethod):
            drawn = {"a": _batched(method, sizes["a"], streams, start)}
        else:
            pairs = [method.sample(sizes, rng) for rng in streams]
            drawn = {domain: [images[domain] for images in pairs] for domain in method.domains}
    for domain, synthesizer in synthesizers.items():
        # Those of a pair are aligned: as large as the first domain's.
        wanted = size or synthesizers[method.domains[0]].size(larger)
        made = (synthesizer.synthesize(image.float().clamp(-1, 1), wanted).image for image in drawn[domain])
        drawn[domain] = [resize_image(image, wanted) for image in made]
    return {domain: stacked(images) for domain, images in drawn.items()}


def _batched(method: SingleMethod, sizes: Sequence[Size], streams: Sequence[RandomStream], start: int) -> list[Tensor]:
    """Random images (1, c, h, w), a batch at a time."""
    fixed = method.reconstruction_maps(sizes) if start else []
    # Which patch is nearest may hang on a rounding, and a batch of many rounds otherwise than one of one.
    at_once = 1 if method.remembers else max(1, _BATCH_PIXELS // (sizes[-1][0] * sizes[-1][1]))
    drawn: list[Tensor] = []
    for first in range(0, len(streams), at_once):
        random = [method.noise_maps(sizes, rng) for rng in streams[first : first + at_once]]
        # Of one alone a large map is not there whole.
        maps = random[0] if len(random) == 1 else [torch.cat(stage) for stage in zip(*random, strict=True)]
        below = [noise.expand(len(random), -1, -1, -1) for noise in fixed[:start]]
        drawn += method.render([*below, *maps[start:]], sizes).split(1)  # type: ignore[no-untyped-call]
    return drawn


def sample_stage_sheet(
    method: Method, engine: Engine, count: int, seed: int, size: Size | None = None
) -> Float[Tensor, "1 3 h w"]:
    """Every start stage in a row of its own, each with the same `count` seeds, so that nobody has to guess."""
    rows = []
    for start in range(method.stage + 1):
        images = sample(method, engine, count, seed, size, start, detail=False)["a"]
        rows.append([(f"start {start}, seed {seed}.{i}", images[i : i + 1]) for i in range(count)])
    return contact_sheet(rows, cell=192)


@torch.no_grad()
def reconstruction(method: Method, engine: Engine) -> Float[Tensor, "1 c h w"]:
    """What a method of one image makes of the noise that stands for its training image, in [-1, 1], on the CPU."""
    assert isinstance(method, SingleMethod)
    sizes = method.sizes["a"]
    with engine.autocast():
        image = method.render(method.reconstruction_maps(sizes), sizes)
    return finished(image)
