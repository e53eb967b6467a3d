"""How decoding processes are shut in, as they tell their gateway."""

from __future__ import annotations

import msgspec


class Sandbox(msgspec.Struct, frozen=True, array_like=True):
    """How a process is shut in. landlock: its version, 0 is none. notes: what lacks, each with its mend."""

    landlock: int = 0
    seccomp: bool = False
    notes: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether both hold; an old Landlock counts, since seccomp refuses what it lets through."""
        return bool(self.landlock) and self.seccomp

    def __str__(self) -> str:
        layers = [f"Landlock {self.landlock}"] if self.landlock else []
        return " and ".join(layers + ["seccomp"] * self.seccomp) or "none"
