"""The work on one picture, one step after the other, wherever it runs: check, decode, fit; later mask and encode.

Knows nothing of processes or waiting; times are measured around the steps by `time.perf_counter`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from gateway.pictures.annotate import annotate
from gateway.pictures.color_profile import kept_profile, to_srgb
from gateway.pictures.decoder_complaints import left_over, refuse_damage
from gateway.pictures.encode import OUTPUTS, encode, on_white, refuse_too_long
from gateway.pictures.exif_tags import Metadata
from gateway.pictures.headers.facts import Header
from gateway.pictures.headers.jpeg import is_closed
from gateway.pictures.headers.jpeg_blocks import without_left_over
from gateway.pictures.image_decode import ROWS_PART_MAX, decode, decode_rows, reads_planes, reads_rows, shrink_for
from gateway.pictures.image_header import check_complete
from gateway.pictures.input_formats import INPUTS
from gateway.pictures.kept_jpeg import KeptFile, KeptJpeg, Shown
from gateway.pictures.libjpeg_calls import LibjpegError
from gateway.pictures.libjpeg_planes import Planes, read_planes
from gateway.pictures.marks import Marks
from gateway.pictures.masking import KEEP, MaskOptions, hide, is_weak, keep_words, weak_words
from gateway.pictures.metadata import kept_metadata
from gateway.pictures.picture_facts import Crop, Masked
from gateway.pictures.planar_jpeg import PlanarJpeg, shown_of
from gateway.pictures.regions import Pixels, Region
from gateway.pictures.spliced_jpeg import CutFile, Scan, SplicedJpeg, cut
from gateway.pictures.views import crop_of, rows_looked_at, shapes_of, shown
from shared.errors import BadParameter
from shared.settings import DecodingSettings

#: What `views` is asked for: width and height of the upright picture, sides, tiles.
Wanted = tuple[int, int, tuple[int, ...], int]

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


@dataclass(slots=True)
class Decoded:
    """A decoded picture and its crops.

    pixels: (H, W, 3) uint8 BGR, upright, to be masked in sRGB; (0, 0, 3) where not all of it was decoded. alpha:
    (H, W) uint8. decode_ms, preprocess_ms: milliseconds. as_stored: a colour profile is stored that cannot be used, so
    that no colour was changed. kept: to change only blocks of the file; then the pixels are not in sRGB. exif: what of
    its metadata the masked picture carries. planes: in place of pixels.
    """

    header: Header
    pixels: NDArray[np.uint8]
    alpha: NDArray[np.uint8] | None
    crops: tuple[Crop, ...]
    decode_ms: float
    preprocess_ms: float
    as_stored: bool
    kept: KeptFile | CutFile | None = None
    exif: bytes = b""
    planes: Planes | None = None

    @property
    def held_bytes(self) -> int:
        """What it takes while it is held to be masked."""
        copy = self.kept.copy.nbytes if isinstance(self.kept, CutFile) and self.kept.shrunk > 1 else 0
        file = 0 if self.kept is None else self.kept.size
        arrays = (self.pixels, self.alpha, self.planes)
        return sum(each.nbytes for each in arrays if each is not None) + file + copy


def open_picture(
    data: memoryview,
    header: Header,
    sides: tuple[int, ...],
    settings: DecodingSettings,
    *,
    to_mask: bool,
    kept: bool = False,
    planar: bool = False,
    tiles: int = 0,
    metadata: Metadata = "none",
    reach: int = 0,
    complaints: Callable[[], str] = str,
) -> Decoded:
    """Decodes a file whose header passed the limits, fits it once per side and cuts its tiles. Raises BadImage.

    to_mask: a picture that is partly transparent is fitted a second time as it looks on white, so that a face
    which only transparency draws is found as well; then its colours become sRGB, which detection never sees.
    kept: its colours stay as stored, and so does the file, a JPEG: its bits for `SplicedJpeg`, else all of it for
    `KeptJpeg`. planar: it may stay in planes until it is masked as a JPEG; what is seen of it then has colours that
    lie a little otherwise between the file's samples. Not for tiles. reach: what is fitted may be a JPEG decoded
    smaller, whose longer side keeps so many pixels; 0: all. What is masked is decoded whole, beside it, unless there
    are bits.
    complaints: what the decoders have said since it was last asked; without it damage that they alone see is not.
    """
    begin = perf_counter()
    check_complete(data, header, settings)
    shrink = shrink_for(header, reach)
    wanted: Wanted = (*header.upright_size, sides, tiles)
    if planar and (in_planes := _open_in_planes(data, header, wanted, shrink, metadata, complaints)) is not None:
        return in_planes
    pixels, alpha, scan = None, None, None
    if kept:
        pixels, scan = _cut(data, header, shrink, complaints)
    elif not to_mask and shrink == 1:
        pixels = _decoded_in_rows(data, header, wanted, complaints)
    not_all = pixels is not None and (scan is None or shrink > 1)
    if pixels is None:
        data, pixels, alpha = _decoded(data, header, shrink, complaints, with_alpha=to_mask)
    decoded = perf_counter()
    shapes, fits = shapes_of(*wanted), shown(pixels, *wanted)
    copy, pixels = pixels, _NO_PIXELS if not_all else pixels
    crops = [*map(crop_of, shapes, fits)]
    if alpha is not None and alpha.min() < 255:  # fitted, then composed: nearly the same, for far less memory
        crops += map(crop_of, shapes, map(on_white, fits, shown(alpha, *wanted)))
    fitted = perf_counter()
    if to_mask and shrink > 1 and scan is None:
        del copy, pixels
        data, pixels, alpha = _decoded(data, header, 1, complaints, with_alpha=True)
    profile = kept_profile(data, header) if kept else None
    as_stored = profile is None if kept else to_mask and not to_srgb(data, header, pixels)
    # Pixels that stay as they are stored stay turned as they are.
    exif = kept_metadata(INPUTS[header.format].exif(data), metadata, header.orientation if kept else 1)
    file: KeptFile | CutFile | None = None
    if scan is not None:
        file = CutFile(scan, profile or b"", copy, shrink)
    elif kept:
        file = KeptFile(bytes(INPUTS[header.format].ready(data, header)), profile or b"")
    decode_ms = (decoded - begin + perf_counter() - fitted) * 1000
    told = decode_ms, (fitted - decoded) * 1000, as_stored
    return Decoded(header, pixels, alpha, tuple(crops), *told, file, exif)


def _open_in_planes(
    data: memoryview,
    header: Header,
    wanted: Wanted,
    shrink: int,
    metadata: Metadata,
    complaints: Callable[[], str],
) -> Decoded | None:
    """A JPEG in planes, which are to be masked as a JPEG; None where it is to become pixels.

    That is where its colours are not sRGB's, or lie in another way; and what is odd or damaged, as with `_cut`.
    """
    begin = perf_counter()
    if not reads_planes(header) or not is_closed(data) or kept_profile(data, header) != b"":
        return None
    try:
        planes = read_planes(INPUTS[header.format].ready(data, header), header.orientation)
    except LibjpegError:
        complaints()
        return None
    small = None if shrink == 1 else _decoded(data, header, shrink, complaints, with_alpha=False)[1]
    decoded = perf_counter()
    width, height, sides, _tiles = wanted
    fits = shown_of(planes, width, height, sides) if small is None else shown(small, *wanted)
    crops = tuple(map(crop_of, shapes_of(*wanted), fits))
    exif = kept_metadata(INPUTS[header.format].exif(data), metadata, 1)
    times = (decoded - begin) * 1000, (perf_counter() - decoded) * 1000
    return Decoded(header, _NO_PIXELS, None, crops, *times, as_stored=False, exif=exif, planes=planes)


def _decoded(
    data: memoryview, header: Header, shrink: int, complaints: Callable[[], str], *, with_alpha: bool
) -> tuple[memoryview, Pixels, Pixels | None]:
    """The pixels and alpha of `decode`, and the file without what is left over in it."""
    pixels, alpha = decode(data, header, with_alpha=with_alpha, shrink=shrink)
    said = complaints()
    if header.format == "jpeg" and (left_over(said) or not is_closed(data)):
        del pixels, alpha
        data = without_left_over(data, header)  # of which libjpeg has nothing to say unless it is damaged
        pixels, alpha = decode(data, header, with_alpha=with_alpha, shrink=shrink)
        said = complaints()
    refuse_damage(said)
    return data, pixels, alpha


def _cut(
    data: memoryview, header: Header, shrink: int, complaints: Callable[[], str]
) -> tuple[Pixels | None, Scan | None]:
    """See `cut`. Neither where a file's bits cannot be, or where anything at all is to be said of it: whatever is odd
    or damaged is decoded whole, and judged by what that decoder makes of it.
    """
    if header.format != "jpeg" or not is_closed(data):
        return None, None
    try:
        return cut(INPUTS[header.format].ready(data, header), header, shrink)
    except LibjpegError:
        complaints()
        return None, None


def _decoded_in_rows(data: memoryview, header: Header, wanted: Wanted, complaints: Callable[[], str]) -> Pixels | None:
    """The picture in the rows alone that are looked at, where that is quicker and nothing is to be said of the file.

    None otherwise: whatever is odd or damaged is decoded whole, and judged by what that decoder makes of it.
    """
    if not reads_rows(header) or (rows := rows_looked_at(*wanted)).mean() > ROWS_PART_MAX:
        return None
    try:
        return decode_rows(data, header, rows)
    except LibjpegError:
        complaints()
        return None


def mask_picture(
    opened: Decoded, marks: Marks, options: MaskOptions, settings: DecodingSettings, overlay: Pixels | None = None
) -> Masked:
    """Hides what is marked in a picture, whose pixels change for good, and encodes it. Raises BadParameter.

    overlay: (H, W, 4) uint8 BGRA of the caller, for a method that lays one.
    """
    width, height = opened.header.upright_size
    refuse_too_long(options.format, width, height)
    weak = not options.annotate and is_weak(marks.boxes, options)
    if weak and settings.refuse_weak_masks:
        raise BadParameter(weak_words(options))
    hidden = [] if options.annotate else marks.regions(options.padding, width, height)
    begin = perf_counter()
    kept = _read_again(opened, options)
    read = perf_counter()
    hidden = hidden if kept is None else kept.grown(hidden)
    shown: Shown = ()
    if options.annotate:
        annotate(opened.pixels, opened.alpha, marks)
    else:
        shown = _hidden(kept, opened, hidden, options, overlay)
    masked = perf_counter()
    encoded = _encoded(opened, options) if kept is None else _written(kept, shown, hidden)
    done = perf_counter()
    media = OUTPUTS[options.format].media_type
    encode_ms = (done - masked + read - begin) * 1000
    return Masked(encoded, media, weak, opened.as_stored, (masked - read) * 1000, encode_ms)


def _encoded(opened: Decoded, options: MaskOptions) -> memoryview:
    assert options.quality != KEEP, "the picture was not opened to be kept"
    return encode(opened.pixels, opened.alpha, options.format, options.quality, opened.exif)


def _read_again(opened: Decoded, options: MaskOptions) -> KeptJpeg | SplicedJpeg | PlanarJpeg | None:
    """Its blocks, where the file is kept but for its masks; its planes, where there are these in place of pixels."""
    file = opened.kept
    if opened.planes is not None:
        assert options.writes_planes and options.quality != KEEP, "the picture was opened to be encoded anew as a JPEG"
        return PlanarJpeg(opened.planes, options.quality, opened.exif)
    if file is None:
        return None
    if isinstance(file, CutFile):
        return SplicedJpeg(file, opened.header, opened.exif)
    with _as_parameter():
        return KeptJpeg(file, opened.header, opened.exif)


def _hidden(
    kept: KeptJpeg | SplicedJpeg | PlanarJpeg | None,
    opened: Decoded,
    hidden: list[Region],
    options: MaskOptions,
    overlay: Pixels | None,
) -> Shown:
    """How the regions look when they are hidden, by now in the picture, too, where there is all of it."""
    if isinstance(kept, PlanarJpeg):
        kept.hide(hidden, options)
        return ()
    if isinstance(kept, SplicedJpeg):
        with _as_parameter():
            return kept.hidden(hidden, options, overlay)
    hide(opened.pixels, hidden, options, overlay)
    return [partial(region.of, opened.pixels) for region in hidden]


def _written(kept: KeptJpeg | SplicedJpeg | PlanarJpeg, shown: Shown, hidden: list[Region]) -> memoryview:
    if isinstance(kept, PlanarJpeg):
        return kept.write()
    with _as_parameter():
        return kept.write(shown, hidden)


@contextlib.contextmanager
def _as_parameter() -> Iterator[None]:
    """A file that can be read and not kept: the caller chose to keep it."""
    try:
        yield
    except LibjpegError:
        raise BadParameter(keep_words("this file is coded in a way that blocks of it cannot be replaced")) from None


def open_overlay(
    data: memoryview, header: Header, settings: DecodingSettings, complaints: Callable[[], str] = str
) -> Pixels:
    """(H, W, 4) uint8 BGRA in sRGB, upright, of a caller's small picture that passed the limits. Raises BadImage."""
    check_complete(data, header, settings)
    pixels, alpha = decode(data, header, with_alpha=True)
    refuse_damage(complaints())
    to_srgb(data, header, pixels)
    return np.dstack((pixels, np.full(pixels.shape[:2], 255, np.uint8) if alpha is None else alpha))
