"""When a dead worker is replaced: at once, unless it dies at start over and over. Pure."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_DELAY_S = 0.5
DELAY_S_MAX = 30.0


@dataclass(slots=True)
class Backoff:
    """Counts deaths before serving; one death while serving forgives them all."""

    deaths_at_start: int = 0

    def after_death(self, *, served: bool) -> float:
        """Seconds to wait before the next start."""
        if served:
            self.deaths_at_start = 0
            return 0.0
        self.deaths_at_start += 1
        return float(min(FIRST_DELAY_S * 2 ** (self.deaths_at_start - 1), DELAY_S_MAX))
