"""CostModel: what a run of n pictures takes in a worker, learned from their answers as a·n + b. Pure.

Least squares over what was seen, the past forgotten slowly; source of the form: BentoML's dispatcher.
"""

from __future__ import annotations

from dataclasses import dataclass

#: How much of the past each new observation leaves: half of it after about 70 observations.
KEPT = 0.99
#: Below this spread of batch sizes the line has no slope of its own.
VARIANCE_MIN = 0.05


@dataclass(slots=True)
class CostModel:
    """Weighted sums over (pictures in the run, its seconds)."""

    weight: float = 0.0
    pictures: float = 0.0
    squares: float = 0.0
    seconds: float = 0.0
    products: float = 0.0

    def learn(self, pictures: int, seconds: float) -> None:
        self.weight = self.weight * KEPT + 1
        self.pictures = self.pictures * KEPT + pictures
        self.squares = self.squares * KEPT + pictures * pictures
        self.seconds = self.seconds * KEPT + seconds
        self.products = self.products * KEPT + pictures * seconds

    @property
    def known(self) -> bool:
        return self.weight > 0

    def line(self) -> tuple[float, float]:
        """(a, b): seconds per picture and per run. Without different batch sizes all is put on the pictures."""
        assert self.weight, "nothing was seen"
        mean_pictures, mean_seconds = self.pictures / self.weight, self.seconds / self.weight
        variance = self.squares / self.weight - mean_pictures**2
        if variance < VARIANCE_MIN:
            return mean_seconds / mean_pictures, 0.0
        slope = (self.products / self.weight - mean_pictures * mean_seconds) / variance
        slope = min(max(slope, 0.0), mean_seconds / mean_pictures)
        return slope, mean_seconds - slope * mean_pictures

    def run_s(self, pictures: int) -> float:
        """Expected seconds of a run of so many; 0 while nothing is known."""
        if not self.known:
            return 0.0
        per_picture, per_run = self.line()
        return per_picture * pictures + per_run
