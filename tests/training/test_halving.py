"""What a network that learns in bfloat16 gives: nearly the same, and float32 to whoever asks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from models.training.network.detector import Detector  # noqa: E402
from models.training.network.halving import Halving, is_slow_in_half  # noqa: E402


def test_a_detector_halves_only_while_it_is_told_to_and_answers_in_float32() -> None:
    torch.manual_seed(3)
    model, picture = Detector(), torch.randn(2, 3, 64, 64)
    model.train()
    halving = Halving(model)
    full = halving(picture)
    halving.on = True
    half = halving(picture)
    for mine, theirs in zip(full, half, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert one.dtype == other.dtype == torch.float32
            assert 0 < (one - other).abs().mean() < 0.1
    halving.on = False
    assert all(map(torch.equal, halving(picture)[0], full[0]))


def test_weights_and_their_gradients_stay_float32() -> None:
    model = Detector()
    halving = Halving(model)
    halving.on = True
    sum(part.square().mean() for parts in halving(torch.randn(2, 3, 64, 64)) for part in parts).backward()
    assert all(one.dtype == one.grad.dtype == torch.float32 for one in model.parameters())


def test_layers_whose_way_back_is_slow_in_half_stay_whole() -> None:
    model, seen = Detector(), {}
    halving = Halving(model)
    halving.on = True
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_hook(lambda one, _, out, name=name: seen.update({name: (one, out.dtype)}))
    halving(torch.randn(1, 3, 64, 64))
    whole = {name for name, (_, dtype) in seen.items() if dtype == torch.float32}
    assert whole == {name for name, (layer, _) in seen.items() if is_slow_in_half(layer)}
    assert 0 < len(whole) < len(seen) / 2
