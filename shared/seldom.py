"""Seldom: what could be said over and over, said once a while for each subject. Pure: `now` is an argument."""

from __future__ import annotations

from dataclasses import dataclass, field

INTERVAL_S = 60.0
#: Subjects remembered; strangers may make them up.
SUBJECTS_MAX = 256


@dataclass(slots=True)
class Seldom:
    """interval_s: for one subject. Beyond SUBJECTS_MAX within an interval all others are one subject."""

    interval_s: float = INTERVAL_S
    _said: dict[str, float] = field(default_factory=dict)

    def may(self, subject: str, now: float) -> bool:
        """Whether it is said now; then not again for a while."""
        self._said = {one: at for one, at in self._said.items() if now - at < self.interval_s}
        if subject not in self._said and len(self._said) >= SUBJECTS_MAX:
            subject = ""
        if subject in self._said:
            return False
        self._said[subject] = now
        return True
