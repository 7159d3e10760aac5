"""Resizing: sizes, agreement with torch and Pillow, gradients, and single rows."""

import numpy as np
import pytest
import torch
from PIL import Image

from lonepair.ops.resize import resize, resize_align_corners, resize_features, resize_image, resize_rows


def test_resize_to_the_same_size_returns_the_same_tensor() -> None:
    image = torch.rand(1, 3, 7, 9)
    assert resize(image, (7, 9)) is image


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (7, 20), (20, 9), (33, 41)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_output_has_the_requested_size(size: tuple[int, int], channels: int) -> None:
    assert resize(torch.rand(2, channels, 7, 9), size).shape == (2, channels, *size)


@pytest.mark.parametrize("size", [(3, 5), (20, 31), (3, 31)])
def test_a_constant_image_stays_constant(size: tuple[int, int]) -> None:
    assert torch.allclose(resize(torch.full((1, 3, 11, 13), 0.3), size), torch.tensor(0.3), atol=1e-6)


def test_shrinking_is_antialiased() -> None:
    """Stripes of one pixel become their mean; without antialiasing every other one would survive."""
    stripes = torch.ones(1, 1, 64, 64)
    stripes[..., ::2] = -1
    inner = resize(stripes, (16, 16))[..., 2:-2]
    assert inner.abs().max() < 0.01


def test_shrinking_keeps_the_mean() -> None:
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(resize(image, (16, 24)).mean(), image.mean(), atol=0.01)


def test_resize_shifts_no_pixel_centers() -> None:
    """A resized ramp is the ramp at the new pixels' centers."""
    ramp = (torch.arange(32.0) + 0.5).expand(1, 1, 32, 32) / 32
    shrunk = resize(ramp, (16, 16))[0, 0, 0, 2:-2]
    assert torch.allclose(shrunk, ((torch.arange(16.0) + 0.5) / 16)[2:-2], atol=1e-5)


def test_resize_image_stays_in_range() -> None:
    edge = torch.ones(1, 1, 8, 8)
    edge[..., :4] = -1
    assert resize(edge, (8, 32)).abs().max() > 1  # bicubic overshoots
    assert resize_image(edge, (8, 32)).abs().max() <= 1


def test_bfloat16_can_be_shrunk_and_enlarged_on_the_cpu() -> None:
    image = torch.rand(1, 3, 8, 8).bfloat16()
    assert resize(image, (4, 4)).shape[-2:] == (4, 4)
    assert resize(image, (16, 16)).shape[-2:] == (16, 16)


def test_gradient_reaches_every_pixel() -> None:
    for size in ((4, 4), (16, 16)):
        image = torch.rand(1, 1, 8, 8, requires_grad=True)
        resize(image, size).sum().backward()
        assert image.grad is not None
        assert (image.grad != 0).all()


@pytest.mark.parametrize("size", [(13, 10), (4, 5), (13, 5), (5, 13)])
def test_matrix_products_equal_torchs_kernel_and_gradient(size: tuple[int, int]) -> None:
    """For images with a gradient and for features; both axes enlarge, both shrink, and one of each."""
    values = torch.randn(2, 5, 7, 9, generator=torch.Generator().manual_seed(0))
    shrinks = size[0] < 7 or size[1] < 9
    for function, antialias in ((resize, True), (resize_features, shrinks)):
        inputs = values.clone().requires_grad_()
        actual = function(inputs, size)
        expected = torch.nn.functional.interpolate(inputs, size, mode="bicubic", antialias=antialias)
        torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)
        weights = torch.linspace(-1, 1, actual.numel()).reshape(actual.shape)
        (one,), (other,) = (torch.autograd.grad((t * weights).sum(), inputs) for t in (actual, expected))
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)
    assert resize_features(values, (7, 9)) is values


def test_enlarged_image_equals_pillows() -> None:
    image = torch.rand(1, 1, 20, 24, generator=torch.Generator().manual_seed(0))
    theirs = Image.fromarray(image[0, 0].numpy()).resize((30, 25), Image.Resampling.BICUBIC)
    assert torch.allclose(resize(image, (25, 30))[0, 0], torch.from_numpy(np.array(theirs)), atol=1e-4)


def test_aligned_corners_keep_their_values() -> None:
    """ConSinGAN's upsampling: the centers of the corner pixels stay in the corners."""
    image = torch.rand(1, 4, 7, 9)
    large = resize_align_corners(image, (20, 31))
    assert large.shape == (1, 4, 20, 31)
    ends = [0, -1]
    assert torch.allclose(large[..., ends, :][..., ends], image[..., ends, :][..., ends], atol=1e-6)


@pytest.mark.parametrize("size", [(20, 31), (7, 9), (8, 30)])
def test_aligned_corners_equal_torchs(size: tuple[int, int]) -> None:
    image = torch.rand(2, 3, 7, 9)
    expected = torch.nn.functional.interpolate(image, size, mode="bicubic", align_corners=True)
    assert torch.allclose(resize_align_corners(image, size), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(70, 90), (100, 45), (20, 31)])
def test_banded_matrices_equal_torchs_kernel_and_gradient(size: tuple[int, int]) -> None:
    """For more rows than a band has, enlarging and shrinking."""
    image = torch.rand(1, 2, 40, 57, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours, theirs = image.clone().requires_grad_(), image.clone().requires_grad_()
    output = resize_align_corners(ours, size)
    kernel = torch.nn.functional.interpolate(theirs, size, mode="bicubic", align_corners=True)
    assert torch.allclose(output, kernel, atol=1e-5)
    weight = torch.rand(kernel.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (output * weight).sum().backward()
    (kernel * weight).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-5)
    for rows in (slice(0, 3), slice(size[0] - 12, size[0]), slice(9, 20)):
        assert torch.allclose(resize_rows(image, size, rows, align_corners=True), kernel[:, :, rows], atol=1e-5)
