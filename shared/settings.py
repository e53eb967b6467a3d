"""Every FACE_API_* setting, typed, with range and meaning; `shared/environment.py` reads them.

`python -m shared.settings_told` prints the effective settings.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import Meta

PREFIX = "FACE_API_"
MEBIBYTE = 1024 * 1024

Precision = Literal["auto", "fp32", "fp16", "int8"]
Accelerator = Literal["auto", "cpu", "gpu"]
#: When a picture is looked at turned as well: where the upright look is not sure of itself, or whatever it saw.
Turns = Literal["never", "unsure", "always"]


def _about(meaning: str) -> Meta:
    return Meta(description=meaning)


def _secret(meaning: str) -> Meta:
    return Meta(description=meaning, extra={"secret": True})


def _number(meaning: str, low: float, high: float) -> Meta:
    return Meta(description=meaning, ge=low, le=high)


class DecodingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings that a process which decodes strangers' files is told; it cannot name another. None is a secret."""

    max_pixels: Annotated[int, _number("Most pixels of one picture", 100, 1 << 30)] = 30_000_000
    min_side: Annotated[int, _number("Least width and height in pixels", 1, 1024)] = 10
    max_decoded_bytes: Annotated[int, _number("Most bytes one picture may take when decoded", MEBIBYTE, 1 << 33)] = (
        256 * MEBIBYTE
    )
    max_jpeg_scans: Annotated[int, _number("Most scans of one JPEG; more is an attack on the decoder", 1, 10_000)] = 100
    decode_timeout: Annotated[
        float, _number("Seconds of computing one picture may take to decode, or to mask", 0.1, 600)
    ] = 10.0
    refuse_weak_masks: Annotated[
        bool, _about("Whether mask answers 422 instead of a warning header when the strength is weak for a face")
    ] = False
    decode_sandbox: Annotated[
        Literal["auto", "required", "off"],
        _about("Whether Landlock and seccomp hold decoders: auto as far as it can, required or it does not start"),
    ] = "auto"


class Settings(DecodingSettings, frozen=True, kw_only=True):
    """One attribute per setting: FACE_API_ + its name in capitals. A secret can come from NAME_FILE."""

    # Where it listens
    host: Annotated[str, _about("Address the gateway binds")] = "127.0.0.1"
    port: Annotated[int, _number("Port the gateway binds; 0 takes a free one", 0, 65535)] = 8000
    gateway_processes: Annotated[int, _number("Gateway processes; 0 chooses from the machine", 0, 64)] = 0
    listen_fd: Annotated[
        int, _number("An open listening socket to serve on instead of host and port; -1 is none", -1, 65535)
    ] = -1
    stop_grace: Annotated[
        int, _number("Seconds that requests in flight may take to finish when the service stops", 0, 600)
    ] = 30
    drain_delay: Annotated[
        float,
        _number("Seconds between going unready and refusing connections on SIGTERM, for load balancers to see", 0, 300),
    ] = 1.0
    termination_grace: Annotated[
        float,
        _number("Seconds between SIGTERM and SIGKILL that a supervisor or Kubernetes gives; 0 is not told", 0, 3600),
    ] = 0.0
    runtime_dir: Annotated[str, _about("Private folder for sockets; empty makes one and removes it")] = ""
    data_dir: Annotated[str, _about("Folder for keys, caches and pulled models")] = "var"

    # Model
    model: Annotated[str, _about("Model name, path of an ONNX file, or auto for the best one found")] = "auto"
    model_dir: Annotated[
        str, _about("Folders searched for models, separated by ':', before data_dir/models and the open one")
    ] = ""
    precision: Annotated[Precision, _about("Arithmetic of the network; auto takes what passed its gate")] = "auto"
    accelerator: Annotated[Accelerator, _about("auto takes a GPU where one answers")] = "auto"
    input_side: Annotated[int, _number("Side of the square network input in pixels, a multiple of 32", 64, 2048)] = 640
    detect_second_side: Annotated[
        int, _number("Input side of detect's second pass for faces that fill the picture; 0 is off", 0, 640)
    ] = 0
    mask_second_side: Annotated[int, _number("The same for mask, on by default; 0 is off", 0, 640)] = 160
    detect_turns: Annotated[
        Turns,
        _about(
            "Whether detect also looks at pictures turned by 90°, 180° and 270°; unsure: only where the upright look is"
        ),
    ] = "never"
    mask_turns: Annotated[Turns, _about("The same for mask")] = "unsure"
    detect_closer: Annotated[
        Literal["auto", "true", "false", "tell"],
        _about(
            "Whether detect looks closer at what its first look is not sure of: true finds more faces; tell also takes "
            "fewer other things for faces; auto is tell where the model has a closer network, as the open one on CPUs"
        ),
    ] = "auto"
    mask_closer: Annotated[bool, _about("The same for mask, where no face is named by its index")] = True
    scaled_jpeg: Annotated[
        Literal["auto", "true", "false"],
        _about(
            "Whether detect decodes JPEGs from twice the input's side on at 1/2, 1/4 or 1/8, and mask makes no "
            "colours of large ones: auto for the open model, which finds as many faces; true for any model: quicker, "
            "other scores"
        ),
    ] = "auto"
    detect_tiles: Annotated[
        int, _number("Most tiles in which detect looks at a large picture beside the whole; 0 is none", 0, 32)
    ] = 0
    mask_tiles: Annotated[int, _number("The same for mask", 0, 32)] = 0
    mask_thorough: Annotated[
        bool,
        _about(
            "Whether mask does everything to find faces, as with thorough=true: finds most, takes several times as long"
        ),
    ] = False
    thorough_tiles: Annotated[int, _number("Most tiles of a thorough look", 1, 32)] = 16

    # Workers
    workers: Annotated[
        int, _number("Worker processes; 0 is one to four per GPU, by cores, or one per usable CPU core", 0, 256)
    ] = 0
    worker_threads: Annotated[
        int, _number("Threads per worker, to infer on CPU, to check a GPU at start; 0 chooses", 0, 256)
    ] = 0
    lone_threads: Annotated[
        int, _number("Threads that infer on CPU while a picture is alone in the house; 0 chooses, 1 is off", 0, 256)
    ] = 0
    max_batch: Annotated[int, _number("Most pictures in one run; 0 chooses (CPU 1, GPU 16)", 0, 64)] = 0
    batch_delay_ms: Annotated[
        float, _number("How long a worker waits for more before it runs what it has", 0, 1000)
    ] = 0.0
    answers_together: Annotated[int, _number("Most answers that leave a worker together when it is full", 1, 64)] = 6
    trim_padding: Annotated[bool, _about("Whether CPU workers leave out most of the black beside pictures")] = True
    transport: Annotated[Literal["ipc", "tcp"], _about("Unix sockets, or tcp on the loopback address")] = "ipc"
    gpu_memory_limit_mb: Annotated[
        int,
        _number(
            "Most MiB that networks may take on a GPU, weights and workspace; its workers share it", 256, 1_000_000
        ),
    ] = 8192
    cudnn_conv_algo_search: Annotated[
        Literal["heuristic", "exhaustive", "default"],
        _about("How cuDNN chooses convolutions: heuristic is quick to start; `python -m loadtest.gpu` measures all"),
    ] = "heuristic"
    cuda_graphs: Annotated[
        bool, _about("Whether each batch size is recorded once and replayed, which spares the GPU its launches")
    ] = True
    gpu_heads: Annotated[
        Literal["reduced", "raw"],
        _about("What comes back from the GPU: the best candidates (all of a crowd that has more), or everything"),
    ] = "reduced"

    # Gateways on some hosts, workers on others
    role: Annotated[
        Literal["both", "gateway", "workers"], _about("Which half this host runs; the other is reached over tcp")
    ] = "both"
    wire_bind: Annotated[
        str,
        _about("Where a host of workers listens, tcp://10.0.0.21:7400: its workers on the next ports"),
    ] = ""
    wire_hosts: Annotated[
        str,
        _about("Hosts of workers, for gateways: tcp://10.0.0.21:7400 separated by ','; a name is all addresses"),
    ] = ""
    wire_key: Annotated[
        str, _secret("Secret key of this host, 40 characters; `python -m deploy.wire_keys NAME` makes a pair")
    ] = ""
    wire_peers: Annotated[
        str, _about("File, or folder of *.pub, with the other half's public keys: whom this host speaks to")
    ] = ""
    wire_links: Annotated[
        int, _number("Most workers that one gateway process is linked to; which follows from its name", 1, 10_000)
    ] = 16

    # Limits
    max_image_bytes: Annotated[int, _number("Most bytes of one image file", 1024, 1 << 30)] = 20 * MEBIBYTE
    decode_budget_bytes: Annotated[
        int, _number("Most decoded bytes at once on this host; 0 chooses from memory", 0, 1 << 40)
    ] = 0
    decode_processes: Annotated[
        int, _number("Child processes per gateway process that decode and mask; 0 chooses", 0, 64)
    ] = 0
    max_queue: Annotated[int, _number("Most requests inside one gateway process", 1, 100_000)] = 256
    max_queue_bytes: Annotated[
        int, _number("Most bytes of bodies inside one gateway process; 0 chooses from memory", 0, 1 << 40)
    ] = 0
    queue_share: Annotated[
        float, _number("Part of the queue's places and bytes that one client may hold, 1 is all", 0.01, 1)
    ] = 0.75
    request_timeout: Annotated[float, _number("Seconds a request may take once its body is here", 0.1, 600)] = 30.0
    header_timeout: Annotated[float, _number("Seconds the headers of a request may take to arrive", 0.5, 120)] = 10.0
    min_transfer_rate: Annotated[
        int, _number("Bytes a second, on average, that a client must send or take; 0 is any", 0, 1 << 30)
    ] = 8192
    max_unsent_bytes: Annotated[
        int, _number("Most bytes of unread answers in one gateway process; then the slowest are cut", MEBIBYTE, 1 << 40)
    ] = 512 * MEBIBYTE
    keep_alive: Annotated[
        int, _number("Seconds an idle connection is kept; more than the load balancer's own", 1, 3600)
    ] = 75
    max_connections: Annotated[int, _number("Most open connections of one gateway process", 1, 1_000_000)] = 8192
    max_connections_per_address: Annotated[
        int, _number("Most of them from one client address; trusted proxies are exempt", 1, 1_000_000)
    ] = 512

    # Access
    api_key_enabled: Annotated[bool, _about("Whether callers need an API key")] = True
    rate_limit_enabled: Annotated[bool, _about("Whether callers are limited per minute")] = True
    database_url: Annotated[
        str, _secret("Key store: postgresql://… for several hosts; empty is a SQLite file in data_dir")
    ] = ""
    key_pepper: Annotated[
        str, _secret("What keys are hashed with, the same on all hosts, 32 characters or more; empty makes a file")
    ] = ""
    key_pepper_previous: Annotated[
        str, _secret("Earlier peppers, separated by ','; keys move to the new one as they are used")
    ] = ""
    key_check_seconds: Annotated[float, _number("How often each process looks for changed keys", 0.1, 4)] = 2.0
    key_grace_seconds: Annotated[
        float, _number("How long known keys keep working while the key store is down", 0, 86_400)
    ] = 600.0
    max_keys: Annotated[int, _number("Most API keys in the store", 1, 1_000_000)] = 100_000
    rate_limit_detect: Annotated[int, _number("Detect requests in one window per client address", 1, 1_000_000)] = 300
    rate_limit_mask: Annotated[int, _number("Mask requests in one window per client address", 1, 1_000_000)] = 150
    rate_limit_admin: Annotated[int, _number("Admin requests in one window per client address", 1, 1_000_000)] = 300
    rate_limit_records: Annotated[
        int, _number("Requests for records in one window per client address", 1, 1_000_000)
    ] = 300
    rate_limit_wrong_keys: Annotated[
        int, _number("Wrong API keys in one window per client address before they are answered 429", 1, 10_000)
    ] = 20
    rate_limit_window: Annotated[float, _number("Seconds of the window, from a client's first request", 1, 3600)] = 60.0
    redis_url: Annotated[
        str, _secret("redis:// or rediss:// for exact limits and quick revocation over several hosts; empty is none")
    ] = ""
    redis_timeout_ms: Annotated[float, _number("Longest wait for Redis before this host limits alone", 1, 5000)] = 100.0
    trusted_proxies: Annotated[
        str, _about("Addresses or networks whose X-Forwarded-For is believed, separated by ','")
    ] = ""
    cors_origins: Annotated[
        str, _about("Origins whose pages may call the API, separated by ','; * is any, empty is none")
    ] = ""
    console_enabled: Annotated[bool, _about("Whether /console is served")] = True
    admin_password: Annotated[
        str, _secret("Password of the console's admin, 12 characters or more; empty uses a one-time link")
    ] = ""
    session_idle_minutes: Annotated[float, _number("A console session ends after this long unused", 1, 1440)] = 30.0
    session_hours: Annotated[float, _number("A console session ends after this long in any case", 0.1, 720)] = 8.0
    audit_keep: Annotated[int, _number("Most entries kept in the audit log", 100, 10_000_000)] = 100_000

    # Records
    records: Annotated[
        Literal["off", "best_effort", "required"],
        _about(
            "Whether detect and mask leave a job in the database of FACE_API_DATABASE_URL: best_effort answers without "
            "an id when it cannot be written, required answers 503"
        ),
    ] = "off"
    records_ttl: Annotated[
        float, _number("Hours after which a job is deleted, and its picture with it", 0.01, 87_600)
    ] = 24.0
    storage_url: Annotated[
        str,
        _about(
            "Where masked pictures are kept beside their jobs: file:///srv/pictures, or s3://bucket/prefix with the "
            "AWS_… variables of its tools (AWS_ENDPOINT_URL_S3 for other servers); empty keeps none"
        ),
    ] = ""
    storage_originals: Annotated[
        bool,
        _about(
            "Whether the pictures that come are kept there too, as they came: faces unhidden, with all that their "
            "files tell of place and time; detect names its own in image_id, mask in X-Original-Id"
        ),
    ] = False
    storage_encryption: Annotated[
        Literal["off", "AES256", "aws:kms"],
        _about("How the bucket is asked to encrypt each picture; the key of aws:kms is AWS_SSE_KMS_KEY_ID's"),
    ] = "off"
    storage_queue_bytes: Annotated[
        int, _number("Most bytes of pictures that wait to be stored in one gateway process", MEBIBYTE, 1 << 40)
    ] = 128 * MEBIBYTE

    # Saying what happens
    log_level: Annotated[Literal["debug", "info", "warning", "error"], _about("Least level logged")] = "info"
    metrics_host: Annotated[str, _about("Address where /metrics is served on a port of its own")] = "127.0.0.1"
    metrics_port: Annotated[
        int, _number("Port where /metrics is served; 0 takes a free one and says which, -1 is none", -1, 65535)
    ] = 0
    metrics_token: Annotated[
        str, _secret("Bearer token with which /metrics is answered on the main port too; empty is not at all")
    ] = ""
    traces_url: Annotated[
        str, _about("Where spans of requests go, an OTLP collector's http://…/v1/traces; empty is nowhere")
    ] = ""
    traces_share: Annotated[
        float, _number("Part of the requests that begin a trace of their own; callers' traces are their choice", 0, 1)
    ] = 1.0
    log_format: Annotated[Literal["auto", "json", "text"], _about("auto is text on a terminal, else JSON")] = "auto"


def variable(name: str) -> str:
    return PREFIX + name.upper()


def _annotation(name: str) -> Any:
    return next(field.type for field in msgspec.structs.fields(Settings) if field.name == name)


def meta_of(name: str) -> Meta:
    return cast("Meta", _annotation(name).__metadata__[0])


def is_secret(meta: Meta) -> bool:
    return bool((meta.extra or {}).get("secret"))


def range_words(name: str) -> str:
    meta, kind = meta_of(name), _annotation(name).__origin__
    if meta.ge is not None:
        return f"{meta.ge} to {meta.le}"
    if kind is bool:
        return "true or false"
    return " | ".join(kind.__args__) if getattr(kind, "__args__", None) else "text"


def text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
