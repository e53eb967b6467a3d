"""The floors of the gateway: its rooms, which are its folders and the files beside them, from the ground up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: Each imports from lower floors alone.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"stores", "presence", "timings", "request_time", "multipart", "unknown_names", "serialise", "pictures"}),
    frozenset({"record", "keys", "params", "dispatching", "admission"}),
    frozenset({"people", "reporting", "form_parts", "looking", "readiness"}),
    frozenset({"access", "upload"}),
    frozenset({"edge"}),
    frozenset({"services", "error_responses"}),
    frozenset({"visit", "console", "server"}),
    frozenset({"routes"}),
    frozenset({"docs"}),
    # What a process begins with; nothing in the gateway looks at it.
    frozenset({"app", "first_start"}),
    frozenset({"keys.__main__"}),
)


def room_of(module: str) -> str:
    """The room of a module of the gateway; a command line is one of its own, wherever it stands."""
    _, room, *inner = module.split(".")
    return f"{room}.__main__" if inner == ["__main__"] else room


def rooms_of(modules: Iterable[str]) -> set[str]:
    return {room_of(module) for module in modules if module.startswith("gateway.")}


def upward(arrows: Mapping[str, set[str]]) -> list[tuple[str, str]]:
    """(module, what it imports) wherever that stands in another room on the same floor or on a higher one."""
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    pairs = [(module, other) for module, others in arrows.items() for other in others]
    ours = [pair for pair in pairs if all(name.startswith("gateway.") for name in pair)]
    return sorted(
        (module, other)
        for module, other in ours
        if (own := room_of(module)) != (room := room_of(other)) and floors[room] >= floors[own]
    )
