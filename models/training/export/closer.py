"""python -m models.training.export.closer: weights for closer looks become the file that is served.

Alone knows how their scores come to agree with a first look's: so that the gateway's one rule serves every network.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from models.served.anchors import STRIDES
from models.training.doubted import cells
from models.training.doubted.cells import Cell
from models.training.export.calibrate import Fit, fitted, raw_heads
from models.training.export.serving_form import build
from models.training.export.write import metadata, verified, write
from models.training.judge.detect import Floats, OnnxDetector, Picture, decode
from models.training.judge.measure import ENOUGH, iou_table
from models.training.network.detector import Detector, count_macs, count_parameters, detector_of
from models.training.run.checkpoint import load, totals
from shared.cells import CLOSER_SHEETS
from shared.doubts import COVERING, doubted_from

NAME = "scrfd_500m_open_closer"
CELL = CLOSER_SHEETS.cell
# What is doubted where faces are covered, and in log odds the least mean of both looks.
DOUBTED, SURE, BAR = doubted_from(0.5, COVERING), 0.5, -COVERING.short
UNSEEN = 0.005  # of a find that a closer look does not see at all
# So much its log odds lean to a face beyond that agreement. Chosen on the development half: more faces are covered,
# with as many false boxes as the closer network before had.
LEANING = 0.8

Heads = Callable[[Picture], list[Floats]]


def closer_scores(heads: Heads, doubted: list[Cell]) -> Floats:
    """(N,) the best score of a find that is the cell's, in a closer look at it alone."""
    margin, side = (cells.SIDE - CELL) // 2, CLOSER_SHEETS.side_of(1)
    found = []
    for cell in doubted:
        shown = np.zeros((side, side, 3), np.uint8)
        shown[:CELL, :CELL] = cell.pixels[margin:-margin, margin:-margin]
        boxes, scores, _ = decode(heads(shown), (side, side), UNSEEN)
        same = iou_table(cell.found[None] - np.float32(margin), boxes)[0] >= ENOUGH
        found.append(scores[same].max(initial=UNSEEN))
    return np.array(found, np.float32)


def agreement(first: Floats, own: Floats, closer: Floats, face: Floats) -> Fit:
    """Slope and shift of the closer look's log odds, so that their mean with the first look's has the bar where it is.

    All (N,) log odds of doubted finds, and 1 or 0. own: of closer looks by the network that doubts. Faces are told by
    the logistic fit of both looks; as many others pass as pass where the network itself looks closer.
    """
    bar = 2 * BAR
    passing = int(((first + own >= bar) & (face == 0)).sum())
    of_first, of_closer, _ = fitted(np.stack([first, closer], axis=1), face)
    slope = of_closer / of_first
    others = np.sort((first + slope * closer)[face == 0])[::-1]
    return slope, bar - float(others[min(passing, len(others) - 1)])


def calibrate(model: Detector, weights: Path, held_out: list[Cell]) -> dict[str, object]:
    """Sets the model's scale and shift; returns what was measured."""
    doubted = [cell for cell in held_out if DOUBTED <= cell.score < SURE]
    first = _log_odds(np.array([cell.score for cell in doubted], np.float32))
    face = np.array([cell.face for cell in doubted], np.float32)
    own = _log_odds(closer_scores(OnnxDetector(weights, threads=1).heads, doubted))
    closer = _log_odds(closer_scores(lambda picture: raw_heads(model, picture), doubted))
    slope, shift = agreement(first, own, closer, face)
    shift += LEANING
    for place in range(len(STRIDES)):
        model.score_scale[place], model.score_shift[place] = slope, shift
    bar = 2 * BAR
    return {
        "doubted": len(doubted),
        "faces": int(face.sum()),
        "slope": round(slope, 3),
        "shift": round(shift, 3),
        "faces_found": int(((first + slope * closer + shift >= bar) & (face == 1)).sum()),
        "faces_found_by_the_network_itself": int(((first + own >= bar) & (face == 1)).sum()),
        "others_taken": int(((first + slope * closer + shift >= bar) & (face == 0)).sum()),
    }


def _log_odds(scores: Floats) -> Floats:
    sane = np.clip(scores, 1e-4, 1 - 1e-4)
    return np.asarray(np.log(sane / (1 - sane)), np.float32)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.export.closer", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("build/training/closer.pt"))
    parser.add_argument("--weights", type=Path, default=Path("models/open/scrfd_500m_open.onnx"), help="that doubt")
    parser.add_argument("--cells", type=Path, default=Path("build/training/cells_held_out"), help="that nobody saw")
    parser.add_argument("--out", type=Path, default=Path(f"models/open/{NAME}.onnx"))
    parser.add_argument("--date", default="", help="written into the file, as 2026-11-22")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Exports as the command line says."""
    options = parse(arguments)
    torch.set_num_threads(1)
    held = load(options.checkpoint)
    model, trained = detector_of(held["average"]), totals(held)
    held_out = [cell for path in sorted(options.cells.glob("*.cells")) for cell in cells.read(path)]
    validation = calibrate(model, options.weights, held_out)
    data = build(model, metadata(NAME, trained, options.date), twice=False).SerializeToString()
    worst = verified(model, data, twice=False)
    facts = {
        "license": "MIT",
        "date": options.date,
        "parameters": count_parameters(model),
        "mmac_a_cell": round(count_macs(model) * (CELL / 640) ** 2 / 1e6, 1),
        "trained_steps": trained["step"],
        "trained_pictures": trained["pictures"],
        "trained_minutes": round(trained["seconds"] / 60, 1),
        "largest_difference_from_pytorch": worst,
        "validation": validation,
    }
    write(data, facts, options.out)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
