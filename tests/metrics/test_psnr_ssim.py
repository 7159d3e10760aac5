"""PSNR and SSIM: closed forms, symmetry, and agreement with scikit-image."""

import math

import numpy as np
import pytest
import torch
from skimage import metrics as reference
from torch import Tensor

from lonepair.metrics import psnr, ssim
from synthetic_images import add_noise
from tiny_settings import picture


def as_array(image: Tensor) -> np.ndarray:
    return image[0].permute(1, 2, 0).numpy()


def test_psnr_has_its_closed_form() -> None:
    image = torch.zeros(1, 3, 8, 9)
    assert psnr(image, image) == math.inf
    assert psnr(image, image + 2) == pytest.approx(0)  # an error as large as the range
    assert psnr(image, image + 0.2) == pytest.approx(20)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("amount", [0.05, 0.5])
def test_psnr_and_ssim_agree_with_scikit_image(channels: int, amount: float) -> None:
    one = picture(40, 33, channels)
    other = add_noise(one, amount)
    a, b = as_array(one), as_array(other)
    assert psnr(one, other) == pytest.approx(reference.peak_signal_noise_ratio(a, b, data_range=2), abs=1e-3)
    expected = reference.structural_similarity(
        a, b, data_range=2, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert ssim(one, other) == pytest.approx(float(expected), abs=1e-4)


def test_ssim_of_equal_images_is_one() -> None:
    assert ssim(picture(40, 33), picture(40, 33)) == pytest.approx(1, abs=1e-6)


def test_psnr_and_ssim_are_symmetric_and_fall_with_noise() -> None:
    image = picture(40, 33)
    less_noise, more_noise = add_noise(image, 0.1), add_noise(image, 0.4)
    for metric in (psnr, ssim):
        assert metric(image, less_noise) == pytest.approx(metric(less_noise, image))
        assert metric(image, less_noise) > metric(image, more_noise)
