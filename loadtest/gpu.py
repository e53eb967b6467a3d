"""`python -m loadtest.gpu`: what a GPU does with 2.5G- and 10G-shaped networks; a table and a JSON.

About ten minutes on a card. `--provider cpu` tries the script where there is none (its figures mean nothing).
JPEGs and HTTP are another matter, measured by `loadtest.bench`: on a large card the cores are the limit.

    exit codes   0 done · 78 wrong options, or no such card or provider
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import onnxruntime

from loadtest.gpu_cells import WAYS, Cell, Effort, Way, cell, networks, opened, serving_model
from loadtest.networks import SHAPES
from models.preparing.machine import GPU_BLOCK
from models.served.facts import ServingModel, load
from shared.errors import ConfigurationError
from shared.exit_codes import CONFIGURATION, OK
from shared.gpus import describe_gpus
from worker.cuda_device import CudaRuntime
from worker.gpu_options import CUDA

#: On a CPU everything else is meaningless, and these show that the script works.
CPU_WAYS = ("default", "fp32", "raw")


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    try:
        facts = machine(options.provider)
        with tempfile.TemporaryDirectory(prefix="face-api-gpu-") as folder:
            cells, skipped = measure(options, Path(folder))
    except ConfigurationError as error:
        print(f"cannot measure: {error}", file=sys.stderr)
        return CONFIGURATION
    text = report(facts, cells, skipped)
    options.out.mkdir(parents=True, exist_ok=True)
    result = {"machine": facts, "cells": cells, "skipped": skipped}
    (options.out / "gpu.json").write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
    (options.out / "gpu.md").write_text(text, encoding="utf-8")
    print(text)
    return OK


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.gpu", description="Rates per batch size on a GPU.")
    parser.add_argument("--provider", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--networks", nargs="*", choices=sorted(SHAPES), default=sorted(SHAPES))
    parser.add_argument("--model", type=Path, help="a prepared model to measure besides, serving.onnx")
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument(
        "--block", type=int, default=GPU_BLOCK, help="channels by so many; 1 leaves the networks as they are"
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--ways", nargs="*", help="only the ways whose names begin so")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("var/bench"))
    return parser.parse_args(arguments)


def measure(options: argparse.Namespace, folder: Path) -> tuple[list[Cell], list[str]]:
    """Cells of every network and way, and in words what could not be measured and why."""
    cells: list[Cell] = []
    skipped: list[str] = []
    ways = chosen_ways(options.provider, options.ways)
    for name, precision, model in _models(options, folder):
        for way in (way for way in ways if way.precision == precision):
            try:
                cells += _apart(options, name, model, way)
            except (ConfigurationError, RuntimeError) as error:  # a process that died raises a RuntimeError too
                skipped.append(f"{name}, {way.name}: {error}")
    if not cells:
        raise ConfigurationError("; ".join(skipped) or "no way of running is left; look at --ways and --networks")
    return cells, skipped


def chosen_ways(provider: str, wanted: Sequence[str] | None) -> list[Way]:
    """The ways to measure: those whose names begin as wanted, else all that the provider knows."""
    beginnings = tuple(wanted) if wanted else (CPU_WAYS if provider == "cpu" else ("",))
    return [way for way in WAYS if way.name.startswith(beginnings)]


def _models(options: argparse.Namespace, folder: Path) -> list[tuple[str, str, ServingModel]]:
    found = list(networks(options.networks, options.side, options.block, folder))
    if options.model:
        prepared = load(options.model)
        facts = prepared.info
        model = serving_model(options.model, facts.name, facts.precision, options.side)
        found.append((facts.name, facts.precision, model))
    return found


def _apart(options: argparse.Namespace, name: str, model: ServingModel, way: Way) -> list[Cell]:
    """In a process of its own, so that memory and a card's errors go with it."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as processes:
        return processes.submit(_cells, options, name, model, way).result()


def _cells(options: argparse.Namespace, name: str, model: ServingModel, way: Way) -> list[Cell]:
    def told(words: str) -> None:
        print(f"{name}, {way.name}: {words}", file=sys.stderr, flush=True)

    largest = max(options.batches)
    detector = opened(model, way, options.provider, largest, told)
    effort = Effort(options.seconds, options.rounds)
    return [cell(detector, name, way, options.side, batch, largest, effort) for batch in options.batches]


def machine(provider: str) -> dict[str, Any]:
    """What the figures were measured on. Raises ConfigurationError when the card cannot be reached."""
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "provider": provider,
        "onnxruntime": onnxruntime.__version__,
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "python": platform.python_version(),
    }
    if provider == "cpu":
        return facts
    if CUDA not in onnxruntime.get_available_providers():
        raise ConfigurationError(f"{CUDA} is not in this build of onnxruntime; make clean install ACCEL=gpu")
    onnxruntime.preload_dlls()
    runtime = CudaRuntime(onnxruntime.cuda_version)
    cards = describe_gpus()
    return facts | {
        "card": cards[0]["name"] if cards else "?",
        "driver": cards[0]["driver_version"] if cards else "?",
        "memory_mib": cards[0]["memory.total"] if cards else "?",
        "cuda_of_driver": _version(runtime.number("cudaDriverGetVersion")),
        "cuda_runtime": _version(runtime.number("cudaRuntimeGetVersion")),
        "onnxruntime_built_for_cuda": onnxruntime.cuda_version,
    }


def _version(number: int) -> str:
    """CUDA writes 13.0 as 13000."""
    return f"{number // 1000}.{number % 1000 // 10}"


def report(facts: dict[str, Any], cells: list[Cell], skipped: list[str]) -> str:
    """The table in Markdown, with the machine above it."""
    lines = [
        ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in facts.items()),
        "",
        "Pictures a second, median (least to most); milliseconds of one batch with nothing else running.",
        "",
        "| network | way | batch | network alone | to heads, two slots | one slot | to faces | p50 / p95 ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in cells:
        rates = [_rate(rate) for rate in (one.model_only, one.heads, one.heads_one_slot, one.faces)]
        alone = f"{one.alone_p50_ms} / {one.alone_p95_ms}"
        lines.append("| " + " | ".join([one.network, one.way, str(one.batch), *rates, alone]) + " |")
    return "\n".join([*lines, *(["", *(f"Not measured: {words}" for words in skipped)] if skipped else []), ""])


def _rate(rate: tuple[float, float, float]) -> str:
    middle, least, most = rate
    return f"{middle:.0f} ({least:.0f} to {most:.0f})"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
