"""The form the worker serves: alone knows how weights become that ONNX graph.

Input `images`, uint8 (batch, height, width, 3) BGR; normalisation, batch norm,
calibration and sigmoid inside; nine outputs, batch and anchors kept apart.
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from models.training.network.detector import Backbone, Detector, Head, Point, Separable
from models.training.network.mirror import TwoViews

OPSET = 17
# What the weights' names in the graph begin with: all of them, those of the view as it is, and those that end both.
WHOLE, PLAIN, BOTH = "detector.", "detector.plain.", "detector.heads."
# Convolutions and the batch norms that follow them, by the layer that owns both.
NORMED: dict[type[nn.Module], tuple[tuple[str, str], ...]] = {
    Separable: (("depth", "depth_norm"), ("point", "point_norm")),
    Point: (("point", "norm"),),
    Backbone: (("stem", "stem_norm"),),
}
KINDS = (("score", 1), ("bbox", 4), ("kps", 10))
OUTPUTS = [f"{kind}_{stride}" for kind, _ in KINDS for stride in (8, 16, 32)]


def normed(model: nn.Module) -> Iterator[tuple[nn.Module, str, str]]:
    """Every layer that owns a convolution and the batch norm after it, with the names of both."""
    for owner in model.modules():
        for convolution, norm in NORMED.get(type(owner), ()):
            yield owner, convolution, norm


def fold(model: Detector) -> Detector:
    """A copy in evaluation mode, batch norms inside the convolutions, calibration in the score's."""
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for owner, convolution, norm in list(normed(model)):
        setattr(owner, convolution, fuse_conv_bn_eval(getattr(owner, convolution), getattr(owner, norm)))
        setattr(owner, norm, nn.Identity())
    for place, head in enumerate(model.heads):
        assert isinstance(head, Head) and head.score.bias is not None
        head.score.weight.mul_(model.score_scale[place])
        head.score.bias.mul_(model.score_scale[place]).add_(model.score_shift[place])
    model.score_scale.fill_(1)
    model.score_shift.fill_(0)
    return model


class ServingForm(nn.Module):
    """A folded detector behind the worker's input and outputs. twice: it looks in the mirror, too."""

    def __init__(self, folded: Detector, *, twice: bool = True) -> None:
        super().__init__()
        self.detector = TwoViews(folded) if twice else folded

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """(B, H, W, 3) uint8 BGR -> the nine OUTPUTS, each (B, anchors, 1|4|10) float32."""
        x = (images.float() - 127.5) * 0.0078125
        scores, boxes, points = self.detector(x.permute(0, 3, 1, 2))
        return (*(s.sigmoid() for s in scores), *boxes, *points)


def build(model: Detector, metadata: dict[str, str], *, twice: bool = True) -> onnx.ModelProto:
    """The serving graph of these weights, checked by onnx. twice: see `ServingForm`."""
    form = ServingForm(fold(model), twice=twice).eval()
    axes = {0: "batch", 1: "height", 2: "width"}
    dynamic = {"images": axes}
    dynamic |= {name: {0: "batch", 1: f"anchors_{name.split('_')[1]}"} for name in OUTPUTS}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The classic exporter keeps names and Resize as the contract has them.
        warnings.simplefilter("ignore", DeprecationWarning)
        path = Path(folder) / "raw.onnx"
        torch.onnx.export(
            form,
            (torch.zeros(1, 64, 64, 3, dtype=torch.uint8),),
            str(path),
            opset_version=OPSET,
            input_names=["images"],
            output_names=OUTPUTS,
            dynamic_axes=dynamic,
            dynamo=False,
        )
        graph = onnx.load(str(path))
    share_weights(graph)
    keep_batch_apart(graph)
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    return graph


def share_weights(model: onnx.ModelProto) -> None:
    """Has the weights that both views share named by one name, where the exporter copies them by Identity."""
    graph = model.graph
    weights = {item.name for item in graph.initializer}
    copies = [node for node in graph.node if node.op_type == "Identity" and node.input[0] in weights]
    owner = {node.output[0]: node.input[0] for node in copies}
    for node in copies:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [owner.get(name, name) for name in node.input]


def keep_batch_apart(model: onnx.ModelProto) -> None:
    """Gives every Reshape the constant shape [0, -1, C] and drops what computed it."""
    graph = model.graph
    for width in {width for _, width in KINDS}:
        shape = np.array([0, -1, width], np.int64)
        graph.initializer.append(numpy_helper.from_array(shape, f"rows_of_{width}"))
    widths = dict(KINDS)
    made_by = {out: node for node in graph.node for out in node.output}
    for name in OUTPUTS:
        node = made_by[name]
        while node.op_type != "Reshape":
            node = made_by[node.input[0]]
        node.input[1] = f"rows_of_{widths[name.split('_')[0]]}"
    while True:
        used = {name for node in graph.node for name in node.input} | set(OUTPUTS)
        dead = [node for node in graph.node if not used & set(node.output)]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    spare = [item for item in graph.initializer if item.name not in used]
    for item in spare:
        graph.initializer.remove(item)
    del graph.value_info[:]
