"""What a card may be spared when it cannot serve as it should: a worker says so by its end, the pool obeys. Pure.

Not in the worker itself: after a recording that failed, or an error of the card, only a new process is sound.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import structs

from models.served.facts import ServingModel
from shared import exit_codes
from shared.settings import Settings
from worker.topology import Topology

#: For the log and /health.
WITHOUT_GRAPHS = "served without recorded CUDA graphs: they failed here, the log says how"
IN_FULL = "served in fp32: fp16 failed here, the log says how"
SMALLER = "served in batches of {} at most: FACE_API_GPU_MEMORY_LIMIT_MB leaves a worker room for no more"


class Retreat(Exception):
    """Not so on this card, but otherwise. code: of `shared/exit_codes.py`, what must be given up."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def may_be_full(model: ServingModel, settings: Settings) -> bool:
    """Whether this network is in half precision because nobody said otherwise."""
    return model.info.precision == "fp16" and settings.precision == "auto"


@dataclass(frozen=True, slots=True)
class Way:
    """How workers serve. given_up: in words, by the code that brought it."""

    settings: Settings
    model: ServingModel
    topology: Topology
    given_up: dict[int, str] = field(default_factory=dict)

    @property
    def note(self) -> str:
        return "; ".join(self.given_up.values())


def after(code: int | None, had: Way, way: Way) -> Way | None:
    """How the next workers are to serve; None where this end says nothing new. had: how the one that ended served."""
    if code == exit_codes.WITHOUT_GRAPHS and way.settings.cuda_graphs:
        return _otherwise(way, code, WITHOUT_GRAPHS, settings=structs.replace(way.settings, cuda_graphs=False))
    if code == exit_codes.IN_FULL and way.model.full is not None:
        return _otherwise(way, code, IN_FULL, model=replace(way.model.full, reason=way.model.reason))
    batch = way.topology.max_batch
    if code == exit_codes.SMALLER and had.topology.max_batch == batch > 1:
        return _otherwise(way, code, SMALLER.format(batch // 2), topology=replace(way.topology, max_batch=batch // 2))
    return None


def _otherwise(way: Way, code: int, words: str, **changed: Any) -> Way:
    return replace(way, given_up=way.given_up | {code: words}, **changed)
