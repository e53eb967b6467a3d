"""Hands are posed from a mesh as a binary glTF file holds it."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from models.training.material.mesh import Mesh, read_mesh
from models.training.scenes import hands
from tests.training import drawn

INDEX = tuple(f"index-finger-{bone}" for bone in hands.BONES)


def written(mesh: Mesh, path: Path) -> Path:
    """The mesh as a glTF file with one buffer."""
    columns = [
        (mesh.points.astype("<f4"), 5126, "VEC3"),
        (mesh.triangles.ravel().astype("<u2"), 5123, "SCALAR"),
        (mesh.joints.astype("<u1"), 5121, "VEC4"),
        (mesh.weights.astype("<f4"), 5126, "VEC4"),
    ]
    blob, views, accessors = b"", [], []
    for index, (values, kind, form) in enumerate(columns):
        views.append({"buffer": 0, "byteOffset": len(blob), "byteLength": values.nbytes})
        accessors.append({"bufferView": index, "componentType": kind, "type": form, "count": len(values)})
        blob += values.tobytes() + bytes(-values.nbytes % 4)
    tree = {
        "bufferViews": views,
        "accessors": accessors,
        "nodes": [{"name": name, "translation": mesh.places[name].tolist()} for name in mesh.names],
        "skins": [{"joints": list(range(len(mesh.names)))}],
        "meshes": [{"primitives": [{"indices": 1, "attributes": {"POSITION": 0, "JOINTS_0": 2, "WEIGHTS_0": 3}}]}],
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(blob), 0x004E4942) + blob
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)
    return path


def test_a_mesh_is_read_as_it_was_written(tmp_path: Path) -> None:
    mesh = drawn.hand()
    read = read_mesh(written(mesh, tmp_path / "hand.glb"))
    assert np.allclose(read.points, mesh.points, atol=1e-6)
    assert (read.triangles == mesh.triangles).all() and (read.joints == mesh.joints).all()
    assert read.names == mesh.names
    assert np.allclose(read.places["thumb-tip"], mesh.places["thumb-tip"])


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "hand.glb"
    path.write_bytes(b"solid hand")
    with pytest.raises(ValueError, match=r"hand\.glb is not a binary glTF file"):
        read_mesh(path)


def test_a_finger_that_does_not_bend_stays_where_it_is() -> None:
    motions = hands.bend(drawn.hand(), INDEX, [0.0, 0.0, 0.0], 0.0)
    assert all(np.allclose(motion, np.eye(4)) for motion in motions.values())


def test_a_bent_finger_turns_its_tip_towards_the_palm_and_keeps_its_root() -> None:
    mesh = drawn.hand()
    motions = hands.bend(mesh, INDEX, [0.8, 0.8, 0.4], 0.0)
    root, tip = (np.append(mesh.places[joint], 1.0) for joint in (INDEX[0], INDEX[-1]))
    assert np.allclose(motions[INDEX[0]] @ root, root)
    moved = motions[INDEX[-1]] @ tip
    assert moved[0] > 0.03  # metres along +x, where the palm looks
    assert moved[1] > tip[1]  # back towards the wrist


def test_a_hand_is_a_cut_out_that_the_seed_decides() -> None:
    mesh, skin = drawn.hand(), np.full((96, 96, 3), (90, 120, 190), np.uint8)
    one, same, other = (hands.hand(mesh, random.Random(seed), skin) for seed in (1, 1, 2))
    assert one.shape == (hands.SIDE, hands.SIDE, 4) and one.dtype == np.uint8
    assert (one == same).all() and not (one == other).all()
    assert 0.02 < (one[..., 3] > 127).mean() < 0.9


def test_a_gadget_lies_behind_the_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    mesh, skin = drawn.hand(), np.full((96, 96, 3), (90, 120, 190), np.uint8)
    monkeypatch.setattr(hands, "HELD", 0.0)
    bare = hands.hand(mesh, random.Random(3), skin)
    monkeypatch.setattr(hands, "HELD", 1.0)
    held = hands.hand(mesh, random.Random(3), skin)
    solid = bare[..., 3] == 255
    assert (held[..., 3] > 127).sum() > (bare[..., 3] > 127).sum()
    assert (held[solid] == bare[solid]).all()


def test_a_fold_of_skin_darkens_a_little_of_it() -> None:
    skin = np.full((hands.FINE, hands.FINE, 3), 150, np.float32)
    hands.crease(skin, random.Random(2))
    assert 0 < (skin < 140).any(axis=2).mean() < 0.05
    assert skin.min() > 0
