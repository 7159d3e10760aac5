"""SIFID, with random weights: identities, symmetry, order under blur, and refused files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from lonepair.errors import UserError
from lonepair.metrics import sifid
from lonepair.metrics.sifid import check_weights, frechet
from synthetic_images import blobs, blur, save_inception_weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Random weights of the right shapes as a .safetensors and a .pth file."""
    path = tmp_path / "inception.safetensors"
    save_inception_weights(path)
    torch.save(load_file(path), path.with_suffix(".pth"))
    return path


@pytest.mark.parametrize("features", [64, 192])
def test_sifid_is_zero_for_equal_images_and_symmetric(weights: Path, features: int) -> None:
    image, other = blobs(60, 66), blobs(70, 60, 1)
    assert sifid(image, image, weights, features) == pytest.approx(0, abs=1e-6)
    assert sifid(image, other, weights, features) > 1e-3
    assert sifid(image, other, weights, features) == pytest.approx(sifid(other, image, weights, features), rel=1e-4)


@pytest.mark.parametrize("features", [64, 192])
def test_sifid_grows_with_blur(weights: Path, features: int) -> None:
    image = blobs(60, 66)
    values = [sifid(blur(image, factor), image, weights, features) for factor in (1, 2, 4)]
    assert values == sorted(values)


def test_sifid_is_the_same_with_both_kinds_of_files(weights: Path) -> None:
    image, other = blobs(60, 66), blobs(70, 60, 1)
    assert sifid(image, other, weights) == pytest.approx(sifid(image, other, weights.with_suffix(".pth")))


def test_sifid_of_a_tensor_equals_that_of_its_8_bit_file(weights: Path) -> None:
    image = blobs(60, 66)
    saved = (image * 127.5 + 127.5).round() / 127.5 - 1
    assert sifid(saved, image, weights) == pytest.approx(0, abs=1e-9)


def test_frechet_agrees_with_its_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    points = [torch.randn(8, 40, generator=generator, dtype=torch.float64) * (1 + i) + i for i in range(2)]
    (m, c), (m2, c2) = ((p.mean(1), torch.cov(p)) for p in points)
    values, vectors = np.linalg.eig((c @ c2).numpy())
    root = vectors @ np.diag(np.sqrt(values.astype(complex))) @ np.linalg.inv(vectors)
    assert np.allclose(root @ root, (c @ c2).numpy())
    expected = float((m - m2).square().sum()) + np.trace((c + c2).numpy() - 2 * root.real)
    assert frechet(m, c, m2, c2) == pytest.approx(expected, rel=1e-6)


def test_sifid_refuses_other_files(weights: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    save_file({"a": torch.zeros(2)}, wrong)
    with pytest.raises(UserError, match=r"Conv2d_1a_3x3.conv.weight is missing"):
        check_weights(wrong)
    wrong.write_bytes(b"no such thing")
    with pytest.raises(UserError, match="cannot be read"):
        check_weights(wrong)
    with pytest.raises(UserError, match="no such file"):
        sifid(blobs(60, 66), blobs(60, 66), tmp_path / "none.pth")


def test_sifid_refuses_other_numbers_of_features_and_small_images(weights: Path) -> None:
    image = blobs(60, 66)
    with pytest.raises(UserError, match="features is 65"):
        sifid(image, image, weights, 65)
    with pytest.raises(UserError, match=r"20x60 pixels .*too small.*27 pixels"):
        sifid(image[..., :20], image, weights)
