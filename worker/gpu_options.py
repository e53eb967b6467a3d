"""What onnxruntime is told for a GPU, and the proof that it obeyed. The only place that knows provider options.

Sources: onnxruntime docs, CUDA execution provider; session and run option keys of 1.31.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from shared.errors import ConfigurationError
from shared.settings import MEBIBYTE, Settings

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
Provider = tuple[str, dict[str, str]]

#: No node may land on the CPU unseen, and which node landed where can be read afterwards.
SESSION_ENTRIES = {"session.disable_cpu_ep_fallback": "1", "session.record_ep_graph_assignment_info": "1"}
#: As a graph's number: neither record nor replay. onnxruntime counts the runs before a recording by number.
NO_GRAPH = -1
_MEND = "check the driver (`nvidia-smi`) and the installation: rm -rf .venv && make install ACCEL=gpu"


class Assigned(Protocol):
    """The part of an InferenceSession that says what runs where."""

    def get_providers(self) -> Sequence[str]: ...
    def get_provider_graph_assignment_info(self) -> Sequence[Any]: ...


def memory_limits(settings: Settings, sides: Sequence[int]) -> dict[int, int]:
    """Bytes per input side: the worker's limit, shared by the area of its inputs."""
    areas = {side: side * side for side in sides}
    whole = settings.gpu_memory_limit_mb * MEBIBYTE
    return {side: whole * area // sum(areas.values()) for side, area in areas.items()}


def cuda_provider(settings: Settings, precision: str, index: int, stream: int, limit: int) -> Provider:
    """limit: bytes of the arena. stream: address of the stream that everything runs on."""
    half = precision == "fp16"
    return CUDA, {
        "device_id": str(index),
        "gpu_mem_limit": str(limit),
        # Buckets are few and warmed largest first, so exact blocks are reused and nothing doubles.
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": settings.cudnn_conv_algo_search.upper(),
        "enable_cuda_graph": str(int(settings.cuda_graphs)),
        "user_compute_stream": str(stream),
        "prefer_nhwc": str(int(half)),
        "use_tf32": "0",  # fp32 means fp32; who wants speed has fp16
    }


def run_entries(graph_id: int) -> dict[str, str]:
    """Run options: do not wait for the device, and which graph to record or replay."""
    return {"disable_synchronize_execution_providers": "1", "gpu_graph_id": str(graph_id)}


def check_available(wanted: str, available: Sequence[str]) -> None:
    """Raises ConfigurationError when this build of onnxruntime has no such provider."""
    if wanted not in available:
        raise ConfigurationError(f"{wanted} is not in this build of onnxruntime; {_MEND}")


def check_assignment(session: Assigned, wanted: str) -> None:
    """Raises ConfigurationError unless every node runs on this provider."""
    running = list(session.get_providers())
    if not running or running[0] != wanted:
        raise ConfigurationError(f"{wanted} was asked for but onnxruntime runs {', '.join(running)}; {_MEND}")
    assignment = session.get_provider_graph_assignment_info()
    strays = strays_of(assignment, wanted)
    if strays:
        words = "; ".join(f"{provider}: {', '.join(kinds)}" for provider, kinds in strays.items())
        raise ConfigurationError(
            f"part of this network does not run on {wanted} ({words}); serve another model, "
            "or set FACE_API_ACCELERATOR=cpu"
        )
    if not assignment:
        raise ConfigurationError(f"{wanted} was asked for but runs no part of this network; {_MEND}")


def strays_of(assignment: Sequence[Any], wanted: str) -> Mapping[str, list[str]]:
    """Kinds of operators by the provider that has them, for all but the wanted one."""
    strays: dict[str, set[str]] = {}
    for subgraph in assignment:
        if subgraph.ep_name != wanted:
            strays.setdefault(subgraph.ep_name, set()).update(node.op_type for node in subgraph.get_nodes())
    return {provider: sorted(kinds) for provider, kinds in strays.items()}
