"""Credit: places of a worker shared among gateways; the sum never exceeds the capacity, nobody starves."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from worker.credit import CreditLedger


def ledger_of(capacity: int, *gateways: bytes) -> CreditLedger:
    ledger = CreditLedger(capacity)
    for gateway in gateways:
        ledger.join(gateway)
    return ledger


def test_one_gateway_gets_all_places_at_once() -> None:
    ledger = ledger_of(2, b"a")
    assert ledger.settle().grants == {b"a": 2}
    assert ledger.settle().grants == {}


def test_two_gateways_share_evenly() -> None:
    assert ledger_of(2, b"a", b"b").settle().grants == {b"a": 1, b"b": 1}


def test_a_gateway_with_work_goes_before_an_idle_one() -> None:
    ledger = ledger_of(2, b"idle", b"busy")
    ledger.offered(b"busy", 5)
    assert ledger.settle().grants == {b"busy": 2}


def test_idle_credit_is_recalled_for_a_gateway_that_has_none() -> None:
    ledger = ledger_of(2, b"a", b"b", b"c")
    assert ledger.settle().grants == {b"a": 1, b"b": 1}
    ledger.offered(b"c", 1)
    assert ledger.settle().recalls == {b"a": 1}
    assert ledger.settle().recalls == {}, "once, until it is answered"
    ledger.released(b"a", 1)
    assert ledger.settle().grants == {b"c": 1}


def test_a_newcomer_gets_a_share_of_what_others_hold_idle() -> None:
    ledger = ledger_of(4, b"a")
    ledger.settle()
    ledger.join(b"b")
    assert ledger.settle().recalls == {b"a": 1}
    ledger.released(b"a", 1)
    assert ledger.settle().grants == {b"b": 1}


def test_the_last_idle_credit_of_a_gateway_is_taken_only_for_work() -> None:
    ledger = ledger_of(1, b"a", b"b")
    ledger.settle()
    assert ledger.settle().recalls == {}
    ledger.offered(b"b", 1)
    assert ledger.settle().recalls == {b"a": 1}


def test_a_recall_that_comes_too_late_is_no_harm() -> None:
    ledger = ledger_of(1, b"a", b"b")
    ledger.settle()
    ledger.offered(b"b", 1)
    assert ledger.settle().recalls == {b"a": 1}
    assert ledger.received(b"a", waiting=0)
    ledger.released(b"a", 0)
    assert ledger.settle().grants == {}
    ledger.finished(b"a")
    assert ledger.settle().grants == {b"b": 1}


def test_a_request_without_credit_is_refused() -> None:
    ledger = ledger_of(1, b"a")
    ledger.settle()
    assert ledger.received(b"a", 0)
    assert not ledger.received(b"a", 0)


def test_the_places_of_a_gateway_that_leaves_go_to_the_others() -> None:
    ledger = ledger_of(2, b"a", b"b")
    ledger.settle()
    assert ledger.received(b"a", 0)
    ledger.leave(b"a")
    ledger.finished(b"a")
    assert ledger.settle().grants == {b"b": 1}


GATEWAYS = st.sampled_from([b"a", b"b", b"c", b"d"])


class Sharing(RuleBasedStateMachine):
    """Gateways come, work and go in any order; the worker settles after each event, as the loop does."""

    @initialize(capacity=st.integers(1, 6))
    def start(self, capacity: int) -> None:
        self.ledger = CreditLedger(capacity)
        self.recalls: list[bytes] = []

    def settle(self) -> None:
        self.recalls += self.ledger.settle().recalls

    @rule(gateway=GATEWAYS)
    def join_or_leave(self, gateway: bytes) -> None:
        (self.ledger.leave if gateway in self.ledger else self.ledger.join)(gateway)
        self.recalls = [other for other in self.recalls if other != gateway]
        self.settle()

    @precondition(lambda self: self.ledger.gateways)
    @rule(data=st.data(), waiting=st.integers(0, 3))
    def send_or_offer(self, data: st.DataObject, waiting: int) -> None:
        gateway = data.draw(st.sampled_from(self.ledger.gateways))
        if self.ledger.account(gateway).credits:
            assert self.ledger.received(gateway, waiting)
        else:
            self.ledger.offered(gateway, waiting)
        self.settle()

    @precondition(lambda self: any(self.ledger.account(g).in_hand for g in self.ledger.gateways))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        working = [g for g in self.ledger.gateways if self.ledger.account(g).in_hand]
        self.ledger.finished(data.draw(st.sampled_from(working)))
        self.settle()

    @precondition(lambda self: self.recalls)
    @rule()
    def answer_recall(self) -> None:
        gateway = self.recalls.pop(0)
        self.ledger.released(gateway, self.ledger.account(gateway).credits)
        self.settle()

    @invariant()
    def never_more_than_the_capacity(self) -> None:
        assert self.ledger.free >= 0

    @invariant()
    def no_place_idle_while_there_is_a_gateway(self) -> None:
        assert not self.ledger.gateways or self.ledger.free == 0

    @invariant()
    def the_starving_are_served_next(self) -> None:
        accounts = [self.ledger.account(gateway) for gateway in self.ledger.gateways]
        starving = sum(1 for account in accounts if account.waiting and not account.share)
        idle = sum(account.credits for account in accounts if not account.waiting)
        assert len(self.recalls) >= min(starving, idle, 1)


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
