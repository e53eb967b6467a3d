"""How many worker processes with how many threads and what batch: chosen from the machine, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from shared.settings import Settings
from worker.outbox import places


@dataclass(frozen=True, slots=True)
class Topology:
    """workers: processes. threads: inference threads each. max_batch: pictures in one run."""

    workers: int
    threads: int
    max_batch: int
    reason: str
    gpus: int = 0

    def device_of(self, slot: int) -> str:
        """Where the worker of a slot runs; more workers than cards share them in turn."""
        return f"cuda:{slot % self.gpus}" if self.gpus else "cpu"


def capacity_of(max_batch: int, depth: int, together: int, run_s: float) -> int:
    """Requests a worker may hold: `depth` batches that run or are on their way in and one prefetched.

    Where runs are short, also those whose answers wait to leave `together`. run_s: seconds of a run.
    """
    return max((depth + 1) * max_batch, places(together, run_s) + 2 if together > 1 else 0)


def busy_with(max_batch: int, capacity: int, device: str) -> int:
    """How many requests keep a worker busy while the next are decoded.

    On a CPU one run: who decodes the next takes the cores from it. A card decodes nothing: it gets all it can hold.
    """
    return max_batch if device == "cpu" else capacity


def choose_topology(settings: Settings, cores: int, gpus: int, *, batch_invariant: bool) -> Topology:
    """On CPU one single-threaded process per core: many small runs beat one wide run, and a batch gains nothing.

    On GPU one process per card, and batches as they come. What the settings say goes first; a model whose
    answers depend on its neighbours gets batches of one whatever was asked.
    """
    workers = settings.workers or (gpus or cores)
    threads = settings.worker_threads or (1 if gpus else max(1, cores // workers))
    max_batch = settings.max_batch or (16 if gpus else 1)
    what = f"{gpus} GPU" if gpus else f"{cores} usable core{'s' * (cores != 1)}"
    reason = f"{workers} × {threads} thread{'s' * (threads != 1)} for {what}"
    if not batch_invariant and max_batch > 1:
        return Topology(workers, threads, 1, f"{reason}; batch 1, since this model mixes pictures of a batch", gpus)
    return Topology(workers, threads, max_batch, reason, gpus)
