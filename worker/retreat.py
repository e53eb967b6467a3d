"""What a card may be spared when it cannot serve as it should: a worker says so by its end, the pool obeys. Pure.

Not in the worker itself: after a recording that failed, or an error of the card, only a new process is sound.
"""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from models.served.facts import ServingModel
from shared import exit_codes
from shared.settings import Settings

#: For the log and /health.
WITHOUT_GRAPHS = "served without recorded CUDA graphs: they failed here, the log says how"
IN_FULL = "served in fp32: fp16 failed here, the log says how"


class Retreat(Exception):
    """Not so on this card, but otherwise. code: of `shared/exit_codes.py`, what must be given up."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code


def may_be_full(model: ServingModel, settings: Settings) -> bool:
    """Whether this network is in half precision because nobody said otherwise."""
    return model.info.precision == "fp16" and settings.precision == "auto"


def after(code: int | None, settings: Settings, model: ServingModel) -> tuple[Settings, ServingModel, str] | None:
    """How the next workers are to serve, and that in words; None where this end of a worker says nothing new."""
    if code == exit_codes.WITHOUT_GRAPHS and settings.cuda_graphs:
        return (
            structs.replace(settings, cuda_graphs=False),
            model,
            WITHOUT_GRAPHS,
        )
    if code == exit_codes.IN_FULL and model.full is not None:
        return settings, replace(model.full, reason=model.reason), IN_FULL
    return None
