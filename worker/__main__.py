"""`python -m worker`: one worker process, from the prepared model to serving. Started by `worker/pool.py`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import zmq

from models.serving import ServingModel, load
from shared import announcement, settings
from shared.announcement import Announcement
from shared.errors import ConfigurationError
from shared.messages import Welcome
from shared.processes import die_with_parent, forbid_core_files
from shared.settings import Settings
from worker import exit_codes
from worker.credit import CreditLedger
from worker.detector import OnnxDetector, warm_up
from worker.endpoint import Endpoint
from worker.micro_batch import MicroBatcher
from worker.pipeline import Pipeline
from worker.serve import Serving, WorkerSick


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM or SIGINT; the exit codes are those of `worker/exit_codes.py`."""
    options = _options(arguments)
    die_with_parent(options.parent)
    forbid_core_files()
    try:
        effective, _ = settings.load()
        _serve(options, effective, load(options.model))
    except ConfigurationError as error:
        _tell(options, f"cannot start: {error}")
        return exit_codes.CONFIGURATION
    except WorkerSick as error:
        _tell(options, f"gives up: {error}")
        return exit_codes.FAILED
    return exit_codes.OK


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description="One worker process; see worker.pool.")
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--generation", required=True, help="unique name of this process")
    parser.add_argument("--parent", type=int, required=True, help="process id of the pool")
    parser.add_argument("--model", type=Path, required=True, help="a prepared model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--max-batch", type=int, required=True)
    return parser.parse_args(arguments)


def _serve(options: argparse.Namespace, effective: Settings, model: ServingModel) -> None:
    detector = OnnxDetector(model.path, options.threads)
    shapes, began = _shapes(effective, model, options.max_batch), monotonic()
    warm_up(detector, shapes, lambda _: None)
    batch_s = (monotonic() - began) / len(shapes)
    info = model.info.served(detector.provider, options.max_batch)
    capacity = 2 * info.max_batch
    runtime_dir = Path(effective.runtime_dir)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    endpoint = Endpoint(context, effective.transport, runtime_dir, options.generation, capacity)
    announcement.announce(runtime_dir, Announcement(options.slot, options.generation, endpoint.address, os.getpid()))
    try:
        Serving(
            sockets=endpoint,
            pipeline=Pipeline(detector, info.max_batch, lambda words: _tell(options, words)),
            welcome=Welcome(options.generation, options.slot, os.getpid(), capacity, info, model.canary),
            batcher=MicroBatcher(info.max_batch, effective.batch_delay_ms / 1000),
            ledger=CreditLedger(capacity),
            told=lambda words: _tell(options, words),
            stopping=_stop_flag(),
            batch_s=batch_s,
        ).run()
        # Only after a clean end: what a crash leaves tells the pool that this worker had been serving.
        announcement.withdraw(runtime_dir, options.generation)
    finally:
        endpoint.close()
        context.term()


def _shapes(effective: Settings, model: ServingModel, max_batch: int) -> list[tuple[int, int]]:
    """Every (batch, side) this worker may be asked for."""
    sides = {effective.input_side}
    if model.info.dynamic_size:
        sides |= {side for side in (effective.detect_second_side, effective.mask_second_side) if side}
    batches = range(1, (max_batch if model.info.batch_invariant else 1) + 1)
    return [(batch, side) for batch in batches for side in sides]


def _stop_flag() -> Callable[[], bool]:
    """A callable that is True once SIGTERM or SIGINT came; the handler does nothing else."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: asked.append(signum))
    return lambda: bool(asked)


def _tell(options: argparse.Namespace, words: str) -> None:
    print(f"worker {options.generation}: {words}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
