"""What a network that learns with rounding sees: 256 steps between its layers, and gradients as if there were none."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.training.network.detector import Detector  # noqa: E402
from models.training.network.rounding import Rounding, rounded, rounded_weights  # noqa: E402


def test_rounding_leaves_at_most_256_values_each_at_most_half_a_step_away() -> None:
    x = torch.randn(4, 8, 32, 32, generator=torch.Generator().manual_seed(1)) * 3
    for signed in (True, False):
        out = rounded(x, signed)
        step = (x.amax() - (x.amin() if signed else 0)) / 255
        assert (out - x).abs().amax() <= step * 0.5001
        seen = out if signed else out.clamp(min=0)
        assert len(torch.unique((seen / step).round())) <= 256
    assert (out.clamp(min=0) != x.clamp(min=0)).any()


def test_gradients_pass_the_rounding() -> None:
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    rounded(x, signed=True).sum().backward()
    assert x.grad is not None and (x.grad == 1).all()


def test_weights_are_rounded_to_what_int8_tells_of_each_output_channel() -> None:
    weights = (
        torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(1))
        * torch.tensor([0.1, 1, 5, 0])[:, None, None, None]
    )
    weights.requires_grad_()
    out = rounded_weights(weights)
    step = weights.abs().amax(dim=(1, 2, 3), keepdim=True) / 127
    assert ((out - weights).abs() <= step * 0.5001).all()
    assert all(len(torch.unique(channel)) > 1 for channel in (out / step)[:3].round())
    out.sum().backward()
    assert weights.grad is not None and (weights.grad == 1).all()


def test_a_detector_rounds_only_while_it_is_told_to() -> None:
    torch.manual_seed(3)
    model, picture = Detector().eval(), torch.randn(1, 3, 64, 64)
    before = model(picture)[0][0]
    rounding = Rounding(model)
    assert (model(picture)[0][0] == before).all()
    rounding.on = True
    assert 0 < (model(picture)[0][0] - before).abs().amax() < 0.5
    rounding.on = False
    assert (model(picture)[0][0] == before).all()
