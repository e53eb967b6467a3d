"""python -m models.training.export.join: the checkpoints of several cycles become one, or a served file a checkpoint.

Alone knows how: the mean of their averaged weights (arXiv 1803.05407), and what batch norms hold measured anew on
scenes or cells, since the mean of statistics is not the statistics of the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor
from torch.optim.swa_utils import update_bn

from models.training.doubted.sheets import Pool
from models.training.export.unfold import served_checkpoint
from models.training.material.folder import read_material
from models.training.network.detector import detector_of
from models.training.run.checkpoint import load, totals
from models.training.run.feed import Feed, Source
from models.training.run.train import ask_for_scenes, supply_of, to_tensor

BATCHES = 260  # about 1,700 pictures: the statistics no longer move in their third digit
SEED = 99  # of scenes that no cycle was trained on


def mean_of(weights: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each floating tensor; counters as the last one has them."""
    return {
        name: torch.stack([one[name] for one in weights]).mean(dim=0) if value.is_floating_point() else value
        for name, value in weights[-1].items()
    }


def joined(held: list[dict[str, Any]], pictures: Iterable[Tensor]) -> dict[str, Any]:
    """A checkpoint with the mean weights, of which another cycle may begin, too; its sums are the longest run's.

    pictures: (B, 3, S, S) float32 as the network takes them, to measure what its batch norms hold.
    """
    model = detector_of(mean_of([one["average"] for one in held]))
    update_bn(pictures, model)
    longest = max(held, key=lambda one: totals(one)["step"])
    weights = model.state_dict()
    return {**longest, "model": weights, "average": weights, "facts": {"joined": [one["facts"] for one in held]}}


def read(path: Path, pictures: Iterable[Tensor]) -> dict[str, Any]:
    """A checkpoint, or a served file as one."""
    return served_checkpoint(path, pictures) if path.suffix == ".onnx" else load(path)


def source_of(options: argparse.Namespace) -> Source:
    """What the networks are shown."""
    if options.cells:
        return Pool(options.cells)
    trained, _ = read_material(options.material, options.more_backgrounds, options.hand)
    return supply_of(trained, options, SEED)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.export.join", description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+", help="of cycles that followed one another (.pt or .onnx)")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", type=Path, help="folder of collect: of closer networks, which see these, not scenes")
    ask_for_scenes(parser)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Joins as the command line says."""
    options = parse(arguments)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    feed = Feed(source_of(options), SEED)
    try:
        pictures = [feed.take().pictures for _ in range(BATCHES)]
    finally:
        feed.close()
    held = [read(path, map(to_tensor, pictures)) for path in options.checkpoints]
    one = joined(held, map(to_tensor, pictures)) if len(held) > 1 else held[0]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(one, options.out)


if __name__ == "__main__":
    main()
