import pytest
import torch
from torch import Tensor

from conftest import picture
from lonepair.metrics import copying, look_distance, structure
from lonepair.ops.resize import resize
from lonepair.patches.config import SynthesisConfig
from lonepair.patches.synthesis import Synthesizer
from lonepair.patches.texture import _first_true


def _grained(seed: int) -> Tensor:
    """The same blobs of colour, each time with other grain."""
    grain = torch.randn(1, 3, 48, 56, generator=torch.Generator().manual_seed(seed))
    return (picture(48, 56) + 0.3 * grain).clamp(-1, 1)


def test_finishing_brings_the_targets_grain_and_keeps_the_layout() -> None:
    target, drawn = _grained(0), picture(48, 56).flip(3)
    finished = Synthesizer(target, [0.6, 0.8, 1.0], SynthesisConfig(layout_scale=2 / 3)).synthesize(drawn).image
    assert look_distance(finished, target) < 0.8 * look_distance(drawn, target)
    assert structure(finished, drawn) > 0.9 * structure(_grained(0).flip(3), drawn)
    assert float(finished.min()) >= -1
    assert float(finished.max()) <= 1


@pytest.mark.parametrize("seed", range(3))
def test_finishing_takes_other_patches_where_pieces_of_the_target_would_be_cut_out(seed: int) -> None:
    grain = torch.randn(1, 3, 48, 112, generator=torch.Generator().manual_seed(seed))
    target = (torch.cat([picture(48, 56)] * 2, 3) + 0.3 * grain).clamp(-1, 1)
    drawn = target[..., :56]
    assert copying(drawn, target) == 1
    assert (
        copying(
            Synthesizer(target, [0.6, 0.8, 1.0], SynthesisConfig(layout_scale=2 / 3)).synthesize(drawn).image, target
        )
        < 0.5
    )


def test_finishing_keeps_the_size_of_what_is_drawn() -> None:
    assert Synthesizer(picture(52, 33), [0.5, 1.0], SynthesisConfig(layout_scale=0.8)).synthesize(
        picture(30, 41)
    ).image.shape == (1, 3, 30, 41)


def test_of_the_layout_as_much_is_put_back_as_is_asked_for() -> None:
    target, drawn = picture(48, 40, seed=2), picture(48, 40, seed=5)
    apart = []
    for restoration in (0.0, 0.3, 1.0):
        config = SynthesisConfig(layout_scale=0.8, layout_restoration=restoration)
        image = Synthesizer(target, [0.5, 0.7, 1.0], config).synthesize(drawn).image
        apart.append(float((resize(image, (12, 10)) - resize(drawn, (12, 10))).square().mean()))
    assert apart[0] > apart[1] > apart[2]


def test_the_first_true_what_is_chosen() -> None:
    chosen = torch.tensor([False, True, False, True, True])
    assert _first_true(chosen, 2).tolist() == [1, 3]
    assert _first_true(chosen, 5).tolist() == [1, 3, 4, 1, 1]
    assert _first_true(torch.zeros(5).bool(), 3).tolist() == [0, 0, 0]
