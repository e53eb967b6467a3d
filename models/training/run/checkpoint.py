"""What a training run is made of: alone knows the checkpoint's form.

The weights, their moving average, the optimiser and how far the run is.
"""

from __future__ import annotations

import copy
import multiprocessing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from models.training.network.detector import NARROW, Detector, Shape, detector_of, shape_of
from models.training.network.widening import widened

SUMS = ("step", "pictures", "seconds")
DECAY = 0.02  # weight decay of convolutions; norms and biases have none


class Progress:
    """Counts that all trainers share: steps, pictures, seconds of training."""

    def __init__(self, step: int = 0, pictures: int = 0, seconds: float = 0.0) -> None:
        self.lock = multiprocessing.Lock()
        self._step = multiprocessing.RawValue("q", step)
        self._pictures = multiprocessing.RawValue("q", pictures)
        self._seconds = multiprocessing.RawValue("d", seconds)

    @property
    def step(self) -> int:
        return int(self._step.value)

    @property
    def pictures(self) -> int:
        return int(self._pictures.value)

    @property
    def seconds(self) -> float:
        return float(self._seconds.value)

    def stepped(self, pictures: int) -> None:
        """Counts one update on so many pictures."""
        with self.lock:
            self._step.value += 1
            self._pictures.value += pictures

    def spent(self, seconds: float) -> None:
        """Counts time; only one trainer does."""
        self._seconds.value += seconds


@dataclass
class State:
    """One trainer's view of the run; model, average and progress lie in shared memory."""

    model: Detector
    average: Detector
    optimiser: torch.optim.Optimizer
    progress: Progress
    # The sums of the cycles before this one.
    before: dict[str, float] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))
    recent: list[tuple[float, float, float]] = field(default_factory=list)


def fresh(seed: int, rate: float, shape: Shape = NARROW) -> State:
    """An untrained state."""
    torch.manual_seed(seed)
    model = Detector(shape)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval().requires_grad_(False)
    model.share_memory()
    return State(model, average, optimiser_of(model, rate), Progress())


def optimiser_of(model: Detector, rate: float) -> torch.optim.Optimizer:
    """AdamW over the model's weights."""
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [
        {"params": decayed, "weight_decay": DECAY},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, fused=True)


def save(state: State, path: Path, facts: dict[str, Any]) -> None:
    """Writes a checkpoint to a temporary name, then renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    held = {
        "model": state.model.state_dict(),
        "average": state.average.state_dict(),
        "optimiser": state.optimiser.state_dict(),
        "step": state.progress.step,
        "pictures": state.progress.pictures,
        "seconds": state.progress.seconds,
        "before": state.before,
        "facts": facts,
    }
    temporary = path.with_suffix(".part")
    torch.save(held, temporary)
    temporary.replace(path)


def load(path: Path) -> dict[str, Any]:
    """The plain contents of a checkpoint, on the CPU."""
    held: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return held


def resume(path: Path, seed: int, rate: float) -> State:
    """The state a checkpoint holds."""
    return restored(load(path), seed, rate)


def restored(held: dict[str, Any], seed: int, rate: float) -> State:
    """The same, of a checkpoint's contents."""
    state = fresh(seed, rate, shape_of(held["model"]))
    state.model.load_state_dict(held["model"])
    state.average.load_state_dict(held["average"])
    state.optimiser.load_state_dict(held["optimiser"])
    state.progress = Progress(held["step"], held["pictures"], held["seconds"])
    state.before = held.get("before", state.before)
    return state


def next_cycle(path: Path, seed: int, rate: float, shape: Shape | None = None) -> State:
    """The beginning of another cycle (warm restart, arXiv 1608.03983) from a checkpoint's weights.

    shape: what they are widened to; None leaves them as they are.
    """
    held = load(path)
    if shape in (None, shape_of(held["average"])):
        state = restored(held, seed, rate)
    else:
        state = fresh(seed, rate, shape)
        wide = widened(detector_of(held["average"]), shape, torch.Generator().manual_seed(seed))
        state.model.load_state_dict(wide.state_dict())
        state.average.load_state_dict(wide.state_dict())
    state.before = totals(held)
    state.progress = Progress()
    return state


def totals(held: dict[str, Any]) -> dict[str, float]:
    """Steps, pictures and seconds of a checkpoint's run with those of the cycles before it."""
    before = held.get("before", {})
    return {name: held[name] + before.get(name, 0) for name in SUMS}
