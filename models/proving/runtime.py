"""Opens networks with onnxruntime on the CPU for preparing and proving; serving sessions are the worker's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import onnxruntime

from shared.errors import ConfigurationError

#: More threads gain little on networks this small.
THREADS_MAX = 4
#: onnxruntime's log levels: 4 is fatal. Warnings of exports are harmless, and errors are raised besides.
_FATAL_ONLY = 4


def open_session(model: Path | bytes, threads: int) -> Any:
    """An InferenceSession on the CPU. Raises ConfigurationError when the file is no usable model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _FATAL_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    source = str(model) if isinstance(model, Path) else model
    try:
        return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds for "not a usable model"
        raise ConfigurationError(f"onnxruntime cannot load the model: {error}") from error


def spare_threads() -> int:
    """Threads to prepare with: the cores this process may use, at most THREADS_MAX."""
    return min(THREADS_MAX, len(os.sched_getaffinity(0)))
