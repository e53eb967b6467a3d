"""python -m models.training.material.label: writes labels.json beside the portraits.

Alone knows how MediaPipe's face mesh (Apache-2.0) becomes a box and five
landmarks. Needs `mediapipe`, which nothing else does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from models.training.material.folder import DEFAULT_FOLDER, Floats, read_picture

# Vertices of the canonical face mesh (mediapipe/modules/face_geometry/data).
OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
IRISES = (468, 473)  # centres, with refined landmarks
NOSE = 1
MOUTH = (61, 291)  # corners


def face_of(mesh: Floats) -> dict[str, Any]:
    """Mesh vertices (478, 2) in pixels -> bbox and landmarks, left and right as seen."""
    oval = mesh[list(OVAL)]
    eyes = sorted(mesh[list(IRISES)].tolist())
    mouth = sorted(mesh[list(MOUTH)].tolist())
    points = [*eyes, mesh[NOSE].tolist(), *mouth]
    box = [*oval.min(axis=0).tolist(), *oval.max(axis=0).tolist()]
    return {
        "bbox": [round(v, 1) for v in box],
        "landmarks": [[round(x, 1), round(y, 1)] for x, y in points],
    }


def label(folder: Path) -> dict[str, Any]:
    """Labels of every portrait in which exactly one face is found."""
    import mediapipe

    labels: dict[str, Any] = {}
    mesh = mediapipe.solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=2, refine_landmarks=True)
    with mesh:
        for path in sorted((folder / "portraits").iterdir()):
            picture = read_picture(path)
            height, width = picture.shape[:2]
            faces = mesh.process(cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)).multi_face_landmarks
            if faces is None or len(faces) != 1:
                continue
            vertices = np.array([[v.x * width, v.y * height] for v in faces[0].landmark], np.float32)
            labels[path.name] = {"width": width, "height": height, "faces": [face_of(vertices)]}
    return labels


def main() -> None:
    """Labels the folder named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m models.training.material.label", description=__doc__)
    parser.add_argument("--material", type=Path, default=DEFAULT_FOLDER)
    folder = parser.parse_args().material
    labels = label(folder)
    (folder / "labels.json").write_text(json.dumps(labels, indent=1) + "\n")
    print(f"{len(labels)} portraits labelled")


if __name__ == "__main__":
    main()
