"""What it means that a network failed before it served: that it cannot run here, or only not now. Pure."""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import ConfigurationError

#: Of the machine at this moment, not of the network: memory that others hold, a card that fails or is being reset.
_PASSING = re.compile(
    r"out of memory|bad_alloc|alloc\w* (?:memory|failed)|CUDA (?:failure|error)|CUDNN|CUBLAS", re.IGNORECASE
)

#: An arena of onnxruntime that may take no more, by its own limit.
_BEYOND_LIMIT = re.compile(r"Available memory of \d+ is smaller than requested")


class NotNow(Exception):
    """The network could not be opened for a reason that may pass: trying again may help."""


def reason(error: Exception, path: Path, device: str) -> Exception | None:
    """What to raise in place of `error`; None for one that is no runtime's, but a bug of ours.

    ConfigurationError: this network cannot run on this device, however often it is tried.
    """
    words = first_line(error)
    if isinstance(error, MemoryError) or (_of_a_runtime(error) and _PASSING.search(str(error))):
        return NotNow(f"{path} cannot be opened on {device} now: {words}")
    if _of_a_runtime(error):
        return ConfigurationError(
            f"{path} cannot be run on {device}: {words}; serve another model with FACE_API_MODEL, or remove the cache "
            "in FACE_API_DATA_DIR if this one has been served before"
        )
    return None


def is_too_large(error: Exception) -> bool:
    """Whether a run wants more memory than the network may take, however much the card has."""
    return _of_a_runtime(error) and bool(_BEYOND_LIMIT.search(str(error)))


def first_line(error: Exception) -> str:
    """What it says first; its kind where it says nothing."""
    words = str(error).strip()
    return words.splitlines()[0] if words else type(error).__name__


def _of_a_runtime(error: Exception) -> bool:
    """onnxruntime's dozen kinds have no common base but their module; ours for CUDA is a plain RuntimeError."""
    return type(error).__module__.startswith("onnxruntime") or type(error) in (RuntimeError, FloatingPointError)
