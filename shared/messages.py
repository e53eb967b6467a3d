"""The whole message set between gateways and workers. Why each exists stands in DECISIONS.md, "The wire".

    gateway → worker    Hello · Request · Cancel · Offer · Release · Heartbeat · Goodbye
    worker → gateway    Welcome · Started · Reply · Failure · Grant · Recall · Heartbeat · Goodbye
    gateway ↔ pool      RollCall · Roll, where workers have hosts of their own

Credit: a worker grants each gateway the right to send so many requests. A request uses one credit up; a
Reply or Failure may bring new ones (`grant`). Over all gateways together a worker never has more credits
and requests out than its capacity: what runs, what is next, and answers that wait to leave together. A
gateway with work and no credit sends an Offer; the worker then Recalls idle credit from elsewhere, which that
gateway Releases. One whose work went away otherwise says so with an Offer of 0: then its credit counts as idle.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

#: Raised by one with every change of a message or of the frames around it; both sides refuse any other.
PROTOCOL_VERSION = 9

#: What can be counted with on either side; anything else in a message makes it none (`shared/wire.py`).
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Positive = Annotated[int, Meta(ge=1, le=2**63 - 1)]
#: Seconds, milliseconds, tolerances, thresholds: neither negative, nor NaN, nor without end.
Measure = Annotated[float, Meta(ge=0.0, le=1e12)]
#: Where something lies, in pixels; it may be outside the picture.
Pixel = Annotated[float, Meta(ge=-1e12, le=1e12)]
#: What a crop memory begins with, by which it is known.
MARK_BYTES = 16
#: Quarter turns counterclockwise.
Turn = Literal[0, 1, 2, 3]


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base: encoded as a msgpack array whose first element is the class name."""


class CropHeader(msgspec.Struct, frozen=True, array_like=True):
    """One fitted crop: `rows`×`cols`×3 uint8 BGR pixels, for the top left of a black `side`×`side` input.

    scale: input pixels per picture pixel, the reference's det_scale (fitted height / picture height).
    x, y: the crop's top left corner, in pixels of the upright picture. turns: the quarter turns counterclockwise
    in which it is looked at, one look each; 0 is as it is. sheet: whether it shows doubted finds, each in a
    cell; x is then where it lies in the row of sheets.
    """

    rows: Positive
    cols: Positive
    side: Positive
    scale: Measure
    x: Measure = 0.0
    y: Measure = 0.0
    turns: tuple[Turn, ...] = (0,)
    sheet: bool = False


class Canary(msgspec.Struct, frozen=True, array_like=True):
    """What the untouched model finds on the canary picture (`shared/canary.py`).

    confidence, nms_threshold: the thresholds to ask with.
    faces: packed rows (`shared/faces.py`), pixels of the canary picture.
    box_tolerance_px, score_tolerance: how far the served precision may stray.
    """

    confidence: Measure
    nms_threshold: Measure
    faces: list[list[Pixel]]
    box_tolerance_px: Measure
    score_tolerance: Measure


class ModelInfo(msgspec.Struct, frozen=True):
    """What a worker serves; shown in /health, the start block and the metrics.

    dynamic_size: whether a second look is a smaller input; where False it is a smaller picture in the full one.
    exact_pixels: whether it is shown just the pixels that the reference would show it.
    closer_network: whether sheets are seen by a network of their own.
    """

    name: str
    precision: str
    provider: str
    input_side: Positive
    landmarks: bool
    max_batch: Positive
    batch_invariant: bool
    license: str
    source_sha256: str
    note: str = ""
    dynamic_size: bool = True
    exact_pixels: bool = True
    closer_network: bool = False


class CropMemoryAddress(msgspec.Struct, frozen=True, array_like=True):
    """Where a gateway's crops lie, for workers of its host: `size` bytes behind a descriptor of process `pid`.

    mark: what it begins with.
    """

    pid: Positive
    descriptor: Count
    size: Positive
    mark: Annotated[bytes, Meta(min_length=MARK_BYTES, max_length=MARK_BYTES)]


class Hello(Message, frozen=True):
    """A gateway process opens a link; the worker answers Welcome and Grant. crops: where that gateway's crops lie, if
    a worker of its host may read them there.
    """

    gateway: str
    crops: CropMemoryAddress | None = None


class Welcome(Message, frozen=True):
    """A worker presents itself. `generation` is unique per worker process; every Reply repeats it.

    capacity: requests it may hold. busy_with: how many of them keep it busy while the next are made ready.
    reads_crops: whether it reads this gateway's crops where they lie.
    """

    generation: str
    slot: Count
    pid: Count
    capacity: Positive
    busy_with: Positive
    model: ModelInfo
    canary: Canary
    reads_crops: bool = False


class Request(Message, frozen=True):
    """One picture to look at. Its crops, raw uint8, rows·cols·3 bytes each, lie in the gateway's crop memory, each from
    its offset in bytes; without offsets they follow, one frame each.

    id: unique in its gateway process for life. left_ms: the deadline. width, height: of the upright
    picture. waiting: how many more this gateway has queued, so that the worker can share its credit out.
    suspected: a worker ended with this request in hand; it is run alone, and Started is sent before.
    trace: the request's place in a trace, as a `traceparent`; empty for none. A worker repeats it where it logs.
    lone: no other picture is in that gateway's house, so that a worker may take the cores that lie idle.
    """

    id: Count
    left_ms: Count
    confidence: Measure
    nms_threshold: Measure
    max_faces: Count
    width: Positive
    height: Positive
    crops: tuple[CropHeader, ...]
    waiting: Count = 0
    suspected: bool = False
    trace: Annotated[str, Meta(max_length=64)] = ""
    lone: bool = False
    offsets: tuple[Count, ...] = ()


class Cancel(Message, frozen=True):
    """The client left: drop this request if it is not running yet."""

    id: Count


class Offer(Message, frozen=True):
    """This gateway has `waiting` requests and no credit for them; or none any more, and credit that lies idle."""

    waiting: Count


class Release(Message, frozen=True):
    """Gives back `credits` that a Recall asked for; 0 when they were used up meanwhile."""

    credits: Count


class Grant(Message, frozen=True):
    """The gateway may send `credits` more requests."""

    credits: Count


class Recall(Message, frozen=True):
    """Give back up to `credits` unused ones; another gateway has work for them."""

    credits: Count


class Heartbeat(Message, frozen=True):
    """Answered by the serving loop itself with the same number: a worker that answers can also serve.

    batch_s: in the answer, the seconds one run takes here; how long silence may last follows from it.
    """

    sequence: Count
    batch_s: Measure = 0.0


class Goodbye(Message, frozen=True):
    """The sender ends this link on purpose: send nothing more, expect nothing more.

    again: from a worker that goes on serving; a gateway that lives may say Hello again at once.
    """

    again: bool = False


class Started(Message, frozen=True):
    """A suspected request is run now, alone: when the worker ends before its answer, this request ended it."""

    id: Count
    generation: str


class Reply(Message, frozen=True):
    """The faces of one request. One tensor frame follows: packed rows, float32 little-endian.

    faces: N. columns: 15, or 5 without landmarks. Milliseconds: waited in this worker, in the batch's
    inference, in this picture's post-processing. dispatch: why the batch went ("full", "idle", "delay").
    sure: the best score in the request's largest look, the others' aside; 0 where it shows no face.
    """

    id: Count
    generation: str
    faces: Count
    columns: int
    wait_ms: Measure
    inference_ms: Measure
    postprocess_ms: Measure
    batch_size: Positive
    dispatch: str
    grant: Count = 0
    sure: Measure = 0.0


class Failure(Message, frozen=True):
    """No faces for this request. kind: "expired", "cancelled", "invalid" (our bug), "failed"."""

    id: Count
    generation: str
    kind: str
    words: str
    grant: Count = 0


class RollCall(Message, frozen=True):
    """A gateway of another host asks a pool who works there; it is told for a while of every change, too."""

    gateway: str


class Listed(msgspec.Struct, frozen=True, array_like=True):
    """A worker that can be reached, on the port behind its pool's that its slot has."""

    slot: Count
    generation: str
    pid: Count


class Roll(Message, frozen=True):
    """Who works on a pool's host. ended: the last generations that died: only their pool may say so.

    Who is in neither has left in good health, or is of an earlier pool.
    """

    workers: tuple[Listed, ...]
    ended: tuple[str, ...] = ()


ToPool = RollCall
ToWorker = Hello | Request | Cancel | Offer | Release | Heartbeat | Goodbye
ToGateway = Welcome | Started | Reply | Failure | Grant | Recall | Heartbeat | Goodbye | Roll
