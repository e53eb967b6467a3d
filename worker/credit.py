"""CreditLedger: how a worker shares its few places among gateways. Pure: it only says what to send.

The one rule: credits out + requests in hand never exceed `capacity` over all gateways together, so a worker
holds what runs, what is next and a few finished answers; all else waits where it can be seen and cancelled.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Account:
    """One gateway: credits it may still use, requests of it in hand, how many more it has waiting, and how many of its
    credits it was asked to give back and has not answered. overdue: for so long that nobody counts on them.
    """

    credits: int = 0
    in_hand: int = 0
    waiting: int = 0
    recalled: int = 0
    overdue: bool = False

    @property
    def share(self) -> int:
        return self.credits + self.in_hand

    @property
    def unmet(self) -> int:
        """Requests that wait there without a credit."""
        return max(0, self.waiting - self.credits)

    @property
    def idle(self) -> int:
        """Credits without a request for them."""
        return max(0, self.credits - self.waiting)


@dataclass(slots=True)
class Moves:
    """Credits to grant and to recall, by gateway."""

    grants: dict[bytes, int] = field(default_factory=dict)
    recalls: dict[bytes, int] = field(default_factory=dict)


class CreditLedger:
    """Bookkeeping of credits; gateways are known by their socket identity."""

    def __init__(self, capacity: int) -> None:
        assert capacity >= 1
        self.capacity = capacity
        self._accounts: dict[bytes, Account] = {}

    def __contains__(self, gateway: bytes) -> bool:
        return gateway in self._accounts

    @property
    def gateways(self) -> list[bytes]:
        return list(self._accounts)

    @property
    def free(self) -> int:
        return self.capacity - sum(account.share for account in self._accounts.values())

    def account(self, gateway: bytes) -> Account:
        return self._accounts[gateway]

    def join(self, gateway: bytes) -> None:
        self._accounts[gateway] = Account()

    def leave(self, gateway: bytes) -> None:
        self._accounts.pop(gateway, None)

    def received(self, gateway: bytes, waiting: int) -> bool:
        """A request came. False when the gateway had no credit for it: it must be refused."""
        account = self._accounts[gateway]
        account.waiting = waiting
        if account.credits == 0:
            return False
        account.credits -= 1
        account.in_hand += 1
        return True

    def finished(self, gateway: bytes) -> None:
        """A request of this gateway was answered or dropped; a gateway that left has no account any more."""
        if gateway in self._accounts:
            account = self._accounts[gateway]
            assert account.in_hand > 0
            account.in_hand -= 1

    def offered(self, gateway: bytes, waiting: int) -> None:
        self._accounts[gateway].waiting = waiting

    def released(self, gateway: bytes, count: int) -> None:
        account = self._accounts[gateway]
        account.credits -= min(count, account.credits)
        account.recalled, account.overdue = 0, False

    def doubt(self) -> None:
        """What was asked back until now should be here: who waits for it may have others' instead."""
        for account in self._accounts.values():
            account.overdue = account.recalled > 0

    def settle(self) -> Moves:
        """Deals free credits out (first to gateways with work, then evenly) and recalls idle ones that are missed."""
        moves = Moves()
        while self.free > 0 and self._accounts:
            gateway, account = min(self._accounts.items(), key=_claim)
            account.credits += 1
            moves.grants[gateway] = moves.grants.get(gateway, 0) + 1
        self._recall(moves)
        return moves

    def _recall(self, moves: Moves) -> None:
        """What lies idle goes where work waits, to the last; one also to who has nothing, if a gateway has two."""
        accounts = self._accounts.values()
        coming = sum(account.recalled for account in accounts if not account.overdue)
        hungry = sum(account.unmet for account in accounts) - coming
        missing = hungry + sum(1 for account in accounts if not account.share and not account.waiting)
        for gateway, account in self._accounts.items():
            wanted = min(max(account.idle - 1, min(account.idle, hungry)), missing)
            if wanted > 0 and not account.recalled:
                account.recalled = wanted
                hungry, missing = hungry - wanted, missing - wanted
                moves.recalls[gateway] = wanted


def _claim(entry: tuple[bytes, Account]) -> tuple[bool, int]:
    """Smallest first: gateways with unmet work, then those with the smallest share."""
    _, account = entry
    return (not account.unmet, account.share)
