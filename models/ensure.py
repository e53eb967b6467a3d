"""The model that is served, ready to be loaded: chosen, prepared where no cached form fits, in the precision wanted.

The pool calls `ensure` once before workers start; every worker then calls `models.served.facts.load` with the path.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from models.catalogue.choose import Choice, choose
from models.int8.best import best_of
from models.preparing.half_precision import half_or_full, wants_half
from models.preparing.prepare import place_of, prepared_fp32
from models.served.facts import ServingModel
from shared.gpus import gpus_to_use
from shared.settings import Settings

Progress = Callable[[str], None]


def ensure(settings: Settings, progress: Progress) -> ServingModel:
    """Choose the model, prepare it where no cached form fits, and say so line by line through `progress`.

    Raises ConfigurationError when there is no model, or none that can be proven right.
    """
    # What cannot be is refused before anything is prepared; halves are made of the network in fp32.
    half = wants_half(settings.precision, gpus_to_use(settings.accelerator))
    choice = choose(settings)
    progress(choice.reason)
    model = prepared(choice, structs.replace(settings, precision="fp32") if half else settings, progress)
    if half:
        model = half_or_full(model, settings, progress)
    return replace(model, reason=choice.reason)


def prepared(choice: Choice, settings: Settings, progress: Progress) -> ServingModel:
    """The serving form of the chosen file, from the cache or made now: int8 where that is asked for or better.

    Raises ConfigurationError.
    """
    place = place_of(choice, settings)
    exact = prepared_fp32(place, progress)
    if place.machine.on_cpu and settings.precision in ("auto", "int8"):
        return best_of(place, exact, progress, asked_for=settings.precision == "int8")
    return exact
