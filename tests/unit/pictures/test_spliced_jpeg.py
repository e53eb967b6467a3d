"""quality=keep in rows: what is written is what the whole file's way writes, and all that is not masked is copied."""

from __future__ import annotations

import random
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from gateway.pictures import libjpeg_rows, picture_work
from gateway.pictures.blur import coarseness
from gateway.pictures.image_decode import decode
from gateway.pictures.image_header import read_header
from gateway.pictures.jpeg_data import head_and_data
from gateway.pictures.jpeg_scan import JpegScan, joined, scan_of
from gateway.pictures.kept_jpeg import KeptFile
from gateway.pictures.libjpeg import StoredJpeg
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_rows import read_scan
from gateway.pictures.marks import Marks
from gateway.pictures.mask_methods import METHODS
from gateway.pictures.masking import KEEP, MaskOptions
from gateway.pictures.picture_facts import Masked
from gateway.pictures.picture_work import Decoded, mask_picture, open_picture
from gateway.pictures.regions import Region
from gateway.pictures.restarted_scan import RestartedScan, restarted_of
from gateway.pictures.spliced_jpeg import CutFile
from shared.faces import Faces
from shared.settings import Settings
from tests.hostile import make_jpeg, rasters
from tests.hostile.gallery import Gallery
from tests.unit.pictures.test_kept_jpeg import FILES, SAMPLINGS, by_opencv, outside, stored

WIDTH, HEIGHT = 331, 468
PICTURE = rasters.colours(WIDTH, HEIGHT)
#: Far apart, side by side, over one another, at the edges.
BOXES = {
    "none": [],
    "one": [(61, 150, 142, 230)],
    "first row": [(5, 0, 60, 6)],
    "last row": [(5, HEIGHT - 3, 60, HEIGHT)],
    "right edge": [(WIDTH - 4, 200, WIDTH, 260)],
    "far apart": [(20, 30, 60, 70), (200, 300, 290, 380), (100, 440, 130, 460)],
    "side by side": [(20, 100, 60, 170), (200, 110, 290, 190)],
    "over one another": [(80, 100, 190, 220), (120, 150, 260, 280)],
    "all": [(0, 0, WIDTH, HEIGHT)],
}
#: By how much smaller the picture is decoded while its bits are read.
REACHES = {1: 0, 2: 234, 4: 117, 8: 58}
USUAL = [name for name in FILES if name in SAMPLINGS or name in ("coarse", "fine", "grey", "rgb", "one row of blocks")]
#: Not by the bits of their rows.
RESTARTED = [name for name in FILES if name.startswith("restarts behind rows")]


def opened(data: bytes, shrunk: int = 1) -> Decoded:
    header = read_header(memoryview(data))
    return open_picture(
        memoryview(data), header, (58,), Settings(), to_mask=True, kept=True, reach=REACHES[shrunk]
    )  # fmt: skip


def masked(data: bytes, boxes: Sequence[tuple[int, ...]], shrunk: int = 1, **options: object) -> Masked:
    asked = MaskOptions(**{"quality": KEEP, "padding": 0.0, **options})
    faces = Faces(np.float32(boxes).reshape(-1, 4), np.ones(len(boxes), np.float32), None)
    return mask_picture(opened(data, shrunk), Marks.all_of(faces), asked, Settings())


def _never(*_anything: object) -> None:
    raise LibjpegError


def whole(monkeypatch: pytest.MonkeyPatch, data: bytes, boxes: Sequence[tuple[int, ...]], **options: object) -> bytes:
    """The same by `KeptJpeg`, which reads and writes all of a file."""
    with monkeypatch.context() as patched:
        patched.setattr(picture_work, "cut", _never)
        return bytes(masked(data, boxes, **options).data)


def scan(data: bytes) -> JpegScan:
    return scan_of(data, read_scan(data, 8))


def bits_of(file: JpegScan, row: int) -> str:
    plain, begin, end = file.piece(row, row + 1)
    return "".join(f"{byte:08b}" for byte in plain)[begin:end]


@pytest.mark.parametrize("shrunk", REACHES)
@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("sampling", SAMPLINGS.values(), ids=SAMPLINGS)
def test_the_answer_is_the_one_of_the_whole_file_to_the_last_byte(monkeypatch, sampling, boxes, shrunk):
    data = by_opencv(PICTURE, sampling)
    assert isinstance(opened(data, shrunk).kept, CutFile)
    answer = bytes(masked(data, boxes, shrunk, method="pixelate", strength=9).data)
    assert answer == whole(monkeypatch, data, boxes, method="pixelate", strength=9)


@pytest.mark.parametrize("strength", [1, 20, 60, 400])
@pytest.mark.parametrize("method", METHODS)
def test_so_it_is_by_every_method(monkeypatch, method, strength):
    """A blur that is coarser than the copy that was decoded is made of the copy, and nearly the same."""
    data = by_opencv(PICTURE, SAMPLINGS["4:2:0"])
    asked = {"method": method, "strength": strength}
    for shrunk in REACHES:
        answer = bytes(masked(data, BOXES["far apart"], shrunk, **asked).data)
        expected = whole(monkeypatch, data, BOXES["far apart"], **asked)
        if 1 < shrunk <= METHODS[method].by_copy(strength):
            one, other = (cv2.imdecode(np.frombuffer(each, np.uint8), cv2.IMREAD_COLOR) for each in (answer, expected))
            assert cv2.PSNR(one, other) > 40
        else:
            assert answer == expected


@pytest.mark.parametrize("boxes", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize("subsampling", [0, 1, 2, -1])
def test_so_it_is_where_each_row_ends_with_a_restart(monkeypatch, subsampling, boxes):
    """What is not masked is then the file's, byte for byte."""
    picture = PICTURE if subsampling >= 0 else np.ascontiguousarray(PICTURE[:, :, 0])
    sampled = {"subsampling": subsampling} if subsampling >= 0 else {}
    data = make_jpeg.jpeg(picture, restart_marker_rows=1, **sampled)
    before = head_and_data(data)[1].tobytes()
    for shrunk in REACHES:
        kept = opened(data, shrunk).kept
        assert isinstance(kept, CutFile) and isinstance(kept.scan, RestartedScan)
        answer = bytes(masked(data, boxes, shrunk, method="erase").data)
        assert answer == whole(monkeypatch, data, boxes, method="erase")
        after = head_and_data(answer)[1].tobytes()
        top = min((box[1] for box in boxes), default=HEIGHT) // kept.scan.mcu_height
        assert after[: kept.scan.begins[top]] == before[: kept.scan.begins[top]]
    assert boxes or before == after


def test_a_file_whose_restarts_are_counted_wrongly_is_not_cut_there():
    data = make_jpeg.jpeg(PICTURE, restart_marker_rows=1)
    at = data.index(b"\xff\xd3")
    for odd in (data[:at] + b"\xff\xd4" + data[at + 2 :], data[:at] + data[at + 2 :], data[:at] + b"\xff" + data[at:]):
        with pytest.raises(LibjpegError):
            restarted_of(odd, read_scan(data, 8))


def test_a_blur_by_a_copy_is_that_of_the_picture_and_of_nothing_beside_the_masks():
    box, data = (120, 150, 260, 280), by_opencv(PICTURE, SAMPLINGS["4:4:4"])
    answer = masked(data, [box], 4, strength=199).data
    assert coarseness(199) >= 4
    for before, after, kept in zip(stored(data), stored(answer), outside(data, box), strict=True):
        assert (before[kept] == after[kept]).all()
        assert (before[~kept] != after[~kept]).any()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_files_are_masked_in_the_rows_they_are_stored_in(monkeypatch, orientation):
    data = make_jpeg.with_segments(
        by_opencv(PICTURE, SAMPLINGS["4:2:0"]), (make_jpeg.APP1, make_jpeg.exif(orientation))
    )
    boxes = BOXES["side by side"] if orientation < 5 else [(100, 20, 180, 60), (300, 200, 330, 290)]
    for method, shrunk in (("elliptical", 2), ("solid", 4), ("erase", 1)):
        answer = bytes(masked(data, boxes, shrunk, method=method).data)
        assert answer == whole(monkeypatch, data, boxes, method=method)


@pytest.mark.parametrize("seed", range(12))
def test_boxes_anywhere_in_pictures_of_any_size(monkeypatch, seed):
    source = random.Random(seed)
    width, height = source.randint(1, 300), source.randint(1, 300)
    data = by_opencv(rasters.colours(width, height), source.choice(list(SAMPLINGS.values())), source.randint(20, 99))
    corners = [(source.randrange(width), source.randrange(height)) for _ in range(source.randint(1, 6))]
    boxes = [(x, y, x + source.randint(1, 90), y + source.randint(1, 90)) for x, y in corners]
    asked = {"method": source.choice(["pixelate", "elliptical", "erase"]), "strength": source.randint(1, 40)}
    for shrunk in REACHES:
        assert bytes(masked(data, boxes, shrunk, **asked).data) == whole(monkeypatch, data, boxes, **asked)


def test_a_child_answers_as_it_would_outside_its_door(monkeypatch):
    """Its allocator keeps what was freed and gives it out again: whatever is read too late has changed by then."""
    gallery = Gallery()
    try:
        for name in [*USUAL, *USUAL]:
            for reach in (0, 100, 50):
                answer = gallery.mask(FILES[name], [[61, 2, 102, 9]], reach, quality=KEEP, method="erase", padding=0)
                assert bytes(answer.data) == whole(monkeypatch, FILES[name], [(61, 2, 102, 9)], method="erase")
    finally:
        gallery.close()


def test_so_it_is_where_no_code_tells_that_a_block_ends(monkeypatch):
    """Of noise hardly a number is zero, the last of a block neither: where the bits end is then read, not told."""
    noise = np.random.default_rng(3).integers(0, 256, (HEIGHT, 64, 3), np.uint8)
    data, ends = by_opencv(noise, SAMPLINGS["4:4:4"], quality=100), set()
    file = scan(data)
    for top in range(0, HEIGHT, 8):
        ends.add(StoredJpeg(file.part(top // 8, min(top // 8 + 2, file.rows))).ends_in_a_number)
        boxes = [(10, top, 20, top + 4)]
        assert bytes(masked(data, boxes, method="solid").data) == whole(monkeypatch, data, boxes, method="solid")
    assert ends == {True, False}


@pytest.mark.parametrize("name", FILES)
def test_only_files_of_one_scan_coded_as_usual_are_cut(name):
    kept = opened(FILES[name]).kept
    assert isinstance(kept, CutFile) == (name in [*USUAL, *RESTARTED])


def test_a_libjpeg_whose_bits_lie_elsewhere_is_told_of_and_its_files_are_read_whole(monkeypatch):
    assert libjpeg_rows.lacking() == ""
    data, expected = FILES["4:2:0"], masked(FILES["4:2:0"], BOXES["one"], method="solid").data
    monkeypatch.setattr(libjpeg_rows, "_BITS_MAY_LIE", ())
    libjpeg_rows._bits_lie.cache_clear()
    try:
        assert "quality=keep reads and writes JPEGs whole" in libjpeg_rows.lacking()
        assert isinstance(opened(data).kept, KeptFile)
        assert masked(data, BOXES["one"], method="solid").data == expected
    finally:
        libjpeg_rows._bits_lie.cache_clear()


def test_a_libjpeg_that_cannot_be_called_is_told_of(monkeypatch):
    monkeypatch.setattr(libjpeg_rows, "_bits_lie", _never)
    assert libjpeg_rows.lacking().startswith("quality=keep is refused")


@pytest.mark.parametrize("name", USUAL)
def test_rows_are_a_file_of_their_own_with_the_same_numbers(name):
    data = FILES[name]
    file, before = scan(data), stored(data)
    top, bottom = file.rows // 3, max(file.rows // 3 + 1, file.rows - 1)
    for first, last in ((0, file.rows), (top, bottom), (file.rows - 1, file.rows)):
        part = stored(file.part(first, last))
        for numbers, own, (_across, down) in zip(before, part, file.factors, strict=True):
            wanted = numbers[first * down : last * down]
            flat = file.flat_rows(first) * down
            assert (own[flat:][: len(wanted)] == wanted).all()
            assert (own[:flat, :, 1:] == 0).all()


@pytest.mark.parametrize("name", USUAL)
def test_its_picture_is_that_of_the_whole_decoder(name):
    data = FILES[name]
    header = read_header(memoryview(data))
    for shrink in REACHES:
        pixels, _alpha = decode(memoryview(data), header, shrink=shrink)
        assert (read_scan(data, shrink).picture == pixels).all()


def test_bits_that_nobody_masks_are_copied_whatever_they_say():
    """A block may end with more zeros than it needs: libjpeg would not write it so."""
    file = scan(by_opencv(PICTURE, SAMPLINGS["4:4:4"]))
    zeros, end = "11111111001", "1010"  # sixteen zeros; nothing else in the block
    row = bits_of(file, 2)
    place = row.index(end)
    odd = row[:place] + zeros + row[place:]
    told = np.packbits(np.frombuffer(odd.encode(), np.uint8) - ord("0"))
    data = file.whole(file.head, 2, [(told, 0, len(odd)), file.piece(3, file.rows)])
    assert read_scan(data, 8), "that place is an end of a block, of which libjpeg has nothing to say"
    answer = bytes(masked(data, [(20, 300, 60, 320)], method="solid").data)
    assert bits_of(scan(answer), 2) == odd


@pytest.mark.parametrize("seed", range(20))
def test_bits_are_joined_one_after_the_other(seed):
    source = random.Random(seed)
    plain = np.frombuffer(source.randbytes(40), np.uint8)
    bits = "".join(f"{byte:08b}" for byte in plain)
    cuts = [tuple(sorted((source.randrange(321), source.randrange(321)))) for _ in range(source.randint(1, 6))]
    expected = "".join(bits[begin:end] for begin, end in cuts)
    whole = "".join(f"{byte:08b}" for byte in joined([(plain, begin, end) for begin, end in cuts]))
    assert whole == expected + "1" * (-len(expected) % 8)


def damaged() -> list[bytes]:
    data, source = by_opencv(PICTURE, SAMPLINGS["4:2:0"]), random.Random(5)
    begin = data.index(b"\xff\xda") + 14
    files = [data[:place] for place in (begin, begin + 1, len(data) // 2, len(data) - 2, len(data) - 3)]
    files += [data[:-2] + bytes(40) + data[-2:], data + bytes(9), data[:-2] + b"\xff\xff\xff\xd9"]
    for _ in range(300):
        hurt = bytearray(data)
        for _ in range(source.choice((1, 1, 2, 5))):
            hurt[source.randrange(begin, len(data))] = source.randrange(256)
        files.append(bytes(hurt))
    return files


def test_a_damaged_file_is_cut_where_it_is_read_or_not_at_all():
    """Whatever libjpeg has something to say of is left to the whole decoder; of the rest all numbers stay."""
    cut = 0
    for data in damaged():
        try:
            file = scan(data)
        except LibjpegError:
            continue
        cut += 1
        again = file.whole(file.head, 3, [file.piece(3, file.rows)])
        for before, after in zip(stored(data), stored(again), strict=True):
            assert (before == after).all()
    assert cut


@pytest.mark.parametrize("strength", [1, 9, 120, 999])
@pytest.mark.parametrize("method", METHODS)
def test_painting_looks_no_farther_than_it_says(method, strength):
    noise = np.random.default_rng(strength)
    pixels = noise.integers(0, 256, (1900, 40, 3), np.uint8)
    hidden = [Region(3, 900, 30, 960), Region(10, 930, 40, 1000)]
    beside = METHODS[method].beside(strength)
    other = noise.integers(0, 256, pixels.shape, np.uint8)
    near = slice(max(0, 900 - beside), 1000 + beside)
    other[near] = pixels[near]
    for picture in (pixels, other):
        METHODS[method].paint(picture, hidden, strength, (1, 2, 3), 1)
    for region in hidden:
        assert (region.of(pixels) == region.of(other)).all()


def test_coefficients_of_a_part_that_are_out_of_range_are_not_written():
    file = StoredJpeg(scan(FILES["4:4:4"]).part(0, 2))
    file.plane(0)[1, 0, 0] = 20_000
    with pytest.raises(LibjpegError):
        file.write([])
