"""The gateways of one worker: who they are, what they may send, whether they are still there. Owns credit and Goodbyes.

Knows nothing of batches: when a gateway leaves, the serving loop is told and drops what it held for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from shared.messages import CropMemoryAddress, Goodbye, Grant, Heartbeat, Offer, Recall, Release, ToWorker, Welcome
from shared.wire import WireError, decode_to_worker, encode
from worker.clock import Clock
from worker.credit import CreditLedger, Moves
from worker.router import Delivery

#: A gateway that was not heard of for this long has died; its credits go to others. Five heartbeats.
GATEWAY_SILENCE_S_MAX = 5.0
#: When stopping: how long gateways may take to answer Goodbye, and how often it is looked for.
FAREWELL_S_MAX, FAREWELL_LOOK_S = 1.0, 0.02
#: The serving loop looks at its links at least so often when nothing happens.
LOOK_INTERVAL_S = 0.5
#: A gateway that was asked for idle credit and stands still is not waited for longer than this or twice this.
RECALL_S_MAX = 0.5


#: `worker/crop_view.py:open_view`. Raises OSError, ValueError.
OpenView = Callable[[CropMemoryAddress], NDArray[np.uint8]]


class Sockets(Protocol):
    """What the loop needs of `worker/router.py`."""

    def receive(self, timeout_s: float | None) -> tuple[bytes, list[memoryview]] | None: ...
    def send(self, gateway: bytes, frames: Sequence[Any]) -> Delivery: ...


@dataclass(slots=True)
class Links:
    """dropped: called with every gateway that left. heard: when each gave its last sign. lost: how many just went.

    unsaid: gateways that did not read when they were to be told that they are forgotten, and whether they said Hello
    since. Each is told once it reads; until then it would count on what was dropped.
    view: opens a gateway's crop memory; None where gateways are not of this host. crops: those that are open.
    """

    sockets: Sockets
    ledger: CreditLedger
    welcome: Welcome
    told: Callable[[str], None]
    dropped: Callable[[bytes], None]
    clock: Clock
    view: OpenView | None = None
    heard: dict[bytes, float] = field(default_factory=dict)
    lost: int = 0
    unsaid: dict[bytes, bool] = field(default_factory=dict)
    crops: dict[bytes, NDArray[np.uint8]] = field(default_factory=dict)
    _looked: float = 0.0
    _doubted: float = 0.0

    def greet(self, gateway: bytes, address: CropMemoryAddress | None, now: float) -> None:
        """It said Hello, perhaps not for the first time: it starts from nothing. address: of its crops."""
        if gateway in self.ledger:
            self._forget(gateway)
        self._open_crops(gateway, address)
        self._welcome(gateway, now)

    def _open_crops(self, gateway: bytes, address: CropMemoryAddress | None) -> None:
        self.crops.pop(gateway, None)
        if self.view is None or address is None:
            return
        try:
            self.crops[gateway] = self.view(address)
        except (OSError, ValueError) as error:
            self.told(f"a gateway's crops come through its socket, which takes longer: {error}")

    def _welcome(self, gateway: bytes, now: float) -> None:
        message = structs.replace(self.welcome, reads_crops=gateway in self.crops)
        if self._said(gateway, message, greeted=True):
            self.heard[gateway] = now
            self.ledger.join(gateway)
            self.settle()

    def sign(self, gateway: bytes, sequence: int, batch_s: float, now: float) -> None:
        """Answers a Heartbeat; anybody's, the pool's too."""
        if gateway in self.ledger:
            self.heard[gateway] = now
        self.sockets.send(gateway, encode(Heartbeat(sequence, batch_s)))

    def obey(self, gateway: bytes, message: ToWorker) -> None:
        """What a gateway says about credit, or its Goodbye."""
        if isinstance(message, Offer):
            self.ledger.offered(gateway, message.waiting)
        elif isinstance(message, Release):
            self.ledger.released(gateway, message.credits)
        elif isinstance(message, Goodbye):
            self._forget(gateway)
        self.settle()

    def turn_away(self, gateway: bytes) -> None:
        """A stranger must say Hello first."""
        self._said(gateway, Goodbye(again=True), greeted=False)

    def _said(self, gateway: bytes, message: Welcome | Goodbye, *, greeted: bool) -> bool:
        """Whether what must be said is; where it does not fit now, it is tried again."""
        self.unsaid.pop(gateway, None)
        delivery = self.sockets.send(gateway, encode(message))
        if delivery is Delivery.FULL:
            self.unsaid[gateway] = greeted
        elif delivery is Delivery.GONE:
            self.crops.pop(gateway, None)
        return delivery is Delivery.SENT

    def settle(self) -> None:
        """Deals free credit out, and asks for idle credit where it is missed."""
        self._make(self.ledger.settle())

    def settle_for(self, gateway: bytes) -> int:
        """The same; what goes to `gateway` is returned, to travel with its answer."""
        moves = self.ledger.settle()
        granted = moves.grants.pop(gateway, 0)
        self._make(moves)
        return granted

    def send(self, gateway: bytes, frames: Sequence[Any]) -> None:
        """To a gateway that is known. If it is gone, or does not read, its credit goes to the others at once."""
        if gateway not in self.ledger:
            return
        delivery = self.sockets.send(gateway, frames)
        if delivery is not Delivery.SENT:
            self.lost += 1
            self.told("a gateway is gone" if delivery is Delivery.GONE else "a gateway does not read")
            self._forget(gateway)
            self.turn_away(gateway)
            self.settle()

    def look(self, now: float) -> None:
        """Forgets the silent. Time in which the loop itself stood still, or ran a long batch, is not their silence."""
        absence = now - self._looked if self._looked and now - self._looked > 2 * LOOK_INTERVAL_S else 0.0
        self._looked = now
        if now - self._doubted > RECALL_S_MAX:
            self._doubted = now
            self.ledger.doubt()
            self.settle()
        for gateway, greeted in list(self.unsaid.items()):
            self._welcome(gateway, now) if greeted else self.turn_away(gateway)
        for gateway in self.ledger.gateways:
            if gateway not in self.ledger:
                continue  # found to be gone when credit moved a moment ago
            self.heard[gateway] = min(now, self.heard[gateway] + absence)
            if now - self.heard[gateway] > GATEWAY_SILENCE_S_MAX:
                self.lost += 1
                self.told(f"a gateway was silent for {GATEWAY_SILENCE_S_MAX:.0f} s")
                self._forget(gateway)
                self.turn_away(gateway)
                self.settle()

    def part(self) -> None:
        """Says Goodbye and waits for each gateway's: a socket closed with unread messages loses what was sent, too."""
        left, end = dict.fromkeys(self.ledger.gateways), self.clock.now() + FAREWELL_S_MAX
        for gateway in left:
            self.sockets.send(gateway, encode(Goodbye()))
        while left and self.clock.now() < end:
            arrived = self.sockets.receive(FAREWELL_LOOK_S)
            if arrived is not None and _is_goodbye(arrived[1]):
                left.pop(arrived[0], None)

    def _make(self, moves: Moves) -> None:
        for gateway, credits_ in moves.grants.items():
            self.send(gateway, encode(Grant(credits_)))
        for gateway, credits_ in moves.recalls.items():
            self.send(gateway, encode(Recall(credits_)))

    def _forget(self, gateway: bytes) -> None:
        self.ledger.leave(gateway)
        self.heard.pop(gateway, None)
        self.crops.pop(gateway, None)
        self.dropped(gateway)


def _is_goodbye(frames: list[memoryview]) -> bool:
    try:
        return isinstance(decode_to_worker(frames)[0], Goodbye)
    except WireError:
        return False
