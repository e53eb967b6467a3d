"""How many worker processes with how many threads and what batch: chosen from the machine, and why. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from msgspec import structs

from shared.errors import ConfigurationError
from shared.processes import gateway_processes
from shared.settings import Settings
from worker.outbox import places

#: A card that takes 2 ms for 16 pictures waits for fewer (`python -m loadtest.card_workers`).
PER_CARD_MAX = 4
#: Cores that send one worker as much as it can take: where pictures are decoded beside it, and where they only come in.
CORES_PER_WORKER = {"both": 8, "workers": 2}
#: Threads that share a lone picture: measured are two, and what its small layers have for many is not much.
LONE_MAX = 4
#: A worker's network takes no less of its card.
GPU_MEMORY_MB_MIN = 256


@dataclass(frozen=True, slots=True)
class Topology:
    """workers: processes. threads: each may use to infer, or to check a card. max_batch: pictures in one run.
    lone_threads: each may use on a CPU to infer a picture that is alone in the house.
    """

    workers: int
    threads: int
    max_batch: int
    reason: str
    gpus: int = 0
    lone_threads: int = 1

    def device_of(self, slot: int) -> str:
        """Where the worker of a slot runs; more workers than cards share them in turn."""
        return f"cuda:{slot % self.gpus}" if self.gpus else "cpu"

    def told(self, settings: Settings) -> Settings:
        """What each worker is told: its part of a card's memory. Raises ConfigurationError where that is too little."""
        sharers = ceil(self.workers / self.gpus) if self.gpus else 1
        part_mb = settings.gpu_memory_limit_mb // sharers
        if part_mb < GPU_MEMORY_MB_MIN:
            raise ConfigurationError(
                f"FACE_API_GPU_MEMORY_LIMIT_MB={settings.gpu_memory_limit_mb} is too little for {sharers} workers on a "
                f"card, who want {GPU_MEMORY_MB_MIN} each; raise it, or lower FACE_API_WORKERS"
            )
        return structs.replace(settings, gpu_memory_limit_mb=part_mb)


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
    A lone picture is run wide.

    On GPU as many as can keep a card busy, and batches as they come. What the settings say goes first; a model
    whose answers depend on its neighbours gets batches of one whatever was asked.
    """
    workers = settings.workers or (gpus * per_card(settings, cores / gpus) if gpus else cores)
    threads = settings.worker_threads or max(1, cores // workers)
    max_batch = settings.max_batch or (16 if gpus else 1)
    what = f"{gpus} GPU" if gpus else f"{cores} usable core{'s' * (cores != 1)}"
    lone = 1 if gpus else max(threads, settings.lone_threads or min(LONE_MAX, cores // _gateways(settings, cores)))
    reason = f"{workers} × {threads} thread{'s' * (threads != 1)} for {what}"
    if lone > threads:
        reason += f", {lone} for a lone picture"
    if not batch_invariant and max_batch > 1:
        reason, max_batch = f"{reason}; batch 1, since this model mixes pictures of a batch", 1
    return Topology(workers, threads, max_batch, reason, gpus, lone)


def _gateways(settings: Settings, cores: int) -> int:
    """Gateway processes that may each think a picture alone; of other hosts nobody knows how many there are."""
    return cores if settings.role == "workers" else gateway_processes(settings.gateway_processes)


def per_card(settings: Settings, cores: float) -> int:
    """Workers for each card that has so many cores beside it, within the memory they may take."""
    fed = ceil(cores / CORES_PER_WORKER["workers" if settings.role == "workers" else "both"])
    return max(1, min(PER_CARD_MAX, fed, settings.gpu_memory_limit_mb // GPU_MEMORY_MB_MIN))
