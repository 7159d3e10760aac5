"""Pyramid rules: published sizes, ratios, and the factors that several images share."""

from itertools import pairwise

import pytest
import torch

from lonepair.errors import UserError
from lonepair.ops.pyramid import (
    RULES,
    Size,
    consingan_factors,
    geometric_factors,
    pyramid,
    scale_size,
    shared_factors,
    singan_factors,
)

SIX_STAGES = [(25, 34), (32, 42), (42, 56), (63, 84), (126, 167), (188, 250)]
"""ConSinGAN's sizes for its default image, 188x250."""


def stage_sizes(full_sizes: list[Size], stages: int, min_side: int, rule: str) -> list[list[Size]]:
    factors = shared_factors(full_sizes, stages, min_side, rule)
    return [[scale_size(size, factor) for factor in factors] for size in full_sizes]


def test_consingan_sizes_are_the_published_ones() -> None:
    assert stage_sizes([(188, 250)], 6, 25, "consingan") == [SIX_STAGES]


def test_geometric_sizes_grow_by_one_ratio() -> None:
    factors = geometric_factors(9, 0.1)
    ratios = [b / a for a, b in pairwise(factors)]
    assert ratios == pytest.approx([0.1 ** (-1 / 8)] * 8)


def test_geometric_ratio_of_singans_default_image_is_near_three_quarters() -> None:
    factors = geometric_factors(9, 25 / 188)
    assert factors[0] == pytest.approx(25 / 188)
    assert factors[-2] == pytest.approx(0.777, abs=1e-3)


def test_singan_sizes_are_those_of_the_released_code() -> None:
    """The number of stages depends on the original size; a rounding error adds a pixel to the coarsest stage."""
    assert len(singan_factors((300, 400), (188, 250), 25)) == 9
    factors = singan_factors((188, 250), (188, 250), 25)
    assert len(factors) == 10
    assert scale_size((188, 250), factors[0]) == (26, 34)
    assert factors[-1] == 1


def test_consingan_is_denser_than_geometric_where_images_are_small() -> None:
    consingan, geometric = consingan_factors(6, 0.13), geometric_factors(6, 0.13)
    assert all(a < b for a, b in zip(consingan[1:-2], geometric[1:-2], strict=True))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("stages", range(2, 13))
def test_factors_grow_from_the_coarsest_to_one(rule: str, stages: int) -> None:
    factors = RULES[rule](stages, 0.2)
    assert len(factors) == stages
    assert factors[0] == pytest.approx(0.2)
    assert factors[-1] == 1
    assert factors == sorted(factors)


@pytest.mark.parametrize("rule", RULES)
def test_an_image_of_the_smallest_size_has_equal_stages(rule: str) -> None:
    assert stage_sizes([(25, 25)], 4, 25, rule) == [[(25, 25)] * 4]


def test_a_pair_shares_the_factors_of_its_shortest_side() -> None:
    wide, tall = stage_sizes([(101, 251), (333, 150)], 5, 25, "consingan")
    assert wide[0] == (25, 63)
    assert tall[0] == (83, 38)
    assert (wide[-1], tall[-1]) == ((101, 251), (333, 150))
    for (h, w), (h2, w2) in zip(wide, tall, strict=True):
        factor = h / 101
        for side, full in ((w, 251), (h2, 333), (w2, 150)):
            assert abs(side - factor * full) <= 1 + full / 101  # each side is rounded up by less than a pixel


def test_message_for_a_small_image_names_both_sizes_and_the_remedy() -> None:
    with pytest.raises(UserError, match=r"30x20 pixels .*25 pixels.*min_side") as error:
        stage_sizes([(100, 100), (20, 30)], 6, 25, "consingan")
    assert "\n" not in str(error.value)


def test_scaled_size_is_rounded_up() -> None:
    assert scale_size((188, 250), 1.0) == (188, 250)
    assert scale_size((10, 11), 0.5) == (5, 6)
    assert scale_size((3, 100), 0.01) == (1, 1)


@pytest.mark.parametrize("side", range(30, 300, 7))
def test_rounding_error_adds_no_pixel_to_the_coarsest_stage(side: int) -> None:
    assert stage_sizes([(side, side)], 6, 25, "consingan")[0][0] == (25, 25)


def test_levels_are_reduced_from_the_full_image() -> None:
    frames = torch.rand(2, 3, 41, 57) * 2 - 1
    sizes = stage_sizes([(41, 57)], 3, 12, "geometric")[0]
    levels = pyramid(frames, sizes)
    assert [tuple(level.shape) for level in levels] == [(2, 3, *size) for size in sizes]
    assert torch.equal(levels[-1], frames)
    assert torch.equal(levels[0], pyramid(frames, sizes[:1])[0])
