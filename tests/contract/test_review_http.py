"""The reviewer's loop over HTTP: detect, a person decides, mask does exactly that."""

from __future__ import annotations

import json
import zlib
from math import ceil, floor
from typing import Any

import cv2
import httpx2
import numpy as np
import pytest
from PIL import Image

from gateway.pictures.regions import Region, regions
from tests.contract.test_http import detail, detect, encoded
from tests.contract.test_mask_http import mask, seen
from tests.networks import beacon_picture
from tests.unit.pictures.test_kept_jpeg import outside, stored

#: Best first; the last one by far the largest.
BEACONS = [(120.0, 100.0, 60.0, 0.9), (400.0, 100.0, 60.0, 0.8), (120.0, 350.0, 60.0, 0.7), (440.0, 330.0, 160.0, 0.6)]
PIXELS = beacon_picture(BEACONS)
PICTURE = encoded(PIXELS)
PLAIN = {"second_side": 0, "turns": "never", "tiles": 0}
SOLID = {"method": "solid", "color": "#ff8040", "format": "png", "padding": 0}


def boxes_of(answer: httpx2.Response) -> list[list[float]]:
    return [list(face["bbox"].values()) for face in answer.json()["detections"]]


def painted(answer: httpx2.Response) -> np.ndarray:
    return (seen(answer) == (0x40, 0x80, 0xFF)).all(axis=2)


def exactly(hidden: list[Region], size: tuple[int, int] = (480, 640)) -> np.ndarray:
    """Where those regions are, (H, W) bool."""
    where = np.zeros(size, np.uint8)
    for region in hidden:
        region.of(where)[:] = 1
    return where.astype(bool)


def grown(boxes: list[list[float]], padding: float = 0.0) -> list[Region]:
    return regions(np.array(boxes, np.float32), padding, 640, 480)


def beside(jpeg: bytes, boxes: list[list[float]], more: float) -> list[np.ndarray]:
    """Of each component the blocks that none of the boxes touches, were they larger by so much; answers are rounded."""
    grown = [(floor(x1 - more), floor(y1 - more), ceil(x2 + more), ceil(y2 + more)) for x1, y1, x2, y2 in boxes]
    return [np.logical_and.reduce(planes) for planes in zip(*(outside(jpeg, box) for box in grown), strict=True)]


def test_detect_then_drop_one_face_and_add_a_box_then_mask_just_that(client: httpx2.Client) -> None:
    found = boxes_of(detect(client, PICTURE, **PLAIN))
    assert len(found) == len(BEACONS)
    decision = {"keep": "[1]", "regions": "[[200.5, 10, 260, 40]]"}
    for sent in (decision, {"keep": json.dumps([found[1]]), "regions": decision["regions"]}):
        answer = mask(client, PICTURE, **SOLID, **PLAIN, **sent)
        wanted = exactly([*grown([found[0], *found[2:]]), Region(200, 10, 260, 40)])
        assert (painted(answer) == wanted).all()
        assert (seen(answer)[~wanted] == PIXELS[~wanted]).all()
        assert answer.headers["x-faces"] == "found=4, kept=1, masked=3, added=1"
        assert answer.headers["x-face-count"] == "3"


def test_in_a_kept_jpeg_every_block_stays_but_those_of_the_decision(client: httpx2.Client) -> None:
    done, file = cv2.imencode(".jpg", PIXELS, [cv2.IMWRITE_JPEG_QUALITY, 95])
    assert done
    jpeg = file.tobytes()
    found = boxes_of(detect(client, jpeg, **PLAIN))
    decision = {"keep": "[1]", "regions": "[[200.5, 10, 260, 40]]"}
    answer = mask(client, jpeg, **SOLID | {"format": "jpeg", "quality": "keep"}, **PLAIN, **decision)
    assert answer.headers["x-faces"] == "found=4, kept=1, masked=3, added=1"
    hidden = [found[0], *found[2:], [200, 10, 260, 40]]
    before, after = stored(jpeg), stored(answer.content)
    for old, new, stays, hides in zip(
        before, after, beside(jpeg, hidden, 0.1), beside(jpeg, hidden, -0.1), strict=True
    ):
        changed = (old != new).any(axis=2)
        assert not changed[stays].any()
        assert changed[~hides].mean() > 0.9
    assert (abs(seen(answer)[30:35, 210:250].astype(int) - (0x40, 0x80, 0xFF)) < 4).all()


def test_the_decision_may_be_sent_in_the_form_as_detect_wrote_its_boxes(client: httpx2.Client) -> None:
    faces = detect(client, PICTURE).json()["detections"]
    form = {**{name: str(value) for name, value in SOLID.items()}, "only": json.dumps([faces[2]["bbox"]])}
    answer = client.post("/api/v1/mask", data=form, files={"image": ("p.png", PICTURE)})
    assert answer.headers["x-faces"].endswith("masked=1, added=0")
    assert painted(answer)[350, 120]
    assert not painted(answer)[100, 120]


@pytest.mark.parametrize(
    "shared",
    [
        PLAIN,
        {"order": "size", **PLAIN},
        {"order": "size", "max_faces": 2, **PLAIN},
        {"max_faces": 3, **PLAIN},
        {"min_size": 100, **PLAIN},
        {"ignore": "[[80, 60, 160, 140]]", **PLAIN},
        {"second_side": 160, "turns": "unsure"},
        {"turns": "always", "second_side": 0, "order": "score"},
        {"thorough": "true", "order": "size", "max_faces": 3},
    ],
)
def test_an_index_means_the_same_face_to_detect_and_mask(client: httpx2.Client, shared: dict[str, Any]) -> None:
    found = boxes_of(detect(client, PICTURE, **shared))
    assert found
    for index, box in enumerate(found[:3]):
        wanted = {"second_side": None} | shared | {"only": f"[{index}]"}
        answer = mask(client, PICTURE, **SOLID, **wanted)
        assert answer.headers["x-faces"] == f"found={len(found)}, kept={len(found) - 1}, masked=1, added=0"
        hidden = np.argwhere(painted(answer))
        top, left, bottom, right = *hidden.min(axis=0), *(hidden.max(axis=0) + 1)
        inside = np.clip(box, 0, [640, 480, 640, 480])
        np.testing.assert_allclose([left, top, right, bottom], inside, atol=1.1)


def test_detect_leaves_out_what_is_small_or_ignored(client: httpx2.Client) -> None:
    sizes = [face["size"]["width"] for face in detect(client, PICTURE, min_size=100).json()["detections"]]
    assert [round(size) for size in sizes] == [161]
    ignored = detect(client, PICTURE, ignore="[[0, 0, 640, 200]]").json()["detections"]
    assert [face["index"] for face in ignored] == [0, 1]
    assert detect(client, PICTURE, order="size").json()["detections"][0]["size"]["width"] > 100


@pytest.mark.parametrize("method", ["gaussian", "pixelate", "solid", "elliptical", "erase"])
def test_regions_without_detection_ask_no_worker_and_are_masked_up_to_their_corners(
    client: httpx2.Client, method: str
) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (120, 160, 3), np.uint8)
    answer = mask(
        client, encoded(noise), detect="false", second_side=None, regions="[[8, 9, 60, 50]]", method=method, format="png"
    )  # fmt: skip
    changed = (seen(answer) != noise).any(axis=2)
    region = Region(8, 9, 60, 50)
    assert region.of(changed).mean() > 0.95  # type: ignore[arg-type]
    assert region.of(changed)[:3, :3].any()  # type: ignore[arg-type]
    assert not (changed & ~exactly([region], (120, 160))).any()
    assert answer.headers["x-faces"] == "found=0, kept=0, masked=0, added=1"
    assert answer.headers["x-looks"] == "passes=0, tiles=0, turns=0, closer=0"
    assert (answer.headers["x-model"], answer.headers["x-inference-ms"]) == ("none", "0.00")


def test_boxes_are_of_the_upright_picture(client: httpx2.Client) -> None:
    picture = Image.fromarray(np.full((60, 100, 3), 90, np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = mask(
        client, _saved(picture, exif), detect="false", second_side=None, regions="[[0, 90, 60, 100]]", **SOLID
    )
    assert (painted(answer) == exactly([Region(0, 90, 60, 100)], (100, 60))).all()
    refused = mask(client, _saved(picture, exif), regions="[[70, 0, 90, 10]]")
    assert "outside the picture, which is 60×100 when upright" in detail(refused)


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"keep": "[0]"}, "send second_side, turns, closer and tiles with both"),
        ({"keep": "[9]", **PLAIN}, "keep names face 9, and there are 4 found, counted from 0"),
        ({"keep": "[0", **PLAIN}, "is not JSON; keep is a JSON list"),
        ({"only": "[]"}, "names nobody, so leave it out"),
        ({"keep": "[0]", "only": "[1]", **PLAIN}, "keep and only are both there"),
        ({"regions": "[[9, 9, 5, 5]]"}, "x1 must be less than x2"),
        ({"regions": "[[640, 0, 700, 9]]"}, "outside the picture, which is 640×480"),
        ({"regions": "[0]"}, "is not four numbers"),
        ({"regions": json.dumps([[0, 0, 1, 1]] * 257)}, "has 257 entries; regions is a JSON list, at most 256 long"),
        ({"detect": "false"}, "nothing to mask; send regions"),
        ({"detect": "maybe"}, "is neither true nor false"),
        ({"order": "best"}, "order is central | score | size"),
        ({"min_size": -1}, "min_size is 0 to 1000000"),
    ],
)
def test_what_is_not_clear_is_422_with_words(client: httpx2.Client, params: dict[str, Any], words: str) -> None:
    refused = mask(client, PICTURE, **params)
    assert refused.status_code == 422
    assert words in detail(refused)


def test_a_transparent_picture_takes_boxes_and_no_index(client: httpx2.Client) -> None:
    clear = np.dstack((PIXELS, np.full((480, 640), 255, np.uint8)))
    clear[:10, :10, 3] = 0
    assert "partly transparent" in detail(mask(client, encoded(clear), keep="[0]", **PLAIN))
    answer = mask(client, encoded(clear), keep=json.dumps([[90, 70, 150, 130]]), **PLAIN)
    assert answer.headers["x-faces"] == "found=4, kept=1, masked=3, added=0"


def _saved(picture: Image.Image, exif: Image.Exif) -> bytes:
    done, data = cv2.imencode(".png", np.asarray(picture))
    assert done
    block = exif.tobytes()
    chunk = len(block).to_bytes(4) + b"eXIf" + block
    return data.tobytes()[:33] + chunk + zlib.crc32(chunk[4:]).to_bytes(4) + data.tobytes()[33:]
