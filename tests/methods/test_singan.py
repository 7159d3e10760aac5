"""SinGAN as published: sizes, layers, parameter counts and noise.

The numbers are those of the paper and its authors' code.
"""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from lonepair.nets import StageGenerator, StagewiseGenerator, widths_by_stage
from lonepair.ops.noise import RandomStream
from lonepair.ops.resize import resize_image
from published_methods import Size, count, inputs, tiny_method, untrained, with_stages
from tiny_settings import picture

SINGAN_250 = [25, 32, 40, 50, 63, 80, 100, 126, 158, 199, 250]


def test_stage_sizes_at_250_pixels() -> None:
    assert untrained("singan", (250, 250)).plan.sizes((250, 250)) == [(side, side) for side in SINGAN_250]


def test_stage_sizes_at_188x250_pixels() -> None:
    sizes = untrained("singan", (188, 250)).plan.sizes((188, 250))
    assert len(sizes) == 10
    assert sizes[-1] == (188, 250)
    assert sizes[0] == (26, 34)  # the rounding error of the ratio adds a pixel, as in the released code


def test_large_image_is_reduced_before_its_sizes_are_computed() -> None:
    """The number of stages counts from the original's size; the ratio, from the reduced one.

    500 px: ceil(log 25/500) + 1 = 12 to the base 3/4, less ceil(log 250/500) = 3: 9 above stage 0.
    """
    plan = untrained("singan", (500, 500)).plan
    assert plan.full_sizes["a"] == (250, 250)
    assert plan.stages == 10
    assert [size[0] for size in plan.sizes((250, 250))[1:]] == [33, 42, 54, 70, 90, 117, 150, 194, 250]


@pytest.mark.parametrize(("size", "total"), [((250, 250), 1_930_785), ((188, 250), 1_479_966)])
def test_parameter_count(size: Size, total: int) -> None:
    method = untrained("singan", size)
    assert sum(method.parameter_counts().values()) == total
    assert count(with_stages(method, method.plan.stages).nets["g"]) == total


def test_parameter_count_at_9_stages() -> None:
    method = untrained("singan", (160, 200))
    assert method.plan.stages == 9
    assert sum(method.parameter_counts().values()) == 1_029_147


@pytest.mark.parametrize(
    ("stage", "width", "generator", "critic"),
    [(0, 32, 29_763, 29_185), (3, 32, 29_763, 29_185), (4, 64, 114_819, 113_665), (8, 128, 450_819, 448_513)],
)
def test_layers_of_a_stage(stage: int, width: int, generator: int, critic: int) -> None:
    method = with_stages(untrained("singan", (250, 250)), stage + 1)
    net = method.nets["g"].stages[stage]  # type: ignore[index, union-attr]
    assert (count(net), count(method.nets["d"])) == (generator, critic)
    convolutions = [part for part in net.modules() if isinstance(part, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [width] * 4 + [3]
    assert {c.padding for c in convolutions} == {(0, 0)}
    assert {part.negative_slope for part in net.modules() if isinstance(part, nn.LeakyReLU)} == {0.2}


def test_layers_of_a_stage_have_the_published_order() -> None:
    kinds = [
        type(part).__name__ for part in StageGenerator(3, 32, 5, 0.2, 0, "batch").modules() if not list(part.children())
    ]
    assert kinds == [*["Conv2d", "BatchNorm2d", "LeakyReLU"] * 4, "Conv2d", "Tanh"]


def test_widths_double_every_four_stages_up_to_128() -> None:
    assert widths_by_stage(14) == [32] * 4 + [64] * 4 + [128] * 6


def test_new_stage_copies_the_stage_below_of_equal_width() -> None:
    method = with_stages(untrained("singan", (250, 250)), 5)
    stages = method.nets["g"].stages  # type: ignore[union-attr]
    trained = [list(stage.parameters()) for stage in stages]  # type: ignore[operator, union-attr]
    for below, above in pairwise(range(5)):
        same = [a.shape == b.shape and torch.equal(a, b) for a, b in zip(trained[below], trained[above], strict=True)]
        assert all(same) == (above != 4)


def test_trained_stages_are_frozen_and_in_evaluation_mode() -> None:
    method = with_stages(untrained("singan", (250, 250)), 3)
    stages = list(method.nets["g"].stages)  # type: ignore[arg-type, union-attr]
    assert [stage.training for stage in stages] == [False, False, True]
    assert [all(p.requires_grad for p in stage.parameters()) for stage in stages] == [False, False, True]


def test_image_and_noise_are_padded_by_five_zeros() -> None:
    """Beyond the border the network reads zeros of the image and of the noise."""
    network_inputs: list[Tensor] = []

    class RecordInput(nn.Module):
        def forward(self, image: Tensor) -> Tensor:
            network_inputs.append(image)
            return image[..., 5:-5, 5:-5]

    net = StagewiseGenerator(2, pad=5)
    net.stages.append(RecordInput())
    net.residual.append(True)
    net.amplitudes[0] = 2.0
    image, noise = picture(9, 8), torch.randn(1, 3, 9, 8)
    assert torch.allclose(net.stage(0, image, noise), 2 * image + 2 * noise)
    assert network_inputs[0].shape == (1, 3, 19, 18)
    assert network_inputs[0][..., :5, :].abs().max() == 0
    around = torch.randn(1, 3, 19, 18)  # animation: random beyond the border, too
    net.stage(0, image, around)
    assert torch.equal(network_inputs[1][..., :5, :], 2 * around[..., :5, :])


def test_noise_of_stage_0_repeats_one_channel() -> None:
    method = untrained("singan", (250, 250))
    first, second = method.noise_maps([(25, 25), (32, 32)], RandomStream(0))  # type: ignore[attr-defined]
    assert torch.equal(first[:, 0], first[:, 1])
    assert torch.equal(first[:, 0], first[:, 2])
    assert not torch.equal(second[:, 0], second[:, 1])


def test_reconstruction_uses_z_star_alone() -> None:
    method = tiny_method("singan")
    star, above = method.reconstruction_maps(method.sizes["a"])  # type: ignore[attr-defined]
    assert torch.equal(star[:, :1], method.reconstruction_noise)  # type: ignore[attr-defined]
    assert above.abs().max() == 0


def test_noise_amplitude_of_a_perfect_reconstruction_is_zero() -> None:
    """The real image is the reconstruction of the stage below, plus a constant error."""
    method = tiny_method("singan")
    coarse, fine = method.sizes["a"]
    with torch.no_grad():
        below = resize_image(method.render(method.reconstruction_maps([coarse]), [coarse]), fine)  # type: ignore[attr-defined]
    for error, expected in ((0.0, 0.0), (0.5, 0.05)):
        method.calibrate_noise({"a": [torch.empty(0), below + error]})
        assert float(method.generator.amplitudes[1]) == pytest.approx(expected, abs=1e-6)  # type: ignore[attr-defined]


def test_every_step_draws_z_star_at_stage_0_and_keeps_it_above() -> None:
    """As the authors' code: z* is drawn again at every step of stage 0, and the last one serves all later stages."""
    first, second = with_stages(untrained("singan", (26, 26), width=8), 1), tiny_method("singan")
    is_kept = []
    for method in (first, second):
        before = method.reconstruction_noise.clone()  # type: ignore[attr-defined]
        method.losses("critic", inputs(method, seed=1))
        is_kept.append(torch.equal(before, method.reconstruction_noise))  # type: ignore[attr-defined]
    assert is_kept == [False, True]


def test_batchnorm_sees_three_random_images_and_three_reconstructions_in_a_step() -> None:
    method = tiny_method("singan")
    seen: list[Tensor] = []
    newest = method.generator.stages[method.stage]  # type: ignore[attr-defined]
    newest.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].detach()))
    step = inputs(method)
    for player in method.schedule(method.stage).update_order:
        method.losses(player, step)
    assert len(seen) == 6
    # The input of a reconstruction is the same in every update; those of random images differ.
    assert torch.equal(seen[3], seen[4])
    assert torch.equal(seen[3], seen[5])
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_adversarial_gradient_has_stored_activations_and_changed_weights() -> None:
    """As torch up to 1.4, with which the authors trained: its backward pass read the weights of its own time.

    Tensors with the weights' storage, but with versions of their own, give the same in any torch.
    """
    method = tiny_method("singan")
    step = inputs(method)
    method.losses("critic", step)
    newest, state = method.generator.stages[method.stage], step.fakes  # type: ignore[attr-defined]
    parameters = dict(newest.named_parameters())
    aliases = {name: parameter.data.requires_grad_() for name, parameter in parameters.items()}
    # The same random numbers as those of the critic's update give its fake again.
    network_inputs: list[Tensor] = []
    hook = newest.register_forward_pre_hook(lambda _, arguments: network_inputs.append(arguments[0].detach()))
    method.losses("critic", again := inputs(method))
    hook.remove()
    assert torch.equal(again.fakes.critic_fake, state.critic_fake)
    generated = functional_call(newest, aliases, network_inputs[0])
    norms = []
    for _ in range(3):
        terms = method.losses("generator", step)
        gradients = torch.autograd.grad(terms["adv"], list(parameters.values()))
        image = state.critic_fake.detach() + generated - generated.detach()
        loss = -method.nets["d"](image).mean()
        expected = torch.autograd.grad(loss, list(aliases.values()), retain_graph=True)
        for ours, theirs in zip(gradients, expected, strict=True):
            assert torch.allclose(ours, theirs, rtol=1e-3, atol=1e-4)
        norms.append(float(gradients[0].norm()))
        with torch.no_grad():
            for parameter in parameters.values():
                parameter.mul_(1.3)
    # The same activations and four convolutions after the first, each 1.3 times as strong.
    assert norms[1] > 1.2 * norms[0] > 0


@pytest.mark.parametrize(("size", "stages"), [((188, 250), 12), ((80, 120), 8), ((120, 80), 9)])
def test_superresolution_has_the_released_number_of_stages(size: Size, stages: int) -> None:
    """int(log 18/min) + 1 steps to the base 2^(-1/3), less int(log max/width): one stage more for a portrait of 2:3."""
    ratio = math.pow(1 / 2, 1 / 3)
    number = int(math.log(18 / min(size), ratio)) + 1 - int(math.log(max(size) / size[1], ratio))
    factor = math.pow(18 / min(size), 1 / number)
    sizes = [tuple(math.ceil(side * math.pow(factor, number - stage)) for side in size) for stage in range(number + 1)]
    assert number + 1 == stages
    method = untrained("singan", size, preset="superresolution")
    assert method.plan.sizes(size) == sizes
    assert method.config.lambda_rec == 100  # type: ignore[attr-defined]
