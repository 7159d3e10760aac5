"""The loss that several updates share, and the squared error."""

import pytest
import torch

from lonepair.losses import linearize, mean_squared_error


def test_linearized_loss_keeps_value_and_gradient_while_the_parameters_change() -> None:
    """f(p) = p² has the value 9 and the gradient 6 at 3; the authors' code logs 9 at every update of the step."""
    p = torch.tensor(3.0, requires_grad=True)
    stored_loss = linearize(p.square(), [p])
    for value in (3.0, 1.0, -2.0):
        with torch.no_grad():
            p.fill_(value)
        loss = stored_loss()
        assert loss.item() == 9
        assert torch.autograd.grad(loss, p)[0].item() == pytest.approx(6)


def test_mean_squared_error_averages_over_pixels_and_channels() -> None:
    a = torch.zeros(2, 3, 4, 5)
    assert mean_squared_error(a, a).item() == 0
    assert mean_squared_error(a, a - 2).item() == 4
    assert mean_squared_error(a, a + torch.tensor([1.0, 2.0, 3.0]).view(1, 3, 1, 1)).item() == pytest.approx(14 / 3)
