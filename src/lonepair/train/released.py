"""Reads the models that the authors' code of SinGAN, ConSinGAN and Structural Analogy saved.

Their generators have the layers of ours under other names. Widths, numbers of layers and sizes come from the weights.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lonepair.errors import UserError
from lonepair.methods import get_method
from lonepair.methods.config import Config
from lonepair.methods.types import Plan, Size
from lonepair.train.checkpoint_files import StandIn, parts, read_checkpoint, state_dict

TASKS = {
    "generation": "generation",
    "retarget": "retargeting",
    "animation": "animation",
    "harmonization": "harmonization",
    "editing": "editing",
}
"""Training mode of ConSinGAN's code -> our task."""
_USUAL_MIN_SIZES = {11: 18, 10: 25}
"""Stages of a model of Structural Analogy at 220 pixels -> the --min_size of its authors' commands."""
_AVERAGES = ("running_mean", "running_var", "num_batches_tracked")
"""Buffers of BatchNorm."""


@dataclass(frozen=True)
class Converted:
    """A model of the authors' code in our terms."""

    method: str
    config: Config
    plan: Plan
    tensors: dict[str, Tensor]
    """Name in our model's state -> tensor."""


# -- SinGAN -----------------------------------------------------------------------------------------------------------


def read_singan(folder: Path) -> Converted:
    """The model in a folder of SinGAN's code: Gs.pth, Zs.pth and NoiseAmp.pth.

    Raises:
        UserError: A file is missing or is not what that code saves.
        ValueError: Its layers or sizes are not those of the method.
    """
    generators, _ = _stages(folder, "Gs.pth", "{stage}/netG.pth")
    noises, amplitudes = _list(folder / "Zs.pth"), _list(folder / "NoiseAmp.pth")
    _same_count(folder, generators, noises, "Zs.pth")
    _same_count(folder, generators, amplitudes, "NoiseAmp.pth")
    layers = _layer_count(generators[0])
    # A stage's noise covers the padding: of an animation with noise, else with zeros.
    sizes = [(noise.shape[-2] - 2 * layers, noise.shape[-1] - 2 * layers) for noise in noises]
    is_animation = bool(noises[0][..., 0, :].any())
    fixed = noises[0][:1, :1] if is_animation else noises[0][:1, :1, layers:-layers, layers:-layers]
    tensors = {"g.amplitudes": _amplitudes(amplitudes), "reconstruction_noise.value": fixed.float()}
    for stage, generator in enumerate(generators):
        tensors |= _stage_tensors(generator, f"g.stages.{stage}", keeps_averages=True)
    settings = {
        **_stage_settings(generators, layers),
        **_size_settings(sizes),
        "task": "animation" if is_animation else "generation",
    }
    config = get_method("singan").config_class.from_flat(settings)
    return Converted("singan", config, _plan(generators[0]["head.conv.weight"].shape[1], sizes), tensors)


# -- ConSinGAN --------------------------------------------------------------------------------------------------------


def read_consingan(folder: Path) -> Converted:
    """The model in a folder of ConSinGAN's code: G.pth, fixed_noise.pth and noise_amp.pth.

    Raises:
        UserError: A file is missing or is not what that code saves.
        ValueError: Its layers or sizes are not those of the method.
    """
    network = read_checkpoint(folder / "G.pth")
    theirs = state_dict(network) if isinstance(network, StandIn) else {}
    options = vars(network).get("opt") if theirs else None
    mode = getattr(options, "train_mode", None)
    slopes = {float(vars(part).get("negative_slope", -1)) for part in parts(network) if _kind(part) == "LeakyReLU"}
    if mode not in TASKS or len(slopes) != 1:
        raise UserError(
            f"{folder / 'G.pth'}: not a generator of ConSinGAN's code with LeakyReLU; give the folder of one"
        )
    fixed, amplitudes = _list(folder / "fixed_noise.pth"), _list(folder / "noise_amp.pth")
    stages = len({name.split(".")[1] for name in theirs if name.startswith("body.")})
    blocks = len({name.split(".")[2] for name in theirs if name.startswith("body.0.")})
    if not len(fixed) == len(amplitudes) == stages:
        raise UserError(
            f"{folder}: G.pth has {stages} stages, fixed_noise.pth {len(fixed)} and noise_amp.pth "
            f"{len(amplitudes)}; give the files of one training"
        )
    # The fixed maps above stage 0 cover the padding where the features are enlarged.
    margin = 2 * blocks if mode in ("generation", "animation") else 0
    sizes = [(m.shape[-2] - (margin if n else 0), m.shape[-1] - (margin if n else 0)) for n, m in enumerate(fixed)]
    has_norm = "head.norm.weight" in theirs
    tensors = {"g.amplitudes": _amplitudes(amplitudes), "reconstruction_input.value": fixed[0][:1].float()}
    for name, value in theirs.items():
        ours = _consingan_name(name)
        if ours is not None:
            tensors[ours] = value.float()
    settings = {
        **_size_settings(sizes),
        "width": theirs["head.conv.weight"].shape[0],
        "stages": stages,
        "blocks_per_stage": blocks,
        "leaky_slope": slopes.pop(),
        # Its code never leaves BatchNorm's training mode: each image has its own statistics.
        "normalization": "instance" if has_norm else "none",
        "task": TASKS[mode],
    }
    config = get_method("consingan").config_class.from_flat(settings)
    return Converted("consingan", config, _plan(theirs["head.conv.weight"].shape[1], sizes), tensors)


def _consingan_name(name: str) -> str | None:
    """Our name of a tensor of ConSinGAN's generator; None of a running average, which it never reads."""
    if name.endswith(_AVERAGES):
        return None
    name = re.sub(r"^body\.(\d+)\.block(\d+)\.", r"bodies.\1.\2.", name)
    return "g." + name.replace(".conv.", ".0.").replace(".norm.", ".1.")


# -- Structural Analogy -----------------------------------------------------------------------------------------------


def read_structural_analogy(folder: Path, image_size: int, min_size: int) -> Converted:
    """The model in a folder of Structural Analogy's code: the files Gs and NoiseAmp of both images.

    Raises:
        UserError: A file is missing or is not what that code saves, or its sizes are unknown.
        ValueError: Its layers or sizes are not those of the method.
    """
    read = {d: _stages(folder, f"Gs_{d}.pth", f"netG_{d}_{{stage}}.pth") for d in "ab"}
    generators = {domain: states for domain, (states, _) in read.items()}
    stages = len(generators["a"])
    _same_count(folder, generators["a"], generators["b"], "Gs_b.pth")
    if not min_size and (image_size != 220 or stages not in _USUAL_MIN_SIZES):
        raise UserError(f"{folder}: has {stages} stages; give image_size and min_size of its training")
    settings = {
        **_stage_settings(generators["a"], _layer_count(generators["a"][0])),
        "max_side": image_size,
        "min_side": min_size or _USUAL_MIN_SIZES[stages],
        "square": True,
        "as_released": True,
        # Without the classes' names: the number of its authors' commands.
        "replacing_stages": read["a"][1].count("Generator_no_res") if read["a"][1] else 2,
    }
    method_class = get_method("structural-analogy")
    config, size = method_class.config_class.from_flat(settings), (image_size, image_size)
    channels = generators["a"][0]["head.conv.weight"].shape[1]
    plan = method_class.plan_for(config, channels, dict.fromkeys("ab", size), dict.fromkeys("ab", size))
    if plan.stages != stages:
        raise ValueError(f"it has {stages} stages, {config.size.min_side} to {image_size} pixels have {plan.stages}")
    tensors = {}
    for domain in "ab":
        amplitudes = _list(folder / f"NoiseAmp_{domain}.pth")
        _same_count(folder, generators[domain], amplitudes, f"NoiseAmp_{domain}.pth")
        tensors[f"g_{domain}.amplitudes"] = _amplitudes(amplitudes)
        # Its code reconstructs from new noise, so that its files hold no z*; no use needs one.
        tensors[f"reconstruction_noise_{domain}.value"] = torch.zeros(1, channels, *plan.sizes(size)[0])
        for stage, generator in enumerate(generators[domain]):
            tensors |= _stage_tensors(generator, f"g_{domain}.stages.{stage}", keeps_averages=False)
    return Converted("structural-analogy", config, plan, tensors)


# -- parts of several -------------------------------------------------------------------------------------------------


def _kind(part: StandIn) -> str:
    return part.source.rpartition(".")[2]


def _list(path: Path) -> list[Any]:
    """The list that the file holds.

    Raises:
        UserError: It holds none.
    """
    values = read_checkpoint(path)
    if not isinstance(values, list) or not values or not all(isinstance(v, Tensor | int | float) for v in values):
        raise UserError(f"{path}: not a list of tensors or numbers; give the folder that the authors' code saved")
    return values


def _amplitudes(values: Sequence[Any]) -> Tensor:
    return torch.tensor([float(value) for value in values])


def _stages(folder: Path, name: str, single: str) -> tuple[list[dict[str, Tensor]], list[str]]:
    """The state of each stage's generator, and the name of its class.

    They come from the list in the file `name` or, without names, from a file `single` of each stage.

    Raises:
        UserError: Neither can be read.
    """
    kinds: list[str] = []
    try:
        networks = read_checkpoint(folder / name)
        networks = networks if isinstance(networks, list) else []
        states = [state_dict(network) for network in networks if isinstance(network, StandIn)]
        kinds = [_kind(network) for network in networks if isinstance(network, StandIn)]
    except UserError:
        # Old versions of torch write classes in another way; the files of single stages hold weights alone.
        if not (folder / single.format(stage=0)).exists():
            raise
        states = []
        while (file := folder / single.format(stage=len(states))).exists():
            states.append(dict(read_checkpoint(file)))
    if not states or any("head.conv.weight" not in state for state in states):
        raise UserError(f"{folder / name}: no list of generators of the authors' code; give the folder that it saved")
    return states, kinds


def _same_count(folder: Path, generators: Sequence[Any], others: Sequence[Any], name: str) -> None:
    if len(generators) != len(others):
        raise UserError(
            f"{folder / name}: has {len(others)} stages, the generators have {len(generators)}; give the "
            "files of one training"
        )


def _layer_count(generator: Mapping[str, Tensor]) -> int:
    """Number of convolutions."""
    return sum(value.dim() == 4 for value in generator.values())


def _stage_tensors(generator: Mapping[str, Tensor], prefix: str, keeps_averages: bool) -> dict[str, Tensor]:
    """The tensors of a stage's generator by our names."""
    blocks = ["head", *(f"body.block{index}" for index in range(1, _layer_count(generator) - 1))]
    names = {
        f"{block}.{layer}.": f"{prefix}.body.{index}.{at}."
        for index, block in enumerate(blocks)
        for at, layer in enumerate(("conv", "norm"))
    }
    names["tail.0."] = f"{prefix}.tail.0."
    tensors = {}
    for name, value in generator.items():
        start, _, last = name.rpartition(".")
        if not keeps_averages and last in _AVERAGES:
            continue
        # A name that is not of theirs stays, and is refused with the others' shapes.
        tensors[names.get(f"{start}.", f"{prefix}.{start}.") + last] = (
            value if last.startswith("num") else value.float()
        )
    return tensors


def _stage_settings(generators: Sequence[Mapping[str, Tensor]], layers: int) -> dict[str, Any]:
    widths = [generator["head.conv.weight"].shape[0] for generator in generators]
    return {"width": widths[0], "max_width": max(widths), "convolutions": layers}


def _size_settings(sizes: Sequence[Size]) -> dict[str, int]:
    return {"min_side": min(sizes[0]), "max_side": max(sizes[-1])}


def _plan(channels: int, sizes: Sequence[Size]) -> Plan:
    """The plan of one image with exactly these sizes.

    Raises:
        ValueError: One factor gives no stage's height and width at once.
    """
    h, w = sizes[-1]
    # Slightly smaller: a rounding error would be rounded up by a pixel.
    factors = [min(size[0] / h, size[1] / w) * (1 - 1e-12) for size in sizes[:-1]] + [1.0]
    plan = Plan(channels, {"a": (h, w)}, factors)
    if plan.sizes((h, w)) != list(sizes):
        raise ValueError(
            f"its sizes {_text(sizes)} are those of no pyramid, the nearest is {_text(plan.sizes((h, w)))}"
        )
    return plan


def _text(sizes: Sequence[Size]) -> str:
    return " ".join(f"{w}x{h}" for h, w in sizes)
