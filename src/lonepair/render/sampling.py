"""Generate random images with a trained method: any size, any number, from any start stage."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.compute.engine import Engine
from lonepair.errors import UserError
from lonepair.media.sheet import contact_sheet
from lonepair.methods.base import Method
from lonepair.methods.single import SingleMethod
from lonepair.methods.types import Size
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.patches.config import SynthesisConfig
from lonepair.render.results import output_image
from lonepair.render.synthesizers import can_synthesize, synthesizer_for
from lonepair.render.trained_model import check_start_stage

BATCH_PIXELS = 1 << 20
"""Pixels of the finest stage that one batch computes; features take about 500 bytes each. It changes results only by
rounding."""


def sizes_for(method: Method, domain: str, size: Size | None, growth: float = 1.0) -> list[Size]:
    """(h, w) at every trained stage, of an image whose output has `size`.

    Args:
        size: (h, w) in pixels; None: the training size of `domain`.
        growth: Ratio by which patch synthesis enlarges the last stage's image to `size`.

    Raises:
        UserError: The size is below the coarsest stage's.
    """
    if size is None:
        return method.sizes[domain]
    smallest = math.ceil(method.config.size.min_side * growth)
    if min(size) < smallest:
        remedy = " at full size; sample a larger image and reduce it, or give full_size=False)" if growth > 1 else ")"
        text = f"size is {size[1]}x{size[0]} (width x height)"
        raise UserError(f"{text}: both sides need at least {smallest} pixels (min_side{remedy}")
    size = (round(size[0] / growth), round(size[1] / growth))
    # A model that was saved during its training ends below the planned finest stage.
    factor = method.plan.factors[method.stage]
    full = (round(size[0] / factor), round(size[1] / factor))
    return [*method.plan.sizes(full)[: method.stage], size]


@torch.no_grad()
def sample(
    method: Method,
    engine: Engine,
    count: int,
    seed: int,
    size: Size | None = None,
    start_stage: int = 0,
    synthesis: SynthesisConfig | None = None,
    full_size: bool = True,
    progress: Callable[[int], object] = lambda count: None,
) -> dict[str, Float[Tensor, "n c h w"]]:
    """`count` random images of every domain in [-1, 1], on the CPU; those of a pair are aligned.

    Noise depends on (seed, index) and is generated on the CPU, so that neither count nor device changes an image beyond
    rounding. Above 1,048,576 pixels the device generates it, and a GPU's images differ from a CPU's.

    Args:
        count: Number of images, 1 or more.
        seed: Random seed.
        size: (h, w) in pixels of the output; None: the training image's own.
        start_stage: The stages below reproduce the training image.
        synthesis: Settings of patch synthesis; None: the networks' images are the output.
        full_size: Whether synthesis enlarges images to the size of the exemplar's detail.
        progress: Called with the number of images that are complete since the last call; in all `count` of each domain.

    Raises:
        UserError: for a count below 1, a size below the coarsest stage's, or a start stage that does not exist.
    """
    if count < 1:
        raise UserError(f"count is {count}: choose 1 or more")
    check_start_stage(start_stage, method)
    # Sizes of the networks' images, which synthesis enlarges.
    domains = () if synthesis is None else method.domains
    synthesizers = {domain: synthesizer_for(method, domain, synthesis, start_stage) for domain in domains}
    growths = [synthesizer.max_growth for synthesizer in synthesizers.values()]
    growth = min(growths, default=1.0) if full_size else 1.0
    sizes = {domain: sizes_for(method, domain, size, growth) for domain in method.domains}
    # The networks' images.
    streams = [RandomStream.for_sample(seed, index, engine.device) for index in range(count)]
    progress_of_networks: Callable[[int], object] = (lambda count: None) if synthesizers else progress
    with engine.autocast():
        if isinstance(method, SingleMethod):
            layout_warp = None if synthesis is None else synthesis.layout_warp
            images = {"a": _sample_batches(method, sizes["a"], streams, start_stage, layout_warp, progress_of_networks)}
        else:
            pairs = []
            for rng in streams:
                pairs.append(method.sample(sizes, rng))
                progress_of_networks(len(method.domains))
            images = {domain: [pair[domain] for pair in pairs] for domain in method.domains}
    # Patch synthesis. Images of a pair are aligned: both get the first domain's size.
    for domain, synthesizer in synthesizers.items():
        output_size = size or synthesizers[method.domains[0]].target_size(growth)
        results = []
        for image in images[domain]:
            results.append(synthesizer.synthesize(image.float().clamp(-1, 1), output_size).image)
            progress(1)
        images[domain] = [resize_image(image, output_size) for image in results]
    return {domain: torch.cat([output_image(image) for image in each]) for domain, each in images.items()}


def _sample_batches(
    method: SingleMethod,
    sizes: Sequence[Size],
    streams: Sequence[RandomStream],
    start_stage: int,
    layout_warp: float | None,
    progress: Callable[[int], object],
) -> list[Tensor]:
    """Random images (1, c, h, w), one of each stream, computed in batches."""
    fixed = method.reconstruction_maps(sizes) if start_stage else []
    # The nearest patch may depend on rounding, and a batch rounds otherwise than a single image.
    batch = 1 if can_synthesize(method) else max(1, BATCH_PIXELS // (sizes[-1][0] * sizes[-1][1]))
    images: list[Tensor] = []
    for first in range(0, len(streams), batch):
        random = [method.sample_maps(sizes, rng, layout_warp) for rng in streams[first : first + batch]]
        # A single image's large maps are lazy and cannot be concatenated.
        maps = random[0] if len(random) == 1 else [torch.cat(stage) for stage in zip(*random, strict=True)]
        below = [noise.expand(len(random), -1, -1, -1) for noise in fixed[:start_stage]]
        images += method.render([*below, *maps[start_stage:]], sizes).split(1)  # type: ignore[no-untyped-call]
        progress(len(random))
    return images


def sample_stage_sheet(
    method: Method,
    engine: Engine,
    count: int,
    seed: int,
    size: Size | None = None,
    synthesis: SynthesisConfig | None = None,
) -> Float[Tensor, "1 3 h w"]:
    """Samples from every start stage, a stage in each row, all rows with the same `count` seeds."""
    rows = []
    for start_stage in range(method.stage + 1):
        images = sample(method, engine, count, seed, size, start_stage, synthesis, full_size=False)["a"]
        rows.append([(f"start stage {start_stage}, seed {seed}.{i}", images[i : i + 1]) for i in range(count)])
    return contact_sheet(rows, cell=192)


@torch.no_grad()
def reconstruction(method: Method, engine: Engine) -> Float[Tensor, "1 c h w"]:
    """The training image as a method of one image reconstructs it from its own noise (SinGAN's z*), in [-1, 1], on the
    CPU."""
    assert isinstance(method, SingleMethod)
    sizes = method.sizes["a"]
    with engine.autocast():
        image = method.render(method.reconstruction_maps(sizes), sizes)
    return output_image(image)
