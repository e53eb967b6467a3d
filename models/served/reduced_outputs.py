"""Names and shapes of what a network with reduced heads answers. Numbers only: workers read it without onnx.

Per stride the K best anchors by score: top_score (batch, K) float32, top_index (batch, K) int32 into the anchors
of that stride, top_bbox (batch, K, 4) and top_kps (batch, K, 10) float32, in units of the stride.
"""

from __future__ import annotations

from models.served.anchors import anchor_count

#: Candidates kept per stride: 1024 in all, 72 KB a picture where the raw heads are 1 MB. A face brings two to five.
#: A picture with more than that over its threshold is answered from the raw heads, so the choice costs no face.
KEPT = {8: 512, 16: 256, 32: 256}


def kept(side: int, stride: int) -> int:
    """K: how many candidates of this stride come back, all of them where there are no more."""
    return min(KEPT[stride], anchor_count((side, side), stride))
