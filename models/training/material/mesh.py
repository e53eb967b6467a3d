"""Reads a skinned mesh: alone knows the binary glTF format (glTF 2.0, section 4.4)."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

COMPONENTS: dict[int, np.dtype[Any]] = {5121: np.dtype("<u1"), 5123: np.dtype("<u2"), 5126: np.dtype("<f4")}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
Matrix = NDArray[np.float64]
Triangles = NDArray[np.int64]


@dataclass(frozen=True)
class Mesh:
    """points (N, 3) in metres; triangles (T, 3) of them; joints (N, 4) into `names`, weighing as `weights` (N, 4).

    places: where each named joint lies, (3,) in metres.
    """

    points: Matrix
    triangles: Triangles
    joints: NDArray[np.int64]
    weights: Matrix
    names: list[str]
    places: dict[str, Matrix]


def read_mesh(path: Path) -> Mesh:
    """The one skinned mesh of a binary glTF file, in its bind pose."""
    data = path.read_bytes()
    if data[:4] != b"glTF":
        raise ValueError(f"{path} is not a binary glTF file")
    length = struct.unpack_from("<I", data, 12)[0]
    tree, start = json.loads(data[20 : 20 + length]), 20 + length + 8

    def values(index: int) -> NDArray[np.float64]:
        accessor = tree["accessors"][index]
        view = tree["bufferViews"][accessor["bufferView"]]
        begin = start + view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        width = WIDTHS[accessor["type"]]
        flat = np.frombuffer(data, COMPONENTS[accessor["componentType"]], accessor["count"] * width, begin)
        return flat.reshape(-1, width).astype(np.float64)

    (part,) = tree["meshes"][0]["primitives"]
    held, nodes = part["attributes"], tree["nodes"]
    names = [nodes[node]["name"] for node in tree["skins"][0]["joints"]]
    return Mesh(
        values(held["POSITION"]),
        values(part["indices"]).reshape(-1, 3).astype(np.int64),
        values(held["JOINTS_0"]).astype(np.int64),
        values(held["WEIGHTS_0"]),
        names,
        {node["name"]: np.array(node["translation"]) for node in nodes if node.get("name") in names},
    )
