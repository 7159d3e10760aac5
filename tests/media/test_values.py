"""Pillow images, arrays and tensors as images."""

import numpy as np
import pytest
import torch
from PIL import Image

from lonepair.errors import UserError
from lonepair.media.values import as_image
from lonepair.ops.arrays import to_pil
from media_samples import random_pixels


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("P", 3), ("RGB", 3), ("CMYK", 3), ("YCbCr", 3), ("LAB", 3), ("LA", 4), ("RGBA", 4)],
)
def test_every_pillow_mode_becomes_1_3_or_4_channels(mode: str, channels: int) -> None:
    picture = Image.fromarray(random_pixels(6, 9, 4))
    if mode == "LAB":
        picture = Image.frombytes("LAB", (9, 6), random_pixels(6, 9, 3).tobytes())
    if mode not in ("LAB", "RGBA"):
        picture = picture.convert("LA" if mode == "LA" else "RGB").convert(mode)
    image = as_image(picture)
    assert image.shape == (1, channels, 6, 9)
    assert image.abs().max() <= 1


def test_arrays_tensors_and_pillow_images_give_the_same_image() -> None:
    array = random_pixels(6, 5, 3)
    image = as_image(array)
    assert torch.equal(as_image(array.astype(np.uint16) * 257), image)
    assert torch.equal(as_image(image[0]), image)
    assert torch.equal(as_image(image[0].permute(1, 2, 0).numpy()), image)
    assert torch.equal(as_image(torch.from_numpy(array).permute(2, 0, 1)), image)
    assert torch.equal(as_image(to_pil(image)), image)
    assert as_image(array[..., 0]).shape == as_image(torch.zeros(6, 5)).shape == (1, 1, 6, 5)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (np.zeros((4, 4, 2), np.uint8), r"\(4, 4, 2\) is not an image"),
        (np.zeros((3, 20, 30), np.uint8), "channels first"),
        (torch.zeros(20, 30, 3), "channels last"),
        (torch.zeros(2, 3, 4, 4), "2 images"),
        (torch.zeros(1, 5, 4, 4), r"\(1, 5, 4, 4\) is not an image"),
        (np.zeros((4, 4), bool), "holds bool"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "holds torch.int64"),
        (np.full((4, 4), np.nan), "not finite"),
        (torch.full((1, 4, 4), 255.0), r"from 255 to 255, not in \[-1, 1\]; give uint8"),
        (np.zeros((0, 4)), "no pixels"),
        (None, "a NoneType is not an image"),
    ],
)
def test_value_that_is_no_image_is_refused(value: object, says: str) -> None:
    with pytest.raises(UserError, match=says):
        as_image(value)
