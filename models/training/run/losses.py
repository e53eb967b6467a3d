"""What the detector is punished for: alone knows the three losses and weights.

Quality focal loss on scores (arXiv 2006.04388), DIoU on boxes (1911.08287),
smooth L1 on landmarks measured in shares of the face's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from models.served.anchors import STRIDES
from models.training.network.anchors import all_centres
from models.training.run.feed import Batch

BOX_WEIGHT = 2.0
POINT_WEIGHT = 8.0
POINT_BETA = 0.05  # share of face size where the loss turns from squared to linear
FOCUS = 2.0
LEAST, MOST = 0.7, 4.0  # bounds of a stride's weight


@dataclass(frozen=True)
class Losses:
    """Scalars: the sum to descend, and its parts for the progress line."""

    total: Tensor
    score: float
    box: float
    points: float


def decode_boxes(raw: Tensor, centre: Tensor, stride: Tensor) -> Tensor:
    """(P, 4) distances in strides -> (P, 4) x1 y1 x2 y2 in pixels."""
    reach = raw * stride[:, None]
    return torch.cat([centre - reach[:, :2], centre + reach[:, 2:]], dim=1)


def iou_and_diou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and DIoU of (P, 4) boxes pairwise, each (P,)."""
    low, high = torch.maximum(a[:, :2], b[:, :2]), torch.minimum(a[:, 2:], b[:, 2:])
    shared = (high - low).clamp(min=0).prod(dim=1)
    area_a = (a[:, 2:] - a[:, :2]).clamp(min=0).prod(dim=1)
    area_b = (b[:, 2:] - b[:, :2]).prod(dim=1)
    iou = shared / (area_a + area_b - shared).clamp(min=1e-6)
    hull = torch.maximum(a[:, 2:], b[:, 2:]) - torch.minimum(a[:, :2], b[:, :2])
    apart = (a[:, :2] + a[:, 2:] - b[:, :2] - b[:, 2:]).square().sum(dim=1) / 4
    return iou, iou - apart / hull.square().sum(dim=1).clamp(min=1e-6)


def quality_focal(logits: Tensor, quality: Tensor, weight: Tensor) -> Tensor:
    """Sum over anchors of (B, A) logits against quality 0..1, weights 0 or 1."""
    distance = (quality - logits.sigmoid()).abs().pow(FOCUS)
    cross = functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")
    return (cross * distance * weight).sum()


def stride_weights(learning: Tensor, everywhere: Tensor) -> Tensor:
    """Weight of every anchor (A,) by its stride, from the strides (P,) of those that learn.

    A crowd has a hundred small faces to one large face of a portrait; without
    this the coarse strides would hardly be heard. The root keeps their noise low.
    """
    weights = torch.ones_like(everywhere)
    for stride in STRIDES:
        count = int((learning == stride).sum())
        if count:
            share = (len(learning) / (len(STRIDES) * count)) ** 0.5
            weights[everywhere == stride] = min(max(share, LEAST), MOST)
    return weights


def batch_losses(outputs: tuple[list[Tensor], list[Tensor], list[Tensor]], batch: Batch) -> Losses:
    """Losses of the network's outputs for one batch."""
    logits, boxes, points = (torch.cat(part, dim=1) for part in outputs)
    height, width = batch.pictures.shape[1:3]
    centre_np, stride_np = all_centres(height, width)
    rows, anchors = torch.from_numpy(batch.rows), torch.from_numpy(batch.anchors)
    centre = torch.from_numpy(centre_np)[anchors]
    stride = torch.from_numpy(stride_np)[anchors]
    wanted = torch.from_numpy(batch.boxes)
    count = max(1.0, float(len(anchors)))

    found = decode_boxes(boxes[rows, anchors], centre, stride)
    iou, diou = iou_and_diou(found, wanted)
    # Square root: tiny faces never reach a high IoU, yet are to be found.
    quality = torch.zeros(logits.shape[:2])
    quality[rows, anchors] = iou.detach().clamp(0, 1).sqrt()
    balance = stride_weights(stride, torch.from_numpy(stride_np))
    weight = balance.expand_as(quality).clone()
    weight[torch.from_numpy(batch.silent_rows), torch.from_numpy(batch.silent_anchors)] = 0
    score_loss = quality_focal(logits[..., 0], quality, weight) / count
    mine = balance[anchors]
    box_loss = ((1 - diou) * mine).sum() / count

    size = (wanted[:, 2:] - wanted[:, :2]).prod(dim=1).sqrt().clamp(min=8)[:, None]
    marks = (torch.from_numpy(batch.points).reshape(-1, 10) - centre.repeat(1, 5)) / size
    offsets = points[rows, anchors] * stride[:, None] / size
    # Landmarks far outside a cropped face cannot be seen; neither they nor those nobody knows (NaN) are taught.
    reachable = (marks.abs() < 1.2).float()
    marks = marks.nan_to_num()
    point_loss = functional.smooth_l1_loss(offsets, marks, beta=POINT_BETA, reduction="none")
    point_loss = (point_loss * reachable * mine[:, None]).sum() / (10 * count)
    total = score_loss + BOX_WEIGHT * box_loss + POINT_WEIGHT * point_loss
    return Losses(total, score_loss.item(), box_loss.item(), point_loss.item())
