"""Quiet: whether a picture that is alone in the house will probably stay so. Pure."""

from __future__ import annotations

from dataclasses import dataclass

#: Pictures that are remembered, and which share of them must have met nobody. On two cores and 20 ms a picture: at 20 a
#: second nearly half meet nobody, and runs on both cores shorten the median; at 75 they would lengthen the tail.
MEMORY, QUIET_SHARE = 8, 0.4


@dataclass(slots=True)
class Quiet:
    """share: of the last pictures, how many had the house to themselves; the last count most."""

    share: float = 1.0
    _met: bool = False

    @property
    def lasting(self) -> bool:
        return self.share > QUIET_SHARE

    def came(self, others: int) -> None:
        """A picture came in, to so many others."""
        self._met = others > 0

    def left(self) -> None:
        """One went out."""
        self.share += ((not self._met) - self.share) / MEMORY
