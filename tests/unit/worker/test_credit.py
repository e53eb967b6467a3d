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


def test_a_busy_gateway_gets_what_lies_idle_with_others_whatever_it_has_already() -> None:
    ledger = ledger_of(4, b"busy", b"a", b"b", b"c")
    assert ledger.settle().grants == {b"busy": 1, b"a": 1, b"b": 1, b"c": 1}
    assert ledger.received(b"busy", waiting=2)
    assert ledger.settle().recalls == {b"a": 1, b"b": 1}
    ledger.released(b"a", 1)
    ledger.released(b"b", 1)
    assert ledger.settle().grants == {b"busy": 2}


def test_credit_of_a_gateway_whose_work_went_away_is_idle_as_soon_as_it_says_so() -> None:
    ledger = ledger_of(1, b"a")
    ledger.offered(b"a", 5)
    assert ledger.settle().grants == {b"a": 1}
    ledger.join(b"b")
    ledger.offered(b"b", 1)
    assert ledger.settle().recalls == {}, "it has work for its credit"
    ledger.offered(b"a", 0)
    assert ledger.settle().recalls == {b"a": 1}


def test_what_two_gateways_need_of_a_third_is_asked_for_once() -> None:
    ledger = ledger_of(4, b"idle")
    ledger.settle()
    for gateway in (b"a", b"b"):
        ledger.join(gateway)
        ledger.offered(gateway, 1)
    assert ledger.settle().recalls == {b"idle": 2}, "one each"
    assert ledger.settle().recalls == {}


def test_who_waits_for_credit_of_a_gateway_that_stands_still_gets_that_of_another() -> None:
    ledger = ledger_of(2, b"still", b"idle")
    ledger.settle()
    ledger.join(b"c")
    ledger.offered(b"c", 1)
    assert ledger.settle().recalls == {b"still": 1}
    ledger.doubt()
    assert ledger.settle().recalls == {b"idle": 1}
    ledger.released(b"idle", 1)
    assert ledger.settle().grants == {b"c": 1}
    ledger.released(b"still", 1)
    assert ledger.settle().grants != {}, "it counts again"


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
    def no_credit_lies_idle_unasked_while_work_waits(self) -> None:
        accounts = [self.ledger.account(gateway) for gateway in self.ledger.gateways]
        unmet = sum(max(0, account.waiting - account.credits) for account in accounts)
        idle = sum(max(0, account.credits - account.waiting) for account in accounts)
        assert not unmet or not idle or self.recalls


TestSharing = Sharing.TestCase
TestSharing.settings = settings(max_examples=settings.default.max_examples // 2, stateful_step_count=30)
