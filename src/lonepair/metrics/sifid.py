"""SIFID: the Fréchet distance between the Inception features of two images (SinGAN, sec. 3). Range [0, ∞).

FID compares two sets of images by one feature vector for each image. SIFID compares two images by the feature vectors
at all positions of an early layer, each of which describes a patch.
"""

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
from lonepair.storage.files import check_file

STEM_LAYERS = (
    ("Conv2d_1a_3x3", (32, 3, 3, 3), 2, 0),
    ("Conv2d_2a_3x3", (32, 32, 3, 3), 1, 0),
    ("Conv2d_2b_3x3", (64, 32, 3, 3), 1, 1),
    ("Conv2d_3b_1x1", (80, 64, 1, 1), 1, 0),
    ("Conv2d_4a_3x3", (192, 80, 3, 3), 1, 0),
)
"""The first layers of Inception v3 (name, weight shape, stride, padding): convolution without bias, BatchNorm, ReLU."""
_BATCH_NORM_TENSORS = ("running_mean", "running_var", "weight", "bias")
_EPSILON = 1e-3
_MIN_SIDE = 27
"""Pixels on the shortest side from which the map of 192 features has more than one position."""


def weight_shapes() -> dict[str, tuple[int, ...]]:
    """The name and shape of each tensor that a file of weights must hold."""
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, shape, _, _ in STEM_LAYERS:
        shapes[f"{layer}.conv.weight"] = shape
        shapes |= {f"{layer}.bn.{name}": shape[:1] for name in _BATCH_NORM_TENSORS}
    return shapes


def sifid(
    output: Float[Tensor, "1 c h w"],
    image: Float[Tensor, "1 c2 h2 w2"],
    weights: str | Path,
    features: int = 64,
) -> float:
    """The single-image Fréchet Inception distance of two images. About 0.3 s at 250x250 on one core.

    Both images are first rounded to 8 bits, so that a tensor and the file that it was saved to have the same value.

    Args:
        output: In [-1, 1].
        image: In [-1, 1]; it may have another size.
        weights: State of the FID Inception network with the names of its PyTorch port (`Conv2d_1a_3x3.conv.weight`,
            ...): a `.pth` (read with `weights_only`) or `.safetensors` file. Nothing is downloaded.
        features: 64: after the first pooling, as in SinGAN's released code. 192: before the second pooling, as in its
            paper. The two values do not compare; report which one was used.

    Returns:
        0 for equal images; symmetric; no upper bound.

    Raises:
        UserError: The file lacks these weights, `features` is neither 64 nor 192, or an image has fewer than 27 pixels
            on a side.
    """
    if features not in (64, 192):
        raise UserError(f"features is {features}: choose 64 (SinGAN's code) or 192 (its paper)")
    tensors = _read(Path(weights).expanduser())
    return frechet(*_statistics(output, tensors, features), *_statistics(image, tensors, features))


def frechet(
    mean: Float[Tensor, " f"],
    covariance: Float[Tensor, "f f"],
    mean2: Float[Tensor, " f"],
    covariance2: Float[Tensor, "f f"],
) -> float:
    """The squared Fréchet (Wasserstein-2) distance between two Gaussians (Dowson and Landau 1982)."""
    # The symmetric root of the first covariance; rounding can make small eigenvalues negative.
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T
    # C₁C₂ has the eigenvalues of the symmetric C₁^½·C₂·C₁^½, whose root needs no complex numbers.
    cross = torch.linalg.eigvalsh(root @ covariance2 @ root).clamp(min=0).sqrt().sum()
    # FID (Heusel et al. 2017, eq. 6): |m₁ - m₂|² + Tr(C₁ + C₂ - 2·(C₁C₂)^½)
    return max(0.0, float((mean - mean2).square().sum() + covariance.trace() + covariance2.trace() - 2 * cross))


def _statistics(
    image: Float[Tensor, "1 c h w"], tensors: Mapping[str, Tensor], features: int
) -> tuple[Float[Tensor, " f"], Float[Tensor, "f f"]]:
    """The mean and the covariance, over positions, of the image's features."""
    if min(image.shape[-2:]) < _MIN_SIDE:
        raise UserError(
            f"an image of {image.shape[-1]}x{image.shape[-2]} pixels (width x height) is too small for SIFID; give one "
            f"of {_MIN_SIDE} pixels or more on each side"
        )
    # Colors without alpha; grey repeats. Values are rounded to 8 bits.
    image = image[:, :3].expand(-1, 3, -1, -1).detach().cpu().float()
    values = (image.clamp(-1, 1) * 127.5 + 127.5).round() / 127.5 - 1
    for index, (name, _, stride, padding) in enumerate(STEM_LAYERS):
        # The first pooling lies between the third and the fourth convolution.
        if index == 3:
            values = F.max_pool2d(values, 3, 2)
            if features == 64:
                break
        values = F.conv2d(values, tensors[f"{name}.conv.weight"], stride=stride, padding=padding)
        mean, variance, weight, bias = (tensors[f"{name}.bn.{part}"] for part in _BATCH_NORM_TENSORS)
        values = F.relu(F.batch_norm(values, mean, variance, weight, bias, training=False, eps=_EPSILON))
    # Each position is one sample. Float64, because the covariance is close to singular for small images.
    positions = values[0].flatten(1).double()
    return positions.mean(1), torch.cov(positions)


def check_weights(path: Path) -> None:
    """Check that `sifid` can use the file, before anything is measured.

    Raises:
        UserError: The file cannot be read or lacks a tensor; the message names it.
    """
    _read(path)


@functools.lru_cache(maxsize=2)
def _read(path: Path) -> Mapping[str, Tensor]:
    """The tensors of `weight_shapes`, float32.

    Raises:
        UserError: The file cannot be read or lacks a tensor; the message names it.
    """
    check_file(path, "the weights of the FID Inception network")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        reason = str(error).splitlines()[0][:80]
        raise UserError(f"{path}: cannot be read ({reason}); give a .pth or .safetensors file") from None
    if not isinstance(state, Mapping):
        raise UserError(f"{path}: holds {type(state).__name__}, not named weights; give the network's state")
    shapes = weight_shapes()
    for name, shape in shapes.items():
        if name not in state or tuple(state[name].shape) != shape:
            has = tuple(state[name].shape) if name in state else "missing"
            raise UserError(f"{path}: {name} is {has}, must be {shape}; give the state of the FID Inception network")
    return {name: state[name].float() for name in shapes}
