"""Learning to bear int8: alone knows how the network rounds between its layers while it learns.

A network that was never rounded leaves little between a face and the threshold; what int8 then loses are those faces.
Gradients pass the rounding as if it were not there (straight through, arXiv 1308.3432).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.network.detector import Detector

STEPS = 255  # of one uint8
LARGEST = 127  # of one int8, which is as negative at most


def rounded(x: Tensor, signed: bool) -> Tensor:
    """Any shape, float32: what of `x` one uint8 for all of it can tell; unless `signed`, only where it is positive."""
    with torch.no_grad():
        low = x.amin().clamp(max=0) if signed else x.new_zeros(())
        step = ((x.amax() - low) / STEPS).clamp(min=1e-9)
        difference = (x / step).round_().mul_(step).sub_(x)
    return x + difference


def rounded_weights(weights: Tensor) -> Tensor:
    """(O, I, h, w) float32: what of them int8 with one step an output channel can tell. Batch norms change no step."""
    with torch.no_grad():
        step = (weights.abs().amax(dim=(1, 2, 3), keepdim=True) / LARGEST).clamp(min=1e-9)
        difference = (weights / step).round_().mul_(step).sub_(weights)
    return weights + difference


class Rounding:
    """Rounds what every batch norm of a detector gives, and the weights of the layers before them, while `on`."""

    def __init__(self, model: Detector) -> None:
        self.on = False
        for owner in model.modules():
            for name, layer in owner.named_children():
                if isinstance(layer, nn.BatchNorm2d):
                    # ReLU follows all but what is added to another map first.
                    self._follow(layer, signed=name == "point_norm" and bool(owner.residual))
                if isinstance(layer, nn.Conv2d) and layer.bias is None:
                    self._coarsen(layer)

    def _follow(self, layer: nn.BatchNorm2d, signed: bool) -> None:
        def hook(_: nn.Module, __: object, out: Tensor) -> Tensor | None:
            return rounded(out, signed) if self.on else None

        layer.register_forward_hook(hook)

    def _coarsen(self, layer: nn.Conv2d) -> None:
        plain = layer.forward

        def forward(x: Tensor) -> Tensor:
            if not self.on:
                return plain(x)
            weights, way = rounded_weights(layer.weight), (layer.stride, layer.padding, layer.dilation)
            return functional.conv2d(x, weights, None, *way, layer.groups)

        layer.forward = forward  # type: ignore[method-assign]
