"""SIFID: Fréchet distance between the Inception features of the patches of two images (SinGAN, sec. 3)."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from lonepair.errors import UserError
from lonepair.media.files import check_file

LAYERS = (
    ("Conv2d_1a_3x3", (32, 3, 3, 3), 2, 0),
    ("Conv2d_2a_3x3", (32, 32, 3, 3), 1, 0),
    ("Conv2d_2b_3x3", (64, 32, 3, 3), 1, 1),
    ("Conv2d_3b_1x1", (80, 64, 1, 1), 1, 0),
    ("Conv2d_4a_3x3", (192, 80, 3, 3), 1, 0),
)
"""The stem of Inception v3: name, weight shape, stride, padding; each convolution has no bias, then BatchNorm, ReLU."""
_NORMAL = ("running_mean", "running_var", "weight", "bias")
_EPSILON = 1e-3
_SMALLEST = 27
"""Pixels on the shortest side from which 192 features have more than one place to be measured at."""


def sifid(
    output: Float[Tensor, "1 c h w"],
    image: Float[Tensor, "1 c2 h2 w2"],
    weights: str | Path,
    features: int = 64,
) -> float:
    """Single-image FID: 0 for equal images; symmetric; no upper bound. About 0.3 s at 250x250.

    Args:
        weights: State of the FID Inception network as its PyTorch port names it (`Conv2d_1a_3x3.conv.weight`, ...), a
            `.pth` (read with `weights_only`) or `.safetensors` file. Nothing is downloaded.
        features: 64, after the first pooling, as SinGAN's released code measures; or 192, before the second, as its
            paper says. The two are different numbers: name the one that you report.

    Both images are first rounded to 8 bits, so that a tensor and the file it was saved in measure the same.

    Raises:
        UserError: for a file without these weights, an unknown `features`, or an image below 27 pixels.
    """
    if features not in (64, 192):
        raise UserError(f"features is {features}: choose 64 (SinGAN's code) or 192 (its paper)")
    tensors = _read(Path(weights).expanduser())
    mean, covariance = _statistics(output, tensors, features)
    other_mean, other_covariance = _statistics(image, tensors, features)
    return frechet(mean, covariance, other_mean, other_covariance)


def frechet(
    mean: Float[Tensor, " f"],
    covariance: Float[Tensor, "f f"],
    mean2: Float[Tensor, " f"],
    covariance2: Float[Tensor, "f f"],
) -> float:
    """|m₁ - m₂|² + Tr(C₁ + C₂ - 2·(C₁C₂)^½): squared Wasserstein-2 distance of two Gaussians (Dowson, Landau 1982)."""
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    # C₁C₂ has the eigenvalues of the symmetric C₁^½·C₂·C₁^½, whose root needs no complex numbers.
    cross = torch.linalg.eigvalsh(root @ covariance2 @ root).clamp(min=0).sqrt().sum()
    return max(0.0, float((mean - mean2).square().sum() + covariance.trace() + covariance2.trace() - 2 * cross))


def _statistics(
    image: Tensor, tensors: Mapping[str, Tensor], features: int
) -> tuple[Float[Tensor, " f"], Float[Tensor, "f f"]]:
    if min(image.shape[-2:]) < _SMALLEST:
        raise UserError(f"an image of {image.shape[-1]}x{image.shape[-2]} pixels is too small for SIFID: {_SMALLEST}")
    image = image[:, :3].expand(-1, 3, -1, -1).detach().cpu().float()
    image = (image.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    for index, (name, _, stride, padding) in enumerate(LAYERS):
        if index == 3:
            image = F.max_pool2d(image, 3, 2)
            if features == 64:
                break
        mean, variance, scale, shift = (tensors[f"{name}.bn.{part}"] for part in _NORMAL)
        drawn = F.conv2d(image, tensors[f"{name}.conv.weight"], stride=stride, padding=padding)
        image = F.relu(F.batch_norm(drawn, mean, variance, scale, shift, training=False, eps=_EPSILON))
    places = image[0].flatten(1).double()
    return places.mean(1), torch.cov(places)


def check_weights(path: Path) -> None:
    """Refuse a file that `sifid` could not use, before there is anything to measure.

    Raises:
        UserError: naming what is missing.
    """
    _read(path)


@functools.lru_cache(maxsize=2)
def _read(path: Path) -> Mapping[str, Tensor]:
    """The stem's weights.

    Raises:
        UserError: naming what is missing.
    """
    check_file(path, "the weights of the FID Inception network")
    try:
        found = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        what = str(error).splitlines()[0][:80]
        raise UserError(f"{path}: cannot be read ({what}); give a .pth or .safetensors file") from None
    if not isinstance(found, Mapping):
        raise UserError(f"{path}: holds {type(found).__name__}, not named weights; give the network's state")
    wanted: dict[str, tuple[int, ...]] = {}
    for layer, shape, _, _ in LAYERS:
        wanted[f"{layer}.conv.weight"] = shape
        wanted |= {f"{layer}.bn.{part}": shape[:1] for part in _NORMAL}
    for name, needed in wanted.items():
        if name not in found or tuple(found[name].shape) != needed:
            has = tuple(found[name].shape) if name in found else "missing"
            raise UserError(f"{path}: {name} is {has}, must be {needed}; give the state of the FID Inception network")
    return {name: found[name].float() for name in wanted}
