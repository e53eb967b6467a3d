"""How many connections fit under the system's limit on open files, which is raised as far as it goes."""

from __future__ import annotations

from gateway.edge.connections import TURNED_AWAY_MAX
from shared.errors import ConfigurationError
from shared.logs import Log
from shared.processes import allow_open_files

#: Of one gateway process beside connections: pictures in the hand of children, links to workers, stores, its own.
OTHERS = 512
#: With fewer there is no sense in serving.
CONNECTIONS_MIN = 64


def connections_that_fit(most: int) -> int:
    """`most`, or fewer where the hard limit does not let this process have so many open files; may be negative."""
    return min(most, allow_open_files(needed(most)) - needed(0))


def needed(most: int) -> int:
    """Open files of a gateway process with so many connections."""
    return most + TURNED_AWAY_MAX + OTHERS


def check(most: int, log: Log) -> None:
    """For a start: raises the limit that the gateway's processes inherit, and tells where it stays too low.

    Raises ConfigurationError when there is no sense in serving.
    """
    fit = connections_that_fit(most)
    if fit < min(most, CONNECTIONS_MIN):
        raise ConfigurationError(words(most, fit))
    if fit < most:
        log.warning("fewer connections than set", why=words(most, fit))


def words(most: int, fit: int) -> str:
    """What is wrong, and what mends it."""
    files = needed(most)
    return (
        f"FACE_API_MAX_CONNECTIONS={most} takes {files} open files, but the system lets this process have "
        f"{needed(fit)}, which is {max(0, fit)} connections; raise its hard limit (ulimit -n {files}, "
        f"LimitNOFILE={files} in a systemd unit, --ulimit nofile={files} for a container) or lower the setting"
    )
