"""One thing that a rehearsal was to see, told as it is seen."""

from __future__ import annotations

from msgspec import Struct


class Seen(Struct, frozen=True):
    """when: what had befallen. wanted, seen: in words."""

    when: str
    what: str
    wanted: str
    seen: str

    @property
    def kept(self) -> bool:
        return self.wanted == self.seen

    def told(self) -> str:
        return f"{self.when:18}{self.what:32}{self.seen:32}  {'kept' if self.kept else f'NOT KEPT: {self.wanted}'}"


def seen(when: str, what: str, wanted: object, found: object) -> Seen:
    """Prints it, too: a rehearsal takes minutes."""
    one = Seen(when, what, str(wanted), str(found))
    print(one.told(), flush=True)
    return one
