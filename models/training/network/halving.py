"""Learning in bfloat16: alone knows which layers gain by it.

On processors that multiply bfloat16 (AVX512-BF16) a step takes three quarters of the time. Weights, their sums and the
losses stay float32.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from models.training.network.detector import STEM, Detector, Levels


def is_worthwhile() -> bool:
    """Whether this processor multiplies bfloat16; elsewhere oneDNN would only imitate it."""
    return bool(torch.cpu._is_avx512_bf16_supported())  # noqa: SLF001 - it has no public name yet


def in_full(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """What the layer gives, computed in float32 whatever surrounds it."""
    with torch.autocast("cpu", enabled=False):
        return nn.Conv2d.forward(layer, x.float())


def is_slow_in_half(layer: nn.Module) -> bool:
    """Depthwise layers for whose way back oneDNN 3 has no quick bfloat16: ten times float32's time, or twice."""
    if not isinstance(layer, nn.Conv2d) or layer.groups <= STEM:
        return False
    return layer.stride[0] > 1 or layer.kernel_size[0] > 3


class Halving:
    """Runs a detector in bfloat16 while `on`."""

    def __init__(self, model: Detector) -> None:
        self.model = model
        self.on = False
        for layer in model.modules():
            if is_slow_in_half(layer):
                layer.forward = partial(in_full, layer)

    def __call__(self, pictures: Tensor) -> tuple[Levels, Levels, Levels]:
        """(B, 3, H, W) float32 -> what the detector gives, float32."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.on):
            logits, boxes, points = self.model(pictures)
        return [x.float() for x in logits], [x.float() for x in boxes], [x.float() for x in points]
