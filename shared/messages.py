"""The whole message set between gateways and workers. Why each exists stands in DECISIONS.md, "The wire".

    gateway → worker    Hello · Request · Cancel · Offer · Release · Heartbeat · Goodbye
    worker → gateway    Welcome · Started · Reply · Failure · Grant · Recall · Heartbeat · Goodbye

Credit: a worker grants each gateway the right to send so many requests. A request uses one credit up; a
Reply or Failure may bring new ones (`grant`). Over all gateways together a worker never has more credits
and requests out than its capacity: what runs, what is next, and answers that wait to leave together. A
gateway with work and no credit sends an Offer; the worker then Recalls idle credit from elsewhere, which that
gateway Releases.
"""

from __future__ import annotations

import msgspec

#: Raised by one with every change of a message or of the frames around it; both sides refuse any other.
PROTOCOL_VERSION = 3


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """Base: encoded as a msgpack array whose first element is the class name."""


class CropHeader(msgspec.Struct, frozen=True, array_like=True):
    """One fitted crop: `rows`×`cols`×3 uint8 BGR pixels, for the top left of a black `side`×`side` input.

    scale: input pixels per picture pixel, the reference's det_scale (fitted height / picture height).
    """

    rows: int
    cols: int
    side: int
    scale: float


class Canary(msgspec.Struct, frozen=True, array_like=True):
    """What the untouched model finds on the canary picture (`shared/canary.py`).

    confidence, nms_threshold: the thresholds to ask with.
    faces: packed rows (`shared/faces.py`), pixels of the canary picture.
    box_tolerance_px, score_tolerance: how far the served precision may stray.
    """

    confidence: float
    nms_threshold: float
    faces: list[list[float]]
    box_tolerance_px: float
    score_tolerance: float


class ModelInfo(msgspec.Struct, frozen=True):
    """What a worker serves; shown in /health, the start block and the metrics.

    dynamic_size: whether a second look is a smaller input; where False it is a smaller picture in the full one.
    """

    name: str
    precision: str
    provider: str
    input_side: int
    landmarks: bool
    max_batch: int
    batch_invariant: bool
    license: str
    source_sha256: str
    note: str = ""
    dynamic_size: bool = True


class Hello(Message, frozen=True):
    """A gateway process opens a link; the worker answers Welcome and Grant."""

    gateway: str


class Welcome(Message, frozen=True):
    """A worker presents itself. `generation` is unique per worker process; every Reply repeats it.

    capacity: requests it may hold. busy_with: how many of them keep it busy while the next are made ready.
    """

    generation: str
    slot: int
    pid: int
    capacity: int
    busy_with: int
    model: ModelInfo
    canary: Canary


class Request(Message, frozen=True):
    """One picture to look at. Tensor frames follow: one per crop, raw uint8, rows·cols·3 bytes each.

    id: unique in its gateway process for life. left_ms: the deadline. width, height: of the upright
    picture. waiting: how many more this gateway has queued, so that the worker can share its credit out.
    suspected: a worker ended with this request in hand; it is run alone, and Started is sent before.
    """

    id: int
    left_ms: int
    confidence: float
    nms_threshold: float
    max_faces: int
    width: int
    height: int
    crops: tuple[CropHeader, ...]
    waiting: int = 0
    suspected: bool = False


class Cancel(Message, frozen=True):
    """The client left: drop this request if it is not running yet."""

    id: int


class Offer(Message, frozen=True):
    """This gateway has `waiting` requests and no credit for them."""

    waiting: int


class Release(Message, frozen=True):
    """Gives back `credits` that a Recall asked for; 0 when they were used up meanwhile."""

    credits: int


class Grant(Message, frozen=True):
    """The gateway may send `credits` more requests."""

    credits: int


class Recall(Message, frozen=True):
    """Give back up to `credits` unused ones; another gateway has work for them."""

    credits: int


class Heartbeat(Message, frozen=True):
    """Answered by the serving loop itself with the same number: a worker that answers can also serve.

    batch_s: in the answer, the seconds one run takes here; how long silence may last follows from it.
    """

    sequence: int
    batch_s: float = 0.0


class Goodbye(Message, frozen=True):
    """The sender ends this link on purpose: send nothing more, expect nothing more.

    again: from a worker that goes on serving; a gateway that lives may say Hello again at once.
    """

    again: bool = False


class Started(Message, frozen=True):
    """A suspected request is run now, alone: when the worker ends before its answer, this request ended it."""

    id: int
    generation: str


class Reply(Message, frozen=True):
    """The faces of one request. One tensor frame follows: packed rows, float32 little-endian.

    faces: N. columns: 15, or 5 without landmarks. Milliseconds: waited in this worker, in the batch's
    inference, in this picture's post-processing. dispatch: why the batch went ("full", "idle", "delay").
    """

    id: int
    generation: str
    faces: int
    columns: int
    wait_ms: float
    inference_ms: float
    postprocess_ms: float
    batch_size: int
    dispatch: str
    grant: int = 0


class Failure(Message, frozen=True):
    """No faces for this request. kind: "expired", "cancelled", "invalid" (our bug), "failed"."""

    id: int
    generation: str
    kind: str
    words: str
    grant: int = 0


ToWorker = Hello | Request | Cancel | Offer | Release | Heartbeat | Goodbye
ToGateway = Welcome | Started | Reply | Failure | Grant | Recall | Heartbeat | Goodbye
