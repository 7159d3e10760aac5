"""Converts checkpoints of the authors' code of SinGAN, ConSinGAN and Structural Analogy to models.

`released` reads the three layouts. Here the networks are compared with those that our methods have at these settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lonepair.errors import UserError
from lonepair.methods import get_method
from lonepair.methods.base import Method
from lonepair.ops.noise import seed_global
from lonepair.train.model_outline import check_finite, check_outline, check_plan
from lonepair.train.released import Converted, read_consingan, read_singan, read_structural_analogy


def convert(folder: Path, image_size: int = 220, min_size: int = 0) -> tuple[Method, dict[str, Any]]:
    """The model that a folder of the authors' code holds, and the record that its file states.

    Args:
        folder: The folder with Gs.pth (SinGAN), G.pth (ConSinGAN), or Gs_a.pth or netG_a_0.pth (Structural Analogy).
        image_size: --img_size of a training with Structural Analogy's code, which its files do not state.
        min_size: Its --min_size; 0: 18 with 11 stages, 25 with 10.

    Raises:
        UserError: The folder has no such files, one cannot be read safely, or its networks are not those of the method.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; give the one that the authors' code saved its model in")
    try:
        if (folder / "Gs_a.pth").exists() or (folder / "netG_a_0.pth").exists():
            return _model(folder, read_structural_analogy(folder, image_size, min_size))
        if (folder / "G.pth").exists():
            return _model(folder, read_consingan(folder))
        if (folder / "Gs.pth").exists() or (folder / "0" / "netG.pth").exists():
            return _model(folder, read_singan(folder))
    except UserError:  # names its file and the remedy
        raise
    except (ValueError, RuntimeError, LookupError, TypeError, AttributeError, OverflowError) as error:
        # Only a ValueError is a text of `released`. The others are tensors and lists of other kinds or shapes.
        reason = error if isinstance(error, ValueError) else "its files hold other values than those of that code"
        raise UserError(
            f"{folder}: {reason}; only models with the layers of the authors' code can be converted"
        ) from None
    raise UserError(
        f"{folder}: has no Gs.pth (SinGAN), G.pth (ConSinGAN) or Gs_a.pth (Structural Analogy); give the folder that "
        "the authors' code saved its model in"
    )


def _model(folder: Path, converted: Converted) -> tuple[Method, dict[str, Any]]:
    """The method with the converted weights, and its record.

    Raises:
        ValueError: Names or shapes are not those of the method.
        UserError: A weight is not finite.
    """
    config, plan, last = converted.config, converted.plan, converted.plan.stages - 1
    method_class = get_method(converted.method)
    check_plan(plan, last, config, method_class)
    outline = {name: tensor.to("meta") for name, tensor in converted.tensors.items()}
    check_outline(outline, method_class, config, plan, last)
    check_finite(converted.tensors)
    with seed_global(0):
        method = method_class(config, plan)
        for _ in range(plan.stages):
            method.add_stage()
    method.load_model_state(converted.tensors)
    method.nets.eval()
    inputs = {domain: {"name": folder.resolve().name} for domain in method_class.domains}
    record = {"method": method.name, "preset": "full", "config": config.to_dict(), "inputs": inputs}
    return method, {**record, "converted": True}
