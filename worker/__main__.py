"""`python -m worker`: one worker process, from the prepared model to serving. Started by `worker/pool.py`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import zmq
from msgspec import structs

from models.served.facts import ServingModel, load
from shared import announcement, environment, exit_codes
from shared.announcement import Announcement
from shared.errors import ConfigurationError
from shared.logs import Log, open_log
from shared.messages import Welcome
from shared.processes import die_with_parent, forbid_core_files
from shared.settings import Settings
from worker.cannot_run import NotNow
from worker.credit import CreditLedger
from worker.crop_view import open_view
from worker.guard import endpoint_of, guard_of
from worker.micro_batch import MicroBatcher
from worker.opening import only_sides, open_closer, open_detector, open_lone, trimming_of
from worker.outbox import Outbox
from worker.pipeline import Pipeline
from worker.retreat import Retreat
from worker.router import Router
from worker.serve import Serving, WorkerSick
from worker.topology import busy_with, capacity_of


def main(arguments: list[str]) -> int:
    """Serves until SIGTERM or SIGINT; the exit codes are those of `shared/exit_codes.py`."""
    options = _options(arguments)
    die_with_parent(options.parent)
    forbid_core_files()
    try:
        effective, _ = environment.load()
    except ConfigurationError as error:
        print(f"worker: wrong settings:\n{error}", file=sys.stderr)
        return exit_codes.CONFIGURATION
    log = open_log(effective, "worker").bind(worker=options.generation)
    try:
        _serve(options, effective, _noted(load(options.model), options.note), log)
    except ConfigurationError as error:
        log.error("cannot start", why=str(error))
        return exit_codes.CONFIGURATION
    except NotNow as error:
        log.error("cannot start now", why=str(error))
        return exit_codes.FAILED
    except Retreat as error:
        log.error("cannot serve so on this card", why=str(error))
        _end_here(error.code)
    except WorkerSick as error:
        log.error("gives up", why=str(error))
        return exit_codes.FAILED
    return exit_codes.OK


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m worker", description="One worker process; see worker.pool.")
    parser.add_argument("--slot", type=int, required=True)
    parser.add_argument("--generation", required=True, help="unique name of this process")
    parser.add_argument("--parent", type=int, required=True, help="process id of the pool")
    parser.add_argument("--model", type=Path, required=True, help="a prepared model")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--lone-threads", type=int, default=1, help="for a picture that is alone in the house")
    parser.add_argument("--max-batch", type=int, required=True)
    parser.add_argument("--device", default="cpu", help="cpu, or cuda:0 for the first card")
    parser.add_argument("--note", default="", help="what the operator should know of how it serves")
    return parser.parse_args(arguments)


def _noted(model: ServingModel, note: str) -> ServingModel:
    both = "; ".join(filter(None, (model.info.note, note)))
    return replace(model, info=structs.replace(model.info, note=both))


def _end_here(code: int) -> NoReturn:
    """Without tidying up: onnxruntime may abort when it lets go of a recording that was broken off."""
    sys.stderr.flush()
    os._exit(code)


def _serve(options: argparse.Namespace, effective: Settings, model: ServingModel, log: Log) -> None:
    detector, batch_s = open_detector(options.device, model, effective, options.threads, options.max_batch, log.info)
    closer = open_closer(options.device, model, effective, options.threads, options.max_batch)
    more = options.lone_threads > options.threads
    lone = open_lone(options.device, model, effective, options.lone_threads) if more else None
    info = model.info.served(detector.provider, options.max_batch, closer_network=closer is not None)
    sides = only_sides(options.device, effective, model)
    trimming = trimming_of(options.device, effective, model)
    pipeline = Pipeline(detector, info.max_batch, log.warning, sides, trimming=trimming, closer=closer, lone=lone)
    capacity = capacity_of(info.max_batch, pipeline.depth, effective.answers_together, batch_s)
    runtime_dir = Path(effective.runtime_dir)
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context(1)
    busy = busy_with(info.max_batch, capacity, options.device)
    guard = guard_of(effective, context, log.warning)
    transport = endpoint_of(effective, options.slot) if guard else effective.transport
    router = Router(context, transport, runtime_dir, options.generation, capacity, guard)
    announcement.announce(
        runtime_dir, Announcement(options.slot, options.generation, router.address, os.getpid(), options.parent)
    )
    try:
        Serving(
            sockets=router,
            pipeline=pipeline,
            welcome=Welcome(options.generation, options.slot, os.getpid(), capacity, busy, info, model.canary),
            batcher=MicroBatcher(info.max_batch, effective.batch_delay_ms / 1000),
            ledger=CreditLedger(capacity),
            told=log.warning,
            stopping=_stop_flag(),
            view=None if guard else open_view,
            outbox=Outbox(effective.answers_together),
            batch_s=batch_s,
        ).run()
        # Only after a clean end: what a crash leaves tells the pool that this worker had been serving.
        announcement.withdraw(runtime_dir, options.generation)
    finally:
        router.close()
        context.term()


def _stop_flag() -> Callable[[], bool]:
    """A callable that is True once SIGTERM or SIGINT came; the handler does nothing else."""
    asked: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signum, _frame: asked.append(signum))
    return lambda: bool(asked)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
