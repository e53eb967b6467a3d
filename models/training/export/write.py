"""python -m models.training.export.write: a checkpoint becomes the file that is served.

Alone knows the order of that: calibrate on the held-out side, build, compare
with PyTorch alone and in a batch, write the file and its facts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import torch

from models.training.export.calibrate import calibrate, photograph_scenes, validation_scenes
from models.training.export.serving_form import OUTPUTS, ServingForm, build, fold
from models.training.material.folder import DEFAULT_FOLDER, read_material
from models.training.material.photographs import read_photographs
from models.training.network.detector import Detector, count_macs, count_parameters, detector_of
from models.training.network.mirror import TwoViews
from models.training.run.checkpoint import load, totals

NAME = "scrfd_500m_open"
TOLERANCE = 2e-4  # largest difference from PyTorch, in scores and in strides

SIZES = ((1, 640, 640), (4, 256, 256), (4, 640, 640), (2, 96, 352))


def verify(
    model: Detector, data: bytes, sizes: tuple[tuple[int, int, int], ...] = SIZES, *, twice: bool = True
) -> float:
    """Largest difference between ONNX Runtime and PyTorch over (batch, height, width). twice: as it was built."""
    session = ort.InferenceSession(data, providers=["CPUExecutionProvider"])
    form = ServingForm(fold(model), twice=twice)
    rng = np.random.default_rng(0)
    worst = 0.0
    for batch, height, width in sizes:
        images = rng.integers(0, 256, (batch, height, width, 3), np.uint8)
        with torch.no_grad():
            wanted = [part.numpy() for part in form(torch.from_numpy(images))]
        together = session.run(None, {"images": images})
        alone = [session.run(None, {"images": images[i : i + 1]}) for i in range(batch)]
        for place, want in enumerate(wanted):
            single = np.concatenate([outs[place] for outs in alone])
            assert together[place].shape == want.shape == single.shape, OUTPUTS[place]
            worst = max(worst, float(np.abs(together[place] - want).max()))
            worst = max(worst, float(np.abs(single - want).max()))
    return worst


def verified(model: Detector, data: bytes, *, twice: bool = True) -> float:
    """The same, refused where it is too large."""
    worst = verify(model, data, twice=twice)
    if worst > TOLERANCE:
        raise SystemExit(f"the export differs from PyTorch by {worst:.2e}")
    return worst


def metadata(name: str, trained: dict[str, float], date: str) -> dict[str, str]:
    """What the file says of itself."""
    return {
        "face_api.form": "serving-1",
        "face_api.name": name,
        "face_api.license": "MIT",
        "face_api.trained_steps": str(trained["step"]),
        "face_api.trained_pictures": str(trained["pictures"]),
        "face_api.date": date,
    }


def write(data: bytes, facts: dict[str, Any], out: Path) -> None:
    """The file and, beside it, its sum and facts."""
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(data)
    facts = {"name": out.stem, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), **facts}
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")


def figures_of(report: Path | None) -> dict[str, Any]:
    """The part of an evaluation's report that goes beside the weights."""
    if report is None:
        return {}
    return dict(json.loads(report.read_text())["halves"])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.export.write", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=Path("build/training/last.pt"))
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    parser.add_argument("--hand", type=Path, help="mesh of a hand (.glb) to draw hands from in validation scenes")
    parser.add_argument("--photographs", type=Path, help="folder of real photographs, a tenth of which is held out")
    parser.add_argument("--faces", type=Path, help="what is known of the faces in them (labelling.write)")
    parser.add_argument("--out", type=Path, default=Path(f"models/open/{NAME}.onnx"))
    parser.add_argument("--sprites", type=Path, help="file (.npz) that keeps the held-out cut-outs")
    parser.add_argument("--figures", type=Path, help="report of evaluate --json to put beside")
    parser.add_argument("--date", default="", help="written into the file, as 2026-11-22")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Exports as the command line says."""
    options = parse(arguments)
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    held = load(options.checkpoint)
    model, trained = detector_of(held["average"]), totals(held)
    _, valid = read_material(options.material, hand=options.hand)
    photographs = read_photographs(options.photographs, options.faces)[1] if options.photographs else []
    scenes = validation_scenes(valid, options.sprites) + photograph_scenes(photographs)
    validation = calibrate(model, scenes)
    graph: onnx.ModelProto = build(model, metadata(NAME, trained, options.date))
    data = graph.SerializeToString()
    worst = verified(model, data)
    facts = {
        "license": "MIT",
        "date": options.date,
        "parameters": count_parameters(model),
        "mmac_at_640": round(count_macs(TwoViews(model)) / 1e6),
        "trained_steps": trained["step"],
        "trained_pictures": trained["pictures"],
        "trained_minutes": round(trained["seconds"] / 60, 1),
        "largest_difference_from_pytorch": worst,
        "validation": validation,
        "figures": figures_of(options.figures),
    }
    write(data, facts, options.out)
    print(json.dumps(facts, indent=1))


if __name__ == "__main__":
    main()
