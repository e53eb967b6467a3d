"""What a plan stands on: stage times read from /metrics, the check against measured hosts, and what follows from it."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest

from gateway.reporting.metrics import Metrics
from loadtest import plan
from loadtest.planning.check import LOADS, gaps, lacking
from loadtest.planning.model import Cluster, Shape
from loadtest.planning.recording import Point, Recording, costs_of, run_s
from loadtest.planning.sizing import RATE_MAX, Wish, planned
from loadtest.planning.times import Times, stages_in
from tests.unit.loadtest.test_planning import mean

#: A worker beside the cores that takes 40 ms.
SHAPE = Shape(cores=2, decoders=1, workers=2, card=True)
STAGES = {"decode": Times((0.005,), (100,), 0.2), "inference": Times((0.05,), (100,), 4.0)}


def recording(hosts: int) -> Recording:
    """What the model itself says of such hosts."""
    one = Recording(
        target="/api/v1/detect", hosts=hosts, shape=SHAPE, stages=STAGES, alone_s=0.045, request_bytes=60_000.0,
        answer_bytes=500.0, clients=16, capacity=1.0, points=[],
    )  # fmt: skip
    one = msgspec.structs.replace(one, capacity=Cluster(SHAPE, costs_of(one), hosts).closed_loop(16, 20, 2).rate)
    empty = [Point(round(load * one.capacity, 3), 3.0, 1.0, 3, 1.0, 1.0) for load in LOADS]
    capacity, *said = [gap.model for gap in gaps([msgspec.structs.replace(one, points=empty)])]
    points = [
        msgspec.structs.replace(point, rate=rate, p99_s=p99_s)
        for point, rate, p99_s in zip(empty, said[::2], said[1::2], strict=True)
    ]
    return msgspec.structs.replace(one, capacity=capacity, points=points)


def slower(one: Recording, share: float) -> Recording:
    """Hosts that answered so many as the model says."""
    points = [msgspec.structs.replace(point, rate=point.rate * share) for point in one.points]
    return msgspec.structs.replace(one, capacity=one.capacity * share, points=points)


@pytest.fixture(scope="module")
def both() -> list[Recording]:
    return [recording(1), recording(2)]


@pytest.fixture(scope="module")
def files(both: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("recordings")
    for one in both:
        (folder / f"{one.hosts}.json").write_bytes(msgspec.json.encode(one))
    return [str(folder / "1.json"), str(folder / "2.json")]


def test_stages_are_read_from_what_the_service_itself_tells() -> None:
    from prometheus_client import generate_latest

    metrics = Metrics()
    for milliseconds in (8.0, 9.0, 30.0):
        metrics.stages([("decode", milliseconds), ("mask", 2.0)])
    metrics.refresh()
    found = stages_in(generate_latest(metrics.registry).decode())
    assert found["decode"].mean_s == pytest.approx(0.047 / 3)
    assert found["decode"].count == 3
    later = found["decode"].since(found["decode"])
    assert (later.count, later.mean_s) == (0, 0.0)
    assert set(found) == {"decode", "mask"}
    assert msgspec.json.decode(msgspec.json.encode(found), type=dict[str, Times]) == found


def test_drawn_times_have_the_measured_mean_and_stay_near_their_buckets() -> None:
    times, numbers = Times((0.01, 0.1, 0.2), (90, 9, 1), 1.5), random.Random(0)
    drawn = [times.draw(numbers) for _ in range(20_000)]
    assert mean(drawn) == pytest.approx(0.015, rel=0.05)
    assert max(drawn) < 0.2 * 1.5


def test_a_run_of_more_pictures_costs_what_was_measured_or_follows_the_line() -> None:
    runs = [(8, 6.0), (1, 2.0), (16, 10.0)]
    assert [run_s(runs, size) for size in (1, 8, 12, 32)] == pytest.approx([0.002, 0.006, 0.008, 0.018])
    assert run_s([(4, 2.0)], 8) == pytest.approx(0.004)


def test_hosts_cores_cards_network_and_money_follow_from_the_rate(both: list[Recording]) -> None:
    plan = planned(both[0], Wish(rate=1000.0, p99_s=0.2, spare=2, host_price=0.5, card_price=2.0), 500)
    assert 0.5 < plan.of_capacity < 1
    assert plan.p99_s <= 0.2
    assert plan.hosts == pytest.approx(1000 / plan.per_host + 2, abs=1)
    assert (plan.cores, plan.cards) == (plan.hosts * 2, plan.hosts * 2)
    assert plan.gbit_in == pytest.approx(0.48)
    assert plan.price_per_hour == pytest.approx(plan.hosts * 4.5)
    relaxed = planned(both[0], Wish(rate=1000.0, p99_s=0.5), 500)
    assert relaxed.per_host > plan.per_host


@pytest.mark.parametrize(("wish", "words"), [
    (Wish(rate=100.0, p99_s=0.01), "whatever the number of hosts"),
    (Wish(rate=RATE_MAX + 1, p99_s=1.0), "at most 100,000"),
])  # fmt: skip
def test_what_cannot_be_had_is_said(both: list[Recording], wish: Wish, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        planned(both[0], wish, 50)


def test_a_plan_is_made_where_the_model_says_what_was_measured(files: list[str], tmp_path: Path) -> None:
    wish = ["--rate", "100000", "--p99", "0.3", "--requests", "300", "--json", str(tmp_path / "plan.json")]
    assert plan.main(["size", *files, *wish]) == 0
    made = msgspec.json.decode((tmp_path / "plan.json").read_bytes())
    assert made["hosts"] * made["per_host"] >= 100_000


def test_no_plan_where_the_model_is_further_off_than_it_may_be(
    both: list[Recording], files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "slower.json"
    file.write_bytes(msgspec.json.encode(slower(both[1], 0.93)))
    assert plan.main(["size", files[0], str(file), "--rate", "100", "--p99", "1"]) == 1
    said = capsys.readouterr()
    assert "+7.5%  MORE THAN 5%" in said.out
    assert "no plan" in said.err
    assert plan.main(["check", *files]) == 0


def test_a_plan_wants_one_host_and_two_of_one_kind_at_every_load(both: list[Recording], files: list[str]) -> None:
    one, two = both
    assert not lacking(both)
    assert "one of two" in lacking([one, one])
    assert "different hosts" in lacking([one, msgspec.structs.replace(two, target="/api/v1/mask")])
    assert "0.95" in lacking([one, msgspec.structs.replace(two, points=two.points[:2])])
    assert plan.main(["check", files[0], files[0]]) == 2
