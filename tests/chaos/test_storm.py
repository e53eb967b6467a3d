"""The short storm: every fault once or twice under steady load, every answer checked against its own picture."""

from __future__ import annotations

import asyncio

from tests.chaos.gallery import gallery
from tests.chaos.house import open_house
from tests.chaos.storm import Storm

FAULTS = ["worker kill", "worker stop", "gateway kill", "worker kill", "gateway stop", "worker kill", "replace now"]


def test_under_every_fault_each_request_gets_its_own_right_answer_or_a_documented_refusal() -> None:
    with open_house(workers=2, gateway_processes=2, decode_processes=1) as house:
        storm = Storm(house, gallery(30), clients=4, pause_s=0.1)
        report = asyncio.run(storm.run(FAULTS, every_s=0.3))
    told = "\n".join(report.lines())
    assert report.wrong == [], told
    assert report.lost == [], told
    assert report.leaked == [], told
    assert report.not_reached == 0, told
    assert set(report.refused) <= {"503"}, told
    assert report.accepted >= 200, told
    assert report.events["workers_lost"] >= 3, told
    assert report.events["answered"] >= 200, told
