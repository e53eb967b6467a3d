"""The way back from the served form: alone knows how a served file becomes a checkpoint.

So that anyone can train on from the weights in the repository: batch norms stand again where the export folded them
away, holding what they measure on what it is shown, and the score loses its calibration.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.served.anchors import STRIDES
from models.training.export.calibrate import Fit
from models.training.export.serving_form import BOTH, PLAIN, WHOLE, normed
from models.training.network.detector import Detector, shape_of
from models.training.network.mirror import one_view
from models.training.run.checkpoint import optimiser_of

Norms = dict[nn.BatchNorm2d, Tensor]  # with the shift that the convolution before them was folded to


def unfold(graph: onnx.ModelProto, fits: list[Fit], pictures: Iterable[Tensor]) -> Detector:
    """A detector that answers as the graph does before its calibration, by two views or one.

    fits: slope and shift of each stride's score. pictures: (B, 3, S, S) float32 as the network takes them.
    """
    served = weights_of(graph)
    model = Detector(shape_of(served)).eval().requires_grad_(False)
    names = {layer: name for name, layer in model.named_modules()}
    norms: Norms = {}
    for owner, convolution, norm in normed(model):
        layer = getattr(owner, norm)
        layer.bias.copy_(norms.setdefault(layer, served.pop(f"{names[owner]}.{convolution}.bias")))
    for place, (slope, shift) in enumerate(fits):
        served[f"heads.{place}.score.weight"] /= slope
        served[f"heads.{place}.score.bias"].sub_(shift).div_(slope)
    model.load_state_dict(model.state_dict() | served)
    measure_norms(model, norms, pictures)
    return model


def weights_of(graph: onnx.ModelProto) -> dict[str, Tensor]:
    """The detector's own, by their names in it, of a graph of two views or of one."""
    held = {item.name: torch.from_numpy(numpy_helper.to_array(item).copy()) for item in graph.graph.initializer}
    plain = {name.removeprefix(PLAIN): value for name, value in held.items() if name.startswith(PLAIN)}
    if not plain:
        return {name.removeprefix(WHOLE): value for name, value in held.items() if name.startswith(WHOLE)}
    ends = {name.removeprefix(WHOLE): value for name, value in held.items() if name.startswith(BOTH)}
    return plain | one_view(ends)


def fits_of(validation: dict[str, Any]) -> list[Fit]:
    """Slope and shift of each stride's score, which a closer network has in common."""
    if "slope" in validation:
        return [(validation["slope"], validation["shift"])] * len(STRIDES)
    return [tuple(validation[f"stride_{stride}"].values()) for stride in STRIDES]


def measure_norms(model: Detector, norms: Norms, pictures: Iterable[Tensor]) -> None:
    """Gives each norm the mean and variance of what reaches it, and a slope and shift that take them back."""
    sums = {layer: torch.zeros(3, layer.num_features, dtype=torch.float64) for layer in norms}

    def note(layer: nn.BatchNorm2d, inputs: tuple[Tensor], _: Tensor) -> None:
        x = inputs[0].transpose(0, 1).flatten(1).double()
        sums[layer] += torch.stack([torch.full((len(x),), x.shape[1]), x.sum(1), x.square().sum(1)])

    hooks = [layer.register_forward_hook(note) for layer in norms]
    for batch in pictures:
        model(batch)
    for hook in hooks:
        hook.remove()
    for layer, folded in norms.items():
        count, first, second = sums[layer]
        mean = first / count
        assert layer.running_mean is not None and layer.running_var is not None
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(second / count - mean * mean)
        layer.weight.copy_((layer.running_var + layer.eps).sqrt())
        layer.bias.copy_(folded + layer.running_mean)


def served_checkpoint(path: Path, pictures: Iterable[Tensor]) -> dict[str, Any]:
    """What a checkpoint holds, of a served file and the facts beside it."""
    facts = json.loads(path.with_suffix(".json").read_text())
    model = unfold(onnx.load(str(path)), fits_of(facts["validation"]), pictures)
    weights = model.state_dict()
    return {
        "model": weights,
        "average": weights,
        "optimiser": optimiser_of(model, rate=0.0).state_dict(),
        "step": facts["trained_steps"],
        "pictures": facts["trained_pictures"],
        "seconds": facts["trained_minutes"] * 60,
        "before": {},
        "facts": {"served": facts["sha256"]},
    }
