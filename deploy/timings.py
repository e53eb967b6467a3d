"""The one table of times that balancer, host and supervisor share, and the order in which they must stand.

`deploy/balancing.py` writes the balancers' files from it; hosts behind a balancer are started with `of_hosts()`.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from deploy.service import POOL_GRACE_S, STOP_MARGIN_S

#: What a host may take to end beyond its drain and its grace.
ENDING_S = STOP_MARGIN_S + POOL_GRACE_S


class TimeTable(Struct, frozen=True, kw_only=True):
    """Seconds, but for the two counts."""

    # A client and the balancer
    headers: float = 10
    #: For a whole body: 20 MiB at 0.6 Mbit/s. It is held by the balancer, so a slow client takes no place in a host.
    upload: float = 300
    #: A client that neither sends nor reads.
    client_silence: float = 60
    client_idle: float = 15

    # The balancer and a host
    connect: float = 2
    #: For a host with free connections.
    queue: float = 5
    #: Until a host's answer begins; then another host is asked.
    per_try: float = 10
    #: A picture that ends what touches it must not tour the hosts.
    retries: int = 2
    #: All tries of one request, once its body is here.
    whole: float = 32
    host_idle: float = 60
    look_interval: float = 1
    look: float = 2
    looks_failed: int = 2
    #: Envoy looks a host's name up so often; a cluster's names may be kept so long by whoever answers for them.
    resolve: float = 5
    names_kept: float = 30

    # A host
    request: float = 8
    keep_alive: float = 75
    drain_delay: float = 5
    stop_grace: float = 15

    # Whoever supervises a host
    grace: float = 50
    #: From a host's being ready to the next one's stop, where the balancer has their addresses.
    settle: float = 10

    @property
    def until_gone(self) -> float:
        """Until a host that answers no look gets no more requests."""
        return (self.look_interval + self.look) * self.looks_failed

    @property
    def until_seen_unready(self) -> float:
        """Until a host that says it is not ready gets no more requests."""
        return self.look_interval * self.looks_failed + self.look

    @property
    def until_seen_ready(self) -> float:
        """Until a host that is ready gets requests, though a look had begun before."""
        return self.look + self.look_interval + self.look

    @property
    def until_found(self) -> float:
        """The same where the balancer finds hosts by a name."""
        return self.names_kept + self.resolve + self.until_seen_ready


def out_of_order(t: TimeTable) -> Iterator[str]:
    """What would lose requests, a sentence each; nothing where all stand in order."""
    if t.request >= t.per_try:
        yield f"a busy host says so after {t.request} s, but is given up after {t.per_try} s: request must be less"
    if t.until_gone >= t.per_try:
        yield f"a dead host is found after {t.until_gone} s: that must be less than per_try, {t.per_try} s"
    if t.whole < t.per_try * (1 + t.retries):
        yield f"{1 + t.retries} tries of {t.per_try} s do not fit into whole, {t.whole} s"
    if t.client_silence <= t.whole:
        yield f"who waits is cut after {t.client_silence} s: client_silence must be more than whole, {t.whole} s"
    if t.client_idle >= t.host_idle or t.host_idle >= t.keep_alive:
        yield "idle connections must close from the outside in: client_idle < host_idle < keep_alive"
    if t.drain_delay <= t.until_seen_unready:
        yield f"who stops gets requests for {t.until_seen_unready} s: drain_delay, {t.drain_delay} s, must be more"
    if t.settle <= t.until_seen_ready:
        yield f"who starts gets requests after {t.until_seen_ready} s: settle, {t.settle} s, must be more"
    if t.stop_grace <= t.request:
        yield f"requests take up to {t.request} s: stop_grace, {t.stop_grace} s, must be more"
    if t.grace < t.drain_delay + t.stop_grace + ENDING_S:
        yield f"grace, {t.grace} s, must be drain_delay + stop_grace + {ENDING_S:g} s or more"


def of_hosts(t: TimeTable) -> dict[str, str]:
    """The settings of every host behind a balancer."""
    told = {
        "request_timeout": t.request,
        "keep_alive": t.keep_alive,
        "drain_delay": t.drain_delay,
        "stop_grace": t.stop_grace,
        "termination_grace": t.grace,
    }
    return {f"FACE_API_{name.upper()}": f"{seconds:g}" for name, seconds in told.items()}
