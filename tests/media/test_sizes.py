"""Sizes for training and use."""

from lonepair.media.sizes import fit_inside


def test_fit_inside_rounds_up_and_never_enlarges() -> None:
    assert fit_inside((480, 640), 320) == (240, 320)
    assert fit_inside((30, 40), 320) == (30, 40)
    assert fit_inside((1000, 3), 100) == (100, 1)
    assert fit_inside((333, 500), 250) == (167, 250)
