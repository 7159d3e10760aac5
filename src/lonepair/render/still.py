"""Translate one image with a model of one image: what edit, harmonize, paint and refine build on."""

from __future__ import annotations

import logging
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.sizes import fit_inside
from lonepair.methods.single import SingleMethod
from lonepair.ops.color import match_channels
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from lonepair.render.results import output_image
from lonepair.render.trained_model import TrainedModel, check_start_stage

PRESETS = {"edit": "editing", "harmonize": "harmonization", "superresolve": "superresolution"}
"""Use -> name of the preset that is made for it, in methods that have one."""

logger = logging.getLogger("lonepair")


def advise_preset(use: str, model: TrainedModel) -> None:
    """Log one line if the method has a preset for `use` and `model` was trained with other settings.

    Numbers of steps do not count.
    """
    method, preset = model.method, PRESETS[use]
    wanted = type(method.config).presets.get(preset, {})
    if all(getattr(method.config, name) == value for name, value in wanted.items() if name != "steps"):
        return
    logger.warning(
        "%s: this model has the preset %s; preset %s is made for it: lonepair train IMAGE --method %s --preset %s",
        use,
        model.settings.get("preset", "standard"),
        preset,
        method.name,
        preset,
    )


def start_stage_for(use: str, model: TrainedModel, start_stage: int | None) -> int:
    """`start_stage`, or the method's default for `use` where it is None.

    Raises:
        UserError: for a stage that the model does not have.
    """
    method: Any = model.method
    assert isinstance(method, SingleMethod)
    return check_start_stage(method.default_start_stage(use) if start_stage is None else start_stage, method)


@torch.no_grad()
def translate_still(
    model: TrainedModel, image: Float[Tensor, "1 c h w"], start_stage: int, seed: int
) -> Float[Tensor, "1 c2 h w"]:
    """Translate `image` with the stages from `start_stage` on: at its own size, in [-1, 1] on the CPU.

    Args:
        model: A model of one image.
        image: In [-1, 1]. Both sides need at least `min_side` pixels.
        start_stage: Stage at which the image enters; the model has it.
        seed: Random seed of the noise.

    Raises:
        UserError: for an image that is too small.
    """
    method, engine = model.method, model.engine
    own: tuple[int, int] = (image.shape[-2], image.shape[-1])
    if min(own) < method.config.size.min_side:
        raise UserError(
            f"the image has {own[1]}x{own[0]} pixels: both sides need at least {method.config.size.min_side} (min_side)"
        )
    sizes = method.plan.sizes(fit_inside(own, method.config.size.max_side))[: method.stage + 1]
    network_input = engine.to_device(resize_image(match_channels(image, method.plan.channels), sizes[-1]))
    rng = RandomStream(seed, place=engine.device, lazy=True)
    with engine.autocast():
        prediction = method.translate(network_input, sizes, method.domains[-1], start_stage, rng)
    return resize_image(output_image(prediction), own)
