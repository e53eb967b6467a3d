"""Every room of the gateway stands on a floor and looks down only, and a planted look upward is found."""

from __future__ import annotations

import pytest

from tests.architecture import floors, rooms, rules

SOURCES = {path: text for path, text in rules.sources() if path.startswith("gateway/")}
ARROWS = rooms.arrows(SOURCES)


def test_every_room_of_the_gateway_has_a_floor_and_imports_from_lower_ones_only() -> None:
    assert sorted(floors.rooms_of(ARROWS)) == sorted(room for floor in floors.FLOORS for room in floor)
    assert floors.upward(ARROWS) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("gateway/keys/usage.py", "from gateway.access.door import Door"),
        ("gateway/stores/database.py", "from gateway.keys import records"),
        ("gateway/console/pages.py", "def f():\n    from gateway.routes.admin import routes"),
        ("gateway/reporting/metrics.py", "if TYPE_CHECKING:\n    from gateway.services import Services"),
        ("gateway/keys/usage.py", "from gateway.dispatching.dispatch import Dispatcher"),  # of its own floor
        ("gateway/services.py", "from gateway import visit"),
    ],
)
def test_a_planted_upward_arrow_is_found(path: str, line: str) -> None:
    assert floors.upward(rooms.arrows(SOURCES | {path: line}))
