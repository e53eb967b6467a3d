"""What the GPU is told, and what is refused when it does not obey."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from shared.cells import OWN_SHEETS
from shared.errors import ConfigurationError
from shared.settings import MEBIBYTE, Settings
from tests.unit.models.material import prepared
from tests.unit.worker_gpu.material import WIDE
from worker.buckets import bucket_for, buckets_up_to
from worker.detector_gpu import open_on, open_on_gpu
from worker.device import HostDevice
from worker.gpu_options import (
    CPU,
    CUDA,
    check_assignment,
    check_available,
    cuda_provider,
    memory_limits,
    run_entries,
)
from worker.opening import open_detector, sides_of


@pytest.mark.parametrize(
    ("max_batch", "buckets"),
    [
        (1, (1,)),
        (2, (1, 2)),
        (5, (1, 2, 3, 4, 5)),
        (16, (1, 2, 3, 4, 6, 8, 12, 16)),
        (20, (1, 2, 3, 4, 6, 8, 12, 16, 20)),
    ],
)
def test_buckets_end_with_the_largest_batch(max_batch: int, buckets: tuple[int, ...]) -> None:
    assert buckets_up_to(max_batch) == buckets


def test_a_batch_goes_into_the_smallest_bucket_that_holds_it() -> None:
    buckets = buckets_up_to(16)
    assert [bucket_for(count, buckets) for count in (1, 2, 5, 6, 7, 9, 13, 16)] == [1, 2, 6, 6, 8, 12, 16, 16]
    for wrong in (0, 17):
        with pytest.raises(AssertionError):
            bucket_for(wrong, buckets)


def test_memory_is_bounded_by_the_setting_over_all_sides() -> None:
    limits = memory_limits(Settings(gpu_memory_limit_mb=1000), [640, 320])
    assert limits == {640: 800 * MEBIBYTE, 320: 200 * MEBIBYTE}


def test_the_card_is_told_what_the_settings_say() -> None:
    settings = Settings(cudnn_conv_algo_search="default", cuda_graphs=False)
    name, options = cuda_provider(settings, "fp16", 1, 4096, 77)
    assert name == CUDA
    assert options == {
        "device_id": "1",
        "gpu_mem_limit": "77",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "DEFAULT",
        "enable_cuda_graph": "0",
        "user_compute_stream": "4096",
        "prefer_nhwc": "1",
        "use_tf32": "0",
    }
    assert cuda_provider(Settings(), "fp32", 0, 1, 1)[1]["prefer_nhwc"] == "0"
    assert cuda_provider(Settings(), "fp32", 0, 1, 1)[1]["enable_cuda_graph"] == "1"


def test_runs_do_not_wait_and_name_their_graph() -> None:
    assert run_entries(-1) == {"disable_synchronize_execution_providers": "1", "gpu_graph_id": "-1"}


def session_on(*assigned: tuple[str, str], providers: tuple[str, ...] = (CUDA, CPU)) -> Any:
    """A session that says what runs where."""
    subgraphs = [
        SimpleNamespace(ep_name=provider, get_nodes=lambda kind=kind: [SimpleNamespace(op_type=kind)])
        for provider, kind in assigned
    ]
    return SimpleNamespace(get_providers=lambda: list(providers), get_provider_graph_assignment_info=lambda: subgraphs)


def test_a_network_wholly_on_the_card_may_serve() -> None:
    check_assignment(session_on((CUDA, "Conv"), (CUDA, "TopK")), CUDA)


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_on((CPU, "Conv"), providers=(CPU,)), "runs CPUExecutionProvider.*nvidia-smi"),
        (session_on((CUDA, "Conv"), (CPU, "TopK"), (CPU, "Cast")), "CPUExecutionProvider: Cast, TopK"),
        (session_on(), "runs no part"),
    ],
)
def test_anything_that_runs_elsewhere_is_refused_with_its_mend(session: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_assignment(session, CUDA)


def test_a_build_without_the_provider_is_refused_with_its_mend() -> None:
    check_available(CUDA, [CUDA, CPU])
    with pytest.raises(ConfigurationError, match="make install ACCEL=gpu"):
        check_available(CUDA, [CPU])


def test_the_libraries_are_loaded_before_it_is_asked_what_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A runtime whose provider shows once its libraries are loaded, and then lacks the driver's."""
    import onnxruntime

    there = [CPU]
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: there.insert(0, CUDA))
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(onnxruntime, "cuda_version", "9999.0")
    with pytest.raises(ConfigurationError, match=r"libcudart\.so\.9999"):
        open_on_gpu(prepared(tmp_path), 0, Settings(), [WIDE], 2, lambda _: None)


def test_the_runtime_itself_refuses_to_fall_back_to_the_cpu(tmp_path: Path) -> None:
    """With the real runtime: where there is no card, asking for one never serves on the CPU."""
    import onnxruntime

    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this build has the CUDA provider; tests/gpu looks at it")
    model = prepared(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be opened on CUDAExecutionProvider"):
        open_on(HostDevice(), model, Settings(), [WIDE], 2, lambda _: (CUDA, {}))
    with pytest.raises(ConfigurationError, match="CUDAExecutionProvider is not in this build"):
        open_on_gpu(model, 0, Settings(), [WIDE], 2, lambda _: None)
    with pytest.raises(ConfigurationError, match="CUDAExecutionProvider is not in this build"):
        open_detector("cuda:0", model, Settings(input_side=WIDE), 1, 2, lambda _: None)


@pytest.mark.parametrize("device", ["cuda", "cuda:", "cuda:-1", "gpu:0", "cuda:1000", ""])
def test_a_device_that_is_none_is_refused(device: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cuda:0"):
        open_detector(device, prepared(tmp_path), Settings(), 1, 1, lambda _: None)


def test_the_sides_of_further_looks_are_opened_only_for_a_network_that_takes_them(tmp_path: Path) -> None:
    model, alone = prepared(tmp_path), Settings(mask_second_side=256, detect_second_side=0, mask_closer=False)
    assert sides_of("cuda:0", alone, model) == [640, 256]
    assert sides_of("cuda:0", Settings(mask_second_side=0), model) == [640, OWN_SHEETS.side_max]
    assert sides_of("cuda:0", Settings(mask_second_side=0, input_side=320), model) == [320]
    for said, more in (("auto", []), ("false", []), ("true", [OWN_SHEETS.side_max]), ("tell", [OWN_SHEETS.side_max])):
        settings = Settings(mask_second_side=0, mask_closer=False, detect_closer=said)
        assert sides_of("cuda:0", settings, model) == [640, *more]
    fixed = prepared(tmp_path / "fixed", reshape="baked") if (tmp_path / "fixed").mkdir() is None else model
    assert sides_of("cuda:0", alone, fixed) == ([640, 256] if fixed.info.dynamic_size else [640])
