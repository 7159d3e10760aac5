"""Windows: what they crop, and how they cover a mask."""

import pytest
import torch

from lonepair.patches.windows import Window, covering_windows


def test_a_window_crops_images_of_any_size_alike() -> None:
    window = Window((2, 6), (3, 9), (12, 16))
    for factor in (1, 3):
        image = torch.arange(12 * factor * 16 * factor).view(1, 1, 12 * factor, 16 * factor)
        part = window.crop(image)
        assert part.shape[-2:] == window.size((12 * factor, 16 * factor)) == (4 * factor, 6 * factor)
        assert torch.equal(part, image[..., 2 * factor : 6 * factor, 3 * factor : 9 * factor])
    assert window.share == pytest.approx(6 / 16)


@pytest.mark.parametrize("seed", range(5))
def test_windows_cover_every_pixel_with_its_margin(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, 60, 80, dtype=torch.bool)
    for _ in range(3):
        y, x = int(torch.randint(56, (), generator=generator)), int(torch.randint(76, (), generator=generator))
        mask[..., y : y + 4, x : x + 4] = True
    windows = covering_windows(mask, (30, 40), margin=2, min_side=6)
    assert windows
    for y, x in mask[0, 0].nonzero().tolist():
        row, column = y // 2, x // 2
        assert any(
            max(0, row - 2) >= w.rows[0] and min(30, row + 3) <= w.rows[1]
            and max(0, column - 2) >= w.columns[0] and min(40, column + 3) <= w.columns[1]
            for w in windows
        )  # fmt: skip
    for window in windows:
        assert window.rows[1] - window.rows[0] >= 6
        assert window.columns[1] - window.columns[0] >= 6


def test_an_empty_mask_needs_no_window_and_a_full_one_a_single() -> None:
    mask = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    assert covering_windows(mask, (10, 10), 1, 3) == []
    assert covering_windows(~mask, (10, 10), 1, 3) == [Window((0, 10), (0, 10), (10, 10))]


def test_strips_along_two_borders_stay_strips() -> None:
    mask = torch.zeros(1, 1, 100, 100, dtype=torch.bool)
    mask[..., :2], mask[..., :2, :] = True, True
    windows = covering_windows(mask, (50, 50), 2, 4)
    assert len(windows) == 2
    assert sum((w.rows[1] - w.rows[0]) * (w.columns[1] - w.columns[0]) for w in windows) < 600
