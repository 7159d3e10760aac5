"""Reads checkpoints that the authors' code saved with `torch.save`, without running any code from them.

Their files hold whole networks, which a pickle describes by the names of their classes. Each of these names stands here
for a class without code, so that `torch.load(weights_only=True)` reads the attributes, and nothing else.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lonepair.errors import UserError, printable
from lonepair.storage.files import check_file


class StandIn:
    """An object of a class of the authors' code: its attributes without its functions."""

    source: str
    """Name of the class in the checkpoint."""


_CLASSES = (
    *("SinGAN.models.GeneratorConcatSkip2CleanAdd", "SinGAN.models.ConvBlock"),
    *("ConSinGAN.models.GrowingGenerator", "ConSinGAN.models.ConvBlock"),
    *("models.Generator", "models.Generator_no_res", "models.GeneratorConcatSkip2CleanAdd", "models.ConvBlock"),
    *(f"torch.nn.modules.activation.{name}" for name in ("Tanh", "LeakyReLU", "ELU", "PReLU", "SELU")),
    *(f"torch.nn.modules.container.{name}" for name in ("Sequential", "ModuleList")),
    *("torch.nn.modules.conv.Conv2d", "torch.nn.modules.batchnorm.BatchNorm2d", "torch.nn.modules.padding.ZeroPad2d"),
    "argparse.Namespace",
)
_STAND_INS = {name: type(name.rpartition(".")[2], (StandIn,), {"source": name}) for name in _CLASSES}
"""Name of a class in the authors' checkpoints -> its stand-in."""


def read_checkpoint(path: Path) -> Any:
    """What `torch.save` wrote to `path`, on the CPU, with a `StandIn` for every network.

    Raises:
        UserError: The file is missing, is no such file, or cannot be read without running code.
    """
    check_file(path, "a file of the authors' code")
    try:
        classes: list[Any] = [(stand_in, name) for name, stand_in in _STAND_INS.items()]
        with torch.serialization.safe_globals(classes), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly any kind for a file that it cannot read
        reason = printable((str(error).splitlines() or [type(error).__name__])[0], 120)
        raise UserError(
            f"{path}: cannot be read without running code from it ({reason}); load it with the authors' code and save "
            "it again with torch 1.6 or later"
        ) from None


def state_dict(network: object, prefix: str = "") -> dict[str, Tensor]:
    """The parameters and buffers of a network that was read, by the names of its own `state_dict`."""
    tensors: dict[str, Tensor] = {}
    attributes = vars(network)
    for kind in ("_parameters", "_buffers"):
        for name, value in dict(attributes.get(kind, {})).items():
            if isinstance(value, Tensor):
                tensors[prefix + name] = value.detach()
    for name, part in dict(attributes.get("_modules", {})).items():
        if isinstance(part, StandIn):
            tensors |= state_dict(part, f"{prefix}{name}.")
    return tensors


def parts(network: object) -> list[StandIn]:
    """The network and all its parts, from the outside in."""
    if not isinstance(network, StandIn):
        return []
    inner = dict(vars(network).get("_modules", {})).values()
    return [network, *(part for each in inner for part in parts(each))]
