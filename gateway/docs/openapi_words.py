"""The prose and the examples of the OpenAPI document. Knows no types: `gateway.docs.openapi` puts both together."""

from __future__ import annotations

from typing import Any

from gateway.pictures.input_formats import listed

ABOUT = f"""\
Finds faces in pictures and hides them, on your own machines.

* **Detect** answers with boxes, five landmarks and confidences as JSON.
* **Mask** answers with the picture itself, its faces blurred, pixelated or painted over.

Send the picture in the multipart field `image`, or as the whole body with its own `Content-Type`.
In the query or in the form an empty value is a missing one, and a number is its value however it is written (`0.5`,
`.5`, `5e-1`; `5`, `05`, `5.0`). Form fields that mean nothing here (`submit`, `dzuuid`, CSRF tokens) are ignored and
named in `X-Ignored-Fields`; one that is like a parameter's name is refused, as is every unknown name in the query.
{listed("and")} are read, by default up to 20 MB and 30,000,000 pixels, at least 10×10.
Coordinates are pixels of the upright picture: an EXIF orientation is applied first.

**Keys.** Send yours in the `X-API-Key` header. Make keys at `/console`, or with `python -m gateway.keys create`.

**Limits.** By default 300 detect and 150 mask requests a minute per client address; beyond them 429 with `Retry-After`.

**Errors** are always JSON: `{{"detail": "what is wrong and what to do"}}`.
"""

TAGS = [
    {"name": "Faces", "description": "What the service is for."},
    {"name": "Health", "description": "For people, load balancers and orchestrators. No key is needed."},
]

DETECT = """\
Detects faces and returns bounding boxes, 5-point landmarks and confidence scores, best first.

Parameters may also be sent as fields of the multipart form. Of an animated or multi-page file the first frame is
read, and the answer says so in `X-Frames`.
"""

#: {methods}: a row for each.
MASK = """\
Detects and masks faces, then returns the processed picture; what is known about it is in the headers.

| method | what it does |
| --- | --- |
{methods}

With `quality=keep` a JPEG stays as it is but for its masks: only the blocks under them change, every other keeps its
numbers bit for bit, and nothing of what was under them is left in the file. A mask grows to whole blocks, by up to 15
pixels a side (31 in 4:1:1). All metadata go but the orientation, a colour profile that the colours need (`color` is
then in that profile) and what `metadata` asks for. The answer is a sequential JPEG. Other files, CMYK inks and another
`format` are refused with 422.

    curl -H "X-API-Key: xyl_your_api_key_here" -F image=@photo.jpg --fail-with-body \\
      "http://127.0.0.1:8000/api/v1/mask?method=solid&quality=keep" -o masked.jpg

**What a person decided.** `keep` leaves faces visible, `only` masks just these, `regions` masks boxes of your own,
with `detect=false` those alone; `ignore` leaves out faces that lie in a box wholly. A face is meant by its `index` in
detect's answer, where both are asked with the same `second_side`, `turns`, `closer` and `tiles`, or by its box. When in
doubt, a face is covered: a box in `only` is masked with a face or without one, what is in `regions` is masked over a
kept face too, and a mask beside a kept face may reach into it. `X-Faces` counts what was done. `annotate=true` shows
all that in the picture instead of masking.

    curl -H "X-API-Key: xyl_your_api_key_here" -F "image=@photo.jpg" -F "keep=[[100.5, 200.3, 300.1, 400.7]]" \\
      -F "regions=[[20, 40, 180, 90]]" "http://127.0.0.1:8000/api/v1/mask?method=solid" -o masked.jpg

**Metadata.** The answer is upright and carries none, unless `metadata` asks for some; that is written anew from EXIF
tags that are understood. Thumbnails, maker notes, XMP and IPTC never come back.

Parameters may also be sent as fields of the multipart form. Animated and multi-page files are refused with 400, since
their other frames would stay unmasked.
"""

HEALTH = """\
200 only when a picture sent now would be answered: the model is loaded, and the database and storage that are
configured are ready. Otherwise 503 with the status `degraded` and the reason.
"""

PICTURE = listed("or")
OVERLAY = "Only with method=overlay: a picture of yours, laid over the faces; at most 1024×1024 pixels and 256 KB"

ONCE = """\
Makes a retry safe where records are kept: while the job of the first request with this value is there, one with the
same picture and parameters gets the answer that was given (`Idempotency-Replayed: true`) and leaves no other job; where
the masked picture was not kept, it is made again. Another picture or other parameters are 422, one that is still being
answered is 409. The value counts for your API key alone; a UUID is best, and a blank one is none. Where no job is kept,
`X-Ignored-Fields` names it
"""

#: Status → what it means, for errors of detect and mask.
ERRORS = {
    400: "Not a picture in one of the formats, too small (under 10×10), truncated, or not decodable",
    401: "API key missing, unknown or expired",
    403: "API key revoked, or outside its scope",
    408: "The body did not arrive in time",
    409: "A request with this `Idempotency-Key` is being answered; retry after the seconds in `Retry-After`",
    413: "Image exceeds 20 MB or 30M pixels (defaults)",
    415: "The body is neither multipart/form-data nor a picture, or it is packed (`Content-Encoding`)",
    422: "A parameter is unknown or out of range, the form holds no picture or an encoded one, or the format cannot "
    "hold a picture this large",
    429: "Rate limit exceeded",
    500: "An error of the service; `X-Request-Id` finds it in its log",
    503: "Server busy, retry after the seconds in `Retry-After`",
}

#: The same for endpoints that name a key, a job or an image.
NO_SUCH = "No key has this id; no job or image of this key has it, or none are kept"

ERROR_DETAILS = {
    400: f"The file is not a picture in one of the accepted formats: {listed('or')}",
    401: "Missing API key: send it in the X-API-Key header",
    403: "API key revoked",
    404: "No such key",
    408: "the body did not arrive in time; check the connection and try again",
    409: "a request with this Idempotency-Key is being answered; retry in 1 second",
    413: "Image exceeds 20 MB; send a smaller file",
    415: "JSON cannot carry a file; send multipart/form-data with the file in the field `image`, or the file itself as "
    "image/jpeg, image/png, …",
    422: "confidence='2' is not allowed; confidence is 0.01 to 1.0",
    429: "Rate limit of 300 detect requests in 60 s exceeded; retry in 42 seconds",
    500: "Internal error; the request id in X-Request-Id finds it in the log",
    503: "Server busy, retry in 1 second",
}

#: Response header → (JSON type, meaning, example).
HEADERS: dict[str, tuple[str, str, Any]] = {
    "X-Request-Id": ("string", "Request UUID: yours when you sent one", "550e8400-e29b-41d4-a716-446655440000"),
    "X-Face-Count": ("integer", "Faces masked", 1),
    "X-Inference-Ms": ("number", "Model inference time in milliseconds", 12.34),
    "X-Total-Ms": ("number", "Total processing time in milliseconds", 18.56),
    "X-Model": ("string", "Model name", "scrfd_10g"),
    "X-Image-Width": ("integer", "Width of the upright original in pixels", 1920),
    "X-Image-Height": ("integer", "Height of the upright original in pixels", 1080),
    "X-Blur-Method": ("string", "Method used; `annotate` where nothing was hidden", "gaussian"),
    "X-Looks": (
        "string",
        "How it was looked at: runs of the network, tiles beside the whole, quarter turns, doubted finds seen closer",
        "passes=2, tiles=0, turns=0, closer=0",
    ),
    "X-Faces": (
        "string",
        "How many faces were found, how many of them stay visible and are masked, and how many boxes were added",
        "found=3, kept=1, masked=2, added=1",
    ),
    "X-Mask-Weak": ("string", "`true` when the strength is weak for the size of a face: use a larger one", "true"),
    "X-Mask-Colors": (
        "string",
        "Only where the colour profile in the file is broken or not for such a picture: it was not applied",
        "as stored",
    ),
    "X-Job-Id": (
        "string",
        "Only where records are kept: the id of this request's job, a UUIDv7",
        "01931f2e-8f5c-7a31-9c4e-0d6f1b2a3c4d",
    ),
    "X-Job-Status": (
        "string",
        "Only with FACE_API_RECORDS=best_effort, where the job was not written in time: there is no id",
        "unconfirmed",
    ),
    "X-Image-Id": (
        "string",
        "Only where pictures are kept: the id of this masked picture, of detect that of its original, a UUIDv7",
        "01931f2e-9001-7b52-8a11-5f0e3c2d1b4a",
    ),
    "X-Original-Id": (
        "string",
        "Only with FACE_API_STORAGE_ORIGINALS: the id of the picture as it came, a UUIDv7",
        "01931f2e-9001-7b52-8a11-5f0e3c2d1b4b",
    ),
    "X-Image-Status": (
        "string",
        "Only with FACE_API_RECORDS=best_effort, where the picture was not kept in time: there is no id",
        "unconfirmed",
    ),
    "Idempotency-Replayed": (
        "string",
        "Only where the answer is the one that was given before under this `Idempotency-Key`",
        "true",
    ),
    "ETag": (
        "string",
        "SHA-256 of the picture",
        '"60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752"',
    ),
    "X-Frames": ("string", "Only for animated and multi-page files", "12; only the first was read"),
    "X-Ignored-Fields": ("string", "Form fields that mean nothing here and were ignored", "dzuuid, submit"),
    "Accept-Encoding": ("string", "The encodings a request's body may have", "identity"),
    "Server-Timing": ("string", "Milliseconds of each step, as browsers draw them", "decode;dur=3.21"),
    "RateLimit-Policy": (
        "string",
        "The limit that applied: q requests in w seconds",
        '"detect";q=300;w=60',
    ),
    "RateLimit": ("string", "r requests remain, the window ends in t seconds", '"detect";r=299;t=60'),
    "Retry-After": ("integer", "Seconds to wait before the next try", 1),
    "WWW-Authenticate": ("string", "How to authenticate", 'ApiKey realm="face-api"'),
}

#: What a field of an answer means, where its name does not say it: schema → field → words.
FIELDS: dict[str, dict[str, str]] = {
    "DetectResponse": {
        "request_id": "The same as in X-Request-Id",
        "image_id": "Of the picture as it came, where FACE_API_STORAGE_ORIGINALS keeps it; else null",
        "job_id": "Of the job that was kept of this request; null where none was",
        "detections": "Best confidence first",
    },
    "DetectedFace": {
        "index": "Place in this answer, from 0",
        "bbox": "Top left and bottom right corner",
        "confidence": "0 to 1",
        "landmarks": "null when the model has none",
        "area": "Square pixels",
        "relative": "Centre and size as shares of the picture's width and height, 0 to 1; only they are clipped",
    },
    "Image": {"size_bytes": "Of the file as sent"},
    "Summary": {
        "avg_confidence": "0 when there is no face",
        "total_face_area": "Square pixels",
        "face_area_ratio": "total_face_area as a share of the picture; at most 1: boxes overlap and reach beyond it",
    },
    "Processing": {
        "input_size": "Width and height of the network's input",
        "passes": "How often the network looked at the picture",
        "tiles": "How many tiles it looked at beside the whole",
        "turns": "How many quarter turns it looked at beside upright: 0 or 3",
        "closer": "How many finds it was not sure of and looked at again, closer",
    },
    "HealthResponse": {
        "status": "`ok` or `degraded`",
        "input_size": "Width and height of the network's input",
        "database_ready": "null when none is configured",
        "storage_ready": "null when none is configured",
        "reason": "Why it is degraded",
        "precision": "Arithmetic of the network",
        "provider": "What the model really runs on",
        "max_batch": "Most pictures in one run",
        "batch_invariant": "Whether a picture's answer is the same in every batch",
        "license": "Of the model's weights",
        "workers": "Worker processes that are serving",
        "queue": "Requests waiting in this gateway process",
        "decode_sandbox": "What holds the processes that decode pictures: Landlock, seccomp, or none",
        "decode_sandbox_note": "What of it this system lacks, and the mend",
    },
}

FACE: dict[str, Any] = {
    "index": 0,
    "bbox": {"x1": 100.5, "y1": 200.3, "x2": 300.1, "y2": 400.7},
    "confidence": 0.9876,
    "landmarks": {
        "left_eye": {"x": 150.2, "y": 250.1},
        "right_eye": {"x": 250.3, "y": 248.9},
        "nose": {"x": 200.1, "y": 310.5},
        "left_mouth": {"x": 160.7, "y": 360.2},
        "right_mouth": {"x": 240.5, "y": 358.8},
    },
    "size": {"width": 199.6, "height": 200.4},
    "area": 39999.84,
    "center": {"x": 200.3, "y": 300.5},
    "relative": {"x_center": 0.1043, "y_center": 0.2782, "width": 0.104, "height": 0.1855},
}

DETECT_EXAMPLE: dict[str, Any] = {
    "request_id": "550e8400-e29b-41d4-a716-446655440000",
    "image_id": None,
    "job_id": None,
    "image": {"width": 1920, "height": 1080, "channels": 3, "size_bytes": 245760},
    "detections": [FACE],
    "summary": {
        "face_count": 1,
        "avg_confidence": 0.9876,
        "min_confidence": 0.9876,
        "max_confidence": 0.9876,
        "total_face_area": 39999.84,
        "face_area_ratio": 0.0193,
    },
    "processing": {
        "model": "scrfd_10g",
        "input_size": [640, 640],
        "confidence_threshold": 0.5,
        "nms_threshold": 0.4,
        "inference_ms": 12.34,
        "total_ms": 18.56,
        "passes": 1,
        "tiles": 0,
        "turns": 0,
        "closer": 0,
    },
    "profiling": {
        "decode_ms": 3.21,
        "preprocess_ms": 1.05,
        "inference_ms": 12.34,
        "postprocess_ms": 0.45,
        "total_ms": 18.56,
        "input_resolution": "1920x1080",
        "input_bytes": 245760,
    },
}

HEALTH_EXAMPLE: dict[str, Any] = {
    "status": "ok",
    "model": "scrfd_10g",
    "model_loaded": True,
    "input_size": [640, 640],
    "supports_landmarks": True,
    "database_enabled": False,
    "database_ready": None,
    "storage_enabled": False,
    "storage_ready": None,
    "reason": "",
    "precision": "fp32",
    "provider": "CPUExecutionProvider",
    "max_batch": 1,
    "batch_invariant": True,
    "model_note": "",
    "license": "see the model's publisher",
    "workers": 2,
    "queue": 0,
    "decode_sandbox": "Landlock 7 and seccomp",
    "decode_sandbox_note": "",
}
